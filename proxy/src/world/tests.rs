#![allow(clippy::unwrap_used, clippy::expect_used)]

use podwall_policy::document;
use podwall_policy::explain::Clause;
use podwall_policy::flow::{Direction, Protocol};
use podwall_policy::object::Object;
use podwall_policy::verdict::DenyReason;

use super::*;

mod large;
mod lists;
mod node;
mod plain;
mod subject;

const SPACES: &str = "
kind: Namespace
apiVersion: v1
metadata: {name: shop, labels: {team: a}}
---
kind: Namespace
apiVersion: v1
metadata: {name: guests, labels: {team: b}}
---
";

const SUBJECT: &str = "
kind: Pod
apiVersion: v1
metadata: {name: web, namespace: shop, uid: u-web, labels: {app: web}}
status: {phase: Running, podIPs: [{ip: 10.0.0.10}]}
---
";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn pod(name: &str, namespace: &str, labels: &str, address: &str) -> String {
    format!(
        "
kind: Pod
apiVersion: v1
metadata: {{name: {name}, namespace: {namespace}, uid: u-{name}, labels: {{{labels}}}}}
status: {{phase: Running, podIPs: [{{ip: {address}}}]}}
---
"
    )
}

/// A policy of namespace shop that selects `subject` and admits pods of namespaces with `peers`.
fn policy(name: &str, subject: &str, peers: &str) -> String {
    format!(
        "
kind: NetworkPolicy
apiVersion: networking.k8s.io/v1
metadata: {{name: {name}, namespace: shop}}
spec: {{podSelector: {{matchLabels: {{{subject}}}}}, ingress: [{{from: [{{namespaceSelector: {{{peers}}}, podSelector: {{}}}}]}}]}}
---
"
    )
}

fn objects(yaml: &str) -> Vec<Object> {
    document::read("test", yaml).unwrap().objects
}

fn state(parts: &[&str]) -> Change {
    Change::Resync(Cluster::assemble(objects(&parts.concat())).unwrap().0)
}

fn upsert(yaml: &str) -> Change {
    let mut objects = objects(yaml);
    assert_eq!(objects.len(), 1, "{yaml}");
    Change::Upsert(objects.remove(0))
}

fn world() -> Arc<World> {
    world_with(&[])
}

/// Two addresses of the node, let in on these ports.
fn world_with(node_ports: &[u16]) -> Arc<World> {
    let nodes = [ip("192.168.0.1"), ip("::ffff:192.168.0.2")];
    World::new(
        ObjectName::new("shop", "web"),
        Nodes::new(&nodes, node_ports),
    )
}

fn after(changes: impl IntoIterator<Item = Change>) -> Arc<World> {
    let world = world();
    for change in changes {
        let _ = world.apply(change);
    }
    world
}

fn flow(source: &str) -> Flow {
    let subject = if ip(source).to_canonical().is_ipv4() {
        "10.0.0.10"
    } else {
        "fd00::10"
    };
    Flow::between(
        Direction::Ingress,
        Protocol::Tcp,
        ip(source),
        ip(subject),
        80,
    )
    .unwrap()
}

fn reason(world: &World, source: &str) -> &'static str {
    world.judge(ip(source), &flow(source)).decision.reason()
}

fn from(addresses: &[&str]) -> Touched {
    Touched::Addresses(addresses.iter().map(|one| ip(one)).collect())
}

const TEAM_A: &str = "matchLabels: {team: a}";

#[test]
fn the_node_is_let_in_before_anything_is_known() {
    let world = world();
    for node in ["192.168.0.1", "::ffff:192.168.0.1", "192.168.0.2"] {
        assert_eq!(reason(&world, node), "node", "{node}");
    }
    assert_eq!(reason(&world, "10.0.0.1"), "not_synced");
}

#[test]
fn s85_p6_nothing_is_let_in_before_the_first_whole_state() {
    let early = [
        upsert(SPACES.split("---").next().unwrap()),
        upsert(SUBJECT.trim_end().trim_end_matches("---")),
    ];
    let world = after(early);
    assert_eq!(reason(&world, "10.0.0.1"), "not_synced");
    assert!(!world.status().synced);
    assert_eq!(world.apply(state(&[SPACES, SUBJECT])), Touched::Everything);
    assert_eq!(reason(&world, "10.0.0.1"), "not_isolated");
    let status = world.status();
    assert_eq!(
        (status.synced, status.subject),
        (true, SubjectStatus::Known)
    );
    assert_eq!((status.pods, status.namespaces, status.policies), (1, 2, 0));
}

