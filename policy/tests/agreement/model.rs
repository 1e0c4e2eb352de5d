//! A cluster as somebody wrote it, and what podwall should understand by it.
//!
//! The second half is worked out here from the first, not read back from the manifests, so that a
//! fault of the reader shows as a disagreement too. Deliberately absent: YAML (see `manifest.rs`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use podwall_policy::cidr::IpBlock;
use podwall_policy::flow::Protocol;
use podwall_policy::labels::Labels;
use podwall_policy::object::{NAMESPACE_NAME_LABEL, NamedPort, ObjectName};
use podwall_policy::peer::Identity;
use podwall_policy::selector::{Requirement, Selector, Test};
use podwall_policy::spec::{Namespaces, PeerSpec, Peers, Policy, PortSpec, Ports, Rule};

pub type Word = &'static str;
pub type Pairs = Vec<(Word, Word)>;

#[derive(Clone, Debug)]
pub struct Cluster {
    /// Labels by namespace; `None` where the Namespace object is missing.
    pub namespaces: [Option<Pairs>; 3],
    pub pods: Vec<Pod>,
    pub policies: Vec<PolicyText>,
}

/// The names of the namespaces.
pub const NAMESPACES: [Word; 3] = ["ns0", "ns1", "ns2"];

#[derive(Clone, Debug)]
pub struct Pod {
    pub namespace: usize,
    pub labels: Pairs,
    pub addresses: Vec<IpAddr>,
    pub ports: Vec<Declared>,
}

/// A container port.
#[derive(Clone, Debug)]
pub struct Declared {
    pub name: Word,
    /// `None` is left out, so TCP.
    pub protocol: Option<Protocol>,
    pub port: u16,
    pub container: Container,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Container {
    Main,
    NativeSidecar,
    /// An init container that ends: its ports do not count.
    Init,
}

/// A field that may be written in several ways.
#[derive(Clone, Debug)]
pub enum Field<T> {
    Missing,
    Null,
    Given(T),
}

#[derive(Clone, Debug)]
pub struct PolicyText {
    pub namespace: usize,
    pub subjects: Field<SelectorText>,
    pub types: Field<Vec<Word>>,
    pub ingress: Field<Vec<RuleText>>,
    pub egress: Field<Vec<RuleText>>,
}

#[derive(Clone, Debug)]
pub struct RuleText {
    pub peers: Field<Vec<PeerText>>,
    pub ports: Field<Vec<PortText>>,
}

#[derive(Clone, Debug)]
pub enum PeerText {
    /// At least one of the two is given.
    Selectors {
        namespaces: Option<SelectorText>,
        pods: Option<SelectorText>,
    },
    Block {
        cidr: Cidr,
        except: Vec<Cidr>,
    },
    /// Something that cannot be read, as it stands.
    Broken(Word),
}

#[derive(Clone, Debug)]
pub enum SelectorText {
    Readable {
        labels: Pairs,
        expressions: Vec<(Word, Operator)>,
    },
    Broken(Word),
}

#[derive(Clone, Debug)]
pub enum Operator {
    In(Vec<Word>),
    NotIn(Vec<Word>),
    Exists,
    DoesNotExist,
}

#[derive(Clone, Debug)]
pub enum PortText {
    /// Without a number: every port of the protocol.
    All(Option<Protocol>),
    Number(Option<Protocol>, u16),
    Range(Option<Protocol>, u16, u16),
    Named(Option<Protocol>, Word),
    Broken(Word),
}

/// A range with host bits as they come.
#[derive(Clone, Debug)]
pub struct Cidr {
    pub address: IpAddr,
    pub prefix: u8,
    pub spelling: Spelling,
}

/// How an IPv4 range is spelt; IPv6 ones are always plain.
#[derive(Clone, Copy, Debug)]
pub enum Spelling {
    Plain,
    LeadingZeros,
    Mapped,
}

impl Cluster {
    pub fn pod_name(&self, at: usize) -> ObjectName {
        ObjectName::new(NAMESPACES[self.pods[at].namespace], &format!("p{at}"))
    }

    pub fn policy_name(&self, at: usize) -> ObjectName {
        ObjectName::new(NAMESPACES[self.policies[at].namespace], &format!("q{at}"))
    }

    /// What a rule may ask of a pod.
    pub fn identity(&self, at: usize) -> Identity {
        let pod = &self.pods[at];
        let namespace = NAMESPACES[pod.namespace];
        let labels = self.namespaces[pod.namespace].as_ref();
        let mut named_ports: Vec<NamedPort> = pod
            .ports
            .iter()
            .filter(|port| port.container != Container::Init)
            .map(|port| NamedPort {
                name: port.name.into(),
                protocol: port.protocol.unwrap_or(Protocol::Tcp),
                port: port.port,
            })
            .collect();
        named_ports.sort();
        Identity {
            namespace: namespace.into(),
            namespace_labels: labels
                .map(|pairs| namespace_labels(pairs).with(NAMESPACE_NAME_LABEL, namespace)),
            labels: pod.labels.iter().copied().collect(),
            named_ports: named_ports.into(),
        }
    }

