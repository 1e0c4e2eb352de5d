//! The part of a document that anybody here reads, built while the text is parsed.
//!
//! What `kubectl get -o yaml` prints of a pod is nine parts in ten environment, volumes, conditions
//! and annotations; kept as values they would cost some 20 times their text in memory.
//!
//! Deliberately absent: judgement. What is left out can neither widen nor narrow anything.
//!
//! INVARIANT: what is left out keeps its key, with null, so every unknown field of a NetworkPolicy is
//! seen.

use std::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::{Map, Value};

/// A document without what nobody reads, for [`read_object`](super::read_object).
///
/// It takes any value of any shape; only its text's own syntax can fail.
#[derive(Debug)]
pub struct Excerpt(pub Value);

impl<'de> Deserialize<'de> for Excerpt {
    fn deserialize<D: Deserializer<'de>>(text: D) -> Result<Self, D::Error> {
        Part::Object.deserialize(text).map(Self)
    }
}

/// Which part of an object a value is.
#[derive(Clone, Copy)]
enum Part {
    /// An object, or a list of objects: an item of it is an object again.
    Object,
    Metadata,
    Spec,
    Status,
    Container,
    /// Kept as it is.
    Whole,
}

/// Fields of a pod's or another kind's `spec` that are long and that no NetworkPolicy has.
const LONG: [&str; 8] = [
    "affinity",
    "ephemeralContainers",
    "resources",
    "securityContext",
    "template",
    "tolerations",
    "topologySpreadConstraints",
    "volumes",
];

impl Part {
    /// What the field `key` is; `None` where it is left out.
    fn field(self, key: &str) -> Option<Self> {
        match (self, key) {
            (Self::Object, "metadata") => Some(Self::Metadata),
            (Self::Object, "spec") => Some(Self::Spec),
            (Self::Object, "status") => Some(Self::Status),
            (Self::Object, "items") => Some(Self::Object),
            (Self::Object, "data" | "binaryData" | "stringData") => None,
            (Self::Metadata, "annotations" | "managedFields" | "ownerReferences") => None,
            (Self::Spec, "containers" | "initContainers") => Some(Self::Container),
            (Self::Spec, key) if LONG.contains(&key) => None,
            (Self::Status, "phase" | "podIP" | "podIPs" | "hostIP" | "hostIPs" | "startTime") => {
                Some(Self::Whole)
            }
            (Self::Status, _) => None,
            (Self::Container, "name" | "ports" | "restartPolicy") => Some(Self::Whole),
            (Self::Container, _) => None,
            _ => Some(Self::Whole),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Part {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, text: D) -> Result<Value, D::Error> {
        match self {
            Self::Whole => Value::deserialize(text),
            part => text.deserialize_any(Reader(part)),
        }
    }
}

struct Reader(Part);

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a manifest")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = fields.next_key::<String>()? {
            let value = match self.0.field(&key) {
                Some(part) => fields.next_value_seed(part)?,
                None => {
                    fields.next_value::<IgnoredAny>()?;
                    Value::Null
                }
            };
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = items.next_element_seed(self.0)? {
            list.push(value);
        }
        Ok(Value::Array(list))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, text: D) -> Result<Value, D::Error> {
        self.0.deserialize(text)
    }
}
