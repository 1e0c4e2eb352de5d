//! `podwall redirect`: the init step. Installs the rules, or shows, checks or removes them.

use std::io::Write;
use std::process::ExitCode;

use podwall_deploy::{Family, Fault, Queue, Redirect, RedirectError, Report, Transport, Wanted};
use podwall_policy::flow::Protocol;
use podwall_proxy::arrival::Mode;

use crate::failure::{Failure, Outcome, told};
use crate::flags::{Effective, Shared, faults_together};

/// The init step: install the pod's netfilter rules, or show, check or remove them.
///
/// Works in the network namespace it runs in, needs NET_ADMIN (with the legacy back end also NET_RAW
/// and a lock file), takes iptables-nft or iptables-legacy, whichever works, and both address
/// families. Runs of any number leave the same rules, and so do runs with another mode. At every moment of a
/// run, also when it is killed, nobody enters who would not enter at the end of it.
///
/// Mode queue needs the kernel's NFQUEUE and stands first in mangle INPUT; until a sidecar with the same --queues runs,
/// nobody enters but replies and ICMP, the pod's node included.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 done or as wanted, 1 --check found a difference, 2 bad input, \
3 a missing privilege, tool or kernel feature, or rules of others that would defeat these (NAT, TPROXY; in mode queue \
also marks)."
)]
pub struct Args {
    #[command(flatten)]
    shared: Shared,
    /// Print the rules of both families in iptables-restore's form and change nothing
    #[arg(long, conflicts_with_all = ["check", "remove"])]
    print: bool,
    /// Read the rules back and change nothing: exit 0 only if they are as wanted
    #[arg(long, conflicts_with = "remove")]
    check: bool,
    /// Take podwall's rules away: the pod is open afterwards
    #[arg(long)]
    remove: bool,
}

/// Runs the command.
///
/// # Errors
/// Bad flags, or an environment in which the rules cannot be installed.
pub fn run(args: &Args) -> Outcome {
    let mut faults = Vec::new();
    let flags = args.shared.read(&mut faults);
    faults_together(&faults)?;
    let wanted = wanted(&flags)?;
    if args.print {
        return print(&wanted);
    }
    tracing::info!("redirect {flags}");
    if args.remove {
        let removed = podwall_deploy::remove().map_err(failure)?;
        removed
            .warnings
            .iter()
            .for_each(|one| tracing::warn!("{one}"));
        tracing::info!(
            "removed podwall's rules in {} steps; nothing is refused any more",
            removed.steps.len()
        );
        return Ok(ExitCode::SUCCESS);
    }
    if !flags.is_node_given {
        tracing::warn!(
            "neither HOST_IPS nor --node-address is given: probes from another address of the node \
             than a default gateway are refused, and a hostNetwork pod cannot be recognised; \
             set HOST_IPS from the downward API's status.hostIPs"
        );
    }
    if args.check {
        return check(&podwall_deploy::check(&wanted).map_err(failure)?);
    }
    let report = podwall_deploy::install(&wanted).map_err(failure)?;
    report
        .warnings
        .iter()
        .for_each(|one| tracing::warn!("{one}"));
    tracing::info!(
        "installed and read back: {} {}",
        report.backend,
        families(&report)
    );
    Ok(ExitCode::SUCCESS)
}

fn wanted(flags: &Effective) -> Result<Wanted, Failure> {
    rules_of(flags).map_err(failure)
}

/// The rules that belong to these flags; the same for both programs.
///
/// # Errors
/// What the rules cannot say.
pub fn rules_of(flags: &Effective) -> Result<Wanted, RedirectError> {
    let unguarded = flags.unguarded_ports.iter().filter_map(|one| {
        let transport = match one.protocol {
            Protocol::Udp => Transport::Udp,
            Protocol::Sctp => Transport::Sctp,
            Protocol::Tcp => return None,
        };
        Some((transport, one.number))
    });
    let nodes = flags.node_addresses.iter().copied();
    Wanted::new(mode(flags)?, nodes)?.with_unguarded(unguarded)
}

fn mode(flags: &Effective) -> Result<podwall_deploy::Mode, RedirectError> {
    let queue = Queue {
        queues: flags.queues,
        udp_deny: flags.udp_deny,
    };
    let redirect = || {
        let udp_ports = flags.udp_ports.iter().map(|one| one.port);
        Redirect::new(flags.listen_port, flags.canary_port)?
            .with_node_ports(flags.node_ports.iter().copied())?
            .with_udp_ports(udp_ports, flags.udp_listen_port)
    };
    Ok(match flags.mode {
        Mode::Redirect => redirect()?.into(),
        Mode::Queue => queue.into(),
    })
}

fn print(wanted: &Wanted) -> Outcome {
    let mut out = std::io::stdout().lock();
    for family in Family::ALL {
        let text = podwall_deploy::rules(wanted, family);
        let head = format!("# {}-restore --noflush", family.program());
        told(write!(out, "{head}\n{text}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The differences are what was asked for, so they are data: stdout.
fn check(report: &Report) -> Outcome {
    report
        .warnings
        .iter()
        .for_each(|one| tracing::warn!("{one}"));
    let mut out = std::io::stdout().lock();
    for one in &report.differences {
        told(writeln!(out, "{one}"))?;
    }
    if report.as_wanted() {
        tracing::info!(
            "the rules are as wanted: {} {}",
            report.backend,
            families(report)
        );
        return Ok(ExitCode::SUCCESS);
    }
    tracing::error!("the rules are not as wanted; run podwall redirect with the same flags again");
    Ok(ExitCode::from(1))
}

fn families(report: &Report) -> String {
    let names: Vec<String> = report.families.iter().map(Family::to_string).collect();
    names.join(" and ")
}

fn failure(error: RedirectError) -> Failure {
    match error.fault() {
        Fault::Usage => Failure::input(error),
        Fault::Environment => Failure::environment(error),
    }
}
