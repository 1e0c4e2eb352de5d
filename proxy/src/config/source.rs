//! Where pods, namespaces and policies come from: files, a cluster, or a cluster with files on top.
//!
//! May enter: values as they were given. Deliberately absent: reading any of the places.

use std::fmt;
use std::path::PathBuf;

use super::ConfigFault;
use crate::access::Access;

const FILES: (&str, &str) = ("-f", "PODWALL_FILES");
const IN_CLUSTER: (&str, &str) = ("--in-cluster", "PODWALL_IN_CLUSTER");
const KUBECONFIG: (&str, &str) = ("--kubeconfig", "PODWALL_KUBECONFIG");
const CONTEXT: (&str, &str) = ("--context", "PODWALL_CONTEXT");

/// Where pods, namespaces and policies come from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Source {
    /// Files or directories of manifests; at least one.
    Files(Vec<PathBuf>),
    /// The objects of a cluster.
    Cluster(Access),
    /// A cluster with files on top: an object of the files is taken in place of the cluster's of that
    /// kind and name.
    Both {
        /// Files or directories of manifests; at least one.
        files: Vec<PathBuf>,
        /// The cluster.
        access: Access,
    },
}

/// What was given to say where. Empty text means "not given".
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// `-f`: files or directories of manifests.
    pub files: Vec<PathBuf>,
    /// `--kubeconfig`.
    pub kubeconfig: PathBuf,
    /// `--context`.
    pub context: String,
    /// `--in-cluster`.
    pub in_cluster: bool,
}

impl Given {
    /// The source that was asked for; `None` where nothing was given. What contradicts each other is
    /// added to `faults`.
    pub fn read(&self, faults: &mut Vec<ConfigFault>) -> Option<Source> {
        let files = self.files.clone();
        match (self.access(faults), files.is_empty()) {
            (None, true) => None,
            (None, false) => Some(Source::Files(files)),
            (Some(access), true) => Some(Source::Cluster(access)),
            (Some(access), false) => Some(Source::Both { files, access }),
        }
    }

    /// The cluster that was asked for, if one was.
    fn access(&self, faults: &mut Vec<ConfigFault>) -> Option<Access> {
        let path = Some(self.kubeconfig.clone()).filter(|path| !path.as_os_str().is_empty());
        let context = Some(self.context.clone()).filter(|context| !context.is_empty());
        if !self.in_cluster {
            let is_given = path.is_some() || context.is_some();
            return is_given.then_some(Access::Kubeconfig { path, context });
        }
        for ((flag, variable), is_given) in
            [(KUBECONFIG, path.is_some()), (CONTEXT, context.is_some())]
        {
            if is_given {
                let mend = format!(
                    "{flag} ({variable}) is given too, and names another account; give one of the two"
                );
                faults.push(ConfigFault::new(IN_CLUSTER.0, IN_CLUSTER.1, "", &mend));
            }
        }
        Some(Access::InCluster)
    }
}

impl Source {
    /// The sidecar's source: what was asked for, else the cluster that the pod is in.
    ///
    /// `has_account`: whether the pod was given a service account.
    pub(super) fn of_sidecar(
        given: &Given,
        has_account: bool,
        faults: &mut Vec<ConfigFault>,
    ) -> Option<Self> {
        if given.files.iter().any(|file| file.as_os_str() == "-") {
            let mend = "stdin cannot be watched; give a file or directory";
            faults.push(ConfigFault::new(FILES.0, FILES.1, "-", mend));
        }
        let source = given.read(faults);
        let source = source.or_else(|| has_account.then_some(Self::Cluster(Access::InCluster)));
        if source.is_none() {
            let mend = format!(
                "say where pods, namespaces and policies come from: a file or directory of manifests, \
                 {} ({}) or {} FILE ({}); only a pod with a service account needs none of them",
                IN_CLUSTER.0, IN_CLUSTER.1, KUBECONFIG.0, KUBECONFIG.1
            );
            faults.push(ConfigFault::new(FILES.0, FILES.1, "", &mend));
        }
        source
    }

    /// The files, if there are any.
    #[must_use]
    pub fn files(&self) -> &[PathBuf] {
        match self {
            Self::Files(files) | Self::Both { files, .. } => files,
            Self::Cluster(_) => &[],
        }
    }

    /// The cluster, if there is one.
    #[must_use]
    pub const fn access(&self) -> Option<&Access> {
        match self {
            Self::Cluster(access) | Self::Both { access, .. } => Some(access),
            Self::Files(_) => None,
        }
    }
}

impl fmt::Display for Source {
    /// As flags, each with a space before it.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for file in self.files() {
            write!(out, " {} {}", FILES.0, file.display())?;
        }
        match self.access() {
            Some(Access::InCluster) => write!(out, " {}", IN_CLUSTER.0),
            Some(Access::Kubeconfig { path, context }) => {
                if let Some(path) = path {
                    write!(out, " {} {}", KUBECONFIG.0, path.display())?;
                }
                match context {
                    Some(context) => write!(out, " {} {context}", CONTEXT.0),
                    None => Ok(()),
                }
            }
            Some(Access::Usual) | None => Ok(()),
        }
    }
}
