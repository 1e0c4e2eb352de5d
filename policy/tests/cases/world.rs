//! A case's cluster, asked through the front door of the crate and by the plain reading.

use std::net::IpAddr;
use std::sync::Arc;

use podwall_policy::cluster::Cluster;
use podwall_policy::compile::compile;
use podwall_policy::decide::decide;
use podwall_policy::document;
use podwall_policy::explain::{Miss, misses};
use podwall_policy::flow::{Direction, Flow};
use podwall_policy::object::Pod;
use podwall_policy::peer::Peer;
use podwall_policy::reference::Other;

use crate::agree::{Asked, agree};
use crate::format::{End, Question};

/// What was read, and the findings of reading, joining and compiling.
pub struct World {
    cluster: Cluster,
    findings: Vec<String>,
}

/// One end, looked up.
struct Met<'w> {
    who: Who<'w>,
    address: Option<IpAddr>,
}

#[derive(Clone, Copy)]
enum Who<'w> {
    Pod(&'w Pod),
    Node,
    Own,
    Outside,
    Unknown,
}

impl World {
    /// Reads manifests.
    ///
    /// # Errors
    /// Where they are bad input as a whole.
    pub fn read(source: &str, text: &str) -> Result<Self, String> {
        let documents = document::read(source, text).map_err(|error| error.to_string())?;
        let (cluster, mut found) =
            Cluster::assemble(documents.objects).map_err(|error| error.to_string())?;
        found.extend(documents.diagnostics);
        for pod in cluster.pods() {
            found.extend(compile(cluster.policies(), &cluster.identity(pod), 1).diagnostics);
        }
        let findings = found.iter().map(ToString::to_string).collect();
        Ok(Self { cluster, findings })
    }

    pub fn findings(&self) -> &[String] {
        &self.findings
    }

    /// The answer for one direction, in the words of a case file.
    ///
    /// # Errors
    /// Where the question makes no sense, or the plain reading disagrees.
    pub fn answer(&self, direction: Direction, question: &Question) -> Result<String, String> {
        let (subject, peer) = match direction {
            Direction::Ingress => (&question.to, &question.from),
            Direction::Egress => (&question.from, &question.to),
        };
        let Who::Pod(subject) = self.meet(subject)?.who else {
            return Err(format!("{subject} is no pod, so it has no {direction:?}"));
        };
        let met = self.meet(peer)?;
        let (port, protocol) = question.port();
        let flow = Flow::with_peer_address(direction, protocol, port, met.address);
        self.ask(subject, met.who, &flow)
    }

    fn ask(&self, subject: &Pod, who: Who<'_>, flow: &Flow) -> Result<String, String> {
        let subject = self.cluster.identity(subject);
        let table = compile(self.cluster.policies(), &subject, 1).table;
        let identity = match who {
            Who::Pod(pod) => Some(Arc::new(self.cluster.identity(pod))),
            _ => None,
        };
        let matching = identity.as_ref().map(|identity| table.matching(identity));
        let (peer, other) = match (who, &matching) {
            (Who::Pod(_), Some(rules)) => (Peer::Pod(rules), Other::Pod(rules.identity())),
            (Who::Node, _) => (Peer::Node, Other::Node),
            (Who::Own, _) => (Peer::Own, Other::Own),
            (Who::Outside, _) => (Peer::Outside, Other::Outside),
            (Who::Unknown | Who::Pod(_), _) => (Peer::Unknown, Other::Unknown),
        };
        let verdict = decide(&table, flow, peer);
        let missed = misses(&table, flow, peer);
        let asked = Asked {
            policies: self.cluster.policies(),
            subject: &subject,
            flow,
            other,
        };
        agree(asked, &table, verdict, &missed)?;
        let head = match verdict.rule().and_then(|rule| table.rule_name(rule)) {
            Some((policy, index)) => format!("{} by {policy} rule {index}", verdict.label()),
            None => format!("{} {}", verdict.label(), verdict.reason()),
        };
        let mut missed: Vec<String> = missed.iter().map(in_words).collect();
        missed.sort();
        Ok(format!("{head}{}", missed.concat()))
    }

    fn meet(&self, end: &str) -> Result<Met<'_>, String> {
        let (who, address) = match End::read(end) {
            End::Node(address) => (Who::Node, Some(address)),
            End::Own(address) => (Who::Own, Some(address)),
            End::Unknown(address) => (Who::Unknown, Some(address)),
            End::Outside(address) => (Who::Outside, Some(address)),
            End::Address(address) => (
                match self.cluster.owner(address) {
                    Some(pod) => Who::Pod(pod),
                    None if self.cluster.owners(address).next().is_some() => Who::Unknown,
                    None => Who::Outside,
                },
                Some(address),
            ),
            End::Pod(name, address) => {
                let pod = self.cluster.pod(&name).ok_or(format!("no pod {name}"))?;
                let address = address.or_else(|| pod.addresses.first().copied());
                (Who::Pod(pod), address)
            }
        };
        Ok(Met { who, address })
    }
}

fn in_words(miss: &Miss) -> String {
    let clause = miss.clause.label();
    match miss.rule {
        Some(rule) => format!("; {} rule {rule} {clause}", miss.policy),
        None => format!("; {} {clause}", miss.policy),
    }
}
