//! One entry of connection tracking, as far as a verdict or a farewell needs it.

use podwall_policy::flow::Protocol;

use super::tuple::Tuple;
use super::wire::{Message, attribute, attributes, exactly};

/// The family's fixed part ahead of the attributes (`struct nfgenmsg`).
const FIXED: usize = 4;

/// Attributes of an entry (`enum ctattr_type`).
pub(super) const TUPLE: u16 = 1;
const STATUS: u16 = 3;
pub(super) const PROTOCOL_INFO: u16 = 4;
pub(super) const MARK: u16 = 8;
const COUNTERS_ORIGINAL: u16 = 9;
const COUNTERS_REPLY: u16 = 10;
pub(super) const MARK_MASK: u16 = 21;

/// Attributes of counters and of TCP's state.
const PACKETS: u16 = 1;
const BYTES: u16 = 2;
pub(super) const TCP: u16 = 1;
pub(super) const TCP_STATE: u16 = 1;

/// Bit of an entry's status: a reply was seen.
const SEEN_REPLY: u32 = 1 << 1;

/// TCP's states that nothing follows (`enum tcp_conntrack`): both have said goodbye, or one has reset.
pub(super) const TIME_WAIT: u8 = 7;
pub(super) const CLOSE: u8 = 8;

/// What went one way.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Count {
    /// Packets.
    pub packets: u64,
    /// Bytes, network headers included.
    pub bytes: u64,
}

/// What went both ways.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Counters {
    /// From the source of the entry's tuple to its destination.
    pub original: Count,
    /// The other way.
    pub reply: Count,
}

/// An entry of connection tracking.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Entry {
    /// Its flow.
    pub tuple: Tuple,
    /// Its mark, all bits.
    pub mark: u32,
    /// What it has carried. `None` where the entry was made without `nf_conntrack_acct`, and in news of an entry
    /// that is still there.
    pub counters: Option<Counters>,
    /// TCP that is over, though its entry may stay for minutes: TIME_WAIT or CLOSE. LAST_ACK is not over.
    pub ended: bool,
    /// The destination has answered.
    pub replied: bool,
}

impl Entry {
    /// Reads a message about an entry; `None` for protocols other than TCP, UDP and SCTP, and where it has no tuple.
    pub(super) fn read(message: &Message<'_>) -> Option<Self> {
        let (mut tuple, mut mark, mut status, mut state) = (None, 0, 0, None);
        let (mut original, mut reply) = (None, None);
        for (kind, value) in attributes(message.body.get(FIXED..)?) {
            match kind {
                TUPLE => tuple = Some(Tuple::read(value)?),
                MARK => mark = u32::from_be_bytes(exactly(value)?),
                STATUS => status = u32::from_be_bytes(exactly(value)?),
                PROTOCOL_INFO => state = tcp_state(value),
                COUNTERS_ORIGINAL => original = count(value),
                COUNTERS_REPLY => reply = count(value),
                _ => {}
            }
        }
        let tuple = tuple?;
        let over = matches!(state, Some(TIME_WAIT | CLOSE));
        Some(Self {
            tuple,
            mark,
            counters: original
                .zip(reply)
                .map(|(original, reply)| Counters { original, reply }),
            ended: tuple.protocol == Protocol::Tcp && over,
            replied: status & SEEN_REPLY != 0,
        })
    }
}

fn tcp_state(protocol_info: &[u8]) -> Option<u8> {
    let [state] = exactly(attribute(attribute(protocol_info, TCP)?, TCP_STATE)?)?;
    Some(state)
}

fn count(counters: &[u8]) -> Option<Count> {
    let number = |kind| Some(u64::from_be_bytes(exactly(attribute(counters, kind)?)?));
    Some(Count {
        packets: number(PACKETS)?,
        bytes: number(BYTES)?,
    })
}

#[cfg(test)]
mod tests;
