//! What is carried: in order, to the last byte, both ways, half-closed or not (P13, P16).

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;

use podwall_lab::wait_until;

use crate::inside::farewell;
use crate::support::{CART_ONLY, SOON, Scene};
use crate::talk::{APP, App, Ending, Pair, both, connect, ending, raise_descriptor_limit, say};

fn half_closed(scene: &Scene, wanted: f64) {
    let gauge = || {
        let series = "podwall_connections_half_closed";
        scene.sidecar().metric(series).unwrap().unwrap()
    };
    let reached = wait_until(SOON, || gauge() == wanted);
    assert!(reached, "half closed: {}, not {wanted}", gauge());
}

#[test]
fn p13_each_side_may_close_first_and_still_hears_the_other() {
    let scene = Scene::guarded(CART_ONLY);
    let app = App::listen(&scene.web, APP);
    for to in both(&scene.web, APP) {
        for client_first in [true, false] {
            let Pair { client, app } = Pair::open(&scene.cart, to, &app);
            let caller = client.try_clone().unwrap();
            let (mut first, mut second) = if client_first {
                (client, app)
            } else {
                (app, client)
            };
            first.write_all(b"last words").unwrap();
            first.shutdown(Shutdown::Write).unwrap();
            let mut heard = Vec::new();
            second.read_to_end(&mut heard).unwrap();
            assert_eq!(heard, b"last words", "{to}");
            half_closed(&scene, 1.0);
            for word in [&b"an"[..], b"answer"] {
                say(&mut second, &mut first, word);
            }
            second.shutdown(Shutdown::Write).unwrap();
            assert_eq!(ending(&mut first), Ending::End);
            let line = farewell(scene.sidecar(), &caller);
            let bytes = (&line["bytes_in"], &line["bytes_out"]);
            let (first, second) = (5 + 10, 5 + 8);
            let wanted = if client_first {
                (first, second)
            } else {
                (second, first)
            };
            assert_eq!(bytes, (&wanted.0.into(), &wanted.1.into()), "{line}");
            assert_eq!(line["end"], "closed");
            half_closed(&scene, 0.0);
        }
    }
}

#[test]
fn p13_silence_after_one_side_has_closed_ends_in_resets() {
    let scene = Scene::guarded_with(CART_ONLY, &["--half-close-timeout", "100ms"]);
    let app = App::listen(&scene.web, APP);
    for to in both(&scene.web, APP) {
        // A connection of which nobody has closed a side is not concerned, however silent.
        let mut silent = Pair::open(&scene.cart, to, &app);
        for client_first in [true, false] {
            let Pair { client, app } = Pair::open(&scene.cart, to, &app);
            let caller = client.try_clone().unwrap();
            let (mut first, mut second) = if client_first {
                (client, app)
            } else {
                (app, client)
            };
            first.shutdown(Shutdown::Write).unwrap();
            assert_eq!(ending(&mut second), Ending::End);
            assert_eq!(ending(&mut first), Ending::Reset, "{to}");
            let line = farewell(scene.sidecar(), &caller);
            assert_eq!(line["end"], "half_close_timeout", "{line}");
            assert_eq!(line["verdict"], "allow");
            half_closed(&scene, 0.0);
            let reset = || second.write_all(b"anybody there?").is_err();
            assert!(wait_until(SOON, reset), "the silent side was not reset");
        }
        silent.greet();
    }
}

/// A relay that read from the client before it connects would wait for ever: neither client nor application says a word
/// until the banner.
#[test]
fn p16_a_server_that_speaks_first_is_heard() {
    let scene = Scene::guarded(CART_ONLY);
    let app = App::listen(&scene.web, APP);
    for to in both(&scene.web, APP) {
        let mut client = connect(&scene.cart, to).unwrap();
        let mut server = app.accept();
        say(&mut server, &mut client, b"220 ready when you are\r\n");
        say(&mut client, &mut server, b"QUIT\r\n");
    }
}

const CLIENTS: u64 = 64;
/// Bytes each way of each client: several times what sockets and pipes hold.
const BULK: usize = 3 << 20;
const BLOCK: usize = 64 << 10;

/// A stream of bytes that differs for every seed.
struct Noise(u64);

impl Noise {
    fn fill(&mut self, block: &mut [u8]) {
        for word in block.chunks_mut(8) {
            // The generator of Knuth's MMIX.
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005);
            self.0 = self.0.wrapping_add(1_442_695_040_888_963_407);
            word.copy_from_slice(&self.0.to_le_bytes()[..word.len()]);
        }
    }
}

fn send_noise(mut to: &TcpStream, seed: u64) {
    let (mut noise, mut block) = (Noise(seed), vec![0; BLOCK]);
    for _ in 0..BULK / BLOCK {
        noise.fill(&mut block);
        to.write_all(&block).expect("an open connection");
    }
}

/// Reads what [`send_noise`] sent; says whether it is that, byte for byte.
fn is_noise(mut from: &TcpStream, seed: u64) -> bool {
    let (mut noise, mut block) = (Noise(seed), vec![0; BLOCK]);
    let mut heard = vec![0; BLOCK];
    for _ in 0..BULK / BLOCK {
        noise.fill(&mut block);
        from.read_exact(&mut heard).expect("an open connection");
        if heard != block {
            return false;
        }
    }
    true
}

/// The application's side: sends while it hears, then says whether it heard right, and ends.
fn answer_noise(mut stream: TcpStream) {
    let mut seed = [0; 8];
    stream.read_exact(&mut seed).expect("a seed");
    let seed = u64::from_le_bytes(seed);
    let right = thread::scope(|scope| {
        scope.spawn(|| send_noise(&stream, !seed));
        is_noise(&stream, seed)
    });
    stream.write_all(&[u8::from(right)]).expect("a client");
}

fn exchange_noise(to: SocketAddr, mut stream: TcpStream, seed: u64) {
    stream.write_all(&seed.to_le_bytes()).unwrap();
    let right = thread::scope(|scope| {
        scope.spawn(|| send_noise(&stream, seed));
        is_noise(&stream, !seed)
    });
    assert!(right, "client {seed} of {to} heard other bytes");
    let mut verdict = [0];
    stream.read_exact(&mut verdict).unwrap();
    assert_eq!(verdict, [1], "the application heard other bytes of {seed}");
    assert_eq!(ending(&mut stream), Ending::End);
}

#[test]
fn bulk_of_64_clients_at_a_time_arrives_byte_for_byte_both_ways() {
    raise_descriptor_limit();
    let scene = Scene::guarded(CART_ONLY);
    App::listen(&scene.web, APP).serve(|stream| {
        thread::spawn(move || answer_noise(stream));
    });
    let targets = both(&scene.web, APP);
    thread::scope(|scope| {
        for seed in 0..CLIENTS {
            let to = targets[usize::from(seed % 2 == 1)];
            let stream = connect(&scene.cart, to).unwrap();
            scope.spawn(move || exchange_noise(to, stream, seed));
        }
    });
    let closed = || {
        let lines = scene.sidecar().log();
        let whole = |line: &&serde_json::Value| {
            line["end"] == "closed" && line["bytes_in"] == BULK + 8 && line["bytes_out"] == BULK + 1
        };
        lines.iter().filter(whole).count() == CLIENTS as usize
    };
    assert!(wait_until(SOON, closed), "{:#?}", scene.sidecar().log());
}
