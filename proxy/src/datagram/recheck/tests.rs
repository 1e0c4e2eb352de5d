//! What is noted is taken once, and nothing of it is lost.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::HashSet;
use std::net::IpAddr;

use super::*;

fn addresses(all: &[&str]) -> Touched {
    let all: HashSet<IpAddr> = all.iter().map(|one| one.parse().unwrap()).collect();
    Touched::Addresses(all)
}

#[tokio::test]
async fn changes_that_come_together_become_one() {
    let recheck = Recheck::new();
    recheck.note(&addresses(&["10.0.0.1"]));
    recheck.note(&Touched::Nothing);
    recheck.note(&addresses(&["10.0.0.2", "fd00::2"]));
    let wanted = addresses(&["10.0.0.1", "10.0.0.2", "fd00::2"]);
    assert_eq!(recheck.next().await, wanted);
    assert_eq!(recheck.touched().take(), Touched::Nothing);
}

#[tokio::test]
async fn everything_stays_everything() {
    for (one, other) in [
        (Touched::Everything, addresses(&["10.0.0.1"])),
        (addresses(&["10.0.0.1"]), Touched::Everything),
    ] {
        let recheck = Recheck::new();
        recheck.note(&one);
        recheck.note(&other);
        assert_eq!(recheck.next().await, Touched::Everything);
    }
}

#[tokio::test]
async fn who_waits_already_is_woken() {
    let recheck = Recheck::new();
    let waiter = Arc::clone(&recheck);
    let waiting = tokio::spawn(async move { waiter.next().await });
    tokio::task::yield_now().await;
    recheck.note(&Touched::Everything);
    assert_eq!(waiting.await.unwrap(), Touched::Everything);
}
