//! House work: `cargo xtask setup|demo|test|bench|tidy`.
//!
//! Standard library only, so that it builds in seconds on a machine that has nothing but Rust.
//! Deliberately absent: anything that the product needs at run time.

use std::env;
use std::process::ExitCode;

mod cargo;
mod install;
mod setup;
mod tidy;

const USAGE: &str = "\
usage: cargo xtask COMMAND [ARGS]

  setup          look for the tools that demo, tests and benches need; as root install what is missing; build the
                 lab's Kubernetes, which the first time takes about 8 minutes (not where KUBEBUILDER_ASSETS is set)
  demo [ARGS]    setup, then `podwall demo ARGS`, built for release
  test [ARGS]    setup, then every test: `cargo test --workspace ARGS`
  bench [ARGS]   setup, then every bench: `cargo bench --workspace ARGS`
  tidy           the laws of the house, each finding with its place and reason

exit: 0 ok, 1 a finding or a failed test, 2 usage, 3 something is missing on this machine
";

/// Exit code for a wrong command line.
const EXIT_USAGE: u8 = 2;

/// Exit code for a machine that lacks something.
const EXIT_ENVIRONMENT: u8 = 3;

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let Some((command, rest)) = words.split_first() else {
        return usage("no command");
    };
    match command.as_str() {
        "setup" | "tidy" if !rest.is_empty() => usage(&format!("{command} takes no arguments")),
        "setup" => finish(everything().and_then(|()| setup::clients())),
        "tidy" => tidy::run(&cargo::root()),
        "demo" if rest.iter().any(|word| word == "--kubernetes") => {
            finish(kubernetes().and_then(|()| cargo::demo(rest)))
        }
        "demo" => finish(setup::run().and_then(|()| cargo::demo(rest))),
        "test" => finish(
            everything()
                .and_then(|()| setup::clients())
                .and_then(|()| cargo::test(rest)),
        ),
        "bench" => finish(everything().and_then(|()| cargo::bench(rest))),
        "help" | "-h" | "--help" => {
            eprint!("{USAGE}");
            ExitCode::SUCCESS
        }
        other => usage(&format!("no command is called {other:?}")),
    }
}

/// The tools, those of a node where it can run, and the lab's Kubernetes, whose build takes minutes: no test's deadline
/// shall hold it.
fn everything() -> Result<(), Stop> {
    setup::run()?;
    if setup::is_root() {
        setup::node()?;
    }
    cargo::kubernetes()
}

/// What a Kubernetes node needs. Only root can run one.
fn kubernetes() -> Result<(), Stop> {
    if setup::is_root() {
        return everything();
    }
    Err(Stop::Missing(
        "a Kubernetes node wants root: containers need control groups and devices. Run the same as root, or without \
         --kubernetes, which needs no root"
            .to_owned(),
    ))
}

fn usage(fault: &str) -> ExitCode {
    eprint!("xtask: {fault}\n{USAGE}");
    ExitCode::from(EXIT_USAGE)
}

/// A command's end: its exit code where it ran, 3 with the reason where it could not.
fn finish(end: Result<(), Stop>) -> ExitCode {
    match end {
        Ok(()) => ExitCode::SUCCESS,
        Err(Stop::Failed(code)) => ExitCode::from(code),
        Err(Stop::Missing(what)) => {
            eprintln!("xtask: {what}");
            ExitCode::from(EXIT_ENVIRONMENT)
        }
    }
}

/// Why a command went no further.
#[derive(Debug)]
enum Stop {
    /// A program that we ran failed with this code and has said why.
    Failed(u8),
    /// The machine lacks something; the text says what and how to mend it.
    Missing(String),
}
