//! What is known of one arrival so far, and its farewell.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use podwall_policy::explain::Miss;
use podwall_policy::flow::{Flow, Protocol};

use super::Doorkeeper;
use crate::account::Revocation;
use crate::answer::relay::Carried;
use crate::arrival::{Mode, OriginalDst, SourceAddr};
use crate::farewell::{End, Farewell};
use crate::ruling::{Decision, Ruling};

/// What is known of one arrival so far.
pub(super) struct Story {
    pub(super) doorkeeper: Arc<Doorkeeper>,
    pub(super) time: SystemTime,
    pub(super) at: Instant,
    pub(super) source: SourceAddr,
    /// Unknown until it has been read.
    pub(super) destination: Option<OriginalDst>,
    pub(super) held: Duration,
}

impl Story {
    /// The story of an arrival from `peer` begins now.
    pub(super) fn new(doorkeeper: Arc<Doorkeeper>, peer: SocketAddr) -> Self {
        Self {
            doorkeeper,
            time: SystemTime::now(),
            at: Instant::now(),
            source: peer.into(),
            destination: None,
            held: Duration::ZERO,
        }
    }

    /// Asks the law, and notes how long it took.
    pub(super) fn judge(&self, flow: &Flow) -> Ruling {
        let asked = Instant::now();
        let ruling = self.doorkeeper.world.judge(self.source.ip(), flow);
        self.doorkeeper.account.decided(asked.elapsed());
        ruling
    }

    /// Ends the story: one line, one count. `flow` is what the law was asked, if it was.
    pub(super) fn farewell(&self, ruling: Ruling, flow: Option<&Flow>, carried: Carried, end: End) {
        let nearest_miss = match end {
            End::Denied | End::Revoked => self.nearest_miss(&ruling, flow),
            _ => None,
        };
        self.doorkeeper.account.farewell(&Farewell {
            time: self.time,
            mode: Mode::Redirect,
            source: self.source,
            destination: self.destination,
            protocol: Protocol::Tcp,
            ruling,
            nearest_miss,
            bytes_in: carried.inward,
            bytes_out: carried.outward,
            duration: self.at.elapsed(),
            held: self.held,
            end,
        });
    }

    /// Notes that the connection is being cut by `ruling`.
    pub(super) fn revoked(&self, ruling: &Ruling, flow: &Flow) {
        let Some(destination) = self.destination else {
            return;
        };
        self.doorkeeper.account.revoked(&Revocation {
            time: SystemTime::now(),
            source: self.source,
            destination,
            protocol: Protocol::Tcp,
            ruling: ruling.clone(),
            nearest_miss: self.nearest_miss(ruling, Some(flow)),
            open_for: self.at.elapsed(),
        });
    }

    /// The nearest miss of a denial by the law, within the quota.
    fn nearest_miss(&self, ruling: &Ruling, flow: Option<&Flow>) -> Option<Miss> {
        let doorkeeper = &self.doorkeeper;
        match (ruling.decision, flow) {
            (Decision::Deny(_), Some(flow)) if doorkeeper.quota.take(Instant::now()) => {
                let misses = doorkeeper.world.misses(self.source.ip(), flow);
                misses.into_iter().next()
            }
            _ => None,
        }
    }
}
