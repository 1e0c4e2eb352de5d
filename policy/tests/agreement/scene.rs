//! A cluster and questions about it, and how a failing one prints: as a case for `tests/cases/`.

use std::fmt;
use std::net::IpAddr;

use podwall_policy::flow::{Direction, Flow, Protocol};
use podwall_policy::peer::Identity;
use podwall_policy::reference::{self, Answer, Because, Other};
use proptest::sample::Index;

use crate::manifest::manifests;
use crate::model::Cluster;

#[derive(Clone)]
pub struct Scene {
    pub cluster: Cluster,
    pub questions: Vec<Question>,
}

/// One question; pods are chosen among those that there are.
#[derive(Clone, Debug)]
pub struct Question {
    pub subject: Index,
    pub end: End,
    pub direction: Direction,
    pub protocol: Protocol,
    pub port: u16,
}

#[derive(Clone, Debug)]
pub enum End {
    /// By one of its addresses, if it has any.
    Pod {
        pod: Index,
        address: Index,
    },
    Unknown(IpAddr),
    Outside(IpAddr),
    Node(IpAddr),
    Own(IpAddr),
}

impl Question {
    pub fn subject(&self, cluster: &Cluster) -> usize {
        self.subject.index(cluster.pods.len())
    }

    /// The pod at the other end, if it is one.
    pub fn peer(&self, cluster: &Cluster) -> Option<usize> {
        match &self.end {
            End::Pod { pod, .. } => Some(pod.index(cluster.pods.len())),
            End::Unknown(_) | End::Outside(_) | End::Node(_) | End::Own(_) => None,
        }
    }

    pub fn address(&self, cluster: &Cluster) -> Option<IpAddr> {
        match &self.end {
            End::Pod { pod, address } => {
                let addresses = &cluster.pods[pod.index(cluster.pods.len())].addresses;
                (!addresses.is_empty()).then(|| addresses[address.index(addresses.len())])
            }
            End::Unknown(address)
            | End::Outside(address)
            | End::Node(address)
            | End::Own(address) => Some(*address),
        }
    }

    pub fn flow(&self, cluster: &Cluster) -> Flow {
        Flow::with_peer_address(
            self.direction,
            self.protocol,
            self.port,
            self.address(cluster),
        )
    }

    /// The other end, said plainly.
    pub fn other<'a>(&self, pod: Option<&'a Identity>) -> Other<'a> {
        match (&self.end, pod) {
            (End::Pod { .. }, Some(identity)) => Other::Pod(identity),
            (End::Outside(_), _) => Other::Outside,
            (End::Node(_), _) => Other::Node,
            (End::Own(_), _) => Other::Own,
            (End::Unknown(_) | End::Pod { .. }, _) => Other::Unknown,
        }
    }
}

impl Scene {
    /// Only the question at `at`.
    pub fn only(&self, at: usize) -> Self {
        Self {
            cluster: self.cluster.clone(),
            questions: vec![self.questions[at].clone()],
        }
    }

    /// What the plain reading says, in the words of a case file.
    fn expected(&self, question: &Question) -> String {
        let cluster = &self.cluster;
        let subject = cluster.identity(question.subject(cluster));
        let peer = question.peer(cluster).map(|at| cluster.identity(at));
        let answer = reference::answer(
            &cluster.intended(),
            &subject,
            &question.flow(cluster),
            question.other(peer.as_ref()),
        );
        match answer {
            Answer::Allow(Because::Admitted { policy, rule }) => {
                format!("allow by {policy} rule {rule}")
            }
            Answer::Allow(Because::NotIsolated) => "allow not_isolated".to_owned(),
            Answer::Allow(Because::Node) => "allow node".to_owned(),
            Answer::Allow(Because::Own) => "allow own".to_owned(),
            Answer::Deny => "deny no_rule_admits".to_owned(),
            Answer::Unknown => "deny peer_unknown".to_owned(),
        }
    }

    fn row(&self, question: &Question) -> String {
        let cluster = &self.cluster;
        let subject = cluster.pod_name(question.subject(cluster));
        let end = match (&question.end, question.address(cluster)) {
            (End::Pod { pod, .. }, address) => {
                let name = cluster.pod_name(pod.index(cluster.pods.len()));
                address.map_or(name.to_string(), |address| format!("{name}@{address}"))
            }
            (End::Unknown(address), _) => format!("unknown {address}"),
            (End::Outside(address), _) => format!("outside {address}"),
            (End::Node(address), _) => format!("node {address}"),
            (End::Own(address), _) => format!("own {address}"),
        };
        let (from, to) = match question.direction {
            Direction::Ingress => (end, subject.to_string()),
            Direction::Egress => (subject.to_string(), end),
        };
        let Question { port, protocol, .. } = question;
        let side = question.direction.label();
        let expected = self.expected(question);
        format!("{{from: \"{from}\", to: \"{to}\", port: {port}/{protocol}, {side}: {expected}}}")
    }
}

impl fmt::Display for Scene {
    /// A case, ready to paste; the number and the title are for its finder to write.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "  - id: S0")?;
        writeln!(out, "    title: found by the agreement test")?;
        writeln!(out, "    manifests: |")?;
        for line in manifests(&self.cluster).lines() {
            writeln!(out, "      {line}")?;
        }
        writeln!(out, "    ask:")?;
        for question in &self.questions {
            writeln!(out, "      - {}", self.row(question))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Scene {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}
