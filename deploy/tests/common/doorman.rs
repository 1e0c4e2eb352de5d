//! A user of the kernel's queues, as the sidecar is one: asked about a packet, it lets it on its way and sets
//! the admitted bit or does not. It never clears the bit, which is the rules' own duty.

use std::io::ErrorKind;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nfq_updated::{Queue, Verdict};
use podwall_deploy::ADMITTED;
use podwall_lab::{Place, wait_until};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{FdFlags, fcntl_setfd};

/// How long a queue may stay taken by one who has given it up.
const PATIENCE: Duration = Duration::from_secs(5);

/// As much of a packet as a test looks at: headers, and the few bytes that it sends.
const COPY_RANGE: u16 = 256;

/// More than any test sends at once.
const LENGTH: u32 = 1024;

/// A thread on some queues of a place; gone with this value, and its queues with it.
pub struct Doorman {
    asked: Arc<AtomicUsize>,
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl Doorman {
    /// Takes the queues `numbers`; `admits` says of each packet, from its network header on, whether it
    /// may enter.
    pub fn serve(
        place: &Place,
        numbers: std::ops::Range<u16>,
        admits: impl Fn(&[u8]) -> bool + Send + 'static,
    ) -> Self {
        let open = || {
            let mut queue = Queue::open().unwrap();
            // A program that another test starts would hold it beyond its end.
            fcntl_setfd(&queue, FdFlags::CLOEXEC).unwrap();
            for number in numbers {
                // The kernel lets go of one that was given up when the last such program has gone.
                assert!(wait_until(PATIENCE, || queue.bind(number).is_ok()));
                queue.set_copy_range(number, COPY_RANGE).unwrap();
                queue.set_queue_max_len(number, LENGTH).unwrap();
            }
            queue.set_nonblocking(true);
            queue
        };
        let queue = place.enter(open).unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let (stop, stopped) = UnixStream::pair().unwrap();
        let counter = Arc::clone(&asked);
        let thread = thread::spawn(move || answer(queue, &stopped, &counter, admits));
        Self {
            asked,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// How many packets it was asked about.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Drop for Doorman {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn answer(
    mut queue: Queue,
    stopped: &UnixStream,
    asked: &AtomicUsize,
    admits: impl Fn(&[u8]) -> bool,
) {
    loop {
        let (of_queue, of_stop) = (queue.as_fd(), stopped.as_fd());
        let mut ready = [of_queue, of_stop].map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
        poll(&mut ready, None).unwrap();
        if !ready[1].revents().is_empty() {
            return;
        }
        let mut packet = match queue.recv() {
            Ok(packet) => packet,
            Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
            Err(error) => panic!("queue: {error}"),
        };
        asked.fetch_add(1, Ordering::SeqCst);
        if admits(packet.get_payload()) {
            packet.set_nfmark(packet.get_nfmark() | ADMITTED);
        }
        packet.set_verdict(Verdict::Accept);
        queue.verdict(packet).unwrap();
    }
}

/// The port that a TCP, UDP or SCTP packet without options or extension headers is sent to.
#[allow(dead_code)]
pub fn port(packet: &[u8]) -> u16 {
    let header = match packet[0] >> 4 {
        4 => 20,
        _ => 40,
    };
    u16::from_be_bytes([packet[header + 2], packet[header + 3]])
}
