//! What a save program prints, read into tables, chains and rules.
//!
//! May enter: text. Deliberately absent: which rules are ours or wanted.
//!
//! The same rule is printed differently by different versions and back ends (`-p icmp` or
//! `-p 1`, a missing `/32`, another order), so rules are compared as sets of [`Clause`]s.

use std::collections::BTreeMap;
use std::net::IpAddr;

/// One option of a rule: `! -i lo` is `{ negated: true, option: "-i", values: ["lo"] }`.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Clause {
    negated: bool,
    option: String,
    values: Vec<String>,
}

/// A rule as a save program printed it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Rule {
    /// The chain that holds it.
    pub(crate) chain: String,
    /// What followed `-A CHAIN`, verbatim.
    pub(crate) text: String,
    /// The same, in canonical form.
    pub(crate) clauses: Vec<Clause>,
}

impl Rule {
    /// Reads what follows `-A CHAIN`.
    pub(crate) fn new(chain: &str, text: &str) -> Self {
        Self {
            chain: chain.to_owned(),
            text: text.to_owned(),
            clauses: canonical(text),
        }
    }

    /// Whether an option is there.
    pub(crate) fn has(&self, option: &str) -> bool {
        self.clauses.iter().any(|clause| clause.option == option)
    }

    /// The first value of an option that is not negated.
    pub(crate) fn value(&self, option: &str) -> Option<&str> {
        let says = |clause: &&Clause| clause.option == option && !clause.negated;
        let clause = self.clauses.iter().find(says)?;
        clause.values.first().map(String::as_str)
    }

    /// Where matching packets go: the target of `-j`, or the chain of `-g`.
    pub(crate) fn target(&self) -> Option<&str> {
        let leads = |clause: &&Clause| clause.option == "-j" || clause.option == "-g";
        self.clauses
            .iter()
            .find(leads)?
            .values
            .first()
            .map(String::as_str)
    }

    /// The whole line, as the save program printed it.
    pub(crate) fn line(&self) -> String {
        format!("-A {} {}", self.chain, self.text)
    }
}

/// One table: its chains by name, and each chain's rules in order.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct TableDump {
    chains: BTreeMap<String, Vec<Rule>>,
}

impl TableDump {
    /// The rules of a chain in order, or `None` if there is no such chain.
    pub(crate) fn chain(&self, name: &str) -> Option<&[Rule]> {
        self.chains.get(name).map(Vec::as_slice)
    }

    /// Every chain with its rules, by name.
    pub(crate) fn chains(&self) -> impl Iterator<Item = (&str, &[Rule])> {
        self.chains
            .iter()
            .map(|(name, rules)| (name.as_str(), rules.as_slice()))
    }
}

/// All tables that a save program printed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Dump {
    tables: BTreeMap<String, TableDump>,
}

impl Dump {
    /// Reads the output of `iptables-save`, with or without counters. Comments and lines of a
    /// shape it does not know are skipped.
    pub(crate) fn parse(text: &str) -> Self {
        let mut dump = Self::default();
        let mut current = String::new();
        for line in text.lines().map(str::trim) {
            if let Some(table) = line.strip_prefix('*') {
                table.clone_into(&mut current);
                dump.tables.entry(current.clone()).or_default();
                continue;
            }
            let Some(table) = dump.tables.get_mut(&current) else {
                continue;
            };
            let line = without_counters(line);
            if let Some(chain) = line
                .strip_prefix(':')
                .and_then(|rest| rest.split(' ').next())
            {
                table.chains.entry(chain.to_owned()).or_default();
            } else if let Some(rest) = line.strip_prefix("-A ") {
                let (chain, text) = rest.split_once(' ').unwrap_or((rest, ""));
                table
                    .chains
                    .entry(chain.to_owned())
                    .or_default()
                    .push(Rule::new(chain, text));
            }
        }
        dump
    }

    /// A table; an absent one is an empty one.
    pub(crate) fn table(&self, name: &str) -> &TableDump {
        static EMPTY: TableDump = TableDump {
            chains: BTreeMap::new(),
        };
        self.tables.get(name).unwrap_or(&EMPTY)
    }

