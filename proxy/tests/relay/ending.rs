//! How a relayed connection ends: in order, half, by reset, not at all.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::rig::*;

#[tokio::test]
async fn p13_the_application_answers_after_the_client_has_closed_its_half() {
    let rig = Rig::new(Plan::default()).await;
    let (mut client, mut app) = rig.joined(CART).await;
    client.write_all(b"question").await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(read_all(&mut app).await, b"question");
    eventually(
        || rig.metric("podwall_connections_half_closed") == 1.0,
        || "half closed".into(),
    )
    .await;
    app.write_all(b"an answer").await.unwrap();
    drop(app);
    assert_eq!(read_all(&mut client).await, b"an answer");
    let line = rig.line("connection", "end", "closed").await;
    assert_eq!(
        (&line["bytes_in"], &line["bytes_out"]),
        (&8.into(), &9.into())
    );
    assert_eq!(rig.metric("podwall_connections_half_closed"), 0.0);
}

#[tokio::test]
async fn p13_the_client_goes_on_after_the_application_has_closed_its_half() {
    let rig = Rig::new(Plan::default()).await;
    let (mut client, mut app) = rig.joined(CART).await;
    app.write_all(b"send me more").await.unwrap();
    app.shutdown().await.unwrap();
    assert_eq!(read_all(&mut client).await, b"send me more");
    client.write_all(b"here it is").await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(read_all(&mut app).await, b"here it is");
    rig.line("connection", "end", "closed").await;
}

#[tokio::test]
async fn p13_a_half_closed_connection_does_not_stay_for_ever() {
    let half_close_timeout = Duration::from_millis(400);
    let rig = Rig::new(Plan {
        half_close_timeout,
        ..Plan::default()
    })
    .await;
    let (mut client, mut app) = rig.joined(CART).await;
    client.shutdown().await.unwrap();
    // While bytes move it lives on, much longer than the timeout in all.
    for _ in 0..16 {
        app.write_all(b"x").await.unwrap();
        within(client.read_exact(&mut [0])).await.unwrap();
        tokio::time::sleep(half_close_timeout / 4).await;
    }
    expect_reset(&mut client).await;
    assert_eq!(
        within(app.read(&mut [0])).await.unwrap(),
        0,
        "the client's end came first"
    );
    let line = rig.line("connection", "end", "half_close_timeout").await;
    assert_eq!(line["bytes_out"], 16);
    assert!(
        within(app.write_all(&[0; 1024])).await.is_err(),
        "it was reset"
    );
}

#[tokio::test]
async fn a_reset_by_the_client_reaches_the_application() {
    let rig = Rig::new(Plan::default()).await;
    let (client, mut app) = rig.joined(CART).await;
    reset(client);
    expect_reset(&mut app).await;
    rig.line("connection", "end", "client_gone").await;
}

#[tokio::test]
async fn a_reset_by_the_application_reaches_the_client() {
    let rig = Rig::new(Plan::default()).await;
    let (mut client, app) = rig.joined(CART).await;
    reset(app);
    expect_reset(&mut client).await;
    rig.line("connection", "end", "app_gone").await;
}

#[tokio::test]
async fn p12_a_dead_application_is_a_reset() {
    let nobody = {
        let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        gone.local_addr().unwrap()
    };
    let rig = Rig::new(Plan {
        destination: Some(nobody),
        ..Plan::default()
    })
    .await;
    rig.expect_refused(CART).await;
    let line = rig.line("connection", "end", "app_refused").await;
    assert_eq!(
        (&line["verdict"], &line["reason"]),
        (&"allow".into(), &"rule".into())
    );
}

#[tokio::test]
async fn p16_a_server_that_speaks_first_is_heard() {
    let rig = Rig::new(Plan::default()).await;
    let (mut client, mut app) = rig.joined(CART).await;
    app.write_all(b"220 ready").await.unwrap();
    let mut banner = [0; 9];
    within(client.read_exact(&mut banner)).await.unwrap();
    assert_eq!(&banner, b"220 ready");
}

#[tokio::test]
async fn the_access_log_names_who_came_and_which_rule_let_them_in() {
    let rig = Rig::new(Plan::default()).await;
    let (client, app) = rig.joined(CART).await;
    let port = client.local_addr().unwrap().port();
    drop((client, app));
    let line = rig.line("connection", "source_port", port).await;
    assert_eq!(line["source"], "127.0.0.2");
    assert_eq!(line["peer"], "shop/cart");
    assert_eq!(line["policy"], "shop/allow-cart");
    assert_eq!(line["rule"], 0);
    assert_eq!(
        line["destination_port"],
        rig.app.local_addr().unwrap().port()
    );
}
