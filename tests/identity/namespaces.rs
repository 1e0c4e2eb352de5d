//! P27, S31: the labels of a namespace that has not been seen are unknown; they are not absent.

use podwall_lab::Lab;

use super::waiting::{ATTEMPTS, Waited, assert_waited, wait_and_change};
use crate::manifests::{adopt_namespace, with_broken_labels, write};
use crate::support::{Scene, Seen};
use crate::talk::{APP, App, both};

/// Lets pods into shop/web whose namespace fulfils this expression.
fn expects(expression: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{ name: teams, namespace: shop }}\n\
         spec:\n  podSelector: {{ matchLabels: {{ app: web }} }}\n  ingress:\n    \
         - from: [{{ namespaceSelector: {{ matchExpressions: [{{ {expression} }}] }} }}]\n"
    )
}

/// Both match a namespace without labels, so both would open.
const NEGATIVE: [&str; 2] = [
    "key: team, operator: NotIn, values: [z]",
    "key: quarantine, operator: DoesNotExist",
];

fn is_unknown(scene: &Scene) {
    let (seen, line) = scene.ask_logged(&scene.stranger, 80);
    assert_eq!(seen, Seen::Reset, "{line}");
    assert_waited(&line, "peer_unknown");
    assert_eq!(line["peer"], "other/stranger", "{line}");
    assert_eq!(
        line["nearest_miss"]["clause"], "namespace_unknown",
        "{line}"
    );
}

#[test]
fn p27_s31_not_in_and_does_not_exist_do_not_open_for_a_namespace_not_seen() {
    let mut scene = Scene::guarded("");
    for expression in NEGATIVE {
        scene.change(|lab| lab.set_policies_yaml(&expects(expression)));
        assert_eq!(scene.ask(&scene.stranger, 80), Seen::Page, "{expression}");
        scene.change(|lab| lab.remove_namespace("other"));
        is_unknown(&scene);
        // Who is in a namespace that was seen enters as before.
        assert_eq!(scene.ask(&scene.cart, 80), Seen::Page, "{expression}");
        scene.change(|lab| lab.namespace("other", &[("team", "b")]));
        assert_eq!(scene.ask(&scene.stranger, 80), Seen::Page, "{expression}");
    }
}

#[test]
fn p26_p27_a_namespace_that_becomes_malformed_does_not_open() {
    let mut scene = Scene::guarded(&expects(NEGATIVE[0]));
    let other = adopt_namespace(&mut scene.lab, "other", "other.json");
    assert_eq!(scene.ask(&scene.stranger, 80), Seen::Page);
    scene.change(|lab| {
        write(lab, "other.json", with_broken_labels(other));
        Ok(())
    });
    is_unknown(&scene);
}

#[test]
fn p27_who_waits_for_its_namespace_is_let_in_when_it_is_seen() {
    let mut scene = Scene::guarded(&expects(NEGATIVE[0]));
    scene.change(|lab| lab.remove_namespace("other"));
    let app = App::listen(scene.web.place(), APP);
    let (stranger, [to, _]) = (scene.stranger.clone(), both(&scene.web, APP));
    for _ in 0..ATTEMPTS {
        let seen = |lab: &mut Lab| lab.namespace("other", &[("team", "b")]).unwrap();
        let answer = wait_and_change(&mut scene, &app, &stranger, to, seen);
        let Waited::Denied(line) = answer else {
            return;
        };
        assert_waited(&line, "peer_unknown");
        scene.change(|lab| lab.remove_namespace("other"));
    }
    panic!("in none of {ATTEMPTS} attempts the waiting arrival was let in");
}
