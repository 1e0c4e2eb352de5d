#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::future::poll_fn;
use std::io::ErrorKind;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::super::caller::Caller;
use super::super::pipe;
use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let connect = TcpStream::connect(listener.local_addr().unwrap());
    let (connected, accepted) = tokio::join!(connect, listener.accept());
    (connected.unwrap(), accepted.unwrap().0)
}

async fn is_reset(stream: &mut TcpStream) -> bool {
    let read = stream.read(&mut [0]).await;
    read.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset)
}

#[tokio::test]
async fn bulk_goes_through_a_pipe_and_the_pipe_comes_back() {
    let (mut client, near_client) = pair().await;
    let (near_app, mut app) = pair().await;
    const BYTES: usize = 32 << 20;
    let send = async {
        client.write_all(&vec![7; BYTES]).await.unwrap();
        client.shutdown().await.unwrap();
        client.read(&mut [0]).await.unwrap()
    };
    let receive = async {
        let mut bytes = Vec::new();
        app.read_to_end(&mut bytes).await.unwrap();
        app.shutdown().await.unwrap();
        bytes.len()
    };
    let carry = async {
        let mut relay = Relay::new(near_client, near_app);
        let end = poll_fn(|cx| relay.poll(cx, PATIENCE)).await;
        (end, relay.carried().inward)
    };
    let (carried, rest, received) = tokio::join!(carry, send, receive);
    assert_eq!(carried, (End::Closed, BYTES as u64));
    assert_eq!((rest, received), (0, BYTES));
    assert!(pipe::idle() > 0, "a pipe was used and is back");
}

#[tokio::test]
async fn a_relay_that_is_dropped_midway_resets_both() {
    let (mut client, near_client) = pair().await;
    let (near_app, mut app) = pair().await;
    drop(Relay::new(near_client, near_app));
    assert!(is_reset(&mut client).await);
    assert!(is_reset(&mut app).await);
}

#[tokio::test]
async fn p05_a_caller_who_is_dropped_unanswered_is_reset() {
    let (mut client, near_client) = pair().await;
    drop(Caller::new(near_client));
    assert!(is_reset(&mut client).await);
}
