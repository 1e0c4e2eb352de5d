//! How podwall gets in front of a pod: the netfilter rules of the modes `redirect` and `queue`.
//!
//! The paved path is [`install`], [`check`] and [`remove`]; [`rules()`] gives the wanted text
//! without touching anything. They all work in the network namespace of the calling thread.
//!
//! ```text
//! Wanted -> rules (pure) ---------------+
//! iptables-save -> dump (pure) -> plan (pure) -> steps -> iptables-restore
//!                       |                                     |
//!                       +-> foreign (pure): refuse            +-> save again -> compare (pure)
//! ```
//!
//! May enter: ports, queues, node addresses, what `iptables-save` prints. Deliberately absent: command
//! line parsing, the proxy, Kubernetes. The rooms `backend` and `redirect` run programs; every
//! other room is pure.

mod addresses;
mod backend;
mod compare;
mod dump;
mod error;
mod foreign;
mod gateways;
mod installed;
mod mode;
mod native;
mod plan;
mod redirect;
mod rules;
mod udp;
mod wanted;

pub use addresses::own_addresses;
pub use backend::{Attempt, Backend, Obstacle};
pub use compare::Difference;
pub use error::{Fault, RedirectError};
pub use foreign::ForeignRule;
pub use gateways::gateways;
pub use mode::{
    ADMITTED, MAX_QUEUES, Mode, OWN, Queue, Queues, QueuesFault, REFUSED, Redirect, UdpDeny,
};
pub use plan::{Step, Table};
pub use redirect::{
    Plan, Removed, Report, check, install, install_with, plan, remove, remove_plan,
};
pub use rules::rules;
pub use udp::{MAX_UDP_PORTS, UdpFault, UdpPort};
pub use wanted::{Family, Transport, Wanted, refuse_host_network};
