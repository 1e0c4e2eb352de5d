use super::Picks::{self, No, Unknown, Yes};
use crate::samples::{labels, selector};

fn check(rows: &[(&str, &str, Picks)]) {
    for (text, have, expected) in rows {
        let known = (*have != "?").then(|| labels(have));
        let picks = selector(text).picks(known.as_ref());
        assert_eq!(picks, *expected, "selector {text} on {have:?}");
    }
}

#[test]
fn s32_all_requirements_hold_and_none_match_everything() {
    check(&[
        ("{}", "", Yes),
        ("{}", "a=1", Yes),
        ("a=1,b=2", "a=1,b=2,c=3", Yes),
        ("a=1,b=2", "a=1", No),
        ("a=1,!b", "a=1", Yes),
        ("a=1,!b", "a=1,b=", No),
    ]);
}

#[test]
fn s33_in_wants_the_key_and_one_of_the_values() {
    check(&[
        ("a=1|2", "a=2", Yes),
        ("a=1|2", "a=3", No),
        ("a=1|2", "b=1", No),
        ("a=1|2", "", No),
    ]);
}

#[test]
fn s34_not_in_matches_an_absent_key() {
    check(&[
        ("a!=1|2", "", Yes),
        ("a!=1|2", "b=1", Yes),
        ("a!=1|2", "a=3", Yes),
        ("a!=1|2", "a=2", No),
        ("a!=1|2", "a=", Yes),
    ]);
}

#[test]
fn s35_presence_alone() {
    check(&[
        ("a", "a=", Yes),
        ("a", "b=a", No),
        ("!a", "", Yes),
        ("!a", "a=", No),
    ]);
}

#[test]
fn s36_an_empty_value_is_not_an_absent_key() {
    check(&[("a=", "a=", Yes), ("a=", "", No), ("a=", "a=1", No)]);
}

#[test]
fn s31_labels_not_known_are_not_no_labels() {
    check(&[
        ("a!=1", "?", Unknown),
        ("!a", "?", Unknown),
        ("a=1", "?", Unknown),
        ("a", "?", Unknown),
        ("{}", "?", Yes),
        ("<unreadable>", "?", No),
    ]);
}

#[test]
fn s38_unreadable_picks_nothing() {
    check(&[("<unreadable>", "", No), ("<unreadable>", "a=1", No)]);
}

#[test]
fn both_must_pick_and_a_no_is_certain() {
    for (one, other, both) in [
        (Yes, Yes, Yes),
        (Yes, No, No),
        (No, Unknown, No),
        (Yes, Unknown, Unknown),
        (Unknown, Unknown, Unknown),
        (No, No, No),
    ] {
        assert_eq!(one.and(other), both, "{one:?} and {other:?}");
        assert_eq!(other.and(one), both, "{other:?} and {one:?}");
    }
}

#[test]
fn prints_as_kubectl_does() {
    for (text, printed) in [
        ("{}", "{}"),
        ("<unreadable>", "<unreadable>"),
        ("a=1", "a=1"),
        ("a=1|2,b!=x|y,c,!d,e=", "a in (1,2),b notin (x,y),c,!d,e="),
    ] {
        assert_eq!(selector(text).to_string(), printed);
    }
}
