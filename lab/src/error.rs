//! What can go wrong in a lab, and the mend. Nothing but the type enters here.

use std::{io, net::IpAddr, time::Duration};

/// Result of everything that a lab does.
pub type LabResult<T> = Result<T, LabError>;

/// Why the lab could not do what it was asked. Each message names the object and the mend.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// A program is not on this machine.
    #[error("`{tool}` is not installed; on Debian and Ubuntu: apt-get install {package}")]
    MissingTool {
        /// The program's name.
        tool: String,
        /// The Debian package that brings it.
        package: &'static str,
    },
    /// The process may not make network namespaces.
    #[error(
        "a lab needs CAP_SYS_ADMIN and CAP_NET_ADMIN: run as root, call podwall_lab::elevate() first, \
         or start the program by `unshare --user --map-root-user`"
    )]
    NotPrivileged,
    /// The kernel refuses a user namespace to this user.
    #[error(
        "user namespaces are refused to this user ({detail}); run as root, or allow them: \
         /proc/sys/user/max_user_namespaces must not be 0, kernel.unprivileged_userns_clone must be 1 where it \
         exists, kernel.apparmor_restrict_unprivileged_userns must be 0 where it exists"
    )]
    UserNamespaces {
        /// What `unshare` printed, and the values of those settings.
        detail: String,
    },
    /// The process is not root of the machine.
    #[error(
        "a Kubernetes node needs root of the machine, not of a user namespace: containers want control groups and \
         devices; run as root"
    )]
    NotRoot,
    /// A path that a node's programs need and cannot see.
    #[error(
        "{} cannot be seen by a Kubernetes node's programs, for which {} is a directory of the lab's own; set TMPDIR \
         (for the lab's files) or CARGO_TARGET_DIR (for Kubernetes' programs) to a directory elsewhere",
        path.display(), own.display()
    )]
    Hidden {
        /// The path.
        path: std::path::PathBuf,
        /// What covers it.
        own: std::path::PathBuf,
    },
    /// The path of a socket is longer than the kernel takes.
    #[error(
        "the path of a socket, {}, is {} bytes long and may have {max}; set TMPDIR to a shorter directory",
        path.display(), path.as_os_str().len()
    )]
    LongPath {
        /// The path.
        path: std::path::PathBuf,
        /// The most that fits.
        max: usize,
    },
    /// The lab has a Kubernetes already.
    #[error(
        "this lab has a Kubernetes already; a lab has one control plane or one node, so start a second lab"
    )]
    HasKubernetes,
    /// An operation of the system failed.
    #[error("{what}: {source}")]
    Io {
        /// The operation and its object.
        what: String,
        /// The system's answer.
        source: io::Error,
    },
    /// A program that the lab itself runs failed.
    #[error("`{command}` failed ({status}): {stderr}")]
    Tool {
        /// The program and what it was asked.
        command: String,
        /// Its exit status.
        status: String,
        /// What it printed on stderr.
        stderr: String,
    },
    /// The named pod is not in this lab.
    #[error("no pod {namespace}/{name} in this lab; add it with Lab::pod")]
    NoSuchPod {
        /// The pod's namespace.
        namespace: String,
        /// The pod's name.
        name: String,
    },
    /// A pod of that name exists already.
    #[error("pod {namespace}/{name} exists already; remove it first")]
    PodExists {
        /// The pod's namespace.
        namespace: String,
        /// The pod's name.
        name: String,
    },
    /// A running pod holds the address.
    #[error(
        "address {address} belongs to {holder}, which still runs; remove or stop that pod first"
    )]
    AddressTaken {
        /// The address asked for.
        address: IpAddr,
        /// Namespace/name of the pod that has it, or `the node`.
        holder: String,
    },
    /// The address cannot be a pod's.
    #[error(
        "address {address} is outside of the pod networks {v4} and {v6}; use PodSpec::also for a foreign one"
    )]
    AddressOutside {
        /// The address asked for.
        address: IpAddr,
        /// The pods' IPv4 network.
        v4: &'static str,
        /// The pods' IPv6 network.
        v6: &'static str,
    },
    /// A policy text that cannot be kept as the policy it is said to be.
    #[error(
        "policy {policy}: {fault}; a deliberately broken file can be written into Lab::manifests() directly"
    )]
    Policy {
        /// Namespace/name, or the number of the document.
        policy: String,
        /// What is wrong with it.
        fault: String,
    },
    /// There is no Kubernetes to run: it is neither given nor can it be built.
    #[error("no Kubernetes for the lab: {fault}")]
    NoKubernetes {
        /// Why not, and the mend.
        fault: String,
    },
    /// The API server refused a request.
    #[error("{method} {path}: the API server refuses ({status}): {message}")]
    Refused {
        /// The request's method.
        method: &'static str,
        /// The request's path.
        path: String,
        /// The HTTP status.
        status: u16,
        /// The server's words.
        message: String,
    },
    /// The API server gave no answer.
    #[error("{method} {path}: no answer from the API server: {fault}; is it stopped or held?")]
    NoAnswer {
        /// The request's method.
        method: &'static str,
        /// The request's path.
        path: String,
        /// What was met instead.
        fault: String,
    },
    /// Something did not happen in time.
    #[error("{what} did not happen within {}; output so far:\n{output}", humantime::format_duration(*after))]
    Timeout {
        /// What was waited for.
        what: String,
        /// The deadline.
        after: Duration,
        /// What the process had printed.
        output: String,
    },
    /// A process ended before it did what was waited for.
    #[error("{process} ended ({status}) before {what}; its output:\n{output}")]
    Ended {
        /// The program.
        process: String,
        /// How it ended.
        status: String,
        /// What was waited for.
        what: String,
        /// What it had printed.
        output: String,
    },
}

impl LabError {
    /// Wraps a system error with the operation it belongs to.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}
