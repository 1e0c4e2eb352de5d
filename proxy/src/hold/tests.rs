#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::Ipv4Addr;

use super::*;

fn source(last: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, last).into()
}

#[test]
fn p07_one_source_cannot_take_every_place() {
    let hold = Arc::new(Hold::with_places(4, 2));
    let _first = hold.take(source(1)).unwrap();
    let _second = hold.take(source(1)).unwrap();
    assert!(hold.take(source(1)).is_none());
    let _third = hold.take(source(2)).unwrap();
    assert_eq!(hold.waiting(), 3);
}

#[test]
fn p07_the_room_is_bounded_and_places_come_back() {
    let hold = Arc::new(Hold::with_places(2, 2));
    let first = hold.take(source(1)).unwrap();
    let second = hold.take(source(2)).unwrap();
    assert!(hold.take(source(3)).is_none());
    drop(first);
    let third = hold.take(source(3)).unwrap();
    drop((second, third));
    assert_eq!(hold.waiting(), 0);
    assert!(hold.taken.lock().unwrap().by_source.is_empty());
}

#[test]
fn p07_the_documented_dimensions() {
    let hold = Arc::new(Hold::default());
    let mut places = Vec::new();
    for last in 0..=255 {
        places.extend(std::iter::from_fn(|| hold.take(source(last))));
        assert!(places.len() <= (usize::from(last) + 1) * HOLD_PLACES_PER_SOURCE);
    }
    assert_eq!(places.len(), HOLD_PLACES);
}
