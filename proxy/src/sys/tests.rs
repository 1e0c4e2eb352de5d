#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;

#[test]
fn p17_the_default_cap_leaves_descriptors_to_spare() {
    for (descriptors, connections) in [(0, 64), (1024, 384), (20_000, 9_872), (u64::MAX, 1 << 20)] {
        assert_eq!(connections_for(descriptors), connections, "{descriptors}");
    }
}

#[test]
fn p17_the_limit_is_raised_to_the_hard_one() {
    let raised = raise_descriptor_limit();
    let limit = getrlimit(Resource::Nofile);
    assert_eq!(limit.current, limit.maximum);
    assert_eq!(raised, limit.current.unwrap_or(u64::MAX));
}

#[test]
fn p17_running_out_is_told_from_a_client_that_left() {
    use rustix::io::Errno;
    assert!(is_exhaustion(&Errno::MFILE.into()));
    assert!(is_exhaustion(&Errno::NFILE.into()));
    assert!(!is_exhaustion(&Errno::CONNABORTED.into()));
    assert!(!is_exhaustion(&io::Error::other("no errno")));
}

#[test]
fn p14_accepted_sockets_inherit_what_the_listener_was_given() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    prepare_leg(&listener, Duration::from_secs(77)).unwrap();
    let _client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (accepted, _) = listener.accept().unwrap();
    assert!(sockopt::tcp_nodelay(&accepted).unwrap());
    assert!(sockopt::socket_keepalive(&accepted).unwrap());
    assert_eq!(sockopt::tcp_keepidle(&accepted).unwrap(), KEEPALIVE_IDLE);
    assert_eq!(
        sockopt::tcp_keepintvl(&accepted).unwrap(),
        KEEPALIVE_INTERVAL
    );
    assert_eq!(sockopt::tcp_user_timeout(&accepted).unwrap(), 77_000);
}
