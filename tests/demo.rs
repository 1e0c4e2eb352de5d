//! The demo through its front door: every row as expected, nothing left behind, and what `--keep` says works.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use demo::report;
use podwall_lab::{KubernetesNode, skipped, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

mod demo {
    pub mod report;
}

/// Long enough for a machine under load.
const SOON: Duration = Duration::from_secs(20);

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
    play("redirect", "lab", &[]);
}

/// The same in mode queue: the same table, in which whoever was reset is refused and app2 sees its clients.
#[test]
fn the_demo_plays_as_expected_in_mode_queue() {
    play("queue", "lab", &[]);
}

/// The same scenario on a real Kubernetes: the same rows, and nothing is left behind.
#[test]
fn the_demo_plays_as_expected_on_kubernetes() {
    if skipped("the demo on Kubernetes", KubernetesNode::obstacle()) {
        return;
    }
    play("redirect", "kubernetes", &["--kubernetes"]);
}

#[test]
fn the_demo_plays_as_expected_on_kubernetes_in_mode_queue() {
    if skipped("the demo on Kubernetes", KubernetesNode::obstacle()) {
        return;
    }
    play("queue", "kubernetes", &["--kubernetes"]);
}

/// Plays it and holds its report against what is expected of that mode.
fn play(mode: &str, platform: &str, more: &[&str]) {
    // Short, because containerd's socket below it has room for 107 bytes of path.
    let dir = scratch(&format!("{}-{mode}", &platform[..1]));
    let words = [&["demo", "--mode", mode, "-o", "json"], more].concat();
    let report = report_of(&words, &dir);
    assert_eq!(report["platform"], platform);
    report::check(&report, mode);
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
    let kept = Kept::start("keep", &["demo", "--keep"]);
    let user_namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/user")).unwrap();
    let inside = user_namespace("self") == user_namespace(&kept.demo.0.id().to_string());
    let by_hand = |line: &str| {
        let mut line = line.to_owned();
        if inside {
            // Where the tests themselves run in a user namespace, the shell is in it already.
            line = line.replace("--user --preserve-credentials", "");
        }
        shell(&line)
    };
    let app1 = kept.said("curl");
    assert!(by_hand(kept.said("iptables-save")).contains("PODWALL"));
    assert_eq!(by_hand(app1), "", "app1 has lost its label");
    by_hand(kept.said("sed -i"));
    let page = wait_until(SOON, || by_hand(app1).contains("This is the page of app2."));
    assert!(page, "{:#?}", kept.told);
    kept.interrupt();
}

/// The same with kubectl, as printed: the kubeconfig, a request of app1, podwall's word for it, the label given back.
#[test]
fn keep_on_kubernetes_says_how_to_go_on_with_kubectl() {
    if skipped("the demo on Kubernetes", KubernetesNode::obstacle()) {
        return;
    }
    let kept = Kept::start("keep-node", &["demo", "--kubernetes", "--keep"]);
    let words = |word: &str| kept.said(word).trim().to_owned();
    let set_up = ["export KUBECONFIG", "alias kubectl"].map(words).join("\n");
    let by_hand = |line: &str| shell(&format!("{set_up}\n{line}"));
    assert!(by_hand("cat \"$KUBECONFIG\"").contains("https://172.18.0.2:6443"));
    assert!(by_hand(kept.said("get pods")).contains("pod/app3"));
    let app1 = kept.said("exec -n my-app-ns app1");
    assert_eq!(by_hand(app1), "", "app1 has lost its label");
    assert!(by_hand(kept.said("kubectl logs")).contains("no_rule_admits"));
    by_hand(kept.said("label pod"));
    let page = wait_until(SOON, || by_hand(app1).contains("This is the page of app2."));
    assert!(page, "{:#?}", kept.told);
    kept.interrupt();
}

/// A demo that has played, and waits.
struct Kept {
    demo: Ended,
    dir: PathBuf,
    told: Vec<String>,
    errors: BufReader<ChildStderr>,
}

impl Kept {
    /// Returns when it has said everything.
    fn start(name: &str, words: &[&str]) -> Self {
        let dir = scratch(name);
        let demo = Command::new(env!("CARGO_BIN_EXE_podwall"))
            .args(words)
            .env("TMPDIR", &dir)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut demo = Ended(demo);
        let mut errors = BufReader::new(demo.0.stderr.take().unwrap());
        let mut told: Vec<String> = Vec::new();
        while told.last().is_none_or(|line| !line.contains("Ctrl-C")) {
            let mut line = String::new();
            assert_ne!(errors.read_line(&mut line).unwrap(), 0, "{told:#?}");
            told.push(line);
        }
        Self {
            demo,
            dir,
            told,
            errors,
        }
    }

    /// The first line with that word.
    fn said(&self, word: &str) -> &str {
        let found = self.told.iter().find(|line| line.contains(word));
        found.unwrap_or_else(|| panic!("no {word} in {:#?}", self.told))
    }

    /// Ctrl-C: it ends well and leaves nothing behind.
    fn interrupt(mut self) {
        let pid = Pid::from_raw(i32::try_from(self.demo.0.id()).unwrap()).unwrap();
        kill_process(pid, Signal::INT).unwrap();
        let mut rest = String::new();
        self.errors.read_to_string(&mut rest).unwrap();
        assert!(self.demo.0.wait().unwrap().success(), "{rest}");
        fs::remove_dir(&self.dir).expect("nothing is left behind");
    }
}

/// What a shell prints on stdout.
fn shell(script: &str) -> String {
    let output = Command::new("sh").args(["-c", script]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}
