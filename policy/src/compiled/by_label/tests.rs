use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::{ByLabel, required};
use crate::samples::{labels, selector};
use crate::selector::Picks;

const REQUIREMENTS: &[&str] = &["a=1", "a=1|2", "a!=1", "b", "!b", "b=", "c=1|2|3"];

fn index(selectors: &[String]) -> ByLabel {
    let mut index = ByLabel::default();
    for (owner, text) in selectors.iter().enumerate() {
        index.insert(required(&selector(text)), owner);
    }
    index.sort();
    index
}

fn candidates(selectors: &[&str], have: &str) -> Vec<usize> {
    let selectors: Vec<String> = selectors.iter().map(ToString::to_string).collect();
    let known = (have != "?").then(|| labels(have));
    let mut found: Vec<usize> = index(&selectors).candidates(known.as_ref()).collect();
    found.sort_unstable();
    found
}

#[test]
fn only_what_could_match_is_a_candidate() {
    let selectors = ["a=1", "a=2", "a=1|2,b=1", "{}", "a!=1", "b", "<unreadable>"];
    assert_eq!(candidates(&selectors, "a=1"), [0, 3, 4, 5, 6]);
    assert_eq!(candidates(&selectors, "a=2,b=1"), [1, 2, 3, 4, 5, 6]);
    assert_eq!(candidates(&selectors, ""), [3, 4, 5, 6]);
}

#[test]
fn s31_labels_not_known_leave_every_candidate() {
    assert_eq!(candidates(&["a=1", "a=2", "{}"], "?"), [0, 1, 2]);
}

#[test]
fn s36_an_empty_value_is_a_label_like_any_other() {
    assert_eq!(candidates(&["a=", "a=1"], "a="), [0]);
    assert!(candidates(&["a="], "b=").is_empty());
}

proptest! {
    #[test]
    fn whatever_matches_is_a_candidate(
        selectors in prop::collection::vec(subsequence(REQUIREMENTS, 1..4), 0..20),
        have in subsequence(vec!["a", "b", "c"], 0..=3),
        values in prop::collection::vec(select(vec!["", "1", "2"]), 3),
    ) {
        let selectors: Vec<String> = selectors.iter().map(|some| some.join(",")).collect();
        let have = have.iter().zip(values).collect();
        let found: Vec<usize> = index(&selectors).candidates(Some(&have)).collect();
        for (owner, text) in selectors.iter().enumerate() {
            if selector(text).picks(Some(&have)) == Picks::Yes {
                prop_assert!(found.contains(&owner), "{} on {}", text, have);
            }
        }
    }
}
