//! What is known of the subject, and what holds while it is not.

use super::*;

#[test]
fn a_subject_that_is_not_there_is_not_one_that_no_policy_selects() {
    let world = after([state(&[SPACES])]);
    assert_eq!(reason(&world, "10.0.0.1"), "subject_unknown");
    assert_eq!(world.status().subject, SubjectStatus::Unknown);
    assert_eq!(reason(&world, "192.168.0.1"), "node");
    let without_namespace = after([state(&[SUBJECT])]);
    assert_eq!(reason(&without_namespace, "10.0.0.1"), "subject_unknown");
    assert_eq!(
        without_namespace.status().subject,
        SubjectStatus::NamespaceUnknown
    );
    assert_eq!(
        without_namespace.apply(state(&[SPACES, SUBJECT])),
        Touched::Everything
    );
    assert_eq!(reason(&without_namespace, "10.0.0.1"), "not_isolated");
}

#[test]
fn s66_a_subject_on_its_nodes_network_is_never_judged() {
    let host = SUBJECT.replace("status:", "spec: {hostNetwork: true}\nstatus:");
    let world = after([state(&[SPACES, &host])]);
    assert_eq!(world.status().subject, SubjectStatus::HostNetwork);
    assert_eq!(reason(&world, "10.0.0.1"), "subject_unknown");
}

#[test]
fn a_subject_that_is_gone_or_has_ended_keeps_its_last_labels() {
    let policy = policy("only-a", "app: web", TEAM_A);
    let guest = pod("guest", "guests", "app: x", "10.0.0.2");
    let gone = Gone::Pod {
        name: ObjectName::new("shop", "web"),
        uid: Some("u-web".into()),
    };
    let ended = SUBJECT.replace("Running", "Succeeded");
    for end in [
        Change::Delete(gone),
        state(&[SPACES, &policy, &guest]),
        state(&[&policy, &guest]),
        state(&[SPACES, &policy, &guest, &ended]),
    ] {
        let world = after([state(&[SPACES, SUBJECT, &policy, &guest]), end]);
        assert_eq!(world.status().subject, SubjectStatus::Known);
        assert!(
            !world
                .judge(ip("10.0.0.2"), &flow("10.0.0.2"))
                .decision
                .is_allow()
        );
    }
}

#[test]
fn p26_a_subject_that_cannot_be_read_any_more_is_unknown() {
    let world = after([
        state(&[SPACES, SUBJECT]),
        Change::Upsert(Object::BrokenPod(ObjectName::new("shop", "web"))),
    ]);
    assert_eq!(reason(&world, "10.0.0.1"), "subject_unknown");
    let world = after([
        state(&[SPACES, SUBJECT]),
        Change::Upsert(Object::BrokenNamespace("shop".into())),
    ]);
    assert_eq!(reason(&world, "10.0.0.1"), "subject_unknown");
}

#[test]
fn s78_the_subjects_new_labels_count_at_once() {
    let world = after([state(&[
        SPACES,
        SUBJECT,
        &policy("only-db", "app: db", TEAM_A),
    ])]);
    assert_eq!(reason(&world, "10.0.0.3"), "not_isolated");
    assert_eq!(
        world.apply(upsert(&SUBJECT.replace("app: web", "app: db"))),
        Touched::Everything
    );
    assert_eq!(reason(&world, "10.0.0.3"), "peer_unknown");
}

#[test]
fn a_subject_that_has_ended_before_it_was_ever_seen_is_unknown() {
    let ended = SUBJECT.replace("Running", "Succeeded");
    let world = after([state(&[SPACES, &ended])]);
    assert_eq!(reason(&world, "10.0.0.1"), "subject_unknown");
}
