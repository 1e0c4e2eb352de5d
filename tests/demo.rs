//! The demo through its front door: every row as expected, nothing left behind, and what `--keep` says works.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Who gets the page in each step, on which ports; everybody else is reset. Written down apart from the script.
const PAGES: [(&str, &[&str]); 7] = [
    (
        "a",
        &[
            "my-app-ns/app1 80/TCP",
            "my-app-ns/app1 9000/TCP",
            "my-app-ns/rogue 80/TCP",
            "my-app-ns/rogue 9000/TCP",
            "my-app-ns2/app3 80/TCP",
            "my-app-ns2/app3 9000/TCP",
            "my-app-ns2/rogue 80/TCP",
            "my-app-ns2/rogue 9000/TCP",
        ],
    ),
    ("b", &["my-app-ns/app1 80/TCP", "my-app-ns/app1 9000/TCP"]),
    ("c", &["my-app-ns/app1 80/TCP"]),
    ("d1", &[]),
    (
        "d2",
        &["my-app-ns2/app3 9000/TCP", "my-app-ns2/rogue 9000/TCP"],
    ),
    ("d3", &["my-app-ns2/app3 9000/TCP"]),
    ("e", &[]),
];

/// Ends with the test, also where the test fails.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A directory for the demo's files, so that whatever it leaves behind is seen.
fn scratch(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("podwall-demo-{}-{name}", std::process::id()));
    fs::create_dir(&dir).unwrap();
    dir
}

/// As root, or through a user namespace, as the demo itself does it.
#[test]
fn the_demo_plays_as_expected_and_says_so_in_json() {
    let dir = scratch("json");
    let output = Command::new(env!("CARGO_BIN_EXE_podwall"))
        .args(["demo", "-o", "json"])
        .env("TMPDIR", &dir)
        .output()
        .unwrap();
    fs::remove_dir(&dir).expect("nothing is left behind");
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
    for (step, (id, pages)) in steps.iter().zip(PAGES) {
        for row in step["rows"].as_array().unwrap() {
            let (from, to) = (row["from"].as_str().unwrap(), row["to"].as_str().unwrap());
            let gets_page = pages.contains(&&*format!("{from} {to}"));
            let seen = match (gets_page, to.ends_with("stream")) {
                (true, _) => "200",
                (false, false) => "reset",
                (false, true) => "cut",
            };
            assert_eq!(row["seen"], seen, "{id}: {row:#}");
        }
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

/// What it prints is tried as a person would, by a shell of the same user; then Ctrl-C ends it all.
#[test]
fn keep_says_how_to_try_by_hand() {
    let dir = scratch("keep");
    let child = Command::new(env!("CARGO_BIN_EXE_podwall"))
        .args(["demo", "--keep"])
        .env("TMPDIR", &dir)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut child = Ended(child);
    let mut errors = BufReader::new(child.0.stderr.take().unwrap());
    let mut told: Vec<String> = Vec::new();
    while told.last().is_none_or(|line| !line.contains("Ctrl-C")) {
        let mut line = String::new();
        assert_ne!(errors.read_line(&mut line).unwrap(), 0, "{told:#?}");
        told.push(line);
    }
    let said = |word: &str| told.iter().find(|line| line.contains(word)).unwrap();
    let user_namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/user")).unwrap();
    let inside = user_namespace("self") == user_namespace(&child.0.id().to_string());
    let by_hand = |line: &str| {
        let mut line = line.to_owned();
        if inside {
            // Where the tests themselves run in a user namespace, the shell is in it already.
            line = line.replace("--user --preserve-credentials", "");
        }
        let output = Command::new("sh").args(["-c", &line]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let app1 = said("curl");
    assert!(by_hand(said("iptables-save")).contains("PODWALL"));
    assert_eq!(by_hand(app1), "", "app1 has lost its label");
    by_hand(said("sed -i"));
    let page = podwall_lab::wait_until(std::time::Duration::from_secs(10), || {
        by_hand(app1).contains("This is the page of app2.")
    });
    assert!(page, "{told:#?}");
    let pid = Pid::from_raw(i32::try_from(child.0.id()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    let mut rest = String::new();
    errors.read_to_string(&mut rest).unwrap();
    assert!(child.0.wait().unwrap().success(), "{rest}");
    fs::remove_dir(&dir).expect("nothing is left behind");
}
