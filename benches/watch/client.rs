//! The client's side of one change: connects again and again, and connections that are held open.
//!
//! Each runs on a thread of its own inside the client pod and says when it is at work, so that nothing is written
//! before. All waits end by [`PATIENCE`], which panics: a change that never arrives is not a sample.

use std::io::{self, ErrorKind, Read};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, Instant};

use podwall_lab::Pod;
use socket2::{Domain, Socket, Type};
use tokio::io::AsyncReadExt;
use tokio::task::JoinSet;

use super::app::GREETING;

/// The longest that a change may take before the bench fails.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// From the start of one try to the start of the next, unless the try itself takes longer.
const PACE: Duration = Duration::from_millis(1);
/// Tries of the new outcome, one after the other, after which it counts as settled.
const SETTLED: usize = 5;

/// What became of a new connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// The application greeted.
    Allowed,
    /// Reset before any byte, or refused at its SYN.
    Denied,
}

/// Connects about every millisecond until `wanted` comes and stays; says when the first such try was over.
///
/// # Panics
/// Where the first try is `wanted` already, where an outcome turns back, and where it never comes.
pub fn try_until(client: &Pod, target: SocketAddr, wanted: Outcome, ready: Sender<()>) -> Instant {
    let work = move || {
        let deadline = Instant::now() + PATIENCE;
        let (mut turned, mut settled, mut ready) = (None, 0, Some(ready));
        while settled < SETTLED {
            let began = Instant::now();
            assert!(
                began < deadline,
                "no connection was {wanted:?} within {PATIENCE:?}"
            );
            let outcome = attempt(target);
            let over = Instant::now();
            if outcome == wanted {
                assert!(ready.is_none(), "{wanted:?} before anything was written");
                turned.get_or_insert(over);
                settled += 1;
            } else {
                assert!(turned.is_none(), "{wanted:?}, and then {outcome:?} again");
            }
            if let Some(ready) = ready.take() {
                ready.send(()).expect("the bench waits for it");
            }
            thread::sleep((began + PACE).saturating_duration_since(Instant::now()));
        }
        turned.expect("settled means turned")
    };
    client.enter(work).expect("the pod can be entered")
}

/// Ports of the connections that are held: below those that the kernel chooses for the tries, so that no try comes from a
/// port whose connection was cut a moment ago.
const HELD_PORTS: std::ops::Range<u16> = 2_000..32_000;

/// Opens so many connections, holds them and says when the last of them was reset.
///
/// # Panics
/// Where one is not let in, where one ends otherwise, and where one is not cut.
pub fn hold_until_cut(
    client: &Pod,
    target: SocketAddr,
    count: usize,
    ready: Sender<()>,
) -> Instant {
    let address = client.v4();
    let work = move || {
        let open = |_| {
            let port = next_held_port();
            let stream = connect_by(Some((address, port).into()), target);
            let mut stream = stream.expect("a connection that is let in");
            assert_eq!(greeting(&mut stream).expect("a greeting"), GREETING);
            stream
        };
        let streams: Vec<TcpStream> = (0..count).map(open).collect();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.expect("a runtime").block_on(async {
            let mut ends = JoinSet::new();
            for stream in streams {
                ends.spawn(reset(stream));
            }
            ready.send(()).expect("the bench waits for it");
            let ends = tokio::time::timeout(PATIENCE, ends.join_all()).await;
            let ends = ends.unwrap_or_else(|_| panic!("not all were reset within {PATIENCE:?}"));
            ends.into_iter().max().expect("at least one")
        })
    };
    client.enter(work).expect("the pod can be entered")
}

/// Each of them in turn.
fn next_held_port() -> u16 {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let at = COUNT.fetch_add(1, Ordering::Relaxed) % HELD_PORTS.len();
    HELD_PORTS.start + u16::try_from(at).expect("within a range of ports")
}

/// When it is reset.
async fn reset(stream: TcpStream) -> Instant {
    stream.set_nonblocking(true).expect("non-blocking");
    let mut stream = tokio::net::TcpStream::from_std(stream).expect("a stream");
    let end = stream.read(&mut [0; 1]).await;
    let over = Instant::now();
    match end {
        Err(error) if error.kind() == ErrorKind::ConnectionReset => over,
        other => panic!("an open connection was to be reset: {other:?}"),
    }
}

/// One new connection.
///
/// # Panics
/// Where it is neither greeted, reset nor refused.
pub fn attempt(target: SocketAddr) -> Outcome {
    let greeted = connect(target).and_then(|mut stream| greeting(&mut stream));
    match greeted {
        Ok(GREETING) => Outcome::Allowed,
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused
            ) =>
        {
            Outcome::Denied
        }
        other => panic!("a new connection is greeted, reset or refused, but: {other:?}"),
    }
}

fn connect(target: SocketAddr) -> io::Result<TcpStream> {
    connect_by(None, target)
}

/// From an address and port of the caller's choice, or of the kernel's.
fn connect_by(from: Option<SocketAddr>, target: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(target), Type::STREAM, None)?;
    if let Some(from) = from {
        socket.bind(&from.into())?;
    }
    socket.connect_timeout(&target.into(), PATIENCE)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    // Leaves by a reset: thousands of tries must not use the ports up.
    socket.set_linger(Some(Duration::ZERO))?;
    Ok(socket.into())
}

fn greeting(stream: &mut TcpStream) -> io::Result<u8> {
    let mut byte = [0];
    stream.read_exact(&mut byte)?;
    Ok(byte[0])
}
