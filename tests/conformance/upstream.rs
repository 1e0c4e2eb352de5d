//! The truth tables of the upstream NetworkPolicy suite, in words and manifests of our own: 42 of TCP, 3 of UDP, 3 of
//! SCTP. Where upstream asks a few pods, all nine are asked here.

mod changing;
mod egress;
mod others;
mod peers;
mod ports;

use super::table::Case;

/// The TCP cases.
pub fn tcp() -> Vec<Case> {
    [
        peers::cases(),
        ports::cases(),
        changing::cases(),
        egress::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The UDP cases.
pub fn udp() -> Vec<Case> {
    others::udp()
}

/// The SCTP cases.
pub fn sctp() -> Vec<Case> {
    others::sctp()
}

/// Selects x/a, and lists ingress only.
const A: &str = "podSelector: { matchLabels: { pod: a } }, policyTypes: [Ingress]";
/// Selects every pod of the namespace, and lists ingress only.
const ALL: &str = "podSelector: {}, policyTypes: [Ingress]";
/// The same two, that list egress only.
const A_OUT: &str = "podSelector: { matchLabels: { pod: a } }, policyTypes: [Egress]";
const ALL_OUT: &str = "podSelector: {}, policyTypes: [Egress]";
/// Namespace y, and every namespace but x, by the label that each has.
const IN_Y: &str = "namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: 'y' } }";
const NOT_IN_X: &str = "namespaceSelector: { matchExpressions: \
     [{ key: kubernetes.io/metadata.name, operator: NotIn, values: [x] }] }";

/// A spec of its parts.
fn spec(subject: &str, rules: &str) -> String {
    format!("{{ {subject}, {rules} }}")
}

#[test]
fn there_are_as_many_cases_as_upstream_has() {
    let count = [tcp().len(), udp().len(), sctp().len()];
    assert_eq!(count, [42, 3, 3]);
    let mut names: Vec<_> = [tcp(), udp(), sctp()]
        .into_iter()
        .flatten()
        .map(|case| case.name)
        .collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 48, "two cases have one name");
}

/// docs/conformance.md names every case, in this order and no other, and says of which the egress half is not run.
#[test]
fn the_docs_name_every_case() {
    let docs = include_str!("../../docs/conformance.md");
    let rows = docs.lines().filter_map(|line| line.strip_prefix("| "));
    let rows: Vec<&str> = rows
        .skip_while(|row| !row.starts_with("case |"))
        .skip(1)
        .take(48)
        .collect();
    let cases = [tcp(), udp(), sctp()];
    for (row, case) in rows.iter().zip(cases.iter().flatten()) {
        let (name, half) = row.split_once(" |").expect("two columns");
        assert_eq!(name, case.name);
        let held_back = case.steps.iter().flat_map(|step| &step.asks);
        let held_back = held_back.filter(|ask| ask.table.holds_back()).count() > 0;
        assert_eq!(half.contains("engine only"), held_back, "{row}");
    }
    assert_eq!(rows.len(), 48);
}
