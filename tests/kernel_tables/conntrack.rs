//! Entries: found, counted, marked in place.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, UdpSocket};

use podwall_lab::wait_until;
use podwall_policy::flow::Protocol;
use podwall_proxy::kernel::{Conntrack, Count, Entry, Events, Tuple};

use socket2::{Domain, Socket, Type};

use super::scene::{PORT, Scene, reversed, udp_tuple, without_capabilities};
use crate::support::SOON;

/// SCTP from port 41000 to 3868, INIT alone: tag, window, streams, first number.
const INIT: [u8; 32] = [
    0xa0, 0x28, 0x0f, 0x1c, 0, 0, 0, 0, 0, 0, 0, 0, // ports, no tag, no checksum
    1, 0, 0, 20, 0, 0, 0, 7, 0, 0, 0xff, 0xff, 0, 1, 0, 1, 0, 0, 0, 1,
];

fn open(scene: &Scene) -> Conntrack {
    scene.web.enter(|| Conntrack::open().unwrap()).unwrap()
}

fn dumped(conntrack: &mut Conntrack) -> HashMap<Tuple, Entry> {
    let mut all = HashMap::new();
    conntrack
        .dump(&mut |entry| {
            all.insert(entry.tuple, entry);
        })
        .unwrap();
    all
}

/// Holds what is true of marks of a flow that has an entry.
fn marks_in_place(conntrack: &mut Conntrack, tuple: &Tuple) {
    let mark = |conntrack: &mut Conntrack| conntrack.get(tuple).unwrap().unwrap().mark;
    assert_eq!(mark(conntrack), 0, "{tuple:?}");
    for (value, mask, then) in [
        (0xffff_0000, u32::MAX, 0xffff_0000),
        (0x0000_0003, 0x0000_000f, 0xffff_0003),
        (0x0000_0000, 0x8000_0001, 0x7fff_0002),
        // What the value has outside the mask changes nothing.
        (0xffff_ffff, 0x0000_0100, 0x7fff_0102),
        (0x1234_5678, 0x0000_0000, 0x7fff_0102),
    ] {
        let before = mark(conntrack);
        let changed = conntrack.set_mark(tuple, value, mask).unwrap().unwrap();
        assert_eq!((changed.tuple, changed.mark), (*tuple, before), "as it was");
        assert_eq!(mark(conntrack), then, "{value:#x}/{mask:#x} {tuple:?}");
        assert_eq!(dumped(conntrack)[tuple].mark, then, "{tuple:?}");
    }
}

#[test]
fn p37_a_flow_is_found_listed_and_marked_in_place() {
    let scene = Scene::set(true);
    let mut conntrack = open(&scene);
    let listener = scene.listen(PORT);
    for address in scene.addresses() {
        let mut pair = scene.connect(&listener, address);
        let (asked, _one) = scene.datagrams(address, false);
        let (answered, _two) = scene.datagrams(address, true);
        for (tuple, replied) in [
            (pair.tuple(), true),
            (udp_tuple(&asked), false),
            (udp_tuple(&answered), true),
        ] {
            let entry = conntrack.get(&tuple).unwrap().unwrap();
            assert_eq!(
                (entry.tuple, entry.replied, entry.ended),
                (tuple, replied, false)
            );
            assert_eq!(dumped(&mut conntrack)[&tuple], entry);
            marks_in_place(&mut conntrack, &tuple);
        }
        // The entry is the old one: what it was for goes on.
        pair.talk();
        let carried = conntrack.get(&pair.tuple()).unwrap().unwrap();
        assert!(carried.counters.unwrap().original.packets >= 3);
    }
}

#[test]
fn p37_what_is_not_there_is_gone_and_a_flow_of_the_other_direction_is_another() {
    let scene = Scene::set(false);
    let mut conntrack = open(&scene);
    for address in scene.addresses() {
        let (client, _server) = scene.datagrams(address, true);
        let tuple = udp_tuple(&client);
        let mut elsewhere = tuple;
        elsewhere.source.set_port(1);
        let tcp = Tuple::new(Protocol::Tcp, tuple.source, tuple.destination);
        for absent in [elsewhere, tcp, reversed(&tuple)] {
            assert_eq!(conntrack.get(&absent).unwrap(), None, "{absent:?}");
            let marked = conntrack.set_mark(&absent, 1, 1).unwrap();
            assert_eq!(marked, None, "{absent:?}");
        }
        let entry = conntrack.get(&tuple).unwrap().unwrap();
        assert_eq!(entry.mark, 0, "marked through its other direction");
    }
}

