//! Lists: nothing of one counts before its end, and nothing that it does not tell stays.

use super::*;

const FRIEND: &str = "10.0.0.1";
const GUEST: &str = "10.0.0.2";

fn friend() -> String {
    pod("friend", "shop", "app: x", FRIEND)
}

fn guest() -> String {
    pod("guest", "guests", "app: x", GUEST)
}

fn only_a() -> String {
    policy("only-a", "app: web", TEAM_A)
}

fn listed(parts: &[&str]) -> Vec<Change> {
    let objects = objects(&parts.concat());
    objects.into_iter().map(Change::Listed).collect()
}

/// A whole list.
fn list(kind: Kind, parts: &[&str]) -> Vec<Change> {
    let mut changes = vec![Change::Relist(kind)];
    changes.extend(listed(parts));
    changes.push(Change::Relisted(kind));
    changes
}

fn hear(world: &World, changes: Vec<Change>) {
    let _ = apply(world, changes);
}

/// Applies all; what the last one touched.
fn apply(world: &World, changes: Vec<Change>) -> Touched {
    let mut last = Touched::Nothing;
    for change in changes {
        last = world.apply(change);
    }
    last
}

/// Subject, friend and guest, and a policy that admits namespaces of team a.
fn synced() -> Arc<World> {
    let world = after([state(&[SPACES, SUBJECT, &only_a(), &friend(), &guest()])]);
    assert_eq!(reasons(&world), ["rule", "no_rule_admits"]);
    world
}

fn reasons(world: &World) -> [&'static str; 2] {
    [FRIEND, GUEST].map(|one| reason(world, one))
}

#[test]
fn p6_s85_synced_means_that_every_kind_was_listed_whole() {
    for last in Kind::ALL {
        let world = world();
        let content = |kind| match kind {
            Kind::Pod => [SUBJECT.to_owned(), friend()].concat(),
            Kind::Namespace => SPACES.to_owned(),
            Kind::Policy => only_a(),
        };
        let others = Kind::ALL.into_iter().filter(|kind| *kind != last);
        for kind in others {
            hear(&world, list(kind, &[&content(kind)]));
            // A second time does not stand for another kind.
            hear(&world, list(kind, &[&content(kind)]));
        }
        let mut rest = list(last, &[&content(last)]);
        let end = rest.pop().unwrap();
        hear(&world, rest);
        assert!(!world.status().synced, "{last:?}");
        assert_eq!(reason(&world, FRIEND), "not_synced", "{last:?}");
        assert_eq!(world.apply(end), Touched::Everything);
        assert_eq!(reason(&world, FRIEND), "rule", "{last:?}");
    }
}

#[test]
fn p25_a_relist_leaves_no_ghost() {
    let world = synced();
    let touched = apply(&world, list(Kind::Pod, &[SUBJECT, &guest()]));
    assert_eq!(touched, from(&[FRIEND]));
    assert_eq!(reasons(&world), ["peer_unknown", "no_rule_admits"]);
    assert_eq!(world.status().pods, 2);
    let shop = SPACES.split("---").next().unwrap();
    assert_eq!(
        apply(&world, list(Kind::Namespace, &[shop])),
        from(&[GUEST])
    );
    assert_eq!(reason(&world, GUEST), "peer_unknown");
    assert_eq!(apply(&world, list(Kind::Policy, &[])), Touched::Everything);
    assert_eq!(reason(&world, FRIEND), "not_isolated");
}

#[test]
fn p25_nothing_is_judged_by_half_a_list() {
    let world = synced();
    let other_team = SPACES.replace("team: a", "team: c");
    let rows = [
        (Kind::Pod, pod("late", "shop", "app: x", "10.0.0.3")),
        (Kind::Namespace, other_team),
        (
            Kind::Policy,
            policy("none", "app: web", "matchLabels: {team: none}"),
        ),
    ];
    let generation = world.status().generation;
    for (kind, content) in rows {
        let _ = world.apply(Change::Relist(kind));
        assert_eq!(apply(&world, listed(&[&content])), Touched::Nothing);
        assert_eq!(reasons(&world), ["rule", "no_rule_admits"], "{kind:?}");
        assert_eq!(reason(&world, "10.0.0.3"), "peer_unknown");
    }
    assert_eq!(world.status().generation, generation);
    let _ = world.apply(Change::Relisted(Kind::Pod));
    assert_eq!(reasons(&world), ["peer_unknown", "peer_unknown"]);
    assert_eq!(reason(&world, "10.0.0.3"), "rule");
    let _ = world.apply(Change::Relisted(Kind::Namespace));
    assert_eq!(reason(&world, "10.0.0.3"), "no_rule_admits");
}

