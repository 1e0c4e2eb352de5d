//! Generators: small clusters in which names, labels, ports and addresses meet often.
//!
//! Few words on purpose. A label key that only one pod has, or a range that no address is in, would
//! make nearly every answer "no".

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use podwall_policy::flow::{Direction, Protocol};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::model::{
    Cidr, Cluster, Container, Declared, Field, NAMESPACES, Operator, Pairs, PeerText, Pod,
    PolicyText, PortText, RuleText, SelectorText, Spelling, Word,
};
use crate::scene::{End, Question, Scene};

const KEYS: &[Word] = &["app", "tier"];
const VALUES: &[Word] = &["", "a", "b"];
const NAME_KEY: Word = podwall_policy::object::NAMESPACE_NAME_LABEL;
const PORT_NAMES: &[Word] = &["http", "dns", "web"];
const PORTS: &[u16] = &[53, 80, 81, 443, 8080];

const BROKEN_SELECTORS: &[Word] = &[
    "{matchExpressions: [{key: app, operator: Like, values: [a]}]}",
    "{matchExpressions: [{key: app, operator: In}]}",
    "{matchExpressions: [{key: app, operator: NotIn, values: []}]}",
    "{matchExpressions: [{key: tier, operator: DoesNotExist, values: [a]}]}",
    "{matchLabels: {app: \"no value!\"}}",
    "{matchLabels: {app: a}, matchAnnotations: {tier: a}}",
    "[]",
];
const BROKEN_PEERS: &[Word] = &[
    "{}",
    "null",
    "{serviceSelector: {}}",
    "{podSelector: null}",
    "{podSelector: {}, ipBlock: {cidr: 0.0.0.0/0}}",
    "{ipBlock: {}}",
    "{ipBlock: {cidr: everything}}",
    "{ipBlock: {cidr: 10.0.0.0}}",
    "{ipBlock: {cidr: 10.0.0.0/33}}",
    "{ipBlock: {cidr: 0.0.0.0/0, except: [nothing]}}",
];
const BROKEN_PORTS: &[Word] = &[
    "null",
    "{endPort: 443}",
    "{port: 443, endPort: 80}",
    "{port: http, endPort: 443}",
    "{port: 0}",
    "{port: 65536}",
    "{port: \"80\"}",
    "{port: HTTP}",
    "{protocol: ICMP}",
    "{port: 80, protocol: tcp}",
];

pub fn scene(flows: usize) -> impl Strategy<Value = Scene> {
    (cluster(), vec(question(), flows))
        .prop_map(|(cluster, questions)| Scene { cluster, questions })
}

fn cluster() -> impl Strategy<Value = Cluster> {
    let namespaces = [namespace(), namespace(), namespace()];
    (namespaces, vec(pod(), 1..=4), vec(policy(), 1..=4)).prop_map(
        |(namespaces, pods, policies)| Cluster {
            namespaces,
            pods,
            policies,
        },
    )
}

fn namespace() -> impl Strategy<Value = Option<Pairs>> {
    prop_oneof![3 => labels().prop_map(Some), 1 => Just(None)]
}

/// No key twice.
fn labels() -> impl Strategy<Value = Pairs> {
    vec(option::of(select(VALUES)), KEYS.len()).prop_map(|values| {
        let named = KEYS.iter().zip(values);
        named
            .filter_map(|(key, value)| Some((*key, value?)))
            .collect()
    })
}

/// Most things happen in the first namespace, so that policies meet pods.
fn home() -> impl Strategy<Value = usize> {
    prop_oneof![2 => Just(0usize), 1 => 0..NAMESPACES.len()]
}

fn pod() -> impl Strategy<Value = Pod> {
    (
        home(),
        labels(),
        vec(address(), 0..=2),
        vec(declared(), 0..=3),
    )
        .prop_map(|(namespace, labels, addresses, ports)| Pod {
            namespace,
            labels,
            addresses: no_twins(addresses, |one, other| one == other),
            ports: no_twins(ports, |one, other| {
                let protocol = |port: &Declared| port.protocol.unwrap_or(Protocol::Tcp);
                one.name == other.name && protocol(one) == protocol(other)
            }),
        })
}

