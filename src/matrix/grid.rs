//! Every pair's verdicts, two bits each.
//!
//! Equal pods share a table, and equal pairs share what of the table matches them, so the work grows
//! with the distinct identities and not with the pods. Deliberately absent: names and output.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use podwall_policy::cluster::Cluster;
use podwall_policy::compiled::Table;
use podwall_policy::decide::decide;
use podwall_policy::flow::{Direction, Flow};
use podwall_policy::object::Pod;
use podwall_policy::peer::{Identity, MatchingRules, Peer};

use crate::offline;
use crate::port::Port;

/// The verdicts of `pods` x `pods` x `ports`.
pub struct Grid {
    pods: usize,
    ports: usize,
    ingress: Vec<bool>,
    egress: Vec<bool>,
}

/// One kind of pod: what a rule can see of it, and which pods are of that kind.
struct Kind {
    identity: Arc<Identity>,
    table: Arc<Table>,
    members: Vec<usize>,
}

/// What a pod's table says of its flows with all others.
struct Strip {
    /// The cells of flows into the pod, and whether its ingress admits them.
    ingress: Vec<(usize, bool)>,
    /// The same for flows out of it.
    egress: Vec<(usize, bool)>,
}

impl Grid {
    /// Asks for every pair on every port.
    ///
    /// Work: distinct identities squared x the policies that select them, then one decision for each
    /// flow; spread over the processors.
    pub fn of(cluster: &Cluster, pods: &[&Pod], ports: &[Port]) -> Self {
        let kinds = kinds(cluster, pods);
        let cells = pods.len() * pods.len() * ports.len();
        let mut grid = Self {
            pods: pods.len(),
            ports: ports.len(),
            ingress: vec![false; cells],
            egress: vec![false; cells],
        };
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        let next = std::sync::atomic::AtomicUsize::new(0);
        let (send, done) = std::sync::mpsc::sync_channel::<Strip>(workers);
        std::thread::scope(|scope| {
            for _ in 0..workers {
                let (send, next, kinds) = (send.clone(), &next, &kinds);
                scope.spawn(move || {
                    while let Some(kind) =
                        kinds.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
                    {
                        if strips(kind, kinds, pods, ports).any(|strip| send.send(strip).is_err()) {
                            return;
                        }
                    }
                });
            }
            drop(send);
            for strip in done {
                strip
                    .ingress
                    .into_iter()
                    .for_each(|(cell, allowed)| grid.ingress[cell] = allowed);
                strip
                    .egress
                    .into_iter()
                    .for_each(|(cell, allowed)| grid.egress[cell] = allowed);
            }
        });
        grid
    }

    /// Whether ingress and egress allow the flow.
    pub fn allows(&self, from: usize, to: usize, port: usize) -> (bool, bool) {
        let cell = (from * self.pods + to) * self.ports + port;
        (self.ingress[cell], self.egress[cell])
    }
}

fn kinds(cluster: &Cluster, pods: &[&Pod]) -> Vec<Kind> {
    let mut members: HashMap<Identity, Vec<usize>> = HashMap::new();
    for (at, pod) in pods.iter().enumerate() {
        members.entry(cluster.identity(pod)).or_default().push(at);
    }
    members
        .into_iter()
        .map(|(identity, members)| Kind {
            table: offline::table_for(cluster, &identity).0,
            identity: Arc::new(identity),
            members,
        })
        .collect()
}

/// What `kind` says of flows with everybody, one strip for each of its members.
fn strips<'k>(
    kind: &'k Kind,
    kinds: &'k [Kind],
    pods: &'k [&Pod],
    ports: &'k [Port],
) -> impl Iterator<Item = Strip> + 'k {
    let rows: Vec<MatchingRules> = kinds
        .iter()
        .map(|other| kind.table.matching(&other.identity))
        .collect();
    kind.members.iter().map(move |&subject| {
        let mut strip = Strip {
            ingress: Vec::new(),
            egress: Vec::new(),
        };
        for (other, row) in kinds.iter().zip(&rows) {
            for &peer in other.members.iter().filter(|peer| **peer != subject) {
                let (from, _) = offline::addresses(pods[peer], pods[subject]);
                let cell = (peer * pods.len() + subject) * ports.len();
                ask(
                    &mut strip.ingress,
                    cell,
                    kind,
                    row,
                    Direction::Ingress,
                    from,
                    ports,
                );
                let (_, to) = offline::addresses(pods[subject], pods[peer]);
                let cell = (subject * pods.len() + peer) * ports.len();
                ask(
                    &mut strip.egress,
                    cell,
                    kind,
                    row,
                    Direction::Egress,
                    to,
                    ports,
                );
            }
        }
        strip
    })
}

fn ask(
    answers: &mut Vec<(usize, bool)>,
    cell: usize,
    kind: &Kind,
    row: &MatchingRules,
    direction: Direction,
    address: Option<IpAddr>,
    ports: &[Port],
) {
    for (at, port) in ports.iter().enumerate() {
        let flow = Flow::with_peer_address(direction, port.protocol, port.number, address);
        let verdict = decide(&kind.table, &flow, Peer::Pod(row));
        answers.push((cell + at, verdict.is_allow()));
    }
}