#[test]
fn p25_a_list_that_begins_anew_forgets_what_was_listed() {
    let half = listed(&[SUBJECT, &friend(), &guest()]);
    let first = {
        let world = world();
        let _ = world.apply(Change::Relist(Kind::Pod));
        hear(&world, half);
        hear(&world, list(Kind::Pod, &[SUBJECT, &guest()]));
        hear(&world, list(Kind::Namespace, &[SPACES]));
        hear(&world, list(Kind::Policy, &[&only_a()]));
        world
    };
    let later = synced();
    let _ = later.apply(Change::Relist(Kind::Pod));
    hear(&later, listed(&[&friend()]));
    let touched = apply(&later, list(Kind::Pod, &[SUBJECT, &guest()]));
    assert_eq!(touched, from(&[FRIEND]));
    for world in [first, later] {
        assert_eq!(reasons(&world), ["peer_unknown", "no_rule_admits"]);
        assert_eq!(world.status().pods, 2);
    }
}

#[test]
fn p25_a_second_list_of_pods_before_the_first_of_another_kind_is_not_judged_by_half() {
    let world = world();
    hear(&world, list(Kind::Pod, &[SUBJECT, &friend()]));
    let _ = world.apply(Change::Relist(Kind::Pod));
    hear(&world, listed(&[SUBJECT, &guest()]));
    hear(&world, list(Kind::Namespace, &[SPACES]));
    hear(&world, list(Kind::Policy, &[&only_a()]));
    assert_eq!(reasons(&world), ["rule", "peer_unknown"]);
    let _ = world.apply(Change::Relisted(Kind::Pod));
    assert_eq!(reasons(&world), ["peer_unknown", "no_rule_admits"]);
}

#[test]
fn p25_a_subject_that_only_a_broken_off_list_told_is_unknown() {
    let world = world();
    let _ = world.apply(Change::Relist(Kind::Pod));
    hear(&world, listed(&[SUBJECT]));
    hear(&world, list(Kind::Pod, &[&guest()]));
    hear(&world, list(Kind::Namespace, &[SPACES]));
    hear(&world, list(Kind::Policy, &[]));
    assert_eq!(reason(&world, GUEST), "subject_unknown");
}

#[test]
fn p25_other_kinds_may_change_while_one_is_listed() {
    let world = synced();
    let _ = world.apply(Change::Relist(Kind::Pod));
    hear(&world, listed(&[SUBJECT, &friend()]));
    let guests =
        upsert("{kind: Namespace, apiVersion: v1, metadata: {name: guests, labels: {team: a}}}");
    assert_eq!(world.apply(guests), from(&[GUEST]));
    assert_eq!(reasons(&world), ["rule", "rule"]);
    hear(&world, listed(&[&guest()]));
    assert_eq!(world.apply(Change::Relisted(Kind::Pod)), Touched::Nothing);
    assert_eq!(reasons(&world), ["rule", "rule"]);
}

#[test]
fn p25_an_event_of_the_kind_that_is_listed_counts_at_once_and_is_kept() {
    let world = synced();
    let _ = world.apply(Change::Relist(Kind::Pod));
    hear(
        &world,
        listed(&[SUBJECT, &pod("guest", "guests", "app: z", GUEST)]),
    );
    let late = pod("late", "shop", "app: x", "10.0.0.3");
    assert_eq!(world.apply(upsert(&late)), from(&["10.0.0.3"]));
    let moved = pod("guest", "shop", "app: z", GUEST);
    let _ = world.apply(upsert(&moved.replace("u-guest", "u-2")));
    let gone = Gone::Pod {
        name: ObjectName::new("guests", "guest"),
        uid: Some("u-guest".into()),
    };
    assert_eq!(world.apply(Change::Delete(gone)), from(&[GUEST]));
    let touched = world.apply(Change::Relisted(Kind::Pod));
    assert_eq!(touched, from(&[FRIEND]));
    assert_eq!(reasons(&world), ["peer_unknown", "rule"]);
    assert_eq!(reason(&world, "10.0.0.3"), "rule");
}

