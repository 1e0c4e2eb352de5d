#![allow(clippy::unwrap_used, clippy::expect_used)]

use ::kube::core::Status;

use super::*;

const STREAMED: Lists = Lists::Streamed { broken_off: 0 };

fn refused(code: u16) -> watcher::Result<Event<()>> {
    let status = Status::failure("sendInitialEvents is forbidden", "Invalid").with_code(code);
    Err(watcher::Error::WatchStartFailed(::kube::Error::Api(
        status.boxed(),
    )))
}

#[test]
fn a_server_that_refuses_streaming_lists_is_asked_for_pages() {
    for code in [400, 422] {
        assert!(
            matches!(STREAMED.after(&refused(code)), Lists::Paged),
            "{code}"
        );
    }
    for code in [401, 403, 410, 429, 500] {
        assert!(
            matches!(STREAMED.after(&refused(code)), Lists::Streamed { .. }),
            "{code}"
        );
    }
}

#[test]
fn so_is_one_that_never_gets_to_a_list_s_end() {
    let mut lists = STREAMED;
    for _ in 0..BROKEN_OFF {
        lists = lists.after(&Ok(Event::<()>::Init));
        lists = lists.after(&Ok(Event::InitApply(())));
        assert!(matches!(lists, Lists::Streamed { .. }));
    }
    assert!(matches!(lists.after(&Ok(Event::<()>::Init)), Lists::Paged));
}

#[test]
fn a_whole_list_forgives_those_that_broke_off() {
    let mut lists = STREAMED;
    for _ in 0..10 {
        lists = lists.after(&Ok(Event::<()>::Init));
        lists = lists.after(&Ok(Event::<()>::InitDone));
    }
    assert!(matches!(lists, Lists::Streamed { broken_off: 0 }));
}
