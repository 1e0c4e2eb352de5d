//! P31: the endpoints, and counters that move exactly by what was done.

use std::collections::BTreeMap;

use podwall_lab::wait_until;

use crate::inside::counted;
use crate::support::{CART_ONLY, SOON, Scene};
use crate::talk::{APP, App, Ending, Pair, both, ending, fate};

/// By how much each series has grown; those that have not are left out.
fn growth(before: &BTreeMap<String, f64>, now: &BTreeMap<String, f64>) -> BTreeMap<String, f64> {
    let grown = now.iter().map(|(series, value)| {
        let old = before.get(series).copied().unwrap_or(0.0);
        (series.clone(), value - old)
    });
    grown.filter(|(_, by)| *by != 0.0).collect()
}

fn arrivals(verdict: &str, reason: &str) -> String {
    format!(
        "podwall_arrivals_total{{mode=\"redirect\",protocol=\"TCP\",verdict=\"{verdict}\",reason=\"{reason}\"}}"
    )
}

#[test]
fn p31_counters_move_exactly_by_what_was_done() {
    let mut scene = Scene::guarded(CART_ONLY);
    let app = App::listen(&scene.web, APP);
    let before = counted(scene.sidecar());
    let [to, to_v6] = both(&scene.web, APP);
    for to in [to, to_v6, to] {
        let Pair { mut client, app } = Pair::open(&scene.cart, to, &app);
        drop(app);
        assert_eq!(ending(&mut client), Ending::End);
    }
    for to in [to, to_v6] {
        assert_eq!(fate(&scene.rogue, to), Ending::Reset);
    }
    assert_eq!(fate(&scene.cart, both(&scene.web, 7999)[1]), Ending::Reset);
    let mut revoked = Pair::open(&scene.cart, to, &app);
    scene.change(|lab| lab.relabel("shop", "cart", &[]));
    assert_eq!(ending(&mut revoked.client), Ending::Reset);
    let words = "podwall_bytes_total{direction=\"in\"}";
    let wanted = BTreeMap::from([
        (arrivals("allow", "rule"), 4.0),
        (arrivals("deny", "no_rule_admits"), 3.0),
        (
            "podwall_revoked_total{reason=\"no_rule_admits\"}".to_owned(),
            1.0,
        ),
        (words.to_owned(), 20.0),
        (words.replace("in\"", "out\""), 20.0),
    ]);
    let grown = || growth(&before, &counted(scene.sidecar()));
    assert!(
        wait_until(SOON, || grown() == wanted),
        "{:#?} instead of {wanted:#?}",
        grown()
    );
}

#[test]
fn p31_gauges_tell_what_is_open_and_known() {
    let mut scene = Scene::guarded(CART_ONLY);
    let app = App::listen(&scene.web, APP);
    let gauge = |scene: &Scene, name: &str| {
        let value = scene.sidecar().metric(&format!("podwall_{name}"));
        value
            .unwrap()
            .unwrap_or_else(|| panic!("no podwall_{name}"))
    };
    let known = [
        ("synced", 1.0),
        ("subject_known", 1.0),
        ("known_pods", 4.0),
        ("known_namespaces", 2.0),
        ("policies", 1.0),
        ("findings", 0.0),
        ("contested_addresses", 0.0),
        ("source_problem", 0.0),
        ("connections_live", 0.0),
    ];
    for (name, wanted) in known {
        assert_eq!(gauge(&scene, name), wanted, "podwall_{name}");
    }
    let open = both(&scene.web, APP).map(|to| Pair::open(&scene.cart, to, &app));
    assert!(wait_until(SOON, || gauge(&scene, "connections_live") == 2.0));
    drop(open);
    assert!(wait_until(SOON, || gauge(&scene, "connections_live") == 0.0));
    scene.change(|lab| lab.set_policies_yaml(""));
    assert_eq!(gauge(&scene, "policies"), 0.0);
    scene.change(|lab| lab.remove("other", "stranger"));
    assert_eq!(gauge(&scene, "known_pods"), 3.0);
}

#[test]
fn p31_no_series_has_more_than_six_labels_or_names_anybody() {
    let scene = Scene::guarded(CART_ONLY);
    assert_eq!(fate(&scene.rogue, both(&scene.web, 80)[0]), Ending::Reset);
    scene.ask_logged(&scene.cart, 80);
    let (code, text) = scene.sidecar().get("/metrics").unwrap();
    assert_eq!(code, 200);
    assert!(text.ends_with("# EOF\n"), "OpenMetrics ends so");
    let pods = [&scene.web, &scene.cart, &scene.rogue];
    let addresses = pods.iter().flat_map(|pod| pod.addresses());
    let names: Vec<String> = addresses
        .map(ToString::to_string)
        .chain(["shop", "cart", "rogue"].map(str::to_owned))
        .collect();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        assert!(line.matches("=\"").count() <= 6, "{line}");
        for name in &names {
            assert!(!line.contains(name.as_str()), "{line}");
        }
    }
}

#[test]
fn the_endpoints_answer_the_node() {
    let scene = Scene::guarded(CART_ONLY);
    let get = |path: &str| scene.sidecar().get(path).unwrap();
    assert_eq!(get("/livez"), (200, "alive\n".to_owned()));
    let (code, text) = get("/readyz");
    assert_eq!(code, 200);
    assert!(
        text.starts_with("ready\n") && text.contains("1 policies"),
        "{text}"
    );
    assert_eq!(get("/").0, 404);
    let url = format!("http://[{}]:15872/livez", scene.web.v6());
    assert_eq!(scene.lab.node().curl(&url, SOON).http, Some(200));
}
