//! The application's leg, on loopback.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use super::*;

fn app(address: &str) -> UdpSocket {
    let app = UdpSocket::bind((address, 0)).unwrap();
    app.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    app
}

fn address(socket: &UdpSocket) -> SocketAddr {
    socket.local_addr().unwrap()
}

#[test]
fn p15_the_application_sees_the_address_that_was_asked_as_its_client() {
    let mut buffer = [0; 64];
    for own in ["127.0.0.5", "::1"] {
        let app = app(own);
        let leg = Leg::open(address(&app).into()).unwrap();
        let never = || panic!("unreachable");
        assert_eq!(leg.send(b"question", never), Passed::Bytes(8));
        let (length, from) = app.recv_from(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"question");
        assert_eq!(from.ip(), address(&app).ip());
        assert_eq!(leg.receive(&mut buffer), Passed::NotNow);
        app.send_to(b"answer", from).unwrap();
        assert_eq!(leg.receive(&mut buffer), Passed::Bytes(6));
        // Nobody else is heard.
        let other = UdpSocket::bind((own, 0)).unwrap();
        other.send_to(b"forged", from).unwrap();
        assert_eq!(leg.receive(&mut buffer), Passed::NotNow);
    }
}

#[test]
fn an_application_that_is_away_is_told_once_and_heard_when_it_is_back() {
    let gone = app("127.0.0.5");
    let to = address(&gone);
    drop(gone);
    let leg = Leg::open(to.into()).unwrap();
    let mut errors = 0;
    assert_eq!(leg.send(b"lost", || errors += 1), Passed::Bytes(4));
    assert_eq!(errors, 0, "nothing was known of it yet");
    let mut buffer = [0; 64];
    assert_eq!(leg.receive(&mut buffer), Passed::Unreachable);
    assert_eq!(leg.receive(&mut buffer), Passed::NotNow);
    assert_eq!(leg.send(b"lost", || errors += 1), Passed::Bytes(4));
    // The error of the last one must not cost the next.
    let back = UdpSocket::bind(to).unwrap();
    assert_eq!(leg.send(b"heard", || errors += 1), Passed::Bytes(5));
    assert_eq!(errors, 1);
    let (length, _) = back.recv_from(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"heard");
}
