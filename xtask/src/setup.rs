//! What demo, tests and benches need on the machine, and whether it is there.
//!
//! Deliberately absent: how it is installed; see [`install`].

use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{Stop, install};

/// A program, and the Debian and Ubuntu package that brings it.
pub(crate) struct Tool {
    program: &'static str,
    package: &'static str,
}

const fn tool(program: &'static str, package: &'static str) -> Tool {
    Tool { program, package }
}

/// Everything that a lab without a Kubernetes node calls by name.
const TOOLS: &[Tool] = &[
    tool("ip", "iproute2"),
    tool("iptables-nft-restore", "iptables"),
    tool("ip6tables-nft-restore", "iptables"),
    tool("iptables-legacy-restore", "iptables"),
    tool("ip6tables-legacy-restore", "iptables"),
    tool("nft", "nftables"),
    tool("nginx", "nginx-light"),
    tool("curl", "curl"),
    tool("unshare", "util-linux"),
    tool("nsenter", "util-linux"),
    tool("setpriv", "util-linux"),
];

/// What a Kubernetes node needs besides. It wants root of the machine, so nobody else needs these.
const NODE_TOOLS: &[Tool] = &[
    tool("containerd", "containerd"),
    tool("runc", "runc"),
    tool("host-local", "containernetworking-plugins"),
];

/// What the tests with real clients need besides: each is the smallest package that brings a well-known program of its
/// kind, and none of them brings a service.
const CLIENT_TOOLS: &[Tool] = &[
    tool("dig", "bind9-dnsutils"),
    tool("dnsmasq", "dnsmasq-base"),
    tool("mariadbd", "mariadb-server-core"),
    tool("mariadb", "mariadb-client-core"),
    // A module and no program, in a directory where Debian's Python looks.
    tool("websockets/__init__.py", "python3-websockets"),
];

/// Where Debian's Python modules are; a module counts as a program that needs no right to be executed.
const MODULES: &str = "/usr/lib/python3/dist-packages";

/// Where distributions put the plug-ins of the container network, which are programs too.
const CNI: [&str; 3] = ["/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"];

/// Where programs for the administrator are; a plain user's PATH may lack them.
const SBIN: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// Looks for every tool that a lab needs; as root installs what is missing, else says what to run.
pub(crate) fn run() -> Result<(), Stop> {
    look_for(TOOLS)
}

/// The same for a Kubernetes node's tools.
pub(crate) fn node() -> Result<(), Stop> {
    look_for(NODE_TOOLS)
}

/// The same for the tests with real clients.
pub(crate) fn clients() -> Result<(), Stop> {
    look_for(CLIENT_TOOLS)
}

fn look_for(tools: &'static [Tool]) -> Result<(), Stop> {
    let missing = packages(&missing(tools, &places()));
    if !missing.is_empty() {
        if !is_root() {
            return Err(Stop::Missing(format!(
                "packages are missing; run this, then try again:\n{}",
                install::line(&missing, false)
            )));
        }
        install::run(&missing)?;
        check_again(tools)?;
    }
    if may_build_labs() {
        Ok(())
    } else {
        user_namespaces()
    }
}

/// A package that installed well may still lack the program, on a release that we do not know.
fn check_again(tools: &'static [Tool]) -> Result<(), Stop> {
    match missing(tools, &places()).first() {
        None => Ok(()),
        Some(tool) => Err(Stop::Missing(format!(
            "package {} is installed and brings no program {:?}; install that program by hand",
            tool.package, tool.program
        ))),
    }
}

/// Who lacks the capabilities needs user namespaces; some distributions switch them off.
fn user_namespaces() -> Result<(), Stop> {
    let probe = Command::new("unshare")
        .args(["--user", "--map-root-user", "--net", "--", "true"])
        .env("PATH", search_path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if probe.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    Err(Stop::Missing(
        "this user may not make user namespaces; run as root, or allow them:\n\
         sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0 kernel.unprivileged_userns_clone=1 \
         user.max_user_namespaces=15000 (keys that this kernel does not have can be left out)"
            .to_owned(),
    ))
}

/// The tools of which no directory has the program.
fn missing(tools: &'static [Tool], directories: &[PathBuf]) -> Vec<&'static Tool> {
    let has = |dir: &PathBuf, tool: &Tool| is_program(&dir.join(tool.program));
    tools
        .iter()
        .filter(|tool| !directories.iter().any(|dir| has(dir, tool)))
        .collect()
}

/// Each package once, in the order of the tools.
fn packages(missing: &[&Tool]) -> Vec<&'static str> {
    let mut packages: Vec<&'static str> = missing.iter().map(|tool| tool.package).collect();
    packages.dedup();
    packages
}

fn is_program(path: &Path) -> bool {
    let is_module = path.starts_with(MODULES);
    fs::metadata(path)
        .is_ok_and(|meta| meta.is_file() && (is_module || meta.permissions().mode() & 0o111 != 0))
}

fn directories() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut all: Vec<PathBuf> = env::split_paths(&path).collect();
    all.extend(SBIN.iter().chain(&CNI).map(PathBuf::from));
    all
}

/// Where tools are: programs, and modules.
fn places() -> Vec<PathBuf> {
    let mut all = directories();
    all.push(PathBuf::from(MODULES));
    all
}

/// PATH with the administrator's directories at its end.
pub(crate) fn search_path() -> OsString {
    env::join_paths(directories()).unwrap_or_else(|_| env::var_os("PATH").unwrap_or_default())
}

/// Bits of the effective capabilities that a lab needs: NET_ADMIN (12) and SYS_ADMIN (21).
const LAB_CAPABILITIES: u64 = 1 << 12 | 1 << 21;

/// Whether network namespaces can be made without a user namespace; root of a container may not.
pub(crate) fn may_build_labs() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    effective.is_some_and(|bits| bits & LAB_CAPABILITIES == LAB_CAPABILITIES)
}

/// Whether this process runs as root, by the owner of its own entry in /proc.
pub(crate) fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0)
}

#[cfg(test)]
mod tests;
