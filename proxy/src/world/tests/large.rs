//! Many pods, many readers.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::*;

#[test]
fn a_pods_event_in_a_large_world_is_quick() {
    let mut parts = vec![SPACES.to_owned(), SUBJECT.to_owned()];
    parts.extend((0..500).map(|at| policy(&format!("p{at}"), "app: web", TEAM_A)));
    let mut all = objects(&parts.concat());
    let Object::Pod(template) = objects(&pod("x", "guests", "app: x", "10.1.0.0")).remove(0) else {
        panic!("a pod");
    };
    all.extend((0..20_000u32).map(|at| {
        let mut one = template.clone();
        one.name = ObjectName::new("guests", &format!("x{at}"));
        one.uid = Some(format!("u{at}").into());
        one.addresses = vec![std::net::Ipv4Addr::from_bits(0x0a01_0000 + at).into()];
        Object::Pod(one)
    }));
    let world = after([Change::Resync(Cluster::assemble(all).unwrap().0)]);
    assert_eq!(world.status().pods, 20_001);
    let start = Instant::now();
    for at in 0..2_000u32 {
        let label = if at % 2 == 0 { "app: z" } else { "app: x" };
        assert_eq!(
            world.apply(upsert(&pod("x0", "guests", label, "10.9.0.1"))),
            from(&["10.9.0.1"])
        );
        assert_eq!(reason(&world, "10.9.0.1"), "no_rule_admits");
    }
    // A walk of all pods, or a compilation, per event would take minutes.
    assert!(
        start.elapsed() < Duration::from_secs(20),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn readers_see_a_state_before_or_after_a_change_never_between() {
    let friend = pod("friend", "shop", "app: x", "10.0.0.1");
    let open = [SPACES, SUBJECT, &friend];
    let shut_policy = policy("only-b", "app: web", "matchLabels: {team: none}");
    let shut = [SPACES, SUBJECT, &friend, &shut_policy];
    let world = after([state(&open)]);
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut seen = HashSet::new();
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                seen.insert(reason(&world, "10.0.0.1"));
            }
            seen
        });
        for _ in 0..200 {
            let _ = world.apply(state(&shut));
            let _ = world.apply(state(&open));
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        let seen = reader.join().unwrap();
        assert!(
            seen.is_subset(&["not_isolated", "no_rule_admits"].into()),
            "{seen:?}"
        );
    });
}

#[test]
fn what_a_writer_left_half_done_is_not_asked_until_a_whole_state_replaced_it() {
    let world = after([state(&[SPACES, SUBJECT])]);
    std::thread::scope(|scope| {
        let broken_off = scope.spawn(|| {
            let _state = world.write();
            panic!("a writer breaks off");
        });
        assert!(broken_off.join().is_err());
    });
    assert_eq!(reason(&world, "10.0.0.1"), "not_synced");
    assert_eq!(reason(&world, "192.168.0.1"), "node");
    let _ = world.apply(state(&[SPACES, SUBJECT]));
    assert_eq!(reason(&world, "10.0.0.1"), "not_isolated");
}
