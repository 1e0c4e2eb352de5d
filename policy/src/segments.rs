//! Which rules hold at a point: spans of ports or addresses, cut into segments of equal answers.
//!
//! May enter: inclusive spans, each of one rule. Deliberately absent: what a point means; ports and
//! both address families are the same question. Built once, then only searched: a lookup is one
//! binary search, and a segment keeps only those 64 rules at a time that have a member in it.

use std::cmp::Ordering;

/// A point of the line that is cut up.
pub(crate) trait Point: Copy + Ord {
    /// The point after this one, `None` at the end of the line.
    fn after(self) -> Option<Self>;
}

impl Point for u16 {
    fn after(self) -> Option<Self> {
        self.checked_add(1)
    }
}

impl Point for u128 {
    fn after(self) -> Option<Self> {
        self.checked_add(1)
    }
}

/// Rule `rule` holds from `first` to `last`, both included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span<K> {
    pub(crate) first: K,
    pub(crate) last: K,
    pub(crate) rule: usize,
}

/// 64 rules, of which at least one is set.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Word {
    at: usize,
    bits: u64,
}

/// The line, cut where the set of rules changes.
///
/// Memory: per segment one word for each 64 rules that have a member in it.
#[derive(Clone, Debug)]
pub(crate) struct Segments<K> {
    /// Where each segment starts, ascending; it ends before the next one. Nothing holds before the first.
    starts: Box<[K]>,
    /// Where the words of each segment end in `words`.
    ends: Box<[usize]>,
    words: Box<[Word]>,
}

impl<K: Point> Segments<K> {
    /// Cuts the line by `spans`, whose rules are below `rules`. Spans of one rule may overlap.
    ///
    /// Work: sorting the spans, and `rules / 64` steps for each segment.
    pub(crate) fn of(spans: &[Span<K>], rules: usize) -> Self {
        let mut edges = edges(spans);
        edges.sort_unstable_by_key(|edge| edge.at);
        let mut held = Held::none(if spans.is_empty() { 0 } else { rules });
        let (mut starts, mut ends, mut words) = (Vec::new(), Vec::new(), Vec::new());
        for here in edges.chunk_by(|one, other| one.at == other.at) {
            here.iter().for_each(|edge| held.step(edge));
            let before = words.len();
            words.extend(held.words());
            let previous = ends.len().checked_sub(2).map_or(0, |at: usize| ends[at]);
            if !ends.is_empty() && words[previous..before] == words[before..] {
                words.truncate(before);
                continue;
            }
            starts.push(here[0].at);
            ends.push(words.len());
        }
        Self {
            starts: starts.into(),
            ends: ends.into(),
            words: words.into(),
        }
    }

    /// The rules that hold at `point`.
    pub(crate) fn at(&self, point: K) -> Words<'_> {
        let segment = self.starts.partition_point(|start| *start <= point);
        if segment == 0 {
            return Words::none();
        }
        let first = segment
            .checked_sub(2)
            .map_or(0, |previous| self.ends[previous]);
        Words(&self.words[first..self.ends[segment - 1]])
    }
}

/// The rules that hold at one point, read in ascending order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Words<'t>(&'t [Word]);

impl Words<'_> {
    /// No rule at all.
    pub(crate) const fn none() -> Self {
        Self(&[])
    }

    /// The `at`-th 64 rules. Between two calls `at` must rise: what lies below is forgotten.
    pub(crate) fn word(&mut self, at: usize) -> u64 {
        while let [first, rest @ ..] = self.0 {
            match first.at.cmp(&at) {
                Ordering::Less => self.0 = rest,
                Ordering::Equal => return first.bits,
                Ordering::Greater => return 0,
            }
        }
        0
    }
}

/// A span of `rule` starts or has ended at `at`.
struct Edge<K> {
    at: K,
    rule: usize,
    starts: bool,
}

fn edges<K: Point>(spans: &[Span<K>]) -> Vec<Edge<K>> {
    let mut edges = Vec::with_capacity(spans.len() * 2);
    for &Span { first, last, rule } in spans {
        edges.push(Edge {
            at: first,
            rule,
            starts: true,
        });
        edges.extend(last.after().map(|at| Edge {
            at,
            rule,
            starts: false,
        }));
    }
    edges
}

/// The sweep's state: how many open spans each rule has, and which rules have any.
///
/// Signed, because at one point an end may be met before a start.
struct Held {
    open: Vec<i64>,
    bits: Vec<u64>,
}

impl Held {
    fn none(rules: usize) -> Self {
        Self {
            open: vec![0; rules],
            bits: vec![0; rules.div_ceil(64)],
        }
    }

    fn step<K>(&mut self, edge: &Edge<K>) {
        let open = &mut self.open[edge.rule];
        *open += if edge.starts { 1 } else { -1 };
        let bit = 1 << (edge.rule % 64);
        let word = &mut self.bits[edge.rule / 64];
        if *open > 0 {
            *word |= bit;
        } else {
            *word &= !bit;
        }
    }

    fn words(&self) -> impl Iterator<Item = Word> {
        let all = self.bits.iter().enumerate();
        all.filter(|(_, bits)| **bits != 0)
            .map(|(at, bits)| Word { at, bits: *bits })
    }
}

#[cfg(test)]
mod tests;
