#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io;

use super::*;
use crate::arrival::Mode;

#[test]
fn rules_count_as_bad_until_they_are_read_and_as_the_last_reading_says_after_it() {
    let account = Account::new(io::sink(), Mode::Queue).unwrap();
    let readings = Mutex::new(vec![
        Reading::default(),
        Reading {
            faults: vec!["ipv4 mangle: missing".to_owned()],
            spoofed: Some(3),
        },
    ]);
    let now = Instant::now();
    let rules = Rules::new(Box::new(move || readings.lock().unwrap().pop().unwrap()));
    assert_eq!(rules.faults(now).len(), 1, "unread rules prove nothing");
    rules.look(&account);
    assert_eq!(rules.faults(now), ["ipv4 mangle: missing"]);
    rules.look(&account);
    assert!(rules.faults(now).is_empty());
    assert_eq!(rules.faults(now + STALE * 2).len(), 1, "it is too old");
}
