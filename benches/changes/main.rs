//! What one change costs the world, from the source's event to the state that readers judge by.
//!
//! Never the whole cluster: a pod's event costs its addresses, a namespace's its pods, a policy's the
//! policies that select the subject.

// A bench that cannot do its work ends.
#![allow(clippy::expect_used)]

use std::cell::Cell;
use std::net::Ipv4Addr;
use std::sync::Arc;

use divan::Bencher;
use podwall_policy::document;
use podwall_policy::object::{Object, ObjectName};
use podwall_proxy::identify::feed::{Change, Kind};
use podwall_proxy::world::{Nodes, World};
use serde_json::{Value, json};

fn main() {
    divan::main();
}

/// A policy of the subject that admits other pods and another port with each number.
fn policy(name: usize, content: usize) -> Object {
    object(&json!({
        "kind": "NetworkPolicy", "apiVersion": "networking.k8s.io/v1",
        "metadata": {"name": format!("policy-{name}"), "namespace": "shop"},
        "spec": {
            "podSelector": {"matchLabels": {"app": "web"}},
            "policyTypes": ["Ingress"],
            "ingress": [{
                "from": [
                    {"podSelector": {"matchLabels": {"app": format!("client-{content}")}}},
                    {"namespaceSelector": {"matchLabels": {"team": format!("t{content}")}}},
                    {"ipBlock": {"cidr": format!("10.{}.0.0/16", content % 256)}},
                ],
                "ports": [{"protocol": "TCP", "port": 1024 + content % 60_000}],
            }],
        },
    }))
}

fn pod(name: &str, namespace: &str, app: &str, address: u32) -> Object {
    object(&json!({
        "kind": "Pod", "apiVersion": "v1",
        "metadata": {"name": name, "namespace": namespace, "uid": format!("uid-of-{name}"), "labels": {"app": app}},
        "status": {"phase": "Running", "podIPs": [{"ip": Ipv4Addr::from_bits(0x0a00_0000 + address)}]},
    }))
}

fn namespace(name: &str, team: &str) -> Object {
    object(&json!({
        "kind": "Namespace", "apiVersion": "v1", "metadata": {"name": name, "labels": {"team": team}},
    }))
}

fn object(value: &Value) -> Object {
    let mut documents = document::read_object(value).expect("an object");
    documents.objects.pop().expect("of a kind that we read")
}

/// The subject, `pods` others, a thousand in each namespace, and `policies` that select the subject.
fn world(pods: u32, policies: usize) -> Arc<World> {
    let world = World::new(ObjectName::new("shop", "web"), Nodes::default());
    let spaces = (0..=pods / 1_000).map(|at| namespace(&format!("team-{at}"), "a"));
    let others = (0..pods).map(|at| {
        let app = format!("app-{}", at % 1_000);
        pod(
            &format!("x-{at}"),
            &format!("team-{}", at / 1_000),
            &app,
            at,
        )
    });
    let own = [namespace("shop", "a"), pod("web", "shop", "web", 1 << 20)];
    let policies = (0..policies).map(|at| policy(at, at));
    let all = own.into_iter().chain(spaces).chain(others).chain(policies);
    let relist = Kind::ALL.map(Change::Relist).into_iter();
    let relisted = Kind::ALL.map(Change::Relisted);
    let changes = relist.chain(all.map(Change::Listed)).chain(relisted);
    for change in changes {
        let _ = world.apply(change);
    }
    world
}

/// Two versions of something, told in turns, so that each is a change.
fn in_turns(bencher: Bencher<'_, '_>, world: &World, make: impl Fn(bool) -> Object) {
    let turn = Cell::new(false);
    bencher
        .with_inputs(|| {
            turn.set(!turn.get());
            Change::Upsert(make(turn.get()))
        })
        .bench_local_values(|change| world.apply(change));
}

#[divan::bench(args = [1, 200, 1_000])]
fn one_policy_of_so_many(bencher: Bencher<'_, '_>, policies: usize) {
    let world = world(1_000, policies);
    in_turns(bencher, &world, |turn| {
        policy(0, if turn { 5_000 } else { 0 })
    });
}

#[divan::bench(args = [1, 1_000, 100_000])]
fn one_pod_of_so_many(bencher: Bencher<'_, '_>, pods: u32) {
    let world = world(pods, 1_000);
    in_turns(bencher, &world, |turn| {
        pod("x-0", "team-0", if turn { "app-1" } else { "app-0" }, 0)
    });
}

/// Of each namespace a thousand pods.
#[divan::bench(args = [1_000, 100_000])]
fn one_namespace_of_so_many_pods(bencher: Bencher<'_, '_>, pods: u32) {
    let world = world(pods, 1_000);
    in_turns(bencher, &world, |turn| {
        namespace("team-0", if turn { "b" } else { "a" })
    });
}
