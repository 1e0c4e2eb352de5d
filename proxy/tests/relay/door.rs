//! The way out: drain, then reset.

use podwall_proxy::connection::DrainPhase;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::rig::*;

#[tokio::test]
async fn draining_refuses_new_ones_and_lets_open_ones_finish() {
    let rig = Rig::new(Plan::default()).await;
    let (mut client, mut app) = rig.joined(CART).await;
    rig.phase.send_replace(DrainPhase::Draining);
    // Either the port is closed already, or the arrival is the last that is turned away.
    let closed = async {
        while let Ok(mut late) = rig.try_client(CART).await {
            expect_reset(&mut late).await;
        }
    };
    within(closed).await;
    client.write_all(b"last words").await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(read_all(&mut app).await, b"last words");
    drop(app);
    assert!(read_all(&mut client).await.is_empty());
    let Rig { kept, .. } = rig;
    within(kept).await.unwrap().unwrap();
}

#[tokio::test]
async fn at_the_deadline_open_connections_are_reset() {
    let rig = Rig::new(Plan {
        hold_time: PATIENCE,
        ..Plan::default()
    })
    .await;
    let (mut client, mut app) = rig.joined(CART).await;
    let mut held = rig.client(NEWCOMER).await;
    eventually(|| rig.live.open() == 2, || "two inside".into()).await;
    rig.phase.send_replace(DrainPhase::Draining);
    tokio::task::yield_now().await;
    app.write_all(b"still open").await.unwrap();
    within(client.read_exact(&mut [0; 10])).await.unwrap();
    rig.phase.send_replace(DrainPhase::Over);
    expect_reset(&mut client).await;
    expect_reset(&mut app).await;
    expect_reset(&mut held).await;
    rig.line("connection", "source", "127.0.0.2").await;
    let stopped = |rig: &Rig| {
        rig.lines()
            .iter()
            .filter(|line| line["end"] == "stopped")
            .count()
    };
    eventually(|| stopped(&rig) == 2, || "both are written down".into()).await;
    let Rig { kept, .. } = rig;
    within(kept).await.unwrap().unwrap();
}
