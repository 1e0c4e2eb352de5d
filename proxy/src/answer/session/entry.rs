//! One place of the table: what is known of its session.

use std::time::Instant;

use super::{FlowKey, Standing};

/// The orders of age: within each of them all have the same time to live, so the first is due first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Age {
    Waiting,
    OneWay,
    Stream,
    Denied,
}

#[derive(Debug)]
pub(super) struct Entry<S> {
    pub(super) flow: FlowKey,
    pub(super) standing: Standing,
    /// In which order of age it is; `None` where nothing will become due.
    pub(super) age: Option<Age>,
    pub(super) answered: bool,
    pub(super) generation: u64,
    pub(super) began: Instant,
    /// When its last datagram came.
    pub(super) heard: Instant,
    pub(super) used: Instant,
    pub(super) value: S,
}

#[derive(Debug)]
pub(super) struct Slot<S> {
    pub(super) turn: u32,
    pub(super) entry: Option<Entry<S>>,
}