fn no_twins<T>(items: Vec<T>, same: impl Fn(&T, &T) -> bool) -> Vec<T> {
    let mut kept: Vec<T> = Vec::new();
    for item in items {
        if !kept.iter().any(|one| same(one, &item)) {
            kept.push(item);
        }
    }
    kept
}

fn declared() -> impl Strategy<Value = Declared> {
    let container = prop_oneof![
        4 => Just(Container::Main),
        1 => Just(Container::NativeSidecar),
        1 => Just(Container::Init),
    ];
    (select(PORT_NAMES), transport(), select(PORTS), container).prop_map(
        |(name, protocol, port, container)| Declared {
            name,
            protocol,
            port,
            container,
        },
    )
}

fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        3 => (0..=1u8, 0..=1u8, 0..=7u8)
            .prop_map(|(b, c, d)| IpAddr::from(Ipv4Addr::new(10, b, c, d))),
        1 => (0..=1u16, 0..=7u16)
            .prop_map(|(g, h)| IpAddr::from(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, g, h))),
    ]
}

fn policy() -> impl Strategy<Value = PolicyText> {
    let types = select(&["Ingress", "Egress", "Sideways"][..]);
    let types = prop_oneof![
        3 => Just(vec!["Ingress", "Egress"]),
        1 => vec(types, 0..=2),
    ];
    let subjects = prop_oneof![2 => Just(everything()), 3 => selector(KEYS)];
    (home(), field(subjects), field(types), rules(), rules()).prop_map(
        |(namespace, subjects, types, ingress, egress)| PolicyText {
            namespace,
            subjects,
            types,
            ingress,
            egress,
        },
    )
}

fn everything() -> SelectorText {
    SelectorText::Readable {
        labels: Vec::new(),
        expressions: Vec::new(),
    }
}

/// Given three times in four.
fn field<T: Clone + std::fmt::Debug + 'static>(
    given: impl Strategy<Value = T> + 'static,
) -> impl Strategy<Value = Field<T>> {
    prop_oneof![
        1 => Just(Field::Missing),
        1 => Just(Field::Null),
        6 => given.prop_map(Field::Given),
    ]
}

fn rules() -> impl Strategy<Value = Field<Vec<RuleText>>> {
    prop_oneof![
        20 => field(vec(rule(), 0..=1)),
        60 => vec(rule(), 1..=3).prop_map(Field::Given),
        1 => (56..=66usize, vec(rule(), 1..=3)).prop_map(|(idle, rules)| {
            Field::Given(vec![idle_rule(); idle].into_iter().chain(rules).collect())
        }),
    ]
}

/// Matches nobody; many of them push the others beyond the first 64.
fn idle_rule() -> RuleText {
    let cidr = Cidr {
        address: Ipv4Addr::new(198, 18, 0, 0).into(),
        prefix: 15,
        spelling: Spelling::Plain,
    };
    let except = Vec::new();
    RuleText {
        peers: Field::Given(vec![PeerText::Block { cidr, except }]),
        ports: Field::Missing,
    }
}

fn rule() -> impl Strategy<Value = RuleText> {
    let peers = prop_oneof![
        1 => field(vec(peer(), 0..=3)),
        2 => vec(peer(), 1..=2).prop_map(Field::Given),
    ];
    let ports = field(vec(port(), 0..=3));
    (peers, ports).prop_map(|(peers, ports)| RuleText { peers, ports })
}

fn peer() -> impl Strategy<Value = PeerText> {
    let selectors = |namespaces, pods| PeerText::Selectors { namespaces, pods };
    prop_oneof![
        4 => selector(KEYS).prop_map(move |pods| selectors(None, Some(pods))),
        3 => namespace_selector().prop_map(move |one| selectors(Some(one), None)),
        3 => (namespace_selector(), selector(KEYS))
            .prop_map(move |(one, pods)| selectors(Some(one), Some(pods))),
        4 => (cidr(), vec(cidr(), 0..=3)).prop_map(|(cidr, except)| PeerText::Block { cidr, except }),
        // Except the whole range, and a part of a part.
        1 => (cidr(), cidr()).prop_map(|(cidr, other)| PeerText::Block {
            except: vec![cidr.clone(), other],
            cidr,
        }),
        1 => select(BROKEN_PEERS).prop_map(PeerText::Broken),
    ]
}

