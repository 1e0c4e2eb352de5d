//! What must not be gone on from: half a list, an event of nobody knows which object, a fault of our own.

use super::*;

/// Its only object, as part of a list or an event.
const CART: &str =
    r#"{"metadata": {"name": "cart", "namespace": "shop", "uid": "u1", "resourceVersion": "6"}}"#;

fn event(verb: &str, object: &str) -> String {
    format!("{{\"type\": \"{verb}\", \"object\": {object}}}\n")
}

/// What was known of the object, under whatever name, does not stay (P26).
#[test]
fn p26_an_event_of_nobody_knows_which_object_is_made_up_for_by_a_new_list() {
    let nameless = r#"{"metadata": {"name": 7, "namespace": "shop", "resourceVersion": "7"}}"#;
    let no_uid = r#"{"metadata": {"name": "cart", "namespace": "shop", "resourceVersion": "7"}}"#;
    for (test, verb, object) in [
        ("kube-nameless", "MODIFIED", nameless),
        ("kube-nameless-gone", "DELETED", nameless),
        ("kube-no-uid-gone", "DELETED", no_uid),
    ] {
        for plural in ["/pods", "/networkpolicies"] {
            if plural != "/pods" && object == no_uid {
                continue;
            }
            let lists = Arc::new(AtomicUsize::new(0));
            let count = Arc::clone(&lists);
            let told = event(verb, object);
            let cluster = Cluster::new(test, move |request| {
                match request.is_for(plural) && count.fetch_add(1, Ordering::Relaxed) == 0 {
                    true => lines(event("ADDED", CART) + END + &told),
                    false => lines(END),
                }
            });
            let (_handle, changes) = cluster.watch();
            let kind = match plural {
                "/pods" => Kind::Pod,
                _ => Kind::Policy,
            };
            for _ in 0..2 {
                told_until(
                    &changes,
                    |change| matches!(change, Change::Relisted(one) if *one == kind),
                );
            }
            assert_eq!(lists.load(Ordering::Relaxed), 2, "{test} {plural}");
        }
    }
}

/// Half a list is told as begun anew, so what was listed of it counts for nothing.
#[test]
fn p25_a_list_whose_version_is_gone_between_two_pages_begins_anew() {
    let pages = AtomicUsize::new(0);
    let cluster = Cluster::new("kube-410-page", move |request| {
        if request.has(STREAMING) {
            return refuse(422, "sendInitialEvents is forbidden");
        }
        if request.has("watch=true") {
            return lines("");
        }
        if !request.is_for("/pods") {
            return list("", "");
        }
        match (
            request.has("continue=more"),
            pages.fetch_add(1, Ordering::Relaxed),
        ) {
            (false, 0) => list(CART, "more"),
            (true, 1) => refuse(410, "The provided continue parameter is too old"),
            _ => list("", ""),
        }
    });
    let (_handle, changes) = cluster.watch();
    let told = told_until(&changes, is_healthy);
    let pods: Vec<&str> = told
        .iter()
        .filter(|one| one.contains("Pod"))
        .map(|one| one.split_inclusive("Pod").next().unwrap())
        .collect();
    let words = ["Relist(Pod", "Listed(Pod", "Relist(Pod", "Relisted(Pod"];
    assert_eq!(pods, words, "{told:#?}");
}

/// By chance within these bounds, so that a silent watch is noticed and not all begin anew at once.
#[test]
fn p25_every_watch_has_its_end() {
    let (send, asked) = std::sync::mpsc::channel();
    let cluster = Cluster::new("kube-timeout", move |request| {
        let _ = send.send(request.uri.clone());
        match request.has(STREAMING) {
            true => Reply::Json(200, END.to_owned()),
            false => lines(""),
        }
    });
    let (_handle, _changes) = cluster.watch();
    for _ in 0..6 {
        let uri = asked.recv_timeout(PATIENCE).unwrap();
        let (_, rest) = uri.split_once("timeoutSeconds=").expect("a timeout");
        let seconds: u32 = rest.split('&').next().unwrap().parse().unwrap();
        assert!((30..=60).contains(&seconds), "{uri}");
        assert!(uri.contains("allowWatchBookmarks=true"), "{uri}");
        let newest = !uri.contains("resourceVersion=0");
        assert!(newest, "it may be of any age: {uri}");
    }
}

/// The receiver breaks once, in the middle of a list.
#[test]
fn s84_what_breaks_in_here_is_told_and_everything_is_listed_anew() {
    let cluster = Cluster::new("kube-broken", |_| lines(END));
    let (send, changes) = std::sync::mpsc::channel();
    let mut broke = false;
    let handle = watch(cluster.access(), "shop".into(), move |change| {
        if is_pods_relist(&change) && !std::mem::replace(&mut broke, true) {
            panic!("said by the test");
        }
        let _ = send.send(change);
    });
    let told = told_until(&changes, |change| {
        matches!(change, Change::SourceProblem(_))
    });
    assert!(
        told.last().unwrap().contains("please report this"),
        "{told:?}"
    );
    let told = told_until(&changes, is_healthy);
    for kind in Kind::ALL {
        let relisted = format!("{:?}", Change::Relisted(kind));
        assert!(told.contains(&relisted), "{told:#?}");
    }
    drop(handle.unwrap());
}
