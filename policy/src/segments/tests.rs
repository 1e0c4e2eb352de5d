use proptest::prelude::*;

use super::{Segments, Span};

fn span(first: u16, last: u16, rule: usize) -> Span<u16> {
    Span { first, last, rule }
}

/// The rules at `point`, ascending.
fn rules(segments: &Segments<u16>, point: u16, width: usize) -> Vec<usize> {
    let mut words = segments.at(point);
    let words: Vec<u64> = (0..width.div_ceil(64)).map(|at| words.word(at)).collect();
    (0..width)
        .filter(|rule| words[rule / 64] >> (rule % 64) & 1 == 1)
        .collect()
}

#[test]
fn both_ends_are_in() {
    let segments = Segments::of(&[span(80, 90, 0)], 1);
    for (point, expected) in [(79, vec![]), (80, vec![0]), (90, vec![0]), (91, vec![])] {
        assert_eq!(rules(&segments, point, 1), expected, "{point}");
    }
}

#[test]
fn the_line_ends_where_numbers_end() {
    let segments = Segments::of(&[span(0, u16::MAX, 0), span(65535, 65535, 1)], 2);
    assert_eq!(rules(&segments, 0, 2), [0]);
    assert_eq!(rules(&segments, 65535, 2), [0, 1]);
}

#[test]
fn overlapping_spans_of_one_rule_end_with_the_last() {
    let segments = Segments::of(&[span(10, 20, 3), span(15, 30, 3), span(31, 40, 3)], 4);
    for point in [10, 20, 21, 30, 31, 40] {
        assert_eq!(rules(&segments, point, 4), [3], "{point}");
    }
    assert!(rules(&segments, 41, 4).is_empty());
    assert_eq!(segments.starts.len(), 2, "adjoining spans are one segment");
}

#[test]
fn no_span_no_memory() {
    let segments = Segments::<u128>::of(&[], 10_000);
    assert!(segments.starts.is_empty() && segments.words.is_empty());
}

#[test]
fn a_segment_keeps_only_words_with_a_member() {
    let spans: Vec<_> = (0..1000_u16)
        .map(|at| span(at * 2, at * 2, at.into()))
        .collect();
    let segments = Segments::of(&spans, 1000);
    assert_eq!(segments.words.len(), 1000);
}

proptest! {
    #[test]
    fn a_lookup_is_what_a_walk_over_the_spans_finds(
        raw in prop::collection::vec((0_u16..60, 0_u16..60, 0_usize..130), 0..40),
        shift in prop::sample::select(vec![0_u16, u16::MAX - 59]),
    ) {
        let spans: Vec<_> = raw
            .iter()
            .map(|(one, other, rule)| span(one.min(other) + shift, one.max(other) + shift, *rule))
            .collect();
        let segments = Segments::of(&spans, 130);
        for point in (0..60).map(|point| point + shift) {
            let mut expected: Vec<usize> = spans
                .iter()
                .filter(|span| (span.first..=span.last).contains(&point))
                .map(|span| span.rule)
                .collect();
            expected.sort_unstable();
            expected.dedup();
            prop_assert_eq!(rules(&segments, point, 130), expected, "at {}", point);
        }
    }
}
