//! A look inside: the kernel's counters of a place, what is in a process's status, programs to be run in a place,
//! and what podwall has counted. Knows no policy.

#![allow(dead_code, missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpStream;
use std::path::PathBuf;

use podwall_lab::{Lab, Place, Sidecar};
use serde_json::Value;

use crate::support::{SOON, podwall};

/// Runs a program in a place, by a line of words; it must succeed. Gives its stdout.
pub fn run(place: &Place, line: &str) -> String {
    let mut words = line.split_whitespace();
    let command = place.command(words.next().unwrap()).args(words);
    let output = command.run(SOON).unwrap();
    assert!(output.status.success(), "{line}: {}", output.stderr);
    output.stdout
}

/// One of the kernel's TCP counters of a place (`TcpExt` of `/proc/net/netstat`).
pub fn tcp_counter(place: &Place, name: &str) -> u64 {
    let read = || fs::read_to_string("/proc/thread-self/net/netstat").unwrap();
    let text = place.enter(read).unwrap();
    let mut lines = text.lines().filter(|line| line.starts_with("TcpExt:"));
    let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
    let mut pairs = names.split(' ').zip(values.split(' '));
    let value = pairs.find(|(one, _)| *one == name);
    value
        .unwrap_or_else(|| panic!("no {name} in {names}"))
        .1
        .parse()
        .unwrap()
}

/// The words behind `name:` in a process's `/proc/PID/status`.
pub fn status(pid: u32, name: &str) -> Vec<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let found = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let words = found.unwrap_or_else(|| panic!("no {name} in {text}"));
    words.split_whitespace().map(str::to_owned).collect()
}

/// What podwall has counted so far: every series but those of time, the histogram and the state of the source.
pub fn counted(sidecar: &Sidecar) -> BTreeMap<String, f64> {
    let (_, text) = sidecar.get("/metrics").unwrap();
    let counted = |line: &&str| line.starts_with("podwall_") && line.contains("_total");
    text.lines()
        .filter(counted)
        .map(|line| line.rsplit_once(' ').unwrap())
        .map(|(series, value)| (series.to_owned(), value.parse().unwrap()))
        .collect()
}

/// The line of a connection at its end, by its client's end of it.
pub fn farewell(sidecar: &Sidecar, client: &TcpStream) -> Value {
    let client = client.local_addr().unwrap();
    let source = client.ip().to_canonical().to_string();
    let wanted = |line: &Value| {
        line["kind"] == "connection"
            && line["source"] == source.as_str()
            && line["source_port"] == client.port()
    };
    sidecar.wait_log(0, wanted, SOON).expect("a farewell")
}

/// Arrivals so far that ended with this reason.
pub fn arrivals(sidecar: &Sidecar, reason: &str) -> f64 {
    let wanted = format!("reason=\"{reason}\"");
    let series = counted(sidecar).into_iter();
    series
        .filter(|(one, _)| one.starts_with("podwall_arrivals_total") && one.contains(&wanted))
        .map(|(_, value)| value)
        .sum()
}

/// A program for the lab that runs podwall by a shell script: `words`, in which `$PODWALL` is podwall itself. To be
/// made before anything else has run podwall in this lab.
pub fn wrapped(lab: &Lab, words: &str) -> PathBuf {
    let [program, script] = ["podwall-itself", "podwall-wrapped"].map(|name| lab.dir().join(name));
    assert!(!lab.dir().join("podwall").exists(), "podwall has run here");
    // Copied by a process of its own: what this process has held open for writing cannot be run at once.
    let copy = lab.node().command("install").args(["-m", "755"]);
    let copied = copy.arg(podwall()).arg(&program).run(SOON).unwrap();
    assert!(copied.status.success(), "{}", copied.stderr);
    let text = format!("#!/bin/sh\nPODWALL={}\n{words}\n", program.display());
    fs::write(&script, text).unwrap();
    script
}
