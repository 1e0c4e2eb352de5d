//! What no table can say: probes of the node, a pod that calls itself, and pods that come and go with their addresses; then
//! what is open while the law changes. In each mode.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use podwall_lab::{Mode, Place, Pod, PodSpec};

use super::open;
use super::table::{BOTH, Step, policies};
use super::town::Town;
use super::wire::{Seen, connect, words};
use crate::talk::connect_from;

/// Lets x/b into x/a, on every port.
pub fn only_b() -> Step {
    policies(&[(
        "x",
        "only-b",
        "{ podSelector: { matchLabels: { pod: a } }, policyTypes: [Ingress], \
         ingress: [{ from: [{ podSelector: { matchLabels: { pod: b } } }] }] }",
    )])
}

/// What a TCP caller sees who is denied.
fn denied(mode: Mode) -> Seen {
    match mode {
        Mode::Redirect => Seen::Reset,
        Mode::Queue => Seen::Refused,
    }
}

fn served(name: &str) -> Seen {
    Seen::Served(name.to_owned())
}

/// What callers at this place see of x/a, over both families.
fn calls(town: &Town, from: &Place, seen: &Seen, who: &str) {
    for family in BOTH {
        let to = SocketAddr::new(town.get("x/a").address(family), 80);
        let saw = from.enter(|| connect(to)).unwrap();
        assert_eq!(saw, *seen, "{who} -> x/a over {family:?}");
    }
}

/// S63, P10: probes of the node come in, whatever the policies say.
fn the_node_may_enter(town: &mut Town) {
    town.begin(&only_b().changes);
    let node = town.lab.node().clone();
    calls(town, &node, &served("x/a"), "the node");
    // By its host addresses too; what is above came from the gateway's.
    let hosts: [IpAddr; 2] = [node.host_v4().into(), node.host_v6().into()];
    for (family, host) in BOTH.into_iter().zip(hosts) {
        let to = SocketAddr::new(town.get("x/a").address(family), 80);
        let saw = words(connect_from(&node, host, to));
        assert_eq!(saw, served("x/a"), "the node by {host}");
    }
    calls(
        town,
        &town.get("z/a").pod,
        &denied(town.mode.unwrap()),
        "z/a",
    );
}

/// S68: by its own address (the tables ask that too) and by loopback.
fn a_pod_reaches_itself(town: &mut Town) {
    town.begin(&only_b().changes);
    let own = town.get("x/a");
    calls(town, &own.pod, &served("x/a"), "x/a");
    let loopback: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    for address in loopback {
        let saw = own.pod.enter(|| connect((address, 80).into())).unwrap();
        assert_eq!(saw, served("x/a"), "{address}");
    }
}

/// A caller without podwall, of the tables' namespaces, on fresh addresses or on those of another.
fn come(town: &mut Town, name: &'static str, label: &'static str, at: Option<&Pod>) -> Pod {
    let mut spec = PodSpec::new("x", name).label("pod", label);
    if let Some(old) = at {
        spec = spec.address(old.v4()).address(old.v6());
    }
    town.alter(|lab| lab.pod(spec))
}

/// P8, S70, S72: an address is its owner's, and a pod that comes again elsewhere is known at once.
fn addresses_change_hands(town: &mut Town) {
    let mode = town.mode.unwrap();
    town.begin(&only_b().changes);
    let friend = come(town, "friend", "b", None);
    calls(town, &friend, &served("x/a"), "a friend");
    // It has finished, its object is still there, and a stranger gets its address.
    town.alter(|lab| lab.set_phase("x", "friend", "Succeeded"));
    let stranger = come(town, "stranger", "c", Some(&friend));
    calls(town, &stranger, &denied(mode), "the heir of a friend");
    town.alter(|lab| lab.remove("x", "friend"));
    calls(
        town,
        &stranger,
        &denied(mode),
        "the heir, once the old object is gone",
    );
    // The same name and labels again, on another address.
    let again = come(town, "friend", "b", None);
    assert_ne!(again.v4(), friend.v4());
    calls(
        town,
        &again,
        &served("x/a"),
        "the friend, come again elsewhere",
    );
    calls(town, &stranger, &denied(mode), "the heir, still");
    // And the other way round: a stranger's address becomes a friend's.
    town.alter(|lab| lab.remove("x", "stranger"));
    let heir = come(town, "heir", "b", Some(&stranger));
    calls(
        town,
        &heir,
        &served("x/a"),
        "a friend on a stranger's address",
    );
    town.alter(|lab| {
        lab.remove("x", "friend")?;
        lab.remove("x", "heir")
    });
}

fn play(mode: Mode) {
    let mut town = Town::guarded(mode);
    the_node_may_enter(&mut town);
    a_pod_reaches_itself(&mut town);
    addresses_change_hands(&mut town);
    open::connections_are_cut(&mut town);
    open::datagrams_stop(&mut town);
}

#[test]
fn alive_in_mode_redirect() {
    play(Mode::Redirect);
}

#[test]
fn alive_in_mode_queue() {
    play(Mode::Queue);
}
