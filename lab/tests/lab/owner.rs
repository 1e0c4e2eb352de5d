//! The test program started a second time, as the owner of a lab that meets its end.
//!
//! `owner_process` is no test of its own: without the variable it has nothing to do and returns.

use std::{
    env,
    io::{BufRead, BufReader, Read},
    os::unix::process::CommandExt,
    process::{Child, ChildStdout, Command, Stdio},
};

use podwall_lab::{Lab, PodSpec, elevate};

use crate::{node, plain_user, traces::Traces};

const ROLE: &str = "PODWALL_LAB_TEST_OWNER";
const NAME: &str = "owner::owner_process";

/// Starts `program` (this one, or a copy) in the given role, as leader of its own group, by the words before it.
pub fn start(role: &str, before: &[&str], program: &str) -> (Child, BufReader<ChildStdout>) {
    let words: Vec<_> = before.iter().copied().chain([program]).collect();
    let mut child = Command::new(words[0])
        .args(&words[1..])
        .args(["--exact", NAME, "--nocapture", "--test-threads=1"])
        .env(ROLE, role)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    (child, output)
}

/// The owner's lab, as it told on its stdout.
pub fn read_traces(output: &mut BufReader<ChildStdout>) -> Traces {
    let mut told = String::new();
    for line in output.by_ref().lines() {
        let line = line.unwrap();
        told.push_str(&line);
        told.push('\n');
        if let Some((_, told)) = line.split_once("LAB ") {
            let mut words = told.split(' ').map(str::to_owned);
            let (mark, dir) = (words.next().unwrap(), words.next().unwrap());
            return Traces {
                namespaces: words.collect(),
                mark,
                dir: dir.into(),
            };
        }
    }
    panic!("the owner told nothing of its lab: {told}");
}

#[test]
fn owner_process() {
    match env::var(ROLE).as_deref() {
        Ok("wait") => hold_a_lab(),
        Ok("control-plane") => hold_a_control_plane(),
        Ok("node") => hold_a_node(),
        Ok("node-starting") => start_a_node(),
        Ok("plain-user") => {
            elevate().unwrap();
            plain_user::use_a_lab();
        }
        Ok("forbidden") => plain_user::be_refused(),
        _ => {}
    }
}

/// Builds a lab, tells of it, and goes on until its stdin ends.
fn hold_a_lab() {
    let mut lab = Lab::start().unwrap();
    let pod = lab.pod(PodSpec::new("ns", "pod")).unwrap();
    let mark = format!("86400.{}", std::process::id());
    let traces = Traces::of(&lab, &pod, &mark);
    tell_and_wait(&traces);
}

/// The same with a control plane.
fn hold_a_control_plane() {
    let mut lab = Lab::start().unwrap();
    let _control = lab.start_control_plane().unwrap();
    let mark = format!("86401.{}", std::process::id());
    let traces = Traces::of(&lab, lab.node(), &mark);
    tell_and_wait(&traces);
}

/// The same with a node that runs a pod.
fn hold_a_node() {
    let mut lab = Lab::start().unwrap();
    let _node = node::with_a_pod(&mut lab);
    let mark = format!("86402.{}", std::process::id());
    let traces = Traces::of(&lab, lab.node(), &mark);
    tell_and_wait(&traces);
}

/// Tells of its lab before there is a node in it, and then starts one.
fn start_a_node() {
    let mut lab = Lab::start().unwrap();
    let mark = format!("86403.{}", std::process::id());
    tell(&Traces::of(&lab, lab.node(), &mark));
    let _node = node::with_a_pod(&mut lab);
    panic!("nobody killed it");
}

fn tell_and_wait(traces: &Traces) {
    tell(traces);
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

fn tell(traces: &Traces) {
    let Traces {
        mark,
        dir,
        namespaces,
    } = traces;
    println!("LAB {mark} {} {}", dir.display(), namespaces.join(" "));
}
