//! Times of many writes, and their distribution.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Instant;

/// What was written.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Change {
    /// A policy's rules.
    Policy,
    /// The client pod's labels.
    Labels,
}

/// The moments of one write.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Before the request was sent.
    pub sent: Instant,
    /// When the answer was there: the object is stored.
    pub answered: Instant,
    /// When a watcher beside podwall had the event: the API server's own part is over.
    pub event: Instant,
    /// When the first new connection was over that got what the new state says; where that is a denial, and the last
    /// open connection was reset later, then.
    pub enforced: Instant,
    /// When the last open connection was reset, where the write shuts the door.
    pub cut: Option<Instant>,
}

/// The writes of each kind at one size of the cluster.
#[derive(Debug, Default)]
pub struct Samples(BTreeMap<Change, Vec<Sample>>);

/// What happened to the writes of one kind.
pub struct Series {
    /// What was written.
    pub change: Change,
    /// How often.
    pub count: usize,
    /// From the answer to enforcement.
    pub enforced: Distribution,
    /// From before the request to enforcement.
    pub from_request: Distribution,
    /// From the answer to the event at another watcher; below zero where it overtook the answer.
    pub event: Distribution,
    /// From that event to enforcement.
    pub own: Distribution,
    /// From the answer to the reset of the last open connection, of the writes that shut.
    pub cut: Distribution,
}

/// A distribution, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Distribution {
    p50: f64,
    p90: f64,
    p99: f64,
    max: f64,
}

impl Samples {
    /// Adds one write.
    pub fn add(&mut self, change: Change, sample: Sample) {
        self.0.entry(change).or_default().push(sample);
    }

    /// The distributions of each kind of write.
    pub fn series(&self) -> impl Iterator<Item = Series> {
        self.0.iter().map(|(change, samples)| {
            let spans = |span: fn(&Sample) -> f64| Distribution::of(samples.iter().map(span));
            Series {
                change: *change,
                count: samples.len(),
                enforced: spans(|one| milliseconds(one.answered, one.enforced)),
                from_request: spans(|one| milliseconds(one.sent, one.enforced)),
                event: spans(|one| milliseconds(one.answered, one.event)),
                own: spans(|one| milliseconds(one.event, one.enforced)),
                cut: Distribution::of(samples.iter().filter_map(|one| {
                    let cut = one.cut?;
                    Some(milliseconds(one.answered, cut))
                })),
            }
        })
    }
}

/// From one moment to another; below zero where `to` was first.
fn milliseconds(from: Instant, to: Instant) -> f64 {
    let later = to.saturating_duration_since(from).as_secs_f64();
    let earlier = from.saturating_duration_since(to).as_secs_f64();
    (later - earlier) * 1e3
}

impl Distribution {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let at = |percent: usize| {
            // The smallest value that so many percent do not exceed.
            let rank = (values.len() * percent).div_ceil(100).max(1);
            values.get(rank - 1).copied().unwrap_or(f64::NAN)
        };
        Self {
            p50: at(50),
            p90: at(90),
            p99: at(99),
            max: at(100),
        }
    }
}

/// `p50 / p90 / p99 / max`.
impl fmt::Display for Distribution {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { p50, p90, p99, max } = self;
        write!(out, "{p50:.1} / {p90:.1} / {p99:.1} / {max:.1}")
    }
}
