//! Who asks whom, and what both sides' policies say of it.
//!
//! Deliberately absent: how the answer is printed.

use std::net::IpAddr;
use std::sync::Arc;

use podwall_policy::cluster::Cluster;
use podwall_policy::compiled::Table;
use podwall_policy::decide::decide;
use podwall_policy::diagnostic::Diagnostic;
use podwall_policy::explain::render::{Explanation, Side};
use podwall_policy::explain::{Miss, misses};
use podwall_policy::flow::{Direction, Flow};
use podwall_policy::object::Pod;
use podwall_policy::peer::{Identity, Peer};
use podwall_policy::verdict::Verdict;
use podwall_proxy::world::Nodes;

use crate::failure::Failure;
use crate::offline::{self, ENFORCED};
use crate::port::Port;
use crate::source::State;

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
    /// On these TCP ports; empty: on all.
    pub node_ports: Vec<u16>,
    /// What the destination's policies say.
    pub ingress: Judged,
    /// What the source's policies say; `None` where the source is no pod.
    pub egress: Option<Judged>,
    /// The source's address of the other family and the verdict there, where that differs.
    pub otherwise: Option<(IpAddr, bool)>,
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
    /// Asks. `more_nodes` are addresses of the destination's node that its object lacks; the node is
    /// let in on the TCP ports `node_ports` only, or everywhere without any.
    ///
    /// # Errors
    /// A name that is no pod of the state, or one to which the question does not apply.
    pub fn of(
        state: &State,
        from: &str,
        to: &str,
        port: Port,
        more_nodes: &[IpAddr],
        node_ports: &[u16],
    ) -> Result<Self, Failure> {
        let cluster = &state.cluster;
        let to = destination(state, to)?;
        let mut node_addresses = to.host_addresses.clone();
        node_addresses.extend(more_nodes.iter().map(IpAddr::to_canonical));
        let nodes = Nodes::new(&node_addresses, node_ports);
        let from = source(state, from, to, port, &nodes)?;
        let mut otherwise = None;
        let (ingress, egress) = match &from {
            Source::Outside(address) => (from_outside(cluster, *address, to, port, &nodes)?, None),
            Source::Pod(pod, given) => {
                let pair = Pair::of(cluster, pod, to, port, &nodes);
                pair.report();
                let (ingress, egress) = pair.judge(ends(pod, *given, to)?);
                let is_allow = ingress.verdict.is_allow() && egress.verdict.is_allow();
                otherwise = given.is_none().then(|| pair.otherwise(is_allow)).flatten();
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
            node_ports: node_ports.to_vec(),
            ingress,
            egress,
            otherwise,
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

fn source<'c>(
    state: &'c State,
    text: &str,
    to: &Pod,
    port: Port,
    nodes: &Nodes,
) -> Result<Source<'c>, Failure> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return by_address(&state.cluster, address.to_canonical(), port, nodes);
    }
    let name = offline::pod_name(text).map_err(|fault| {
        Failure::input(format_args!(
            "--from: {fault}, or an address such as 10.0.0.7"
        ))
    })?;
    let pod = offline::running_pod(state, &name, "--from")?;
    // A hostNetwork pod speaks with its node's address and is no peer of its own (S67).
    let all = || pod.addresses.iter().chain(&pod.host_addresses);
    let mut reaching = all().filter(|address| check_family(**address, to).is_ok());
    match (pod.host_network, reaching.next().or(all().next())) {
        (false, _) => Ok(Source::Pod(pod, None)),
        (true, Some(address)) => Ok(Source::Outside(*address)),
        (true, None) => Err(Failure::input(format_args!(
            "--from {name}: a hostNetwork pod is known by its node's address only, and it has none in \
             {}; give that address",
            state.place
        ))),
    }
}

fn by_address<'c>(
    cluster: &'c Cluster,
    address: IpAddr,
    port: Port,
    nodes: &Nodes,
) -> Result<Source<'c>, Failure> {
    let claims: Vec<&Pod> = cluster.owners(address).collect();
    match (cluster.owner(address), &claims[..]) {
        (Some(pod), _) => Ok(Source::Pod(pod, Some(address))),
        // The node is let in whoever else claims its address.
        (None, []) => Ok(Source::Outside(address)),
        (None, _) if nodes.admit(address, &inward(port, address)) => Ok(Source::Outside(address)),
        (None, claims) => {
            let names: Vec<String> = claims.iter().map(|pod| pod.name.to_string()).collect();
            Err(Failure::input(format_args!(
                "--from {address}: {} claim this address and none is certainly the newest \
                 (status.startTime), so the sidecar takes it for nobody's (S77); name one of the pods",
                names.join(" and ")
            )))
        }
    }
}

