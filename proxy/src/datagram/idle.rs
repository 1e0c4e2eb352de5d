//! How long a session may be silent: never longer than the kernel remembers it (P30).

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::answer::session::{ONE_WAY_IDLE, STREAM_IDLE};

#[cfg(test)]
mod tests;

/// Where the kernel keeps what it does in this network namespace.
const KERNEL: &str = "/proc/sys/net/netfilter";

/// How long a session may be silent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct IdleTimes {
    /// See [`ONE_WAY_IDLE`].
    pub one_way: Duration,
    /// See [`STREAM_IDLE`].
    pub stream: Duration,
}

impl Default for IdleTimes {
    fn default() -> Self {
        Self {
            one_way: ONE_WAY_IDLE,
            stream: STREAM_IDLE,
        }
    }
}

impl IdleTimes {
    /// The usual times, or the kernel's where somebody has made those shorter in this network namespace.
    #[must_use]
    pub fn of_this_pod() -> Self {
        Self::in_directory(Path::new(KERNEL))
    }

    fn in_directory(kernel: &Path) -> Self {
        let usual = Self::default();
        let at_most = |usual: Duration, file: &str| {
            let text = fs::read_to_string(kernel.join(file)).ok();
            let seconds = text.and_then(|text| text.trim().parse().ok());
            // Zero would end every session at once; no less than the kernel's own tick of a second.
            seconds.map_or(usual, |seconds: u64| {
                usual.min(Duration::from_secs(seconds.max(1)))
            })
        };
        Self {
            one_way: at_most(usual.one_way, "nf_conntrack_udp_timeout"),
            stream: at_most(usual.stream, "nf_conntrack_udp_timeout_stream"),
        }
    }
}
