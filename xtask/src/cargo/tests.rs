use super::*;

#[test]
fn the_runner_variable_is_cargos_spelling() {
    assert_eq!(
        runner_variable("x86_64-unknown-linux-gnu"),
        "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER"
    );
}

#[test]
fn a_failing_programs_code_is_passed_on() {
    let end = run(Command::new("sh").args(["-c", "exit 7"]));
    assert!(matches!(end, Err(Stop::Failed(7))), "{end:?}");
    let end = run(Command::new("sh").args(["-c", "kill -9 $$"]));
    assert!(matches!(end, Err(Stop::Failed(1))), "{end:?}");
    let end = run(&mut Command::new("podwall-has-no-such-program"));
    assert!(matches!(end, Err(Stop::Missing(_))), "{end:?}");
}

#[test]
fn the_root_holds_the_workspace() {
    assert!(root().join("Cargo.lock").is_file());
}
