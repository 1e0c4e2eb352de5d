//! Whole states and many pods.

use std::time::Instant;

use super::*;

#[test]
fn p25_a_relist_leaves_no_ghost_and_tells_only_what_differs() {
    let stays = pod("ns/stays", "x", &["10.0.0.1"]);
    let mut index = after(&[
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
    let was = ["10.0.0.2", "10.0.0.3"].map(|one| index.find(ip(one)).unwrap().slot);
    let effect = relist(&mut index, [&namespace], &pods);
    assert_eq!(
        effect.touched,
        ["10.0.0.2", "10.0.0.3", "10.0.0.4"].map(ip).into()
    );
    assert_eq!(
        index.find(ip("10.0.0.1")).unwrap().slot,
        slot,
        "what was computed for it stays valid"
    );
    assert_eq!(
        (who(&index, "10.0.0.2"), index.pods()),
        ("nobody".to_owned(), 3)
    );
    let gone: HashSet<Slot> = effect.released.into_iter().collect();
    assert_eq!(gone, was.into());
}

/// Events and relists must end in the same answers, whatever came before.
#[test]
fn events_and_a_relist_end_in_the_same_answers() {
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
        let mut whole = Index::default();
        let _ = relist(&mut whole, [], live.values());
        let effect = relist(&mut index, [], live.values());
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
    let mut index = Index::default();
    let effect = relist(&mut index, [], &pods);
    assert_eq!((index.pods(), effect.touched.len()), (100_000, 100_000));
    assert!(
        start.elapsed() < Duration::from_secs(30),
        "{:?}",
        start.elapsed()
    );
    let start = Instant::now();
    for one in pods.iter().take(10_000) {
        let mut one = one.clone();
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
