#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

#[test]
fn p34_a_miss_asks_again_at_most_once_a_second() {
    let calls = Arc::new(AtomicUsize::new(0));
    let own = OwnAddresses::listed_by({
        let calls = Arc::clone(&calls);
        move || match calls.fetch_add(1, Ordering::SeqCst) {
            0 => Ok(vec!["10.0.0.5".parse().unwrap()]),
            _ => Ok(vec![
                "10.0.0.5".parse().unwrap(),
                "fd00::5".parse().unwrap(),
            ]),
        }
    });
    let (first, second): (IpAddr, IpAddr) =
        ("10.0.0.5".parse().unwrap(), "fd00::5".parse().unwrap());
    let start = Instant::now();
    assert!(own.contains(first, start));
    assert!(own.contains(first, start));
    assert!(!own.contains(second, start));
    assert!(!own.contains(second, start + Duration::from_millis(999)));
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    assert!(own.contains(second, start + Duration::from_secs(1)));
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

#[test]
fn p33_loopback_is_never_an_address_of_the_pod() {
    let own = OwnAddresses::of_this_pod();
    for address in ["127.0.0.1", "127.8.8.8", "::1", "0.0.0.0", "::"] {
        assert!(
            !own.contains(address.parse().unwrap(), Instant::now()),
            "{address}"
        );
    }
}

#[test]
fn a_failed_listing_keeps_what_is_known() {
    let calls = AtomicUsize::new(0);
    let own = OwnAddresses::listed_by(move || match calls.fetch_add(1, Ordering::SeqCst) {
        0 => Ok(vec!["10.0.0.5".parse().unwrap()]),
        _ => Err(io::Error::other("no netlink")),
    });
    let start = Instant::now();
    assert!(own.contains("10.0.0.5".parse().unwrap(), start));
    assert!(!own.contains("10.0.0.6".parse().unwrap(), start + ASK_AGAIN_AFTER));
    assert!(own.contains("10.0.0.5".parse().unwrap(), start + ASK_AGAIN_AFTER));
}

/// Others come while the listing for the first is under way: they do not aim at a stranger's address.
#[test]
fn p34_who_comes_while_another_asks_waits_for_the_answer() {
    let (asking, is_asking) = std::sync::mpsc::channel();
    let (answer, answered) = std::sync::mpsc::channel::<()>();
    let (asking, answered) = (Mutex::new(asking), Mutex::new(answered));
    let own = OwnAddresses::listed_by(move || {
        asking.lock().unwrap().send(()).unwrap();
        // Ends when the test lets go of the other end.
        let _let_go = answered.lock().unwrap().recv();
        Ok(vec!["10.0.0.5".parse().unwrap()])
    });
    let own = Arc::new(own);
    let ask = || {
        let own = Arc::clone(&own);
        std::thread::spawn(move || own.contains("10.0.0.5".parse().unwrap(), Instant::now()))
    };
    let first = ask();
    is_asking.recv().unwrap();
    let others: Vec<_> = (0..16).map(|_| ask()).collect();
    drop(answer);
    assert!(first.join().unwrap());
    assert!(others.into_iter().all(|one| one.join().unwrap()));
}
