//! A client without rights that tries again and again, while whatever happens happens: it must never be served.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use podwall_lab::{Pod, wait_until};

use crate::support::SOON;

/// Between two tries. Each is a line in the log, which tests read through.
const PACE: Duration = Duration::from_millis(40);
/// Bound on one try.
const TRY: Duration = Duration::from_secs(5);

/// Tries until it is lifted.
pub struct Siege {
    stop: Sender<()>,
    tries: Arc<AtomicUsize>,
    thread: JoinHandle<Option<String>>,
}

impl Siege {
    /// `pod` tries these addresses in turn.
    pub fn lay(pod: &Pod, to: Vec<SocketAddr>) -> Self {
        let (stop, stopped) = channel();
        let tries = Arc::<AtomicUsize>::default();
        let (count, pod) = (Arc::clone(&tries), pod.clone());
        let besiege = move || {
            for to in to.iter().cycle() {
                if let Some(heard) = served(*to) {
                    return Some(format!("{to} said {heard:?}"));
                }
                count.fetch_add(1, Ordering::SeqCst);
                if stopped.recv_timeout(PACE) != Err(RecvTimeoutError::Timeout) {
                    break;
                }
            }
            None
        };
        let thread = thread::spawn(move || pod.enter(besiege).unwrap());
        Self {
            stop,
            tries,
            thread,
        }
    }

    /// Waits until it has tried again over both families since now: whatever holds now has been tried.
    pub fn tries_again(&self) {
        let before = self.tries.load(Ordering::SeqCst);
        let tried = || self.tries.load(Ordering::SeqCst) >= before + 4;
        assert!(wait_until(SOON, || tried() || self.thread.is_finished()));
        assert!(!self.thread.is_finished(), "the rogue was served");
    }

    /// Ends it: nothing was ever said to the rogue.
    pub fn lift(self) {
        let _ = self.stop.send(());
        let served = self.thread.join().unwrap();
        assert_eq!(served, None, "the rogue was served");
        assert!(self.tries.load(Ordering::SeqCst) > 0);
    }
}

/// What the application says to a request, if anything.
fn served(to: SocketAddr) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&to, TRY).ok()?;
    stream.set_read_timeout(Some(TRY)).ok()?;
    let _ = stream.write_all(b"GET / HTTP/1.0\r\n\r\n");
    let mut heard = [0; 256];
    let count = stream.read(&mut heard).ok()?;
    (count > 0).then(|| String::from_utf8_lossy(&heard[..count]).into_owned())
}
