//! Conversations over TCP of the test's own making: an application that hands its connections out, clients, and
//! how a connection ends. Knows no policy.

#![allow(dead_code, missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use podwall_lab::{Place, Pod};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};

use crate::support::SOON;

/// The port of the test's own application.
pub const APP: u16 = 7000;
/// What both ends of a new pair say first.
pub const HELLO: &[u8] = b"hello";

/// Lets this process have as many sockets as it may; both ends of every pair are its own.
pub fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, wanted).expect("as many open files as allowed");
}

/// An application on one port of every address of a place, both families.
pub struct App(TcpListener);

impl App {
    pub fn listen(place: &Place, port: u16) -> Self {
        Self::with_backlog(place, port, 1024)
    }

    /// The same, with room for one connection more than `backlog` that are not accepted.
    pub fn with_backlog(place: &Place, port: u16, backlog: i32) -> Self {
        let bind = || -> io::Result<Socket> {
            let socket = Socket::new(Domain::IPV6, Type::STREAM, None)?;
            socket.set_only_v6(false)?;
            socket.set_reuse_address(true)?;
            socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)).into())?;
            socket.listen(backlog)?;
            // Bounds accept.
            socket.set_read_timeout(Some(SOON))?;
            Ok(socket)
        };
        Self(place.enter(bind).unwrap().expect("a listener").into())
    }

    /// The next connection that reaches the application.
    pub fn accept(&self) -> TcpStream {
        let (stream, _) = self.0.accept().expect("somebody at the application");
        patient(stream)
    }

    /// Whether somebody waits to be accepted at this moment.
    pub fn has_visitor(&self) -> bool {
        self.0.set_nonblocking(true).unwrap();
        let visitor = self.0.accept();
        self.0.set_nonblocking(false).unwrap();
        visitor.is_ok()
    }

    /// Accepts for as long as the listener is there and hands each connection over.
    pub fn serve(self, mut each: impl FnMut(TcpStream) + Send + 'static) {
        self.0.set_nonblocking(false).unwrap();
        thread::spawn(move || {
            loop {
                match self.0.accept() {
                    Ok((stream, _)) => each(patient(stream)),
                    Err(error) if is_timeout(&error) => {}
                    Err(_) => return,
                }
            }
        });
    }
}

/// Connects from a place; no wait of the socket is longer than [`SOON`].
pub fn connect(place: &Place, to: SocketAddr) -> io::Result<TcpStream> {
    let connect = || TcpStream::connect_timeout(&to, SOON);
    place.enter(connect).unwrap().map(patient)
}

/// The same from an address of the place's own.
pub fn connect_from(place: &Place, source: IpAddr, to: SocketAddr) -> io::Result<TcpStream> {
    let connect = || -> io::Result<TcpStream> {
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
        socket.bind(&SocketAddr::new(source, 0).into())?;
        socket.connect_timeout(&to.into(), SOON)?;
        Ok(socket.into())
    };
    place.enter(connect).unwrap().map(patient)
}

