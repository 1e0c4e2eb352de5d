//! P29, P39: the policy flips every few milliseconds while clients come. When it has closed for good, nothing that was
//! ever let in is alive, though much was being judged, let in or on its way at that moment.

#![allow(clippy::print_stdout)]

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use podwall_lab::{Pod, wait_until};
use podwall_policy::flow::Protocol;
use podwall_proxy::kernel::Entry;

use super::stage::{CUT, DATAGRAMS, FRIENDS_ONLY, REFUSED, Stage, connected, entries};
use crate::datagrams::{self, Client};
use crate::support::{CART_ONLY, SOON};
use crate::talk::{APP, Ending, both, ending};

/// How often the policy changes; it is closed at the end.
const FLIPS: usize = 300;
/// The longest time between two changes.
const FLIP: Duration = Duration::from_millis(4);
/// How many connections one client makes at most: they are kept.
const CONNECTIONS: usize = 4000;
/// How many UDP flows one client makes at most, each with its own port.
const FLOWS: usize = 2000;

/// What the clients have done.
#[derive(Default)]
struct Crowd {
    stop: AtomicBool,
    tried: AtomicUsize,
}

impl Crowd {
    fn goes_on(&self) -> bool {
        self.tried.fetch_add(1, Ordering::SeqCst);
        !self.stop.load(Ordering::SeqCst)
    }

    /// Connects, and keeps what is open.
    fn connect(&self, to: SocketAddr) -> Vec<TcpStream> {
        let mut kept = Vec::new();
        for _ in 0..CONNECTIONS {
            if !self.goes_on() {
                break;
            }
            kept.extend(TcpStream::connect_timeout(&to, SOON));
        }
        kept
    }

    /// Sends from one port after the other, some of them twice.
    fn send(&self, from: &Pod, to: SocketAddr) -> Vec<Client> {
        let mut kept = Vec::new();
        for at in 0..FLOWS {
            if !self.goes_on() {
                break;
            }
            let source = from
                .addresses()
                .iter()
                .find(|one| one.is_ipv4() == to.is_ipv4());
            let client = Client::from(from, (*source.unwrap(), 0).into(), to);
            (0..=at % 2).for_each(|_| client.say(b"in"));
            kept.push(client);
        }
        kept
    }
}

#[test]
fn p29_p39_nothing_lives_on_behind_a_policy_that_flips() {
    let mut stage = Stage::set(FRIENDS_ONLY);
    let friend = stage.streams(&stage.friend, true);
    let mut friends = stage.open(&stage.friend);
    let (app, another) = (APP + 1, crate::talk::App::listen(&stage.scene.web, APP + 1));
    let visitors = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = std::sync::Arc::clone(&visitors);
    another.serve(move |visitor| seen.lock().unwrap().push(visitor));
    let crowd = Crowd::default();
    let (streams, flows) = hammer(&mut stage, &crowd, app);
    let tried = crowd.tried.load(Ordering::SeqCst);
    let cart = stage.scene.cart.clone();
    is_over(&stage, &cart);
    let let_in = streams.len();
    for mut stream in streams {
        assert_eq!(ending(&mut stream), Ending::Reset);
    }
    for mut visitor in std::mem::take(&mut *visitors.lock().unwrap()) {
        let how = ending(&mut visitor);
        let aborted = Ending::Other(ErrorKind::ConnectionAborted);
        // Cut before it was accepted, it ends by the reset that the client's kernel has sent.
        assert!(how == aborted || how == Ending::Reset, "{how:?}");
    }
    stage.datagrams.drain();
    flows.iter().for_each(|flow| flow.say(b"late"));
    stage.comes_in(&friend[0]);
    assert!(stage.datagrams.has_heard_nothing());
    friends.iter_mut().for_each(crate::talk::Pair::greet);
    println!(
        "race: {FLIPS} changes, {tried} flows tried, {let_in} connections let in and cut, {} UDP flows",
        flows.len()
    );
    assert!(
        let_in > FLIPS && tried - let_in > FLIPS,
        "too few for a proof"
    );
}

/// Flips while clients come, and closes at the end; gives what the clients have kept.
fn hammer(stage: &mut Stage, crowd: &Crowd, app: u16) -> (Vec<TcpStream>, Vec<Client>) {
    let cart = stage.scene.cart.clone();
    let (tcp, udp) = (
        both(&stage.scene.web, app),
        datagrams::both(&stage.scene.web, DATAGRAMS),
    );
    thread::scope(|scope| {
        let cart = &cart;
        let connecting =
            tcp.map(|to| scope.spawn(move || cart.enter(|| crowd.connect(to)).unwrap()));
        let sending = udp.map(|to| scope.spawn(move || crowd.send(cart, to)));
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            (0..FLIPS).for_each(|flip| turn(stage, flip));
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

/// One change; the last closes. The next comes when it is taken in, or a little later.
fn turn(stage: &mut Stage, flip: usize) {
    let before = stage.scene.generation();
    let policy = [CART_ONLY, FRIENDS_ONLY][flip % 2];
    let lab = &mut stage.scene.lab;
    lab.policy("shop", "cart-only", policy).unwrap();
    let last = flip + 1 == FLIPS;
    let patience = if last { SOON } else { FLIP };
    let taken_in = wait_until(patience, || stage.scene.generation() > before);
    assert!(taken_in || !last, "the last change is not taken in");
}

/// Whether the flow may come in by what the kernel knows.
fn is_alive(entry: &Entry) -> bool {
    entry.mark & REFUSED == 0 && !entry.ended
}

/// Within its time no socket of the peer is there, and every entry of its is refused.
fn is_over(stage: &Stage, peer: &Pod) {
    let web = &stage.scene.web;
    let of_peer = |source: SocketAddr| peer.addresses().contains(&source.ip());
    let inbound = [APP + 1, DATAGRAMS];
    let sockets = || connected(web, |tuple| of_peer(tuple.source));
    let alive = || {
        entries(web, |entry| {
            let tuple = entry.tuple;
            of_peer(tuple.source) && inbound.contains(&tuple.destination.port()) && is_alive(entry)
        })
    };
    let over = || sockets().is_empty() && alive().is_empty();
    let output = || stage.scene.sidecar().process().stderr_so_far();
    let is_over = wait_until(CUT, over);
    let (sockets, alive) = (sockets(), alive());
    assert!(is_over, "{sockets:?}\n{alive:?}\n{}", output());
    let known = |protocol| {
        let entries = entries(web, |entry| {
            entry.tuple.protocol == protocol && of_peer(entry.tuple.source)
        });
        entries.len()
    };
    assert!(known(Protocol::Udp) > FLIPS / 10, "too few for a proof");
}
