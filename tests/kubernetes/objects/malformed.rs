//! P26: objects that cannot be read, as no API server sends them today: the server in between writes them.

use podwall_lab::wait_until;
use serde_json::{Value, json};

use crate::faults::Resource;
use crate::kubernetes::stage::Stage;
use crate::support::{CART_ONLY, SOON, Seen};
use crate::talk::{APP, Ending, Pair, both, ending};

/// Makes an object, or a part of it, what no API server stores.
type Break = fn(&mut Value);

fn is(object: &Value, name: &str) -> bool {
    object["metadata"]["name"] == name
}

/// Loud: on stderr and in the metrics.
fn is_told(stage: &Stage, words: &str) {
    stage.says(words);
    let counted = || stage.metric("findings") >= 1.0;
    assert!(wait_until(SOON, counted), "{}", stage.output());
}

#[test]
fn p26_a_pod_that_becomes_malformed_is_unknown() {
    let mut stage = Stage::behind_faults();
    let (cart, rogue) = (stage.scene.cart.clone(), stage.scene.rogue.clone());
    let breaks: [Break; 3] = [
        |pod| pod["metadata"]["labels"] = "app=cart".into(),
        |pod| pod["status"]["podIPs"] = "everywhere".into(),
        |pod| pod["spec"]["hostNetwork"] = "perhaps".into(),
    ];
    for (number, broken) in breaks.into_iter().enumerate() {
        stage.fares(&cart, Seen::Page, "rule");
        let mut pair = Pair::open(&cart, both(&stage.scene.web, APP)[0], &stage.app);
        stage.faults().edit(Resource::Pods, move |pod| {
            if is(pod, "cart") {
                broken(pod);
            }
        });
        let number = number.to_string();
        let touched = [("app", "cart"), ("touched", number.as_str())];
        stage.scene.lab.relabel("shop", "cart", &touched).unwrap();
        let line = stage.fares(&cart, Seen::Reset, "peer_unknown");
        assert_eq!(ending(&mut pair.client), Ending::Reset, "{line}");
        is_told(&stage, "shop/cart");
        // The others are read on.
        stage
            .scene
            .lab
            .relabel("shop", "rogue", &[("app", "cart")])
            .unwrap();
        stage.fares(&rogue, Seen::Page, "rule");
        stage.faults().relent();
        stage
            .scene
            .lab
            .relabel("shop", "rogue", &[("app", "rogue")])
            .unwrap();
        stage
            .scene
            .lab
            .relabel("shop", "cart", &[("app", "cart")])
            .unwrap();
        stage.fares(&rogue, Seen::Reset, "no_rule_admits");
        stage.fares(&cart, Seen::Page, "rule");
        let mended = || stage.metric("findings") == 0.0;
        assert!(wait_until(SOON, mended), "{}", stage.output());
    }
}

/// In the first list too: the rest of it counts.
#[test]
fn p26_malformed_objects_do_not_keep_a_source_from_being_whole() {
    let mut stage = Stage::spoiled(CART_ONLY);
    stage.faults().edit(Resource::Pods, |pod| {
        if is(pod, "cart") {
            pod["metadata"]["labels"] = 7.into();
        }
    });
    stage.faults().edit(Resource::Namespaces, |namespace| {
        if is(namespace, "other") {
            namespace["metadata"]["labels"] = json!(["team"]);
        }
    });
    stage.start();
    is_told(&stage, "shop/cart");
    stage.fares(&stage.scene.cart, Seen::Reset, "peer_unknown");
    stage.fares(&stage.scene.rogue, Seen::Reset, "no_rule_admits");
    stage
        .scene
        .lab
        .relabel("shop", "rogue", &[("app", "cart")])
        .unwrap();
    stage.fares(&stage.scene.rogue, Seen::Page, "rule");
}

#[test]
fn p26_p27_a_namespace_that_becomes_malformed_is_unknown() {
    let mut stage = Stage::spoiled(
        "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: not-z, namespace: shop }
spec:
  podSelector: { matchLabels: { app: web } }
  ingress:
    - from: [{ namespaceSelector: { matchExpressions: [{ key: team, operator: NotIn, values: [z] }] } }]
",
    );
    stage.start();
    stage.fares(&stage.scene.stranger, Seen::Page, "rule");
    stage.faults().edit(Resource::Namespaces, |namespace| {
        if is(namespace, "other") {
            namespace["metadata"]["labels"] = "team=b".into();
        }
    });
    stage
        .scene
        .lab
        .namespace("other", &[("team", "c")])
        .unwrap();
    stage.fares(&stage.scene.stranger, Seen::Reset, "peer_unknown");
    is_told(&stage, "other");
    // Whose namespace can be read enters as before.
    stage.fares(&stage.scene.cart, Seen::Page, "rule");
    stage.faults().relent();
    stage
        .scene
        .lab
        .namespace("other", &[("team", "b")])
        .unwrap();
    stage.fares(&stage.scene.stranger, Seen::Page, "rule");
}

