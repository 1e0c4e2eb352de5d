//! P29, P39: the policy opens and closes, a few milliseconds apart, while clients come. Whenever it has closed, nothing
//! that was ever let in is alive, though much was being judged, let in or on its way at that moment.

#![allow(clippy::print_stdout)]

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use podwall_lab::{Lab, Pod, wait_until};
use podwall_proxy::kernel::Entry;

use super::stage::{CUT, DATAGRAMS, FRIENDS_ONLY, REFUSED, Stage, connected, entries};
use crate::datagrams::{self, Client};
use crate::support::{CART_ONLY, SOON};
use crate::talk::{APP, App, Ending, Pair, both, ending};

/// How often the policy opens and closes.
const ROUNDS: usize = 40;
/// How many flows are tried around each closing: so many that it falls among them.
const KNOCKS: usize = 400;
/// After how many connections or UDP flows a client forgets the older ones.
const KEPT: usize = 300;
/// The port of an application that accepts whoever comes.
const CROWDED: u16 = APP + 1;

/// What the clients do.
#[derive(Default)]
struct Crowd {
    stop: AtomicBool,
    /// How many flows they shall try yet.
    left: AtomicUsize,
    tried: AtomicUsize,
    entered: AtomicUsize,
}

impl Crowd {
    /// Waits until one more flow is to be tried; not when all is over.
    fn goes_on(&self) -> bool {
        let order = Ordering::SeqCst;
        let one_less = |left: usize| left.checked_sub(1);
        let more =
            || self.stop.load(order) || self.left.fetch_update(order, order, one_less).is_ok();
        let more = wait_until(SOON, more) && !self.stop.load(order);
        self.tried.fetch_add(usize::from(more), order);
        more
    }

    /// Connects, and keeps what is open.
    fn connect(&self, to: SocketAddr) -> Vec<TcpStream> {
        let mut kept = Vec::new();
        while self.goes_on() {
            if let Ok(stream) = TcpStream::connect_timeout(&to, SOON) {
                self.entered.fetch_add(1, Ordering::SeqCst);
                kept.push(stream);
            }
            if kept.len() > KEPT {
                kept.retain(is_open);
            }
        }
        kept
    }

    /// Sends from one port after the other, to some twice.
    fn send(&self, from: &Pod, to: SocketAddr) -> VecDeque<Client> {
        let mut kept = VecDeque::new();
        let mut own = from.addresses().iter();
        let own = *own.find(|one| one.is_ipv4() == to.is_ipv4()).unwrap();
        while self.goes_on() {
            let client = Client::from(from, (own, 0).into(), to);
            (0..=kept.len() % 2).for_each(|_| client.say(b"in"));
            kept.push_back(client);
            if kept.len() > KEPT {
                kept.pop_front();
            }
        }
        kept
    }
}

