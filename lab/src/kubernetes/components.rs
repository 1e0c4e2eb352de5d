//! Where Kubernetes' programs come from: a directory that the user names, or one binary built from `lab/kubernetes/`.
//!
//! The only place that knows the build. Nothing is started here. The source and the target directory are those of
//! the checkout that this crate was built in; an installed program without its checkout can only use
//! `KUBEBUILDER_ASSETS`.

#[cfg(test)]
mod tests;

use std::{
    env,
    ffi::OsStr,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use ring::digest::{Context, SHA256};
use rustix::fs::{FlockOperation, flock};

use super::image::hex;
use crate::{Cmd, LabError, LabResult, Place, tools};

/// Names a directory with `etcd` and `kube-apiserver`, by the convention of the Kubernetes test environments.
const ASSETS: &str = "KUBEBUILDER_ASSETS";
/// Start of the built binary's name; the rest is a hash of what it was built from.
const PREFIX: &str = "podwall-kubernetes-";
/// Where Go's own archive installs it, often not on PATH.
const GO: &str = "/usr/local/go/bin/go";
/// How long a binary of another source is kept.
const DAY: Duration = Duration::from_secs(24 * 3600);
/// What to do without Go.
const MEND: &str = "install Go (https://go.dev/dl) of the version that lab/kubernetes/go.mod names or later; a control \
                    plane without a node can also be had by KUBEBUILDER_ASSETS, a directory with etcd and \
                    kube-apiserver";

/// Kubernetes' programs, found.
#[derive(Clone, Debug)]
pub(crate) enum Components {
    /// A directory with `etcd` and `kube-apiserver`, each a program.
    Assets(PathBuf),
    /// One binary that is every component, told by its first argument.
    Whole(PathBuf),
}

impl Components {
    /// Those of a control plane: of `KUBEBUILDER_ASSETS` where set, else built if need be.
    pub(crate) fn find() -> LabResult<Self> {
        match env::var_os(ASSETS) {
            Some(dir) if !dir.is_empty() => Ok(Self::Assets(dir.into())),
            _ => Self::whole(),
        }
    }

    /// All of them, built if need be.
    pub(crate) fn whole() -> LabResult<Self> {
        build_kubernetes().map(Self::Whole)
    }

    /// The files that are the programs, where they are known.
    pub(crate) fn files(&self) -> Vec<&Path> {
        match self {
            Self::Assets(_) => Vec::new(),
            Self::Whole(binary) => vec![binary],
        }
    }

    /// Where they are, as `KUBEBUILDER_ASSETS` says or as they were built.
    ///
    /// # Errors
    /// [`LabError::NoKubernetes`] where a program of a control plane is missing.
    pub(crate) fn place(&self) -> LabResult<PathBuf> {
        match self {
            Self::Whole(binary) => Ok(binary.clone()),
            Self::Assets(dir) => {
                ["etcd", "kube-apiserver"]
                    .iter()
                    .try_for_each(|name| self.program(name).map(drop))?;
                Ok(dir.clone())
            }
        }
    }

    /// The component of that name (`kube-apiserver`), to be run at `place`.
    pub(crate) fn command(&self, place: &Place, name: &str) -> LabResult<Cmd> {
        let command = place.command(self.program(name)?);
        Ok(match self {
            Self::Whole(_) => command.arg(name),
            Self::Assets(_) => command,
        })
    }

    /// The file to run for a component.
    fn program(&self, name: &str) -> LabResult<PathBuf> {
        match self {
            Self::Whole(binary) => Ok(binary.clone()),
            Self::Assets(dir) if dir.join(name).is_file() => Ok(dir.join(name)),
            Self::Assets(dir) => Err(LabError::NoKubernetes {
                fault: format!(
                    "{ASSETS} is {} and has no {name}; unset it, so that the lab builds its own",
                    dir.display()
                ),
            }),
        }
    }
}

/// The binary that is every Kubernetes component, built from `lab/kubernetes/` where it is missing.
///
/// The first build takes about 8 minutes on 2 cores and 5 GB in Go's caches, later ones seconds; the binary is
/// 160 MB, in the directory `kubernetes` of cargo's target directory. Of several callers at the same time, also in
/// other processes, one builds and the others wait for it. A build is told in one line on stderr.
///
/// # Errors
/// [`LabError::NoKubernetes`] without source or Go, [`LabError::Tool`] with the compiler's words, [`LabError::Io`].
pub fn build_kubernetes() -> LabResult<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("kubernetes");
    let module = Module::read(&source)?;
    let dir = target(&source).join("kubernetes");
    let binary = dir.join(format!("{PREFIX}{}", module.hash));
    if binary.exists() {
        return Ok(binary);
    }
    fs::create_dir_all(&dir).map_err(LabError::io(format!("create {}", dir.display())))?;
    let _lock = lock(&dir.join(".lock"))?;
    if !binary.exists() {
        build(&source, &module.version, &binary)?;
        remove_others(&dir, &binary);
    }
    Ok(binary)
}

