//! However the owner ends, nothing of its lab is left: no process, no namespace, no directory.

use std::{env, fs, os::unix::process::ExitStatusExt, process::Command, thread};

use podwall_lab::{Lab, LabError, PodSpec, Signal};
use rustix::process::{Pid, kill_process, kill_process_group};

use crate::{owner, traces::Traces};

#[test]
fn nothing_is_left_after_success() {
    let mut lab = Lab::start().unwrap();
    let pod = lab.pod(PodSpec::new("ns", "pod")).unwrap();
    let traces = Traces::of(&lab, &pod, &mark(1));
    drop(lab);
    drop(pod);
    // No waiting: processes and directory are gone when the drop returns.
    assert_eq!(traces.processes_and_directory(), Vec::<String>::new());
    traces.assert_gone();
}

#[test]
fn nothing_is_left_after_a_failure_on_the_way() {
    let mut lab = Lab::start().unwrap();
    let first = lab.pod(PodSpec::new("ns", "first")).unwrap();
    let traces = Traces::of(&lab, &first, &mark(2));
    let address = first.v4();
    drop(first);
    let fail = move || -> Result<(), LabError> {
        let mut lab = lab;
        lab.pod(PodSpec::new("ns", "second").address(address))?;
        Ok(())
    };
    assert!(matches!(fail(), Err(LabError::AddressTaken { holder, .. }) if holder == "ns/first"));
    traces.assert_gone();
}

#[test]
fn nothing_is_left_after_a_panic_of_the_owning_thread() {
    let mut lab = Lab::start().unwrap();
    let pod = lab.pod(PodSpec::new("ns", "pod")).unwrap();
    let traces = Traces::of(&lab, &pod, &mark(3));
    let owner = thread::spawn(move || {
        let _owned = (lab, pod);
        panic!("this panic is part of the test");
    });
    assert!(owner.join().is_err());
    traces.assert_gone();
}

#[test]
fn nothing_is_left_after_sigkill_of_the_owner() {
    dies_by(Signal::KILL, |pid| kill_process(pid, Signal::KILL).unwrap());
}

#[test]
fn nothing_is_left_after_ctrl_c() {
    // A terminal signals the whole foreground group, not the owner alone.
    dies_by(Signal::INT, |pid| {
        kill_process_group(pid, Signal::INT).unwrap()
    });
}

#[test]
fn nothing_is_left_after_sigterm_of_the_owner() {
    dies_by(Signal::TERM, |pid| kill_process(pid, Signal::TERM).unwrap());
}

/// A directory whose owner is dead, as after a kill of owner and holder together, goes with the next lab; one whose
/// owner lives stays.
#[test]
fn an_abandoned_directory_goes_with_the_next_lab() {
    let abandoned = env::temp_dir().join(format!("podwall-lab-abandoned-{}", std::process::id()));
    fs::create_dir(&abandoned).unwrap();
    fs::write(abandoned.join(".owner"), "").unwrap();
    let first = Lab::start().unwrap();
    assert!(!abandoned.exists());
    let second = Lab::start().unwrap();
    assert!(first.dir().exists() && second.dir().exists());
}

/// Anybody may write to the temporary directory: what lies there under our name must not hold a lab up.
#[test]
fn a_pipe_in_place_of_the_lock_holds_nobody_up() {
    let strange = env::temp_dir().join(format!("podwall-lab-pipe-{}", std::process::id()));
    fs::create_dir(&strange).unwrap();
    let made = Command::new("mkfifo").arg(strange.join(".owner")).status();
    assert!(made.unwrap().success());
    drop(Lab::start().unwrap());
    let _ = fs::remove_dir_all(&strange);
}

/// A process that outlives its lab's handle order: dropping handles after the lab neither hangs nor fails.
#[test]
fn handles_may_outlive_the_lab() {
    let mut lab = Lab::start().unwrap();
    let pod = lab.pod(PodSpec::new("ns", "pod")).unwrap();
    let process = pod.command("sleep").arg("86400").spawn().unwrap();
    drop(lab);
    assert!(
        process
            .status()
            .is_none_or(|status| status.signal() == Some(9))
    );
    drop(process);
    let late = pod.command("true").spawn();
    assert!(
        matches!(late, Err(LabError::Io { .. })),
        "a process started in a lab that has ended: {late:?}"
    );
}

/// A sleeping time that no other process of this machine has.
fn mark(number: u32) -> String {
    format!("8640{number}.{}", std::process::id())
}

fn dies_by(signal: Signal, kill: impl FnOnce(Pid)) {
    let program = env::current_exe().unwrap();
    let (mut child, mut output) = owner::start("wait", &[], program.to_str().unwrap());
    let traces = owner::read_traces(&mut output);
    assert!(!traces.found().is_empty());
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap());
    assert_eq!(child.wait().unwrap().signal(), Some(signal.as_raw()));
    traces.assert_gone();
}
