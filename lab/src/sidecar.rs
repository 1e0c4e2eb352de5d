//! podwall beside a pod: the init step, then the sidecar, as a kubelet would start them.
//!
//! Knows the program by its command line, log and endpoints only; the caller says where it is. A
//! copy of the program runs from the lab's directory, because the sidecar's user may not be able to
//! enter the place where it was built.

mod endpoints;
mod setting;

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use serde_json::Value;

use crate::{
    Image, Lab, LabError, LabResult, Output, Pod, Process, tools::copy_program, wait_until,
};

pub use endpoints::Endpoints;
pub use setting::{Mode, Setting};

/// What the init step runs, back end nft.
const IPTABLES: [&str; 4] = [
    "iptables-nft-save",
    "iptables-nft-restore",
    "ip6tables-nft-save",
    "ip6tables-nft-restore",
];
/// Bound on the init step, and on the sidecar's way to readiness.
const START: Duration = Duration::from_secs(20);

/// Where a sidecar takes pods, namespaces and policies from.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// The lab's manifests.
    Manifests,
    /// The API server that this kubeconfig names, such as [`crate::Account::kubeconfig`].
    Kubeconfig(&'a Path),
    /// What the caller's own flags say.
    Flags,
}

/// podwall beside one pod. Dropping it kills the sidecar; the rules stay.
#[derive(Debug)]
pub struct Sidecar {
    process: Process,
    pod: Pod,
    node: crate::Place,
    program: PathBuf,
}

impl Sidecar {
    /// Installs the rules of `pod` and starts the sidecar without any privilege; returns when it is ready.
    ///
    /// `program` is podwall; `more` goes to the sidecar's command line.
    ///
    /// # Errors
    /// [`LabError::Ended`] with podwall's own words where a step fails, [`LabError::Timeout`] where it
    /// does not get ready.
    pub fn start(lab: &Lab, pod: &Pod, program: &Path, more: &[&str]) -> LabResult<Self> {
        Self::start_from(Source::Manifests, lab, pod, program, more)
    }

    /// As [`Sidecar::start`], with a choice of the source.
    ///
    /// # Errors
    /// As [`Sidecar::start`].
    pub fn start_from(
        source: Source<'_>,
        lab: &Lab,
        pod: &Pod,
        program: &Path,
        more: &[&str],
    ) -> LabResult<Self> {
        Self::start_as(&Setting::redirect(source, more), lab, pod, program)
    }

    /// As [`Sidecar::start`], with a choice of everything.
    ///
    /// # Errors
    /// As [`Sidecar::start`].
    pub fn start_as(
        setting: &Setting<'_>,
        lab: &Lab,
        pod: &Pod,
        program: &Path,
    ) -> LabResult<Self> {
        let installed = Self::redirect_as(setting.mode, lab, pod, program, setting.shared)?;
        installed_or_error(installed)?;
        let sidecar = Self::launch_as(setting, lab, pod, program)?;
        let ready = wait_until(START, || {
            sidecar.process.status().is_some()
                || sidecar.get("/readyz").is_ok_and(|(code, _)| code == 200)
        });
        if ready && sidecar.process.status().is_none() {
            return Ok(sidecar);
        }
        let answer = sidecar
            .get("/readyz")
            .map_or_else(|error| error.to_string(), |(_, body)| body);
        Err(LabError::Ended {
            process: "podwall proxy".to_owned(),
            status: sidecar
                .process
                .status()
                .map_or("running".to_owned(), |status| status.to_string()),
            what: format!("it was ready ({})", answer.trim()),
            output: sidecar.process.output_so_far(),
        })
    }

    /// Runs the init step only. `more` goes to its command line.
    ///
    /// # Errors
    /// [`LabError::Ended`] with podwall's own words where it fails.
    pub fn install(lab: &Lab, pod: &Pod, program: &Path, more: &[&str]) -> LabResult<Output> {
        installed_or_error(Self::redirect(lab, pod, program, more)?)
    }

    /// Runs `podwall redirect` in the pod with `more` flags and gives back whatever came of it.
    ///
    /// # Errors
    /// Only where it cannot be run.
    pub fn redirect(lab: &Lab, pod: &Pod, program: &Path, more: &[&str]) -> LabResult<Output> {
        Self::redirect_as(Mode::Redirect, lab, pod, program, more)
    }

    /// As [`Sidecar::redirect`], for either mode.
    ///
    /// # Errors
    /// Only where it cannot be run.
    pub fn redirect_as(
        mode: Mode,
        lab: &Lab,
        pod: &Pod,
        program: &Path,
        more: &[&str],
    ) -> LabResult<Output> {
        pod.command(copy(lab, program)?)
            .args(["redirect", "--mode", mode.word()])
            .args(more)
            .env("HOST_IPS", host_ips(lab))
            .run(START)
    }

    /// Starts the sidecar without waiting for anything. `more` goes to its command line.
    ///
    /// # Errors
    /// Only where it cannot be started.
    pub fn launch(lab: &Lab, pod: &Pod, program: &Path, more: &[&str]) -> LabResult<Self> {
        Self::launch_from(Source::Manifests, lab, pod, program, more)
    }

    /// As [`Sidecar::launch`], with a choice of the source.
    ///
    /// # Errors
    /// Only where it cannot be started.
    pub fn launch_from(
        source: Source<'_>,
        lab: &Lab,
        pod: &Pod,
        program: &Path,
        more: &[&str],
    ) -> LabResult<Self> {
        Self::launch_as(&Setting::redirect(source, more), lab, pod, program)
    }

