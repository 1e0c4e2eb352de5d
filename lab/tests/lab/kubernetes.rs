//! However the owner ends, nothing of its control plane is left either; and the programs may be the user's own.

use std::{env, fs, os::unix::fs::PermissionsExt, thread};

use podwall_lab::{Lab, Signal, build_kubernetes};
use rustix::process::{Pid, kill_process, kill_process_group};

use crate::{owner, traces::Traces};

#[test]
fn nothing_is_left_of_a_control_plane_after_success() {
    let mut lab = Lab::start().unwrap();
    let control = lab.start_control_plane().unwrap();
    let traces = Traces::of(&lab, lab.node(), &mark(1));
    drop(lab);
    // A handle may outlive its lab; a client's thread holds the network namespace, and nothing else is left.
    assert_eq!(traces.processes_and_directory(), Vec::<String>::new());
    drop(control);
    traces.assert_gone();
}

#[test]
fn nothing_is_left_of_a_control_plane_after_a_panic() {
    let mut lab = Lab::start().unwrap();
    let control = lab.start_control_plane().unwrap();
    let traces = Traces::of(&lab, lab.node(), &mark(2));
    let owner = thread::spawn(move || {
        let _owned = (lab, control);
        panic!("this panic is part of the test");
    });
    assert!(owner.join().is_err());
    traces.assert_gone();
}

#[test]
fn nothing_is_left_of_a_control_plane_after_sigkill_of_the_owner() {
    dies("control-plane", |pid| {
        kill_process(pid, Signal::KILL).unwrap()
    });
}

#[test]
fn nothing_is_left_of_a_control_plane_after_ctrl_c() {
    dies("control-plane", |pid| {
        kill_process_group(pid, Signal::INT).unwrap();
    });
}

/// Also says that nothing else of the directory is used than the two programs of a control plane.
#[test]
fn the_programs_are_those_of_kubebuilder_assets_where_it_is_set() {
    let dir = env::temp_dir().join(format!("podwall-assets-{}", std::process::id()));
    fs::create_dir(&dir).unwrap();
    let binary = build_kubernetes().unwrap();
    for name in ["etcd", "kube-apiserver"] {
        let script = format!(
            "#!/bin/sh\n: >> {}/{name}.ran\nexec {} {name} \"$@\"\n",
            dir.display(),
            binary.display()
        );
        fs::write(dir.join(name), script).unwrap();
        fs::set_permissions(dir.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let assets = format!("KUBEBUILDER_ASSETS={}", dir.display());
    let program = env::current_exe().unwrap();
    let (mut child, mut output) = owner::start(
        "control-plane",
        &["env", &assets],
        program.to_str().unwrap(),
    );
    let traces = owner::read_traces(&mut output);
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    traces.assert_gone();
    let ran = ["etcd.ran", "kube-apiserver.ran"].map(|file| dir.join(file).exists());
    assert_eq!(ran, [true, true]);
    fs::remove_dir_all(&dir).unwrap();
}

/// A sleeping time that no other process of this machine has.
fn mark(number: u32) -> String {
    format!("8641{number}.{}", std::process::id())
}

fn dies(role: &str, kill: impl FnOnce(Pid)) {
    let program = env::current_exe().unwrap();
    let (mut child, mut output) = owner::start(role, &[], program.to_str().unwrap());
    let traces = owner::read_traces(&mut output);
    assert!(!traces.found().is_empty());
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap());
    assert!(!child.wait().unwrap().success());
    traces.assert_gone();
}
