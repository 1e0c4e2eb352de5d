//! P7, P6: what cannot be answered yet is held in the kernel, within bounds of time and number, and a crowd of strangers
//! is no trouble for anybody else.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use podwall_lab::{Lab, Place, Pod, PodSpec, wait_until};
use podwall_policy::flow::Protocol;
use serde_json::Value;

use super::packets::Forger;
use super::stage::{Stage, becomes_ready, connected, install, is_from, launch, readiness};
use crate::inside::{status, tcp_counter};
use crate::support::{CART_ONLY, SOON, Scene};
use crate::talk::{APP, both, connect};

/// The bounds that the documents promise.
const HOLD: Duration = Duration::from_millis(900);
const PLACES: f64 = 512.0;
const PLACES_PER_SOURCE: usize = 64;
const QUEUE_LENGTH: u64 = 4096;
/// When a client's kernel sends its SYN again.
const RETRY: Duration = Duration::from_secs(1);
/// How often a race against the hold's own end may be lost.
const ATTEMPTS: usize = 10;

/// A pod of which no manifest tells.
fn ghost(lab: &mut Lab) -> Pod {
    let ghost = PodSpec::new("shop", "ghost").label("app", "cart");
    lab.pod(ghost.unannounced()).unwrap()
}

fn held(scene: &Scene) -> f64 {
    scene.sidecar().metric("podwall_held").unwrap().unwrap()
}

/// How often clients at this place had to send a SYN again.
fn repeated(place: &Place) -> u64 {
    tcp_counter(place, "TCPSynRetrans")
}

/// Connects, makes the change while the SYN is held, and gives what came of it, and after how long.
fn while_held(
    scene: &mut Scene,
    from: &Place,
    to: SocketAddr,
    change: impl FnOnce(&mut Lab),
) -> (io::Result<TcpStream>, Duration) {
    thread::scope(|scope| {
        let connecting = scope.spawn(|| {
            let began = Instant::now();
            (connect(from, to), began.elapsed())
        });
        let waits = || held(scene) >= 1.0 || connecting.is_finished();
        assert!(wait_until(SOON, waits), "not held");
        change(&mut scene.lab);
        connecting.join().unwrap()
    })
}

/// Was refused after the whole of its wait and for this reason, without having had to ask twice.
fn is_refused(scene: &Scene, client: &Pod, to: SocketAddr, reason: &str) {
    let (before, skip) = (repeated(client), scene.sidecar().log().len());
    let began = Instant::now();
    let refused = connect(client, to).map_err(|error| error.kind());
    let after = began.elapsed();
    assert_eq!(refused.unwrap_err(), ErrorKind::ConnectionRefused, "{to}");
    let line = scene.line(skip, client, to.port());
    assert_eq!(
        (&line["verdict"], &line["reason"]),
        (&"deny".into(), &reason.into()),
        "{line}"
    );
    assert!(line["held_ms"].as_u64() >= Some(890), "{line}");
    assert!(after >= HOLD && after < 2 * RETRY, "{after:?}");
    assert!(repeated(client) <= before + 1);
}

#[test]
fn p07_an_unknown_source_waits_and_is_refused() {
    let mut stage = Stage::set(CART_ONLY);
    let ghost = ghost(&mut stage.scene.lab);
    let before = repeated(&ghost);
    for to in both(&stage.scene.web, APP) {
        is_refused(&stage.scene, &ghost, to, "peer_unknown");
    }
    assert!(!stage.app.has_visitor());
    assert_eq!(
        repeated(&ghost),
        before,
        "answered before the SYN came again"
    );
    assert_eq!(held(&stage.scene), 0.0);
}

#[test]
fn p07_who_is_announced_while_it_waits_enters_by_its_first_syn() {
    let mut stage = Stage::set(CART_ONLY);
    let ghost = ghost(&mut stage.scene.lab);
    for to in both(&stage.scene.web, APP) {
        // Not only when its time is over.
        let mut at_once = false;
        let let_in = (0..ATTEMPTS).any(|_| {
            let before = repeated(&ghost);
            let announce = |lab: &mut Lab| lab.announce("shop", "ghost").unwrap();
            let (answer, after) = while_held(&mut stage.scene, &ghost, to, announce);
            let let_in = answer.is_ok();
            if let Ok(client) = answer {
                assert_eq!(repeated(&ghost), before, "by its first SYN");
                assert!(after < RETRY, "{after:?}");
                at_once |= after < HOLD - Duration::from_millis(200);
                let app = stage.app.accept();
                let source = client.local_addr().unwrap();
                drop((app, client));
                let line = super::stage::line(&stage.scene, "connection", source);
                assert_eq!(
                    (&line["peer"], &line["reason"]),
                    (&"shop/ghost".into(), &"rule".into())
                );
                assert!(line["held_ms"].as_u64() > Some(0), "{line}");
            }
            stage.scene.change(|lab| lab.forget("shop", "ghost"));
            let_in && at_once
        });
        assert!(let_in, "in none of {ATTEMPTS} attempts");
    }
}

