//! Connection tracking, asked and changed in place.
//!
//! A flow is found and marked in the default zone, which is where a pod's are unless a rule of its own says otherwise;
//! entries of other zones are listed only. One entry costs 6 us to get, 11 us to mark and 2.5 us to list (measured).

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use podwall_policy::flow::Protocol;
use rustix::net::netlink::NETFILTER;

use super::entry::{Entry, MARK, MARK_MASK, TUPLE};
use super::netlink::{Listing, Netlink, unless_missing};
use super::tuple::Tuple;
use super::wire::{ACK, DUMP, Request};

/// Message types: the subsystem in the upper byte (`NFNL_SUBSYS_CTNETLINK`), `enum cntl_msg_types` in the lower.
pub(super) const NEW: u16 = 0x0100;
const GET: u16 = 0x0101;
pub(super) const DELETE: u16 = 0x0102;

/// Address families in the fixed part.
const UNSPECIFIED: u8 = 0;
const INET: u8 = 2;
const INET6: u8 = 10;

/// How often a listing that was interrupted is begun again. Conntrack's own are interrupted only where its table is
/// resized meanwhile, which an operator does once.
const TRIES: usize = 3;

/// A connection to the conntrack of one network namespace.
#[derive(Debug)]
pub struct Conntrack(Netlink);

impl Conntrack {
    /// Opens it in the network namespace of this thread.
    ///
    /// # Errors
    /// Where no netlink socket can be had. A missing capability shows at the first request.
    pub fn open() -> io::Result<Self> {
        Netlink::open(NETFILTER).map(Self)
    }

    /// The same, where the kernel answers at all.
    ///
    /// # Errors
    /// The kernel's: `InvalidInput` where it has no conntrack over netlink, `PermissionDenied` without CAP_NET_ADMIN.
    pub fn answering(mut self) -> io::Result<Self> {
        let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let _none = self.get(&Tuple::new(Protocol::Udp, nowhere, nowhere))?;
        Ok(self)
    }

    /// Tells `each` every entry of TCP, UDP and SCTP, of both families. Not one moment: an entry that comes or goes
    /// meanwhile may be told or not, one that stays is told at least once.
    ///
    /// Work and system calls grow with the table (about a hundred entries a call); memory does not.
    ///
    /// # Errors
    /// The kernel's: `PermissionDenied` without CAP_NET_ADMIN. `Interrupted` where every one of a few tries was.
    pub fn dump(&mut self, each: &mut dyn FnMut(Entry)) -> io::Result<()> {
        for _ in 0..TRIES {
            let request = Request::new(GET, DUMP, &fixed(UNSPECIFIED));
            let listing = self.0.ask(request, &mut |message| {
                if let Some(entry) = Entry::read(message) {
                    each(entry);
                }
            })?;
            if listing == Listing::Whole {
                return Ok(());
            }
        }
        Err(io::ErrorKind::Interrupted.into())
    }

    /// The entry whose original direction is `tuple`.
    ///
    /// The kernel finds an entry by either direction; one that began at the other end is not this flow.
    ///
    /// # Errors
    /// The kernel's: `PermissionDenied` without CAP_NET_ADMIN.
    pub fn get(&mut self, tuple: &Tuple) -> io::Result<Option<Entry>> {
        let mut found = None;
        let request = about(GET, tuple);
        let asked = self
            .0
            .ask(request, &mut |message| found = Entry::read(message));
        unless_missing(asked)?;
        Ok(found.filter(|entry| entry.tuple == *tuple))
    }

    /// Gives the bits in `mask` of the entry's mark the values that they have in `value`; the others stay. Returns the
    /// entry as it was before, or `None` where there is none.
    ///
    /// The entry itself stays, so nothing can take its place (P37). Where the entry of these two ends began at the
    /// other one, it is none of this flow. An entry whose first packet is still on its way is not there yet (P39).
    ///
    /// # Errors
    /// The kernel's: `PermissionDenied` without CAP_NET_ADMIN.
    pub fn set_mark(&mut self, tuple: &Tuple, value: u32, mask: u32) -> io::Result<Option<Entry>> {
        let Some(entry) = self.get(tuple)? else {
            return Ok(None);
        };
        if entry.mark & mask == value & mask {
            return Ok(Some(entry));
        }
        let mut request = about(NEW, tuple);
        // The kernel clears the mask's bits and then flips those of the value, also outside the mask.
        request.attribute(MARK, &(value & mask).to_be_bytes());
        request.attribute(MARK_MASK, &mask.to_be_bytes());
        let asked = unless_missing(self.0.ask(request, &mut |_| {}))?;
        Ok(asked.map(|_| entry))
    }
}

/// `struct nfgenmsg`: family, version, resource.
fn fixed(family: u8) -> [u8; 4] {
    [family, 0, 0, 0]
}

fn about(kind: u16, tuple: &Tuple) -> Request {
    let family = if tuple.source.is_ipv4() { INET } else { INET6 };
    let mut request = Request::new(kind, ACK, &fixed(family));
    tuple.write(&mut request, TUPLE);
    request
}