/// A stream none of whose waits is longer than [`SOON`].
pub fn patient(stream: TcpStream) -> TcpStream {
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream.set_write_timeout(Some(SOON)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Where a port of a pod is, IPv4 then IPv6.
pub fn both(pod: &Pod, port: u16) -> [SocketAddr; 2] {
    [(pod.v4(), port).into(), (pod.v6(), port).into()]
}

/// An open connection, by both of its ends.
#[derive(Debug)]
pub struct Pair {
    pub client: TcpStream,
    pub app: TcpStream,
}

impl Pair {
    /// Connects and lets both ends say [`HELLO`], so that it stands from end to end.
    pub fn open(place: &Place, to: SocketAddr, app: &App) -> Self {
        let client = connect(place, to).expect("a connection");
        let mut pair = Self {
            client,
            app: app.accept(),
        };
        pair.greet();
        pair
    }

    /// Both ends say [`HELLO`] and hear it.
    pub fn greet(&mut self) {
        say(&mut self.client, &mut self.app, HELLO);
        say(&mut self.app, &mut self.client, HELLO);
    }
}

/// One end speaks, the other hears exactly that.
pub fn say(from: &mut TcpStream, to: &mut TcpStream, words: &[u8]) {
    from.write_all(words).expect("an open connection");
    let mut heard = vec![0; words.len()];
    to.read_exact(&mut heard).expect("an open connection");
    assert_eq!(heard, words);
}

/// How a connection ended for whoever reads from it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ending {
    Reset,
    /// In order.
    End,
    /// Not within [`SOON`].
    Open,
    Other(ErrorKind),
}

impl Ending {
    pub fn of(error: &io::Error) -> Self {
        match error.kind() {
            ErrorKind::ConnectionReset => Self::Reset,
            _ if is_timeout(error) => Self::Open,
            other => Self::Other(other),
        }
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// Reads, whatever comes, to the end.
pub fn ending(stream: &mut TcpStream) -> Ending {
    let mut chunk = [0; 64 * 1024];
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => return Ending::End,
            Ok(_) => {}
            Err(error) => return Ending::of(&error),
        }
    }
}

/// What becomes of a client that connects and waits to be spoken to. A reset may come before the
/// client has noticed that it was connected.
pub fn fate(place: &Place, to: SocketAddr) -> Ending {
    match connect(place, to) {
        Ok(mut stream) => ending(&mut stream),
        Err(error) => Ending::of(&error),
    }
}

/// A conversation that goes on until it is stopped: what comes back must be what was sent, byte for byte.
pub struct Busy {
    stop: Arc<AtomicBool>,
    carried: Arc<AtomicU64>,
    client: JoinHandle<()>,
    app: JoinHandle<()>,
}

/// How much is sent before it is awaited back; less than what sockets buffer.
const BLOCK: usize = 16 * 1024;

impl Busy {
    pub fn start(pair: Pair) -> Self {
        let (stop, carried) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let Pair { client, app } = pair;
        let (told, count) = (Arc::clone(&stop), Arc::clone(&carried));
        Self {
            stop,
            carried,
            client: thread::spawn(move || converse(client, &told, &count)),
            app: thread::spawn(move || echo(app)),
        }
    }

    /// Bytes that have come back right so far.
    pub fn carried(&self) -> u64 {
        self.carried.load(Ordering::SeqCst)
    }

    /// Waits until more has come back right than `before`.
    pub fn goes_on(&self, before: u64) {
        let more = || self.carried() >= before + (1 << 20) || self.client.is_finished();
        assert!(
            podwall_lab::wait_until(SOON, more) && !self.client.is_finished(),
            "a conversation that should go on has stopped at {} bytes",
            self.carried()
        );
    }

    /// Ends it in order and gives the bytes that each side has sent.
    pub fn finish(self) -> u64 {
        self.stop.store(true, Ordering::SeqCst);
        self.client.join().expect("a conversation without a fault");
        self.app.join().expect("an echo without a fault");
        self.carried.load(Ordering::SeqCst)
    }
}

fn converse(mut client: TcpStream, stop: &AtomicBool, carried: &AtomicU64) {
    let mut state = 1_u64;
    let (mut sent, mut heard) = (vec![0; BLOCK], vec![0; BLOCK]);
    while !stop.load(Ordering::SeqCst) {
        for byte in &mut sent {
            // Numerical Recipes' generator; its high bits are as good as random.
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            *byte = (state >> 56) as u8;
        }
        client.write_all(&sent).expect("an open connection");
        client.read_exact(&mut heard).expect("an open connection");
        assert!(sent == heard, "other bytes came back");
        carried.fetch_add(BLOCK as u64, Ordering::SeqCst);
    }
    client
        .shutdown(Shutdown::Write)
        .expect("an open connection");
    assert_eq!(ending(&mut client), Ending::End);
}

fn echo(mut app: TcpStream) {
    let mut chunk = [0; BLOCK];
    loop {
        match app.read(&mut chunk).expect("an open connection") {
            0 => break,
            count => app.write_all(&chunk[..count]).expect("an open connection"),
        }
    }
}