/// A file that is missing keeps the whole source from being good.
fn missing(lab: &Lab) -> PathBuf {
    lab.dir().join("late.yaml")
}

fn appears(lab: &Lab) {
    let late = "apiVersion: v1\nkind: Namespace\nmetadata: { name: late }\n";
    let draft = lab.dir().join("late.draft");
    std::fs::write(&draft, late).unwrap();
    std::fs::rename(draft, missing(lab)).unwrap();
}

/// Everybody waits and is refused for this reason, but the node; then the change comes while somebody waits.
fn waits_for(
    stage: &mut Stage,
    reason: &str,
    change: impl Fn(&mut Lab),
    back: impl Fn(&mut Stage),
) {
    let to = both(&stage.scene.web, APP);
    let cart = stage.scene.cart.clone();
    for to in to {
        is_refused(&stage.scene, &cart, to, reason);
        drop(connect(stage.scene.lab.node(), to).expect("the node's probe"));
        stage.app.accept();
    }
    let (code, text) = readiness(&stage.scene);
    assert!(code == 503 && text.contains(reason), "{code} {text}");
    for _ in 0..ATTEMPTS {
        let before = repeated(&cart);
        let (answer, after) = while_held(&mut stage.scene, &cart, to[0], &change);
        if answer.is_ok() {
            assert_eq!(repeated(&cart), before, "by its first SYN");
            assert!(after < RETRY, "{after:?}");
            becomes_ready(&stage.scene);
            return;
        }
        back(stage);
    }
    panic!("in none of {ATTEMPTS} attempts the waiting arrival was let in");
}

#[test]
fn p06_before_the_first_sync_arrivals_wait_for_it() {
    let mut stage = Stage::bare(CART_ONLY, |_| {});
    install(&stage.scene, podwall_lab::Mode::Queue, &[]);
    let late = missing(&stage.scene.lab);
    let more = ["-f", late.to_str().unwrap()];
    launch(&mut stage.scene, &[], &more);
    waits_for(
        &mut stage,
        "not_synced",
        |lab| appears(lab),
        |stage| {
            std::fs::remove_file(&late).unwrap();
            launch(&mut stage.scene, &[], &more);
        },
    );
}

#[test]
fn p06_arrivals_wait_for_a_subject_that_is_not_there() {
    let mut stage = Stage::bare(CART_ONLY, |lab| lab.forget("shop", "web").unwrap());
    install(&stage.scene, podwall_lab::Mode::Queue, &[]);
    launch(&mut stage.scene, &[], &[]);
    waits_for(
        &mut stage,
        "subject_unknown",
        |lab| lab.announce("shop", "web").unwrap(),
        |stage| {
            stage.scene.lab.forget("shop", "web").unwrap();
            launch(&mut stage.scene, &[], &[]);
        },
    );
}

/// The `at`-th of thousands of addresses by which no pod is known, of the family of `to`.
pub fn stranger(at: u32, to: SocketAddr) -> SocketAddr {
    let address: IpAddr = match to {
        SocketAddr::V4(_) => Ipv4Addr::from(u32::from(Ipv4Addr::new(198, 18, 0, 0)) + at).into(),
        SocketAddr::V6(_) => {
            let first = u128::from(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0));
            Ipv6Addr::from(first + u128::from(at)).into()
        }
    };
    (address, 40_000).into()
}

/// What the kernel says of the pod's queues: number, packets that wait, packets it dropped, packets so far.
pub fn queues(place: &Place) -> Vec<[u64; 4]> {
    let read = || std::fs::read_to_string("/proc/thread-self/net/netfilter/nfnetlink_queue");
    let text = place.enter(read).unwrap().unwrap();
    let numbers = text.lines().map(|line| {
        let words = line.split_whitespace().map(|word| word.parse().unwrap());
        words.collect::<Vec<u64>>()
    });
    numbers
        .map(|line| [line[0], line[2], line[5] + line[6], line[7]])
        .collect()
}

