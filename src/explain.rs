//! `podwall explain`: one flow, both sides, the deciding rule or the nearest misses.
//!
//! `question` finds out who asks and asks both sides; `answer` is the form for programs; the form for
//! people is the policy crate's own.

use std::io::Write;
use std::net::IpAddr;
use std::process::ExitCode;

use clap::ValueEnum;

use crate::failure::{Outcome, told};
use crate::offline::say_uncarried;
use crate::port::Port;
use crate::source::SourceFlags;

mod answer;
mod question;

use answer::Answer;
use question::Asked;

/// Say whether one flow is allowed, by which policy and rule, or by how little it missed.
///
/// The verdict is the source's egress AND the destination's ingress, as the API says; podwall
/// enforces ingress, at the destination.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 allow, 1 deny, 2 bad input, 3 the cluster does not answer or refuses."
)]
pub struct Args {
    /// The source: a pod, or an address; an address that a pod owns is that pod
    #[arg(long, value_name = "NS/POD|ADDRESS")]
    from: String,
    /// The destination pod
    #[arg(long, value_name = "NS/POD")]
    to: String,
    /// The port of the destination pod, not of a Service
    #[arg(long, value_name = "PORT/PROTOCOL")]
    port: Port,
    /// An address of the destination's own node, beside its status.hostIPs; always allowed. Repeatable
    #[arg(long, value_name = "ADDRESS")]
    node_address: Vec<IpAddr>,
    /// The node is let in on this TCP port only, as with --node-port of redirect and proxy. Repeatable
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    node_port: Vec<u16>,
    /// How to print
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
    // Last: what follows it would stand under its heading.
    #[command(flatten)]
    source: SourceFlags,
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
/// Bad input of any kind, or a cluster that does not tell.
pub fn run(args: &Args) -> Outcome {
    let state = args.source.read()?;
    let asked = Asked::of(
        &state,
        &args.from,
        &args.to,
        args.port,
        &args.node_address,
        &args.node_port,
    )?;
    if let Some((address, is_allowed)) = asked.otherwise {
        let word = if is_allowed { "allow" } else { "deny" };
        eprintln!("over the other address family the verdict is {word}; ask with --from {address}");
    }
    say_uncarried(&[args.port]);
    let mut out = std::io::stdout().lock();
    told(match args.output {
        Output::Json => serde_json::to_writer(&mut out, &Answer::of(&asked))
            .map_err(std::io::Error::from)
            .and_then(|()| writeln!(out)),
        Output::Table => print(&mut out, &asked),
    })?;
    Ok(ExitCode::from(u8::from(!asked.is_allow())))
}

fn print(out: &mut impl Write, asked: &Asked) -> std::io::Result<()> {
    write!(out, "{}", asked.explanation())?;
    if asked.node_addresses.is_empty() {
        return Ok(());
    }
    let list: Vec<String> = asked.node_addresses.iter().map(IpAddr::to_string).collect();
    let ports: Vec<String> = asked.node_ports.iter().map(u16::to_string).collect();
    let place = match &ports[..] {
        [] => String::new(),
        ports => format!(" on TCP {} only", ports.join(", ")),
    };
    writeln!(
        out,
        "node     always allowed from {}{place}",
        list.join(", ")
    )
}
