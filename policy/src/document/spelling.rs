//! Words as Kubernetes wants them: names, label keys and values, port names; and which known word a
//! misspelt one may have meant.
//!
//! May enter: text. Deliberately absent: where it stood.

/// Longest object name, a DNS subdomain (RFC 1123).
const SUBDOMAIN: usize = 253;
/// Longest DNS label, longest name part of a label key, longest label value.
const LABEL: usize = 63;
/// Longest port name (RFC 6335).
const PORT_NAME: usize = 15;

/// The mend for a label key.
pub(super) const LABEL_KEY: &str = "write NAME or PREFIX/NAME; the name has at most 63 letters, digits, - _ . and a letter or digit at both ends";
/// The mend for a label value.
pub(super) const LABEL_VALUE: &str =
    "write at most 63 letters, digits, - _ . with a letter or digit at both ends, or \"\"";

/// Whether `text` is a DNS label: a namespace's name.
pub(super) fn is_dns_label(text: &str) -> bool {
    let inner = |one: u8| one.is_ascii_lowercase() || one.is_ascii_digit() || one == b'-';
    (1..=LABEL).contains(&text.len())
        && text.bytes().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Whether `text` is a DNS subdomain: the name of a pod or policy, the prefix of a label key.
pub(super) fn is_dns_subdomain(text: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('-')
            && !part.ends_with('-')
            && part
                .bytes()
                .all(|one| one.is_ascii_lowercase() || one.is_ascii_digit() || one == b'-')
    };
    text.len() <= SUBDOMAIN && text.split('.').all(part)
}

/// Whether `text` is a label key: `name` or `prefix/name`.
pub(super) fn is_label_key(text: &str) -> bool {
    match text.split_once('/') {
        Some((prefix, name)) => is_dns_subdomain(prefix) && is_label_word(name),
        None => is_label_word(text),
    }
}

/// Whether `text` is a label value, which may be empty.
pub(super) fn is_label_value(text: &str) -> bool {
    text.is_empty() || is_label_word(text)
}

fn is_label_word(text: &str) -> bool {
    let end = |one: Option<u8>| one.is_some_and(|one| one.is_ascii_alphanumeric());
    let inner = |one: u8| one.is_ascii_alphanumeric() || matches!(one, b'-' | b'_' | b'.');
    text.len() <= LABEL
        && end(text.bytes().next())
        && end(text.bytes().last())
        && text.bytes().all(inner)
}

/// Whether `text` is a port name (S51): at most 15 of `a-z0-9-`, a letter among them, no hyphen at an
/// end nor beside another.
pub(super) fn is_port_name(text: &str) -> bool {
    let inner = |one: u8| one.is_ascii_lowercase() || one.is_ascii_digit() || one == b'-';
    (1..=PORT_NAME).contains(&text.len())
        && text.bytes().all(inner)
        && text.bytes().any(|one| one.is_ascii_lowercase())
        && !text.starts_with('-')
        && !text.ends_with('-')
        && !text.contains("--")
}

/// How to mend the unknown field `key` where `known` ones are possible.
pub(super) fn mend(key: &str, known: &[&str]) -> String {
    match nearest(key, known) {
        Some(word) => format!("did you mean `{word}`?"),
        None => format!("remove it; known here: {}", known.join(", ")),
    }
}

/// The known word that `key` may have meant: at most two letters off, case apart.
pub(super) fn nearest<'k>(key: &str, known: &[&'k str]) -> Option<&'k str> {
    // Longer keys are no slip of a known field, the longest of which has 16 letters.
    if key.len() > 32 {
        return None;
    }
    let key = key.to_lowercase();
    let distance = |word: &&'k str| edits(&key, &word.to_lowercase());
    let best = known.iter().copied().min_by_key(distance)?;
    (distance(&best) <= 2 && best.len() > 2).then_some(best)
}

/// How many letters to add, drop or change (Levenshtein).
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut corner = i;
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let change = corner + usize::from(a != *b);
            corner = row[j + 1];
            row[j + 1] = change.min(corner + 1).min(row[j] + 1);
        }
    }
    row[to.len()]
}
