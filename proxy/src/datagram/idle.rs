//! How long a session may be silent: never longer than the kernel remembers it (P30).

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::answer::session::{ONE_WAY_IDLE, STREAM_IDLE};

#[cfg(test)]
mod tests;

/// Where the kernel keeps what it does in this network namespace.
const KERNEL: &str = "/proc/sys/net/netfilter";

/// By so much less than the kernel a session is remembered, or by half where the kernel's time is as short: the kernel
/// counts from when a datagram arrives, a session from when it is read.
pub const IDLE_MARGIN: Duration = Duration::from_secs(1);

/// How long a session may be silent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct IdleTimes {
    /// [`ONE_WAY_IDLE`] less [`IDLE_MARGIN`], or less than that.
    pub one_way: Duration,
    /// [`STREAM_IDLE`] less [`IDLE_MARGIN`], or less than that.
    pub stream: Duration,
}

impl Default for IdleTimes {
    fn default() -> Self {
        Self {
            one_way: below(ONE_WAY_IDLE),
            stream: below(STREAM_IDLE),
        }
    }
}

impl IdleTimes {
    /// A little below the usual times, or below the kernel's where somebody has made those shorter in this network namespace.
    #[must_use]
    pub fn of_this_pod() -> Self {
        Self::in_directory(Path::new(KERNEL))
    }

    fn in_directory(kernel: &Path) -> Self {
        let at_most = |usual: Duration, file: &str| {
            let text = fs::read_to_string(kernel.join(file)).ok();
            let seconds = text.and_then(|text| text.trim().parse().ok());
            // Zero would end every session at once; no less than the kernel's own tick of a second.
            seconds.map_or(usual, |seconds: u64| {
                usual.min(below(Duration::from_secs(seconds.max(1))))
            })
        };
        let usual = Self::default();
        Self {
            one_way: at_most(usual.one_way, "nf_conntrack_udp_timeout"),
            stream: at_most(usual.stream, "nf_conntrack_udp_timeout_stream"),
        }
    }
}

/// Below what the kernel has, by the margin or by half.
fn below(kernel: Duration) -> Duration {
    kernel - IDLE_MARGIN.min(kernel / 2)
}
