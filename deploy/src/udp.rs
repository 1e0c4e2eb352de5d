//! Which UDP port is redirected to which listener: the rewrite loses the port that a datagram was sent to
//! (P2), so each port has a listener of its own.
//!
//! May enter: port numbers. Deliberately absent: rules, sockets.

/// The most UDP ports that can be redirected.
///
/// Each costs a socket of the sidecar and two rules per family; pods declare a handful.
pub const MAX_UDP_PORTS: usize = 64;

/// A UDP port of the pod and the port of the listener that its datagrams are redirected to.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct UdpPort {
    /// The port that clients send to.
    pub port: u16,
    /// The listener's port.
    pub listen: u16,
}

/// Why UDP ports cannot get listeners.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum UdpFault {
    /// One of the ports is 0.
    #[error("write port numbers from 1 to 65535, separated by commas")]
    Zero,
    /// More than [`MAX_UDP_PORTS`].
    #[error("{count} ports; at most {MAX_UDP_PORTS} can be redirected, name fewer")]
    TooMany {
        /// How many there are.
        count: usize,
    },
    /// The consecutive listeners do not fit.
    #[error(
        "{count} UDP ports need as many listeners from there, which goes past 65535; give a lower port"
    )]
    PastTheLast {
        /// How many listeners are wanted.
        count: usize,
    },
    /// A UDP port of the application is one of the listeners' ports.
    #[error(
        "the sidecar listens on UDP port {port}, which the pod uses itself; give a port from which all are free"
    )]
    Taken {
        /// The port.
        port: u16,
    },
    /// A port shall be both judged and left to everybody.
    #[error(
        "UDP port {port} is judged and left to everybody at once; name it in --udp-port or in --unguarded-port, not in both"
    )]
    Unguarded {
        /// The port.
        port: u16,
    },
}

impl UdpPort {
    /// Gives each port a listener, in the order of the ports: the first on `first`, the next on the
    /// next. Ports come out sorted, each once. `unguarded` are the UDP ports that are left to everybody.
    ///
    /// # Errors
    /// See [`UdpFault`].
    pub fn assign(
        ports: impl IntoIterator<Item = u16>,
        first: u16,
        unguarded: &[u16],
    ) -> Result<Vec<Self>, UdpFault> {
        let mut ports: Vec<u16> = ports.into_iter().collect();
        ports.sort_unstable();
        ports.dedup();
        let count = ports.len();
        if ports.first() == Some(&0) {
            return Err(UdpFault::Zero);
        }
        if count > MAX_UDP_PORTS {
            return Err(UdpFault::TooMany { count });
        }
        let listeners = first..=u16::MAX;
        if first == 0 || listeners.len() < count {
            return Err(UdpFault::PastTheLast { count });
        }
        let assigned = ports.into_iter().zip(listeners);
        let assigned: Vec<Self> = assigned
            .map(|(port, listen)| Self { port, listen })
            .collect();
        let own: Vec<u16> = assigned.iter().map(|one| one.port).collect();
        is_free(&assigned, &own)?;
        apart(&assigned, unguarded)?;
        Ok(assigned)
    }
}

/// That what is left to everybody is neither redirected nor a listener's.
pub(crate) fn apart(assigned: &[UdpPort], unguarded: &[u16]) -> Result<(), UdpFault> {
    is_free(assigned, unguarded)?;
    let is_judged = |port: &&u16| assigned.iter().any(|one| one.port == **port);
    let both = unguarded.iter().find(is_judged);
    both.map_or(Ok(()), |&port| Err(UdpFault::Unguarded { port }))
}

/// That no listener is on one of `ports`.
fn is_free(assigned: &[UdpPort], ports: &[u16]) -> Result<(), UdpFault> {
    let is_taken = |port: &&u16| assigned.iter().any(|one| one.listen == **port);
    let taken = ports.iter().find(is_taken);
    taken.map_or(Ok(()), |&port| Err(UdpFault::Taken { port }))
}

#[cfg(test)]
mod tests;
