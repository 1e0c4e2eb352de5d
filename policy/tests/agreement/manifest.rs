//! The model as manifests: one document per object, in YAML's flow style.

use std::fmt::Write;
use std::net::{IpAddr, Ipv6Addr};

use podwall_policy::flow::Protocol;

use crate::model::{
    Cidr, Cluster, Container, Field, NAMESPACES, Operator, Pairs, PeerText, Pod, PolicyText,
    PortText, RuleText, SelectorText, Spelling, Word,
};

/// All objects of the cluster.
pub fn manifests(cluster: &Cluster) -> String {
    let mut text = String::new();
    for (name, labels) in NAMESPACES.iter().zip(&cluster.namespaces) {
        if let Some(labels) = labels {
            let labels = pairs(labels);
            let _ = writeln!(
                text,
                "---\n{{apiVersion: v1, kind: Namespace, metadata: {{name: {name}, labels: {labels}}}}}"
            );
        }
    }
    for (at, one) in cluster.pods.iter().enumerate() {
        let name = cluster.pod_name(at);
        let _ = writeln!(text, "---\n{}", pod(one, &name.namespace, &name.name));
    }
    for (at, one) in cluster.policies.iter().enumerate() {
        let name = cluster.policy_name(at);
        let version = "networking.k8s.io/v1";
        let head = head(version, "NetworkPolicy", &name.namespace, &name.name, None);
        let _ = writeln!(text, "---\n{{{head}, spec: {}}}", spec(one));
    }
    text
}

/// `apiVersion`, `kind` and `metadata`, the latter with `more` in it.
fn head(version: &str, kind: &str, namespace: &str, name: &str, more: Option<String>) -> String {
    let name = Some(format!("name: {name}"));
    let metadata = map(&[name, Some(format!("namespace: {namespace}")), more]);
    format!("apiVersion: {version}, kind: {kind}, metadata: {metadata}")
}

/// The document of a pod; empty parts are left out.
fn pod(pod: &Pod, namespace: &str, name: &str) -> String {
    let labels = (!pod.labels.is_empty()).then(|| format!("labels: {}", pairs(&pod.labels)));
    let containers = container(pod, Container::Main, "");
    let init: Vec<String> = [
        container(pod, Container::NativeSidecar, ", restartPolicy: Always"),
        container(pod, Container::Init, ""),
    ]
    .into_iter()
    .flatten()
    .collect();
    let spec = map(&[
        containers.map(|one| format!("containers: [{one}]")),
        (!init.is_empty()).then(|| format!("initContainers: [{}]", init.join(", "))),
    ]);
    let addresses = list(&pod.addresses, |one| format!("{{ip: \"{one}\"}}"));
    map(&[
        Some(head("v1", "Pod", namespace, name, labels)),
        (spec != "{}").then(|| format!("spec: {spec}")),
        (!pod.addresses.is_empty()).then(|| format!("status: {{podIPs: {addresses}}}")),
    ])
}

/// The container of one kind, if it declares ports.
fn container(pod: &Pod, kind: Container, more: &str) -> Option<String> {
    let ports: Vec<_> = pod
        .ports
        .iter()
        .filter(|port| port.container == kind)
        .collect();
    let shown = list(&ports, |port| {
        let protocol = protocol(port.protocol.as_ref());
        format!(
            "{{name: {}, containerPort: {}{protocol}}}",
            port.name, port.port
        )
    });
    (!ports.is_empty()).then(|| format!("{{name: c{more}, ports: {shown}}}"))
}

fn spec(policy: &PolicyText) -> String {
    let subjects = field("podSelector", &policy.subjects, selector);
    let types = field("policyTypes", &policy.types, |types| {
        list(types, |word| (*word).to_owned())
    });
    let ingress = field("ingress", &policy.ingress, |rules| {
        list(rules, |one| rule("from", one))
    });
    let egress = field("egress", &policy.egress, |rules| {
        list(rules, |one| rule("to", one))
    });
    map(&[subjects, types, ingress, egress])
}

fn rule(peers: &str, rule: &RuleText) -> String {
    map(&[
        field(peers, &rule.peers, |peers| list(peers, peer)),
        field("ports", &rule.ports, |ports| list(ports, port)),
    ])
}