#[test]
fn p26_what_a_list_cannot_read_is_unknown_with_its_earlier_content() {
    let world = synced();
    let broken = |object| {
        let world = synced();
        let kind = Kind::of(&object);
        let mut changes = match kind {
            Kind::Pod => list(kind, &[SUBJECT, &guest()]),
            _ => list(kind, &[&SPACES.replace("shop", "elsewhere")]),
        };
        changes.insert(1, Change::Listed(object));
        hear(&world, changes);
        world
    };
    assert_eq!(reason(&world, FRIEND), "rule");
    let pod = broken(Object::BrokenPod(ObjectName::new("shop", "friend")));
    assert_eq!(reasons(&pod), ["peer_unknown", "no_rule_admits"]);
    let namespace = broken(Object::BrokenNamespace("shop".into()));
    assert_eq!(reasons(&namespace), ["subject_unknown", "subject_unknown"]);
    let mut subject = list(Kind::Pod, &[&friend(), &guest()]);
    let name = ObjectName::new("shop", "web");
    subject.insert(1, Change::Listed(Object::BrokenPod(name)));
    hear(&world, subject);
    assert_eq!(world.status().subject, SubjectStatus::Unknown);
}

#[test]
fn s72_a_list_replaces_a_pod_by_its_successor_of_the_same_name_and_address_in_one_step() {
    let world = synced();
    let successor = friend()
        .replace("u-friend", "u-2")
        .replace("app: x", "app: z");
    let touched = apply(&world, list(Kind::Pod, &[SUBJECT, &successor, &guest()]));
    assert_eq!(touched, from(&[FRIEND]));
    assert_eq!(world.status().pods, 3);
    assert_eq!(reason(&world, FRIEND), "rule");
    // The late end of the old one changes nothing (P8).
    let gone = Gone::Pod {
        name: ObjectName::new("shop", "friend"),
        uid: Some("u-friend".into()),
    };
    assert_eq!(world.apply(Change::Delete(gone)), Touched::Nothing);
    assert_eq!(reason(&world, FRIEND), "rule");
}

#[test]
fn s70_a_pod_that_is_listed_as_ended_is_not_known() {
    let world = synced();
    let ended = friend().replace("Running", "Succeeded");
    let heir = pod("heir", "guests", "app: x", FRIEND);
    let touched = apply(&world, list(Kind::Pod, &[SUBJECT, &ended, &heir, &guest()]));
    assert_eq!(touched, from(&[FRIEND]));
    assert_eq!(reasons(&world), ["no_rule_admits", "no_rule_admits"]);
}

#[test]
fn a_list_of_what_is_known_touches_nobody() {
    let world = synced();
    let generation = world.status().generation;
    let elsewhere = only_a().replace("namespace: shop", "namespace: guests");
    let rows = [
        (Kind::Pod, [SUBJECT, &guest(), &friend()].concat()),
        (Kind::Namespace, SPACES.to_owned()),
        (Kind::Policy, [&*only_a(), "---", &elsewhere].concat()),
    ];
    for (kind, content) in rows {
        assert_eq!(apply(&world, list(kind, &[&content])), Touched::Nothing);
    }
    assert_eq!(world.status().generation, generation);
}

#[test]
fn what_was_not_begun_is_not_ended() {
    let world = synced();
    hear(
        &world,
        listed(&[&pod("late", "shop", "app: x", "10.0.0.3")]),
    );
    for kind in Kind::ALL {
        assert_eq!(world.apply(Change::Relisted(kind)), Touched::Nothing);
    }
    assert_eq!(reasons(&world), ["rule", "no_rule_admits"]);
    assert_eq!(reason(&world, "10.0.0.3"), "peer_unknown");
}

#[test]
fn s84_only_the_sources_own_word_confirms_what_is_in_force() {
    let world = synced();
    let confirmed = world.status().last_confirmed_at;
    let _ = world.apply(Change::SourceProblem("gone".to_owned()));
    hear(&world, list(Kind::Pod, &[SUBJECT, &friend()]));
    let _ = world.apply(upsert(&guest()));
    let _ = world.apply(Change::Delete(Gone::Namespace("guests".into())));
    let status = world.status();
    assert_eq!(status.last_confirmed_at, confirmed);
    assert_eq!(status.problem.as_deref(), Some("gone"));
    let earlier = confirmed
        .unwrap()
        .checked_sub(std::time::Duration::from_millis(1));
    let _ = world.apply(Change::SourceHealthy(earlier.unwrap()));
    let status = world.status();
    assert_eq!(
        (status.last_confirmed_at, status.problem),
        (confirmed, None)
    );
}
