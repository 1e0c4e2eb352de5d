//! Cargo, called again: demo, tests and benches with what they need around them.
//!
//! Who may not make network namespaces runs tests and benches as root of a user namespace.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use crate::Stop;
use crate::setup;

/// What makes a process root of a new user namespace, so that it may make network namespaces.
const BECOME_ROOT: &str = "unshare --user --map-root-user --";

/// The lock file of iptables-legacy for tests of a plain user, beside that user's other scratch files.
const LOCK: &str = "podwall-xtables.lock";

/// The top of the checkout.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// `podwall demo`, as the user runs it: it makes its own user namespace where it must.
pub(crate) fn demo(rest: &[String]) -> Result<(), Stop> {
    let mut cargo = cargo(&["run", "--release", "--bin", "podwall", "--", "demo"]);
    run(cargo.args(rest))
}

/// The Kubernetes of the lab, built where it is missing. The recipe is the lab's.
pub(crate) fn kubernetes() -> Result<(), Stop> {
    let mut cargo = cargo(&["run", "--quiet", "--package", "podwall-lab"]);
    cargo.args(["--example", "kubernetes"]);
    run(cargo.stdout(Stdio::null()))
}

/// Every test of the workspace.
pub(crate) fn test(rest: &[String]) -> Result<(), Stop> {
    with_runner(cargo(&["test", "--workspace"]), rest)
}

/// Every bench of the workspace.
pub(crate) fn bench(rest: &[String]) -> Result<(), Stop> {
    with_runner(cargo(&["bench", "--workspace"]), rest)
}

fn with_runner(mut cargo: Command, rest: &[String]) -> Result<(), Stop> {
    if !setup::may_build_labs() {
        cargo.env(runner_variable(&host()?), BECOME_ROOT);
        // The machine's lock file belongs to its root; iptables-legacy cannot work without one.
        cargo.env("XTABLES_LOCKFILE", env::temp_dir().join(LOCK));
    }
    run(cargo.args(rest))
}

fn cargo(words: &[&str]) -> Command {
    let program = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut cargo = Command::new(program);
    // iptables and nginx are in sbin, which a plain user's PATH may lack.
    cargo
        .args(words)
        .current_dir(root())
        .env("PATH", setup::search_path());
    cargo
}

/// The environment variable by which cargo takes a runner for `host`.
fn runner_variable(host: &str) -> String {
    let host = host.to_uppercase().replace(['-', '.'], "_");
    format!("CARGO_TARGET_{host}_RUNNER")
}

/// The target triple of this machine, as rustc names it.
fn host() -> Result<String, Stop> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| OsString::from("rustc"));
    let told = Command::new(&rustc)
        .arg("-vV")
        .stderr(Stdio::inherit())
        .output();
    let told =
        told.map_err(|error| Stop::Missing(format!("cannot run {}: {error}", rustc.display())))?;
    String::from_utf8_lossy(&told.stdout)
        .lines()
        .find_map(|line| line.strip_prefix("host: ").map(str::to_owned))
        .ok_or_else(|| Stop::Missing("`rustc -vV` names no host".to_owned()))
}

/// Runs to the end; the exit code is passed on.
pub(crate) fn run(command: &mut Command) -> Result<(), Stop> {
    let program = command.get_program().display().to_string();
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Stop::Failed(code(status))),
        Err(error) => Err(Stop::Missing(format!("cannot run {program}: {error}"))),
    }
}

/// A process's exit code; one that a signal ended counts as failed.
fn code(status: ExitStatus) -> u8 {
    status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(1)
}

#[cfg(test)]
mod tests;
