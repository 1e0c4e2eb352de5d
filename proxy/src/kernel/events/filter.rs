//! The filter inside the kernel: a small program in the classic packet filter's language.

use std::io;
use std::os::fd::AsFd;

use socket2::{SockFilter, SockRef};

use super::super::conntrack::{DELETE, NEW};
use super::super::entry::{CLOSE, PROTOCOL_INFO, TCP, TCP_STATE, TIME_WAIT};

/// Instructions (`linux/filter.h`): load a half word or byte, load a number into A or X, move A to X, jump, return.
const LOAD_HALF: u16 = 0x28;
const LOAD_WORD: u16 = 0x20;
const LOAD_BYTE_AT_X: u16 = 0x50;
const SET_A: u16 = 0x00;
const SET_X: u16 = 0x01;
const A_TO_X: u16 = 0x07;
const IF_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;

/// Where the kernel's own functions are loaded from: A becomes the offset of the attribute with the number in X,
/// searched from offset A on; or of the one inside the attribute at A; 0 where there is none.
const FIND_ATTRIBUTE: u32 = 0xffff_f000 + 12;
const FIND_NESTED: u32 = 0xffff_f000 + 16;

/// Offsets: the message's type, the first attribute, an attribute's value.
const TYPE_AT: u32 = 4;
const ATTRIBUTES_AT: u32 = 20;
const VALUE_AT: u32 = 4;

/// Lets through every entry that goes, and TCP entries that are over.
pub(super) fn attach(socket: impl AsFd) -> io::Result<()> {
    // The filter reads in network order what netlink writes in the machine's.
    let [delete, new] = [DELETE, NEW].map(|kind| u32::from(kind.to_be()));
    let step = SockFilter::new;
    // Jumps count the instructions between: `pass` is the last one but one, `drop` the last.
    let program = [
        step(LOAD_HALF, 0, 0, TYPE_AT),
        step(IF_EQUAL, 15, 0, delete),
        step(IF_EQUAL, 0, 15, new),
        step(SET_A, 0, 0, ATTRIBUTES_AT),
        step(SET_X, 0, 0, u32::from(PROTOCOL_INFO)),
        step(LOAD_WORD, 0, 0, FIND_ATTRIBUTE),
        step(IF_EQUAL, 11, 0, 0),
        step(SET_X, 0, 0, u32::from(TCP)),
        step(LOAD_WORD, 0, 0, FIND_NESTED),
        step(IF_EQUAL, 8, 0, 0),
        step(SET_X, 0, 0, u32::from(TCP_STATE)),
        step(LOAD_WORD, 0, 0, FIND_NESTED),
        step(IF_EQUAL, 5, 0, 0),
        step(A_TO_X, 0, 0, 0),
        step(LOAD_BYTE_AT_X, 0, 0, VALUE_AT),
        step(IF_EQUAL, 1, 0, u32::from(TIME_WAIT)),
        step(IF_EQUAL, 0, 1, u32::from(CLOSE)),
        step(RETURN, 0, 0, u32::MAX),
        step(RETURN, 0, 0, 0),
    ];
    SockRef::from(&socket).attach_filter(&program)
}
