//! Many bytes: whole, in order, both ways at once, whatever the pace.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::rig::*;

/// A stream that has no period a buffer could hide in: byte `n` of stream `seed`.
fn byte(seed: u64, n: u64) -> u8 {
    let mixed = (n ^ seed).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> 56) as u8
}

async fn send(mut to: impl AsyncWrite + Unpin, seed: u64, total: u64, piece: usize) {
    let mut sent = 0;
    let mut bytes = vec![0; piece];
    while sent < total {
        let piece = bytes.len().min((total - sent) as usize);
        for (n, one) in (sent..).zip(&mut bytes[..piece]) {
            *one = byte(seed, n);
        }
        to.write_all(&bytes[..piece]).await.unwrap();
        sent += piece as u64;
    }
    to.shutdown().await.unwrap();
}

/// Reads to the end and checks every byte; `pause` every half MiB.
async fn receive(mut from: impl AsyncRead + Unpin, seed: u64, pause: Duration) -> u64 {
    let mut got = 0;
    let mut bytes = vec![0; 48_000];
    let mut next_pause = 0;
    loop {
        let n = from.read(&mut bytes).await.unwrap();
        if n == 0 {
            return got;
        }
        for (at, one) in (got..).zip(&bytes[..n]) {
            assert_eq!(*one, byte(seed, at), "byte {at} of stream {seed}");
        }
        got += n as u64;
        if got >= next_pause && !pause.is_zero() {
            next_pause = got + (512 << 10);
            tokio::time::sleep(pause).await;
        }
    }
}

async fn both_ways(rig: &Rig, total: u64, piece: usize, pause: Duration) {
    let (mut client, mut app) = rig.joined(CART).await;
    let port = client.local_addr().unwrap().port();
    let (client_reads, client_writes) = client.split();
    let (app_reads, app_writes) = app.split();
    let (_, _, inward, outward) = tokio::time::timeout(PATIENCE * 3, async {
        tokio::join!(
            send(client_writes, 1, total, piece),
            send(app_writes, 2, total / 2, piece),
            receive(app_reads, 1, pause),
            receive(client_reads, 2, pause),
        )
    })
    .await
    .expect("in time");
    assert_eq!((inward, outward), (total, total / 2));
    let line = rig.line("connection", "source_port", port).await;
    assert_eq!(
        (&line["bytes_in"], &line["bytes_out"]),
        (&total.into(), &(total / 2).into())
    );
    assert_eq!(line["end"], "closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_bytes_arrive_whole_when_the_readers_are_slow() {
    let rig = Rig::new(Plan::default()).await;
    both_ways(&rig, 32 << 20, 300_000, Duration::from_millis(5)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_bytes_arrive_whole_when_the_readers_are_quick() {
    let rig = Rig::new(Plan::default()).await;
    both_ways(&rig, 64 << 20, 1 << 20, Duration::ZERO).await;
    assert!(rig.metric("podwall_connections_live") == 0.0);
}

#[tokio::test]
async fn small_pieces_arrive_whole_on_one_thread() {
    let rig = Rig::new(Plan::default()).await;
    both_ways(&rig, 1 << 20, 777, Duration::ZERO).await;
}

/// A busy neighbour does not keep a small one from being served.
#[tokio::test]
async fn a_bulk_transfer_leaves_room_for_a_small_one() {
    let rig = Rig::new(Plan::default()).await;
    let (client, app) = rig.joined(CART).await;
    let (_keep, client_writes) = client.into_split();
    let (app_reads, _keep_too) = app.into_split();
    let bulk = tokio::spawn(send(client_writes, 1, 256 << 20, 1 << 20));
    let sink = tokio::spawn(receive(app_reads, 1, Duration::ZERO));
    let (mut small, mut its_app) = rig.joined(CART).await;
    for _ in 0..50 {
        small.write_all(b"ping").await.unwrap();
        within(its_app.read_exact(&mut [0; 4])).await.unwrap();
    }
    assert!(!sink.is_finished(), "the small one was served meanwhile");
    bulk.abort();
    sink.abort();
}