    /// The policies as they should be understood, sorted by name.
    pub fn intended(&self) -> Vec<Policy> {
        let mut all: Vec<Policy> = (0..self.policies.len())
            .map(|at| self.policies[at].intended(self.policy_name(at)))
            .collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all
    }
}

pub fn namespace_labels(pairs: &Pairs) -> Labels {
    pairs.iter().copied().collect()
}

impl PolicyText {
    fn intended(&self, name: ObjectName) -> Policy {
        let (ingress, egress) = self.directions();
        Policy {
            name,
            subjects: match &self.subjects {
                Field::Missing | Field::Null => Selector::everything(),
                Field::Given(selector) => selector.intended(),
            },
            ingress: ingress.then(|| rules(&self.ingress)),
            egress: egress.then(|| rules(&self.egress)),
            terminating: false,
        }
    }

    /// S9 to S14: the types that are named; Ingress, and Egress where there are egress rules, if none
    /// are; both if none of those named is known.
    fn directions(&self) -> (bool, bool) {
        let egress_rules = matches!(&self.egress, Field::Given(rules) if !rules.is_empty());
        match &self.types {
            Field::Given(types) if !types.is_empty() => {
                let named = |word| types.contains(&word);
                let none = !named("Ingress") && !named("Egress");
                (named("Ingress") || none, named("Egress") || none)
            }
            Field::Given(_) | Field::Missing | Field::Null => (true, egress_rules),
        }
    }
}

fn rules(written: &Field<Vec<RuleText>>) -> Vec<Rule> {
    let Field::Given(rules) = written else {
        return Vec::new();
    };
    let one = |rule: &RuleText| Rule {
        peers: match &rule.peers {
            Field::Given(peers) if !peers.is_empty() => {
                Peers::OneOf(peers.iter().map(PeerText::intended).collect())
            }
            Field::Given(_) | Field::Missing | Field::Null => Peers::Any,
        },
        ports: match &rule.ports {
            Field::Given(ports) if !ports.is_empty() => {
                Ports::OneOf(ports.iter().map(PortText::intended).collect())
            }
            Field::Given(_) | Field::Missing | Field::Null => Ports::Any,
        },
    };
    rules.iter().map(one).collect()
}

impl PeerText {
    fn intended(&self) -> PeerSpec {
        match self {
            Self::Selectors { namespaces, pods } => PeerSpec::Pods {
                namespaces: match namespaces {
                    None => Namespaces::Own,
                    Some(selector) => Namespaces::Matching(selector.intended()),
                },
                pods: pods
                    .as_ref()
                    .map_or(Selector::everything(), SelectorText::intended),
            },
            Self::Block { cidr, except } => PeerSpec::Block(IpBlock {
                cidr: cidr.intended(),
                except: except.iter().map(Cidr::intended).collect(),
            }),
            Self::Broken(_) => PeerSpec::Broken,
        }
    }
}

impl SelectorText {
    fn intended(&self) -> Selector {
        let Self::Readable {
            labels,
            expressions,
        } = self
        else {
            return Selector::Broken;
        };
        let equal = labels.iter().map(|(key, value)| Requirement {
            key: (*key).into(),
            test: Test::In(vec![(*value).into()]),
        });
        let expressed = expressions.iter().map(|(key, operator)| Requirement {
            key: (*key).into(),
            test: match operator {
                Operator::In(values) => Test::In(values.iter().map(|one| (*one).into()).collect()),
                Operator::NotIn(values) => {
                    Test::NotIn(values.iter().map(|one| (*one).into()).collect())
                }
                Operator::Exists => Test::Exists,
                Operator::DoesNotExist => Test::DoesNotExist,
            },
        });
        Selector::All(equal.chain(expressed).collect())
    }
}

impl PortText {
    fn intended(&self) -> PortSpec {
        let range = |protocol: &Option<Protocol>, first, last| PortSpec::Range {
            protocol: protocol.unwrap_or(Protocol::Tcp),
            first,
            last,
        };
        match self {
            Self::All(protocol) => range(protocol, 0, u16::MAX),
            Self::Number(protocol, port) => range(protocol, *port, *port),
            Self::Range(protocol, first, last) => range(protocol, *first, *last),
            Self::Named(protocol, name) => PortSpec::Named {
                protocol: protocol.unwrap_or(Protocol::Tcp),
                name: (*name).into(),
            },
            Self::Broken(_) => PortSpec::Broken,
        }
    }
}

impl Cidr {
    /// Host bits off.
    fn intended(&self) -> IpNet {
        match self.address {
            IpAddr::V4(address) => {
                let mask = u32::MAX
                    .checked_shl(u32::from(32 - self.prefix))
                    .unwrap_or(0);
                let start = Ipv4Addr::from(u32::from(address) & mask);
                Ipv4Net::new(start, self.prefix).unwrap().into()
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX
                    .checked_shl(u32::from(128 - self.prefix))
                    .unwrap_or(0);
                let start = Ipv6Addr::from(u128::from(address) & mask);
                Ipv6Net::new(start, self.prefix).unwrap().into()
            }
        }
    }
}
