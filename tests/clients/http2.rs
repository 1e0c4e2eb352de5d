//! HTTP/2: curl asks nginx, page, large body and a stream that is cut.

use std::net::IpAddr;

use podwall_lab::{Mode, Nginx, Pod, Process, wait_until};

use super::stage::{Stage, fails, is_cut, succeeds};
use crate::support::SOON;

const PORT: u16 = 8080;

#[test]
fn http2_in_mode_redirect() {
    play(Mode::Redirect);
}

#[test]
fn http2_in_mode_queue() {
    play(Mode::Queue);
}

fn play(mode: Mode) {
    let mut stage = Stage::set(mode, "");
    let _nginx = Nginx::start_http2(&stage.server, &[PORT], "the page").expect("nginx");
    let refused = stage.either("Connection reset by peer", "Connection refused");
    for host in stage.hosts() {
        let page = ask(host, "/", &["--write-out", "%{http_version} %{http_code}"]);
        let said = said(&stage.friend, &page);
        assert_eq!(said, format!("the page\nport {PORT}\n2 200"));
        let many = ask(host, "/large", &["--output", "-"]);
        assert_eq!(succeeds(&stage.friend, &words(&many)).len(), Nginx::LARGE);
        fails(&stage.rogue, &words(&page), &[refused]);
    }
    let streams = stage.hosts().map(|host| stream(&stage.friend, host));
    stage.revoke();
    for stream in streams {
        is_cut(&stream, "Connection reset by peer");
    }
}

fn ask(host: IpAddr, path: &str, more: &[&str]) -> Vec<String> {
    let url = match host {
        IpAddr::V4(v4) => format!("http://{v4}:{PORT}{path}"),
        IpAddr::V6(v6) => format!("http://[{v6}]:{PORT}{path}"),
    };
    let words = [
        "curl",
        "-q",
        "--silent",
        "--show-error",
        // A reset right after the handshake may be a failure to connect for curl; here it says which.
        "--verbose",
        "--globoff",
        "--noproxy",
        "*",
        "--http2-prior-knowledge",
        &url,
    ];
    words.iter().chain(more).map(ToString::to_string).collect()
}

fn words(all: &[String]) -> Vec<&str> {
    all.iter().map(String::as_str).collect()
}

fn said(client: &Pod, all: &[String]) -> String {
    succeeds(client, &words(all))
}

/// A stream that goes on for minutes, of which something has come.
fn stream(client: &Pod, host: IpAddr) -> Process {
    let all = ask(host, "/slow", &["--no-buffer"]);
    let stream = client.command(&all[0]).args(&all[1..]).spawn().unwrap();
    let flows = || !stream.stdout_so_far().is_empty();
    assert!(wait_until(SOON, flows), "{}", stream.output_so_far());
    stream
}