/// What the Go module says.
struct Module {
    /// Of Kubernetes, as `v1.2.3`.
    version: String,
    /// Of all its files. The version of Go is left out, so that the binary can be used on a machine without Go.
    hash: String,
}

impl Module {
    fn read(dir: &Path) -> LabResult<Self> {
        let mut files: Vec<_> = fs::read_dir(dir)
            .map_err(|error| LabError::NoKubernetes {
                fault: format!(
                    "its source {} cannot be read ({error}); it belongs to podwall's checkout. {MEND}",
                    dir.display()
                ),
            })?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| is_source(path))
            .collect();
        files.sort();
        let mut digest = Context::new(&SHA256);
        for file in &files {
            let text = fs::read(file).map_err(LabError::io(format!("read {}", file.display())))?;
            digest.update(file.file_name().unwrap_or_default().as_encoded_bytes());
            digest.update(&text);
        }
        let file = dir.join("go.mod");
        let text =
            fs::read_to_string(&file).map_err(LabError::io(format!("read {}", file.display())))?;
        let version = version(&text).ok_or_else(|| LabError::NoKubernetes {
            fault: format!("{} requires no k8s.io/kubernetes", file.display()),
        })?;
        Ok(Self {
            version: version.to_owned(),
            hash: hex(&digest.finish())[..16].to_owned(),
        })
    }
}

fn is_source(path: &Path) -> bool {
    let is = |name: &str| path.file_name() == Some(OsStr::new(name));
    is("go.mod") || is("go.sum") || path.extension() == Some(OsStr::new("go"))
}

/// The version of `k8s.io/kubernetes` that a go.mod requires.
fn version(module: &str) -> Option<&str> {
    module.lines().find_map(|line| {
        let mut words = line.trim().trim_start_matches("require ").split(' ');
        (words.next()? == "k8s.io/kubernetes")
            .then(|| words.next())
            .flatten()
    })
}

/// Cargo's target directory: `CARGO_TARGET_DIR`, relative to the workspace, or `target` beside crate lab.
fn target(source: &Path) -> PathBuf {
    let workspace = source.ancestors().nth(2).unwrap_or(source);
    let named = env::var_os("CARGO_TARGET_DIR").filter(|dir| !dir.is_empty());
    workspace.join(named.unwrap_or_else(|| "target".into()))
}

/// Waits for the lock of `path` and holds it until the value is dropped.
fn lock(path: &Path) -> LabResult<File> {
    let what = || format!("lock {}", path.display());
    let file = File::create(path).map_err(LabError::io(what()))?;
    flock(&file, FlockOperation::LockExclusive)
        .map_err(|errno| LabError::io(what())(errno.into()))?;
    Ok(file)
}

/// Builds under another name first: who finds the binary finds a whole one.
fn build(source: &Path, version: &str, binary: &Path) -> LabResult<()> {
    let go = tools::find("go".as_ref())
        .or_else(|error| {
            Some(PathBuf::from(GO))
                .filter(|go| go.exists())
                .ok_or(error)
        })
        .map_err(|_| LabError::NoKubernetes {
            fault: format!("it must be built, and there is no `go`; {MEND}"),
        })?;
    eprintln!(
        "podwall-lab: building Kubernetes {version} into {}: about 8 minutes and 5 GB in Go's caches the first time, \
         seconds later",
        binary.display()
    );
    let begin = Instant::now();
    let draft = binary.with_extension("draft");
    let flags = format!("-s -w -X k8s.io/component-base/version.gitVersion={version}");
    let built = Command::new(go)
        .args(["build", "-trimpath", "-ldflags", &flags, "-o"])
        .arg(&draft)
        .arg(".")
        .current_dir(source)
        .envs([("CGO_ENABLED", "0"), ("GOWORK", "off")])
        .stdin(Stdio::null())
        .output()
        .map_err(LabError::io("run go build"))?;
    if !built.status.success() {
        return Err(LabError::Tool {
            command: format!("go build in {}", source.display()),
            status: built.status.to_string(),
            stderr: String::from_utf8_lossy(&built.stderr).into_owned(),
        });
    }
    eprintln!(
        "podwall-lab: built Kubernetes {version} in {} s",
        begin.elapsed().as_secs()
    );
    fs::rename(&draft, binary).map_err(LabError::io(format!("rename to {}", binary.display())))
}

/// Removes binaries of other sources that are a day old: a younger one may be about to be started by another checkout.
/// One that still runs, runs on.
fn remove_others(dir: &Path, binary: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        let age = entry
            .metadata()
            .and_then(|meta| meta.modified()?.elapsed().map_err(io::Error::other));
        if ours && entry.path() != binary && age.is_ok_and(|age| age >= DAY) {
            let _ = fs::remove_file(entry.path());
        }
    }
}
