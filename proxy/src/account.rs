//! The account: one log line and one counter per farewell, one line per revocation.
//!
//! May enter: the shared nouns ([`Farewell`], [`Ruling`]), numbers and durations. Deliberately absent:
//! every way to change what happens. Nothing here waits for a reader: a line that cannot be
//! queued is dropped and counted, so a blocked stdout never blocks a connection.
//!
//! The names are documented in docs/operations.md; a test holds the two together.

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use podwall_policy::explain::Miss;
use podwall_policy::flow::Protocol;

use crate::arrival::{Mode, OriginalDst, SourceAddr};
use crate::farewell::{End, Farewell};
use crate::ruling::Ruling;

mod line;
mod log;
mod metrics;
#[cfg(test)]
mod tests;

pub use metrics::Gauged;

/// The most labels that one series may have (P31).
pub const MAX_LABELS: usize = 6;

/// How many lines wait for a slow reader of the log before lines are dropped.
///
/// A line is about 500 bytes, so this bounds the queue to some 2 MB.
pub const LOG_QUEUE: usize = 4096;

/// An open connection whose verdict turned, and which is therefore being cut (P28).
///
/// The connection's own [`Farewell`] follows when both of its sides are reset.
#[derive(Clone, Debug)]
pub struct Revocation {
    /// When the verdict turned.
    pub time: SystemTime,
    /// Who had opened the connection.
    pub source: SourceAddr,
    /// What it was opened to.
    pub destination: OriginalDst,
    /// The transport protocol.
    pub protocol: Protocol,
    /// The ruling that cuts it.
    pub ruling: Ruling,
    /// The nearest miss, where the law gave one.
    pub nearest_miss: Option<Miss>,
    /// From acceptance to the cut.
    pub open_for: Duration,
}

/// Why a datagram went no further.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Dropped {
    /// Its flow is denied.
    Denied,
    /// Its flow is held, and as much waits already as may; or podwall ended before there was an answer.
    Held,
    /// The kernel had no room for it, towards the application or the client.
    NoRoom,
    /// The kernel did not take it for another reason: no local port, no route, a rule of others, nobody listens.
    NoWay,
}

impl Dropped {
    /// The `why` in metrics. Stable.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::Held => "held",
            Self::NoRoom => "no_room",
            Self::NoWay => "no_way",
        }
    }
}

/// What the metrics say of the source at the moment of a scrape.
#[derive(Clone, Copy, Debug)]
pub struct SourceReading {
    /// The source has delivered a whole state.
    pub synced: bool,
    /// The source knows the subject.
    pub subject_known: bool,
    /// Since the source last confirmed its state; `None` where it never did.
    pub age: Option<Duration>,
    /// The source has a problem at this moment; the last good state is enforced.
    pub problem: bool,
    /// Grows with every change that could alter a verdict.
    pub generation: u64,
    /// Live pods known.
    pub pods: usize,
    /// Namespaces known.
    pub namespaces: usize,
    /// Policies that select the subject.
    pub policies: usize,
    /// Addresses that several live pods claim.
    pub contested: usize,
    /// Findings about documents and policies.
    pub findings: usize,
}

/// The account. One per process, shared by every connection.
pub struct Account {
    mode: Mode,
    log: log::Log,
    metrics: metrics::Metrics,
}

impl Account {
    /// Opens the account; lines go to `log`, written by a thread of their own.
    ///
    /// # Errors
    /// Where the thread cannot be started.
    pub fn new(log: impl Write + Send + 'static, mode: Mode) -> std::io::Result<Arc<Self>> {
        let metrics = metrics::Metrics::new();
        let log = log::Log::start(log, LOG_QUEUE, metrics.lines_dropped())?;
        Ok(Arc::new(Self { mode, log, metrics }))
    }

    /// Takes leave of one arrival: one line, one count.
    ///
    /// The bytes of the farewell go into its line only; [`carried`](Self::carried) counts them.
    pub fn farewell(&self, farewell: &Farewell) {
        self.metrics
            .arrival(farewell.mode, farewell.protocol, farewell.ruling.decision);
        match farewell.end {
            End::NoLocalPort => self.metrics.no_local_port(),
            End::Evicted => self.metrics.evicted(),
            _ => {}
        }
        self.log.write(line::connection(farewell));
    }

    /// Notes that an open connection is being cut: one line, one count.
    pub fn revoked(&self, revocation: &Revocation) {
        self.metrics.revoked(revocation.ruling.decision);
        self.log.write(line::revocation(self.mode, revocation));
    }

    /// Counts a connection as live (let in and not yet ended) until the guard is dropped.
    pub fn live(&self) -> Gauged {
        self.metrics.live()
    }

    /// Counts an arrival as held until the guard is dropped.
    pub fn held(&self) -> Gauged {
        self.metrics.held()
    }

    /// Counts a connection as half closed until the guard is dropped. It stays live meanwhile.
    pub fn half_closed(&self) -> Gauged {
        self.metrics.half_closed()
    }

    /// Counts a UDP session as let in and not ended until the guard is dropped.
    pub fn session(&self) -> Gauged {
        self.metrics.session()
    }

    /// Counts a datagram that went no further.
    pub fn datagram_dropped(&self, why: Dropped) {
        self.datagrams_dropped(why, 1);
    }

    /// Counts so many of them.
    pub fn datagrams_dropped(&self, why: Dropped, count: usize) {
        self.metrics.datagrams_dropped(why, count);
    }

    /// Counts an ICMP error that the application's side answered a datagram with.
    pub fn app_unreachable(&self) {
        self.metrics.app_unreachable();
    }

    /// Adds payload bytes carried from clients (`inward`) and to them (`outward`).
    ///
    /// Call it while they are carried, or once at the end: nothing else counts them.
    pub fn carried(&self, inward: u64, outward: u64) {
        self.metrics.carried(inward, outward);
    }

    /// Notes how long one question to the law took.
    pub fn decided(&self, took: Duration) {
        self.metrics.decided(took);
    }

    /// Counts an ICMP error that an answer to a UDP client met; `why` says which.
    pub fn client_error(&self, why: &'static str) {
        self.metrics.client_error(why);
    }

    /// Counts a packet of mode queue that was refused without asking anybody: `why` names the header and field that
    /// cannot be read, or what else stood in the way.
    pub fn unreadable(&self, why: &'static str) {
        self.metrics.unreadable(why);
    }

    /// Notes how many packets with a forged source the rules have dropped so far.
    pub fn spoofed(&self, packets: u64) {
        self.metrics.spoofed(packets);
    }

    /// Notes how many packets the kernel's queues have dropped so far.
    pub fn queue_dropped(&self, packets: u64) {
        self.metrics.queue_dropped(packets);
    }

    /// Counts a failed `accept`, such as one that found no descriptor left (P17).
    pub fn accept_failed(&self) {
        self.metrics.accept_failed();
    }

    /// Every metric as OpenMetrics text, the `# EOF` line included.
    #[must_use]
    pub fn render(&self, source: &SourceReading) -> String {
        self.metrics.render(source)
    }

    /// Waits until every line queued so far is written, at most `patience`. Blocks the thread.
    ///
    /// Says whether it got so far.
    pub fn flush(&self, patience: Duration) -> bool {
        self.log.flush(patience)
    }
}

impl std::fmt::Debug for Account {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Account")
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}
