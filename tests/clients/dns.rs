//! DNS: dig asks dnsmasq, over UDP and TCP.

use std::net::IpAddr;

use podwall_lab::{Mode, Pod};

use super::stage::{Stage, fails, succeeds};
use crate::support::SOON;

const NAME: &str = "web.shop.test";
const ADDRESS: &str = "192.0.2.7";
/// The port from which the friend asks twice, as one flow.
const OWN_PORT: u16 = 5353;

const SERVER: [&str; 9] = [
    "dnsmasq",
    "--no-daemon",
    "--conf-file=/dev/null",
    "--no-resolv",
    "--no-hosts",
    "--user=root",
    "--pid-file=",
    "--cache-size=0",
    "--host-record=web.shop.test,192.0.2.7",
];

#[test]
fn dns_in_mode_redirect() {
    play(Mode::Redirect);
}

#[test]
fn dns_in_mode_queue() {
    play(Mode::Queue);
}

fn play(mode: Mode) {
    let mut stage = Stage::set(mode, "53");
    let server = stage.serve(&SERVER);
    let started = server.wait_for_line(|line| line.contains("started"), SOON);
    started.expect("dnsmasq");
    let refused = stage.either("connection reset", "connection refused");
    for host in stage.hosts() {
        let asked = |words: &[&str]| question(host, words);
        assert_eq!(answer(&stage.friend, &asked(&[])), ADDRESS);
        assert_eq!(answer(&stage.friend, &asked(&["+tcp"])), ADDRESS);
        // A datagram that is denied is dropped; the one second is dig's own patience.
        fails_with(&stage.rogue, &asked(&["+time=1"]), "timed out");
        fails_with(&stage.rogue, &asked(&["+tcp"]), refused);
    }
    // One flow, from one port: answered, then the law changes, then not.
    for (host, own) in stage.hosts().into_iter().zip(own_ends(&stage.friend)) {
        let asked = |more: &str| question(host, &["-b", &own, more]);
        assert_eq!(answer(&stage.friend, &asked("+time=5")), ADDRESS);
        let skip = stage.sidecar.log().len();
        stage.revoke();
        stage.revoked(skip, OWN_PORT);
        fails_with(&stage.friend, &asked("+time=1"), "timed out");
        fails_with(&stage.friend, &question(host, &["+tcp"]), refused);
        stage.restore();
        // A flow that was cut is let in again within a second; a resolver asks again.
        assert_eq!(answer(&stage.friend, &asked("+tries=5")), ADDRESS);
    }
}

fn own_ends(pod: &Pod) -> [String; 2] {
    let addresses: [IpAddr; 2] = [pod.v4().into(), pod.v6().into()];
    addresses.map(|address| format!("{address}#{OWN_PORT}"))
}

fn question(host: IpAddr, more: &[&str]) -> Vec<String> {
    let server = format!("@{host}");
    let words = ["dig", "+short", "+tries=1", &server, NAME, "A"];
    words.iter().chain(more).map(ToString::to_string).collect()
}

fn answer(client: &Pod, words: &[String]) -> String {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    succeeds(client, &words).trim().to_owned()
}

fn fails_with(client: &Pod, words: &[String], with: &str) {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    // "No servers could be reached."
    assert_eq!(fails(client, &words, &[with]), Some(9), "{words:?}");
}
