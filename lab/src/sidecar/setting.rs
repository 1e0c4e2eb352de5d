//! How podwall shall run beside a pod: its mode and what goes to its command lines. Starts nothing.

use super::Source;
use crate::Cmd;

/// Which of its data paths podwall uses.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// The sidecar relays; it runs without any privilege.
    Redirect,
    /// The kernel asks the sidecar for a verdict; it runs with NET_ADMIN alone.
    Queue,
}

/// Everything that can be chosen about podwall beside a pod.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'a> {
    /// The data path.
    pub mode: Mode,
    /// Where the sidecar takes pods, namespaces and policies from.
    pub source: Source<'a>,
    /// Flags for both programs, such as `--udp-port 53`.
    pub shared: &'a [&'a str],
    /// Flags for the sidecar alone.
    pub more: &'a [&'a str],
}

impl Mode {
    /// As the command lines say it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Redirect => "redirect",
            Self::Queue => "queue",
        }
    }

    pub(super) fn privilege(self, sidecar: Cmd) -> Cmd {
        match self {
            Self::Redirect => sidecar.unprivileged(),
            Self::Queue => sidecar.only_net_admin(),
        }
    }
}

impl<'a> Setting<'a> {
    pub(super) const fn redirect(source: Source<'a>, more: &'a [&'a str]) -> Self {
        Self {
            mode: Mode::Redirect,
            source,
            shared: &[],
            more,
        }
    }
}
