//! Fail closed: podwall is killed while clients knock. Nobody new enters, what was let in goes on, and the podwall that
//! comes lets in by its own judgement.

#![allow(clippy::print_stdout)]

use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use podwall_lab::{Place, Signal, wait_until};

use super::stage::{DATAGRAMS, Stage, becomes_ready, launch};
use crate::datagrams::{self, Client};
use crate::support::{CART_ONLY, SOON};
use crate::talk::{APP, Busy, both};

/// An attempt is given up before the kernel sends its SYN again, so that it belongs to one moment.
const ATTEMPT: Duration = Duration::from_millis(300);
/// So many attempts of each client must meet a pod without podwall.
const MET: usize = 4;

/// What happened to the attempts of one client over one family.
#[derive(Default)]
struct Attempts {
    entered: AtomicUsize,
    failed: AtomicUsize,
    /// Begun and ended while podwall was down.
    entered_down: AtomicUsize,
    failed_down: AtomicUsize,
}

#[derive(Default)]
struct Moment {
    down: AtomicBool,
    stop: AtomicBool,
}

impl Attempts {
    fn knock(&self, place: &Place, to: SocketAddr, moment: &Moment) {
        let knock = || {
            while !moment.stop.load(Ordering::SeqCst) {
                let before = moment.down.load(Ordering::SeqCst);
                let entered = TcpStream::connect_timeout(&to, ATTEMPT).is_ok();
                let down = before && moment.down.load(Ordering::SeqCst);
                let count = match (entered, down) {
                    (true, true) => &self.entered_down,
                    (true, false) => &self.entered,
                    (false, true) => &self.failed_down,
                    (false, false) => &self.failed,
                };
                count.fetch_add(1, Ordering::SeqCst);
            }
        };
        place.enter(knock).unwrap();
    }
}

fn count(of: &AtomicUsize) -> usize {
    of.load(Ordering::SeqCst)
}

#[test]
fn p19_killed_under_load_it_lets_nobody_in_and_what_was_let_in_goes_on() {
    let mut stage = Stage::set(CART_ONLY);
    let busy = both(&stage.scene.web, APP)
        .map(|to| Busy::start(crate::talk::Pair::open(&stage.scene.cart, to, &stage.app)));
    let streams = stage.streams(&stage.scene.cart, true);
    let moment = Moment::default();
    let [allowed, denied]: [[Attempts; 2]; 2] = Default::default();
    // Beside the port of the streams, so that these clients are accepted by nobody and fill nothing up.
    let crowd = crate::talk::App::listen(&stage.scene.web, APP + 1);
    crowd.serve(drop);
    let to = both(&stage.scene.web, APP + 1);
    let (cart, rogue) = (stage.scene.cart.clone(), stage.scene.rogue.clone());
    thread::scope(|scope| {
        for (place, attempts) in [(&cart, &allowed), (&rogue, &denied)] {
            for (mine, to) in attempts.iter().zip(to) {
                let moment = &moment;
                scope.spawn(move || mine.knock(place, to, moment));
            }
        }
        let all = || [&allowed, &denied].into_iter().flatten();
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let entering = || allowed.iter().all(|one| count(&one.entered) >= MET);
            assert!(wait_until(SOON, entering), "nobody enters");
            kill(&stage);
            moment.down.store(true, Ordering::SeqCst);
            let met = || all().all(|one| count(&one.failed_down) >= MET);
            assert!(wait_until(SOON, met), "the pod was not closed");
            busy.iter().for_each(|one| one.goes_on(one.carried()));
            streams.iter().for_each(|one| stage.comes_in(one));
            is_closed_to_the_node(&stage);
            moment.down.store(false, Ordering::SeqCst);
            let before: Vec<usize> = allowed.iter().map(|one| count(&one.entered)).collect();
            launch(&mut stage.scene, &[], &[]);
            becomes_ready(&stage.scene);
            let entering = || {
                let mut now = allowed.iter().map(|one| count(&one.entered)).zip(&before);
                now.all(|(now, before)| now >= before + MET)
            };
            assert!(wait_until(SOON, entering), "nobody enters any more");
        }));
        moment.stop.store(true, Ordering::SeqCst);
        if let Err(cause) = outcome {
            std::panic::resume_unwind(cause);
        }
    });
    for one in &allowed {
        assert_eq!(count(&one.entered_down), 0, "let in by nobody");
    }
    for one in &denied {
        assert_eq!(count(&one.entered) + count(&one.entered_down), 0, "denied");
        println!(
            "killed: {} attempts denied",
            count(&one.failed) + count(&one.failed_down)
        );
    }
    for one in busy {
        one.goes_on(one.carried());
        one.finish();
    }
    streams.iter().for_each(|one| stage.comes_in(one));
}

fn kill(stage: &Stage) {
    let process = stage.scene.sidecar().process();
    process.signal(Signal::KILL).unwrap();
    process.wait(SOON).unwrap();
}

/// The node goes through the verdict like everybody. A new flow of UDP is dropped too.
fn is_closed_to_the_node(stage: &Stage) {
    let node = stage.scene.lab.node();
    for to in both(&stage.scene.web, APP) {
        let refused = node.enter(|| TcpStream::connect_timeout(&to, ATTEMPT).map(drop));
        assert!(refused.unwrap().is_err(), "{to}");
    }
    let streams = datagrams::both(&stage.scene.web, DATAGRAMS);
    let streams = streams.map(|to| {
        let stream = Client::new(&stage.scene.cart, to);
        stream.say(b"new");
        stream
    });
    assert!(stage.datagrams.has_heard_nothing());
    drop(streams);
}

/// The rules alone: before the sidecar's first start, and after its end in order.
#[test]
fn p06_without_a_sidecar_the_rules_alone_let_nobody_in() {
    let mut stage = Stage::bare("", |_| {});
    super::stage::install(&stage.scene, podwall_lab::Mode::Queue, &[]);
    is_shut(&stage);
    launch(&mut stage.scene, &[], &["--drain-timeout", "1ms"]);
    becomes_ready(&stage.scene);
    let pairs = stage.open(&stage.scene.cart);
    let process = stage.scene.sidecar().process();
    process.signal(Signal::TERM).unwrap();
    assert_eq!(process.wait(SOON).unwrap().code(), Some(0));
    is_shut(&stage);
    for mut pair in pairs {
        pair.greet();
    }
}

fn is_shut(stage: &Stage) {
    for from in [&stage.scene.cart, &stage.scene.rogue] {
        for to in both(&stage.scene.web, APP) {
            let refused = from.enter(|| TcpStream::connect_timeout(&to, ATTEMPT).map(drop));
            assert!(refused.unwrap().is_err(), "{to}");
        }
    }
    assert!(!stage.app.has_visitor());
}
