//! One queue's thread: reads a packet, asks the law, gives the verdict; holds what cannot be answered yet.
//!
//! A packet that cannot be read, or that nobody can be asked about, is refused. The thread waits for nothing but
//! its queue, its bell and the next hold's end.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use podwall_policy::flow::{Flow, Protocol};
use podwall_policy::verdict::AllowReason;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::flows::Story;
use super::repeats::Noted;
use super::{Shared, has_socket, is_own_connection, question};
use crate::account::{Dropped, Gauged};
use crate::farewell::End;
use crate::hold::{HOLD_TIME, Place};
use crate::intercept::packet::{Malformed, Opens, parse};
use crate::intercept::queue::{Answer, Queue, Ticket};
use crate::kernel::{Sockets, Tuple};
use crate::ruling::{Decision, Refusal, Ruling};

/// How many packets are read before the bell and the holds are looked at again.
const BATCH: usize = 256;

/// How often, at most, a packet that cannot be read is written to the log; all are counted.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// The thread of one queue.
pub(super) struct Keeper {
    shared: Arc<Shared>,
    /// Which of the shared bells is ours.
    bell: usize,
    queue: Queue,
    sockets: Sockets,
    /// In the order of their arrival, so the first is the next whose time is over.
    held: VecDeque<Held>,
    logged: Option<Instant>,
    /// The generation by which what is held was last judged.
    seen: u64,
}

/// A packet that waits for its answer.
struct Held {
    visit: Visit,
    _place: Place,
    _gauge: Gauged,
}

/// A packet that was read.
struct Visit {
    ticket: Ticket,
    tuple: Tuple,
    flow: Flow,
    time: SystemTime,
    at: Instant,
}

impl Visit {
    fn source(&self) -> IpAddr {
        self.tuple.source.ip()
    }
}

impl Keeper {
    pub(super) fn new(shared: Arc<Shared>, bell: usize, queue: Queue, sockets: Sockets) -> Self {
        Self {
            shared,
            bell,
            queue,
            sockets,
            held: VecDeque::new(),
            logged: None,
            seen: 0,
        }
    }

    /// Until the gate is closed, or its queue is lost. Dropped with the queue, what is held is dropped by the kernel.
    pub(super) fn run(mut self) {
        while !self.shared.is_stopped() {
            if let Err(error) = self.wait() {
                tracing::error!(
                    "queue {} cannot be waited for: {error}",
                    self.queue.number()
                );
                return;
            }
            self.judge_held();
            for _ in 0..BATCH {
                match self.queue.receive() {
                    Ok(Some(ticket)) => self.receive(ticket),
                    Ok(None) => break,
                    Err(error) => {
                        tracing::error!("queue {} is lost: {error}", self.queue.number());
                        return;
                    }
                }
            }
        }
    }

    /// Waits for a packet, a ring, or the end of a hold.
    fn wait(&self) -> rustix::io::Result<()> {
        let bell = &self.shared.bells[self.bell];
        let timeout = self.held.front().map(|held| {
            let over = held.visit.at + HOLD_TIME;
            let left = over.saturating_duration_since(Instant::now());
            // Rounded up, so that it is over when we wake.
            let left = left + Duration::from_millis(1);
            Timespec {
                tv_sec: left.as_secs().try_into().unwrap_or(1),
                tv_nsec: left.subsec_nanos().into(),
            }
        });
        let mut fds = [
            PollFd::from_borrowed_fd(self.queue.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(bell.as_fd(), PollFlags::IN),
        ];
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => return Ok(()),
            Err(error) => return Err(error),
        }
        if fds[1].revents().contains(PollFlags::IN) {
            bell.hear();
        }
        Ok(())
    }

    fn receive(&mut self, ticket: Ticket) {
        let (time, at) = (SystemTime::now(), Instant::now());
        let packet = match parse(ticket.packet()) {
            Ok(packet) => packet,
            Err(malformed) => return self.unreadable(ticket, malformed),
        };
        let (from, to) = (packet.source.socket(), packet.destination.socket());
        let tuple = Tuple::new(packet.protocol, from, to);
        let Some(flow) = question(&tuple) else {
            return self.answer(ticket, Answer::Refuse);
        };
        let visit = Visit {
            ticket,
            tuple,
            flow,
            time,
            at,
        };
        let ruling = self.shared.clerk.judge(visit.source(), &visit.flow);
        if visit.ticket.is_of_refused() {
            return self.account_for(visit, ruling);
        }
        let is_mid_stream = packet.opens == Opens::MidStream;
        if is_mid_stream && is_own_connection(&mut self.sockets, &visit.tuple) {
            // A reply to what this pod opened; its connection was forgotten by the kernel (S6, P38). Whatever the law
            // says: let in as an arrival it would be cut as one when a policy changes.
            return self.answer(visit.ticket, Answer::AdmitOwn);
        }
        // While podwall stops the node alone is new: its probes go on to the end (S63), as does what is open.
        let draining = self.shared.draining.load(Ordering::SeqCst);
        let is_node = ruling.decision == Decision::Allow(AllowReason::Node);
        let mut is_open = || is_mid_stream && has_socket(&mut self.sockets, &visit.tuple);
        if ruling.decision.is_allow() && (!draining || is_node || is_open()) {
            return self.admit(visit, ruling, Duration::ZERO);
        }
        if draining {
            return self.deny(visit, Refusal::Draining.into(), Duration::ZERO);
        }
        if ruling.decision.may_turn() {
            return self.hold(visit, ruling);
        }
        self.deny(visit, ruling, Duration::ZERO);
    }

