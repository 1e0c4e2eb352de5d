//! Rules and sidecar belong together: a flag that differs is named, rules that go are missed, several queues are used.

use std::time::Duration;

use podwall_lab::{Mode, wait_until};
use serde_json::Value;

use super::hold::{queues, stranger};
use super::packets::Forger;
use super::stage::{Stage, becomes_ready, guard, install, launch, readiness};
use crate::inside::run;
use crate::support::{CART_ONLY, SOON, Scene};
use crate::talk::{APP, both, connect};

/// Good rules are read every ten seconds.
const READ: Duration = Duration::from_secs(25);

/// Each row: flags of the rules, flags of the sidecar, and what is named.
const DIFFERENT: [(Mode, &[&str], &[&str], &str); 5] = [
    (Mode::Queue, &["--queues", "100:2"], &[], "--queues"),
    (Mode::Queue, &[], &["--queues", "15871:2"], "--queues"),
    (
        Mode::Queue,
        &["--udp-deny", "unreachable"],
        &[],
        "--udp-deny",
    ),
    (
        Mode::Queue,
        &["--unguarded-port", "5300/UDP"],
        &[],
        "--unguarded-port",
    ),
    (Mode::Redirect, &[], &[], "--mode"),
];

#[test]
fn a_flag_that_differs_is_named_and_the_sidecar_is_not_ready() {
    std::thread::scope(|scope| {
        for (mode, rules, sidecar, named) in DIFFERENT {
            scope.spawn(move || {
                let mut scene = Scene::bare(CART_ONLY);
                install(&scene, mode, rules);
                launch(&mut scene, sidecar, &[]);
                let told = || {
                    let (code, text) = readiness(&scene);
                    code == 503 && text.contains(named)
                };
                assert!(wait_until(SOON, told), "{named}: {}", readiness(&scene).1);
                install(&scene, Mode::Queue, sidecar);
                becomes_ready(&scene);
            });
        }
    });
}

#[test]
fn rules_that_go_while_it_runs_are_missed_and_mended() {
    let ways = [
        ("mangle", "ip6tables-nft -t mangle -F PODWALL_QUEUE"),
        ("filter", "iptables-nft -t filter -D INPUT -j PODWALL_INPUT"),
    ];
    std::thread::scope(|scope| {
        for (table, way) in ways {
            scope.spawn(move || {
                let stage = Stage::set(CART_ONLY);
                let scene = &stage.scene;
                run(&scene.web, way);
                let missed = || readiness(scene).0 == 503;
                assert!(wait_until(READ, missed), "{way}: {}", readiness(scene).1);
                let (_, text) = readiness(scene);
                assert!(text.contains(table), "{way}: {text}");
                install(scene, Mode::Queue, &[]);
                becomes_ready(scene);
            });
        }
    });
}

/// The kernel chooses the queue by the addresses of both ends.
#[test]
fn several_queues_are_all_used() {
    const MANY: u32 = 100;
    let mut stage = Stage::bare(CART_ONLY, |_| {});
    guard(&mut stage.scene, &["--queues", "100:4"], &[]);
    let to = both(&stage.scene.web, APP);
    for to in to {
        let forger = Forger::new(&stage.scene.rogue, to);
        (0..MANY).for_each(|at| forger.syn(stranger(at, to)));
    }
    let all = || queues(&stage.scene.web).iter().all(|one| one[3] > 0);
    assert!(wait_until(SOON, all), "{:?}", queues(&stage.scene.web));
    let used = queues(&stage.scene.web);
    let numbers: Vec<u64> = used.iter().map(|one| one[0]).collect();
    assert_eq!(numbers, [100, 101, 102, 103]);
    // Each is answered.
    let strangers = |line: &Value| line["peer"] == Value::Null && line["reason"] == "peer_unknown";
    let told = || {
        let log = stage.scene.sidecar().log();
        log.iter().filter(|line| strangers(line)).count() as u32
    };
    assert!(wait_until(SOON, || told() == 2 * MANY), "{}", told());
    for at in to {
        connect(&stage.scene.cart, at).expect("let in");
        assert!(connect(&stage.scene.rogue, at).is_err());
    }
}
