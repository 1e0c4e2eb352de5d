//! Takes leave of the flows that the kernel has forgotten, or that TCP has ended.
//!
//! The kernel tells of most ends. What it did not tell, because too much happened at once or because it tells nothing
//! here, is found by comparing what is remembered with what the kernel knows.

use std::collections::HashSet;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use podwall_policy::flow::Protocol;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{Shared, bytes};
use crate::farewell::End;
use crate::kernel::{Conntrack, Entry, Event, Events};
use crate::sys::wake::Bell;

/// How often what is remembered is compared with the kernel's table, if anything is.
pub(crate) const COMPARE_EVERY: Duration = Duration::from_secs(30);

/// How long after the last comparison the next one is made where news were lost: a flood of ends does not become one of
/// walks through the table.
const AFTER_LOSS: Duration = Duration::from_secs(1);

/// How old a flow must be for its absence from the kernel's table to mean its end: younger ones may be on their way in.
const YOUNG: Duration = Duration::from_secs(5);

/// How young a flow of datagrams must be for news of an end not to mean it. Times of connection tracking are whole
/// seconds.
const NEWCOMER: Duration = Duration::from_millis(500);

/// The kernel's own time for a SYN without an answer, where its setting cannot be read.
const SYN_TIME: Duration = Duration::from_secs(120);

/// The thread that takes leave.
pub(super) struct Ends {
    shared: Arc<Shared>,
    events: Events,
    conntrack: Conntrack,
    compared: Instant,
    /// The kernel could not tell all that has ended since then.
    lost: bool,
    /// Whether the kernel counts the bytes of flows.
    counts: bool,
}

impl Ends {
    pub(super) fn new(shared: Arc<Shared>, events: Events, conntrack: Conntrack) -> Self {
        Self {
            shared,
            events,
            conntrack,
            compared: Instant::now(),
            lost: false,
            counts: kernel_counts(),
        }
    }

    /// Until the gate is closed, or the kernel tells nothing any more.
    pub(super) fn run(mut self) {
        while !self.shared.is_stopped() {
            let heard = self.wait().and_then(|()| self.hear());
            if let Err(error) = heard {
                tracing::error!("the ends of flows are not heard of any more: {error}");
                return;
            }
            if self.compared.elapsed() >= self.rest() {
                self.compare();
            }
        }
    }

    /// How long after a comparison the next one is due.
    fn rest(&self) -> Duration {
        match self.lost {
            true => AFTER_LOSS,
            false => COMPARE_EVERY,
        }
    }

    fn wait(&self) -> io::Result<()> {
        let Some(bell) = self.shared.bells.last() else {
            return Ok(());
        };
        let mut fds = [
            PollFd::from_borrowed_fd(self.events.fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(bell.as_fd(), PollFlags::IN),
        ];
        let left = self.rest().saturating_sub(self.compared.elapsed());
        let timeout = Timespec {
            tv_sec: left.as_secs().try_into().unwrap_or(1),
            tv_nsec: left.subsec_nanos().into(),
        };
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        if fds[1].revents().contains(PollFlags::IN) {
            Bell::hear(bell);
        }
        Ok(())
    }

    fn hear(&mut self) -> io::Result<()> {
        let lost = &mut self.lost;
        let (shared, conntrack, counts) = (&self.shared, &mut self.conntrack, self.counts);
        self.events.read(&mut |event| match event {
            Event::Ended(entry) => end(shared, conntrack, counts, &entry),
            Event::Lost => *lost = true,
        })
    }

    /// Whatever is remembered and not in the kernel's table any more has ended.
    fn compare(&mut self) {
        self.compared = Instant::now();
        self.lost = false;
        self.counts = kernel_counts();
        if self.shared.flows.len() == 0 {
            return;
        }
        let then = self.compared - YOUNG;
        let mut there = HashSet::new();
        let listed = self.conntrack.dump(&mut |entry| {
            if !entry.ended {
                there.insert(entry.tuple);
            }
        });
        if let Err(error) = listed {
            tracing::warn!("flows cannot be compared with the kernel's table: {error}");
            return;
        }
        let over = self
            .shared
            .flows
            .take_where(then, |tuple| !there.contains(tuple));
        for (tuple, story) in over {
            self.shared.take_leave(&tuple, &story, None, End::Forgotten);
        }
    }
}

/// Writes down a flow that is over; one that is not remembered was written down before, or is not ours.
///
/// The news that TCP has ended come without bytes; its entry, which stays for a while, has them.
fn end(shared: &Shared, conntrack: &mut Conntrack, counts: bool, entry: &Entry) {
    let story = match entry.tuple.protocol {
        Protocol::Tcp => shared.flows.take(&entry.tuple),
        // No entry of datagrams lives as short as that: these news are of the flow before, from the same port.
        Protocol::Udp | Protocol::Sctp => Instant::now()
            .checked_sub(NEWCOMER)
            .and_then(|then| shared.flows.take_older(&entry.tuple, then)),
    };
    let Some(story) = story else {
        return;
    };
    let end = match (entry.tuple.protocol, entry.replied, entry.ended) {
        // Nobody has answered for as long as the kernel waits.
        (Protocol::Tcp, false, _) if story.at.elapsed() >= syn_time() => End::Forgotten,
        // The kernel drops its entry as soon as the only answer is a reset, which ends it too.
        (Protocol::Tcp, false, _) => End::AppRefused,
        (Protocol::Tcp, true, true) => End::Closed,
        (Protocol::Tcp, true, false) => End::Forgotten,
        (Protocol::Udp | Protocol::Sctp, ..) => End::Idle,
    };
    let told = bytes(entry);
    let bytes = match told {
        None if counts => conntrack
            .get(&entry.tuple)
            .ok()
            .flatten()
            .and_then(|entry| bytes(&entry)),
        told => told,
    };
    shared.take_leave(&entry.tuple, &story, bytes, end);
}

/// Whether new entries count their bytes; where that cannot be read, they may.
fn kernel_counts() -> bool {
    setting("nf_conntrack_acct") != Some(0)
}

/// How long, at least, the kernel keeps the entry of a SYN that nobody answers: a little less than its setting, for it
/// counts from before the packet is read here, in ticks.
fn syn_time() -> Duration {
    let seconds = setting("nf_conntrack_tcp_timeout_syn_sent");
    seconds.map_or(SYN_TIME, Duration::from_secs) * 7 / 8
}

/// A setting of this network namespace's connection tracking, if it can be read.
fn setting(name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/sys/net/netfilter/{name}"));
    text.ok()?.trim().parse().ok()
}
