//! `podwall explain`: one flow, both sides, the deciding rule or the nearest misses.

use std::io::Write;
use std::net::IpAddr;
use std::process::ExitCode;
use std::sync::Arc;

use clap::ValueEnum;
use podwall_policy::cluster::Cluster;
use podwall_policy::compiled::Table;
use podwall_policy::decide::decide;
use podwall_policy::explain::{Miss, misses};
use podwall_policy::flow::{Direction, Flow};
use podwall_policy::object::{ObjectName, Pod};
use podwall_policy::peer::Peer;
use serde::Serialize;

use crate::failure::{Failure, Outcome, unwritten};
use crate::offline::{self, ENFORCED, Manifests, Port};

/// Say whether one flow is allowed, by which policy and rule, or by how little it missed.
///
/// The verdict is the source's egress AND the destination's ingress, as the API says; podwall
/// enforces ingress, at the destination.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 allow, 1 deny, 2 bad input.")]
pub struct Args {
    #[command(flatten)]
    manifests: Manifests,
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
    /// How to print
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    /// For people
    Table,
    /// For programs; versioned
    Json,
}

/// The answer as it is printed; `version` changes when a field changes its meaning.
#[derive(Debug, Serialize)]
struct Answer {
    version: u32,
    from: String,
    to: String,
    port: String,
    verdict: &'static str,
    enforced: Vec<&'static str>,
    node_addresses: Vec<IpAddr>,
    ingress: Side,
    egress: Side,
}

/// One direction's verdict.
#[derive(Debug, Serialize)]
struct Side {
    verdict: &'static str,
    reason: &'static str,
    policy: Option<String>,
    rule: Option<u32>,
    misses: Vec<SideMiss>,
    /// The policies that isolate this side.
    isolated_by: Vec<String>,
}

#[derive(Debug, Serialize)]
struct SideMiss {
    policy: String,
    rule: Option<u32>,
    clause: &'static str,
    detail: String,
}

/// Runs the command.
///
/// # Errors
/// Bad input of any kind.
pub fn run(args: &Args) -> Outcome {
    let cluster = args.manifests.cluster()?;
    let answer = answer(&cluster, args)?;
    let mut out = std::io::stdout().lock();
    match args.output {
        Output::Json => serde_json::to_writer(&mut out, &answer)
            .map_err(std::io::Error::from)
            .and_then(|()| writeln!(out)),
        Output::Table => print(&mut out, &answer),
    }
    .map_err(unwritten)?;
    Ok(ExitCode::from(u8::from(answer.verdict == "deny")))
}

/// Who asks: a pod by name or by its address, or an address that no pod owns.
enum Source<'c> {
    Pod(&'c Pod, Option<IpAddr>),
    Outside(IpAddr),
}

fn source<'c>(cluster: &'c Cluster, text: &str) -> Result<Source<'c>, Failure> {
    if let Ok(address) = text.parse::<IpAddr>() {
        let address = address.to_canonical();
        return Ok(match cluster.owner(address) {
            Some(pod) => Source::Pod(pod, Some(address)),
            None => Source::Outside(address),
        });
    }
    let name = offline::pod_name(text).map_err(|fault| {
        Failure::input(format_args!(
            "--from: {fault}, or an address such as 10.0.0.7"
        ))
    })?;
    let pod = offline::running_pod(cluster, &name, "--from")?;
    // A hostNetwork pod speaks with its node's address and is no peer of its own (S67).
    match (
        pod.host_network,
        pod.addresses.first().or(pod.host_addresses.first()),
    ) {
        (false, _) => Ok(Source::Pod(pod, None)),
        (true, Some(address)) => Ok(Source::Outside(*address)),
        (true, None) => Err(Failure::input(format_args!(
            "--from {name}: a hostNetwork pod is known by its node's address only, and it has none in \
             the manifests; give that address"
        ))),
    }
}

fn answer(cluster: &Cluster, args: &Args) -> Result<Answer, Failure> {
    let to = offline::pod_name(&args.to)
        .map_err(|fault| Failure::input(format_args!("--to: {fault}")))?;
    let to = offline::running_pod(cluster, &to, "--to")?;
    if to.host_network {
        return Err(Failure::input(format_args!(
            "--to {}: a hostNetwork pod shares its node's network and podwall cannot guard it (S66); \
             name a pod with a network of its own",
            to.name
        )));
    }
    let mut node_addresses: Vec<IpAddr> = to.host_addresses.clone();
    node_addresses.extend(args.node_address.iter().map(IpAddr::to_canonical));
    let from = source(cluster, &args.from)?;
    let (ingress, egress) = sides(cluster, &from, to, args.port, &node_addresses)?;
    let allowed = ingress.verdict == "allow" && egress.verdict == "allow";
    Ok(Answer {
        version: 1,
        from: match &from {
            Source::Pod(pod, _) => pod.name.to_string(),
            Source::Outside(address) => address.to_string(),
        },
        to: to.name.to_string(),
        port: args.port.to_string(),
        verdict: if allowed { "allow" } else { "deny" },
        enforced: ENFORCED.iter().map(|one| one.label()).collect(),
        node_addresses,
        ingress,
        egress,
    })
}

