//! Finds the programs that the lab runs, names the package of one that is missing, and copies them where all may run
//! them.

#[cfg(test)]
mod tests;

use std::{
    env,
    ffi::OsStr,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{LabError, LabResult};

/// Where system tools live, also when a plain user's PATH leaves them out.
const SYSTEM: [&str; 4] = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin"];

/// Debian package of each program that the lab, the demo or the tests run.
const PACKAGES: [(&str, &str); 25] = [
    ("ip", "iproute2"),
    ("ss", "iproute2"),
    ("nginx", "nginx-light"),
    ("curl", "curl"),
    ("unshare", "util-linux"),
    ("nsenter", "util-linux"),
    ("setpriv", "util-linux"),
    ("iptables", "iptables"),
    ("ip6tables", "iptables"),
    ("iptables-restore", "iptables"),
    ("ip6tables-restore", "iptables"),
    ("iptables-nft", "iptables"),
    ("iptables-legacy", "iptables"),
    ("conntrack", "conntrack"),
    ("containerd", "containerd"),
    ("ctr", "containerd"),
    ("runc", "runc"),
    ("ldd", "libc-bin"),
    ("tar", "tar"),
    ("mount", "mount"),
    ("dig", "bind9-dnsutils"),
    ("dnsmasq", "dnsmasq-base"),
    ("mariadb", "mariadb-client-core"),
    ("mariadbd", "mariadb-server-core"),
    ("python3", "python3"),
];

/// Absolute path of `program`: as given if it holds a slash, else searched on PATH and in the system directories.
pub(crate) fn find(program: &OsStr) -> LabResult<PathBuf> {
    if Path::new(program).components().count() > 1 {
        return Ok(PathBuf::from(program));
    }
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(SYSTEM.iter().map(PathBuf::from))
        .map(|dir| dir.join(program))
        .find(|file| is_executable(file))
        .ok_or_else(|| missing(program))
}

/// Copies a program to where every user may execute it.
///
/// A process of its own does the writing. If this one did, a child that another of its threads forks at that moment
/// would hold the copy open for writing until its own exec, and nobody could run it so long ("text file busy").
pub(crate) fn copy_program(program: &Path, copy: &Path) -> LabResult<()> {
    let what = || format!("copy {} to {}", program.display(), copy.display());
    let done = Command::new(find("cp".as_ref())?)
        .arg("--")
        .args([program, copy])
        .stdin(Stdio::null())
        .output()
        .map_err(LabError::io(what()))?;
    if !done.status.success() {
        return Err(LabError::Tool {
            command: what(),
            status: done.status.to_string(),
            stderr: String::from_utf8_lossy(&done.stderr).into_owned(),
        });
    }
    fs::set_permissions(copy, fs::Permissions::from_mode(0o755)).map_err(LabError::io(what()))
}

fn is_executable(file: &Path) -> bool {
    file.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

fn missing(program: &OsStr) -> LabError {
    let tool = program.to_string_lossy().into_owned();
    let package = PACKAGES
        .iter()
        .find(|(name, _)| *name == tool)
        .map_or("(unknown to the lab)", |(_, package)| package);
    LabError::MissingTool { tool, package }
}
