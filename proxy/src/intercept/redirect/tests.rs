#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::{Ipv4Addr, Ipv6Addr};

use rustix::net::sockopt;

use super::*;

const DEAD_PEER: Duration = Duration::from_secs(33);

async fn came(door: &mut Door) -> (TcpStream, SocketAddr) {
    loop {
        if let Turn::Came(stream, peer) = door.next().await.unwrap() {
            return (stream, peer);
        }
    }
}

#[tokio::test]
async fn p14_p20_both_families_come_in_and_inherit_the_options() {
    let mut door = Door::bind(0, DEAD_PEER).unwrap();
    let at = door.address().unwrap();
    let mut clients = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, at.port()))];
    if at.is_ipv6() {
        clients.push(SocketAddr::from((Ipv6Addr::LOCALHOST, at.port())));
    }
    for address in clients {
        let client = TcpStream::connect(address).await.unwrap();
        let (stream, peer) = came(&mut door).await;
        assert_eq!(peer.ip().to_canonical(), client.local_addr().unwrap().ip());
        assert!(sockopt::tcp_nodelay(&stream).unwrap());
        assert!(sockopt::socket_keepalive(&stream).unwrap());
        assert_eq!(sockopt::tcp_user_timeout(&stream).unwrap(), 33_000);
    }
}

#[tokio::test]
async fn a_taken_port_is_an_error_that_names_the_flag() {
    let door = Door::bind(0, DEAD_PEER).unwrap();
    let port = door.address().unwrap().port();
    let error = Door::bind(port, DEAD_PEER).unwrap_err().to_string();
    assert!(error.contains(&port.to_string()), "{error}");
    assert!(error.contains("--listen-port"), "{error}");
}

#[tokio::test]
async fn what_waits_in_the_queue_can_be_taken_without_waiting() {
    let mut door = Door::bind(0, DEAD_PEER).unwrap();
    assert!(door.leftover().await.is_none());
    let port = door.address().unwrap().port();
    let _client = TcpStream::connect((Ipv4Addr::LOCALHOST, port))
        .await
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while door.leftover().await.is_none() {
        assert!(Instant::now() < deadline);
        tokio::task::yield_now().await;
    }
}