#[test]
fn a_ruling_names_the_peer_the_policy_and_the_state_it_was_made_in() {
    let world = after([state(&[
        SPACES,
        SUBJECT,
        &policy("only-a", "app: web", TEAM_A),
        &pod("friend", "shop", "app: x", "10.0.0.1"),
        &pod("guest", "guests", "app: x", "10.0.0.2"),
    ])]);
    let friend = world.judge(ip("::ffff:10.0.0.1"), &flow("10.0.0.1"));
    assert_eq!(friend.decision.reason(), "rule");
    assert_eq!(
        friend.admitted_by,
        Some((ObjectName::new("shop", "only-a"), 0))
    );
    assert_eq!(friend.peer, Some(ObjectName::new("shop", "friend")));
    assert_eq!(friend.generation, world.status().generation);
    let guest = world.judge(ip("10.0.0.2"), &flow("10.0.0.2"));
    assert_eq!(guest.decision, Decision::Deny(DenyReason::NoRuleAdmits));
    assert_eq!(guest.peer, Some(ObjectName::new("guests", "guest")));
    let misses = world.misses(ip("10.0.0.2"), &flow("10.0.0.2"));
    assert_eq!(misses[0].clause, Clause::NamespaceLabels);
    assert_eq!(reason(&world, "10.0.0.3"), "peer_unknown");
}

#[test]
fn p7_an_unknown_source_waits_until_its_pod_appears() {
    let world = after([state(&[
        SPACES,
        SUBJECT,
        &policy("only-a", "app: web", TEAM_A),
    ])]);
    let mut changes = world.changes();
    let held = world.judge(ip("10.0.0.1"), &flow("10.0.0.1"));
    assert!(held.decision.may_turn());
    assert!(!changes.has_changed().unwrap());
    let touched = world.apply(upsert(&pod("late", "shop", "app: x", "10.0.0.1")));
    assert_eq!(touched, from(&["10.0.0.1"]));
    assert!(changes.has_changed().unwrap());
    assert_eq!(*changes.borrow_and_update(), world.status().generation);
    let ruling = world.judge(ip("10.0.0.1"), &flow("10.0.0.1"));
    assert!(ruling.decision.is_allow() && ruling.generation > held.generation);
}

#[test]
fn p28_s78_what_changes_labels_touches_those_who_carry_them() {
    let friend = pod("friend", "shop", "app: x", "10.0.0.1");
    let world = after([state(&[
        SPACES,
        SUBJECT,
        &policy("only-a", "app: web", TEAM_A),
        &friend,
    ])]);
    assert_eq!(reason(&world, "10.0.0.1"), "rule");
    let relabelled = upsert(&pod("friend", "shop", "app: z", "10.0.0.1"));
    assert_eq!(world.apply(relabelled), from(&["10.0.0.1"]));
    assert_eq!(
        world.apply(upsert(&pod("friend", "shop", "app: z", "10.0.0.1"))),
        Touched::Nothing
    );
    let guests =
        upsert("{kind: Namespace, apiVersion: v1, metadata: {name: guests, labels: {team: a}}}");
    let _ = world.apply(upsert(&pod("guest", "guests", "app: x", "10.0.0.2")));
    assert_eq!(reason(&world, "10.0.0.2"), "no_rule_admits");
    assert_eq!(world.apply(guests), from(&["10.0.0.2"]));
    assert_eq!(reason(&world, "10.0.0.2"), "rule");
}

#[test]
fn s73_a_new_owner_of_an_address_has_its_own_identity() {
    let friend = pod("friend", "shop", "app: x", "10.0.0.1");
    let world = after([state(&[
        SPACES,
        SUBJECT,
        &policy("only-a", "app: web", TEAM_A),
        &friend,
    ])]);
    assert_eq!(reason(&world, "10.0.0.1"), "rule");
    let gone = Gone::Pod {
        name: ObjectName::new("shop", "friend"),
        uid: Some("u-friend".into()),
    };
    assert_eq!(world.apply(Change::Delete(gone)), from(&["10.0.0.1"]));
    assert_eq!(reason(&world, "10.0.0.1"), "peer_unknown");
    assert_eq!(
        world.apply(upsert(&pod("heir", "guests", "app: x", "10.0.0.1"))),
        from(&["10.0.0.1"])
    );
    assert_eq!(reason(&world, "10.0.0.1"), "no_rule_admits");
}

#[test]
fn p27_s31_a_pod_of_a_namespace_not_seen_is_not_one_without_labels() {
    let not_b = policy(
        "not-b",
        "app: web",
        "matchExpressions: [{key: team, operator: NotIn, values: [b]}]",
    );
    let stranger = pod("stranger", "elsewhere", "app: x", "10.0.0.3");
    let world = after([state(&[SPACES, SUBJECT, &not_b, &stranger])]);
    assert_eq!(reason(&world, "10.0.0.3"), "peer_unknown");
    let seen = upsert("{kind: Namespace, apiVersion: v1, metadata: {name: elsewhere}}");
    assert_eq!(world.apply(seen), from(&["10.0.0.3"]));
    assert_eq!(reason(&world, "10.0.0.3"), "rule");
    assert_eq!(
        world.apply(Change::Delete(Gone::Namespace("elsewhere".into()))),
        from(&["10.0.0.3"])
    );
    assert_eq!(reason(&world, "10.0.0.3"), "peer_unknown");
}