    /// Every table, by name.
    pub(crate) fn tables(&self) -> impl Iterator<Item = (&str, &TableDump)> {
        self.tables
            .iter()
            .map(|(name, table)| (name.as_str(), table))
    }
}

/// How many packets met the rules of a chain, all its rules together, in a table printed with counters; 0
/// where there is no such chain.
pub(crate) fn packets(text: &str, chain: &str) -> u64 {
    let of = |line: &str| {
        let (counters, rule) = line.trim().strip_prefix('[')?.split_once("] -A ")?;
        let is_there = rule.split(' ').next() == Some(chain);
        let (packets, _) = counters.split_once(':')?;
        packets.parse::<u64>().ok().filter(|_| is_there)
    };
    text.lines().filter_map(of).sum()
}

/// Takes the `[packets:bytes] ` off that `-c` puts before a rule.
fn without_counters(line: &str) -> &str {
    match line.strip_prefix('[') {
        Some(rest) => rest.split_once("] ").map_or(line, |(_, rule)| rule),
        None => line,
    }
}

/// Splits a rule into words as the restore programs do: double quotes hold blanks together, a
/// backslash inside them takes the next character as it is.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted, mut begun) = (Vec::new(), String::new(), false, false);
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => (quoted, begun) = (!quoted, true),
            '\\' if quoted => word.extend(letters.next()),
            blank if blank.is_whitespace() && !quoted => {
                if std::mem::take(&mut begun) {
                    words.push(std::mem::take(&mut word));
                }
            }
            other => {
                word.push(other);
                begun = true;
            }
        }
    }
    if begun {
        words.push(word);
    }
    words
}

/// A rule's clauses in canonical form: sorted, values in one spelling, and without the `-m` that
/// only repeats the protocol.
fn canonical(text: &str) -> Vec<Clause> {
    let mut clauses: Vec<Clause> = Vec::new();
    let mut negated = false;
    for word in words(text) {
        if word == "!" {
            negated = true;
        } else if word.len() > 1 && word.starts_with('-') {
            let negated = std::mem::take(&mut negated);
            clauses.push(Clause {
                negated,
                option: word,
                values: Vec::new(),
            });
        } else if let Some(last) = clauses.last_mut() {
            if std::mem::take(&mut negated) {
                last.negated = true;
            }
            let value = spelling(&last.option, word);
            last.values.push(value);
        }
    }
    let protocol = clauses
        .iter()
        .find(|clause| clause.option == "-p")
        .map(|c| c.values.clone());
    clauses.retain(|clause| {
        let repeats = clause.values.first().map(|name| vec![protocol_name(name)]) == protocol;
        clause.option != "-m" || !repeats
    });
    clauses.sort_unstable();
    clauses
}

/// One spelling for a value that the programs print in several.
fn spelling(option: &str, value: String) -> String {
    match option {
        "-p" => protocol_name(&value),
        "-s" | "-d" => network(&value).unwrap_or(value),
        "--ctstate" => {
            let mut states: Vec<&str> = value.split(',').collect();
            states.sort_unstable();
            states.join(",")
        }
        _ => value,
    }
}

/// Names a protocol that was given by number or by another name.
fn protocol_name(value: &str) -> String {
    let name = match value {
        "1" => "icmp",
        "6" => "tcp",
        "17" => "udp",
        "58" | "icmp6" | "icmpv6" => "ipv6-icmp",
        "132" => "sctp",
        other => other,
    };
    name.to_owned()
}

/// Writes `address`, `address/length` or `address/mask` as `address/length`.
fn network(value: &str) -> Option<String> {
    let (address, length) = value
        .split_once('/')
        .map_or((value, None), |(a, l)| (a, Some(l)));
    let address: IpAddr = address.parse().ok()?;
    let bits = if address.is_ipv4() { 32 } else { 128 };
    let length = match length {
        None => bits,
        Some(text) => text.parse().ok().or_else(|| mask_length(text))?,
    };
    Some(format!("{address}/{length}"))
}

/// The prefix length of a mask that is written as an address.
fn mask_length(mask: &str) -> Option<u32> {
    Some(match mask.parse().ok()? {
        IpAddr::V4(mask) => mask.to_bits().leading_ones(),
        IpAddr::V6(mask) => mask.to_bits().leading_ones(),
    })
}

#[cfg(test)]
mod tests;
