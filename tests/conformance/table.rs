//! Truth tables: what is applied, who is asked, and what the answer must be. Text in, expectations out; no packet here.
//!
//! A table's line says who may enter whom, `x/a <- x/b y/*`, or whom somebody may call, `x/* -> nobody`. A pod that no
//! line names is open in that direction. A pod always reaches itself. podwall stands at the door of the one who is
//! called, so on the wire only the lines with `<-` hold; the engine is asked about both.

use std::fmt;

/// The namespaces, and the pods in each.
pub const NAMESPACES: [&str; 3] = ["x", "y", "z"];
pub const PODS: [&str; 3] = ["a", "b", "c"];

/// A transport protocol.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Protocol {
    Tcp,
    Udp,
    Sctp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Sctp => "SCTP",
        })
    }
}

/// An address family.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Family {
    V4,
    V6,
}

pub const BOTH: [Family; 2] = [Family::V4, Family::V6];

/// One story: changes, and after each what every pair of pods gets.
pub struct Case {
    pub name: &'static str,
    pub steps: Vec<Step>,
}

pub struct Step {
    pub changes: Vec<Change>,
    pub asks: Vec<Ask>,
}

/// What is different from now on.
#[derive(Clone, Debug)]
pub enum Change {
    /// These policies and no others. `<x/a 4>` and `<x/a 6>` stand for a pod's addresses.
    Policies(String),
    /// A pod's labels beside `pod`.
    Pod(&'static str, &'static [(&'static str, &'static str)]),
    /// A namespace's labels beside that of its name.
    Namespace(&'static str, &'static [(&'static str, &'static str)]),
}

/// Every pair of pods is asked on a port; this is the table of the answers.
pub struct Ask {
    pub port: u16,
    pub protocol: Protocol,
    pub families: Vec<Family>,
    pub table: Table,
}

/// A case of these steps.
pub fn case(name: &'static str, steps: impl Into<Vec<Step>>) -> Case {
    Case {
        name,
        steps: steps.into(),
    }
}

/// A step that puts these policies in force, each a namespace, a name and its spec.
pub fn policies(all: &[(&str, &str, &str)]) -> Step {
    let documents = all.iter().map(|(namespace, name, spec)| {
        format!(
            "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n\
             metadata: {{ name: {name}, namespace: '{namespace}' }}\nspec: {spec}\n"
        )
    });
    change(Change::Policies(documents.collect()))
}

pub fn change(change: Change) -> Step {
    Step {
        changes: vec![change],
        asks: Vec::new(),
    }
}

impl Step {
    /// The same step with one more change.
    pub fn and(mut self, change: Change) -> Self {
        self.changes.push(change);
        self
    }

    pub fn tcp(self, port: u16, table: &str) -> Self {
        self.ask(port, Protocol::Tcp, &BOTH, table)
    }

    pub fn udp(self, port: u16, table: &str) -> Self {
        self.ask(port, Protocol::Udp, &BOTH, table)
    }

    pub fn ask(mut self, port: u16, protocol: Protocol, families: &[Family], table: &str) -> Self {
        self.asks.push(Ask {
            port,
            protocol,
            families: families.to_vec(),
            table: Table::read(table),
        });
        self
    }
}

impl fmt::Display for Ask {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.port, self.protocol)
    }
}

/// The lines of a table.
pub struct Table {
    ingress: Vec<Line>,
    egress: Vec<Line>,
}

/// Whom it is about, and its friends.
struct Line {
    about: String,
    friends: Vec<String>,
}

impl Table {
    fn read(text: &str) -> Self {
        let mut table = Self {
            ingress: Vec::new(),
            egress: Vec::new(),
        };
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (side, parts) = match line.split_once("<-") {
                Some(parts) => (&mut table.ingress, Some(parts)),
                None => (&mut table.egress, line.split_once("->")),
            };
            let (about, friends) = parts.unwrap_or_else(|| panic!("no arrow in {line:?}"));
            let line = Line {
                about: known(about.trim()),
                friends: friends.split_whitespace().map(known).collect(),
            };
            assert!(!line.friends.is_empty(), "write `nobody`: {text}");
            side.push(line);
        }
        table
    }

    /// Whether the one who is called lets the caller in.
    pub fn admits(&self, from: &str, to: &str) -> bool {
        from == to || answer(&self.ingress, to, from)
    }

    /// Whether some line is about callers.
    pub fn holds_back(&self) -> bool {
        !self.egress.is_empty()
    }

    /// Whether the caller may call.
    pub fn lets_out(&self, from: &str, to: &str) -> bool {
        from == to || answer(&self.egress, from, to)
    }
}

fn answer(lines: &[Line], about: &str, friend: &str) -> bool {
    let line = lines.iter().find(|line| is(&line.about, about));
    line.is_none_or(|line| line.friends.iter().any(|one| is(one, friend)))
}

/// Whether a pod is meant by `x/a`, `x/*`, `*/a`, `everybody` or `nobody`.
fn is(pattern: &str, pod: &str) -> bool {
    match pattern {
        "everybody" => true,
        "nobody" => false,
        _ => {
            let (namespace, name) = pattern.split_once('/').expect("a pattern");
            let (of, called) = pod.split_once('/').expect("a pod");
            [(namespace, of), (name, called)]
                .iter()
                .all(|(wanted, has)| *wanted == "*" || wanted == has)
        }
    }
}

/// A word that means somebody; one with a slip would make a line that holds for nobody.
fn known(pattern: &str) -> String {
    let somebody = everyone().iter().any(|pod| is(pattern, pod));
    assert!(somebody || pattern == "nobody", "nobody is {pattern:?}");
    pattern.to_owned()
}

/// Every pod.
pub fn everyone() -> Vec<String> {
    let of = |namespace: &'static str| PODS.map(|pod| format!("{namespace}/{pod}"));
    NAMESPACES.into_iter().flat_map(of).collect()
}

#[test]
fn a_table_says_who_may_enter_and_whom_one_may_call() {
    let table = Table::read("x/a <- x/b y/*\n y/* <- nobody\n x/c -> z/a");
    for (from, to, enters, calls) in [
        ("x/b", "x/a", true, true),
        ("y/c", "x/a", true, true),
        ("z/a", "x/a", false, true),
        ("x/a", "x/a", true, true),
        ("x/a", "y/b", false, true),
        ("x/c", "z/a", true, true),
        ("x/c", "z/b", true, false),
        ("x/b", "z/b", true, true),
    ] {
        assert_eq!(table.admits(from, to), enters, "{from} into {to}");
        assert_eq!(table.lets_out(from, to), calls, "{from} calls {to}");
    }
}
