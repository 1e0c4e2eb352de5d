use super::*;

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

#[test]
fn waits_double_up_to_the_longest_and_chance_takes_half_at_most() {
    let (mut least, mut most) = (Pace::default(), Pace::default());
    let mut now = Instant::now();
    let mut waits = Vec::new();
    for _ in 0..30 {
        least.on_failed(now, 0.0);
        most.on_failed(now, 1.0);
        assert_eq!(least.next_start(now) * 2, most.next_start(now));
        waits.push(most.next_start(now));
        now += most.next_start(now);
    }
    assert_eq!(waits[..4], [ms(200), ms(400), ms(800), ms(1600)]);
    assert_eq!(waits.last(), Some(&LONGEST));
    assert!(waits.iter().all(|wait| *wait <= LONGEST));
}

#[test]
fn the_first_request_and_one_after_a_good_watch_wait_for_nothing() {
    let (mut pace, start) = (Pace::default(), Instant::now());
    assert_eq!(pace.next_start(start), Duration::ZERO);
    pace.on_opened(start);
    pace.on_ended(start + ms(30_000), 1.0);
    assert_eq!(pace.next_start(start + ms(30_000)), Duration::ZERO);
}

#[test]
fn a_failure_after_a_steady_answer_is_a_first_one() {
    let (mut pace, start) = (Pace::default(), Instant::now());
    for _ in 0..8 {
        pace.on_failed(start, 1.0);
    }
    let later = start + ms(60_000);
    pace.on_opened(later);
    pace.on_failed(later + STEADY, 1.0);
    assert_eq!(pace.next_start(later + STEADY), FIRST);
}

#[test]
fn answers_that_break_off_at_once_are_waited_for_longer_and_longer() {
    let (mut pace, mut now) = (Pace::default(), Instant::now());
    let mut waits = Vec::new();
    for _ in 0..3 {
        pace.on_opened(now);
        now += ms(50);
        pace.on_ended(now, 1.0);
        waits.push(pace.next_start(now));
        now += pace.next_start(now);
    }
    assert_eq!(waits, [ms(200), ms(400), ms(800)]);
}

#[test]
fn what_the_server_orders_is_waited_for_within_bounds() {
    let (mut pace, now) = (Pace::default(), Instant::now());
    pace.on_ordered(now, ms(3_000));
    pace.on_failed(now, 1.0);
    assert_eq!(pace.next_start(now), ms(3_000));
    pace.on_ordered(now, Duration::from_secs(86_400));
    assert_eq!(pace.next_start(now), LONGEST_ORDERED);
}

#[test]
fn one_kind_s_recovery_ends_the_waits_of_the_others_but_not_an_ordered_one() {
    let (mut one, mut other, now) = (Pace::default(), Pace::default(), Instant::now());
    one.on_failed(now, 1.0);
    other.on_failed(now, 1.0);
    assert!(one.on_opened(now));
    other.on_recovery();
    assert_eq!(other.next_start(now), Duration::ZERO);
    other.on_ordered(now, ms(3_000));
    other.on_recovery();
    assert_eq!(other.next_start(now), ms(3_000));
    one.on_ended(now + STEADY, 1.0);
    assert!(!one.on_opened(now + STEADY), "nothing failed since");
}
