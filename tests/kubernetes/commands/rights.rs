//! What the manifests of `deploy/rbac/` grant, asked of the API server itself as the account that has them: get, list
//! and watch on the three kinds, and nothing else.

use std::collections::BTreeSet;

use podwall_lab::{ApiClient, Request, wait_until};
use serde_json::{Value, json};

use super::desk::{Desk, PATIENCE};

const VERBS: [&str; 3] = ["get", "list", "watch"];
const CORE: [&str; 2] = ["/pods", "/namespaces"];
const POLICIES: &str = "networking.k8s.io/networkpolicies";

/// Each an API group and a resource with a slash between, and a verb.
type Rights = BTreeSet<(String, String)>;

#[test]
fn a_sidecar_may_read_the_three_kinds_and_policies_in_its_own_namespace_only() {
    let desk = Desk::open();
    let account = desk.control.account("shop", "web").unwrap();
    let client = account.client().unwrap();
    let before = ["shop", "other"].map(|namespace| rights(&client, namespace));
    for yaml in [
        include_str!("../../../deploy/rbac/sidecar.yaml"),
        include_str!("../../../deploy/rbac/sidecar-namespace.yaml"),
    ] {
        desk.control.grant(yaml).unwrap();
    }
    let gained = |at: usize, namespace| &rights(&client, namespace) - &before[at];
    let own = of(&[CORE[0], CORE[1], POLICIES]);
    assert!(
        wait_until(PATIENCE, || gained(0, "shop") == own),
        "{:?}",
        gained(0, "shop")
    );
    assert_eq!(gained(1, "other"), of(&CORE));
    refused_all_else(&client, &|namespace, resource| {
        CORE.contains(&resource) || (resource == POLICIES && namespace == "shop")
    });
    // And an account of another namespace has got nothing.
    let other = desk
        .control
        .account("other", "web")
        .unwrap()
        .client()
        .unwrap();
    refused_all_else(&other, &|_, _| false);
}

#[test]
fn a_reader_may_read_the_three_kinds_everywhere() {
    let desk = Desk::open();
    let jane = ApiClient::new(desk.control.place(), &desk.reader()).unwrap();
    let nobody = desk.control.person("john", "nobodies").unwrap();
    let nobody = ApiClient::new(desk.control.place(), &nobody).unwrap();
    let gained = &rights(&jane, "other") - &rights(&nobody, "other");
    assert_eq!(gained, of(&[CORE[0], CORE[1], POLICIES]));
    refused_all_else(&jane, &|_, resource| {
        CORE.contains(&resource) || resource == POLICIES
    });
}

fn of(resources: &[&str]) -> Rights {
    let verbs = |resource: &&str| VERBS.map(|verb| (resource.to_string(), verb.to_owned()));
    resources.iter().flat_map(verbs).collect()
}

/// All that the server says the asker may do with objects of this namespace.
fn rights(client: &ApiClient, namespace: &str) -> Rights {
    let review = review("SelfSubjectRulesReview", json!({ "namespace": namespace }));
    let answer = client.succeed(Request::create(path("selfsubjectrulesreviews"), review));
    let status = answer.unwrap()["status"].take();
    assert_eq!(status["incomplete"], false, "{status}");
    let mut rights = Rights::new();
    for rule in status["resourceRules"].as_array().unwrap() {
        for group in texts(&rule["apiGroups"]) {
            for resource in texts(&rule["resources"]) {
                for verb in texts(&rule["verbs"]) {
                    rights.insert((format!("{group}/{resource}"), verb));
                }
            }
        }
    }
    rights
}

/// Asks for much else, one by one: only what `may` says of a namespace ("" is all) and a resource is allowed to be
/// read, and nothing to be done.
fn refused_all_else(client: &ApiClient, may: &dyn Fn(&str, &str) -> bool) {
    let deeds = [
        "create",
        "update",
        "patch",
        "delete",
        "deletecollection",
        "*",
    ];
    let resources = [
        CORE[0],
        CORE[1],
        POLICIES,
        "/secrets",
        "/configmaps",
        "/services",
        "/nodes",
        "/serviceaccounts",
        "/pods/exec",
        "/pods/log",
        "/pods/status",
        "apps/deployments",
        "rbac.authorization.k8s.io/clusterroles",
        "*/*",
    ];
    for namespace in ["", "shop", "other"] {
        for resource in resources {
            for verb in VERBS.iter().chain(&deeds) {
                let want = VERBS.contains(verb) && may(namespace, resource);
                let allowed = is_allowed(client, namespace, resource, verb);
                assert_eq!(allowed, want, "{verb} {resource} in {namespace:?}");
            }
        }
    }
}

fn is_allowed(client: &ApiClient, namespace: &str, resource: &str, verb: &str) -> bool {
    let mut parts = resource.split('/');
    let mut part = || parts.next().unwrap_or_default();
    let (group, resource, subresource) = (part(), part(), part());
    let attributes = json!({
        "namespace": namespace, "verb": verb, "group": group, "resource": resource, "subresource": subresource,
    });
    let review = review(
        "SelfSubjectAccessReview",
        json!({ "resourceAttributes": attributes }),
    );
    let answer = client.succeed(Request::create(path("selfsubjectaccessreviews"), review));
    answer.unwrap()["status"]["allowed"] == true
}

fn path(plural: &str) -> String {
    format!("/apis/authorization.k8s.io/v1/{plural}")
}

fn review(kind: &str, spec: Value) -> Value {
    json!({ "apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec })
}

fn texts(list: &Value) -> Vec<String> {
    let items = list.as_array().into_iter().flatten();
    items.map(|one| one.as_str().unwrap().to_owned()).collect()
}
