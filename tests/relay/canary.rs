//! P40: readiness knows, without privilege, whether the redirect is there and leads to this relay.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use podwall_lab::{Sidecar, wait_until};
use podwall_proxy::config::CANARY_PORT;

use crate::inside::run;
use crate::support::{CART_ONLY, SOON, Scene, Seen, podwall};
use crate::talk::{Ending, both, fate};

fn readiness(scene: &Scene) -> (u16, String) {
    scene.sidecar().get("/readyz").unwrap()
}

/// Not ready, for the canaries of exactly these families.
fn misses(scene: &Scene, v4: bool, v6: bool) -> String {
    let (code, text) = readiness(scene);
    assert_eq!(code, 503, "{text}");
    let named = |address: &str| text.contains(&format!("canary {address}:{CANARY_PORT}"));
    assert_eq!((named("127.0.0.1"), named("[::1]")), (v4, v6), "{text}");
    text
}

fn install(scene: &Scene) {
    Sidecar::install(&scene.lab, &scene.web, &podwall(), &[]).unwrap();
}

#[test]
fn p40_without_the_canarys_rule_of_a_family_it_is_not_ready() {
    let scene = Scene::guarded(CART_ONLY);
    assert_eq!(readiness(&scene).0, 200);
    run(&scene.web, "ip6tables-nft -t nat -F PODWALL_CANARY");
    let text = misses(&scene, false, true);
    assert!(text.contains("--canary-port"), "the mend: {text}");
    run(&scene.web, "iptables-nft -t nat -F PODWALL_CANARY");
    misses(&scene, true, true);
    install(&scene);
    assert_eq!(readiness(&scene).0, 200, "{}", readiness(&scene).1);
    run(&scene.web, "iptables-nft -t nat -F PODWALL_CANARY");
    misses(&scene, true, false);
}

#[test]
fn p40_without_the_nat_half_it_is_not_ready_and_nobody_enters() {
    let scene = Scene::guarded(CART_ONLY);
    for program in ["iptables-nft", "ip6tables-nft"] {
        run(&scene.web, &format!("{program} -t nat -F"));
    }
    misses(&scene, true, true);
    for to in both(&scene.web, 80) {
        let refused = Ending::Other(ErrorKind::ConnectionRefused);
        assert_eq!(fate(&scene.cart, to), refused);
    }
    // Whoever else answers there is not taken for the relay.
    let canary = SocketAddr::from((Ipv4Addr::LOCALHOST, CANARY_PORT));
    let bind = || TcpListener::bind(canary).unwrap();
    let somebody = scene.web.enter(bind).unwrap();
    std::thread::spawn(move || {
        for stream in somebody.incoming() {
            let word = b"podwall 00000000000000000000000000000000\n";
            let _ = std::io::Write::write_all(&mut stream.unwrap(), word);
        }
    });
    let text = misses(&scene, true, true);
    assert!(text.contains("another program answers"), "{text}");
    install(&scene);
    assert_eq!(readiness(&scene).0, 200, "{}", readiness(&scene).1);
    assert_eq!(scene.ask(&scene.cart, 80), Seen::Page);
    assert_eq!(scene.ask_v6(&scene.cart, 80), Seen::Page);
}

#[test]
fn p40_rules_for_another_port_are_noticed() {
    let mut scene = Scene::bare(CART_ONLY);
    scene.serve();
    let (lab, web) = (&scene.lab, &scene.web);
    Sidecar::install(lab, web, &podwall(), &["--listen-port", "16001"]).unwrap();
    scene.sidecar = Some(Sidecar::launch(lab, web, &podwall(), &[]).unwrap());
    let synced = || {
        let series = scene.sidecar().metric("podwall_synced");
        series.is_ok_and(|value| value == Some(1.0))
    };
    assert!(wait_until(SOON, synced));
    let text = misses(&scene, true, true);
    assert!(text.contains("--listen-port"), "the mend: {text}");
    for to in both(&scene.web, 80) {
        let refused = Ending::Other(ErrorKind::ConnectionRefused);
        assert_eq!(fate(&scene.cart, to), refused);
    }
    install(&scene);
    assert_eq!(readiness(&scene).0, 200);
    assert_eq!(scene.ask(&scene.cart, 80), Seen::Page);
}
