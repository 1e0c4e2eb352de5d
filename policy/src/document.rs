//! Manifests to objects: the only room that knows how Kubernetes spells things.
//!
//! May enter: YAML (one or many documents), JSON, or values that somebody has read already. Leaves
//! [`Object`]s with the API server's defaults filled in, and findings. Deliberately absent: files,
//! and how objects relate to each other (see [`cluster`](crate::cluster)).
//!
//! Read tolerantly, because a malformed object must neither stop the others nor open a door (P26):
//! a NetworkPolicy is never left out, its broken parts admit nobody; a malformed Pod or Namespace
//! becomes unknown. A field that we do not know inside a rule makes the part it stands in broken,
//! since passing over it could widen that part.
//!
//! Start at [`read`].

mod excerpt;
mod findings;
pub mod limits;
mod metadata;
mod namespace;
mod network_policy;
mod node;
mod peer;
mod pod;
mod port;
mod rule;
mod selector;
mod spelling;
mod text;
mod unreadable;

use serde_json::Value;

use crate::diagnostic::{Diagnostic, Severity};
use crate::object::Object;
pub use excerpt::Excerpt;
use findings::Findings;
use node::Node;
pub use unreadable::{Fault, Place, Unreadable};

/// What manifests hold.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Documents {
    /// Pods, Namespaces and NetworkPolicies, in their order.
    pub objects: Vec<Object>,
    /// What is odd in them.
    pub diagnostics: Vec<Diagnostic>,
    /// Kinds that are none of ours, once each, in the order of their first appearance.
    pub skipped: Vec<String>,
    /// Objects that name no namespace and were taken as of `default`, each as `KIND NAME`.
    pub unplaced: Vec<String>,
}

/// Reads all manifests of `text`; `source` is the name by which messages call it, such as its file.
///
/// Empty documents are fine. Bounds are in [`limits`].
///
/// # Errors
/// Where the text as a whole is bad input: its syntax, a key given twice, a document that is no
/// object, an object of ours without a readable name.
pub fn read(source: &str, text: &str) -> Result<Documents, Unreadable> {
    let mut documents = Documents::default();
    for document in text::documents(source, text)? {
        let read = documents.take(&Node::root(&document.value), Defaults::NONE);
        read.map_err(|fault| Unreadable {
            place: document.place,
            fault: Box::new(fault),
        })?;
    }
    Ok(documents)
}

/// Reads one object, or a list of objects, that has been taken from its text already.
///
/// # Errors
/// As [`read`]; the place has no line.
pub fn read_object(value: &Value) -> Result<Documents, Unreadable> {
    let mut documents = Documents::default();
    match documents.take(&Node::root(value), Defaults::NONE) {
        Ok(()) => Ok(documents),
        Err(fault) => Err(Unreadable {
            place: Place {
                source: String::new(),
                position: None,
            },
            fault: Box::new(fault),
        }),
    }
}

/// What the items of a typed list may leave out.
#[derive(Clone, Copy)]
struct Defaults {
    api_version: Option<&'static str>,
    kind: Option<&'static str>,
}

impl Defaults {
    const NONE: Self = Self {
        api_version: None,
        kind: None,
    };
}

/// One of our kinds: `apiVersion`, `kind`, and its typed list.
struct Kind {
    name: &'static str,
    list: &'static str,
    api_version: &'static str,
}

const NETWORKING: &str = "networking.k8s.io/v1";
const KINDS: [Kind; 3] = [
    Kind {
        name: "Pod",
        list: "PodList",
        api_version: "v1",
    },
    Kind {
        name: "Namespace",
        list: "NamespaceList",
        api_version: "v1",
    },
    Kind {
        name: "NetworkPolicy",
        list: "NetworkPolicyList",
        api_version: NETWORKING,
    },
];

/// A list of objects of any kind, as kubectl prints it.
const LIST: Kind = Kind {
    name: "List",
    list: "List",
    api_version: "v1",
};
const ITEMS: &str = "items";

impl Documents {
    fn take(&mut self, object: &Node<'_>, defaults: Defaults) -> Result<(), Fault> {
        if !object.value().is_some_and(Value::is_object) {
            return Err(Fault::NotAnObject {
                path: path(object),
                found: object
                    .value()
                    .map_or_else(|| "nothing".to_owned(), node::shown),
            });
        }
        let kind = typed(&object.child("kind"), defaults.kind, "kind: Pod")?;
        let version = typed(
            &object.child("apiVersion"),
            defaults.api_version,
            "apiVersion: v1",
        )?;
        if kind == LIST.name && (version == LIST.api_version || !is_foreign(version)) {
            check_version(object, version, &LIST)?;
            return self.take_items(object, Defaults::NONE);
        }
        let Some(known) = KINDS
            .iter()
            .find(|known| known.name == kind || known.list == kind)
        else {
            if let Some(meant) = meant(kind, version) {
                return Err(Fault::Misspelt {
                    path: path(&object.child("kind")),
                    found: node::short(kind),
                    meant,
                });
            }
            self.skip(kind);
            return Ok(());
        };
        if group(version) != group(known.api_version) && is_foreign(version) {
            self.skip_foreign(object, kind, version, known.api_version);
            return Ok(());
        }
        check_version(object, version, known)?;
        if known.list == kind {
            let defaults = Defaults {
                api_version: Some(known.api_version),
                kind: Some(known.name),
            };
            return self.take_items(object, defaults);
        }
        self.take_ours(object, known.name)
    }

