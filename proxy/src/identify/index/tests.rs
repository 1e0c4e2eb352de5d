#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::{Duration, SystemTime};

use podwall_policy::object::Phase;

use super::*;

mod labels;
mod lists;
mod whole;

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
        udp_ports: [].into(),
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
        NoSpace(space) => index.forget_namespace(&Arc::from(*space)),
    }
}

/// Tells the index that these are all there are.
fn relist<'o>(
    index: &mut Index,
    namespaces: impl IntoIterator<Item = &'o Namespace>,
    pods: impl IntoIterator<Item = &'o Pod>,
) -> Effect {
    let (mut spaces, mut list) = (NamespaceList::default(), PodList::default());
    for one in namespaces {
        spaces.listed(index, one);
    }
    for pod in pods {
        list.listed(index, pod);
    }
    let mut difference = Difference::default();
    list.close(index, &mut difference);
    spaces.close(index, &mut difference);
    index.catch_up(&difference)
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