/// It is never skipped: it isolates, and what cannot be read of it admits nobody.
#[test]
fn p26_a_malformed_policy_isolates_and_its_broken_parts_admit_nobody() {
    let mut stage = Stage::spoiled("");
    stage.start();
    let (cart, rogue) = (stage.scene.cart.clone(), stage.scene.rogue.clone());
    let breaks: [(Break, Seen); 4] = [
        (|spec| spec["ingress"] = "everyone".into(), Seen::Reset),
        (
            |spec| spec["ingress"][0]["from"] = "everyone".into(),
            Seen::Reset,
        ),
        (|spec| *spec = "everything".into(), Seen::Reset),
        // The rule can be read and the subject cannot: it is whichever pod there is.
        (|spec| spec["podSelector"] = "everything".into(), Seen::Page),
    ];
    for (broken, cart_sees) in breaks {
        stage.fares(&rogue, Seen::Page, "not_isolated");
        stage.faults().edit(Resource::Policies, move |policy| {
            broken(&mut policy["spec"])
        });
        stage
            .scene
            .lab
            .policy("shop", "cart-only", CART_ONLY)
            .unwrap();
        stage.fares(&rogue, Seen::Reset, "no_rule_admits");
        assert_eq!(stage.scene.ask(&cart, 80), cart_sees);
        is_told(&stage, "shop/cart-only");
        // The feed goes on: other policies and its own removal are heard.
        let more = CART_ONLY
            .replace("cart-only", "more")
            .replace("app: cart", "app: rogue");
        stage.faults().relent();
        stage.scene.lab.policy("shop", "more", &more).unwrap();
        stage.fares(&rogue, Seen::Page, "rule");
        stage.scene.lab.remove_policy("shop", "more").unwrap();
        stage.fares(&rogue, Seen::Reset, "no_rule_admits");
        stage.scene.lab.remove_policy("shop", "cart-only").unwrap();
    }
}

/// Nobody can say of which pod the event was; what was known of that one must not stay all the same.
#[test]
fn p26_an_event_of_a_pod_without_a_readable_name_leaves_nothing_of_it_in_force() {
    let mut stage = Stage::behind_faults();
    let cart = stage.scene.cart.clone();
    let touch = |stage: &mut Stage, value: &str| {
        let labels = [("app", "cart"), ("touched", value)];
        stage.scene.lab.relabel("shop", "cart", &labels).unwrap();
    };
    let breaks: [(Break, &str); 2] = [
        (|metadata| metadata["name"] = 7.into(), "names no Pod"),
        (
            |metadata| metadata["namespace"] = Value::Null,
            "names no namespace",
        ),
    ];
    for (broken, words) in breaks {
        stage.fares(&cart, Seen::Page, "rule");
        let mut pair = Pair::open(&cart, both(&stage.scene.web, APP)[0], &stage.app);
        stage.faults().edit(Resource::Pods, move |pod| {
            if is(pod, "cart") {
                broken(&mut pod["metadata"]);
            }
        });
        touch(&mut stage, "broken");
        let line = stage.fares(&cart, Seen::Reset, "peer_unknown");
        assert_eq!(ending(&mut pair.client), Ending::Reset, "{line}");
        is_told(&stage, words);
        stage.fares(&stage.scene.rogue, Seen::Reset, "no_rule_admits");
        stage.faults().relent();
        touch(&mut stage, "mended");
    }
    stage.fares(&cart, Seen::Page, "rule");
}

/// Its old rules do not stay beside the one that stands in for it.
#[test]
fn p26_an_event_of_a_policy_without_a_readable_name_leaves_nothing_of_it_in_force() {
    let mut stage = Stage::behind_faults();
    let cart = stage.scene.cart.clone();
    stage.fares(&cart, Seen::Page, "rule");
    stage.faults().edit(Resource::Policies, |policy| {
        policy["metadata"]["name"] = 7.into();
        policy["spec"]["ingress"] = "everyone".into();
    });
    let touched = CART_ONLY.replace("policyTypes: [Ingress]", "policyTypes: [Ingress, Egress]");
    stage
        .scene
        .lab
        .policy("shop", "cart-only", &touched)
        .unwrap();
    stage.fares(&cart, Seen::Reset, "no_rule_admits");
    stage.fares(&stage.scene.rogue, Seen::Reset, "no_rule_admits");
    is_told(&stage, "NetworkPolicy without a name");
    stage.faults().relent();
    stage
        .scene
        .lab
        .policy("shop", "cart-only", CART_ONLY)
        .unwrap();
    // What stood in for it goes, too.
    stage.fares(&cart, Seen::Page, "rule");
    assert!(wait_until(SOON, || stage.metric("findings") == 0.0));
}
