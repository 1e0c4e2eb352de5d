//! Asks the law for whoever tells an arrival's story, and knows the words that go into its line.
//!
//! May enter: source addresses and flows. Deliberately absent: how the arrival came, waiting, sockets.
//! Every data path asks through here, so that each question is timed and each miss counts in one quota.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use podwall_policy::explain::Miss;
use podwall_policy::flow::Flow;

use crate::account::Account;
use crate::quota::MissQuota;
use crate::ruling::{Decision, Ruling};
use crate::world::World;

/// What is known, where it is written down, and how many misses may be worked out meanwhile.
#[derive(Debug)]
pub struct Clerk {
    world: Arc<World>,
    account: Arc<Account>,
    quota: MissQuota,
}

impl Clerk {
    /// A clerk who knows `world` and writes to `account`.
    #[must_use]
    pub fn new(world: Arc<World>, account: Arc<Account>) -> Self {
        Self {
            world,
            account,
            quota: MissQuota::default(),
        }
    }

    /// What is known.
    #[must_use]
    pub fn world(&self) -> &World {
        &self.world
    }

    /// Where it is written down.
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// Asks the law, and notes how long it took.
    #[must_use]
    pub fn judge(&self, source: IpAddr, flow: &Flow) -> Ruling {
        let asked = Instant::now();
        let ruling = self.world.judge(source, flow);
        self.account.decided(asked.elapsed());
        ruling
    }

    /// The nearest miss of a denial by the law, within the quota.
    #[must_use]
    pub fn nearest_miss(
        &self,
        source: IpAddr,
        ruling: &Ruling,
        flow: Option<&Flow>,
    ) -> Option<Miss> {
        match (ruling.decision, flow) {
            (Decision::Deny(_), Some(flow)) if self.quota.take(Instant::now()) => {
                self.world.misses(source, flow).into_iter().next()
            }
            _ => None,
        }
    }
}