#[test]
fn a_policy_that_selects_the_subject_touches_all_and_no_other_does() {
    let world = after([state(&[SPACES, SUBJECT])]);
    let before = world.status().generation;
    let other = upsert(&policy("other", "app: db", TEAM_A));
    assert_eq!(world.apply(other), Touched::Nothing);
    assert_eq!(world.status().generation, before);
    assert_eq!(
        world.apply(upsert(&policy("only-a", "app: web", TEAM_A))),
        Touched::Everything
    );
    assert_eq!(reason(&world, "10.0.0.3"), "peer_unknown");
    assert_eq!(
        world.apply(upsert(&policy("only-a", "app: web", TEAM_A))),
        Touched::Nothing
    );
    let gone = Gone::Policy(ObjectName::new("shop", "only-a"));
    assert_eq!(world.apply(Change::Delete(gone)), Touched::Everything);
    assert_eq!(reason(&world, "10.0.0.3"), "not_isolated");
}

#[test]
fn a_resync_with_equal_content_touches_nobody() {
    let friend = pod("friend", "shop", "app: x", "10.0.0.1");
    let all = [
        SPACES,
        SUBJECT,
        &policy("only-a", "app: web", TEAM_A),
        &friend,
    ];
    let world = after([state(&all)]);
    let before = world.status().generation;
    assert_eq!(world.apply(state(&all)), Touched::Nothing);
    assert_eq!(world.status().generation, before);
    let moved = pod("friend", "shop", "app: x", "10.0.0.2");
    assert_eq!(
        world.apply(state(&[SPACES, SUBJECT, all[2], &moved])),
        from(&["10.0.0.1", "10.0.0.2"])
    );
    assert_eq!(
        (reason(&world, "10.0.0.1"), reason(&world, "10.0.0.2")),
        ("peer_unknown", "rule")
    );
}

#[test]
fn a_number_that_is_used_again_forgets_what_it_meant() {
    let friend = pod("friend", "shop", "app: x", "10.0.0.1");
    let world = after([state(&[
        SPACES,
        SUBJECT,
        &policy("only-a", "app: web", TEAM_A),
        &friend,
    ])]);
    assert_eq!(reason(&world, "10.0.0.1"), "rule");
    let _ = world.apply(state(&[
        SPACES,
        SUBJECT,
        &policy("only-a", "app: web", TEAM_A),
    ]));
    // The next identity gets the number of the one that just left.
    let _ = world.apply(upsert(&pod("guest", "guests", "app: x", "10.0.0.2")));
    assert_eq!(reason(&world, "10.0.0.2"), "no_rule_admits");
}

#[test]
fn s84_a_problem_of_the_source_keeps_what_is_in_force_and_is_told_until_it_is_over() {
    let world = after([state(&[SPACES, SUBJECT])]);
    let confirmed = world.status().last_confirmed_at;
    assert_eq!(
        world.apply(Change::SourceProblem("state.yaml:3: no".to_owned())),
        Touched::Nothing
    );
    assert_eq!(reason(&world, "10.0.0.1"), "not_isolated");
    let status = world.status();
    assert_eq!(status.problem.as_deref(), Some("state.yaml:3: no"));
    assert_eq!(status.last_confirmed_at, confirmed);
    let _ = world.apply(Change::SourceHealthy(std::time::Instant::now()));
    assert_eq!(world.status().problem, None);
    assert!(world.status().last_confirmed_at > confirmed);
}

#[test]
fn findings_tell_of_documents_policies_and_contested_addresses() {
    let twins = [
        pod("a", "shop", "app: x", "10.0.0.1"),
        pod("b", "shop", "app: x", "10.0.0.1"),
    ];
    let odd =
        policy("odd", "app: web", TEAM_A).replace("from:", "ports: [{port: no-such-name}], from:");
    let world = after([state(&[SPACES, SUBJECT, &odd, &twins[0], &twins[1]])]);
    assert_eq!(reason(&world, "10.0.0.1"), "no_rule_admits");
    let findings: Vec<String> = world.findings().iter().map(ToString::to_string).collect();
    assert!(
        findings.iter().any(|one| one.contains("no-such-name")),
        "{findings:?}"
    );
    assert!(
        findings.iter().any(|one| one.contains("shop/a and shop/b")),
        "{findings:?}"
    );
    assert_eq!(world.status().contested, 1);
}
