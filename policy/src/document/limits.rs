//! How much text is read, so that a hostile or broken file costs bounded time and memory.
//!
//! The numbers hold for one text, that is one file, and carry 100,000 pods in one `List`.

use serde_saphyr::Options;

/// Longest text in bytes: 1 GiB.
///
/// A pod as `kubectl get -o yaml` prints it has 4 to 10 KiB, so this holds 100,000 of them.
pub const MAX_TEXT: usize = 1 << 30;

/// Most documents in one text.
pub const MAX_DOCUMENTS: usize = 1_000_000;

/// Most nodes (scalars, lists, mappings) of one text: 100,000 pods of 2,000 nodes each.
const MAX_NODES: usize = 200_000_000;

/// Deepest nesting. A Pod has about 12 levels; schemas of other kinds in the same file reach 40.
const MAX_DEPTH: usize = 64;

/// Most nodes that aliases may repeat in one text, against "billion laughs".
const MAX_REPLAYED: usize = 1_000_000;

/// The YAML reader's settings: these limits, keys given twice refused, numbers as kubectl reads them.
pub(super) fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_reader_input_bytes: Some(MAX_TEXT),
            max_documents: MAX_DOCUMENTS,
            max_nodes: MAX_NODES,
            // Each node has at most two events, its start and its end.
            max_events: 2 * MAX_NODES,
            max_depth: MAX_DEPTH,
            max_total_scalar_bytes: MAX_TEXT,
        },
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::Error,
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: MAX_REPLAYED,
        },
        // kubectl reads YAML 1.1, in which 0600 is octal; as a port it must not become another number.
        legacy_octal_numbers: true,
        // A tag of somebody's own could mean anything.
        reject_unsupported_tags: true,
        emit_comments: false,
        with_snippet: false,
    }
}
