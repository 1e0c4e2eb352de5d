use std::collections::HashSet;

use super::Labels;
use crate::samples::labels;

#[test]
fn an_empty_value_is_there_an_absent_key_is_not() {
    let have = labels("a=,b=1");
    assert_eq!(have.get("a"), Some(""));
    assert_eq!(have.get("b"), Some("1"));
    assert_eq!(have.get("c"), None);
    assert_eq!(Labels::default().get("a"), None);
}

#[test]
fn equal_content_is_one_value_in_whatever_order() {
    let set = HashSet::from([
        labels("a=1,b=2"),
        labels("b=2,a=1"),
        labels("b=2").with("a", "1"),
    ]);
    assert_eq!(set.len(), 1);
}

#[test]
fn the_last_value_of_a_key_stays() {
    assert_eq!(labels("a=1,a=2").to_string(), "a=2");
    assert_eq!(labels("a=1,b=2").with("a", "3").to_string(), "a=3,b=2");
}

#[test]
fn prints_sorted() {
    assert_eq!(labels("b=2,a=1").to_string(), "a=1,b=2");
    assert_eq!(Labels::default().to_string(), "<none>");
    assert!(Labels::default().is_empty());
}
