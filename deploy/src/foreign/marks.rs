//! Which rules of others write the bits by which mode queue knows what is admitted and what refused.
//!
//! May enter: one rule. Deliberately absent: where it stands.

use crate::dump::Rule;
use crate::mode::{ADMITTED, OWN, REFUSED};

/// Whether a rule can set a bit of a packet's mark that lets it in.
pub(super) fn admits(rule: &Rule) -> bool {
    // The mask of the packet says what is cleared, that of the connection what comes over.
    let restores = || {
        let comes = written(rule, "--ctmask") & (ADMITTED | OWN) != 0 || shifts(rule);
        rule.target() == Some("CONNMARK") && rule.has("--restore-mark") && comes
    };
    let sets = || {
        let set = value_and_mask(rule).0;
        rule.target() == Some("MARK") && set & (ADMITTED | OWN) != 0
    };
    sets() || restores()
}

/// Whether a rule puts flows into a zone of connection tracking, where the sidecar does not find them.
pub(super) fn hides(rule: &Rule) -> bool {
    let zones = ["--zone", "--zone-orig", "--zone-reply"];
    rule.target() == Some("CT") && zones.iter().any(|option| rule.has(option))
}

/// Whether a rule can set either bit of the connection's mark, or clear the one that refuses.
pub(super) fn remembers(rule: &Rule) -> bool {
    if rule.target() != Some("CONNMARK") || rule.has("--restore-mark") {
        return false;
    }
    let (set, cleared) = match rule.has("--save-mark") {
        true => (written(rule, "--nfmask"), written(rule, "--ctmask")),
        false => value_and_mask(rule),
    };
    set & (ADMITTED | REFUSED) != 0 || cleared & REFUSED != 0 || shifts(rule)
}

/// Whether other bits may come to stand where ours are.
fn shifts(rule: &Rule) -> bool {
    let shifts = ["--left-shift-mark", "--right-shift-mark"];
    shifts.iter().any(|option| rule.has(option))
}

/// What `--set-xmark` flips, and what it clears before. An option that cannot be read could be anything.
fn value_and_mask(rule: &Rule) -> (u32, u32) {
    let read = |text: &str| {
        let (value, mask) = text.split_once('/').unwrap_or((text, "0xffffffff"));
        Some((number(value)?, number(mask)?))
    };
    let option = ["--set-xmark", "--set-mark"]
        .iter()
        .find_map(|one| rule.value(one));
    option.and_then(read).unwrap_or((u32::MAX, u32::MAX))
}

/// The bits that a mask lets through; all where it is not there or cannot be read.
fn written(rule: &Rule, option: &str) -> u32 {
    rule.value(option).and_then(number).unwrap_or(u32::MAX)
}

fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests;