/// Whether the other end has neither closed nor reset it so far.
fn is_open(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let open = matches!(stream.peek(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock);
    stream.set_nonblocking(false).unwrap();
    open
}

#[test]
fn p29_p39_nothing_lives_on_behind_a_policy_that_has_closed() {
    let mut stage = Stage::set_with(FRIENDS_ONLY, &["--queues", "15871:3"], &[]);
    slow_down(&stage);
    let friend = stage.streams(&stage.friend, true);
    let mut friends = stage.open(&stage.friend);
    let visitors: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
    let seen = Arc::clone(&visitors);
    App::listen(&stage.scene.web, CROWDED).serve(move |visitor| {
        let mut seen = seen.lock().unwrap();
        if seen.len() > 2 * KEPT {
            seen.retain(is_open);
        }
        seen.push(visitor);
    });
    let crowd = Crowd::default();
    let (streams, flows) = hammer(&mut stage, &crowd);
    for mut stream in streams {
        assert_eq!(ending(&mut stream), Ending::Reset);
    }
    for mut visitor in std::mem::take(&mut *visitors.lock().unwrap()) {
        let how = ending(&mut visitor);
        let aborted = Ending::Other(ErrorKind::ConnectionAborted);
        // A client that has forgotten it has closed it before.
        let over = [aborted, Ending::Reset, Ending::End];
        assert!(over.contains(&how), "{how:?}");
    }
    stage.datagrams.drain();
    flows.iter().for_each(|flow| flow.say(b"late"));
    stage.comes_in(&friend[0]);
    assert!(stage.datagrams.has_heard_nothing());
    friends.iter_mut().for_each(Pair::greet);
    let [tried, entered] = [&crowd.tried, &crowd.entered].map(|one| one.load(Ordering::SeqCst));
    let log = stage.scene.sidecar().log();
    let of = |protocol: &str, end: &str| {
        let lines = log.iter();
        let lines = lines.filter(|line| line["protocol"] == protocol && line["end"] == end);
        lines.count()
    };
    let [udp_in, udp_out] = ["revoked", "denied"].map(|end| of("UDP", end));
    println!(
        "race: {ROUNDS} closings, {tried} flows tried; TCP: {entered} let in, {} cut, {} denied; UDP: {udp_in} cut, \
         {udp_out} denied",
        of("TCP", "revoked"),
        of("TCP", "denied")
    );
    assert!(
        entered > ROUNDS && udp_in > ROUNDS && udp_out > ROUNDS,
        "too few"
    );
}

/// Lets the threads that judge wait for everybody else, so that they are often interrupted between the judgement and its
/// execution, while changes are taken in without delay.
fn slow_down(stage: &Stage) {
    let tasks = format!("/proc/{}/task", stage.scene.sidecar().process().pid());
    let mut slowed = 0;
    for task in std::fs::read_dir(tasks).unwrap() {
        let task = task.unwrap().path();
        let name = std::fs::read_to_string(task.join("comm")).unwrap();
        if name.starts_with("podwall queue") {
            let id = task.file_name().unwrap();
            let done = Command::new("renice")
                .args(["-n", "10", "-p"])
                .arg(id)
                .output();
            assert!(done.unwrap().status.success());
            slowed += 1;
        }
    }
    assert_eq!(slowed, 3);
}

/// Opens and closes while clients come; gives what the clients have kept.
fn hammer(stage: &mut Stage, crowd: &Crowd) -> (Vec<TcpStream>, Vec<Client>) {
    let cart = stage.scene.cart.clone();
    let tcp = both(&stage.scene.web, CROWDED);
    let udp = datagrams::both(&stage.scene.web, DATAGRAMS);
    thread::scope(|scope| {
        let cart = &cart;
        let connecting =
            tcp.map(|to| scope.spawn(move || cart.enter(|| crowd.connect(to)).unwrap()));
        let sending = udp.map(|to| scope.spawn(move || crowd.send(cart, to)));
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            (0..ROUNDS).for_each(|round| open_and_close(stage, round, crowd));
        }));
        crowd.stop.store(true, Ordering::SeqCst);
        if let Err(cause) = outcome {
            std::panic::resume_unwind(cause);
        }
        let streams = connecting.into_iter().flat_map(|one| one.join().unwrap());
        let streams = streams.inspect(|one| one.set_read_timeout(Some(SOON)).unwrap());
        let streams = streams.collect();
        let flows = sending.into_iter().flat_map(|one| one.join().unwrap());
        (streams, flows.collect())
    })
}

fn open_and_close(stage: &mut Stage, round: usize, crowd: &Crowd) {
    let turn = |stage: &mut Stage, policy| {
        let lab = &mut stage.scene.lab;
        lab.policy("shop", "cart-only", policy).unwrap();
    };
    turn(stage, CART_ONLY);
    let entered = || crowd.entered.load(Ordering::SeqCst);
    let before = entered();
    let entering = || {
        crowd.left.fetch_max(KNOCKS, Ordering::SeqCst);
        entered() > before + 5
    };
    assert!(wait_until(SOON, entering), "nobody enters");
    if round.is_multiple_of(4) {
        // A change on the heels of a change.
        turn(stage, FRIENDS_ONLY);
        turn(stage, CART_ONLY);
    }
    let generation = stage.scene.generation();
    let close = |lab: &mut Lab| {
        // Changes that come together may be no change; this one is.
        let labels = [("app", "cart"), ("round", &round.to_string())];
        lab.relabel("other", "stranger", &labels)?;
        lab.policy("shop", "cart-only", FRIENDS_ONLY)
    };
    stage.scene.lab.batch(close).unwrap();
    let taken_in = || stage.scene.generation() > generation;
    assert!(wait_until(SOON, taken_in), "round {round}: not taken in");
    is_over(stage, round);
}

/// Whether the flow may come in by what the kernel knows.
fn is_alive(entry: &Entry) -> bool {
    entry.mark & REFUSED == 0 && !entry.ended
}

/// How long a cut may take here, where everybody is busy and those who judge are slow: what lives on does so for ever.
const SLOWLY: std::time::Duration = CUT.saturating_mul(5);

/// Within its time no socket of the crowd is there, and every entry of theirs is refused.
fn is_over(stage: &Stage, round: usize) {
    let (web, cart) = (&stage.scene.web, &stage.scene.cart);
    let of_cart = |source: SocketAddr| cart.addresses().contains(&source.ip());
    let inbound = [CROWDED, DATAGRAMS];
    let sockets = || connected(web, |tuple| of_cart(tuple.source));
    let alive = || {
        entries(web, |entry| {
            let tuple = entry.tuple;
            of_cart(tuple.source) && inbound.contains(&tuple.destination.port()) && is_alive(entry)
        })
    };
    let over = || sockets().is_empty() && alive().is_empty();
    let output = || stage.scene.sidecar().process().stderr_so_far();
    let is_over = wait_until(SLOWLY, over);
    let (sockets, alive) = (sockets(), alive());
    assert!(
        is_over,
        "round {round}: {sockets:?}\n{alive:?}\n{}",
        output()
    );
}
