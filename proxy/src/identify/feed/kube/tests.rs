//! Against a server that plays an API server's part, line by line. The real one is asked in the
//! whole product's tests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use super::*;
use crate::identify::feed::Kind;

mod astray;
pub(in crate::identify::feed) mod server;

use server::{Cluster, END, Reply, STREAMING, lines, list, refuse};

/// How long a test waits for what must come. Only a broken watch needs all of it.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is told until `end` is, in words.
fn told_until(changes: &Receiver<Change>, end: impl Fn(&Change) -> bool) -> Vec<String> {
    let deadline = Instant::now() + PATIENCE;
    let mut told = Vec::new();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let change = changes.recv_timeout(left).expect("it was never told");
        told.push(format!("{change:?}"));
        if end(&change) {
            return told;
        }
    }
}

fn is_healthy(change: &Change) -> bool {
    matches!(change, Change::SourceHealthy(_))
}

#[test]
fn a_server_without_streaming_lists_is_asked_for_pages() {
    let cluster = Cluster::new("kube-pages", |request| {
        if request.has(STREAMING) {
            return refuse(422, "sendInitialEvents is forbidden");
        }
        if request.has("watch=true") {
            return lines("");
        }
        if !request.is_for("/pods") {
            return list("", "");
        }
        if request.has("continue=more") {
            list(r#"{"metadata": {"name": "b", "namespace": "shop"}}"#, "")
        } else {
            list(
                r#"{"metadata": {"name": "a", "namespace": "shop"}}, {"metadata": {"name": "odd", "namespace": "shop", "labels": 7}}"#,
                "more",
            )
        }
    });
    let (_handle, changes) = cluster.watch();
    let told = told_until(&changes, is_healthy);
    let pods: Vec<_> = told.iter().filter(|one| one.contains("Pod")).collect();
    let starts = [
        "Relist(Pod)",
        "Listed(Pod(Pod { name: ObjectName { namespace: \"shop\", name: \"a\"",
        "Listed(BrokenPod(ObjectName { namespace: \"shop\", name: \"odd\"",
        "Listed(Pod(Pod { name: ObjectName { namespace: \"shop\", name: \"b\"",
        "Relisted(Pod)",
        "Findings([Diagnostic { severity: Error, place: \"Pod shop/odd",
    ];
    assert_eq!(pods.len(), starts.len(), "{told:#?}");
    for (pod, start) in pods.iter().zip(starts) {
        assert!(pod.starts_with(start), "{pod}");
    }
    assert!(
        !told.iter().any(|one| one.contains("SourceProblem")),
        "{told:#?}"
    );
}

#[test]
fn a_rotated_token_is_read_after_a_refusal() {
    let cluster = Cluster::new("kube-token", |request| match &*request.token {
        "second" if request.has(STREAMING) => lines(END),
        _ => refuse(401, "Unauthorized"),
    });
    let (_handle, changes) = cluster.watch();
    let told = told_until(&changes, |change| {
        matches!(change, Change::SourceProblem(_))
    });
    assert!(
        told.last()
            .unwrap()
            .contains("credentials are not accepted"),
        "{told:?}"
    );
    cluster.give_token("second");
    let told = told_until(&changes, is_healthy);
    for kind in Kind::ALL {
        let relisted = format!("{:?}", Change::Relisted(kind));
        assert!(told.contains(&relisted), "{told:#?}");
    }
}

#[test]
fn p25_lists_anew_when_asked_to() {
    let cluster = Cluster::new("kube-relist", |_| lines(END));
    let (handle, changes) = cluster.watch();
    told_until(&changes, is_healthy);
    handle.relister().relist();
    for _ in Kind::ALL {
        told_until(&changes, |change| matches!(change, Change::Relist(_)));
    }
    drop(handle);
    assert!(
        changes
            .iter()
            .all(|change| !matches!(change, Change::SourceProblem(_)))
    );
}

#[test]
fn a_watch_that_ends_at_once_is_not_begun_in_a_tight_loop() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let cluster = Cluster::new("kube-tight", move |request| {
        if !request.has(STREAMING) {
            count.fetch_add(1, Ordering::Relaxed);
            return Reply::Json(200, String::new());
        }
        // Ends in good order right after the list.
        Reply::Json(200, END.to_owned())
    });
    let (_handle, changes) = cluster.watch();
    let begun = Instant::now();
    let many = |_: &Change| asked.load(Ordering::Relaxed) >= 9;
    told_until(&changes, many);
    // Three kinds, each 0.1 s and more after its list, 0.2 s and more after its first watch, 0.4 s and more after its second.
    assert!(
        begun.elapsed() >= Duration::from_millis(500),
        "{:?}",
        begun.elapsed()
    );
}

/// One answer.
type Play = fn() -> Reply;

