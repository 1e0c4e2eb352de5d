//! The demo through its front door: every row as expected, nothing left behind, and what `--keep` says works.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use demo::report;
use podwall_lab::{KubernetesNode, skipped};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

mod demo {
    pub mod report;
}

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
    let report = report_of(&["demo", "-o", "json"], &dir);
    assert_eq!(report["platform"], "lab");
    report::check(&report);
}

/// The same scenario on a real Kubernetes: the same rows, and nothing is left behind.
#[test]
fn the_demo_plays_as_expected_on_kubernetes() {
    if skipped("the demo on Kubernetes", KubernetesNode::obstacle()) {
        return;
    }
    let dir = scratch("kubernetes");
    let report = report_of(&["demo", "--kubernetes", "-o", "json"], &dir);
    assert_eq!(report["platform"], "kubernetes");
    report::check(&report);
}

/// Plays it with its files in `dir`, which must be empty afterwards.
fn report_of(words: &[&str], dir: &Path) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_podwall"))
        .args(words)
        .env("TMPDIR", dir)
        .output()
        .unwrap();
    fs::remove_dir(dir).expect("nothing is left behind");
    let errors = String::from_utf8_lossy(&output.stderr);
    let report: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no JSON: {errors}"));
    assert!(output.status.success(), "{report:#}\n{errors}");
    report
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
