//! The news of flows that end.

use podwall_lab::wait_until;
use podwall_proxy::kernel::{Conntrack, Entry, Event, Events, Tuple};

use super::scene::{PORT, Scene, udp_tuple};
use crate::support::SOON;

/// The least that the kernel gives.
const LITTLE: usize = 1;

fn open(scene: &Scene, buffer: Option<usize>) -> (Events, Conntrack) {
    let open = || {
        let events = buffer.map_or_else(Events::open, Events::with_buffer);
        (events.unwrap(), Conntrack::open().unwrap())
    };
    scene.web.enter(open).unwrap()
}

fn news(events: &mut Events) -> Vec<Event> {
    let mut news = Vec::new();
    events.read(&mut |event| news.push(event)).unwrap();
    news
}

/// Waits for the news of this flow's end, other news left aside.
fn end_of(events: &mut Events, tuple: &Tuple, wanted: impl Fn(&Entry) -> bool) -> Entry {
    let mut found = None;
    let heard = wait_until(SOON, || {
        let ends = news(events).into_iter().map(|event| match event {
            Event::Ended(entry) => entry,
            Event::Lost => panic!("lost"),
        });
        let mut ends = ends.filter(|entry| entry.tuple == *tuple && wanted(entry));
        found = found.or_else(|| ends.next());
        found.is_some()
    });
    assert!(heard, "no news of {tuple:?}");
    found.unwrap()
}

#[test]
fn the_end_of_tcp_is_told_when_both_have_said_goodbye() {
    let scene = Scene::set(true);
    let (mut events, mut conntrack) = open(&scene, None);
    let listener = scene.listen(PORT);
    for address in scene.addresses() {
        let mut pair = scene.connect(&listener, address);
        pair.talk();
        let tuple = pair.tuple();
        assert!(conntrack.set_mark(&tuple, 5, 7).unwrap().is_some());
        assert_eq!(news(&mut events), [], "nothing has ended");
        drop(pair);
        let entry = end_of(&mut events, &tuple, |entry| entry.ended);
        assert_eq!((entry.mark, entry.counters), (5, None));
        // The entry is still there, and knows what it has carried.
        let entry = conntrack.get(&tuple).unwrap().unwrap();
        assert!(entry.ended);
        assert!(entry.counters.unwrap().reply.packets >= 3, "{entry:?}");
    }
}

#[test]
fn a_reset_is_an_end() {
    let scene = Scene::set(false);
    let (mut events, _) = open(&scene, None);
    let listener = scene.listen(PORT);
    for address in scene.addresses() {
        let pair = scene.connect(&listener, address);
        let tuple = pair.tuple();
        socket2::SockRef::from(&pair.client)
            .set_linger(Some(std::time::Duration::ZERO))
            .unwrap();
        drop(pair);
        assert!(end_of(&mut events, &tuple, |_| true).ended);
    }
}

#[test]
fn the_end_of_udp_is_told_with_counters_and_mark() {
    let scene = Scene::set(true);
    scene
        .web
        .sysctl("net.netfilter.nf_conntrack_udp_timeout", "1")
        .unwrap();
    let (mut events, mut conntrack) = open(&scene, None);
    for address in scene.addresses() {
        let (client, _server) = scene.datagrams(address, true);
        let tuple = udp_tuple(&client);
        assert!(conntrack.set_mark(&tuple, 5, 7).unwrap().is_some());
        // The kernel drops what has run out when it is looked for.
        assert!(wait_until(SOON, || conntrack
            .get(&tuple)
            .unwrap()
            .is_none()));
        let entry = end_of(&mut events, &tuple, |_| true);
        let packets = entry.counters.unwrap().original.packets;
        assert_eq!((entry.mark, packets, entry.ended), (5, 1, false));
    }
}

#[test]
fn what_begins_takes_no_room_and_ends_that_find_none_are_lost_aloud() {
    const FLOWS: usize = 100;
    let scene = Scene::set(false);
    let (mut events, _) = open(&scene, Some(LITTLE));
    let listener = scene.listen(PORT);
    let pairs: Vec<_> = (0..FLOWS)
        .map(|_| scene.connect(&listener, scene.web.v4().into()))
        .collect();
    assert_eq!(news(&mut events), [], "beginnings are kept in the kernel");
    let all: Vec<_> = pairs.iter().map(|pair| pair.tuple()).collect();
    drop(pairs);
    let mut conntrack = scene.web.enter(|| Conntrack::open().unwrap()).unwrap();
    assert!(wait_until(SOON, || all.iter().all(|tuple| {
        conntrack
            .get(tuple)
            .unwrap()
            .is_none_or(|entry| entry.ended)
    })));
    let news = news(&mut events);
    assert!(news.contains(&Event::Lost), "{} news", news.len());
    assert!(news.len() < FLOWS, "{} news in no room", news.len());
    // Afterwards it hears again.
    let pair = scene.connect(&listener, scene.web.v6().into());
    let tuple = pair.tuple();
    drop(pair);
    end_of(&mut events, &tuple, |entry| entry.ended);
}
