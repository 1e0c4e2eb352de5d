//! P28 whatever a connection is doing at that moment: busy, stalled, half closed, one of many.

#![allow(clippy::print_stdout)]

use std::io::{ErrorKind, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Instant;

use podwall_lab::wait_until;

use super::cut::{Stage, addresses, endings};
use crate::support::{CART_ONLY, SOON};
use crate::talk::{APP, Ending, Pair, both, ending, say};

/// How many connections are cut at once.
const MANY: usize = 500;

fn relabel(stage: &mut Stage) -> Instant {
    let began = Instant::now();
    let other = [("app", "other")];
    stage.scene.lab.relabel("shop", "cart", &other).unwrap();
    began
}

/// Writes until it fails, at most twice [`SOON`]; gives how it ended and how much went out before.
fn pour(mut stream: TcpStream) -> thread::JoinHandle<(ErrorKind, u64)> {
    thread::spawn(move || {
        let (chunk, mut poured, began) = ([0; 64 * 1024], 0, Instant::now());
        loop {
            if began.elapsed() > SOON * 2 {
                return (ErrorKind::TimedOut, poured);
            }
            match stream.write(&chunk) {
                Ok(count) => poured += count as u64,
                Err(error) => return (error.kind(), poured),
            }
        }
    })
}

/// What the kernel holds against a socket, whose reads say no more than that its sender has closed.
fn fault(stream: &TcpStream) -> Option<ErrorKind> {
    let mut fault = None;
    let _ = wait_until(SOON, || {
        fault = stream.take_error().unwrap();
        fault.is_some()
    });
    fault.map(|error| error.kind())
}

#[test]
fn p28_busy_streams_are_cut_at_both_ends() {
    let mut stage = Stage::set(CART_ONLY);
    let pairs = stage.open(&stage.scene.cart);
    let skip = stage.scene.sidecar().log().len();
    let clients = addresses(&pairs);
    let mut ends = Vec::new();
    // Down over IPv4, up over IPv6.
    for (pair, down) in pairs.into_iter().zip([true, false]) {
        let Pair { client, app } = pair;
        let (from, mut to) = if down { (app, client) } else { (client, app) };
        let drained = thread::spawn(move || ending(&mut to));
        ends.push((pour(from), drained));
    }
    let flowing = || {
        let bytes = |direction| {
            let series = format!("podwall_bytes_total{{direction=\"{direction}\"}}");
            stage.scene.sidecar().metric(&series).unwrap()
        };
        bytes("in") > Some(1e6) && bytes("out") > Some(1e6)
    };
    assert!(wait_until(SOON, flowing), "no bytes flow");
    let began = relabel(&mut stage);
    for (poured, drained) in ends {
        let (error, count) = poured.join().unwrap();
        println!("cut: after {count} bytes, {:.1?}", began.elapsed());
        let reset = matches!(error, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe);
        assert!(reset, "the sender ended with {error:?}");
        assert_eq!(drained.join().unwrap(), Ending::Reset);
    }
    for client in clients {
        let line = stage.told(skip, client, "no_rule_admits");
        let bytes = |field: &str| line[field].as_u64().unwrap();
        assert!(bytes("bytes_in") + bytes("bytes_out") > 500_000, "{line}");
    }
}

/// The relay waits for a client that takes nothing; the cut does not wait with it.
#[test]
fn p28_a_stalled_stream_is_cut_at_both_ends() {
    let mut stage = Stage::set(CART_ONLY);
    let [to, _] = both(&stage.scene.web, APP);
    let Pair { mut client, app } = Pair::open(stage.scene.cart.place(), to, &stage.app);
    let skip = stage.scene.sidecar().log().len();
    app.set_nonblocking(true).unwrap();
    let mut stuffed = app.try_clone().unwrap();
    // Full means: nothing more goes out for as long as a hundred looks take.
    let mut refused = 0;
    let full = || {
        match stuffed.write(&[0; 64 * 1024]) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => refused += 1,
            other => refused = other.map(|_| 0).unwrap(),
        }
        refused > 100
    };
    assert!(wait_until(SOON, full), "the client's silence stalls nobody");
    let began = relabel(&mut stage);
    assert_eq!(fault(&app), Some(ErrorKind::ConnectionReset));
    println!("cut: stalled application after {:.1?}", began.elapsed());
    assert_eq!(ending(&mut client), Ending::Reset);
    stage.told(skip, client.local_addr().unwrap(), "no_rule_admits");
}

#[test]
fn p13_p28_half_closed_streams_are_cut_at_both_ends() {
    let mut stage = Stage::set(CART_ONLY);
    let mut pairs = stage.open(&stage.scene.cart);
    let (clients, skip) = (addresses(&pairs), stage.scene.sidecar().log().len());
    let [by_client, by_app] = &mut pairs[..] else {
        panic!("one connection per family")
    };
    by_client.client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(ending(&mut by_client.app), Ending::End);
    say(&mut by_client.app, &mut by_client.client, b"still here");
    by_app.app.shutdown(Shutdown::Write).unwrap();
    assert_eq!(ending(&mut by_app.client), Ending::End);
    say(&mut by_app.client, &mut by_app.app, b"still here");
    let half_closed = || {
        stage
            .scene
            .sidecar()
            .metric("podwall_connections_half_closed")
    };
    assert!(wait_until(SOON, || half_closed().unwrap() == Some(2.0)));
    let began = relabel(&mut stage);
    assert_eq!(ending(&mut by_client.client), Ending::Reset);
    assert_eq!(ending(&mut by_app.app), Ending::Reset);
    println!("cut: half closed after {:.1?}", began.elapsed());
    // To a reader the other end is closed already; the reset shows as an error of the socket.
    assert_eq!(fault(&by_client.app), Some(ErrorKind::BrokenPipe));
    assert_eq!(fault(&by_app.client), Some(ErrorKind::BrokenPipe));
    for client in clients {
        stage.told(skip, client, "no_rule_admits");
    }
    let half_closed = || {
        stage
            .scene
            .sidecar()
            .metric("podwall_connections_half_closed")
    };
    assert!(wait_until(SOON, || half_closed().unwrap() == Some(0.0)));
}

#[test]
fn p28_all_of_many_connections_are_cut_and_only_those() {
    let mut stage = Stage::set(CART_ONLY);
    let to = both(&stage.scene.web, APP);
    let open = |count: usize| {
        let to = to[count % 2];
        Pair::open(stage.scene.cart.place(), to, &stage.app)
    };
    let pairs: Vec<Pair> = (0..MANY).map(open).collect();
    let mut friends = stage.open(&stage.friend);
    let before = stage.revoked("no_rule_admits");
    let began = relabel(&mut stage);
    let ends = endings(pairs, began);
    let last = ends.iter().map(|(_, _, after)| *after).max().unwrap();
    println!("cut: all ends of {MANY} connections after {last:.1?}");
    for (end, how, _) in ends {
        assert_eq!(how, Ending::Reset, "{end}");
    }
    stage.counted(before, MANY, "no_rule_admits");
    friends.iter_mut().for_each(Pair::greet);
    let live = || stage.scene.sidecar().metric("podwall_connections_live");
    assert!(wait_until(SOON, || live().unwrap() == Some(2.0)));
}
