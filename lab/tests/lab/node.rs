//! However the owner ends, nothing of its node is left: no container, no shim, no mount, no control group.

use std::{env, fs, process::Child, thread};

use podwall_lab::{Image, KubernetesNode, Lab, Signal, skipped, wait_until};
use rustix::process::{Pid, kill_process, kill_process_group};
use serde_json::json;

use crate::{SOON, owner, traces::Traces};

/// A node with a pod that runs, and has a volume that the kubelet mounts for it.
pub fn with_a_pod(lab: &mut Lab) -> KubernetesNode {
    let node = lab.start_kubernetes_node().unwrap();
    node.import(&Image::curl().unwrap()).unwrap();
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "one", "namespace": "default" },
        "spec": {
            "containers": [{
                "name": "one", "image": "curlimages/curl", "imagePullPolicy": "Never",
                "command": ["sleep", "infinity"],
                "volumeMounts": [{ "name": "memory", "mountPath": "/memory" }],
            }],
            "volumes": [{ "name": "memory", "emptyDir": { "medium": "Memory" } }],
        },
    });
    node.control().admin().create(&pod).unwrap();
    node.wait_until_pod_ready("default", "one", SOON).unwrap();
    node
}

#[test]
fn nothing_is_left_of_a_node_after_a_panic() {
    if skipped("a node's end", KubernetesNode::obstacle()) {
        return;
    }
    let mut lab = Lab::start().unwrap();
    let node = with_a_pod(&mut lab);
    let traces = Traces::of(&lab, lab.node(), &format!("86423.{}", std::process::id()));
    assert_ne!(groups(&traces), Vec::<String>::new());
    let owner = thread::spawn(move || {
        let _owned = (lab, node);
        panic!("this panic is part of the test");
    });
    assert!(owner.join().is_err());
    assert_gone(&traces);
}

#[test]
fn nothing_is_left_of_a_node_after_success() {
    ends(|owner| drop(owner.stdin.take()), true);
}

#[test]
fn nothing_is_left_of_a_node_after_ctrl_c() {
    ends(
        |owner| kill_process_group(pid(owner), Signal::INT).unwrap(),
        false,
    );
}

#[test]
fn nothing_is_left_of_a_node_after_sigkill_of_the_owner() {
    ends(
        |owner| kill_process(pid(owner), Signal::KILL).unwrap(),
        false,
    );
}

fn pid(owner: &Child) -> Pid {
    Pid::from_raw(i32::try_from(owner.id()).unwrap()).unwrap()
}

/// The owner of a node meets its end by `end`, well or not.
fn ends(end: impl FnOnce(&mut Child), well: bool) {
    if skipped("a node's end", KubernetesNode::obstacle()) {
        return;
    }
    let program = env::current_exe().unwrap();
    let (mut child, mut output) = owner::start("node", &[], program.to_str().unwrap());
    let traces = owner::read_traces(&mut output);
    assert_ne!(groups(&traces), Vec::<String>::new());
    assert!(!traces.found().is_empty());
    end(&mut child);
    assert_eq!(child.wait().unwrap().success(), well);
    assert_gone(&traces);
}

fn assert_gone(traces: &Traces) {
    traces.assert_gone();
    let gone = wait_until(SOON, || {
        groups(traces).is_empty() && mounts(traces).is_empty()
    });
    assert!(gone, "{:?} {:?}", groups(traces), mounts(traces));
}

/// The control groups of the lab's containers.
fn groups(traces: &Traces) -> Vec<String> {
    let root = "/sys/fs/cgroup";
    let controllers = fs::read_dir(root).unwrap().flatten();
    let places = controllers.map(|entry| entry.path()).chain([root.into()]);
    places
        .map(|place| place.join(traces.dir.file_name().unwrap()))
        .filter(|group| group.is_dir())
        .map(|group| group.display().to_string())
        .collect()
}

/// Mounts of this machine that have to do with the lab.
fn mounts(traces: &Traces) -> Vec<String> {
    let all = fs::read_to_string("/proc/self/mounts").unwrap();
    let ours = |line: &&str| line.contains(traces.dir.to_str().unwrap());
    all.lines().filter(ours).map(str::to_owned).collect()
}
