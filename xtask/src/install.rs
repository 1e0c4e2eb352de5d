//! Installs Debian or Ubuntu packages, without starting the services that come with them.
//!
//! nginx's package would start a web server on port 80 of this machine; nobody asked for one.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{Stop, cargo};

/// Debian's switch for "install, but start nothing": a program that says 101.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Packages that bring a service, with its name.
const SERVICES: [(&str, &str); 2] = [("nginx-light", "nginx"), ("containerd", "containerd")];

/// A fresh machine often upgrades itself in the background and holds apt's lock meanwhile.
const LOCK_PATIENCE: &str = "DPkg::Lock::Timeout=300";

/// Our policy. It names itself, so that one left by a run that was killed is known again.
const START_NOTHING: &str =
    "#!/bin/sh\n# podwall: cargo xtask setup, while it installs\nexit 101\n";

/// The one line by which a plain user, or root, installs `packages`. A fresh machine has no package
/// lists yet, so it fetches them first.
pub(crate) fn line(packages: &[&str], is_root: bool) -> String {
    let sudo = if is_root { "" } else { "sudo " };
    format!(
        "{sudo}apt-get update && {sudo}apt-get install -y --no-install-recommends {}",
        packages.join(" ")
    )
}

/// Installs `packages`. Needs root.
pub(crate) fn run(packages: &[&str]) -> Result<(), Stop> {
    let names = packages.join(" ");
    if !Path::new("/usr/bin/apt-get").exists() {
        return Err(Stop::Missing(format!(
            "not Debian or Ubuntu; install what these Debian packages bring: {names}"
        )));
    }
    eprintln!("xtask: installing {names}");
    let _quiet = NoStart::set(Path::new(POLICY)).map_err(|error| {
        Stop::Missing(format!(
            "cannot write {POLICY}, which keeps new services from starting: {error}"
        ))
    })?;
    // A list that cannot be refreshed may still hold the packages, so only the install counts.
    let _ = apt_get(&["update"]);
    let mut words = vec!["install", "-y", "--no-install-recommends"];
    words.extend(packages);
    apt_get(&words).map_err(|_| {
        Stop::Missing(format!(
            "could not install; try by hand: {}",
            line(packages, true)
        ))
    })?;
    for (_, service) in SERVICES.iter().filter(|(name, _)| packages.contains(name)) {
        leave_disabled(service);
    }
    Ok(())
}

fn apt_get(words: &[&str]) -> Result<(), Stop> {
    // Its progress belongs to stderr: stdout may be the demo's JSON.
    let mut apt = Command::new("apt-get");
    apt.args(["-o", LOCK_PATIENCE])
        .args(words)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .stdout(io::stderr());
    cargo::run(&mut apt)
}

/// The package also asks for a start at every boot; taken back where systemd runs.
fn leave_disabled(service: &str) {
    if Path::new("/run/systemd/system").exists() {
        let _ = cargo::run(
            Command::new("systemctl")
                .args(["disable", "--quiet", service])
                .stdout(io::stderr()),
        );
    }
}

/// While it lives, packages start no services. A policy that was there before stays as it is.
struct NoStart(Option<PathBuf>);

impl NoStart {
    fn set(path: &Path) -> io::Result<Self> {
        let made = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o755)
            .open(path);
        match made {
            Ok(mut file) => {
                let guard = Self(Some(path.to_owned()));
                file.write_all(START_NOTHING.as_bytes())?;
                Ok(guard)
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let ours = fs::read_to_string(path).is_ok_and(|text| text == START_NOTHING);
                Ok(Self(ours.then(|| path.to_owned())))
            }
            Err(error) => Err(error),
        }
    }
}

impl Drop for NoStart {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests;
