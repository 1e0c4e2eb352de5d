//! Where the commands read from: manifests, a cluster, or manifests on top of a cluster.
//!
//! May enter: flags. Leaves one state. Deliberately absent: questions to the law (see
//! [`offline`](crate::offline)), and what the sidecar makes of the same flags (its own `config`).

use std::ffi::OsString;
use std::path::PathBuf;

use podwall_proxy::config::source::Given;

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
