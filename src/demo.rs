//! `podwall demo`: the tutorial's scenario, played with real pods, nginx, sidecar and requests.
//!
//! `script` says what is played, `stage` where it can be, `lab` and `kubernetes` build such a stage, `play` plays one
//! step, `show` prints it.

use std::process::ExitCode;
use std::time::Instant;

use clap::ValueEnum;
use podwall_lab::{LabError, LabResult, Mode as DataPath};

use crate::failure::{Failure, Outcome, told};
use stage::Stage;

mod kubernetes;
mod lab;
mod play;
mod script;
mod show;
mod stage;

/// Play the tutorial's scenario with real pods, nginx and a rogue, without a cluster or on a real Kubernetes node.
///
/// Pods are network namespaces of their own; nothing of the machine's network is touched. Works as
/// root, and without root where user namespaces are allowed. Needs ip, iptables, nginx, curl,
/// unshare and setpriv, and sed for mode queue on Kubernetes. With --kubernetes a whole node of Kubernetes runs in a network namespace for it,
/// which needs root, containerd, runc and CNI's plug-ins, and Go for the first build of Kubernetes (8 minutes).
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 every row is as expected, 1 some row is not, or podwall did not take a step in, 3 a tool or privilege is missing."
)]
pub struct Args {
    /// How connections reach the sidecar: whoever is denied is reset after its connect, or refused at its connect
    #[arg(long, value_enum, default_value_t = Mode::Redirect)]
    mode: Mode,
    /// How to print
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
    /// Play it on a real Kubernetes: API server, kubelet, containerd; everything is made by manifests and the API
    #[arg(long)]
    kubernetes: bool,
    /// Leave the pods running after the last step, say how to enter them, and wait for Ctrl-C
    #[arg(long)]
    keep: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Mode {
    /// nat REDIRECT to the sidecar, which relays; it has no privilege, and the application sees the pod's own address
    Redirect,
    /// The kernel asks the sidecar, which has NET_ADMIN, before it answers; the application sees the client's address
    Queue,
}

impl From<Mode> for DataPath {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Redirect => Self::Redirect,
            Mode::Queue => Self::Queue,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    /// For people
    Table,
    /// For programs; versioned
    Json,
}

/// Runs the command.
///
/// # Errors
/// Where the stage cannot be built: a missing tool or privilege.
pub fn run(args: &Args) -> Outcome {
    podwall_lab::elevate().map_err(missing)?;
    let mode = DataPath::from(args.mode);
    let began = Instant::now();
    let mut stage = build(args.kubernetes, mode).map_err(missing)?;
    let mut played = Vec::new();
    let mut out = std::io::stdout().lock();
    for step in &script::STEPS {
        let rows = play::step(&mut *stage, mode, step).map_err(failed)?;
        if let Output::Table = args.output {
            told(show::step(&mut out, &rows))?;
        }
        played.push(rows);
    }
    let ok = played.iter().flat_map(|step| &step.rows).all(|row| row.ok);
    let report = show::Report {
        version: 1,
        mode: mode.word(),
        platform: stage.platform(),
        ok,
        seconds: began.elapsed().as_secs_f64(),
        steps: &played,
    };
    told(match args.output {
        Output::Table => show::sum(&mut out, &report),
        Output::Json => show::json(&mut out, &report),
    })?;
    if args.keep {
        keep(&*stage)?;
    }
    Ok(ExitCode::from(u8::from(!ok)))
}

/// The stage that was asked for, ready.
fn build(on_kubernetes: bool, mode: DataPath) -> LabResult<Box<dyn Stage>> {
    Ok(if on_kubernetes {
        eprintln!(
            "starting a Kubernetes node and the scenario's pods on it; this takes half a minute"
        );
        Box::new(kubernetes::KubernetesStage::build(mode)?)
    } else {
        Box::new(lab::LabStage::build(mode)?)
    })
}

/// Says how to try by hand, and waits until somebody ends it.
fn keep(stage: &dyn Stage) -> Result<(), Failure> {
    eprint!("{}", stage.how_to_enter());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::environment)?;
    runtime
        .block_on(crate::proxy::asked_to_stop())
        .map_err(Failure::environment)
}

/// Why a step could not be played: once the stage stands, what does not happen in time is podwall's fault.
fn failed(error: LabError) -> Failure {
    match error {
        LabError::Timeout { .. } | LabError::Ended { .. } => Failure::finding(error),
        other => missing(other),
    }
}

fn missing(error: LabError) -> Failure {
    Failure::environment(error)
}
