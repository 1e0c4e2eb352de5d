#![allow(clippy::unwrap_used, clippy::expect_used)]

use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::*;

/// Answers whoever calls with `word`; returns where.
async fn relay_that_says(word: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(&word).await;
        }
    });
    address
}

#[tokio::test]
async fn p40_the_canary_knows_itself() {
    let canary = Canary::new(1);
    let itself = relay_that_says(canary.word().to_vec()).await;
    canary.ask_one(itself).await.unwrap();
}

#[tokio::test]
async fn p40_another_instance_is_a_stranger() {
    let canary = Canary::new(1);
    let other = relay_that_says(Canary::new(1).word().to_vec()).await;
    let said = canary.ask_one(other).await.unwrap_err();
    assert!(matches!(said, CanaryFault::Stranger(_)), "{said}");
    let longer = [&*canary.word(), b"x"].concat();
    let said = canary
        .ask_one(relay_that_says(longer).await)
        .await
        .unwrap_err();
    assert!(matches!(said, CanaryFault::Stranger(_)), "{said}");
}

#[tokio::test]
async fn p40_nobody_there_names_the_rules() {
    let canary = Canary::new(1);
    let gone = {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        listener.local_addr().unwrap()
    };
    let said = canary.ask_one(gone).await.unwrap_err().to_string();
    assert!(
        said.contains(&gone.to_string()) && said.contains("--listen-port"),
        "{said}"
    );
}

#[tokio::test]
async fn p40_a_relay_that_says_nothing_is_not_waited_for() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let said = Canary::new(1).ask_one(address).await.unwrap_err();
    assert!(matches!(said, CanaryFault::Silent { .. }), "{said}");
}

#[test]
fn p40_every_family_of_the_pod_is_asked() {
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    let (v4, v6) = (ip("127.0.0.1"), ip("::1"));
    assert_eq!(families(&[v4, v6]), Vec::<IpAddr>::new());
    assert_eq!(families(&[v4, v6, ip("10.0.0.7")]), [v4]);
    assert_eq!(families(&[v4, v6, ip("fd00::7")]), [v6]);
    assert_eq!(families(&[ip("10.0.0.7"), ip("fd00::7")]), [v4, v6]);
}

#[test]
fn each_instance_has_its_own_word() {
    assert_ne!(Canary::new(1).word(), Canary::new(1).word());
}
