#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use super::*;

#[test]
fn p32_a_flood_of_denials_gets_so_many_misses_and_no_more() {
    let (quota, start) = (MissQuota::default(), Instant::now());
    let granted = |at| (0..1000).filter(|_| quota.take(at)).count();
    assert_eq!(granted(start), 100);
    assert_eq!(granted(start), 0);
    assert_eq!(granted(start + Duration::from_millis(505)), 50);
    assert_eq!(granted(start + Duration::from_secs(3600)), 100);
}
