//! A queue's loop as bare as one can be: a read that blocks, the packet's number out of its fixed place, a yes.
//!
//! Two system calls a packet and nothing else: no memory is asked for, nothing of the packet is copied to user space,
//! nothing is looked up, remembered or written down. What a sidecar does beyond this is its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use nfq_updated::Queue;
use podwall_lab::{LabResult, Pod};
use podwall_proxy::arrival::ADMITTED;
use podwall_proxy::config::FIRST_QUEUE;
use podwall_proxy::intercept::queue::QUEUE_LENGTH;
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{RecvFlags, SendFlags, recv, send};

use super::load;

/// How often the loop sees whether it is to end. A limit of the socket, so that it costs no further system call.
const LOOK: Duration = Duration::from_millis(100);
/// Bound on one run of iptables.
const INSTALL: Duration = Duration::from_secs(10);

/// The kernel's `NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_PACKET`, where a message says its kind.
const PACKET: [u8; 2] = 0x0300u16.to_ne_bytes();
/// Where a message says its kind, and where a packet's number is: behind both headers and its attribute's own.
const KIND: std::ops::Range<usize> = 4..6;
const NUMBER: std::ops::Range<usize> = 24..28;

/// A running loop; dropping it ends it.
pub struct Bare {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// The barest rules: the kernel asks about a SYN. None is behind it, and nothing tracks connections.
///
/// # Errors
/// Where iptables cannot be run.
pub fn install(pod: &Pod) -> LabResult<()> {
    let queue = FIRST_QUEUE.to_string();
    let rule = "-t mangle -A INPUT -p tcp --syn -j NFQUEUE --queue-num";
    let iptables = pod.command("iptables-nft").args(rule.split(' '));
    let installed = iptables.arg(queue).run(INSTALL)?;
    assert!(installed.status.success(), "{}", installed.stderr);
    Ok(())
}

impl Bare {
    /// Starts it in `pod`, whose rules are installed.
    pub fn start(pod: &Pod, cpu: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (place, stopped) = (pod.place().clone(), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let served: LabResult<()> = place.enter(|| {
                load::pin_thread(cpu);
                let mut queue = Queue::open().expect("a netlink socket");
                queue.bind(FIRST_QUEUE).expect("nobody else has the queue");
                queue
                    .set_copy_range(FIRST_QUEUE, 0)
                    .expect("packets may stay in the kernel");
                queue
                    .set_queue_max_len(FIRST_QUEUE, QUEUE_LENGTH)
                    .expect("the queue may be so long");
                set_socket_timeout(&queue, Timeout::Recv, Some(LOOK)).expect("a limit");
                admit_all(&queue, &stopped);
            });
            served.expect("the pod can be entered");
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }
}

fn admit_all(queue: &Queue, stopped: &AtomicBool) {
    let (mut packet, mut yes) = ([0; 1024], Yes::new());
    while !stopped.load(Ordering::Relaxed) {
        match recv(queue, &mut packet, RecvFlags::empty()) {
            Ok(_) if packet[KIND] == PACKET => {
                let verdict = yes.to(&packet[NUMBER]);
                send(queue, verdict, SendFlags::empty()).expect("the kernel takes a verdict");
            }
            // Nothing came, or an answer to a verdict: its packet was gone.
            Ok(_) | Err(Errno::AGAIN | Errno::INTR) => {}
            Err(error) => panic!("the queue is lost: {error}"),
        }
    }
}

/// The verdict that lets a packet in, marked so that the rules of mode queue do as well.
struct Yes([u8; 40]);

impl Yes {
    /// Where the packet's number goes.
    const TO: std::ops::Range<usize> = 28..32;

    fn new() -> Self {
        let mut message = [0; 40];
        let mut put =
            |at: usize, bytes: &[u8]| message[at..at + bytes.len()].copy_from_slice(bytes);
        // Its length, `NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_VERDICT`, and that it is a request.
        put(0, &40u32.to_ne_bytes());
        put(4, &0x0301u16.to_ne_bytes());
        put(6, &1u16.to_ne_bytes());
        put(18, &FIRST_QUEUE.to_be_bytes());
        // `NFQA_VERDICT_HDR`: `NF_ACCEPT`, and the number.
        put(20, &12u16.to_ne_bytes());
        put(22, &2u16.to_ne_bytes());
        put(24, &1u32.to_be_bytes());
        // `NFQA_MARK`.
        put(32, &8u16.to_ne_bytes());
        put(34, &3u16.to_ne_bytes());
        put(36, &ADMITTED.to_be_bytes());
        Self(message)
    }

    fn to(&mut self, number: &[u8]) -> &[u8] {
        self.0[Self::TO].copy_from_slice(number);
        &self.0
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
