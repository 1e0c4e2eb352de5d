//! The state of the lab's cluster as one file, replaced atomically.
//!
//! One file and one rename, so that a reader of the directory sees the state before a change or after it, never
//! half of it. Policies are kept as the text they were given in. Packets and processes are not known here.

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::Deserialize;

use crate::{
    LabError, LabResult,
    manifest::{self, PodObject},
    pod::Identity,
    scratch::{make_dir, replace_file},
};

/// Name of the one file.
const FILE: &str = "cluster.yaml";

/// Namespace and name.
pub(crate) type Key = (String, String);

/// Namespaces, pods and policies.
#[derive(Debug)]
pub(crate) struct Cluster {
    dir: PathBuf,
    pub(crate) namespaces: BTreeMap<String, BTreeMap<String, String>>,
    pub(crate) pods: BTreeMap<Key, (Arc<Identity>, PodObject)>,
    pub(crate) policies: BTreeMap<Key, String>,
}

impl Cluster {
    /// An empty cluster that writes into `dir`, which it makes.
    pub(crate) fn new(dir: PathBuf) -> LabResult<Self> {
        make_dir(&dir)?;
        Ok(Self {
            dir,
            namespaces: BTreeMap::new(),
            pods: BTreeMap::new(),
            policies: BTreeMap::new(),
        })
    }

    /// The directory.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Replaces the file by the present state.
    pub(crate) fn write(&self) -> LabResult<()> {
        replace_file(&self.dir.join(FILE), &self.text(), 0o644)
    }

    /// One document per object; an empty `List` where there is none, since an empty file is a fault to a reader.
    fn text(&self) -> String {
        let namespaces = self
            .namespaces
            .iter()
            .map(|(name, labels)| manifest::namespace(name, labels).to_string());
        let announced = self.pods.values().filter(|(_, object)| object.announced);
        let pods = announced.map(|(identity, object)| object.json(identity).to_string());
        let documents: Vec<_> = namespaces
            .chain(pods)
            .chain(self.policies.values().cloned())
            .collect();
        if documents.is_empty() {
            return "{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[]}\n".to_owned();
        }
        documents
            .iter()
            .map(|document| format!("---\n{}\n", document.trim_end()))
            .collect()
    }
}

/// The part of a policy document that says which it is.
#[derive(Deserialize)]
struct Head {
    kind: String,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
    namespace: Option<String>,
}

/// Whose policy this document is. Its `spec` is not looked at: a test may want it wrong.
pub(crate) fn policy_key(document: &str, called: &str) -> LabResult<Key> {
    let fault = |fault: String| LabError::Policy {
        policy: called.to_owned(),
        fault,
    };
    let head: Head = serde_saphyr::from_str(document).map_err(|error| fault(error.to_string()))?;
    if head.kind != "NetworkPolicy" {
        return Err(fault(format!("kind is {}, not NetworkPolicy", head.kind)));
    }
    Ok((
        head.metadata
            .namespace
            .unwrap_or_else(|| "default".to_owned()),
        head.metadata.name,
    ))
}

/// Splits a stream of YAML documents at its `---` lines; empty ones are left out.
pub(crate) fn documents(text: &str) -> Vec<String> {
    let mut documents = vec![String::new()];
    for line in text.lines() {
        if line.trim_end() == "---" {
            documents.push(String::new());
        } else if let Some(last) = documents.last_mut() {
            last.push_str(line);
            last.push('\n');
        }
    }
    let says_something =
        |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    documents.retain(|document| document.lines().any(says_something));
    documents
}
