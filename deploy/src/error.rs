//! Why the rules could not be installed, checked or removed.

use std::io;
use std::net::IpAddr;

use crate::backend::{Attempt, Backend, Obstacle};
use crate::compare::Difference;
use crate::foreign::ForeignRule;
use crate::udp::UdpFault;
use crate::wanted::Family;

/// Who can mend an error.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// Whoever wrote the flags or the pod's spec.
    Usage,
    /// Whoever runs the machine: a missing privilege, tool or kernel feature, rules of others.
    Environment,
}

/// What went wrong around the rules. Unless a variant says otherwise nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum RedirectError {
    /// A port is 0.
    #[error("{name} port is 0; give --{name}-port a port from 1 to 65535")]
    ZeroPort {
        /// `listen`, `canary`, `node` or `unguarded`.
        name: &'static str,
    },
    /// The relay's port and the canary's are the same, so the canary would prove nothing.
    #[error("listen port and canary port are both {port}; give them different ports")]
    SamePort {
        /// The port.
        port: u16,
    },
    /// UDP ports that cannot be redirected.
    #[error("--udp-port, --udp-listen-port: {0}")]
    UdpPorts(#[from] UdpFault),
    /// An address that cannot be a node's.
    #[error(
        "node address {address} is {kind}; give addresses of the node as the pod sees them \
         (HOST_IPS, --node-address)"
    )]
    NodeAddress {
        /// The address.
        address: IpAddr,
        /// What it is.
        kind: &'static str,
    },
    /// The pod shares its node's network namespace (S66).
    #[error(
        "node address {address} is an address of this network namespace: this is a hostNetwork \
         pod, or HOST_IPS or --node-address holds the pod's own address. podwall cannot guard a \
         hostNetwork pod (its rules would take the whole node's traffic); remove podwall or \
         `hostNetwork: true` from the pod, or correct the address"
    )]
    HostNetwork {
        /// The address found on both sides.
        address: IpAddr,
    },
    /// The kernel's route table could not be read.
    #[error("cannot read the default gateways from {path}; use --no-gateway and --node-address")]
    Routes {
        /// The file.
        path: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The pod's own addresses could not be listed.
    #[error("cannot list the addresses of this network namespace; is netlink allowed here?")]
    Addresses(#[source] io::Error),
    /// No back end of iptables can be used.
    #[error(
        "no back end of iptables can be used here: {}; {}",
        listed(attempts),
        mend(attempts)
    )]
    NoBackend {
        /// What was tried, in order.
        attempts: Vec<Attempt>,
    },
    /// No rules of ours are where we can look, and there is a place where we cannot.
    #[error(
        "none of podwall's rules are in the back ends that can be read, and they may be where that is not \
         allowed: {}; {}",
        listed(attempts),
        mend(attempts)
    )]
    Unseen {
        /// What could not be read.
        attempts: Vec<Attempt>,
    },
    /// The counters of a table could not be read.
    #[error("cannot read the counters of podwall's rules: {0}")]
    Counters(Attempt),
    /// Rules of others that take inbound packets before ours.
    #[error(
        "rules of others would take inbound packets ahead of podwall's, or change the addresses or marks that \
         it goes by: {}; remove them, or let only one of the two have this pod's traffic",
        listed(rules)
    )]
    Foreign {
        /// The rules.
        rules: Vec<ForeignRule>,
    },
    /// Rules of ours stand in another back end than the one that can be used now.
    #[error(
        "back end {chosen} can be used, but back end {other} already holds podwall's {family} \
         rules; remove those first (`podwall redirect --remove`), or start the pod afresh"
    )]
    OtherBackend {
        /// The back end that was found usable.
        chosen: Backend,
        /// The one that holds rules of ours.
        other: Backend,
        /// The family of those rules.
        family: Family,
    },
    /// A commit failed. The earlier ones stand, which leaves the pod closed.
    #[error(
        "step `{step}` failed, {done} of {all} steps are done, inbound traffic is refused: \
         {attempt}; {}",
        attempt.mend()
    )]
    Step {
        /// The step.
        step: String,
        /// How many steps before it were committed.
        done: usize,
        /// How many steps there are.
        all: usize,
        /// What happened.
        attempt: Attempt,
    },
    /// The rules were installed, but reading them back shows others.
    #[error(
        "the rules are installed, but read back they are not as wanted: {}; does another program \
         change them at the same time?",
        listed(differences)
    )]
    NotAsWanted {
        /// What differs.
        differences: Vec<Difference>,
    },
}

impl RedirectError {
    /// Who can mend it.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::ZeroPort { .. }
            | Self::SamePort { .. }
            | Self::UdpPorts(_)
            | Self::NodeAddress { .. }
            | Self::HostNetwork { .. } => Fault::Usage,
            Self::Routes { .. }
            | Self::Addresses(_)
            | Self::NoBackend { .. }
            | Self::Unseen { .. }
            | Self::Counters(_)
            | Self::Foreign { .. }
            | Self::OtherBackend { .. }
            | Self::Step { .. }
            | Self::NotAsWanted { .. } => Fault::Environment,
        }
    }
}

/// The items, one after the other.
fn listed<T: std::fmt::Display>(items: &[T]) -> String {
    items
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}

/// What helps against a list of failed attempts, each mend once.
fn mend(attempts: &[Attempt]) -> String {
    let mut obstacles: Vec<Obstacle> = attempts.iter().map(|attempt| attempt.obstacle).collect();
    obstacles.sort_unstable();
    obstacles.dedup();
    obstacles
        .into_iter()
        .map(Obstacle::mend)
        .collect::<Vec<_>>()
        .join("; ")
}
