//! P29: a change between a connection's registration and its judgement, or its answer, is not lost.

#![allow(clippy::print_stdout)]

use std::io::ErrorKind;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use podwall_lab::{Lab, wait_until};

use super::cut::Stage;
use crate::support::{CART_ONLY, SOON};
use crate::talk::{APP, App, Ending, both, connect, ending};

/// How often the policy flips.
const FLIPS: usize = 60;
/// How many clients knock at once.
const CLIENTS: usize = 3;
/// How many open connections each of them keeps at most.
const KEPT: usize = 200;

/// Nobody may enter shop/web.
const NOBODY: &str = "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: cart-only, namespace: shop }
spec: { podSelector: { matchLabels: { app: web } } }
";

/// While clients connect as fast as they can, the policy turns again and again. After it has turned to "deny" for
/// the last time nothing that was ever let in is left, at either end.
#[test]
fn p29_no_connection_slips_through_between_registration_and_judgement() {
    let mut stage = Stage::set(CART_ONLY);
    let visitors: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
    let seen = Arc::clone(&visitors);
    std::mem::replace(
        &mut stage.app,
        App::listen(stage.scene.web.place(), APP + 1),
    )
    .serve(move |visitor| {
        let mut seen = seen.lock().unwrap();
        if seen.len() > CLIENTS * KEPT {
            seen.retain(is_open);
        }
        seen.push(visitor);
    });
    let kept = knock_and_flip(&mut stage);
    for mut stream in kept {
        let how = ending(&mut stream);
        let talk = stage.scene.sidecar().process().stderr_so_far();
        assert_eq!(how, Ending::Reset, "{talk}");
    }
    let live = || stage.scene.sidecar().metric("podwall_connections_live");
    assert!(
        wait_until(SOON, || live().unwrap() == Some(0.0)),
        "one is still relayed"
    );
    for mut stream in std::mem::take(&mut *visitors.lock().unwrap()) {
        let how = ending(&mut stream);
        assert!(matches!(how, Ending::Reset | Ending::End), "{how:?}");
    }
    let ends = |end: &str| {
        let lines = stage.scene.sidecar().log();
        lines.iter().filter(|line| line["end"] == end).count()
    };
    let (revoked, denied) = (ends("revoked"), ends("denied"));
    println!("race: {denied} were denied, {revoked} let in and cut");
    assert!(
        revoked >= FLIPS / 4 && denied >= FLIPS / 4,
        "too few to prove anything"
    );
}

/// Connections made while the policy flipped, the last time to "deny".
fn knock_and_flip(stage: &mut Stage) -> Vec<TcpStream> {
    let to = both(&stage.scene.web, APP);
    let (stop, cart) = (AtomicBool::new(false), stage.scene.cart.clone());
    let knock = |client: usize| {
        let mut kept = Vec::new();
        while !stop.load(Ordering::SeqCst) {
            // A refusal may come before the client has noticed that it was connected.
            kept.extend(connect(cart.place(), to[client % 2]));
            if kept.len() == KEPT {
                kept.retain(is_open);
                kept.truncate(KEPT / 2);
            }
        }
        kept
    };
    thread::scope(|scope| {
        let clients = (0..CLIENTS).map(|client| {
            let knock = &knock;
            scope.spawn(move || knock(client))
        });
        let clients: Vec<_> = clients.collect();
        (0..FLIPS).for_each(|number| flip(stage, number));
        stage.scene.lab.policy("shop", "cart-only", NOBODY).unwrap();
        let began = Instant::now();
        assert!(
            wait_until(SOON, || refused(stage)),
            "the last word is not heard"
        );
        println!("race: closed after {:.1?}", began.elapsed());
        stop.store(true, Ordering::SeqCst);
        let kept = clients.into_iter().flat_map(|one| one.join().unwrap());
        kept.collect()
    })
}

/// Whether the other end has neither closed nor reset it so far.
fn is_open(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let open = matches!(stream.peek(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock);
    stream.set_nonblocking(false).unwrap();
    open
}

/// Some flips come while the one before is being taken in, others after it.
fn flip(stage: &mut Stage, number: usize) {
    let policy = if number.is_multiple_of(2) {
        NOBODY
    } else {
        CART_ONLY
    };
    let turn = |lab: &mut Lab| {
        // A change in any case, also where the flip before was never looked at.
        lab.relabel("shop", "friend", &[("flip", &number.to_string())])?;
        lab.policy("shop", "cart-only", policy)
    };
    if number.is_multiple_of(3) {
        stage.scene.change(turn);
    } else {
        stage.scene.lab.batch(turn).unwrap();
    }
}

/// Whether a new connection is refused by the law as it stands.
fn refused(stage: &Stage) -> bool {
    let skip = stage.scene.sidecar().log().len();
    let [to, _] = both(&stage.scene.web, APP);
    let Ok(stream) = connect(stage.scene.cart.place(), to) else {
        return true;
    };
    let port = stream.local_addr().unwrap().port();
    stream
        .shutdown(std::net::Shutdown::Both)
        .unwrap_or_default();
    let own = |line: &serde_json::Value| line["source_port"] == port;
    let line = stage
        .scene
        .sidecar()
        .wait_log(skip, own, SOON)
        .expect("its line");
    line["verdict"] == "deny" && line["end"] == "denied"
}
