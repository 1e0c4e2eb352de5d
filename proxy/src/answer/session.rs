//! Which UDP flows are known: what was decided of them, when to forget them, and whose place is taken
//! when room is short.
//!
//! `on_*` takes what happened, `next_expiry` says when to call again, `expire` does due work. `now` is
//! always the caller's and must not go back. Every call is of constant time, whatever is known, but for two:
//! due denials are forgotten one by one, and one that has waited is let in behind those used since its last datagram.
//!
//! Deliberately absent: sockets, clocks, and the decision; what the caller keeps of a session is a value
//! that nobody looks into here. INVARIANT (P29): a flow is entered by [`SessionTable::on_datagram`], which
//! comes before its judgement.

use std::time::Duration;

use crate::arrival::{OriginalDst, SourceAddr};

mod chain;
mod entry;
mod table;
#[cfg(test)]
mod tests;

pub use table::SessionTable;

/// How long a session is kept that the application has not answered, or not for as long as
/// [`STREAM_AFTER`].
///
/// The kernel's `nf_conntrack_udp_timeout`. Never longer: once its entry is gone, what we send back leaves
/// with the listener's port as its source (P30).
pub const ONE_WAY_IDLE: Duration = Duration::from_secs(30);

/// How long a session is kept in which both sides have spoken.
///
/// The kernel's `nf_conntrack_udp_timeout_stream`.
pub const STREAM_IDLE: Duration = Duration::from_secs(120);

/// How old an answered session must be before a datagram earns it [`STREAM_IDLE`]: as the kernel has it, so
/// that one question and its answer do not count as a stream.
pub const STREAM_AFTER: Duration = Duration::from_secs(2);

/// How long a denial is remembered, counted from it: who sends for ever is told of once in this time.
pub const DENIAL_MEMORY: Duration = ONE_WAY_IDLE;

/// The most sessions that are let in at a time. Each has a socket of its own, and the kernel buffers up to
/// some 200 KiB for each that is not read.
pub const SESSIONS: usize = 4096;

/// The most of them from one address: an eighth, so that one source cannot take the place of all others.
pub const SESSIONS_PER_SOURCE: usize = 512;

/// The most denials that are remembered; each costs some 300 bytes and no socket.
pub const DENIALS: usize = 4096;

/// The most of them of one address.
pub const DENIALS_PER_SOURCE: usize = 512;

/// One flow: the client's address and port, and the pod's.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct FlowKey {
    /// Who sends.
    pub client: SourceAddr,
    /// The address of the pod that it came to, and the application's port.
    pub to: OriginalDst,
}

/// How much is kept, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// See [`SESSIONS`].
    pub sessions: usize,
    /// See [`SESSIONS_PER_SOURCE`].
    pub sessions_per_source: usize,
    /// See [`DENIALS`].
    pub denials: usize,
    /// See [`DENIALS_PER_SOURCE`].
    pub denials_per_source: usize,
    /// How long the answer may be waited for.
    pub wait: Duration,
    /// See [`ONE_WAY_IDLE`].
    pub one_way_idle: Duration,
    /// See [`STREAM_IDLE`].
    pub stream_idle: Duration,
}

impl Limits {
    /// The usual limits, for at most `sessions` sessions, at least one, and `wait` of waiting.
    #[must_use]
    pub fn usual(sessions: usize, wait: Duration) -> Self {
        let sessions = sessions.clamp(1, SESSIONS);
        Self {
            sessions,
            // An eighth of few places too.
            sessions_per_source: SESSIONS_PER_SOURCE.min((sessions / 8).max(1)),
            denials: DENIALS,
            denials_per_source: DENIALS_PER_SOURCE,
            wait,
            one_way_idle: ONE_WAY_IDLE,
            stream_idle: STREAM_IDLE,
        }
    }
}

/// Names one session for as long as it is known; never another one after it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct SessionId {
    slot: u32,
    turn: u32,
}

impl SessionId {
    /// As one number, for the kernel to keep.
    #[must_use]
    pub fn number(self) -> u64 {
        u64::from(self.turn) << 32 | u64::from(self.slot)
    }

    /// From what [`number`](Self::number) gave.
    #[must_use]
    pub fn from_number(number: u64) -> Self {
        Self {
            slot: (number & u64::from(u32::MAX)) as u32,
            turn: (number >> 32) as u32,
        }
    }
}

/// Where a flow stands.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Standing {
    /// Nothing is decided yet.
    Waiting,
    /// Let in.
    Admitted,
    /// Not let in, and remembered so that it is told of once.
    Denied,
}

/// What a datagram is to the table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Seen {
    /// The first of its flow. It is entered, and must be judged.
    First,
    /// What was decided of its flow holds.
    Known(Standing),
    /// That was decided when less was known: judge again. It is [stamped](SessionTable::stamp) or settled
    /// anew.
    JudgeAgain(Standing),
}

/// What is due.
#[derive(Debug, Eq, PartialEq)]
pub enum Due<S> {
    /// It has waited long enough; it is still there and must be settled.
    Undecided(SessionId),
    /// It was let in, nobody has spoken for its time, and it is known no more.
    Idle(FlowKey, S),
}
