//! Netlink's format: messages and attributes, read without copying and written into one buffer.
//!
//! May enter: bytes. Deliberately absent: sockets, and what a message means. Reading never goes past a length that
//! is not there; numbers are of this machine's byte order where netlink says so.

/// A message's header (`struct nlmsghdr`).
const MESSAGE_HEADER: usize = 16;

/// An attribute's header (`struct nlattr`).
const ATTRIBUTE_HEADER: usize = 4;

/// Messages and attributes begin at multiples of this.
const ALIGN: usize = 4;

/// An attribute that holds attributes.
const NESTED: u16 = 0x8000;

/// What of an attribute's type is its number.
const TYPE: u16 = 0x3fff;

/// Flags of requests.
pub(super) const REQUEST: u16 = 0x01;
/// Wants an answer in any case.
pub(super) const ACK: u16 = 0x04;
/// Wants all of a kind.
pub(super) const DUMP: u16 = 0x300;
/// Flag of an answer: what is listed has changed meanwhile.
pub(super) const INTERRUPTED: u16 = 0x10;

/// Types of messages that end an answer.
pub(super) const ERROR: u16 = 2;
/// The end of a dump.
pub(super) const DONE: u16 = 3;

/// One message of an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Message<'a> {
    pub(super) kind: u16,
    pub(super) flags: u16,
    pub(super) sequence: u32,
    pub(super) body: &'a [u8],
}

impl Message<'_> {
    /// The number that an [`ERROR`] or [`DONE`] begins with: 0, or an error's number, negative.
    pub(super) fn status(&self) -> Option<i32> {
        let (number, _) = self.body.split_first_chunk()?;
        Some(i32::from_ne_bytes(*number))
    }
}

/// A message's length is not there.
#[derive(Debug, thiserror::Error)]
#[error("the kernel's answer is cut off or malformed")]
pub(super) struct Broken;

/// The messages of one datagram; after a broken one no more come.
pub(super) fn messages(bytes: &[u8]) -> impl Iterator<Item = Result<Message<'_>, Broken>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Some((message, length)) = message(rest) else {
            rest = &[];
            return Some(Err(Broken));
        };
        rest = behind(rest, length);
        Some(Ok(message))
    })
}

fn message(bytes: &[u8]) -> Option<(Message<'_>, usize)> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (kind, rest) = rest.split_first_chunk()?;
    let (flags, rest) = rest.split_first_chunk()?;
    let (sequence, _) = rest.split_first_chunk()?;
    let length = usize::try_from(u32::from_ne_bytes(*length)).ok()?;
    let message = Message {
        kind: u16::from_ne_bytes(*kind),
        flags: u16::from_ne_bytes(*flags),
        sequence: u32::from_ne_bytes(*sequence),
        body: bytes.get(MESSAGE_HEADER..length)?,
    };
    Some((message, length))
}

/// The attributes in `bytes`, by number; they end where one is malformed.
pub(super) fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (length, behind_length) = rest.split_first_chunk()?;
        let (kind, _) = behind_length.split_first_chunk()?;
        let length = usize::from(u16::from_ne_bytes(*length));
        let value = rest.get(ATTRIBUTE_HEADER..length)?;
        rest = behind(rest, length);
        Some((u16::from_ne_bytes(*kind) & TYPE, value))
    })
}

/// The value of the first attribute with this number.
pub(super) fn attribute(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes)
        .find(|(found, _)| *found == kind)
        .map(|(_, value)| value)
}

/// What follows the first `length` bytes and their padding. The last one's padding may be missing.
fn behind(bytes: &[u8], length: usize) -> &[u8] {
    bytes.get(length.next_multiple_of(ALIGN)..).unwrap_or(&[])
}

/// A value of exactly this many bytes.
pub(super) fn exactly<const N: usize>(value: &[u8]) -> Option<[u8; N]> {
    value.try_into().ok()
}

/// A request that is being written. Requests are small: every length fits its field.
#[derive(Debug)]
pub(super) struct Request(Vec<u8>);

impl Request {
    /// A request of this type, [`REQUEST`] and `flags`, that begins with a family's `fixed` part.
    pub(super) fn new(kind: u16, flags: u16, fixed: &[u8]) -> Self {
        let mut bytes = vec![0; 4];
        bytes.extend(kind.to_ne_bytes());
        bytes.extend((REQUEST | flags).to_ne_bytes());
        bytes.extend([0; 8]);
        bytes.extend(fixed);
        Self(bytes)
    }

    /// Adds an attribute.
    pub(super) fn attribute(&mut self, kind: u16, value: &[u8]) {
        self.header(kind, value.len());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(ALIGN), 0);
    }

    /// Adds an attribute that holds what `inside` adds.
    pub(super) fn nested(&mut self, kind: u16, inside: impl FnOnce(&mut Self)) {
        let mut held = Self(Vec::new());
        inside(&mut held);
        self.header(kind | NESTED, held.0.len());
        self.0.extend(held.0);
    }

    fn header(&mut self, kind: u16, value: usize) {
        let length = u16::try_from(ATTRIBUTE_HEADER + value).unwrap_or(u16::MAX);
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
    }

    /// The bytes to send.
    pub(super) fn numbered(self, sequence: u32) -> Vec<u8> {
        let mut bytes = self.0;
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        for (at, number) in [(0, length), (8, sequence)] {
            if let Some(field) = bytes.get_mut(at..at + 4) {
                field.copy_from_slice(&number.to_ne_bytes());
            }
        }
        bytes
    }
}

#[cfg(test)]
mod tests;
