//! Out of descriptors (P17). A binary of its own: the limit is the whole process's.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use podwall_proxy::intercept::redirect::{Door, Turn};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);

fn limit_descriptors(current: Option<u64>) {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current, maximum }).unwrap();
}

async fn came(door: &mut Door) -> TcpStream {
    loop {
        if let Turn::Came(stream, _) = door.next().await.unwrap() {
            return stream;
        }
    }
}

#[tokio::test]
async fn p17_without_descriptors_the_door_waits_and_open_connections_stay() {
    let mut door = Door::bind(0, PATIENCE).unwrap();
    let at = (Ipv4Addr::LOCALHOST, door.address().unwrap().port()).into();
    let mut early = TcpStream::connect(at).await.unwrap();
    let mut inside = came(&mut door).await;

    let late = TcpSocket::new_v4().unwrap();
    let usual = getrlimit(Resource::Nofile).current;
    // No number above those in use: the next descriptor is one too many.
    limit_descriptors(Some(0));
    let mut late = late.connect(at).await.unwrap();

    let began = Instant::now();
    let mut failures = 0;
    while began.elapsed() < Duration::from_millis(600) {
        assert!(matches!(door.next().await.unwrap(), Turn::Failed));
        failures += 1;
    }
    assert!(failures < 20, "it spins: {failures} failures");
    inside.write_all(b"still here").await.unwrap();
    early.read_exact(&mut [0; 10]).await.unwrap();

    limit_descriptors(usual);
    let mut admitted = timeout(PATIENCE, came(&mut door)).await.unwrap();
    admitted.write_all(b"welcome").await.unwrap();
    late.read_exact(&mut [0; 7]).await.unwrap();
}
