//! A pod's UID in little room: a UUID is 16 bytes, any other text is kept as it is.

use std::sync::Arc;

/// Where a UUID has its hyphens.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];

/// A pod's UID, or that it has none.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Uid {
    /// The source knows none: the pod's name is all there is.
    Absent,
    /// What the API server gives.
    Uuid([u8; 16]),
    /// A text of any other form.
    Text(Arc<str>),
}

impl Uid {
    /// Two are equal exactly where their texts are: only the one spelling of a UUID that can be told
    /// from its bytes counts as one.
    pub(super) fn new(text: Option<&str>) -> Self {
        let Some(text) = text else {
            return Self::Absent;
        };
        uuid(text).map_or_else(|| Self::Text(text.into()), Self::Uuid)
    }
}

/// The bytes of a UUID in lower case with hyphens.
fn uuid(text: &str) -> Option<[u8; 16]> {
    let text: &[u8; 36] = text.as_bytes().try_into().ok()?;
    if HYPHENS.iter().any(|at| text[*at] != b'-') {
        return None;
    }
    let mut digits = (0..text.len()).filter(|at| !HYPHENS.contains(at));
    let mut digit = || match text[digits.next()?] {
        one @ b'0'..=b'9' => Some(one - b'0'),
        one @ b'a'..=b'f' => Some(one - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; 16];
    for byte in &mut bytes {
        *byte = digit()? << 4 | digit()?;
    }
    Some(bytes)
}
