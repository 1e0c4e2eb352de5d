//! The demo through its front door: every row as expected, nothing left behind.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::process::Command;

use serde_json::Value;

/// As root, or through a user namespace, as the demo itself does it.
#[test]
fn the_demo_plays_as_expected_and_says_so_in_json() {
    let output = Command::new(env!("CARGO_BIN_EXE_podwall"))
        .args(["demo", "-o", "json"])
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    let report: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no JSON: {errors}"));
    assert!(output.status.success(), "{report:#}\n{errors}");
    assert_eq!(
        (&report["version"], &report["ok"]),
        (&1.into(), &true.into())
    );
    let steps = report["steps"].as_array().unwrap();
    let ids: Vec<&str> = steps
        .iter()
        .map(|step| step["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["a", "b", "c", "d1", "d2", "d3", "e"]);
    for step in steps {
        // Four clients, two ports; the last step has its stream besides.
        let extra = usize::from(step["id"] == "e");
        assert_eq!(step["rows"].as_array().unwrap().len(), 8 + extra);
    }
    let rows = |id: &str| {
        steps.iter().find(|step| step["id"] == id).unwrap()["rows"]
            .as_array()
            .unwrap()
            .clone()
    };
    let hint = rows("d1").iter().any(|row| {
        row["from"] == "my-app-ns2/app3"
            && row["because"]
                .as_str()
                .unwrap()
                .contains("kubernetes.io/metadata.name")
    });
    assert!(
        hint,
        "podwall itself names kubernetes.io/metadata.name: {:#?}",
        rows("d1")
    );
    assert_eq!(rows("e")[0]["seen"], "cut");
}
