#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::{Duration, Instant};

use podwall_policy::object::Phase;

use super::*;

/// What happens to an index, written as a test reads it.
#[derive(Clone)]
enum Event {
    Put(Pod),
    End(&'static str, Option<&'static str>),
    Broken(&'static str),
    Space(&'static str, &'static [(&'static str, &'static str)]),
    NoSpace(&'static str),
}
use Event::{Broken, End, NoSpace, Put, Space};

fn name(text: &str) -> ObjectName {
    let (namespace, name) = text.split_once('/').unwrap();
    ObjectName::new(namespace, name)
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A running pod without UID and start.
fn pod(text: &str, role: &str, addresses: &[&str]) -> Pod {
    Pod {
        name: name(text),
        uid: None,
        labels: [("role", role)].into_iter().collect(),
        addresses: addresses.iter().map(|one| ip(one)).collect(),
        host_addresses: Vec::new(),
        named_ports: [].into(),
        host_network: false,
        phase: Some(Phase::Running),
        started: None,
        terminating: false,
    }
}

fn with(mut pod: Pod, uid: &str, started: u64) -> Pod {
    pod.uid = Some(uid.into());
    pod.started = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(started));
    pod
}

fn in_phase(mut pod: Pod, phase: Phase) -> Pod {
    pod.phase = Some(phase);
    pod
}

fn hear(index: &mut Index, event: &Event) -> Effect {
    match event {
        Put(pod) => index.upsert_pod(pod),
        End(pod, uid) => index.delete_pod(&name(pod), *uid),
        Broken(pod) => index.break_pod(&name(pod)),
        Space(space, labels) => index.upsert_namespace(&Namespace {
            name: (*space).into(),
            labels: labels.iter().copied().collect(),
        }),
        NoSpace(space) => index.forget_namespace(space),
    }
}

fn after(events: &[Event]) -> Index {
    let mut index = Index::default();
    for event in events {
        let _ = hear(&mut index, event);
    }
    index
}

/// `namespace/name role` of whoever owns the address, `nobody` where nobody does.
fn who(index: &Index, address: &str) -> String {
    index
        .find(ip(address))
        .map_or("nobody".to_owned(), |found| {
            let role = found.identity.labels.get("role").unwrap_or("-");
            format!("{} {role}", found.name)
        })
}

/// The answer must be the same in whichever order the events are heard.
#[track_caller]
fn check_in_any_order(events: &[Event], address: &str, expected: &str) {
    for order in orders(events) {
        assert_eq!(who(&after(&order), address), expected);
    }
}

fn orders(events: &[Event]) -> Vec<Vec<Event>> {
    if events.len() < 2 {
        return vec![events.to_vec()];
    }
    let mut all = Vec::new();
    for first in 0..events.len() {
        let mut rest = events.to_vec();
        let head = rest.remove(first);
        for mut tail in orders(&rest) {
            tail.insert(0, head.clone());
            all.push(tail);
        }
    }
    all
}

#[test]
fn s70_a_finished_pod_owns_no_address() {
    for phase in [Phase::Succeeded, Phase::Failed] {
        let job = pod("ns/job", "job", &["10.0.0.1"]);
        let ended = in_phase(job.clone(), phase);
        let index = after(&[Put(job.clone()), Put(ended.clone())]);
        assert_eq!(who(&index, "10.0.0.1"), "nobody", "{phase:?}");
        assert_eq!(index.pods(), 0);
        let heir = pod("ns/web", "web", &["10.0.0.1"]);
        check_in_any_order(&[Put(ended), Put(heir)], "10.0.0.1", "ns/web web");
    }
}

#[test]
fn s70_the_end_of_an_old_pod_does_not_take_a_new_one_of_its_name_away() {
    let old = with(
        in_phase(pod("ns/db-0", "old", &["10.0.0.1"]), Phase::Failed),
        "u1",
        1,
    );
    let new = with(pod("ns/db-0", "new", &["10.0.0.2"]), "u2", 2);
    check_in_any_order(&[Put(old), Put(new)], "10.0.0.2", "ns/db-0 new");
}

#[test]
fn s71_a_terminating_pod_keeps_its_identity() {
    let mut leaving = pod("ns/web", "web", &["10.0.0.1"]);
    leaving.terminating = true;
    let index = after(&[Put(pod("ns/web", "web", &["10.0.0.1"])), Put(leaving)]);
    assert_eq!(who(&index, "10.0.0.1"), "ns/web web");
}

#[test]
fn s72_of_two_live_owners_the_newer_one_counts() {
    let old = with(pod("ns/old", "old", &["10.0.0.1"]), "u1", 1);
    let new = with(pod("ns/new", "new", &["10.0.0.1"]), "u2", 2);
    check_in_any_order(
        &[Put(old.clone()), Put(new.clone())],
        "10.0.0.1",
        "ns/new new",
    );
    let newest = with(pod("ns/newest", "newest", &["10.0.0.1"]), "u3", 3);
    check_in_any_order(
        &[Put(old), Put(new), Put(newest)],
        "10.0.0.1",
        "ns/newest newest",
    );
}

#[test]
fn s72_the_old_owner_may_leave_before_or_after_the_new_one_comes() {
    let old = with(pod("ns/old", "old", &["10.0.0.1"]), "u1", 1);
    let new = with(pod("ns/new", "new", &["10.0.0.1"]), "u2", 2);
    for order in orders(&[End("ns/old", Some("u1")), Put(new)]) {
        let mut index = after(&[Put(old.clone())]);
        for event in &order {
            let _ = hear(&mut index, event);
        }
        assert_eq!(who(&index, "10.0.0.1"), "ns/new new");
        assert_eq!(index.pods(), 1);
    }
}

#[test]
fn s72_when_the_newer_owner_leaves_the_older_one_has_it_again() {
    let old = with(pod("ns/old", "old", &["10.0.0.1"]), "u1", 1);
    let new = with(pod("ns/new", "new", &["10.0.0.1"]), "u2", 2);
    let index = after(&[Put(old), Put(new), End("ns/new", Some("u2"))]);
    assert_eq!(who(&index, "10.0.0.1"), "ns/old old");
}

#[test]
fn p8_a_late_delete_of_the_old_pod_leaves_its_successor() {
    let old = with(pod("ns/db-0", "old", &["10.0.0.1"]), "u1", 1);
    let new = with(pod("ns/db-0", "new", &["10.0.0.1"]), "u2", 2);
    let late = [
        Put(old.clone()),
        Put(new.clone()),
        End("ns/db-0", Some("u1")),
    ];
    assert_eq!(who(&after(&late), "10.0.0.1"), "ns/db-0 new");
    let foreign = [Put(new), End("ns/db-0", Some("u1")), End("ns/db-0", None)];
    assert_eq!(who(&after(&foreign), "10.0.0.1"), "ns/db-0 new");
    assert_eq!(after(&[Put(old), End("ns/db-0", Some("u1"))]).pods(), 0);
}

#[test]
fn p8_without_uids_the_name_is_the_pod() {
    let gone = [Put(pod("ns/a", "a", &["10.0.0.1"])), End("ns/a", None)];
    assert_eq!(who(&after(&gone), "10.0.0.1"), "nobody");
}

#[test]
fn s73_a_new_owner_is_told_even_where_the_labels_are_equal() {
    let mut index = after(&[Put(with(pod("ns/a", "x", &["10.0.0.1"]), "u1", 1))]);
    let effect = hear(
        &mut index,
        &Put(with(pod("ns/b", "x", &["10.0.0.1"]), "u2", 2)),
    );
    assert_eq!(effect.touched, [ip("10.0.0.1")].into());
}

#[test]
fn s74_a_pending_pod_is_found_once_it_has_its_address() {
    let early = in_phase(pod("ns/a", "a", &[]), Phase::Pending);
    let mut index = after(&[Put(early)]);
    assert_eq!(who(&index, "10.0.0.1"), "nobody");
    let effect = hear(&mut index, &Put(pod("ns/a", "a", &["10.0.0.1"])));
    assert_eq!(effect.touched, [ip("10.0.0.1")].into());
    assert_eq!(who(&index, "10.0.0.1"), "ns/a a");
}

#[test]
fn s75_every_address_of_a_pod_leads_to_it() {
    let index = after(&[Put(pod("ns/a", "a", &["10.0.0.1", "fd00::1"]))]);
    for address in ["10.0.0.1", "fd00::1", "::ffff:10.0.0.1"] {
        assert_eq!(who(&index, address), "ns/a a", "{address}");
    }
    let mapped = after(&[Put(pod("ns/a", "a", &["::ffff:10.0.0.1", "10.0.0.1"]))]);
    assert_eq!(who(&mapped, "10.0.0.1"), "ns/a a");
}

#[test]
fn s75_an_address_that_a_pod_lost_is_nobodys() {
    let mut index = after(&[Put(pod("ns/a", "a", &["10.0.0.1", "fd00::1"]))]);
    let effect = hear(&mut index, &Put(pod("ns/a", "a", &["10.0.0.1"])));
    assert_eq!(effect.touched, [ip("fd00::1")].into());
    assert_eq!(who(&index, "fd00::1"), "nobody");
}

#[test]
fn s76_other_addresses_of_a_pod_are_unknown() {
    let mut host = pod("ns/a", "a", &["10.0.0.1"]);
    host.host_addresses = vec![ip("192.168.0.1")];
    assert_eq!(who(&after(&[Put(host)]), "192.168.0.1"), "nobody");
}

#[test]
fn s77_an_address_that_two_live_pods_claim_belongs_to_nobody() {
    let equal = |text, uid| Put(with(pod(text, "x", &["10.0.0.1"]), uid, 1));
    check_in_any_order(
        &[equal("ns/a", "u1"), equal("ns/b", "u2")],
        "10.0.0.1",
        "nobody",
    );
    let absent = |text| Put(pod(text, "x", &["10.0.0.1"]));
    check_in_any_order(&[absent("ns/a"), absent("ns/b")], "10.0.0.1", "nobody");
    check_in_any_order(&[absent("ns/a"), equal("ns/b", "u2")], "10.0.0.1", "nobody");
}

#[test]
fn s77_a_contest_is_reported_until_it_is_over() {
    let mut index = after(&[
        Put(pod("ns/a", "a", &["10.0.0.1"])),
        Put(pod("ns/b", "b", &["10.0.0.1"])),
    ]);
    assert_eq!(index.contested(), 1);
    let (address, mut pods) = index.contests(8).next().unwrap();
    pods.sort();
    assert_eq!(
        (address, pods),
        (ip("10.0.0.1"), vec![&name("ns/a"), &name("ns/b")])
    );
    let effect = hear(&mut index, &End("ns/b", None));
    assert_eq!(effect.touched, [ip("10.0.0.1")].into());
    assert_eq!(
        (index.contested(), who(&index, "10.0.0.1")),
        (0, "ns/a a".to_owned())
    );
}

#[test]
fn p9_s67_a_host_network_pod_owns_no_address() {
    let mut host = pod("kube-system/proxy", "proxy", &["192.168.0.1", "10.0.0.1"]);
    host.host_network = true;
    let guest = pod("ns/a", "a", &["10.0.0.1"]);
    check_in_any_order(&[Put(host.clone()), Put(guest)], "10.0.0.1", "ns/a a");
    let mut index = after(&[Put(host.clone())]);
    assert_eq!(who(&index, "192.168.0.1"), "nobody");
    host.host_network = false;
    let _ = hear(&mut index, &Put(host));
    assert_eq!(who(&index, "192.168.0.1"), "kube-system/proxy proxy");
}

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

#[test]
fn equal_pods_share_one_identity_and_the_last_one_frees_its_slot() {
    let mut index = after(&[
        Put(pod("ns/a", "web", &["10.0.0.1"])),
        Put(pod("ns/b", "web", &["10.0.0.2"])),
    ]);
    let slot = |index: &Index, address| index.find(ip(address)).unwrap().slot;
    let shared = slot(&index, "10.0.0.1");
    assert_eq!(shared, slot(&index, "10.0.0.2"));
    assert!(hear(&mut index, &End("ns/a", None)).released.is_empty());
    assert_eq!(hear(&mut index, &End("ns/b", None)).released, [shared]);
    let _ = hear(&mut index, &Put(pod("ns/c", "db", &["10.0.0.3"])));
    assert_eq!(
        (slot(&index, "10.0.0.3"), index.slots()),
        (shared, 1),
        "reused"
    );
}

#[test]
fn p25_a_resync_leaves_no_ghost_and_tells_only_what_differs() {
    let stays = pod("ns/stays", "x", &["10.0.0.1"]);
    let index = after(&[
        Space("ns", &[("team", "a")]),
        Put(stays.clone()),
        Put(pod("ns/goes", "y", &["10.0.0.2"])),
        Put(pod("ns/changes", "z", &["10.0.0.3"])),
    ]);
    let slot = index.find(ip("10.0.0.1")).unwrap().slot;
    let namespace = Namespace {
        name: "ns".into(),
        labels: [("team", "a")].into_iter().collect(),
    };
    let pods = [
        stays,
        pod("ns/changes", "zz", &["10.0.0.3"]),
        pod("ns/comes", "w", &["10.0.0.4"]),
    ];
    let (next, effect) = index.resync([&namespace].into_iter(), pods.iter());
    assert_eq!(
        effect.touched,
        ["10.0.0.2", "10.0.0.3", "10.0.0.4"].map(ip).into()
    );
    assert_eq!(
        next.find(ip("10.0.0.1")).unwrap().slot,
        slot,
        "what was computed for it stays valid"
    );
    assert_eq!(
        (who(&next, "10.0.0.2"), next.pods()),
        ("nobody".to_owned(), 3)
    );
    let gone: HashSet<Slot> = effect.released.into_iter().collect();
    let was = |address| index.find(ip(address)).unwrap().slot;
    assert_eq!(gone, [was("10.0.0.2"), was("10.0.0.3")].into());
}

/// Events and resyncs must end in the same answers, whatever came before.
#[test]
fn events_and_a_resync_end_in_the_same_answers() {
    let mut seed = 7u64;
    let mut random = move |below: u64| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let (mut index, mut live) = (Index::default(), HashMap::new());
    for step in 0..4_000u64 {
        let text = format!("ns/p{}", random(12));
        let uid = format!("u{}", random(2));
        let key = (text.clone(), uid.clone());
        if random(4) == 0 {
            let _ = index.delete_pod(&name(&text), Some(&uid));
            live.remove(&key);
        } else {
            let address = format!("10.0.0.{}", random(6));
            let mut one = with(
                pod(&text, &format!("r{}", random(3)), &[&address]),
                &uid,
                random(4),
            );
            if random(5) == 0 {
                one.phase = Some(Phase::Succeeded);
            }
            let _ = index.upsert_pod(&one);
            live.insert(key, one);
        }
        let (whole, effect) = index.resync([].into_iter(), live.values());
        assert!(
            effect.touched.is_empty(),
            "step {step}: {:?}",
            effect.touched
        );
        assert_eq!(
            (index.contested(), index.pods()),
            (whole.contested(), whole.pods())
        );
    }
}

#[test]
fn one_event_at_100_000_pods_does_not_walk_them() {
    let pods: Vec<Pod> = (0..100_000u32)
        .map(|at| {
            let mut one = pod(
                &format!("ns{}/p{at}", at % 100),
                &format!("r{}", at % 500),
                &[],
            );
            one.addresses = vec![std::net::Ipv4Addr::from_bits(0x0a00_0000 + at).into()];
            one
        })
        .collect();
    let start = Instant::now();
    let (mut index, effect) = Index::default().resync([].into_iter(), pods.iter());
    assert_eq!((index.pods(), effect.touched.len()), (100_000, 100_000));
    assert!(
        start.elapsed() < Duration::from_secs(30),
        "{:?}",
        start.elapsed()
    );
    let start = Instant::now();
    for at in 0..10_000 {
        let mut one = pods[at].clone();
        one.labels = [("role", "changed")].into_iter().collect();
        assert_eq!(index.upsert_pod(&one).touched.len(), 1);
    }
    // 10,000 walks of 100,000 pods would take minutes.
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );
}
