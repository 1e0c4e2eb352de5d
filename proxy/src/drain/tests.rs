#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;

use super::*;

/// What the real door does, without a listener.
async fn door(live: Arc<Live>, mut phase: watch::Receiver<DrainPhase>) {
    phase
        .wait_for(|now| *now >= DrainPhase::Draining)
        .await
        .unwrap();
    tokio::select! {
        () = live.emptied() => {}
        _ = phase.wait_for(|now| *now == DrainPhase::Over) => {}
    }
}

fn scene() -> (
    Arc<Live>,
    watch::Sender<DrainPhase>,
    watch::Receiver<DrainPhase>,
) {
    let (phase, seen) = watch::channel(DrainPhase::Serving);
    (Live::new(8, false), phase, seen)
}

#[tokio::test]
async fn nothing_open_is_over_at_once() {
    let (live, phase, seen) = scene();
    let door = std::pin::pin!(door(Arc::clone(&live), seen));
    let drained = drain(door, &live, &phase, Duration::from_secs(3600)).await;
    assert_eq!((drained.open, drained.reset), (0, 0));
    assert_eq!(
        *phase.borrow(),
        DrainPhase::Draining,
        "nobody had to be reset"
    );
}

#[tokio::test]
async fn a_connection_that_ends_in_time_is_not_reset() {
    let (live, phase, mut seen) = scene();
    let seat = live.enter().unwrap();
    let door = std::pin::pin!(door(Arc::clone(&live), seen.clone()));
    let client = async {
        seen.wait_for(|now| *now == DrainPhase::Draining)
            .await
            .unwrap();
        drop(seat);
    };
    let stop = drain(door, &live, &phase, Duration::from_secs(3600));
    let (drained, ()) = tokio::join!(stop, client);
    assert_eq!((drained.open, drained.reset), (1, 0));
}

#[tokio::test]
async fn what_is_open_at_the_deadline_is_reset() {
    let (live, phase, seen) = scene();
    let _seat = live.enter().unwrap();
    let door = std::pin::pin!(door(Arc::clone(&live), seen));
    let drained = drain(door, &live, &phase, Duration::from_millis(10)).await;
    assert_eq!((drained.open, drained.reset), (1, 1));
    assert_eq!(*phase.borrow(), DrainPhase::Over);
    assert!(drained.to_string().contains("1 were reset"), "{drained}");
}
