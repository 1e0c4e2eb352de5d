//! Rules of others in tables that `nft` made itself, which the save programs of iptables do not show.
//!
//! May enter: what `nft list ruleset` prints. Deliberately absent: running it, and the tables of
//! iptables-nft, which the save programs show better.
//!
//! Reads tolerantly and too strictly rather than too loosely: in a chain that can see an inbound
//! packet, every statement that translates, redirects or rewrites addresses counts, wherever it stands.

use crate::backend::Backend;
use crate::foreign::ForeignRule;
use crate::mode::Mode;
use crate::wanted::Family;

/// The statements that give a packet another source or destination, or take it.
const TAKING: [&str; 5] = ["dnat", "redirect", "snat", "masquerade", "tproxy"];

/// The hooks that no inbound packet passes on its way to a socket.
const OUTWARD: [&str; 3] = ["output", "postrouting", "egress"];

/// The tables that iptables-nft keeps, in families `ip` and `ip6`.
const COMPATIBLE: [&str; 5] = ["filter", "nat", "mangle", "raw", "security"];

/// Lists them, in the order in which they stand; one of a table for both families comes twice.
pub(crate) fn native(mode: &Mode, ruleset: &str) -> Vec<ForeignRule> {
    let is_queue = matches!(mode, Mode::Queue(_));
    let mut found = Vec::new();
    let (mut table, mut chain, mut at) = (None, String::new(), "");
    for line in ruleset.lines().map(str::trim) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["table", family, name, "{"] => table = Table::of(family, name),
            ["chain", name, "{"] => {
                (*name).clone_into(&mut chain);
                at = "";
            }
            ["type", _, "hook", hook, ..] => at = hook,
            words if is_taking(words, at) || is_queue && is_marking(words, at) => {
                if let Some(table) = &table {
                    found.extend(table.rules(&chain, line));
                }
            }
            _ => {}
        }
    }
    found
}

/// A table that is not one of iptables-nft's.
struct Table {
    name: String,
    families: &'static [Family],
}

impl Table {
    fn of(family: &str, name: &str) -> Option<Self> {
        let families: &[Family] = match family {
            "ip" => &[Family::Ipv4],
            "ip6" => &[Family::Ipv6],
            _ => &Family::ALL,
        };
        let compatible = families.len() == 1 && COMPATIBLE.contains(&name);
        (!compatible).then(|| Self {
            name: format!("{family} {name}"),
            families,
        })
    }

    fn rules(&self, chain: &str, line: &str) -> impl Iterator<Item = ForeignRule> {
        self.families.iter().map(move |family| ForeignRule {
            backend: Backend::Nft,
            family: *family,
            table: format!("nft's own table {}, chain {chain}", self.name),
            rule: line.to_owned(),
        })
    }
}

/// Whether the connection's mark is set, wherever, or the packet's or a zone of connection tracking on the way in.
/// Which bits cannot always be told, so all count.
fn is_marking(words: &[&str], hook: &str) -> bool {
    let inward = !OUTWARD.contains(&hook);
    words.windows(3).any(|three| match three {
        ["ct", "mark", "set"] => true,
        ["meta", "mark", "set"] => inward,
        [_, "zone", "set"] => inward,
        _ => false,
    })
}

/// Whether an inbound packet meets one of the statements among `words`, or has an address set (`ip
/// saddr set ...`).
fn is_taking(words: &[&str], hook: &str) -> bool {
    if OUTWARD.contains(&hook) {
        return false;
    }
    let rewrites = |pair: &[&str]| matches!(pair, ["saddr" | "daddr" | "sport" | "dport", "set"]);
    words.iter().any(|word| TAKING.contains(word)) || words.windows(2).any(rewrites)
}

#[cfg(test)]
mod tests;
