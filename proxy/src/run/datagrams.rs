//! The UDP side: its listeners, its share of the descriptors, its task, and what the pod declares beyond it.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::RunError;
use podwall_policy::flow::Protocol;

use crate::answer::session::SESSIONS;
use crate::config::{Config, UdpPort};
use crate::connection::{Doorkeeper, DrainPhase};
use crate::datagram::{DatagramError, IdleTimes, Keeper, Recheck, Settings};
use crate::intercept::datagram::DatagramDoor;
use crate::world::World;

/// The task that carries datagrams.
pub(super) type Carrying = JoinHandle<Result<(), DatagramError>>;

/// Listens for every UDP port.
///
/// # Errors
/// Where a port cannot be had.
pub(super) fn bind(ports: &[UdpPort]) -> Result<Vec<DatagramDoor>, DatagramError> {
    let bound = ports
        .iter()
        .map(|one| DatagramDoor::bind(one.port, one.listen));
    Ok(bound.collect::<Result<_, _>>()?)
}

/// How many of so many descriptors are for UDP: a quarter, as far as sessions go, and none where no port is
/// carried.
pub(super) fn share(descriptors: u64, ports: &[UdpPort]) -> u64 {
    match ports {
        [] => 0,
        _ => (descriptors / 4).min(SESSIONS as u64),
    }
}

/// Starts the task. `share` is what [`share`] gave.
///
/// # Errors
/// Where the kernel does not let it wait for datagrams.
pub(super) fn serve(
    config: &Config,
    doors: Vec<DatagramDoor>,
    share: u64,
    doorkeeper: Arc<Doorkeeper>,
    recheck: Arc<Recheck>,
    phase: watch::Receiver<DrainPhase>,
) -> Result<Carrying, RunError> {
    if !doors.is_empty() {
        tracing::info!(
            "carrying {} UDP ports; room for {share} sessions",
            doors.len()
        );
    }
    let settings = Settings {
        sessions: usize::try_from(share).unwrap_or(SESSIONS),
        idle: IdleTimes::of_this_pod(),
        keep_established: config.keep_established,
    };
    let keeper = Keeper::new(doorkeeper, doors, recheck, settings).map_err(DatagramError::from)?;
    Ok(tokio::spawn(keeper.keep(phase)))
}

/// Says which UDP ports the pod declares that nobody serves, whenever that changes.
#[derive(Debug)]
pub(super) struct Unserved {
    served: Vec<u16>,
    told: Vec<u16>,
}

impl Unserved {
    pub(super) fn new(config: &Config) -> Self {
        let carried = config.udp_ports.iter().map(|one| one.port);
        let open = config
            .unguarded
            .iter()
            .filter(|(protocol, _)| *protocol == Protocol::Udp)
            .map(|(_, port)| *port);
        Self {
            served: carried.chain(open).collect(),
            told: Vec::new(),
        }
    }

    /// To be called by whoever changes the world.
    pub(super) fn look(&mut self, world: &World) {
        let declared = world.declared_udp_ports();
        let unserved = declared.iter().filter(|port| !self.served.contains(port));
        let unserved: Vec<u16> = unserved.copied().collect();
        if unserved == self.told {
            return;
        }
        if !unserved.is_empty() {
            let list: Vec<String> = unserved.iter().map(u16::to_string).collect();
            tracing::warn!(
                "pod {} declares UDP ports {} that neither --udp-port nor --unguarded-port names: what is sent \
                 there is dropped",
                world.subject(),
                list.join(", ")
            );
        }
        self.told = unserved;
    }
}