fn peer(peer: &PeerText) -> String {
    let given = |name: &str, one: &Option<SelectorText>| {
        one.as_ref().map(|one| format!("{name}: {}", selector(one)))
    };
    match peer {
        PeerText::Selectors { namespaces, pods } => map(&[
            given("namespaceSelector", namespaces),
            given("podSelector", pods),
        ]),
        PeerText::Block {
            cidr: range,
            except,
        } => {
            let except = (!except.is_empty()).then(|| format!("except: {}", list(except, cidr)));
            let block = map(&[Some(format!("cidr: {}", cidr(range))), except]);
            format!("{{ipBlock: {block}}}")
        }
        PeerText::Broken(text) => (*text).to_owned(),
    }
}

fn selector(selector: &SelectorText) -> String {
    let (labels, expressions) = match selector {
        SelectorText::Broken(text) => return (*text).to_owned(),
        SelectorText::Readable {
            labels,
            expressions,
        } => (labels, expressions),
    };
    let labels = (!labels.is_empty()).then(|| format!("matchLabels: {}", pairs(labels)));
    let expressions = (!expressions.is_empty())
        .then(|| format!("matchExpressions: {}", list(expressions, expression)));
    map(&[labels, expressions])
}

fn expression((key, operator): &(Word, Operator)) -> String {
    let (word, values) = match operator {
        Operator::In(values) => ("In", values.as_slice()),
        Operator::NotIn(values) => ("NotIn", values.as_slice()),
        Operator::Exists => ("Exists", &[][..]),
        Operator::DoesNotExist => ("DoesNotExist", &[][..]),
    };
    let values =
        (!values.is_empty()).then(|| format!("values: {}", list(values, |one| format!("{one:?}"))));
    map(&[
        Some(format!("key: {key}")),
        Some(format!("operator: {word}")),
        values,
    ])
}

fn port(port: &PortText) -> String {
    match port {
        PortText::All(None) => "{}".to_owned(),
        PortText::All(Some(protocol)) => format!("{{protocol: {protocol}}}"),
        PortText::Number(transport, port) => {
            format!("{{port: {port}{}}}", protocol(transport.as_ref()))
        }
        PortText::Range(transport, first, last) => {
            let transport = protocol(transport.as_ref());
            format!("{{port: {first}, endPort: {last}{transport}}}")
        }
        PortText::Named(transport, name) => {
            format!("{{port: {name}{}}}", protocol(transport.as_ref()))
        }
        PortText::Broken(text) => (*text).to_owned(),
    }
}

fn protocol(protocol: Option<&Protocol>) -> String {
    protocol.map_or_else(String::new, |one| format!(", protocol: {one}"))
}

/// Quoted, since colons and leading zeros mean other things to YAML.
fn cidr(cidr: &Cidr) -> String {
    let prefix = cidr.prefix;
    match (cidr.address, cidr.spelling) {
        (IpAddr::V4(address), Spelling::LeadingZeros) => {
            let [a, b, c, d] = address.octets();
            format!("\"{a:03}.{b:03}.{c:02}.{d:03}/{prefix}\"")
        }
        (IpAddr::V4(address), Spelling::Mapped) => {
            let mapped: Ipv6Addr = address.to_ipv6_mapped();
            format!("\"{mapped}/{}\"", prefix + 96)
        }
        (address, _) => format!("\"{address}/{prefix}\""),
    }
}

fn pairs(pairs: &Pairs) -> String {
    let inner: Vec<String> = pairs
        .iter()
        .map(|(key, value)| format!("{key}: {value:?}"))
        .collect();
    format!("{{{}}}", inner.join(", "))
}

fn field<T>(name: &str, field: &Field<T>, show: impl Fn(&T) -> String) -> Option<String> {
    match field {
        Field::Missing => None,
        Field::Null => Some(format!("{name}: null")),
        Field::Given(value) => Some(format!("{name}: {}", show(value))),
    }
}

fn map(fields: &[Option<String>]) -> String {
    let given: Vec<&str> = fields.iter().flatten().map(String::as_str).collect();
    format!("{{{}}}", given.join(", "))
}

fn list<T>(items: &[T], show: impl Fn(&T) -> String) -> String {
    let shown: Vec<String> = items.iter().map(show).collect();
    format!("[{}]", shown.join(", "))
}
