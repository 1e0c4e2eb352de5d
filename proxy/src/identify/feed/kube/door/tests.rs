#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;

#[test]
fn a_request_is_told_by_its_address() {
    let rows = [
        ("/api/v1/pods?&limit=500", Kind::Pod, What::List),
        (
            "/api/v1/namespaces?&watch=true&resourceVersion=5",
            Kind::Namespace,
            What::Watch,
        ),
        (
            "/apis/networking.k8s.io/v1/namespaces/pods/networkpolicies?&watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan",
            Kind::Policy,
            What::ListAndWatch,
        ),
    ];
    for (uri, kind, what) in rows {
        let asked = Asked::of(&uri.parse().unwrap());
        assert_eq!(asked, Asked { kind, what }, "{uri}");
    }
}

/// One of several API servers that lags behind must not bring an old state back.
#[test]
fn p25_a_streaming_list_is_asked_for_in_its_newest_version() {
    let newest = |uri: &str| {
        let uri = uri.parse().unwrap();
        Asked::of(&uri).newest(&uri).map(|uri| uri.to_string())
    };
    let list = "/api/v1/pods?&watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan";
    assert_eq!(
        newest(&format!("{list}&resourceVersion=0")).as_deref(),
        Some(list)
    );
    for uri in [
        "/api/v1/pods?&watch=true&resourceVersion=0",
        "/api/v1/pods?&limit=500",
    ] {
        assert_eq!(newest(uri), None, "{uri}");
    }
}

#[test]
fn retry_after_is_read_in_seconds() {
    let wait = |text: &str| {
        let response = Response::builder().header(header::RETRY_AFTER, text);
        retry_after(&response.body(()).unwrap())
    };
    assert_eq!(wait("7"), Some(Duration::from_secs(7)));
    assert_eq!(wait("Wed, 21 Oct 2015 07:28:00 GMT"), None);
    assert_eq!(retry_after(&Response::new(())), None);
}
