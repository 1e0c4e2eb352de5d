#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;

use podwall_policy::flow::Protocol;

use super::*;
use crate::kernel::entry::{CLOSE, PROTOCOL_INFO, TCP, TCP_STATE, TIME_WAIT, TUPLE};
use crate::kernel::tuple::Tuple;
use crate::kernel::wire::Request;

/// News about a flow of `protocol` in this TCP state.
fn news(kind: u16, protocol: Protocol, state: Option<u8>) -> Vec<u8> {
    let [source, destination]: [SocketAddr; 2] =
        ["10.0.0.7:41000", "10.0.0.9:80"].map(|end| end.parse().unwrap());
    let mut request = Request::new(kind, 0, &[2, 0, 0, 0]);
    Tuple::new(protocol, source, destination).write(&mut request, TUPLE);
    if let Some(state) = state {
        request.nested(PROTOCOL_INFO, |info| {
            info.nested(TCP, |tcp| tcp.attribute(TCP_STATE, &[state]));
        });
    }
    request.numbered(0)
}

fn told(bytes: &[u8]) -> Vec<Event> {
    let mut told = Vec::new();
    tell(bytes, &mut |event| told.push(event));
    told
}

#[test]
fn only_ends_are_told() {
    for (kind, protocol, state, told_as_end) in [
        (DELETE, Protocol::Tcp, Some(3), true),
        (DELETE, Protocol::Tcp, None, true),
        (DELETE, Protocol::Udp, None, true),
        (DELETE, Protocol::Sctp, None, true),
        (NEW, Protocol::Tcp, Some(TIME_WAIT), true),
        (NEW, Protocol::Tcp, Some(CLOSE), true),
        (NEW, Protocol::Tcp, Some(3), false),
        (NEW, Protocol::Tcp, None, false),
        (NEW, Protocol::Udp, None, false),
        (0x0201, Protocol::Udp, None, false),
    ] {
        let told = told(&news(kind, protocol, state));
        let ended = matches!(told[..], [Event::Ended(_)]);
        assert!(
            ended == told_as_end && told.len() <= 1,
            "{kind:#x} {protocol} {state:?}: {told:?}"
        );
    }
}

#[test]
fn news_that_cannot_be_read_are_lost_news() {
    let mut bytes = news(DELETE, Protocol::Udp, None);
    bytes.extend([1, 2, 3]);
    let told = told(&bytes);
    assert!(
        matches!(told[..], [Event::Ended(_), Event::Lost]),
        "{told:?}"
    );
}
