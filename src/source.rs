//! Where the commands read from: manifests, a cluster, or manifests on top of a cluster.
//!
//! May enter: flags. Leaves one state. Deliberately absent: questions to the law (see
//! [`offline`](crate::offline)), and what the sidecar makes of the same flags (its own `config`).

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use podwall_policy::cluster::Cluster;
use podwall_policy::diagnostic::Diagnostic;
use podwall_proxy::access::Access;
use podwall_proxy::config::source::{Given, Source};
use podwall_proxy::identify::feed::files::{Manifests, read_manifests};
use podwall_proxy::identify::feed::kube::{self, KubeError, Listing};

use crate::failure::Failure;
use crate::flags::faults_together;
use crate::offline::report;

/// Which cluster, and as whom: the same for every command that reads `-f`.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "A cluster as the source; with -f too, the files lie on top of it")]
pub struct ClusterFlags {
    /// Read the cluster of this kubeconfig
    #[arg(
        long,
        value_name = "FILE",
        env = "PODWALL_KUBECONFIG",
        default_value = "",
        hide_default_value = true
    )]
    kubeconfig: OsString,
    /// Read the cluster of this context, of --kubeconfig or of the usual kubeconfig
    #[arg(
        long,
        value_name = "NAME",
        env = "PODWALL_CONTEXT",
        default_value = "",
        hide_default_value = true
    )]
    context: String,
    /// Read the cluster that this pod is in, as its service account
    #[arg(long, env = "PODWALL_IN_CLUSTER", value_parser = clap::builder::BoolishValueParser::new(), action = clap::ArgAction::SetTrue)]
    in_cluster: bool,
}

impl ClusterFlags {
    /// What was given, together with the manifests of `-f`.
    pub fn with_files(self, files: Vec<PathBuf>) -> Given {
        Given {
            files,
            kubeconfig: self.kubeconfig.into(),
            context: self.context,
            in_cluster: self.in_cluster,
        }
    }
}

/// The source of the commands that ask once and go.
#[derive(Clone, Debug, clap::Args)]
pub struct SourceFlags {
    /// Manifests to read: a file, a directory (its .yaml, .yml and .json files) or - for stdin; repeatable.
    /// What `kubectl get pods,ns,netpol -A -o yaml` prints is valid input. Without -f and the flags of a
    /// cluster: the cluster that kubectl would ask
    #[arg(short = 'f', long = "filename", value_name = "FILE|DIR|-")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    cluster: ClusterFlags,
}

/// One state, and where it was read.
pub struct State {
    /// What is there.
    pub cluster: Cluster,
    /// Where.
    pub place: Place,
}

/// Where a state was read; prints as a part of a sentence.
#[derive(Clone, Debug)]
pub enum Place {
    /// Files only.
    Manifests,
    /// The cluster of this API server.
    Cluster(String),
    /// Files on top of it.
    Both(String),
}

impl SourceFlags {
    /// Reads everything and says on stderr what was odd.
    ///
    /// # Errors
    /// Where flags contradict each other, a file cannot be read or is no YAML, two objects contradict
    /// each other, or the cluster cannot be asked, does not answer or refuses.
    pub fn read(&self) -> Result<State, Failure> {
        let mut faults = Vec::new();
        let given = self.cluster.clone().with_files(self.paths.clone());
        let source = given.read(&mut faults);
        faults_together(&faults)?;
        // What kubectl would use.
        let source = source.unwrap_or(Source::Cluster(Access::Usual));
        let (cluster, odd, place) = match &source {
            Source::Files(files) => {
                let manifests = read(files)?;
                let (cluster, odd) = manifests.over(Vec::new()).map_err(Failure::input)?;
                (cluster, odd, Place::Manifests)
            }
            Source::Cluster(access) => read_cluster(access)?,
            Source::Both { files, access } => read_both(files, access)?,
        };
        report(&odd);
        Ok(State { cluster, place })
    }
}

/// What was read, what is odd in it, and where it was read.
type Read = (Cluster, Vec<Diagnostic>, Place);

fn read_cluster(access: &Access) -> Result<Read, Failure> {
    let listing = list(access)?;
    let (cluster, odd) = Cluster::assemble(listing.objects).map_err(|conflict| {
        let server = &listing.server;
        Failure::environment(format_args!("{server} lists an object twice: {conflict}"))
    })?;
    let odd = [listing.findings, odd].concat();
    Ok((cluster, odd, Place::Cluster(listing.server)))
}

/// The files come first: a program that gives credentials may read standard input, and a bad file needs no server.
fn read_both(files: &[PathBuf], access: &Access) -> Result<Read, Failure> {
    let manifests = read(files)?;
    for object in &manifests.unplaced {
        eprintln!(
            "note: {object} names no namespace and is taken as one of `default`, whatever the kubeconfig's context \
             says; write metadata.namespace"
        );
    }
    let listing = list(access)?;
    let over = manifests.over(listing.objects);
    let (cluster, odd) = over.map_err(Failure::input)?;
    let odd = [listing.findings, odd].concat();
    Ok((cluster, odd, Place::Both(listing.server)))
}

/// The manifests; says on stderr what of them is passed over.
fn read(files: &[PathBuf]) -> Result<Manifests, Failure> {
    let manifests = read_manifests(files).map_err(Failure::input)?;
    if !manifests.skipped.is_empty() {
        eprintln!(
            "note: passed over {}: podwall reads Pods, Namespaces and NetworkPolicies, so pods that others would make \
             are not known",
            manifests.skipped.join(", ")
        );
    }
    Ok(manifests)
}

fn list(access: &Access) -> Result<Listing, Failure> {
    kube::read(access).map_err(|error| match error {
        KubeError::NoKubeconfig(_) if *access == Access::Usual => {
            Failure::input(format_args!("{error}, or manifests with -f"))
        }
        error if error.is_bad_input() => Failure::input(error),
        error => Failure::environment(error),
    })
}

impl Place {
    /// What to look at where something is not there.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Manifests => "is its file among the -f, and the namespace right?",
            Self::Cluster(_) => "are the cluster and the namespace the right ones?",
            Self::Both(_) => {
                "is its file among the -f, or else are the cluster and the namespace the right ones?"
            }
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Manifests => out.write_str("the manifests"),
            Self::Cluster(server) => write!(out, "the cluster of {server}"),
            Self::Both(server) => write!(out, "the manifests and the cluster of {server}"),
        }
    }
}