/// Plays a cluster whose first watch after the list gets `once`, and counts the lists of pods.
fn playing_once(test: &str, once: Play) -> (Cluster, Arc<AtomicUsize>) {
    let (lists, watches) = (Arc::new(AtomicUsize::new(0)), AtomicUsize::new(0));
    let counted = Arc::clone(&lists);
    let cluster = Cluster::new(test, move |request| {
        if !request.is_for("/pods") {
            return lines(END);
        }
        if request.has(STREAMING) {
            return match counted.fetch_add(1, Ordering::Relaxed) {
                // Ends in good order after the list.
                0 => Reply::Json(200, END.to_owned()),
                _ => lines(END),
            };
        }
        match watches.fetch_add(1, Ordering::Relaxed) {
            0 => once(),
            _ => lines(""),
        }
    });
    (cluster, lists)
}

fn is_pods_relist(change: &Change) -> bool {
    matches!(change, Change::Relisted(Kind::Pod))
}

#[test]
fn p25_a_version_that_is_gone_is_listed_anew_however_that_is_told() {
    let in_the_answer = || {
        let event = r#"{"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}}"#;
        lines(format!("{event}\n"))
    };
    let as_status = || refuse(410, "too old resource version");
    let from_the_future = || refuse(504, "Too large resource version: 9, current: 5");
    let plays: [(&str, Play); 3] = [
        ("kube-410-event", in_the_answer),
        ("kube-410-status", as_status),
        ("kube-504", from_the_future),
    ];
    for (test, play) in plays {
        let (cluster, lists) = playing_once(test, play);
        let (_handle, changes) = cluster.watch();
        told_until(&changes, is_pods_relist);
        let told = told_until(&changes, is_pods_relist);
        assert_eq!(lists.load(Ordering::Relaxed), 2, "{test}");
        assert!(
            !told.iter().any(|one| one.contains("SourceProblem")),
            "{test}: {told:#?}"
        );
    }
}

#[test]
fn s84_an_event_that_cannot_be_read_is_made_up_for_by_a_new_list() {
    let plays: [(&str, Play); 3] = [
        ("kube-no-text", || lines(b"\xff\n")),
        ("kube-garbage", || lines("garbage\n")),
        ("kube-strange", || {
            lines("{\"type\": \"NEW\", \"object\": {}}\n")
        }),
    ];
    for (test, play) in plays {
        let (cluster, lists) = playing_once(test, play);
        let (_handle, changes) = cluster.watch();
        told_until(&changes, is_pods_relist);
        told_until(&changes, is_pods_relist);
        assert_eq!(lists.load(Ordering::Relaxed), 2, "{test}");
    }
}

#[test]
fn a_server_that_answers_with_nonsense_is_not_asked_in_a_tight_loop() {
    let (send, asked) = std::sync::mpsc::sync_channel(1_000);
    let cluster = Cluster::new("kube-nonsense", move |request| {
        let _ = send.try_send(());
        match request.has(STREAMING) {
            true => refuse(400, "no streaming lists"),
            false => Reply::Json(200, "<html>".to_owned()),
        }
    });
    let begun = Instant::now();
    let (_handle, changes) = cluster.watch();
    let told = told_until(&changes, |change| {
        matches!(change, Change::SourceProblem(_))
    });
    assert!(told.last().unwrap().contains("is this address"), "{told:?}");
    // Five of each kind, between which 0.1, 0.2, 0.4 and 0.8 s at least; one of these waits may end sooner.
    for _ in 0..15 {
        asked.recv_timeout(PATIENCE).unwrap();
    }
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(500), "{took:?}");
}

#[test]
fn a_cluster_is_read_once_page_by_page() {
    let cluster = Cluster::new("kube-read", |request| {
        match (request.is_for("/pods"), request.has("continue=more")) {
            (true, false) => list(
                r#"{"metadata": {"name": "a", "namespace": "shop"}}"#,
                "more",
            ),
            (true, true) => list(r#"{"metadata": {"name": "b", "namespace": "web"}}"#, ""),
            (false, _) => list("", ""),
        }
    });
    let listing = read(&cluster.access()).unwrap();
    assert_eq!(listing.objects.len(), 2);
    assert_eq!(listing.findings, []);
    assert_eq!(listing.server, format!("http://127.0.0.1:{}", cluster.port));
}

#[test]
fn what_a_person_may_not_read_is_an_error_with_the_mend() {
    let cluster = Cluster::new("kube-forbidden", |_| {
        refuse(
            403,
            r#"pods is forbidden: User \"anna\" cannot list resource \"pods\" in API group \"\" at the cluster scope"#,
        )
    });
    let error = read(&cluster.access()).unwrap_err();
    assert!(!error.is_bad_input());
    let said = error.to_string();
    assert!(
        said.contains("anna may not list pods at the cluster scope; bind it"),
        "{said}"
    );
}

#[test]
fn a_server_that_is_away_is_an_error_at_once_for_a_person() {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mut cluster = Cluster::new("kube-away", |_| refuse(500, "never asked"));
    cluster.port = port;
    cluster.give_token("first");
    let said = read(&cluster.access()).unwrap_err().to_string();
    assert!(
        said.contains("connection refused; is the API server running"),
        "{said}"
    );
}