    fn take_items(&mut self, list: &Node<'_>, defaults: Defaults) -> Result<(), Fault> {
        let items = list.child(ITEMS);
        let fields = list.value().and_then(Value::as_object);
        let mut strange = fields.into_iter().flat_map(|map| map.keys());
        let slip = |key: &&String| *key != ITEMS && spelling::nearest(key, &[ITEMS]).is_some();
        if let Some(key) = strange.find(slip) {
            return Err(Fault::Misspelt {
                path: path(&list.child(key)),
                found: node::short(key),
                meant: ITEMS,
            });
        }
        let mut unheard = Vec::new();
        let Ok(nodes) = items.items(&mut Findings::on(String::new(), &mut unheard)) else {
            return Err(Fault::ItemsNoList {
                path: path(&items),
                found: items
                    .value()
                    .map_or_else(|| "nothing".to_owned(), node::shown),
            });
        };
        for item in nodes {
            self.take(&item, defaults)?;
        }
        self.warn_of_rest(list);
        Ok(())
    }

    /// A list that the server gave out in parts lacks objects, perhaps policies.
    fn warn_of_rest(&mut self, list: &Node<'_>) {
        let metadata = list.child("metadata");
        let rest = metadata.child("continue");
        if rest.as_text().is_some_and(|text| !text.is_empty()) {
            self.diagnostics.push(Diagnostic {
                severity: Severity::Warning,
                place: format!("List: {}", path(&rest)),
                message: "this is the first part of a longer list; the other objects are missing"
                    .to_owned(),
                help: "fetch the list as a whole".to_owned(),
            });
        }
    }

    fn take_ours(&mut self, object: &Node<'_>, kind: &'static str) -> Result<(), Fault> {
        // Paths in findings start at the object, not at the list around it.
        let at = Node::root(object.value().unwrap_or(&Value::Null));
        if kind != "Namespace" {
            self.unplaced.extend(metadata::unplaced(&at, kind));
        }
        let found = &mut self.diagnostics;
        let object = match kind {
            "Namespace" => {
                let name = metadata::namespace_name(object)?;
                let out = &mut Findings::on(format!("Namespace {name}"), found);
                namespace::read(&at, &name, out)?
            }
            "Pod" => {
                let name = metadata::object_name(object, kind)?;
                let out = &mut Findings::on(format!("Pod {name}"), found);
                pod::read(&at, name, out)
            }
            _ => {
                let name = metadata::object_name(object, kind)?;
                let out = &mut Findings::on(format!("NetworkPolicy {name}"), found);
                Object::Policy(network_policy::read(&at, name, out))
            }
        };
        self.objects.push(object);
        Ok(())
    }

    fn skip(&mut self, kind: &str) {
        let kind = word(kind);
        if !self.skipped.contains(&kind) {
            self.skipped.push(kind);
        }
    }

    /// An object of another group that shares its kind's name with one of ours.
    fn skip_foreign(&mut self, object: &Node<'_>, kind: &str, version: &str, known: &str) {
        let metadata = object.child("metadata");
        let name = metadata
            .child("name")
            .as_text()
            .map_or_else(String::new, word);
        self.diagnostics.push(Diagnostic {
            severity: Severity::Warning,
            place: format!("{kind} {name}: apiVersion"),
            message: format!(
                "{:?} is not Kubernetes' own {kind}, so the object is passed over",
                node::short(version)
            ),
            help: format!("write {known} if it is meant to be enforced"),
        });
        self.skip(&format!("{kind}.{}", group(version)));
    }
}

/// A foreign word as it is, or in quotes where it could upset a terminal.
fn word(text: &str) -> String {
    let text = node::short(text);
    let plain = |one: u8| one.is_ascii_alphanumeric() || matches!(one, b'.' | b'-');
    if text.bytes().all(plain) {
        text
    } else {
        format!("{text:?}")
    }
}

/// A field that says what an object is.
fn typed<'a>(
    field: &Node<'a>,
    default: Option<&'static str>,
    example: &'static str,
) -> Result<&'a str, Fault> {
    match (field.as_text(), default) {
        (Some(text), _) if !text.is_empty() => Ok(text),
        (None, Some(default)) if field.is_missing() => Ok(default),
        _ => Err(Fault::Untyped {
            path: path(field),
            example,
        }),
    }
}

/// One of our kinds in another version: passing over it could open a door.
fn check_version(object: &Node<'_>, version: &str, known: &Kind) -> Result<(), Fault> {
    if version == known.api_version {
        return Ok(());
    }
    Err(Fault::OtherVersion {
        path: path(&object.child("apiVersion")),
        kind: known.name,
        found: node::short(version),
        known: known.api_version,
    })
}

/// Which of our kinds the unknown word `kind` may have meant: passing over it could open a door.
fn meant(kind: &str, version: &str) -> Option<&'static str> {
    if is_foreign(version) {
        return None;
    }
    let words = KINDS.iter().flat_map(|one| [one.name, one.list]);
    let mut words = words.chain([LIST.name]);
    let slip = || spelling::nearest(kind, &["NetworkPolicy", "NetworkPolicyList"]);
    words
        .find(|word| word.eq_ignore_ascii_case(kind))
        .or_else(slip)
}

/// Whether the group is somebody's own; those of Kubernetes have no dot or end in `.k8s.io`.
fn is_foreign(api_version: &str) -> bool {
    let group = group(api_version);
    group.contains('.') && !group.ends_with(".k8s.io")
}

/// `networking.k8s.io` of `networking.k8s.io/v1`; empty for `v1`.
fn group(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

/// A path that can stand alone in a message.
fn path(at: &Node<'_>) -> String {
    let path = at.to_string();
    if path.is_empty() {
        "document".to_owned()
    } else {
        path
    }
}
