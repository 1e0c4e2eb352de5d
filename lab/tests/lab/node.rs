//! However the owner ends, nothing of its node is left: no container, no shim, no mount, no control group.

use std::{env, fs, path::Path, process::Child, thread, time::Duration};

use podwall_lab::{Image, KubernetesNode, Lab, Signal, skipped, wait_until};
use rustix::process::{Pid, kill_process, kill_process_group};
use serde_json::json;

use crate::{SOON, owner, traces::Traces};

/// Long enough for a node to start on a machine under load.
const LONG: Duration = Duration::from_secs(120);

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
    node.wait_until_pod_ready("default", "one", LONG).unwrap();
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

/// At the first moment at which there is anything outside of the lab's directory, and once containers start.
#[test]
fn nothing_is_left_of_a_node_that_was_starting() {
    if skipped("a node's end", KubernetesNode::obstacle()) {
        return;
    }
    let program = env::current_exe().unwrap();
    let begun: [fn(&Traces) -> bool; 2] = [
        |traces| !groups(traces).is_empty(),
        |traces| {
            traces
                .dir
                .join("node/run/containerd/io.containerd.runtime.v2.task/k8s.io")
                .exists()
        },
    ];
    for begun in begun {
        let (mut child, mut output) = owner::start("node-starting", &[], program.to_str().unwrap());
        let traces = owner::read_traces(&mut output);
        assert!(wait_until(LONG, || begun(&traces)), "{:?}", traces.dir);
        kill_process(pid(&child), Signal::KILL).unwrap();
        assert!(!child.wait().unwrap().success());
        assert_gone(&traces);
    }
}

/// Two nodes live at a time, and neither sees or disturbs the other; and the machine is afterwards as it was.
#[test]
fn two_nodes_leave_each_other_and_the_machine_alone() {
    if skipped("two nodes", KubernetesNode::obstacle()) {
        return;
    }
    let before = machine();
    let mut labs = [Lab::start().unwrap(), Lab::start().unwrap()];
    let nodes = labs.each_mut().map(with_a_pod);
    let uids = nodes.each_ref().map(|node| {
        let pods = node.control().admin().get("/api/v1/pods").unwrap();
        assert_eq!(pods["items"].as_array().unwrap().len(), 1);
        pods["items"][0]["metadata"]["uid"].clone()
    });
    assert_ne!(uids[0], uids[1]);
    drop(nodes);
    drop(labs);
    assert_eq!(machine(), before);
}

/// What a node's programs would change of the machine: settings that kubelets write, and directories under fixed names.
fn machine() -> Vec<(String, String)> {
    let settings = [
        "vm/overcommit_memory",
        "vm/panic_on_oom",
        "kernel/panic",
        "kernel/panic_on_oops",
        "kernel/keys/root_maxkeys",
        "kernel/keys/root_maxbytes",
    ];
    let read = |name: &str| {
        let path = format!("/proc/sys/{name}");
        (path.clone(), fs::read_to_string(path).unwrap_or_default())
    };
    let exists = |path: &str| (path.to_owned(), Path::new(path).exists().to_string());
    let paths = [
        "/etc/cni",
        "/opt/cni",
        "/opt/containerd",
        "/run/containerd",
        "/run/netns",
        "/usr/libexec/kubernetes",
        "/var/lib/cni",
        "/var/lib/containerd",
        "/var/lib/kubelet",
        "/var/log/containers",
        "/var/log/pods",
    ];
    settings
        .map(read)
        .into_iter()
        .chain(paths.map(exists))
        .collect()
}

/// A lab whose owner and holder were killed together leaves its directory and control groups to the next lab.
#[test]
fn the_next_lab_removes_what_nobody_was_left_to_remove() {
    if skipped("control groups", KubernetesNode::obstacle()) {
        return;
    }
    let name = format!("podwall-lab-0-stale-{}", std::process::id());
    let memory = Path::new("/sys/fs/cgroup/memory");
    let top = if memory.exists() {
        memory
    } else {
        Path::new("/sys/fs/cgroup")
    };
    let (group, dir) = (top.join(&name), env::temp_dir().join(&name));
    fs::create_dir_all(group.join("kubepods/pod1")).unwrap();
    // Labs of other tests start at any moment, so it appears whole, and any of them may remove it.
    let draft = env::temp_dir().join(format!(".{name}"));
    fs::create_dir(&draft).unwrap();
    fs::write(draft.join(".owner"), "").unwrap();
    fs::rename(draft, &dir).unwrap();
    drop(Lab::start().unwrap());
    let gone = wait_until(SOON, || !dir.exists() && !group.exists());
    assert!(gone, "{} {}", dir.display(), group.display());
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
