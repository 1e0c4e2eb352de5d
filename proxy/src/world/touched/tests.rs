//! What is put together loses nobody.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;

fn addresses(last: &[u8]) -> Touched {
    let address = |last: &u8| IpAddr::from([10, 0, 0, *last]);
    Touched::Addresses(last.iter().map(address).collect())
}

#[test]
fn what_is_added_is_there_and_nothing_is_lost() {
    use Touched::{Everything, Nothing};
    for (one, other, both) in [
        (Nothing, Nothing, Nothing),
        (Nothing, addresses(&[1]), addresses(&[1])),
        (addresses(&[1]), Nothing, addresses(&[1])),
        (addresses(&[1]), addresses(&[1, 2]), addresses(&[1, 2])),
        (addresses(&[1]), Everything, Everything),
        (Everything, addresses(&[1]), Everything),
        (Everything, Nothing, Everything),
        (Nothing, Everything, Everything),
    ] {
        let mut sum = one.clone();
        sum.add(&other);
        assert_eq!(sum, both, "{one:?} and {other:?}");
        assert_eq!(sum.take(), both);
        assert_eq!(sum, Nothing, "it was taken");
    }
}

#[test]
fn it_concerns_who_is_in_it() {
    let one = IpAddr::from([10, 0, 0, 1]);
    assert!(!Touched::Nothing.concerns(one));
    assert!(Touched::Everything.concerns(one));
    assert!(addresses(&[1, 2]).concerns(one));
    assert!(!addresses(&[2]).concerns(one));
}
