//! Words are held as long as one identity says them, and once.

use podwall_policy::flow::Protocol;

use super::*;

fn identity(index: &str) -> Identity {
    let http = NamedPort {
        name: "http".into(),
        protocol: Protocol::Tcp,
        port: 8080,
    };
    Identity {
        namespace: "shop".into(),
        namespace_labels: None,
        labels: [("app", "db"), ("pod-index", index)].into_iter().collect(),
        named_ports: [http].into(),
    }
}

#[test]
fn what_two_identities_say_alike_is_held_once() {
    let mut words = Words::default();
    let (one, two) = (words.enter(identity("0")), words.enter(identity("1")));
    assert_eq!(one, identity("0"));
    assert_eq!(two, identity("1"));
    let alike: Vec<bool> = std::iter::zip(one.labels.words(), two.labels.words())
        .map(|(one, two)| Arc::ptr_eq(one, two))
        .collect();
    assert_eq!(alike, [true, true, true, false]);
    assert!(Arc::ptr_eq(&one.named_ports, &two.named_ports));
}

#[test]
fn a_word_is_forgotten_with_the_last_identity_that_says_it() {
    let mut words = Words::default();
    // Said twice by one identity: as key and as value.
    let odd = Identity {
        labels: [("db", "db")].into_iter().collect(),
        ..identity("0")
    };
    let all = [identity("0"), identity("1"), odd].map(|one| words.enter(one));
    // app, db, pod-index, 0, 1, and the ports.
    assert_eq!(words.len(), 6);
    for (identity, left) in std::iter::zip(&all, [5, 2, 0]) {
        words.leave(identity);
        assert_eq!(words.len(), left, "after {}", identity.labels);
    }
}
