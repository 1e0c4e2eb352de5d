//! What proves that the rules are there: the canary in mode redirect, reading them back in mode queue.

use std::sync::Arc;
use std::time::Instant;

use super::canary::Canary;
use super::rules::Rules;

/// How readiness knows the rules.
#[derive(Debug)]
pub enum Proof {
    /// It meets itself through them (P40).
    Canary(Canary),
    /// It has read them back.
    Rules(Arc<Rules>),
}

impl Proof {
    /// What is not as it should be; none where all is well.
    pub(super) async fn faults(&self) -> Vec<String> {
        match self {
            Self::Canary(canary) => {
                let faults = canary.ask().await;
                faults.iter().map(ToString::to_string).collect()
            }
            Self::Rules(rules) => rules.faults(Instant::now()),
        }
    }
}
