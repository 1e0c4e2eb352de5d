//! Processes: output while they run, signals, ends, input, privilege.

use std::{fs, os::unix::fs::PermissionsExt, os::unix::process::ExitStatusExt, time::Duration};

use podwall_lab::{Lab, LabError, PodSpec, Signal, wait_until};

use crate::SOON;

/// A lab with one pod.
fn lab() -> (Lab, podwall_lab::Pod) {
    let mut lab = Lab::start().unwrap();
    let pod = lab.pod(PodSpec::new("ns", "pod")).unwrap();
    (lab, pod)
}

#[test]
fn output_is_readable_while_it_runs() {
    let (_lab, pod) = lab();
    let process = pod
        .command("sh")
        .args(["-c", "echo one; echo two >&2; exec sleep 86400"])
        .spawn()
        .unwrap();
    assert_eq!(
        process
            .wait_for_line(|line| line.starts_with("one"), SOON)
            .unwrap(),
        "one"
    );
    assert_eq!(
        process.wait_for_line(|line| line == "two", SOON).unwrap(),
        "two"
    );
    assert!(process.status().is_none());
    assert_eq!(
        (
            process.stdout_so_far().as_str(),
            process.stderr_so_far().as_str()
        ),
        ("one\n", "two\n")
    );
}

#[test]
fn a_line_that_never_comes_is_an_error_with_the_output() {
    let (_lab, pod) = lab();
    let ended = pod.command("echo").arg("something else").spawn().unwrap();
    let error = ended
        .wait_for_line(|line| line == "wanted", SOON)
        .unwrap_err();
    assert!(
        matches!(&error, LabError::Ended { output, .. } if output == "something else\n"),
        "{error}"
    );
    let running = pod.command("sleep").arg("86400").spawn().unwrap();
    let error = running
        .wait_for_line(|_| true, Duration::from_millis(20))
        .unwrap_err();
    assert!(matches!(error, LabError::Timeout { .. }), "{error}");
}

#[test]
fn signals_arrive_and_the_end_is_told() {
    let (_lab, pod) = lab();
    let script = "trap 'echo got it; exit 7' TERM; echo ready; while :; do sleep 0.01; done";
    let process = pod.command("sh").args(["-c", script]).spawn().unwrap();
    process.wait_for_line(|line| line == "ready", SOON).unwrap();
    process.signal(Signal::TERM).unwrap();
    assert_eq!(process.wait(SOON).unwrap().code(), Some(7));
    assert!(process.output_so_far().ends_with("got it\n"));
    process.signal(Signal::TERM).unwrap();
    let killed = pod.command("sleep").arg("86400").spawn().unwrap();
    killed.signal(Signal::KILL).unwrap();
    assert_eq!(killed.wait(SOON).unwrap().signal(), Some(9));
}

#[test]
fn run_ends_at_its_deadline() {
    let (_lab, pod) = lab();
    let output = pod
        .command("sh")
        .args(["-c", "echo out; echo err >&2; exit 3"])
        .run(SOON)
        .unwrap();
    assert_eq!(
        (
            output.status.code(),
            output.stdout.as_str(),
            output.stderr.as_str()
        ),
        (Some(3), "out\n", "err\n")
    );
    let late = pod
        .command("sleep")
        .arg("86400")
        .run(Duration::from_millis(20));
    assert!(matches!(late, Err(LabError::Timeout { .. })));
}

#[test]
fn input_and_environment_are_given() {
    let (lab, pod) = lab();
    let text = "line\n".repeat(100_000);
    let output = pod.command("cat").stdin(text.clone()).run(SOON).unwrap();
    assert_eq!(output.stdout.len(), text.len());
    let empty = pod.command("cat").run(SOON).unwrap();
    assert_eq!(empty.stdout, "");
    let script = r#"echo "$GREETING $XTABLES_LOCKFILE""#;
    let output = pod
        .command("sh")
        .args(["-c", script])
        .env("GREETING", "hello")
        .run(SOON)
        .unwrap();
    assert_eq!(
        output.stdout,
        format!("hello {}/xtables.lock\n", lab.dir().display())
    );
}

#[test]
fn dropping_a_process_ends_its_whole_group() {
    let (_lab, pod) = lab();
    let mark = format!("86399.{}", std::process::id());
    let script = format!("sleep {mark} & echo started; exec sleep {mark}");
    let process = pod.command("sh").args(["-c", &script]).spawn().unwrap();
    process
        .wait_for_line(|line| line == "started", SOON)
        .unwrap();
    let sleepers = || {
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let arguments =
            processes.filter_map(|entry| fs::read_to_string(entry.path().join("cmdline")).ok());
        arguments
            .filter(|arguments| arguments.starts_with("sleep") && arguments.contains(&mark))
            .count()
    };
    assert!(wait_until(SOON, || sleepers() == 2));
    drop(process);
    assert!(wait_until(SOON, || sleepers() == 0));
}

#[test]
fn an_unprivileged_process_has_no_capability() {
    let (_lab, pod) = lab();
    let script = "grep -E '^(Cap|NoNewPrivs)' /proc/self/status";
    let output = pod
        .command("sh")
        .args(["-c", script])
        .unprivileged()
        .run(SOON)
        .unwrap();
    assert!(output.status.success(), "{}", output.stderr);
    for line in output.stdout.lines() {
        let wanted = if line.starts_with("Cap") {
            "0000000000000000"
        } else {
            "1"
        };
        assert!(line.ends_with(wanted), "{line}");
    }
}

/// A fresh clone below root's home must still be runnable by an unprivileged user.
#[test]
fn an_unprivileged_process_may_come_from_a_private_directory() {
    let (lab, pod) = lab();
    let private = lab.dir().join("private");
    fs::create_dir(&private).unwrap();
    fs::copy("/bin/echo", private.join("echo")).unwrap();
    fs::set_permissions(&private, fs::Permissions::from_mode(0o700)).unwrap();
    let output = pod
        .command(private.join("echo"))
        .arg("ran")
        .unprivileged()
        .run(SOON)
        .unwrap();
    assert_eq!(output.stdout, "ran\n", "{}", output.stderr);
}

#[test]
fn a_missing_tool_is_named_with_its_package() {
    let (_lab, pod) = lab();
    let error = pod.command("no-such-tool").spawn().unwrap_err();
    assert!(
        error
            .to_string()
            .contains("`no-such-tool` is not installed"),
        "{error}"
    );
}

#[test]
fn many_processes_of_many_threads() {
    let (_lab, pod) = lab();
    std::thread::scope(|scope| {
        for number in 0..16 {
            let pod = pod.clone();
            scope.spawn(move || {
                let output = pod
                    .command("echo")
                    .arg(number.to_string())
                    .run(SOON)
                    .unwrap();
                assert_eq!(output.stdout.trim(), number.to_string());
            });
        }
    });
}
