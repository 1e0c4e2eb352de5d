//! The client's side of one change: connects again and again, and one connection that is held open.
//!
//! Each runs on a thread of its own inside the client pod and says when it is at work, so that nothing is written
//! before. All waits end by [`PATIENCE`], which panics: a change that never arrives is not a sample.

use std::io::{self, ErrorKind, Read};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, Instant};

use podwall_lab::Pod;
use socket2::SockRef;

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
    /// Reset before any byte.
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

/// Opens a connection, holds it and says when it was reset.
///
/// # Panics
/// Where it is not let in, where it ends otherwise, and where it is not cut.
pub fn hold_until_cut(client: &Pod, target: SocketAddr, ready: Sender<()>) -> Instant {
    let work = move || {
        let mut stream = connect(target).expect("a connection that is let in");
        assert_eq!(greeting(&mut stream).expect("a greeting"), GREETING);
        ready.send(()).expect("the bench waits for it");
        let end = stream.read(&mut [0; 1]);
        let over = Instant::now();
        match end {
            Err(error) if error.kind() == ErrorKind::ConnectionReset => over,
            other => panic!("the open connection was to be reset within {PATIENCE:?}: {other:?}"),
        }
    };
    client.enter(work).expect("the pod can be entered")
}

/// One new connection.
///
/// # Panics
/// Where it is neither greeted nor reset.
pub fn attempt(target: SocketAddr) -> Outcome {
    let greeted = connect(target).and_then(|mut stream| greeting(&mut stream));
    match greeted {
        Ok(GREETING) => Outcome::Allowed,
        Err(error) if error.kind() == ErrorKind::ConnectionReset => Outcome::Denied,
        other => panic!("a new connection is greeted or reset, but: {other:?}"),
    }
}

fn connect(target: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&target, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    // Leaves by a reset: thousands of tries must not use the ports up.
    SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
    Ok(stream)
}

fn greeting(stream: &mut TcpStream) -> io::Result<u8> {
    let mut byte = [0];
    stream.read_exact(&mut byte)?;
    Ok(byte[0])
}
