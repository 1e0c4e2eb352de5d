//! The listener, on loopback: its whole net is this machine's, so every address of it stands for one of a pod.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::UdpSocket;

use super::*;

/// A client on this address, towards a listener for port 53.
fn client(address: &str) -> UdpSocket {
    let client = UdpSocket::bind((address, 0)).unwrap();
    client
        .set_read_timeout(Some(std::time::Duration::from_secs(10)))
        .unwrap();
    client
}

fn door() -> (DatagramDoor, u16) {
    let door = DatagramDoor::bind(53, 0).unwrap();
    let port = door.address().unwrap().port();
    (door, port)
}

/// The next datagram; loopback has delivered it when the sender's call returns.
fn receive(door: &DatagramDoor, buffer: &mut [u8]) -> Came {
    door.receive(buffer).unwrap().expect("a datagram")
}

#[test]
fn p02_a_datagram_comes_with_its_source_and_the_address_it_came_to_in_both_families() {
    let (door, port) = door();
    let mut buffer = vec![0; LARGEST];
    assert_eq!(door.receive(&mut buffer).unwrap(), None);
    for (from, to) in [
        ("127.0.0.2", "127.0.0.1"),
        ("127.0.0.3", "127.0.0.5"),
        ("::1", "::1"),
    ] {
        let client = client(from);
        client.send_to(b"question", (to, port)).unwrap();
        let came = receive(&door, &mut buffer);
        assert_eq!(came.from, client.local_addr().unwrap().into());
        let wanted: SocketAddr = (to.parse::<IpAddr>().unwrap(), 53).into();
        assert_eq!(came.to, wanted.into());
        assert_eq!(&buffer[..came.length], b"question");
    }
    assert_eq!(door.receive(&mut buffer).unwrap(), None);
}

#[test]
fn an_answer_leaves_from_the_address_that_was_asked() {
    let (door, port) = door();
    let mut buffer = vec![0; LARGEST];
    // The kernel by itself would answer from 127.0.0.1.
    for (from, to) in [("127.0.0.2", "127.0.0.5"), ("::1", "::1")] {
        let client = client(from);
        client.send_to(b"question", (to, port)).unwrap();
        let came = receive(&door, &mut buffer);
        door.answer(b"answer", came.from, came.to).unwrap();
        let (length, sender) = client.recv_from(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"answer");
        assert_eq!(sender, (to.parse::<IpAddr>().unwrap(), port).into());
    }
}

#[test]
fn the_largest_datagrams_are_carried_whole() {
    let (door, port) = door();
    let mut buffer = vec![0; LARGEST];
    for (from, to, largest) in [("127.0.0.2", "127.0.0.1", 65_507), ("::1", "::1", 65_527)] {
        let client = client(from);
        let sent: Vec<u8> = (0..largest).map(|at: u32| at as u8).collect();
        client.send_to(&sent, (to, port)).unwrap();
        let came = receive(&door, &mut buffer);
        assert!(buffer[..came.length] == sent, "{} bytes", came.length);
        door.answer(&sent, came.from, came.to).unwrap();
        let (length, _) = client.recv_from(&mut buffer).unwrap();
        assert!(buffer[..length] == sent, "{length} bytes");
    }
}

#[test]
fn an_empty_datagram_is_one_too() {
    let (door, port) = door();
    let mut buffer = vec![0; LARGEST];
    client("127.0.0.2")
        .send_to(b"", ("127.0.0.1", port))
        .unwrap();
    assert_eq!(receive(&door, &mut buffer).length, 0);
}

#[test]
fn a_taken_port_is_an_error_that_names_both_ports_and_the_mend() {
    for other in ["0.0.0.0", "::"] {
        let taken = UdpSocket::bind((other, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = DatagramDoor::bind(53, port).unwrap_err().to_string();
        for word in [
            format!("UDP port {port}"),
            "--udp-port 53".to_owned(),
            "in use".to_owned(),
            "--udp-listen-port".to_owned(),
        ] {
            assert!(error.contains(&word), "{error}");
        }
    }
}

#[test]
fn a_link_local_address_keeps_its_interface() {
    let address = "fe80::1".parse().unwrap();
    let SocketAddr::V6(v6) = destination(address, 7, 53) else {
        panic!("another family")
    };
    assert_eq!((v6.scope_id(), v6.port()), (7, 53));
    let global = "fd00::1".parse().unwrap();
    assert_eq!(destination(global, 7, 53), (global, 53).into());
}
