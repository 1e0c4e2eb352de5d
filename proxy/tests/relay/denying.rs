//! Who is not let in, and what they see.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::rig::*;

#[tokio::test]
async fn p05_a_denied_client_is_reset_and_the_log_names_the_nearest_miss() {
    let rig = Rig::new(Plan::default()).await;
    rig.expect_refused(ROGUE).await;
    let line = rig.line("connection", "source", "127.0.0.3").await;
    assert_eq!(
        (&line["verdict"], &line["reason"]),
        (&"deny".into(), &"no_rule_admits".into())
    );
    assert_eq!(line["end"], "denied");
    assert_eq!(line["peer"], "shop/rogue");
    assert_eq!(line["nearest_miss"]["policy"], "shop/allow-cart");
    assert_eq!(line["nearest_miss"]["clause"], "pod_labels");
    assert_eq!(
        (&line["bytes_in"], &line["held_ms"]),
        (&0.into(), &0.into())
    );
}

#[tokio::test]
async fn p34_destinations_that_are_not_this_pods_are_refused() {
    for (destination, reason) in [
        ("127.0.0.77:80", "not_this_pod"),
        ("[::2]:80", "not_this_pod"),
    ] {
        let destination = Some(destination.parse().unwrap());
        let rig = Rig::new(Plan {
            destination,
            ..Plan::default()
        })
        .await;
        rig.expect_refused(CART).await;
        rig.line("connection", "reason", reason).await;
    }
}

#[tokio::test]
async fn p40_the_canary_meets_this_very_process_and_leaves_no_line() {
    let canary = Some(([127, 0, 0, 1], CANARY_PORT).into());
    // Also before anything is known, and with no seat left.
    let rig = Rig::new(Plan {
        destination: canary,
        cluster: None,
        max_connections: 0,
        ..Plan::default()
    })
    .await;
    let mut client = rig.client([127, 0, 0, 1].into()).await;
    assert_eq!(read_all(&mut client).await, NONCE);
    assert!(rig.lines().is_empty(), "{:?}", rig.lines());
}

#[tokio::test]
async fn p17_beyond_the_capacity_new_ones_are_refused_and_old_ones_stay() {
    let rig = Rig::new(Plan {
        max_connections: 1,
        ..Plan::default()
    })
    .await;
    let (mut client, mut app) = rig.joined(CART).await;
    rig.expect_refused(CART).await;
    rig.line("connection", "reason", "over_capacity").await;
    app.write_all(b"still here").await.unwrap();
    within(client.read_exact(&mut [0; 10])).await.unwrap();
    drop((client, app));
    rig.line("connection", "end", "closed").await;
    eventually(|| rig.live.open() == 0, || "an empty house".into()).await;
    let _joined = rig.joined(CART).await;
}
