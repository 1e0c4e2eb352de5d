//! Who asks whom, and what both sides' policies say of it.
//!
//! Deliberately absent: how the answer is printed.

use std::net::IpAddr;
use std::sync::Arc;

use podwall_policy::cluster::Cluster;
use podwall_policy::compiled::Table;
use podwall_policy::decide::decide;
use podwall_policy::explain::render::{Explanation, Side};
use podwall_policy::explain::{Miss, misses};
use podwall_policy::flow::{Direction, Flow};
use podwall_policy::object::Pod;
use podwall_policy::peer::Peer;
use podwall_policy::verdict::Verdict;

use crate::failure::Failure;
use crate::offline::{self, ENFORCED, Port};

/// A question and what both sides say.
pub struct Asked {
    /// The source: a pod's name, or an address that no pod owns.
    pub from: String,
    /// The destination pod.
    pub to: String,
    /// Its port.
    pub port: Port,
    /// Addresses of the destination's node, always allowed.
    pub node_addresses: Vec<IpAddr>,
    /// What the destination's policies say.
    pub ingress: Judged,
    /// What the source's policies say; `None` where the source is no pod.
    pub egress: Option<Judged>,
}

/// One side's verdict and what it was made of.
pub struct Judged {
    /// Which side.
    pub direction: Direction,
    /// The table that was asked.
    pub table: Arc<Table>,
    /// What it said.
    pub verdict: Verdict,
    /// After a denial, by how little each policy missed.
    pub misses: Vec<Miss>,
}

impl Asked {
    /// Asks.
    ///
    /// # Errors
    /// A name that is no pod of the manifests, or one to which the question does not apply.
    pub fn of(
        cluster: &Cluster,
        from: &str,
        to: &str,
        port: Port,
        nodes: &[IpAddr],
    ) -> Result<Self, Failure> {
        let to = destination(cluster, to)?;
        let mut node_addresses = to.host_addresses.clone();
        node_addresses.extend(nodes.iter().map(IpAddr::to_canonical));
        let from = source(cluster, from)?;
        let (ingress, egress) = match &from {
            Source::Outside(address) => (
                from_outside(cluster, *address, to, port, &node_addresses)?,
                None,
            ),
            Source::Pod(pod, given) => {
                let (ingress, egress) = from_pod(cluster, pod, *given, to, port)?;
                (ingress, Some(egress))
            }
        };
        Ok(Self {
            from: match &from {
                Source::Pod(pod, _) => pod.name.to_string(),
                Source::Outside(address) => address.to_string(),
            },
            to: to.name.to_string(),
            port,
            node_addresses,
            ingress,
            egress,
        })
    }

    /// Whether both sides allow it (S4).
    pub fn is_allow(&self) -> bool {
        let egress = self
            .egress
            .as_ref()
            .is_none_or(|side| side.verdict.is_allow());
        self.ingress.verdict.is_allow() && egress
    }

    /// The form for people.
    pub fn explanation(&self) -> Explanation<'_> {
        Explanation {
            from: &self.from,
            to: &self.to,
            protocol: self.port.protocol,
            port: self.port.number,
            ingress: self.ingress.rendered(),
            egress: self.egress.as_ref().map(Judged::rendered),
        }
    }
}

impl Judged {
    fn new(table: Arc<Table>, flow: &Flow, peer: Peer<'_>) -> Self {
        let verdict = decide(&table, flow, peer);
        Self {
            direction: flow.direction,
            misses: if verdict.is_allow() {
                Vec::new()
            } else {
                misses(&table, flow, peer)
            },
            verdict,
            table,
        }
    }

    fn rendered(&self) -> Side<'_> {
        Side {
            direction: self.direction,
            table: &self.table,
            verdict: self.verdict,
            misses: &self.misses,
            enforced: ENFORCED.contains(&self.direction),
        }
    }
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

fn destination<'c>(cluster: &'c Cluster, text: &str) -> Result<&'c Pod, Failure> {
    let name =
        offline::pod_name(text).map_err(|fault| Failure::input(format_args!("--to: {fault}")))?;
    let pod = offline::running_pod(cluster, &name, "--to")?;
    if pod.host_network {
        return Err(Failure::input(format_args!(
            "--to {name}: a hostNetwork pod shares its node's network and podwall cannot guard it (S66); \
             name a pod with a network of its own"
        )));
    }
    Ok(pod)
}

fn from_outside(
    cluster: &Cluster,
    address: IpAddr,
    to: &Pod,
    port: Port,
    nodes: &[IpAddr],
) -> Result<Judged, Failure> {
    check_family(address, to)?;
    let (table, diagnostics) = offline::table_for(cluster, &cluster.identity(to));
    offline::report(&diagnostics);
    let flow = Flow::with_peer_address(
        Direction::Ingress,
        port.protocol,
        port.number,
        Some(address),
    );
    let peer = if nodes.contains(&address) {
        Peer::Node
    } else {
        Peer::Outside
    };
    Ok(Judged::new(table, &flow, peer))
}

/// The destination's ingress and the source's egress, each asked of its own table.
fn from_pod(
    cluster: &Cluster,
    from: &Pod,
    given: Option<IpAddr>,
    to: &Pod,
    port: Port,
) -> Result<(Judged, Judged), Failure> {
    let (from_address, to_address) = match given {
        Some(address) => {
            check_family(address, to)?;
            let same = to
                .addresses
                .iter()
                .find(|one| one.is_ipv4() == address.is_ipv4());
            (Some(address), same.copied())
        }
        None => offline::addresses(from, to),
    };
    let own = from.name == to.name;
    let ask = |subject: &Pod, peer: &Pod, direction, address| {
        let (table, diagnostics) = offline::table_for(cluster, &cluster.identity(subject));
        offline::report(&diagnostics);
        let row = table.matching(&Arc::new(cluster.identity(peer)));
        let flow = Flow::with_peer_address(direction, port.protocol, port.number, address);
        Judged::new(table, &flow, if own { Peer::Own } else { Peer::Pod(&row) })
    };
    let ingress = ask(to, from, Direction::Ingress, from_address);
    Ok((ingress, ask(from, to, Direction::Egress, to_address)))
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
