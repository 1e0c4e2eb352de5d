//! podwall beside a pod: the init step, then the sidecar, as a kubelet would start them.
//!
//! Knows the program by its command line, log and endpoints only; the caller says where it is. A
//! copy of the program runs from the lab's directory, because the sidecar's user may not be able to
//! enter the place where it was built.

use std::{
    io::{Read, Write},
    net::{IpAddr, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::Value;

use crate::{Lab, LabError, LabResult, Output, Pod, Process, tools::copy_program, wait_until};

/// Bound on the init step, and on the sidecar's way to readiness.
const START: Duration = Duration::from_secs(20);
/// Bound on one request to an endpoint.
const REQUEST: Duration = Duration::from_secs(5);
/// The sidecar's default port for its endpoints.
const ADMIN_PORT: u16 = 15872;
/// The series that grows by every change that could alter a verdict.
const GENERATION: &str = "podwall_generation";

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
        Self::install(lab, pod, program, &[])?;
        let sidecar = Self::launch_from(source, lab, pod, program, more)?;
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
        let output = Self::redirect(lab, pod, program, more)?;
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

    /// Runs `podwall redirect` in the pod with `more` flags and gives back whatever came of it.
    ///
    /// # Errors
    /// Only where it cannot be run.
    pub fn redirect(lab: &Lab, pod: &Pod, program: &Path, more: &[&str]) -> LabResult<Output> {
        pod.command(copy(lab, program)?)
            .args(["redirect", "--mode", "redirect"])
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
        let program = copy(lab, program)?;
        let command = pod.command(&program).args(["proxy", "--mode", "redirect"]);
        let command = match source {
            Source::Manifests => command.arg("-f").arg(lab.manifests()),
            Source::Kubeconfig(file) => command.arg("--kubeconfig").arg(file),
            Source::Flags => command,
        };
        let process = command
            .args(more)
            .env("POD_NAMESPACE", pod.namespace())
            .env("POD_NAME", pod.name())
            .env("HOST_IPS", host_ips(lab))
            .unprivileged()
            .spawn()?;
        Ok(Self {
            process,
            pod: pod.clone(),
            node: lab.node().place().clone(),
            program,
        })
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

    /// Asks an endpoint of the sidecar from the node: status and body.
    ///
    /// # Errors
    /// [`LabError::Io`] where it does not answer.
    pub fn get(&self, path: &str) -> LabResult<(u16, String)> {
        let address = SocketAddr::new(self.pod.addresses()[0], ADMIN_PORT);
        self.node
            .enter(|| request(address, path))?
            .map_err(LabError::io(format!("ask http://{address}{path}")))
    }

    /// The value of one series of /metrics, named as it is printed, labels included.
    ///
    /// # Errors
    /// [`LabError::Io`] where the endpoint does not answer.
    pub fn metric(&self, series: &str) -> LabResult<Option<f64>> {
        let (_, body) = self.get("/metrics")?;
        let value = body
            .lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        Ok(value.and_then(|text| text.split(' ').next()?.parse().ok()))
    }

    /// How many changes that could alter a verdict it has taken in.
    ///
    /// # Errors
    /// [`LabError::Io`] where the endpoint does not answer or lacks the figure.
    pub fn generation(&self) -> LabResult<f64> {
        self.metric(GENERATION)?.ok_or_else(|| {
            let fault = std::io::Error::other(format!("no series {GENERATION}"));
            LabError::io("read /metrics")(fault)
        })
    }

    /// Waits until it has taken in a change after `generation`.
    ///
    /// # Errors
    /// [`LabError::Timeout`] after `deadline`, with the output.
    pub fn wait_beyond(&self, generation: f64, deadline: Duration) -> LabResult<()> {
        if wait_until(deadline, || {
            self.generation().is_ok_and(|now| now > generation)
        }) {
            return Ok(());
        }
        Err(LabError::Timeout {
            what: "the sidecar to take in the manifests".to_owned(),
            after: deadline,
            output: self.process.output_so_far(),
        })
    }

    /// Every access-log line so far.
    #[must_use]
    pub fn log(&self) -> Vec<Value> {
        let text = self.process.stdout_so_far();
        text.lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
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

fn host_ips(lab: &Lab) -> String {
    let node = lab.node();
    let addresses: [IpAddr; 2] = [node.host_v4().into(), node.host_v6().into()];
    addresses.map(|one| one.to_string()).join(",")
}

/// The lab's own copy of `program`, made once, readable and executable by every user.
fn copy(lab: &Lab, program: &Path) -> LabResult<PathBuf> {
    let copy = lab.dir().join("podwall");
    if program == copy || copy.exists() {
        return Ok(copy);
    }
    copy_program(program, &copy)?;
    Ok(copy)
}

fn request(address: SocketAddr, path: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, REQUEST)?;
    stream.set_read_timeout(Some(REQUEST))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: podwall\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let code = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    code.map(|code| (code, body.to_owned()))
        .ok_or_else(|| std::io::Error::other(format!("no HTTP answer: {head:?}")))
}
