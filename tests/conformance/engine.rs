//! The same tables put to the engine, by `podwall matrix` on the same manifests: both directions, no packet.

use std::collections::BTreeMap;

use serde_json::Value;

use super::table::{Ask, Case, Family, everyone};
use super::town::{Town, play};
use super::{beyond, upstream};
use crate::support::{SOON, podwall};

#[test]
fn the_engine_answers_every_table_in_both_directions() {
    let mut town = Town::unguarded();
    let tables = [
        upstream::tcp(),
        upstream::udp(),
        upstream::sctp(),
        beyond::cases(),
    ];
    let mut wrong = Vec::new();
    for case in tables.iter().flatten() {
        play(&mut town, case, |town, step, ask| {
            wrong.extend(faults(town, case, step, ask));
        });
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The matrix takes each pod by its first address, which is of IPv4.
fn faults(town: &Town, case: &Case, step: usize, ask: &Ask) -> Vec<String> {
    if !ask.families.contains(&Family::V4) {
        return Vec::new();
    }
    let answers = matrix(town, ask);
    let mut wrong = Vec::new();
    for from in everyone() {
        for to in everyone().iter().filter(|to| **to != from) {
            let word = |allowed: bool| if allowed { "allow" } else { "deny" };
            let expected = [
                word(ask.table.admits(&from, to)),
                word(ask.table.lets_out(&from, to)),
            ];
            let said = &answers[&(from.clone(), to.clone())];
            if *said != expected {
                wrong.push(format!(
                    "{}, step {step}, {ask}: {from} -> {to}: expected {expected:?}, said {said:?}",
                    case.name
                ));
            }
        }
    }
    wrong
}

/// Ingress and egress of every pair.
fn matrix(town: &Town, ask: &Ask) -> BTreeMap<(String, String), [String; 2]> {
    let port = ask.to_string();
    let command = town.lab.node().command(podwall());
    let output = command
        .args(["matrix", "-o", "json", "--port", &port, "-f"])
        .arg(town.lab.manifests())
        .run(SOON)
        .unwrap();
    assert!(output.status.success(), "{}", output.stderr);
    let said: Value = serde_json::from_str(&output.stdout).expect("JSON");
    let flows = said["flows"].as_array().expect("flows");
    let text = |flow: &Value, field: &str| flow[field].as_str().expect("a word").to_owned();
    flows
        .iter()
        .map(|flow| {
            let pair = (text(flow, "from"), text(flow, "to"));
            (pair, [text(flow, "ingress"), text(flow, "egress")])
        })
        .collect()
}