fn destination<'c>(state: &'c State, text: &str) -> Result<&'c Pod, Failure> {
    let name =
        offline::pod_name(text).map_err(|fault| Failure::input(format_args!("--to: {fault}")))?;
    let pod = offline::running_pod(state, &name, "--to")?;
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
    nodes: &Nodes,
) -> Result<Judged, Failure> {
    check_family(address, to)?;
    let (table, diagnostics) = offline::table_for(cluster, &cluster.identity(to));
    offline::report(&diagnostics);
    let flow = inward(port, address);
    let peer = if nodes.admit(address, &flow) {
        Peer::Node
    } else if cluster.broken_pods().len() > 0 {
        // It may be the address of a pod that cannot be read.
        Peer::Unknown
    } else {
        Peer::Outside
    };
    Ok(Judged::new(table, &flow, peer))
}

/// The flow that enters from that address.
fn inward(port: Port, from: IpAddr) -> Flow {
    Flow::with_peer_address(Direction::Ingress, port.protocol, port.number, Some(from))
}

/// The addresses of both ends; `given` is the source's, if it was asked for by that.
fn ends(from: &Pod, given: Option<IpAddr>, to: &Pod) -> Result<Ends, Failure> {
    let Some(address) = given else {
        return Ok(offline::addresses(from, to));
    };
    check_family(address, to)?;
    let mut addresses = to.addresses.iter().copied();
    let same = addresses.find(|one| one.is_ipv4() == address.is_ipv4());
    Ok((Some(address), same))
}

/// The source's and the destination's address.
type Ends = (Option<IpAddr>, Option<IpAddr>);

/// Two pods, each with its table, asked over any of their addresses.
struct Pair<'c> {
    from: &'c Pod,
    to: &'c Pod,
    port: Port,
    nodes: &'c Nodes,
    identities: [Arc<Identity>; 2],
    tables: [(Arc<Table>, Vec<Diagnostic>); 2],
}

impl<'c> Pair<'c> {
    fn of(cluster: &Cluster, from: &'c Pod, to: &'c Pod, port: Port, nodes: &'c Nodes) -> Self {
        let identities = [from, to].map(|pod| Arc::new(cluster.identity(pod)));
        let tables = [&identities[0], &identities[1]];
        Self {
            from,
            to,
            port,
            nodes,
            tables: tables.map(|identity| offline::table_for(cluster, identity)),
            identities,
        }
    }

    fn report(&self) {
        let [from, to] = &self.tables;
        offline::report(&to.1);
        if self.from.name != self.to.name {
            offline::report(&from.1);
        }
    }

    /// The destination's ingress and the source's egress, each asked of its own table.
    fn judge(&self, (from_address, to_address): Ends) -> (Judged, Judged) {
        let [from, to] = &self.identities;
        let is_node = from_address
            .is_some_and(|address| self.nodes.admit(address, &inward(self.port, address)));
        let [outward, inward] = &self.tables;
        let ingress = self.ask(&inward.0, from, Direction::Ingress, from_address, is_node);
        let egress = self.ask(&outward.0, to, Direction::Egress, to_address, false);
        (ingress, egress)
    }

    fn ask(
        &self,
        table: &Arc<Table>,
        peer: &Arc<Identity>,
        direction: Direction,
        address: Option<IpAddr>,
        is_node: bool,
    ) -> Judged {
        let row = table.matching(peer);
        let flow =
            Flow::with_peer_address(direction, self.port.protocol, self.port.number, address);
        let peer = match (self.from.name == self.to.name, is_node) {
            (true, _) => Peer::Own,
            (false, true) => Peer::Node,
            (false, false) => Peer::Pod(&row),
        };
        Judged::new(Arc::clone(table), &flow, peer)
    }

    /// The source's address of the other family and the verdict there, where it is not `is_allow`.
    fn otherwise(&self, is_allow: bool) -> Option<(IpAddr, bool)> {
        let (from, to) = offline::other_addresses(self.from, self.to)?;
        let (ingress, egress) = self.judge((Some(from), Some(to)));
        let other = ingress.verdict.is_allow() && egress.verdict.is_allow();
        (other != is_allow).then_some((from, other))
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