    /// As [`Sidecar::launch`], with a choice of everything. It has the privilege that its mode needs.
    ///
    /// # Errors
    /// Only where it cannot be started.
    pub fn launch_as(
        setting: &Setting<'_>,
        lab: &Lab,
        pod: &Pod,
        program: &Path,
    ) -> LabResult<Self> {
        let program = copy(lab, program)?;
        let command = pod
            .command(&program)
            .args(["proxy", "--mode", setting.mode.word()]);
        let command = match setting.source {
            Source::Manifests => command.arg("-f").arg(lab.manifests()),
            Source::Kubeconfig(file) => command.arg("--kubeconfig").arg(file),
            Source::Flags => command,
        };
        let command = command
            .args(setting.shared)
            .args(setting.more)
            .env("POD_NAMESPACE", pod.namespace())
            .env("POD_NAME", pod.name())
            .env("HOST_IPS", host_ips(lab));
        let process = setting.mode.privilege(command).spawn()?;
        Ok(Self {
            process,
            pod: pod.clone(),
            node: lab.node().place().clone(),
            program,
        })
    }

    /// The image `podwall:demo` of a program built on this machine, with the programs of iptables that its init step
    /// runs. A container's `args` are podwall's.
    ///
    /// # Errors
    /// [`LabError::MissingTool`].
    pub fn image(program: &Path) -> LabResult<Image> {
        let plugins = format!("/usr/lib/{}-linux-gnu/xtables", std::env::consts::ARCH);
        let image = Image::new("docker.io/library/podwall:demo").programs(&IPTABLES)?;
        Ok(image.plugins(plugins).entrypoint("podwall", program))
    }

    /// The sidecar's process.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// The copy of podwall that runs in the lab.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Its endpoints, asked from the node.
    #[must_use]
    pub fn endpoints(&self) -> Endpoints {
        Endpoints::new(&self.node, self.pod.addresses()[0])
    }

    /// Asks an endpoint of the sidecar from the node: status and body.
    ///
    /// # Errors
    /// As [`Endpoints::get`].
    pub fn get(&self, path: &str) -> LabResult<(u16, String)> {
        self.endpoints().get(path)
    }

    /// The value of one series of /metrics, named as it is printed, labels included.
    ///
    /// # Errors
    /// As [`Endpoints::metric`].
    pub fn metric(&self, series: &str) -> LabResult<Option<f64>> {
        self.endpoints().metric(series)
    }

    /// How many changes that could alter a verdict it has taken in.
    ///
    /// # Errors
    /// As [`Endpoints::generation`].
    pub fn generation(&self) -> LabResult<f64> {
        self.endpoints().generation()
    }

    /// Waits until it has taken in a change after `generation`.
    ///
    /// # Errors
    /// [`LabError::Timeout`] after `deadline`, with the output.
    pub fn wait_beyond(&self, generation: f64, deadline: Duration) -> LabResult<()> {
        self.endpoints()
            .wait_beyond(generation, deadline, || self.process.output_so_far())
    }

    /// Every access-log line so far.
    #[must_use]
    pub fn log(&self) -> Vec<Value> {
        access_log(&self.process.stdout_so_far())
    }

    /// Waits for the first access-log line from the `skip`-th on for which `wanted` holds.
    ///
    /// # Errors
    /// [`LabError::Timeout`] after `deadline`, with the output.
    pub fn wait_log(
        &self,
        skip: usize,
        wanted: impl Fn(&Value) -> bool,
        deadline: Duration,
    ) -> LabResult<Value> {
        let mut found = None;
        let _ = wait_until(deadline, || {
            found = self.log().into_iter().skip(skip).find(|line| wanted(line));
            found.is_some()
        });
        found.ok_or_else(|| LabError::Timeout {
            what: "the awaited access-log line".to_owned(),
            after: deadline,
            output: self.process.output_so_far(),
        })
    }
}

fn installed_or_error(output: Output) -> LabResult<Output> {
    if output.status.success() {
        return Ok(output);
    }
    Err(LabError::Ended {
        process: "podwall redirect".to_owned(),
        status: output.status.to_string(),
        what: "the rules were installed".to_owned(),
        output: output.stderr,
    })
}

/// The access-log lines among what a sidecar printed; what it says on stderr is no JSON.
#[must_use]
pub fn access_log(printed: &str) -> Vec<Value> {
    let lines = printed.lines();
    lines
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

fn host_ips(lab: &Lab) -> String {
    let node = lab.node();
    let addresses: [IpAddr; 2] = [node.host_v4().into(), node.host_v6().into()];
    addresses.map(|one| one.to_string()).join(",")
}

/// The lab's own copy of `program`, readable and executable by every user. It is whole once it has its name, so that
/// sidecars can be started at the same time.
fn copy(lab: &Lab, program: &Path) -> LabResult<PathBuf> {
    let copy = lab.dir().join("podwall");
    if program == copy || copy.exists() {
        return Ok(copy);
    }
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let draft = copy.with_file_name(format!(".podwall-{number}"));
    copy_program(program, &draft)?;
    std::fs::rename(&draft, &copy)
        .map_err(LabError::io(format!("rename to {}", copy.display())))?;
    Ok(copy)
}
