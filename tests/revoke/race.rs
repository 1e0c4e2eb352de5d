//! P29: a change between a connection's registration and its judgement, or its answer, is not lost.

#![allow(clippy::print_stdout)]

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use podwall_lab::wait_until;

use super::cut::Stage;
use crate::support::{CART_ONLY, SOON};
use crate::talk::{APP, App, Ending, both, connect, ending};

/// How often the policy opens and closes.
const ROUNDS: usize = 100;
/// How many clients knock at once.
const CLIENTS: usize = 3;
/// How many connections they make around each closing: so many that the closing falls among them.
const KNOCKS: usize = 150;
/// After how many connections a client forgets those that have ended.
const KEPT: usize = 200;

/// Nobody may enter shop/web.
const NOBODY: &str = "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: cart-only, namespace: shop }
spec: { podSelector: { matchLabels: { app: web } } }
";

/// While clients connect as fast as they can, the policy opens and closes again and again. Each time it has closed,
/// nothing that was ever let in is left, though some arrivals were being judged and answered at that moment.
#[test]
fn p29_no_connection_slips_through_between_registration_and_judgement() {
    let mut stage = Stage::set(NOBODY);
    let visitors: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
    let seen = Arc::clone(&visitors);
    let another = App::listen(stage.scene.web.place(), APP + 1);
    std::mem::replace(&mut stage.app, another).serve(move |visitor| {
        let mut seen = seen.lock().unwrap();
        if seen.len() > CLIENTS * KEPT {
            seen.retain(is_open);
        }
        seen.push(visitor);
    });
    for mut stream in knock_meanwhile(&mut stage) {
        assert_eq!(ending(&mut stream), Ending::Reset);
    }
    for mut stream in std::mem::take(&mut *visitors.lock().unwrap()) {
        let how = ending(&mut stream);
        assert!(matches!(how, Ending::Reset | Ending::End), "{how:?}");
    }
    let lines = stage.scene.sidecar().log();
    let ends = |end: &str| lines.iter().filter(|line| line["end"] == end).count();
    let (revoked, denied) = (ends("revoked"), ends("denied"));
    println!("race: {denied} were denied, {revoked} let in and cut");
    assert!(revoked >= ROUNDS && denied >= ROUNDS, "too few for a proof");
}

/// The other window: let in, but the application has not accepted yet. Nothing was carried, so it is a denial.
#[test]
fn p29_a_verdict_that_turns_before_the_application_has_accepted_is_a_denial() {
    let mut stage = Stage::set(CART_ONLY);
    let (full, port) = (APP + 2, APP + 3);
    let _slow = App::with_backlog(stage.scene.web.place(), full, 0);
    let _one = connect(&stage.scene.web, (Ipv4Addr::LOCALHOST, full).into()).unwrap();
    let decided = |stage: &Stage| {
        let count = stage
            .scene
            .sidecar()
            .metric("podwall_decision_seconds_count");
        count.unwrap().unwrap()
    };
    let before = decided(&stage);
    let skip = stage.scene.sidecar().log().len();
    let cart = stage.scene.cart.clone();
    let mut client = connect(&cart, (stage.scene.web.v4(), full).into()).unwrap();
    let judged = || decided(&stage) > before;
    assert!(wait_until(SOON, judged), "not judged");
    // Whoever comes later, to an application that accepts, gets through: so this one waits for its own.
    let quick = App::listen(stage.scene.web.place(), port);
    let later = connect(&cart, (stage.scene.web.v4(), port).into()).unwrap();
    drop((quick.accept(), later));
    let lab = &mut stage.scene.lab;
    lab.relabel("shop", "cart", &[("app", "other")]).unwrap();
    assert_eq!(ending(&mut client), Ending::Reset);
    let own = |line: &serde_json::Value| line["destination_port"] == full;
    let line = stage.scene.sidecar().wait_log(skip, own, SOON).unwrap();
    assert_eq!(
        (&line["kind"], &line["reason"], &line["end"]),
        (
            &"connection".into(),
            &"no_rule_admits".into(),
            &"denied".into()
        ),
        "{line}"
    );
}

/// Opens and closes while clients knock; gives the connections that they have kept to the end.
fn knock_meanwhile(stage: &mut Stage) -> Vec<TcpStream> {
    let (knocks, cart) = (Knocks::default(), stage.scene.cart.clone());
    let to = both(&stage.scene.web, APP);
    let (mine, stop) = (&knocks, StopOnDrop(&knocks));
    thread::scope(|scope| {
        let clients = (0..CLIENTS).map(|client| {
            let cart = cart.clone();
            scope.spawn(move || cart.enter(|| mine.knock(to[client % 2])).unwrap())
        });
        let clients: Vec<_> = clients.collect();
        (0..ROUNDS).for_each(|round| open_and_close(stage, round, mine));
        drop(stop);
        let kept = clients.into_iter().flat_map(|one| one.join().unwrap());
        let patient = kept.inspect(|stream| stream.set_read_timeout(Some(SOON)).unwrap());
        patient.collect()
    })
}

/// How many connections the clients shall make yet.
#[derive(Default)]
struct Knocks {
    left: AtomicUsize,
    stopped: AtomicBool,
}

impl Knocks {
    fn knock(&self, to: SocketAddr) -> Vec<TcpStream> {
        let mut kept = Vec::new();
        while !self.stopped.load(Ordering::SeqCst) {
            let one_less = |left: usize| left.checked_sub(1);
            let order = Ordering::SeqCst;
            if self.left.fetch_update(order, order, one_less).is_err() {
                let more = || self.left.load(order) > 0 || self.stopped.load(order);
                let _ = wait_until(SOON, more);
                continue;
            }
            // A refusal may come before the client has noticed that it was connected.
            kept.extend(TcpStream::connect_timeout(&to, SOON));
            if kept.len() == KEPT {
                kept.retain(is_open);
            }
        }
        kept
    }
}

/// Ends the clients also where the test fails.
struct StopOnDrop<'a>(&'a Knocks);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.stopped.store(true, Ordering::SeqCst);
    }
}

fn open_and_close(stage: &mut Stage, round: usize, knocks: &Knocks) {
    let turn = |stage: &mut Stage, policy| {
        let lab = &mut stage.scene.lab;
        lab.policy("shop", "cart-only", policy).unwrap();
    };
    let live = |stage: &Stage| {
        let live = stage.scene.sidecar().metric("podwall_connections_live");
        live.unwrap().unwrap()
    };
    turn(stage, CART_ONLY);
    let entered = wait_until(SOON, || {
        knocks.left.fetch_max(1, Ordering::SeqCst);
        live(stage) > 0.0
    });
    assert!(entered, "round {round}: nobody enters");
    knocks.left.store(KNOCKS, Ordering::SeqCst);
    if round.is_multiple_of(4) {
        // A change on the heels of a change.
        turn(stage, NOBODY);
        turn(stage, CART_ONLY);
    }
    turn(stage, NOBODY);
    assert!(
        wait_until(SOON, || live(stage) == 0.0),
        "round {round}: {} connections are left behind a closed door",
        live(stage)
    );
}

/// Whether the other end has neither closed nor reset it so far.
fn is_open(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let open = matches!(stream.peek(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock);
    stream.set_nonblocking(false).unwrap();
    open
}
