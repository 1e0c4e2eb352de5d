//! Intercept: how arrivals reach podwall.
//!
//! May enter: listeners, accepted sockets, addresses of this pod. Deliberately absent: who sent an
//! arrival and whether it may pass. [`destination`] dismisses what was not meant for this pod.

pub mod datagram;
pub mod destination;
pub(crate) mod own_addresses;
pub mod packet;
pub mod queue;
pub mod redirect;
