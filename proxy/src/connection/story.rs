//! What is known of one arrival so far, and its farewell.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use podwall_policy::explain::Miss;
use podwall_policy::flow::{Flow, Protocol};

use super::Doorkeeper;
use crate::account::Revocation;
use crate::answer::relay::Carried;
use crate::arrival::{Mode, OriginalDst, SourceAddr};
use crate::farewell::{End, Farewell};
use crate::ruling::Ruling;

/// What is known of one arrival so far. Packed, as every open connection keeps one.
pub(super) struct Story {
    pub(super) doorkeeper: Arc<Doorkeeper>,
    time: SystemTime,
    pub(super) at: Instant,
    source: Endpoint,
    /// Unknown until it has been read.
    destination: Option<Endpoint>,
    held_micros: u32,
}

/// An address and a port, without the scope that a v6 socket address has: no line prints it.
#[derive(Clone, Copy)]
struct Endpoint {
    ip: IpAddr,
    port: u16,
}

impl Endpoint {
    fn socket(self) -> SocketAddr {
        SocketAddr::new(self.ip, self.port)
    }
}

impl Story {
    /// The story of an arrival from `peer` begins now.
    pub(super) fn new(doorkeeper: Arc<Doorkeeper>, peer: SocketAddr) -> Self {
        let source = SourceAddr::from(peer);
        Self {
            doorkeeper,
            time: SystemTime::now(),
            at: Instant::now(),
            source: Endpoint {
                ip: source.ip(),
                port: source.port(),
            },
            destination: None,
            held_micros: 0,
        }
    }

    pub(super) fn source(&self) -> SourceAddr {
        self.source.socket().into()
    }

    pub(super) fn source_ip(&self) -> IpAddr {
        self.source.ip
    }

    pub(super) fn note_destination(&mut self, destination: OriginalDst) {
        self.destination = Some(Endpoint {
            ip: destination.ip(),
            port: destination.port(),
        });
    }

    /// Notes how long it was held; a hold is never as long as an hour.
    pub(super) fn note_held(&mut self, held: Duration) {
        self.held_micros = u32::try_from(held.as_micros()).unwrap_or(u32::MAX);
    }

    fn destination(&self) -> Option<OriginalDst> {
        self.destination.map(|endpoint| endpoint.socket().into())
    }

    /// Asks the law.
    pub(super) fn judge(&self, flow: &Flow) -> Ruling {
        self.doorkeeper.clerk.judge(self.source.ip, flow)
    }

    /// Ends the story: one line, one count. `flow` is what the law was asked, if it was.
    pub(super) fn farewell(&self, ruling: Ruling, flow: Option<&Flow>, carried: Carried, end: End) {
        let nearest_miss = match end {
            End::Denied | End::Revoked => self.nearest_miss(&ruling, flow),
            _ => None,
        };
        self.doorkeeper.clerk.account().farewell(&Farewell {
            time: self.time,
            mode: Mode::Redirect,
            source: self.source(),
            destination: self.destination(),
            protocol: Protocol::Tcp,
            ruling,
            nearest_miss,
            bytes_in: Some(carried.inward),
            bytes_out: Some(carried.outward),
            duration: self.at.elapsed(),
            held: Duration::from_micros(self.held_micros.into()),
            end,
        });
    }

    /// Notes that the connection is being cut by `ruling`.
    pub(super) fn revoked(&self, ruling: &Ruling, flow: &Flow) {
        let Some(destination) = self.destination() else {
            return;
        };
        self.doorkeeper.clerk.account().revoked(&Revocation {
            time: SystemTime::now(),
            source: self.source(),
            destination,
            protocol: Protocol::Tcp,
            ruling: ruling.clone(),
            nearest_miss: self.nearest_miss(ruling, Some(flow)),
            open_for: self.at.elapsed(),
        });
    }

    fn nearest_miss(&self, ruling: &Ruling, flow: Option<&Flow>) -> Option<Miss> {
        self.doorkeeper
            .clerk
            .nearest_miss(self.source.ip, ruling, flow)
    }
}
