//! Several orders over the same numbers, each change at an end in constant time: links kept beside the slots.
//!
//! Deliberately absent: what a number stands for, and which order it is in; the caller knows both.

/// Stands for "none".
const NONE: u32 = u32::MAX;

/// The links of all numbers. A number is in at most one order of a chain.
#[derive(Debug, Default)]
pub(super) struct Chain(Vec<Links>);

#[derive(Clone, Copy, Debug)]
struct Links {
    before: u32,
    after: u32,
}

/// One order, oldest first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    first: u32,
    last: u32,
    len: usize,
}

impl Default for Order {
    fn default() -> Self {
        Self {
            first: NONE,
            last: NONE,
            len: 0,
        }
    }
}

impl Order {
    /// The oldest.
    pub(super) fn first(&self) -> Option<u32> {
        some(self.first)
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }
}

impl Chain {
    /// Puts `at`, which is in no order, to the end of `order`.
    pub(super) fn push(&mut self, order: &mut Order, at: u32) {
        self.push_before(order, at, |_| false);
    }

    /// The same, but before those at the end that are `later`.
    pub(super) fn push_before(&mut self, order: &mut Order, at: u32, later: impl Fn(u32) -> bool) {
        let (mut before, mut after) = (order.last, NONE);
        while let Some(last) = some(before).filter(|last| later(*last)) {
            (before, after) = (self.0[last as usize].before, last);
        }
        let links = Links { before, after };
        if self.0.len() <= at as usize {
            self.0.resize(at as usize + 1, links);
        }
        self.0[at as usize] = links;
        match some(before) {
            Some(before) => self.0[before as usize].after = at,
            None => order.first = at,
        }
        match some(after) {
            Some(after) => self.0[after as usize].before = at,
            None => order.last = at,
        }
        order.len += 1;
    }

    /// Takes `at` out of `order`, which it is in.
    pub(super) fn remove(&mut self, order: &mut Order, at: u32) {
        let Links { before, after } = self.0[at as usize];
        match some(before) {
            Some(before) => self.0[before as usize].after = after,
            None => order.first = after,
        }
        match some(after) {
            Some(after) => self.0[after as usize].before = before,
            None => order.last = before,
        }
        order.len -= 1;
    }

    /// Everything in `order`, oldest first.
    pub(super) fn walk(&self, order: &Order) -> impl Iterator<Item = u32> {
        std::iter::successors(some(order.first), |at| some(self.0[*at as usize].after))
    }
}

fn some(at: u32) -> Option<u32> {
    (at != NONE).then_some(at)
}
