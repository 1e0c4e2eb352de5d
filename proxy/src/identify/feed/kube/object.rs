//! One object as the API server sends it, cut down to what is used while its text is parsed.
//!
//! May enter: JSON of any shape. Deliberately absent: a way to fail for what an object holds. One
//! malformed object must not stop a watch (P26): a Pod or Namespace that cannot be read counts as
//! unknown, a NetworkPolicy isolates in any case.
//!
//! Most of a pod's text (environment, volumes, conditions, managed fields) is passed over unparsed.

use std::borrow::Cow;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::marker::PhantomData;
use std::sync::Arc;

use ::kube::Resource;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use podwall_policy::diagnostic::{Diagnostic, Severity};
use podwall_policy::document::{Excerpt, Fault, read_object};
use podwall_policy::object::{Object, ObjectName, Pod};
use serde::de::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use crate::identify::feed::Gone;

/// How the name begins under which a policy is kept whose own name cannot be read.
const STAND_IN: &str = "name-cannot-be-read";

/// An object of the kind of `K`, one of k8s-openapi's types, of which only the name is used.
pub(super) struct Watched<K> {
    /// Name, namespace, UID and resource version; nothing else is kept.
    meta: ObjectMeta,
    told: Told,
    kind: PhantomData<fn() -> K>,
}

/// What an object says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Told {
    /// It can be told apart, and what is odd in it.
    Object {
        /// What can be read of it.
        object: Object,
        /// What cannot.
        findings: Vec<Diagnostic>,
    },
    /// A policy of which nobody can say which it is: it isolates under a name that no other has.
    StandIn {
        /// What can be read of it.
        policy: Object,
        /// Why its name cannot.
        finding: Diagnostic,
    },
    /// Nobody can say which Pod or Namespace it is, so nobody is found by it.
    Nameless(Diagnostic),
}

impl<K> Watched<K> {
    /// What it says.
    pub(super) fn into_told(self) -> Told {
        self.told
    }

    /// That it is gone; `None` where nobody can say which it is. Of a pod that takes its UID, too: another of
    /// that name may live (P8).
    pub(super) fn into_gone(self) -> Option<Gone> {
        let Told::Object { object, .. } = self.told else {
            return None;
        };
        let uid = self.meta.uid.map(Arc::from);
        Some(match object {
            Object::Pod(Pod { name, .. }) | Object::BrokenPod(name) => Gone::Pod {
                name,
                uid: Some(uid?),
            },
            Object::Namespace(one) => Gone::Namespace(one.name),
            Object::BrokenNamespace(name) => Gone::Namespace(name),
            Object::Policy(policy) => Gone::Policy(policy.name),
        })
    }
}

impl<'de, K: Resource<DynamicType = ()>> Deserialize<'de> for Watched<K> {
    fn deserialize<D: Deserializer<'de>>(text: D) -> Result<Self, D::Error> {
        let mut value = Excerpt::deserialize(text)?.0;
        // The items of a list have no type of their own, and the path that was asked decides it.
        if let Some(fields) = value.as_object_mut() {
            fields.insert("apiVersion".to_owned(), K::api_version(&()).into());
            fields.insert("kind".to_owned(), K::kind(&()).into());
        }
        Ok(Self {
            meta: meta(&value),
            told: told(value, &K::kind(&())),
            kind: PhantomData,
        })
    }
}

/// As much of the metadata as is text.
fn meta(value: &Value) -> ObjectMeta {
    let text = |key| value["metadata"][key].as_str().map(str::to_owned);
    ObjectMeta {
        name: text("name"),
        namespace: text("namespace"),
        uid: text("uid"),
        resource_version: text("resourceVersion"),
        ..ObjectMeta::default()
    }
}

fn told(value: Value, kind: &str) -> Told {
    let fault = match read(&value, kind) {
        Ok((object, findings)) => return Told::Object { object, findings },
        Err(fault) => fault,
    };
    let text = |key| value["metadata"][key].as_str().filter(|it| !it.is_empty());
    let (name, namespace) = (text("name"), text("namespace"));
    let place = match (name, namespace) {
        (Some(name), Some(namespace)) => format!("{kind} {namespace}/{name}"),
        (Some(name), None) => format!("{kind} {name}"),
        (None, _) => format!("{kind} without a name"),
    };
    let finding = finding(place, &fault);
    let object = match (kind, name, namespace) {
        ("Pod", Some(name), Some(namespace)) => Object::BrokenPod(ObjectName::new(namespace, name)),
        ("Namespace", Some(name), _) => Object::BrokenNamespace(name.into()),
        ("NetworkPolicy", ..) => return stand_in(value, finding),
        _ => return Told::Nameless(finding),
    };
    Told::Object {
        object,
        findings: vec![finding],
    }
}

fn read(value: &Value, kind: &str) -> Result<(Object, Vec<Diagnostic>), Box<Fault>> {
    // In a manifest that means the namespace "default"; no API server stores it.
    if kind == "Pod" && value["metadata"]["namespace"].is_null() {
        let fault = "metadata.namespace: nothing names no namespace; write the pod's own";
        return Err(Box::new(Fault::Syntax(fault.to_owned())));
    }
    let documents = read_object(value).map_err(|unreadable| unreadable.fault)?;
    let object = documents.objects.into_iter().next();
    let object = object.ok_or_else(|| Box::new(Fault::Syntax("it is no object".to_owned())))?;
    Ok((object, documents.diagnostics))
}

fn finding(place: String, fault: &Fault) -> Diagnostic {
    Diagnostic {
        severity: Severity::Error,
        place,
        message: fault.to_string(),
        help: "a Pod or Namespace counts as unknown until then, a NetworkPolicy isolates"
            .to_owned(),
    }
}

/// Makes a policy readable that no API server would have stored, so that it isolates (P26).
///
/// Two of them must not hide each other: the name is made of the UID, or else of all that is there.
fn stand_in(mut value: Value, finding: Diagnostic) -> Told {
    let mut hasher = DefaultHasher::new();
    match value["metadata"]["uid"].as_str() {
        Some(uid) => uid.hash(&mut hasher),
        None => value.to_string().hash(&mut hasher),
    }
    if !value.is_object() {
        value =
            json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "spec": null});
    }
    let whole: &Value = &value;
    let mut kept = Map::new();
    let name = format!("{STAND_IN}-{:016x}", hasher.finish());
    kept.insert("name".to_owned(), name.into());
    for key in ["namespace", "deletionTimestamp"] {
        kept.insert(key.to_owned(), whole["metadata"][key].clone());
    }
    value["metadata"] = Value::Object(kept);
    let read_again = read(&value, "NetworkPolicy").or_else(|_| {
        value["metadata"]["namespace"] = Value::Null;
        read(&value, "NetworkPolicy")
    });
    match read_again {
        Ok((policy, _)) => Told::StandIn { policy, finding },
        Err(_) => Told::Nameless(finding),
    }
}

impl<K: Resource<DynamicType = ()>> Resource for Watched<K> {
    type DynamicType = ();
    type Scope = K::Scope;

    fn kind((): &()) -> Cow<'_, str> {
        K::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        K::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        K::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        K::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.meta
    }
}

impl<K> Clone for Watched<K> {
    fn clone(&self) -> Self {
        Self {
            meta: self.meta.clone(),
            told: self.told.clone(),
            kind: PhantomData,
        }
    }
}

impl<K> fmt::Debug for Watched<K> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.told.fmt(out)
    }
}

#[cfg(test)]
mod tests;
