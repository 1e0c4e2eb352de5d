//! Labels of pods and namespaces, changed, unknown and unreadable.

use super::*;

#[test]
fn s78_a_pods_new_labels_count_at_once() {
    let mut index = after(&[Put(pod("ns/a", "old", &["10.0.0.1", "fd00::1"]))]);
    let effect = hear(
        &mut index,
        &Put(pod("ns/a", "new", &["10.0.0.1", "fd00::1"])),
    );
    assert_eq!(effect.touched, [ip("10.0.0.1"), ip("fd00::1")].into());
    assert_eq!(who(&index, "fd00::1"), "ns/a new");
    let effect = hear(
        &mut index,
        &Put(pod("ns/a", "new", &["10.0.0.1", "fd00::1"])),
    );
    assert!(effect.touched.is_empty(), "nothing changed: {effect:?}");
}

#[test]
fn s78_a_namespaces_new_labels_reach_all_of_its_pods_and_no_others() {
    let mut index = after(&[
        Space("ns", &[("team", "a")]),
        Space("other", &[("team", "a")]),
        Put(pod("ns/a", "x", &["10.0.0.1"])),
        Put(pod("ns/b", "x", &["10.0.0.2"])),
        Put(pod("other/c", "x", &["10.0.0.3"])),
    ]);
    let effect = hear(&mut index, &Space("ns", &[("team", "b")]));
    assert_eq!(effect.touched, [ip("10.0.0.1"), ip("10.0.0.2")].into());
    assert_eq!(team(&index, "10.0.0.2"), Some("b".to_owned()));
    assert_eq!(team(&index, "10.0.0.3"), Some("a".to_owned()));
    assert!(
        hear(&mut index, &Space("ns", &[("team", "b")]))
            .touched
            .is_empty()
    );
}

/// The label `team` of the namespace behind an address; panics where the namespace is not known.
fn team(index: &Index, address: &str) -> Option<String> {
    let labels = index
        .find(ip(address))
        .unwrap()
        .identity
        .namespace_labels
        .clone();
    labels.unwrap().get("team").map(str::to_owned)
}

fn namespace_known(index: &Index, address: &str) -> bool {
    index
        .find(ip(address))
        .unwrap()
        .identity
        .namespace_labels
        .is_some()
}

#[test]
fn p27_s31_a_namespace_not_seen_is_not_one_without_labels() {
    let mut index = after(&[Put(pod("ns/a", "a", &["10.0.0.1"]))]);
    assert!(!namespace_known(&index, "10.0.0.1"));
    let effect = hear(&mut index, &Space("ns", &[]));
    assert_eq!(effect.touched, [ip("10.0.0.1")].into());
    assert!(namespace_known(&index, "10.0.0.1"));
    for order in orders(&[Space("ns", &[]), Put(pod("ns/a", "a", &["10.0.0.1"]))]) {
        assert!(namespace_known(&after(&order), "10.0.0.1"));
    }
    let _ = hear(&mut index, &NoSpace("ns"));
    assert!(!namespace_known(&index, "10.0.0.1"));
    assert_eq!(index.namespaces(), 0);
}

#[test]
fn p26_an_unreadable_pod_takes_its_earlier_content_along() {
    let index = after(&[
        Put(with(pod("ns/a", "a", &["10.0.0.1"]), "u1", 1)),
        Broken("ns/a"),
    ]);
    assert_eq!(
        (who(&index, "10.0.0.1"), index.pods()),
        ("nobody".to_owned(), 0)
    );
}

#[test]
fn p26_an_unreadable_namespace_takes_its_earlier_labels_along() {
    let mut index = after(&[
        Space("ns", &[("team", "a")]),
        Put(pod("ns/a", "a", &["10.0.0.1"])),
    ]);
    let effect = hear(&mut index, &NoSpace("ns"));
    assert_eq!(effect.touched, [ip("10.0.0.1")].into());
    assert!(!namespace_known(&index, "10.0.0.1"));
}
