//! Arrivals that are held until the answer is certain (P7).

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::rig::*;

const LONG: Duration = PATIENCE;

fn held(rig: &Rig) -> f64 {
    rig.metric("podwall_held")
}

#[tokio::test]
async fn p07_a_newcomer_is_let_in_when_its_pod_appears() {
    let rig = Rig::new(Plan {
        hold_time: LONG,
        ..Plan::default()
    })
    .await;
    let mut client = rig.client(NEWCOMER).await;
    client.write_all(b"hello").await.unwrap();
    eventually(|| held(&rig) == 1.0, || "held".into()).await;
    rig.upsert(&pod("newcomer", "cart", NEWCOMER));
    let mut app = rig.accept().await;
    within(app.read_exact(&mut [0; 5])).await.unwrap();
    drop((client, app));
    let line = rig.line("connection", "source", "127.0.0.9").await;
    assert_eq!(
        (&line["verdict"], &line["peer"]),
        (&"allow".into(), &"shop/newcomer".into())
    );
    assert_eq!(held(&rig), 0.0);
}

#[tokio::test]
async fn p07_a_newcomer_is_reset_at_once_when_its_pod_appears_and_may_not() {
    let rig = Rig::new(Plan {
        hold_time: LONG,
        ..Plan::default()
    })
    .await;
    let mut client = rig.client(NEWCOMER).await;
    eventually(|| held(&rig) == 1.0, || "held".into()).await;
    rig.upsert(&pod("newcomer", "rogue", NEWCOMER));
    expect_reset(&mut client).await;
    let line = rig.line("connection", "source", "127.0.0.9").await;
    assert_eq!(
        (&line["reason"], &line["end"]),
        (&"no_rule_admits".into(), &"denied".into())
    );
}

#[tokio::test]
async fn p07_a_stranger_is_reset_when_the_time_is_over() {
    let rig = Rig::new(Plan::default()).await;
    let began = Instant::now();
    rig.expect_refused(NEWCOMER).await;
    assert!(
        began.elapsed() >= Duration::from_millis(850),
        "{:?}",
        began.elapsed()
    );
    let line = rig.line("connection", "reason", "peer_unknown").await;
    assert!(line["held_ms"].as_u64().unwrap() >= 850, "{line}");
    assert_eq!(line["nearest_miss"]["clause"], "peer_unknown");
}

#[tokio::test]
async fn p07_a_stranger_is_answered_at_once_where_the_answer_is_certain() {
    let rig = Rig::new(Plan {
        hold_time: LONG,
        ..Plan::default()
    })
    .await;
    let nobody = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: allow-cart, namespace: shop}
spec: {podSelector: {}, ingress: []}
";
    rig.upsert(nobody);
    rig.expect_refused(NEWCOMER).await;
    let line = rig.line("connection", "reason", "no_rule_admits").await;
    assert_eq!(line["held_ms"], 0);
}

#[tokio::test]
async fn p06_before_the_first_state_arrivals_wait_and_then_enter() {
    let rig = Rig::new(Plan {
        cluster: None,
        hold_time: LONG,
        ..Plan::default()
    })
    .await;
    let _client = rig.client(CART).await;
    eventually(|| held(&rig) == 1.0, || "held".into()).await;
    rig.resync(SHOP);
    rig.accept().await;
}

#[tokio::test]
async fn p06_without_a_state_or_a_subject_they_are_refused_by_name() {
    let no_web = "{apiVersion: v1, kind: Namespace, metadata: {name: shop}}";
    for (cluster, reason) in [(None, "not_synced"), (Some(no_web), "subject_unknown")] {
        let hold_time = Duration::from_millis(50);
        let rig = Rig::new(Plan {
            cluster,
            hold_time,
            ..Plan::default()
        })
        .await;
        rig.expect_refused(CART).await;
        let line = rig.line("connection", "reason", reason).await;
        assert_eq!(line["end"], "denied");
    }
}

#[tokio::test]
async fn p07_one_source_may_have_64_held_and_no_more() {
    let rig = Rig::new(Plan {
        hold_time: LONG,
        ..Plan::default()
    })
    .await;
    let mut waiting = Vec::new();
    for _ in 0..64 {
        waiting.push(rig.client(NEWCOMER).await);
    }
    eventually(|| held(&rig) == 64.0, || "64 held".into()).await;
    rig.expect_refused(NEWCOMER).await;
    rig.line("connection", "reason", "hold_full").await;
    // Another source still has room, and the first 64 are let in together.
    let _other = rig.client([127, 0, 0, 10].into()).await;
    eventually(|| held(&rig) == 65.0, || "65 held".into()).await;
    rig.upsert(&pod("newcomer", "cart", NEWCOMER));
    for _ in 0..64 {
        rig.accept().await;
    }
}

#[tokio::test]
async fn a_held_client_that_leaves_is_not_kept() {
    let rig = Rig::new(Plan {
        hold_time: LONG,
        ..Plan::default()
    })
    .await;
    let client = rig.client(NEWCOMER).await;
    eventually(|| held(&rig) == 1.0, || "held".into()).await;
    reset(client);
    rig.line("connection", "end", "client_gone").await;
    eventually(|| rig.live.open() == 0, || "an empty house".into()).await;
}
