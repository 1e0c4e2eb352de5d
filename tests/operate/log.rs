//! P32: every arrival ends in one line that says why, in the fields that docs/operations.md promises.

use podwall_lab::{Lab, Signal, wait_until};
use serde_json::Value;

use crate::inside::run;
use crate::support::{CART_ONLY, SOON, Scene};
use crate::talk::{APP, App, Ending, Pair, both, ending, fate};

const DOCS: &str = include_str!("../../docs/operations.md");
/// Nobody listens there.
const DEAD: u16 = 7999;

/// Name and type of each documented field, in order.
fn fields() -> Vec<(&'static str, &'static str)> {
    let (_, section) = DOCS.split_once("## Access log\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let cells = rows.map(|row| row.split('|').map(str::trim));
    let fields = cells.map(|mut cells| (cells.nth(1).unwrap(), cells.next().unwrap()));
    let fields: Vec<_> = fields
        .map(|(name, kind)| (name.trim_matches('`'), kind))
        .collect();
    assert!(fields.len() > 10, "{fields:?}");
    fields
}

fn is(value: &Value, kind: &str) -> bool {
    kind.split(" or ").any(|kind| match kind {
        "string" => value.as_str().is_some_and(|text| !text.is_empty()),
        "number" => value.is_u64(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        other => panic!("the document says {other}"),
    })
}

/// A line as it stands on stdout has every field, no other, and each of its type.
fn is_as_documented(text: &str) -> Value {
    let line: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let object = line.as_object().unwrap_or_else(|| panic!("{text}"));
    let names: Vec<_> = object.keys().map(String::as_str).collect();
    let wanted: Vec<_> = fields().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, wanted, "{text}");
    for (name, kind) in fields() {
        assert!(is(&line[name], kind), "{name} is no {kind}: {text}");
    }
    assert_eq!(line["v"], 1, "{text}");
    let time = line["time"].as_str().unwrap();
    let shape: String = time
        .chars()
        .map(|one| if one.is_ascii_digit() { '0' } else { one })
        .collect();
    assert_eq!(shape, "0000-00-00T00:00:00.000Z", "{text}");
    line
}

fn all_as_documented(scene: &Scene) -> Vec<Value> {
    let text = scene.sidecar().process().stdout_so_far();
    assert!(text.ends_with('\n'), "a line is not whole");
    text.lines().map(is_as_documented).collect()
}

/// One arrival of each kind, the last of them revoked.
fn play(scene: &mut Scene, app: &App) {
    let [to, to_v6] = both(&scene.web, APP);
    for to in [to, to_v6] {
        let skip = scene.sidecar().log().len();
        let Pair { mut client, app } = Pair::open(&scene.cart, to, app);
        drop(app);
        assert_eq!(ending(&mut client), Ending::End);
        drop(client);
        scene.line(skip, &scene.cart, APP);
        assert_eq!(fate(&scene.rogue, to), Ending::Reset);
    }
    assert_eq!(fate(&scene.stranger, to), Ending::Reset);
    assert_eq!(fate(&scene.cart, both(&scene.web, DEAD)[0]), Ending::Reset);
    let inside = (to.ip(), podwall_proxy::config::LISTEN_PORT).into();
    assert_eq!(fate(&scene.web, inside), Ending::Reset);
    let route = format!("ip route add 198.51.100.1 via {}", scene.web.v4());
    run(&scene.cart, &route);
    let foreign = ([198, 51, 100, 1], APP).into();
    assert_eq!(fate(&scene.cart, foreign), Ending::Reset);
    let mut pair = Pair::open(&scene.cart, to, app);
    scene.change(|lab: &mut Lab| lab.set_policies_yaml(&CART_ONLY.replace("cart }", "till }")));
    assert_eq!(ending(&mut pair.client), Ending::Reset);
}

/// Waits for the lines of what was played: nine arrivals and a revocation.
fn all_are_told(scene: &Scene) {
    let told = || scene.sidecar().log().len();
    assert!(wait_until(SOON, || told() == 10), "{} lines", told());
}

fn texts<'a>(line: &'a Value, names: &[&str]) -> Vec<&'a str> {
    let text = |name: &&str| line[*name].as_str().unwrap_or("null");
    names.iter().map(text).collect()
}

#[test]
fn p32_every_line_has_every_documented_field_and_says_why() {
    let mut scene = Scene::guarded(CART_ONLY);
    let app = App::listen(&scene.web, APP);
    play(&mut scene, &app);
    all_are_told(&scene);
    let told = ["kind", "peer", "verdict", "reason", "policy", "end"];
    let mut seen: Vec<String> = all_as_documented(&scene)
        .iter()
        .map(|line| texts(line, &told).join(" "))
        .collect();
    seen.sort_unstable();
    let mut wanted = [
        "connection shop/cart allow rule shop/cart-only closed",
        "connection shop/cart allow rule shop/cart-only closed",
        "connection shop/rogue deny no_rule_admits null denied",
        "connection shop/rogue deny no_rule_admits null denied",
        "connection other/stranger deny no_rule_admits null denied",
        "connection shop/cart allow rule shop/cart-only app_refused",
        "connection null deny aimed_at_relay null denied",
        "connection null deny not_this_pod null denied",
        "revocation shop/cart deny no_rule_admits null null",
        "connection shop/cart deny no_rule_admits null revoked",
    ];
    wanted.sort_unstable();
    assert_eq!(
        seen,
        wanted,
        "{}",
        scene.sidecar().process().output_so_far()
    );
}

#[test]
fn p32_a_denial_names_the_nearest_miss_and_an_admission_none() {
    let mut scene = Scene::guarded(CART_ONLY);
    let app = App::listen(&scene.web, APP);
    play(&mut scene, &app);
    all_are_told(&scene);
    let lines = all_as_documented(&scene);
    let misses: Vec<_> = lines
        .iter()
        .filter(|line| !line["nearest_miss"].is_null())
        .collect();
    let law = |line: &&Value| line["reason"] == "no_rule_admits";
    assert_eq!(misses.len(), lines.iter().filter(law).count());
    for line in misses {
        let miss = &line["nearest_miss"];
        assert_eq!(miss["policy"], "shop/cart-only", "{line}");
        assert_eq!(miss["rule"], 0, "{line}");
        let (clause, words) = match (line["peer"].as_str(), line["kind"].as_str()) {
            (Some("shop/rogue"), _) => ("pod_labels", ["app=rogue", "app=cart"]),
            (Some("other/stranger"), _) => ("other_namespace", ["other", "shop"]),
            // Cut by the policy that came later.
            _ => ("pod_labels", ["app=cart", "app=till"]),
        };
        assert_eq!(miss["clause"], clause, "{line}");
        for word in words {
            let detail = miss["detail"].as_str().unwrap();
            assert!(detail.contains(word), "{detail} has no {word}");
        }
    }
}

#[test]
fn the_log_is_all_that_is_on_stdout_also_at_the_end() {
    let scene = Scene::guarded(CART_ONLY);
    assert_eq!(fate(&scene.rogue, both(&scene.web, 80)[0]), Ending::Reset);
    let process = scene.sidecar().process();
    process.signal(Signal::TERM).unwrap();
    assert!(process.wait(SOON).unwrap().success());
    assert_eq!(all_as_documented(&scene).len(), 1);
}
