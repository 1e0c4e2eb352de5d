//! Open connections when the verdict turns (P28, P29).

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::rig::*;

async fn assert_alive(client: &mut TcpStream, app: &mut TcpStream) {
    client.write_all(b"ping").await.unwrap();
    within(app.read_exact(&mut [0; 4])).await.unwrap();
    app.write_all(b"pong").await.unwrap();
    within(client.read_exact(&mut [0; 4])).await.unwrap();
}

#[tokio::test]
async fn p28_a_label_taken_away_resets_both_ends_and_nobody_else() {
    let rig = Rig::new(Plan::default()).await;
    rig.upsert(&pod("other", "cart", NEWCOMER));
    let (mut client, mut app) = rig.joined(CART).await;
    let (mut bystander, mut its_app) = rig.joined(NEWCOMER).await;
    assert_alive(&mut client, &mut app).await;

    assert_eq!(rig.upsert(&pod("cart", "former-cart", CART)), 1);
    expect_reset(&mut client).await;
    expect_reset(&mut app).await;
    assert_alive(&mut bystander, &mut its_app).await;

    let cut = rig.line("revocation", "source", "127.0.0.2").await;
    assert_eq!(
        (&cut["verdict"], &cut["reason"]),
        (&"deny".into(), &"no_rule_admits".into())
    );
    let line = rig.line("connection", "end", "revoked").await;
    assert_eq!(line["reason"], "no_rule_admits");
    assert_eq!(
        (&line["bytes_in"], &line["bytes_out"]),
        (&4.into(), &4.into())
    );
    assert_eq!(line["nearest_miss"]["clause"], "pod_labels");
}

#[tokio::test]
async fn p28_a_new_policy_cuts_whom_it_does_not_admit() {
    let rig = Rig::new(Plan::default()).await;
    rig.resync(&SHOP.replace("app: web}}\n  ingress", "app: nobody}}\n  ingress"));
    let (mut rogue, mut rogues_app) = rig.joined(ROGUE).await;
    let (mut cart, mut carts_app) = rig.joined(CART).await;
    assert_alive(&mut rogue, &mut rogues_app).await;
    assert_eq!(rig.resync(SHOP), 1);
    expect_reset(&mut rogue).await;
    expect_reset(&mut rogues_app).await;
    assert_alive(&mut cart, &mut carts_app).await;
}

#[tokio::test]
async fn s73_a_peer_whose_pod_is_gone_does_not_keep_its_identity() {
    let rig = Rig::new(Plan::default()).await;
    let (mut client, mut app) = rig.joined(CART).await;
    assert_alive(&mut client, &mut app).await;
    let without_cart: Vec<_> = SHOP
        .split("---")
        .filter(|one| !one.contains("name: cart,"))
        .collect();
    assert_eq!(rig.resync(&without_cart.join("---")), 1);
    expect_reset(&mut client).await;
    expect_reset(&mut app).await;
    rig.line("revocation", "reason", "peer_unknown").await;
}

#[tokio::test]
async fn a_verdict_that_turns_back_costs_nothing() {
    let rig = Rig::new(Plan::default()).await;
    let (mut client, mut app) = rig.joined(CART).await;
    // No await in between: the connection's task runs only when both changes are in.
    rig.upsert(&pod("cart", "former-cart", CART));
    rig.upsert(&pod("cart", "cart", CART));
    assert_alive(&mut client, &mut app).await;
    assert!(rig.lines().is_empty(), "{:?}", rig.lines());
}

#[tokio::test]
async fn keep_established_lets_open_connections_live_and_refuses_new_ones() {
    let rig = Rig::new(Plan {
        keep_established: true,
        ..Plan::default()
    })
    .await;
    let (mut client, mut app) = rig.joined(CART).await;
    assert_eq!(rig.upsert(&pod("cart", "former-cart", CART)), 0);
    rig.expect_refused(CART).await;
    assert_alive(&mut client, &mut app).await;
}

#[tokio::test]
async fn p28_a_connection_that_is_stuck_in_the_middle_is_cut_too() {
    let rig = Rig::new(Plan::default()).await;
    let (mut client, mut app) = rig.joined(CART).await;
    // Nobody reads: the relay waits for both receivers with bytes in hand.
    let lots = vec![7; 64 << 20];
    let (mut client_reads, mut client_writes) = client.split();
    let (mut app_reads, mut app_writes) = app.split();
    let stuck = async { tokio::join!(client_writes.write_all(&lots), app_writes.write_all(&lots)) };
    let stalled = tokio::time::timeout(std::time::Duration::from_millis(300), stuck).await;
    assert!(stalled.is_err(), "the buffers took it all");
    assert_eq!(rig.upsert(&pod("cart", "former-cart", CART)), 1);
    let mut rest = Vec::new();
    assert!(within(client_reads.read_to_end(&mut rest)).await.is_err());
    assert!(within(app_reads.read_to_end(&mut rest)).await.is_err());
    rig.line("connection", "end", "revoked").await;
}

/// Changes and arrivals as close together as two threads can bring them. Whatever the order, when
/// the last word is "deny" nobody is inside, and nobody is cut while it is "allow".
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p29_no_change_is_lost_between_the_judgement_and_the_relay() {
    let rig = Rig::new(Plan::default()).await;
    for round in 0..150 {
        rig.upsert(&pod("cart", "cart", CART));
        let mut inside = Vec::new();
        for _ in 0..(round % 7) {
            inside.push(rig.client(CART).await);
        }
        tokio::join!(rig.expect_refused(CART), async {
            for _ in 0..(round % 5) {
                tokio::task::yield_now().await;
            }
            rig.upsert(&pod("cart", "former-cart", CART))
        });
        for client in &mut inside {
            expect_reset(client).await;
        }
        eventually(
            || rig.live.open() == 0,
            || format!("round {round}: an empty house"),
        )
        .await;
    }
    let (ends, lines) = (["revoked", "denied"], rig.lines());
    let connections = || lines.iter().filter(|line| line["kind"] == "connection");
    assert!(connections().all(|line| ends.contains(&line["end"].as_str().unwrap())));
    assert!(connections().any(|line| line["end"] == "revoked"));
}
