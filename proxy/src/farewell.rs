//! Shared noun: one arrival at its end, everything that the log line and the counters need.
//!
//! Made by [`connection`](crate::connection), read by [`account`](crate::account), changed by nobody.

use std::time::{Duration, SystemTime};

use podwall_policy::explain::Miss;
use podwall_policy::flow::Protocol;

use crate::arrival::{Mode, OriginalDst, SourceAddr};
use crate::ruling::Ruling;

/// One arrival at its end.
#[derive(Clone, Debug)]
pub struct Farewell {
    /// When the arrival was accepted.
    pub time: SystemTime,
    /// Through which data path it came.
    pub mode: Mode,
    /// Its source.
    pub source: SourceAddr,
    /// Its destination; `None` where it cannot be read.
    pub destination: Option<OriginalDst>,
    /// The transport protocol.
    pub protocol: Protocol,
    /// The decision it was let in or refused by; for a revoked one the decision that cut it.
    pub ruling: Ruling,
    /// The nearest miss of a denial, where the law gave one.
    pub nearest_miss: Option<Miss>,
    /// Bytes from the client to the application: of payload in mode redirect, of whole packets in mode queue. `None`
    /// where nobody counted.
    pub bytes_in: Option<u64>,
    /// Bytes from the application to the client, likewise.
    pub bytes_out: Option<u64>,
    /// From acceptance to the end, waiting included.
    pub duration: Duration,
    /// How long it was held for an answer that could not be given at once; zero where it was not.
    pub held: Duration,
    /// How it ended.
    pub end: End,
}

/// How an arrival ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    /// It was not let in and was reset.
    Denied,
    /// Both sides closed.
    Closed,
    /// The client reset the connection or vanished.
    ClientGone,
    /// The application refused the connection or could not be reached; the client was reset.
    AppRefused,
    /// The application reset the connection or vanished.
    AppGone,
    /// No local port was left for the application's side; the client was reset (P15).
    NoLocalPort,
    /// A change turned the verdict; both sides were reset (P28).
    Revoked,
    /// One side had closed and the other stayed silent too long; both were reset (P13).
    HalfCloseTimeout,
    /// podwall stopped before the connection ended; both sides were reset.
    Stopped,
    /// A UDP session in which nobody has spoken for its time (P30).
    Idle,
    /// A UDP session whose place went to another one.
    Evicted,
    /// The kernel's connection tracking forgot the connection before both sides had closed it.
    Forgotten,
    /// podwall stopped; the kernel goes on carrying the flow.
    LeftOpen,
    /// It was let in and its end will not be told: more flows are open than podwall follows.
    NotFollowed,
}

impl End {
    /// The `end` in the access log. Stable.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::Closed => "closed",
            Self::ClientGone => "client_gone",
            Self::AppRefused => "app_refused",
            Self::AppGone => "app_gone",
            Self::NoLocalPort => "no_local_port",
            Self::Revoked => "revoked",
            Self::HalfCloseTimeout => "half_close_timeout",
            Self::Stopped => "stopped",
            Self::Idle => "idle",
            Self::Evicted => "evicted",
            Self::Forgotten => "forgotten",
            Self::LeftOpen => "left_open",
            Self::NotFollowed => "not_followed",
        }
    }
}