    fn unreadable(&mut self, ticket: Ticket, malformed: Malformed) {
        self.answer(ticket, Answer::Refuse);
        self.shared.clerk.account().unreadable(malformed.label());
        let now = Instant::now();
        let lately = |at: Instant| now.saturating_duration_since(at) < LOG_EVERY;
        if !self.logged.is_some_and(lately) {
            self.logged = Some(now);
            tracing::warn!("refused a packet that cannot be read: {malformed}");
        }
    }

    /// Lets it in. Remembered before the verdict, judged again after it: a change in between is seen by the sweep, which
    /// finds the flow in the kernel, or by us (P29, P39).
    fn admit(&mut self, visit: Visit, ruling: Ruling, held: Duration) {
        let Visit {
            ticket,
            tuple,
            flow,
            time,
            at,
        } = visit;
        let generation = ruling.generation;
        self.shared.repeats.forget(&tuple);
        let live = Some(self.shared.clerk.account().live());
        let story = Story {
            time,
            at,
            held,
            ruling,
            _live: live,
        };
        self.shared.remember(tuple, story);
        self.answer(ticket, Answer::Admit);
        let clerk = &self.shared.clerk;
        if clerk.world().generation() != generation {
            let again = clerk.judge(tuple.source.ip(), &flow);
            if !again.decision.is_allow() {
                self.shared.work.cut(tuple);
            }
        }
    }

    /// Keeps it in the kernel until the answer is certain, at most [`HOLD_TIME`] (P7).
    fn hold(&mut self, visit: Visit, mut ruling: Ruling) {
        let Some(place) = self.shared.hold.take(visit.source()) else {
            ruling.decision = Decision::Refuse(Refusal::HoldFull);
            return self.deny(visit, ruling, Duration::ZERO);
        };
        self.held.push_back(Held {
            visit,
            _place: place,
            _gauge: self.shared.clerk.account().held(),
        });
    }

    /// Asks again for all that is held, where something has changed or somebody's time is over.
    fn judge_held(&mut self) {
        let now = Instant::now();
        let is_over = |held: &Held| now.saturating_duration_since(held.visit.at) >= HOLD_TIME;
        let generation = self.shared.clerk.world().generation();
        let draining = self.shared.draining.load(Ordering::SeqCst);
        let changed = std::mem::replace(&mut self.seen, generation) != generation;
        if !changed && !draining && !self.held.front().is_some_and(is_over) {
            return;
        }
        for _ in 0..self.held.len() {
            // Where nothing has changed only those are asked about whose time is over: they stand first.
            let nothing_new = !changed && !draining;
            if nothing_new && !self.held.front().is_some_and(is_over) {
                return;
            }
            let Some(held) = self.held.pop_front() else {
                return;
            };
            let ruling = self
                .shared
                .clerk
                .judge(held.visit.source(), &held.visit.flow);
            let waited = held.visit.at.elapsed();
            if ruling.decision.is_allow() && !draining {
                self.admit(held.visit, ruling, waited);
            } else if draining {
                self.deny(held.visit, Refusal::Draining.into(), waited);
            } else if ruling.decision.may_turn() && !is_over(&held) {
                self.held.push_back(held);
            } else {
                self.deny(held.visit, ruling, waited);
            }
        }
    }

    /// Of a flow that was cut, and that the rules refuse whatever is said here: it takes no place among those that wait.
    /// Where its verdict has turned back it is not let in either, before the sweep has marked the flow so.
    fn account_for(&mut self, visit: Visit, ruling: Ruling) {
        let is_datagram = visit.tuple.protocol != Protocol::Tcp;
        if ruling.decision.is_allow() {
            self.answer(visit.ticket, Answer::Refuse);
        } else if is_datagram && self.noted(&visit) != Noted::First {
            // Also where it may be the first: its cut was told.
            self.refuse_one_more(visit.ticket);
        } else {
            self.refuse_and_tell(visit, ruling, Duration::ZERO);
        }
    }

    /// A refused TCP client is told so; whoever sends datagrams hears nothing and goes on, and has one line.
    fn deny(&mut self, visit: Visit, ruling: Ruling, held: Duration) {
        let is_datagram = visit.tuple.protocol != Protocol::Tcp;
        if is_datagram && self.noted(&visit) == Noted::Again {
            self.refuse_one_more(visit.ticket);
        } else {
            self.refuse_and_tell(visit, ruling, held);
        }
    }

    fn noted(&self, visit: &Visit) -> Noted {
        self.shared.repeats.note(visit.tuple, visit.at)
    }

    fn refuse_one_more(&mut self, ticket: Ticket) {
        self.answer(ticket, Answer::Refuse);
        let account = self.shared.clerk.account();
        account.datagram_dropped(Dropped::Denied);
    }

    fn refuse_and_tell(&mut self, visit: Visit, ruling: Ruling, held: Duration) {
        self.answer(visit.ticket, Answer::Refuse);
        let story = Story {
            time: visit.time,
            at: visit.at,
            held,
            ruling,
            _live: None,
        };
        self.shared
            .take_leave(&visit.tuple, &story, Some((0, 0)), End::Denied);
    }

    /// A verdict that the kernel does not take leaves the packet where it is: not let in.
    fn answer(&mut self, ticket: Ticket, answer: Answer) {
        if let Err(error) = self.queue.answer(ticket, answer) {
            self.shared.clerk.account().unreadable("verdict_refused");
            tracing::warn!(
                "the kernel did not take a verdict of queue {}: {error}",
                self.queue.number()
            );
        }
    }
}
