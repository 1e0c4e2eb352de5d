//! `podwall`: the command line. One file per subcommand; this one only chooses and maps exits.
//!
//! stdout is data, stderr is talk. Exit codes: 0 done or allowed, 1 a finding or denied, 2 usage or
//! bad input, 3 the environment (a privilege, a tool, a port, a server).

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

#[cfg(feature = "demo")]
mod demo;
mod explain;
mod failure;
mod flags;
mod matrix;
mod offline;
mod port;
mod proxy;
mod readback;
mod redirect;
mod source;

/// Kubernetes NetworkPolicy, enforced from inside the pod.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, after_help = EXITS)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXITS: &str = "Exit codes: 0 done or allowed, 1 a finding or denied, 2 usage or bad input, \
3 the environment (a privilege, a tool, a port, a server).\nSet RUST_LOG (error, warn, info, debug) for more or less talk on stderr.";

// Each subcommand's help is the documentation of its Args.
#[derive(Debug, Subcommand)]
enum Command {
    Proxy(Box<proxy::Args>),
    Redirect(redirect::Args),
    Explain(explain::Args),
    Matrix(matrix::Args),
    #[cfg(feature = "demo")]
    Demo(demo::Args),
}

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(filter())
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(wants_colour())
        .init();
    let done = match Cli::parse().command {
        Command::Proxy(args) => proxy::run(*args),
        Command::Redirect(args) => redirect::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Matrix(args) => matrix::run(&args),
        #[cfg(feature = "demo")]
        Command::Demo(args) => demo::run(&args),
    };
    done.unwrap_or_else(|failure| failure.report())
}

/// `RUST_LOG`, else `info`. The API client tells every attempt that fails; podwall says what it comes to, when
/// it begins and once per minute. Whoever wants the former names `kube_runtime` or
/// `kube_client` in `RUST_LOG`.
fn filter() -> EnvFilter {
    const QUIET: &str = "kube_runtime=off,kube_client=off";
    let wanted = std::env::var(EnvFilter::DEFAULT_ENV).unwrap_or_default();
    EnvFilter::try_new(format!("{QUIET},{wanted}"))
        .ok()
        .filter(|_| !wanted.is_empty())
        .unwrap_or_else(|| EnvFilter::new(format!("{QUIET},info")))
}

/// Colour only on a terminal, and not where `NO_COLOR` is set to anything.
fn wants_colour() -> bool {
    use std::io::IsTerminal;
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !refused && std::io::stderr().is_terminal()
}
