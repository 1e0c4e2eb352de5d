//! The shape of a case file: a small cluster, policies, and questions with their answers.
//!
//! Deliberately absent: how an answer is found; see `world.rs`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use podwall_policy::flow::{Direction, Protocol};
use podwall_policy::object::ObjectName;
use serde::Deserialize;

/// One file: the cases of one section of the semantics.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseFile {
    pub section: String,
    pub title: String,
    /// Manifests that every case of the file starts from.
    #[serde(default)]
    pub cluster: String,
    pub cases: Vec<Case>,
}

/// One case.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// `S34`.
    pub id: String,
    pub title: String,
    /// Manifests beside those of the file.
    #[serde(default)]
    pub manifests: String,
    /// `namespace/name` of a NetworkPolicy to the YAML of its `spec`.
    #[serde(default)]
    pub policies: BTreeMap<String, String>,
    /// Texts that must each occur in some finding.
    #[serde(default)]
    pub reports: Vec<String>,
    /// Where the manifests as a whole are bad input: a text of the error.
    pub refused: Option<String>,
    #[serde(default)]
    pub ask: Vec<Question>,
}

/// One connection and what must be said of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    pub from: String,
    pub to: String,
    /// `80/TCP`.
    pub port: String,
    /// `allow REASON`, `allow by NS/NAME rule N`, `deny REASON`, the last with the nearest misses if
    /// they matter: `; NS/NAME rule N CLAUSE; NS/NAME CLAUSE`. Not asked where it is missing.
    pub ingress: Option<String>,
    pub egress: Option<String>,
}

impl Case {
    /// All manifests of the case as one text.
    pub fn text(&self, file: &CaseFile) -> String {
        let mut text = format!("{}\n---\n{}\n", file.cluster, self.manifests);
        for (name, spec) in &self.policies {
            let name = object_name(name);
            let spec: String = spec.lines().map(|line| format!("  {line}\n")).collect();
            text += &format!(
                "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: {}, namespace: {}}}\nspec:\n{spec}",
                name.name, name.namespace
            );
        }
        text
    }
}

/// One end of a connection as a question writes it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum End {
    /// `ns/name` or `ns/name@ADDRESS`; without an address its first one.
    Pod(ObjectName, Option<IpAddr>),
    /// `node ADDRESS`.
    Node(IpAddr),
    /// `own ADDRESS`.
    Own(IpAddr),
    /// `unknown ADDRESS`.
    Unknown(IpAddr),
    /// `outside ADDRESS`: no pod, even if one has this address.
    Outside(IpAddr),
    /// `ADDRESS`: the pod that owns it, else nobody of the cluster.
    Address(IpAddr),
}

impl End {
    pub fn read(text: &str) -> Self {
        let (word, rest) = text.split_once(' ').unwrap_or(("", text));
        match word {
            "node" => return Self::Node(address(rest)),
            "own" => return Self::Own(address(rest)),
            "unknown" => return Self::Unknown(address(rest)),
            "outside" => return Self::Outside(address(rest)),
            _ => {}
        }
        match (text.parse(), text.split_once('@')) {
            (Ok(found), _) => Self::Address(found),
            (Err(_), Some((name, at))) => Self::Pod(object_name(name), Some(address(at))),
            (Err(_), None) => Self::Pod(object_name(text), None),
        }
    }
}

impl Question {
    /// The directions asked, each with the expected answer.
    pub fn sides(&self) -> impl Iterator<Item = (Direction, &str)> {
        [
            (Direction::Ingress, self.ingress.as_deref()),
            (Direction::Egress, self.egress.as_deref()),
        ]
        .into_iter()
        .filter_map(|(direction, expected)| Some((direction, expected?)))
    }

    /// Number and protocol.
    pub fn port(&self) -> (u16, Protocol) {
        let (number, protocol) = self
            .port
            .split_once('/')
            .unwrap_or_else(|| panic!("{:?}: write PORT/PROTOCOL", self.port));
        let number = number.parse().expect("a port number");
        (number, protocol.parse().expect("a protocol"))
    }
}

pub fn object_name(text: &str) -> ObjectName {
    let (namespace, name) = text
        .split_once('/')
        .unwrap_or_else(|| panic!("{text:?}: write NAMESPACE/NAME"));
    ObjectName::new(namespace, name)
}

fn address(text: &str) -> IpAddr {
    text.parse()
        .unwrap_or_else(|_| panic!("{text:?} is no address"))
}
