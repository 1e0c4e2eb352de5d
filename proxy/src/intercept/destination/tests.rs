#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;

const PORTS: OwnPorts = OwnPorts {
    listen: 15_001,
    canary: 15_009,
};

fn check(source: &str, destination: &str) -> Result<&'static str, Refusal> {
    let at = |text: &str| text.parse::<SocketAddr>().unwrap();
    let own: [IpAddr; 2] = ["10.0.0.5".parse().unwrap(), "fd00::5".parse().unwrap()];
    let is_this_pod = |address: IpAddr| own.contains(&address);
    meant(
        at(source).into(),
        at(destination).into(),
        PORTS,
        is_this_pod,
    )
    .map(|meant| match meant {
        Meant::ForTheCanary => "canary",
        Meant::ForTheApplication(_) => "application",
    })
}

#[test]
fn p33_p34_p40_what_is_dismissed() {
    for (source, destination, expected) in [
        ("10.0.0.9:4000", "10.0.0.5:80", Ok("application")),
        ("[fd00::9]:4000", "[fd00::5]:80", Ok("application")),
        (
            "[::ffff:10.0.0.9]:4000",
            "[::ffff:10.0.0.5]:80",
            Ok("application"),
        ),
        ("10.0.0.9:4000", "10.0.0.5:15009", Ok("application")),
        ("127.0.0.1:4000", "127.0.0.1:15009", Ok("canary")),
        ("[::1]:4000", "[::1]:15009", Ok("canary")),
        ("10.0.0.9:4000", "127.0.0.1:15009", Err(Refusal::NotThisPod)),
        (
            "10.0.0.9:4000",
            "10.0.0.5:15001",
            Err(Refusal::AimedAtRelay),
        ),
        (
            "127.0.0.1:4000",
            "127.0.0.1:15001",
            Err(Refusal::AimedAtRelay),
        ),
        ("10.0.0.9:4000", "10.0.0.6:80", Err(Refusal::NotThisPod)),
        ("10.0.0.9:4000", "127.0.0.1:80", Err(Refusal::NotThisPod)),
        ("127.0.0.1:4000", "127.0.0.1:80", Err(Refusal::NotThisPod)),
        ("[::1]:4000", "[::1]:80", Err(Refusal::NotThisPod)),
        ("[fd00::9]:4000", "10.0.0.5:80", Err(Refusal::NotRedirected)),
    ] {
        assert_eq!(
            check(source, destination),
            expected,
            "{source} -> {destination}"
        );
    }
}

#[tokio::test]
async fn p34_without_rules_the_relays_own_port_is_what_was_asked_for() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = listener.local_addr().unwrap();
    let (_client, accepted) = tokio::join!(TcpStream::connect(own), listener.accept());
    let (stream, peer) = accepted.unwrap();
    // A kernel that tracks no connection says so; one that does gives the local address.
    match Redirected::default().original(&stream, peer) {
        Ok(destination) => assert_eq!(destination.socket(), own),
        Err(error) => assert!(error.raw_os_error().is_some(), "{error}"),
    }
}