/// The kernel here has no SCTP, but tracks it: an INIT from a raw socket.
#[test]
fn p37_an_association_is_found_and_marked_too() {
    let scene = Scene::set(false);
    let setting = "net.netfilter.nf_conntrack_checksum";
    scene.web.sysctl(setting, "0").unwrap();
    let mut conntrack = open(&scene);
    for address in scene.addresses() {
        let at = SocketAddr::new(address, 0);
        let source = scene.cart.enter(|| {
            let socket = Socket::new(Domain::for_address(at), Type::RAW, Some(132.into()))?;
            socket.connect(&at.into())?;
            socket.send(&INIT)?;
            io::Result::Ok(socket.local_addr()?.as_socket().unwrap().ip())
        });
        let [source, destination] = [(source.unwrap().unwrap(), 41_000), (address, 3868)];
        let tuple = Tuple::new(Protocol::Sctp, source.into(), destination.into());
        // Nobody answers a raw socket, so nothing says when it has arrived.
        let mut found = None;
        let arrives = wait_until(SOON, || {
            found = conntrack.get(&tuple).unwrap();
            found.is_some()
        });
        assert!(arrives, "{tuple:?}");
        assert!(
            found.is_some_and(|entry| !entry.replied && !entry.ended),
            "{found:?}"
        );
        marks_in_place(&mut conntrack, &tuple);
    }
}

#[test]
fn counters_are_there_with_accounting_only() {
    let scene = Scene::set(true);
    let mut conntrack = open(&scene);
    for address in scene.addresses() {
        let (client, _server) = scene.datagrams(address, true);
        let header = if address.is_ipv4() { 28 } else { 48 };
        let counters = conntrack.get(&udp_tuple(&client)).unwrap().unwrap();
        let counters = counters.counters.unwrap();
        let of = |bytes| Count { packets: 1, bytes };
        assert_eq!(counters.original, of(header + 7), "{address}");
        assert_eq!(counters.reply, of(header + 6), "{address}");
    }
    let scene = Scene::set(false);
    let mut conntrack = open(&scene);
    for address in scene.addresses() {
        let (client, _server) = scene.datagrams(address, true);
        let entry = conntrack.get(&udp_tuple(&client)).unwrap().unwrap();
        assert_eq!(entry.counters, None, "{address}");
    }
}

#[test]
fn a_long_list_is_told_whole() {
    const FLOWS: usize = 3000;
    let scene = Scene::set(false);
    let mut conntrack = open(&scene);
    let (_first, server) = scene.datagrams(scene.web.v4().into(), false);
    let at = SocketAddr::new(scene.web.v4().into(), server.local_addr().unwrap().port());
    let senders: Vec<UdpSocket> = scene
        .cart
        .enter(|| {
            let senders = (0..FLOWS).map(|_| UdpSocket::bind((scene.cart.v4(), 0)).unwrap());
            senders
                .inspect(|one| assert_eq!(one.send_to(b"x", at).unwrap(), 1))
                .collect()
        })
        .unwrap();
    let all = dumped(&mut conntrack);
    for sender in &senders {
        let tuple = Tuple::new(Protocol::Udp, sender.local_addr().unwrap(), at);
        assert!(all.contains_key(&tuple), "{tuple:?} of {}", all.len());
    }
}

#[test]
fn without_net_admin_it_says_so() {
    let scene = Scene::set(false);
    let (client, _server) = scene.datagrams(scene.web.v4().into(), true);
    let tuple = udp_tuple(&client);
    without_capabilities(&scene.web, || {
        let refused = |error: io::Error| error.kind() == io::ErrorKind::PermissionDenied;
        let mut conntrack = Conntrack::open().unwrap();
        assert!(conntrack.get(&tuple).is_err_and(refused));
        assert!(conntrack.dump(&mut |_| {}).is_err_and(refused));
        assert!(conntrack.set_mark(&tuple, 1, 1).is_err_and(refused));
        assert!(Events::open().is_err_and(refused));
    });
    assert_eq!(open(&scene).get(&tuple).unwrap().unwrap().mark, 0);
}