#[test]
fn p07_one_source_cannot_take_all_places() {
    let mut stage = Stage::set(CART_ONLY);
    let ghost = ghost(&mut stage.scene.lab);
    let [to, other] = both(&stage.scene.web, APP);
    let forger = Forger::new(&ghost, to);
    let source = |port| SocketAddr::new(ghost.v4().into(), port);
    (0..100).for_each(|at| forger.syn(source(20_000 + at)));
    let full = |line: &Value| line["reason"] == "hold_full";
    let told = || {
        let log = stage.scene.sidecar().log();
        log.iter().filter(|line| full(line)).count()
    };
    assert!(
        wait_until(SOON, || told() == 100 - PLACES_PER_SOURCE),
        "{}",
        told()
    );
    let line = stage.scene.sidecar().wait_log(0, full, SOON).unwrap();
    assert_eq!(
        (&line["verdict"], &line["held_ms"]),
        (&"deny".into(), &0.into())
    );
    // Its other address is another source.
    is_refused(&stage.scene, &ghost, other, "peer_unknown");
}

#[test]
fn p07_with_the_hold_full_a_known_peer_enters_by_its_first_syn() {
    const MANY: usize = 20;
    let stage = Stage::set(CART_ONLY);
    let to = both(&stage.scene.web, APP);
    let forgers = to.map(|to| Forger::new(&stage.scene.rogue, to));
    let mut at = 0;
    // The places are given back after their time, so this is a race that may be lost.
    let full_meanwhile = (0..ATTEMPTS).any(|_| {
        let full = || {
            for forger in &forgers {
                (0..32).for_each(|_| {
                    at += 1;
                    forger.syn(stranger(at, to[usize::from(at % 2 == 1)]));
                });
            }
            held(&stage.scene) == PLACES
        };
        assert!(wait_until(SOON, full), "{} are held", held(&stage.scene));
        let before = repeated(&stage.scene.cart);
        for at in 0..MANY {
            drop(connect(&stage.scene.cart, to[at % 2]).expect("a known peer"));
        }
        assert_eq!(repeated(&stage.scene.cart), before, "by their first SYN");
        held(&stage.scene) == PLACES
    });
    assert!(full_meanwhile, "never full for long enough");
    (0..MANY).for_each(|_| drop(stage.app.accept()));
}

/// How many strangers come in a wave.
const WAVE: u32 = 15_000;
/// What podwall's memory may grow by in further waves.
const GROWTH_KB: u64 = 6 << 10;

#[test]
fn p07_a_flood_of_strangers_grows_nothing() {
    let stage = Stage::set(CART_ONLY);
    let scene = &stage.scene;
    let to = both(&scene.web, APP);
    let forgers = to.map(|to| Forger::new(&scene.rogue, to));
    let wave = |number: u32| {
        for at in 0..WAVE {
            let family = (at % 2) as usize;
            forgers[family].syn(stranger(number * WAVE + at, to[family]));
        }
    };
    let rss = || -> u64 {
        status(scene.sidecar().process().pid(), "VmRSS")[0]
            .parse()
            .unwrap()
    };
    let settled = || wait_until(SOON, || held(scene) == 0.0 && queues(&scene.web)[0][1] == 0);
    wave(0);
    assert!(settled(), "{:?}", queues(&scene.web));
    let before = rss();
    thread::scope(|scope| {
        let flood = scope.spawn(|| (1..4).for_each(wave));
        let mut probes = 0;
        while !flood.is_finished() {
            let began = Instant::now();
            let (code, _) = scene.sidecar().get("/livez").expect("the node's probe");
            assert_eq!(code, 200);
            assert!(began.elapsed() < 3 * RETRY, "after {:?}", began.elapsed());
            for [_, waiting, ..] in queues(&scene.web) {
                assert!(waiting <= QUEUE_LENGTH, "{waiting} wait");
            }
            probes += 1;
        }
        assert!(probes > 0);
        flood.join().unwrap();
    });
    assert!(settled(), "{:?}", queues(&scene.web));
    let after = rss();
    assert!(
        after < before + GROWTH_KB,
        "{before} kB have become {after} kB"
    );
    let full = |line: &Value| line["reason"] == "hold_full";
    scene.sidecar().wait_log(0, full, SOON).expect("told so");
    // Nor does connection tracking remember anybody, or the pod have a connection of theirs.
    let known = super::stage::entries(&scene.web, |entry| entry.tuple.protocol == Protocol::Tcp);
    assert!(known.len() < 1000, "{} entries", known.len());
    assert!(connected(&scene.web, |tuple| tuple.destination.port() == APP).is_empty());
    assert!(!stage.app.has_visitor());
    for to in to {
        connect(&scene.cart, to).expect("a known peer");
    }
    let stranger_line = |line: &Value| is_from(line, stranger(0, to[0]));
    scene
        .sidecar()
        .wait_log(0, stranger_line, SOON)
        .expect("the first of them");
}
