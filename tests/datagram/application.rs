//! The application's side: away, back, and at a port that the kernel would hand out.

use podwall_lab::{PodSpec, wait_until};

use super::stage::{App, Client, DNS, MDNS, both, guarded, guarded_with, line, metric, reaches};
use crate::support::{CART_ONLY, SOON};

const UNREACHABLE: &str = "podwall_udp_app_unreachable_total";
const NO_WAY: &str = "podwall_udp_dropped_total{why=\"no_way\"}";

#[test]
fn an_application_that_is_away_is_counted_hurts_nobody_else_and_is_found_when_it_is_back() {
    let scene = guarded(CART_ONLY);
    let _other = App::listen(&scene.web, MDNS).echo();
    let elsewhere = both(&scene.web, MDNS).map(|to| Client::new(&scene.cart, to));
    let clients = both(&scene.web, DNS).map(|to| Client::new(&scene.cart, to));
    for (count, client) in clients.iter().enumerate() {
        client.say(b"anybody there");
        reaches(&scene, UNREACHABLE, (count + 1) as f64);
    }
    elsewhere.iter().for_each(|client| client.ask(b"not here"));
    let _app = App::listen(&scene.web, DNS).echo();
    // The same sessions: nothing of the error is left.
    clients.iter().for_each(|client| client.ask(b"and now"));
    assert_eq!(metric(&scene, "podwall_udp_sessions"), 4.0);
}

#[test]
fn a_session_that_nobody_answered_says_so_at_its_end() {
    let scene = guarded_with(CART_ONLY, &["--drain-timeout", "20s"]);
    let clients = both(&scene.web, DNS).map(|to| Client::new(&scene.cart, to));
    for (count, client) in clients.iter().enumerate() {
        client.say(b"anybody there");
        reaches(&scene, UNREACHABLE, (count + 1) as f64);
    }
    // While podwall stops, a session ends when the application is found to be away.
    scene
        .sidecar()
        .process()
        .signal(podwall_lab::Signal::TERM)
        .unwrap();
    let stopping = || {
        scene
            .sidecar()
            .process()
            .stderr_so_far()
            .contains("asked to stop")
    };
    assert!(wait_until(SOON, stopping));
    for client in &clients {
        let told = || {
            client.try_say(b"and now");
            let log = scene.sidecar().log();
            log.iter()
                .any(|line| super::stage::is_of(line, client.address()))
        };
        assert!(wait_until(SOON, told));
        let line = line(&scene, "connection", client.address());
        assert_eq!(
            (&line["end"], &line["reason"]),
            (&"app_refused".into(), &"rule".into()),
            "{line}"
        );
    }
    assert_eq!(
        scene.sidecar().process().wait(SOON).unwrap().code(),
        Some(0)
    );
}

/// Every datagram that waited for a session which cannot be is counted.
#[test]
fn p07_what_waited_for_a_session_without_a_local_port_is_counted_whole() {
    let mut scene = guarded(CART_ONLY);
    let range = "net/ipv4/ip_local_port_range";
    let one = format!("{MDNS} {MDNS}");
    scene.web.place().sysctl(range, &one).unwrap();
    for (family, to) in both(&scene.web, MDNS).into_iter().enumerate() {
        let before = metric(&scene, NO_WAY);
        // Its own hold decides whether the change is in time; a loaded machine has more than one attempt.
        let is_let_in = (0..10).any(|attempt| {
            let name = format!("newcomer{family}{attempt}");
            let spec = PodSpec::new("shop", &name).label("app", "cart");
            let newcomer = scene.lab.pod(spec.unannounced()).unwrap();
            let client = Client::new(&newcomer, to);
            for _ in 0..3 {
                client.say(b"anybody there");
            }
            scene.lab.announce("shop", &name).unwrap();
            line(&scene, "connection", client.address())["end"] == "no_local_port"
        });
        assert!(is_let_in, "{}", scene.sidecar().process().output_so_far());
        reaches(&scene, NO_WAY, before + 3.0);
    }
}

/// Both ends of an application's leg are the pod's: where nobody listens the kernel may give it the very port that it
/// wants to reach, and it would hear itself. Here that port is the only one to be had.
#[test]
fn p15_a_session_never_hears_itself_and_without_a_local_port_there_is_none() {
    let scene = guarded(CART_ONLY);
    let range = format!("{MDNS} {MDNS}");
    let sysctl = |range: &str| {
        scene
            .web
            .place()
            .sysctl("net/ipv4/ip_local_port_range", range)
    };
    sysctl(&range).unwrap();
    let clients = both(&scene.web, MDNS).map(|to| Client::new(&scene.cart, to));
    for client in &clients {
        client.say(b"anybody there");
        let line = line(&scene, "connection", client.address());
        assert_eq!(
            (&line["end"], &line["reason"]),
            (&"no_local_port".into(), &"rule".into()),
            "{line}"
        );
        assert!(client.has_heard_nothing());
    }
    assert_eq!(metric(&scene, "podwall_no_local_port_total"), 2.0);
    // The next datagram of the same client finds what is there by then.
    sysctl("32768 60999").unwrap();
    let _app = App::listen(&scene.web, MDNS).echo();
    clients.iter().for_each(|client| client.ask(b"and now"));
    assert_eq!(metric(&scene, "podwall_udp_sessions"), 2.0);
}