fn namespace_selector() -> impl Strategy<Value = SelectorText> {
    let by_name = vec(select(&NAMESPACES[..]), 1..=2).prop_map(|names| SelectorText::Readable {
        labels: Vec::new(),
        expressions: vec![(NAME_KEY, Operator::In(names))],
    });
    prop_oneof![3 => selector(KEYS), 1 => by_name]
}

fn selector(keys: &'static [Word]) -> impl Strategy<Value = SelectorText> {
    let labels = prop_oneof![2 => Just(Vec::new()), 1 => labels()];
    let expressions = vec((select(keys), operator()), 0..=2);
    prop_oneof![
        15 => (labels, expressions).prop_map(|(labels, expressions)| SelectorText::Readable {
            labels,
            expressions,
        }),
        1 => select(BROKEN_SELECTORS).prop_map(SelectorText::Broken),
    ]
}

fn operator() -> impl Strategy<Value = Operator> {
    prop_oneof![
        vec(select(VALUES), 1..=2).prop_map(Operator::In),
        vec(select(VALUES), 1..=2).prop_map(Operator::NotIn),
        Just(Operator::Exists),
        Just(Operator::DoesNotExist),
    ]
}

fn cidr() -> impl Strategy<Value = Cidr> {
    let spelling = prop_oneof![
        4 => Just(Spelling::Plain),
        1 => Just(Spelling::LeadingZeros),
        1 => Just(Spelling::Mapped),
    ];
    // How many bits are left to the host: few, so that neighbours differ, or many.
    let host = prop_oneof![3 => 0..=4u8, 2 => 0..=18u8, 1 => 0..=32u8, 1 => Just(128u8)];
    (address(), host, spelling).prop_map(|(address, host, spelling)| {
        let bits = if address.is_ipv4() { 32u8 } else { 128 };
        let spelling = if address.is_ipv4() {
            spelling
        } else {
            Spelling::Plain
        };
        let prefix = bits.saturating_sub(host);
        Cidr {
            address,
            prefix,
            spelling,
        }
    })
}

fn port() -> impl Strategy<Value = PortText> {
    prop_oneof![
        1 => transport().prop_map(PortText::All),
        3 => (transport(), select(PORTS)).prop_map(|(protocol, port)| PortText::Number(protocol, port)),
        2 => (transport(), select(PORTS), select(PORTS)).prop_map(|(protocol, one, other)| {
            PortText::Range(protocol, one.min(other), one.max(other))
        }),
        3 => (transport(), select(PORT_NAMES)).prop_map(|(protocol, name)| PortText::Named(protocol, name)),
        1 => select(BROKEN_PORTS).prop_map(PortText::Broken),
    ]
}

/// Written or left out.
fn transport() -> impl Strategy<Value = Option<Protocol>> {
    prop_oneof![3 => Just(None), 3 => protocol().prop_map(Some)]
}

fn protocol() -> impl Strategy<Value = Protocol> {
    prop_oneof![
        3 => Just(Protocol::Tcp),
        1 => Just(Protocol::Udp),
        1 => Just(Protocol::Sctp),
    ]
}

fn question() -> impl Strategy<Value = Question> {
    let direction = prop_oneof![Just(Direction::Ingress), Just(Direction::Egress)];
    let port = prop_oneof![6 => select(PORTS), 1 => any::<u16>()];
    (any::<Index>(), end(), direction, protocol(), port).prop_map(
        |(subject, end, direction, protocol, port)| Question {
            subject,
            end,
            direction,
            protocol,
            port,
        },
    )
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        24 => (any::<Index>(), any::<Index>()).prop_map(|(pod, address)| End::Pod { pod, address }),
        8 => address().prop_map(End::Unknown),
        6 => address().prop_map(End::Outside),
        1 => address().prop_map(End::Node),
        1 => address().prop_map(End::Own),
    ]
}