fn sides(
    cluster: &Cluster,
    from: &Source<'_>,
    to: &Pod,
    port: Port,
    node: &[IpAddr],
) -> Result<(Side, Side), Failure> {
    let to_identity = Arc::new(cluster.identity(to));
    let (table, diagnostics) = offline::table_for(cluster, &to_identity);
    offline::report(&diagnostics);
    let question = |direction, address| {
        Flow::with_peer_address(direction, port.protocol, port.number, address)
    };
    match from {
        Source::Outside(address) => {
            check_family(*address, to)?;
            let flow = question(Direction::Ingress, Some(*address));
            let peer = if node.contains(address) {
                Peer::Node
            } else {
                Peer::Outside
            };
            Ok((side(&table, &flow, peer), no_pod()))
        }
        Source::Pod(pod, given) => {
            let (from_address, to_address) = match given {
                Some(address) => {
                    check_family(*address, to)?;
                    let same = to
                        .addresses
                        .iter()
                        .find(|one| one.is_ipv4() == address.is_ipv4());
                    (Some(*address), same.copied())
                }
                None => offline::addresses(pod, to),
            };
            let identity = Arc::new(cluster.identity(pod));
            let own = pod.name == to.name;
            let row = table.matching(&identity);
            let flow = question(Direction::Ingress, from_address);
            let ingress = side(&table, &flow, if own { Peer::Own } else { Peer::Pod(&row) });
            let (table, _) = offline::table_for(cluster, &identity);
            let row = table.matching(&to_identity);
            let flow = question(Direction::Egress, to_address);
            let egress = side(&table, &flow, if own { Peer::Own } else { Peer::Pod(&row) });
            Ok((ingress, egress))
        }
    }
}

/// No packet goes from one address family to the other.
fn check_family(address: IpAddr, to: &Pod) -> Result<(), Failure> {
    let reachable = to.addresses.is_empty()
        || to
            .addresses
            .iter()
            .any(|one| one.is_ipv4() == address.is_ipv4());
    if reachable {
        return Ok(());
    }
    Err(Failure::input(format_args!(
        "--from {address}: {} has no address of that family; give one of the family of {}",
        to.name, to.addresses[0]
    )))
}

fn side(table: &Table, flow: &Flow, peer: Peer<'_>) -> Side {
    let verdict = decide(table, flow, peer);
    let rule = verdict.rule().and_then(|rule| table.rule_name(rule));
    let denied = if verdict.is_allow() {
        Vec::new()
    } else {
        misses(table, flow, peer)
    };
    Side {
        verdict: verdict.label(),
        reason: verdict.reason(),
        policy: rule.map(|(policy, _)| policy.to_string()),
        rule: rule.map(|(_, rule)| rule),
        misses: denied.into_iter().map(SideMiss::from).collect(),
        isolated_by: table
            .isolating(flow.direction)
            .map(ObjectName::to_string)
            .collect(),
    }
}

/// The egress side of an address that no pod owns: there is none.
fn no_pod() -> Side {
    Side {
        verdict: "allow",
        reason: "not_a_pod",
        policy: None,
        rule: None,
        misses: Vec::new(),
        isolated_by: Vec::new(),
    }
}

impl From<Miss> for SideMiss {
    fn from(miss: Miss) -> Self {
        Self {
            policy: miss.policy.to_string(),
            rule: miss.rule,
            clause: miss.clause.label(),
            detail: miss.detail,
        }
    }
}

fn print(out: &mut impl Write, answer: &Answer) -> std::io::Result<()> {
    let word = answer.verdict.to_uppercase();
    writeln!(
        out,
        "{word}  {}  {} -> {}",
        answer.port, answer.from, answer.to
    )?;
    print_side(out, "ingress", &answer.ingress, "")?;
    print_side(
        out,
        "egress",
        &answer.egress,
        "; podwall does not enforce egress, the source's side must",
    )?;
    if !answer.node_addresses.is_empty() {
        let list: Vec<String> = answer
            .node_addresses
            .iter()
            .map(IpAddr::to_string)
            .collect();
        writeln!(out, "  node     always allowed from: {}", list.join(", "))?;
    }
    Ok(())
}

fn print_side(out: &mut impl Write, name: &str, side: &Side, remark: &str) -> std::io::Result<()> {
    write!(out, "  {name:<8} {}  {}", side.verdict, side.reason)?;
    if let (Some(policy), Some(rule)) = (&side.policy, side.rule) {
        write!(out, "  {policy} rule {rule}")?;
    }
    writeln!(out, "{remark}")?;
    if !side.isolated_by.is_empty() {
        writeln!(
            out,
            "           isolated by {}",
            side.isolated_by.join(", ")
        )?;
    }
    for miss in &side.misses {
        let rule = miss
            .rule
            .map_or_else(|| "no rule".to_owned(), |rule| format!("rule {rule}"));
        writeln!(
            out,
            "           {} {rule}: {} ({})",
            miss.policy, miss.detail, miss.clause
        )?;
    }
    Ok(())
}
