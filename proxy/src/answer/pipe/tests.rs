#![allow(clippy::unwrap_used, clippy::expect_used)]

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let connect = TcpStream::connect(listener.local_addr().unwrap());
    let (connected, accepted) = tokio::join!(connect, listener.accept());
    (connected.unwrap(), accepted.unwrap().0)
}

#[tokio::test]
async fn an_empty_pipe_says_that_the_socket_would_block_and_goes_back() {
    let (mut sender, from) = pair().await;
    let (to, mut receiver) = pair().await;
    let mut pipe = Pipe::take().unwrap();
    assert_eq!(
        pipe.fill(&from).unwrap_err().kind(),
        io::ErrorKind::WouldBlock
    );
    sender.write_all(b"hello").await.unwrap();
    from.readable().await.unwrap();
    assert_eq!(pipe.fill(&from).unwrap(), 5);
    assert_eq!(pipe.holds(), 5);
    to.writable().await.unwrap();
    assert_eq!(pipe.drain(&to).unwrap(), 5);
    let mut got = [0; 5];
    receiver.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"hello");
    drop(sender);
    from.readable().await.unwrap();
    while let Err(error) = pipe.fill(&from) {
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        from.readable().await.unwrap();
    }
    assert_eq!(pipe.holds(), 0);
}

#[test]
fn the_pool_is_bounded_and_reuses() {
    let taken: Vec<_> = std::iter::from_fn(Pipe::take).take(MAX_PIPES + 1).collect();
    assert!(taken.len() <= MAX_PIPES);
    assert!(POOL.existing.load(Ordering::Relaxed) <= MAX_PIPES);
    drop(taken);
    let again = Pipe::take().unwrap();
    assert!(POOL.existing.load(Ordering::Relaxed) <= MAX_PIPES);
    drop(again);
}
