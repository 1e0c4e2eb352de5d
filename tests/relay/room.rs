//! P17: running out of descriptors neither stops the door-keeper nor costs open connections.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;

use podwall_lab::{Place, Sidecar, wait_until};

use crate::inside::{arrivals, wrapped};
use crate::support::{CART_ONLY, SOON, Scene};
use crate::talk::{APP, App, Ending, HELLO, both, connect, ending, fate};

/// podwall with so many descriptors.
fn guarded_with_descriptors(limit: usize) -> Scene {
    let mut scene = Scene::bare(CART_ONLY);
    let script = format!("ulimit -n {limit}; exec $PODWALL \"$@\"");
    let program = wrapped(&scene.lab, &script);
    let sidecar = Sidecar::start(&scene.lab, &scene.web, &program, &[]);
    scene.sidecar = Some(sidecar.expect("a ready sidecar"));
    scene
}

fn echo(mut stream: TcpStream) {
    let mut chunk = [0; 64];
    while let Ok(count @ 1..) = stream.read(&mut chunk) {
        if stream.write_all(&chunk[..count]).is_err() {
            return;
        }
    }
}

/// What has come of a client's hello so far.
#[derive(Debug, Eq, PartialEq)]
enum Fate {
    Served,
    Reset,
    Waits,
}

fn fate_so_far(client: &TcpStream) -> Fate {
    client.set_nonblocking(true).unwrap();
    let peeked = client.peek(&mut [0]);
    client.set_nonblocking(false).unwrap();
    match peeked.map_err(|error| error.kind()) {
        Ok(1) => Fate::Served,
        Err(ErrorKind::ConnectionReset) => Fate::Reset,
        Err(ErrorKind::WouldBlock) => Fate::Waits,
        other => panic!("neither served nor reset: {other:?}"),
    }
}

/// What comes of it, or that it waits at a moment when `enough`. The socket tells of a reset once only.
fn comes_to(client: &TcpStream, scene: &Scene, enough: impl Fn() -> bool) -> Fate {
    let mut fate = Fate::Waits;
    let known = wait_until(SOON, || {
        fate = fate_so_far(client);
        fate != Fate::Waits || enough()
    });
    let output = || scene.sidecar().process().output_so_far();
    assert!(known, "neither served nor reset nor told: {}", output());
    fate
}

fn hear_hello(client: &mut TcpStream) {
    let mut heard = [0; HELLO.len()];
    client.read_exact(&mut heard).expect("an open connection");
    assert_eq!(heard, HELLO);
}

/// Connects and says hello; `None` where the reset was faster.
fn knock(from: &Place, to: SocketAddr) -> Option<TcpStream> {
    let knocked = connect(from, to).and_then(|mut client| {
        client.write_all(HELLO)?;
        Ok(client)
    });
    match knocked.map_err(|error| error.kind()) {
        Ok(client) => Some(client),
        Err(ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => None,
        Err(other) => panic!("{to}: {other}"),
    }
}

/// Clients come one by one until one is not served. Gives those that are, and the one that waits, if it was not reset.
fn exhaust(scene: &Scene, limit: usize) -> (Vec<TcpStream>, Option<TcpStream>) {
    let targets = both(&scene.web, APP);
    let mut served = Vec::new();
    loop {
        assert!(served.len() < limit / 2, "two descriptors for each");
        let Some(mut client) = knock(&scene.cart, targets[served.len() % 2]) else {
            return (served, None);
        };
        let out = || {
            let said = scene.sidecar().process().stderr_so_far();
            said.contains("cannot accept")
        };
        match comes_to(&client, scene, out) {
            Fate::Served => {
                hear_hello(&mut client);
                served.push(client);
            }
            Fate::Reset => return (served, None),
            Fate::Waits => return (served, Some(client)),
        }
    }
}

/// Arrivals refused for want of room are counted, after their reset.
fn refused_for_room(scene: &Scene, at_least: f64) {
    let counted = || arrivals(scene.sidecar(), "over_capacity") >= at_least;
    assert!(wait_until(SOON, counted), "nobody was refused by name");
}

fn runs_out(limit: usize) {
    let scene = guarded_with_descriptors(limit);
    App::listen(&scene.web, APP).serve(|stream| {
        thread::spawn(move || echo(stream));
    });
    let (mut served, waiting) = exhaust(&scene, limit);
    assert!(served.len() > 16, "served {} of {limit}", served.len());
    // Who is inside stays, and nobody who may not enter does.
    for client in &mut served {
        client.write_all(HELLO).unwrap();
        hear_hello(client);
    }
    let rogue = knock(&scene.rogue, both(&scene.web, APP)[0]);
    // Room is made: who waited is served, and so are newcomers.
    let more = served.split_off(8);
    for mut client in served {
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(ending(&mut client), Ending::End);
    }
    if let Some(mut client) = waiting {
        match comes_to(&client, &scene, || false) {
            Fate::Served => hear_hello(&mut client),
            // It was accepted when the first descriptor was there and the second was not.
            _ => refused_for_room(&scene, 1.0),
        }
        // It is counted at the end of the wait that follows it. The door may have failed while nobody waited: the
        // kernel wants a descriptor before it looks for an arrival.
        let failed = || scene.sidecar().metric("podwall_accept_errors_total");
        assert!(wait_until(SOON, || failed().unwrap() > Some(0.0)));
    } else {
        refused_for_room(&scene, 1.0);
    }
    if let Some(mut rogue) = rogue {
        assert_eq!(ending(&mut rogue), Ending::Reset);
    }
    for to in both(&scene.web, APP) {
        let mut newcomer = knock(&scene.cart, to).expect("room");
        hear_hello(&mut newcomer);
    }
    for mut client in more {
        client.write_all(HELLO).unwrap();
        hear_hello(&mut client);
    }
}

/// Two limits next to each other, since the last descriptor is missed either by accepting or by connecting.
#[test]
fn p17_without_descriptors_open_connections_stay_and_newcomers_wait_or_are_reset() {
    runs_out(100);
    runs_out(101);
}

#[test]
fn p17_more_than_max_connections_are_reset_by_name() {
    let scene = Scene::guarded_with(CART_ONLY, &["--max-connections", "4"]);
    App::listen(&scene.web, APP).serve(|stream| {
        thread::spawn(move || echo(stream));
    });
    let [to, to_v6] = both(&scene.web, APP);
    let mut open = Vec::new();
    for _ in 0..4 {
        let mut client = knock(&scene.cart, to).expect("room");
        hear_hello(&mut client);
        open.push(client);
    }
    let skip = scene.sidecar().log().len();
    for to in [to, to_v6] {
        assert_eq!(fate(&scene.cart, to), Ending::Reset);
    }
    let line = scene.line(skip, &scene.cart, APP);
    assert_eq!(line["reason"], "over_capacity", "{line}");
    refused_for_room(&scene, 2.0);
    // The node's probes and the canary need no seat.
    assert_eq!(scene.sidecar().get("/readyz").unwrap().0, 200);
    for client in &mut open {
        client.write_all(HELLO).unwrap();
        hear_hello(client);
    }
    let skip = scene.sidecar().log().len();
    let mut last = open.remove(0);
    last.shutdown(Shutdown::Write).unwrap();
    assert_eq!(ending(&mut last), Ending::End);
    scene.line(skip, &scene.cart, APP);
    let served = || {
        let newcomer = knock(&scene.cart, to_v6);
        newcomer.is_some_and(|mut client| client.read_exact(&mut [0; HELLO.len()]).is_ok())
    };
    assert!(wait_until(SOON, served), "the seat was not given back");
}
