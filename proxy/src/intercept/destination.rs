//! Where an arrival was meant to go, and what is dismissed before anybody asks the law (P34).
//!
//! | original destination | is |
//! |---|---|
//! | cannot be read | `not_redirected` |
//! | loopback, the canary's port, from loopback | the canary (P40) |
//! | the relay's own port, at any address | `aimed_at_relay` |
//! | loopback, or no address of this pod | `not_this_pod` |
//! | of another family than the source | `not_redirected` |
//!
//! A connection that no rule redirected has the relay's own port as its destination: from here it
//! cannot be told from a caller who aimed at the relay, so both are `aimed_at_relay`.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use podwall_policy::flow::{Direction, Flow, Protocol};
use tokio::net::TcpStream;

use super::own_addresses::OwnAddresses;
use crate::arrival::{OriginalDst, SourceAddr};
use crate::ruling::Refusal;
use crate::sys;

#[cfg(test)]
mod tests;

/// Answers what only the machine knows of a destination. Tests put their own answers here.
pub trait Destinations: std::fmt::Debug + Send + Sync + 'static {
    /// Where the client of `stream` wanted to go.
    ///
    /// # Errors
    /// Where that cannot be read.
    fn original(&self, stream: &TcpStream, peer: SocketAddr) -> io::Result<OriginalDst>;

    /// Whether `address`, canonical, is one of this pod's. Loopback is not: a service that listens
    /// there only must not be reachable from outside (P33).
    fn is_this_pod(&self, address: IpAddr) -> bool;

    /// Whether nobody outside may have this address, canonical, as a source: loopback and the pod's own.
    fn is_from_within(&self, source: IpAddr) -> bool {
        source.is_loopback() || self.is_this_pod(source)
    }
}

/// The destinations of connections that nat REDIRECT has sent here.
#[derive(Debug)]
pub struct Redirected(OwnAddresses);

impl Default for Redirected {
    fn default() -> Self {
        Self(OwnAddresses::of_this_pod())
    }
}

impl Destinations for Redirected {
    fn original(&self, stream: &TcpStream, peer: SocketAddr) -> io::Result<OriginalDst> {
        sys::original_destination(stream, peer).map(OriginalDst::from)
    }

    fn is_this_pod(&self, address: IpAddr) -> bool {
        self.0.contains(address, Instant::now())
    }
}

/// The two ports that mean podwall itself.
#[derive(Clone, Copy, Debug)]
pub struct OwnPorts {
    /// Where the relay listens.
    pub listen: u16,
    /// Which loopback port the rules redirect to the relay, so that readiness can meet itself (P40).
    pub canary: u16,
}

/// What an arrival is meant for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Meant {
    /// Readiness looks for itself.
    ForTheCanary,
    /// The application; the law must be asked this.
    ForTheApplication(Flow),
}

/// Says what an arrival is meant for; `is_this_pod` is asked last, as it may cost a system call.
///
/// # Errors
/// The refusal, where it is meant for neither.
pub fn meant(
    source: SourceAddr,
    destination: OriginalDst,
    ports: OwnPorts,
    is_this_pod: impl FnOnce(IpAddr) -> bool,
) -> Result<Meant, Refusal> {
    let (from, to) = (source.ip(), destination.ip());
    if to.is_loopback() && from.is_loopback() && destination.port() == ports.canary {
        return Ok(Meant::ForTheCanary);
    }
    if destination.port() == ports.listen {
        return Err(Refusal::AimedAtRelay);
    }
    if !is_this_pod(to) {
        return Err(Refusal::NotThisPod);
    }
    Flow::between(
        Direction::Ingress,
        Protocol::Tcp,
        from,
        to,
        destination.port(),
    )
    .map(Meant::ForTheApplication)
    .map_err(|_mixed| Refusal::NotRedirected)
}
