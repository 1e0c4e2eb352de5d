//! A real etcd and a real kube-apiserver, as two processes of the lab: started, stopped, killed, held and started
//! again. What is kept in them is not this file's matter, nor who may read it.
//!
//! etcd speaks on unix sockets in the lab's directory only; it does not sync its files, which nobody needs after
//! a crash of the machine. The API server listens on every address of its place, so that pods reach it. No packet
//! needs to leave the lab.

use std::{
    net::{IpAddr, SocketAddr},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{
    Cmd, LabError, LabResult, Place, Process, Signal,
    scratch::{make_dir, replace_file},
    wait::wait_every,
};

use super::{
    client::{ApiClient, Request},
    components::Components,
    kubeconfig,
    pki::Pki,
};

/// The API server's port.
const PORT: u16 = 6443;
/// Bound on each component's start; about a second on an idle machine, several on a busy one.
const START: Duration = Duration::from_secs(90);
/// How often a component that starts is asked whether it is ready.
const ASK: Duration = Duration::from_millis(10);
/// Bound on a graceful stop: the API server lets requests end, which takes it a second.
const STOP: Duration = Duration::from_secs(90);
/// Addresses that Services get. Routed nowhere unless a kube-proxy runs.
const SERVICES: &str = "10.96.0.0/16,fd00:96::/112";
/// Who issues service accounts' tokens.
const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
/// Names by which pods of a cluster call the API server.
const NAMES: [&str; 5] = [
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    "localhost",
];
/// Addresses by which it is called besides its own: loopback, and the `kubernetes` Service's.
const ALSO: [IpAddr; 4] = [
    IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
    IpAddr::V6(std::net::Ipv6Addr::LOCALHOST),
    IpAddr::V4(std::net::Ipv4Addr::new(10, 96, 0, 1)),
    IpAddr::V6(std::net::Ipv6Addr::new(0xfd00, 0x96, 0, 0, 0, 0, 0, 1)),
];

/// What differs between a control plane alone and one with a node.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Addresses of its place by which it is called. The first is advertised and stands in kubeconfigs.
    pub(crate) addresses: Vec<IpAddr>,
    /// Whether a controller manager runs. Without one, no namespace gets its `default` ServiceAccount, and the
    /// admission plugin that demands it of every pod is switched off.
    pub(crate) controllers: bool,
    /// More of the API server's flags.
    pub(crate) flags: Vec<String>,
}

/// A control plane that runs in a lab. A cheap handle; it names the same one when cloned, and its methods may be
/// called from any thread. Everything ends with the lab.
#[derive(Clone, Debug)]
pub struct ControlPlane(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    place: Place,
    dir: PathBuf,
    components: Components,
    settings: Settings,
    pki: Mutex<Pki>,
    admin: ApiClient,
    kubeconfig: PathBuf,
    /// None where it is stopped or killed.
    server: Mutex<Option<Process>>,
    _etcd: Process,
}

impl ControlPlane {
    /// Starts both in `place`; returns when the API server is ready. A lab has one control plane at most.
    pub(crate) fn start_at(
        place: &Place,
        components: Components,
        settings: Settings,
    ) -> LabResult<Self> {
        let dir = place.dir().join("kubernetes");
        make_dir(&dir)?;
        make_dir(&dir.join("pki"))?;
        let pki = Pki::new(&dir.join("pki"))?;
        let kubeconfig = dir.join("admin.kubeconfig");
        let admin = pki.client("admin", "system:masters")?;
        let text = kubeconfig::text(
            &server(&settings),
            &pki.bundle(),
            &kubeconfig::by_certificate(&admin),
            "default",
        );
        replace_file(&kubeconfig, &text, 0o600)?;
        let etcd = start_etcd(&components, place, &dir)?;
        let control = Self(Arc::new(Inner {
            admin: ApiClient::new(place, &kubeconfig)?,
            place: place.clone(),
            dir,
            components,
            settings,
            pki: Mutex::new(pki),
            kubeconfig,
            server: Mutex::new(None),
            _etcd: etcd,
        }));
        control.sign()?;
        control.start()?;
        Ok(control)
    }

    /// Starts the API server where it does not run, on the same data and port; returns when it is ready.
    ///
    /// # Errors
    /// [`LabError::Ended`] or [`LabError::Timeout`] with its own words.
    pub fn start(&self) -> LabResult<()> {
        let mut server = self.server();
        if server
            .as_ref()
            .is_some_and(|process| process.status().is_none())
        {
            return Ok(());
        }
        let process = self.command()?.spawn()?;
        self.wait_ready(&process)?;
        *server = Some(process);
        Ok(())
    }

    /// Stops the API server as an operator does, by SIGTERM, and waits for its end. Watches are ended by it. etcd
    /// runs on.
    ///
    /// # Errors
    /// [`LabError::Timeout`] where it does not end.
    pub fn stop(&self) -> LabResult<()> {
        let Some(process) = self.server().take() else {
            return Ok(());
        };
        process.signal(Signal::CONT)?;
        process.signal(Signal::TERM)?;
        process.wait(STOP).map(drop)
    }

    /// Kills the API server, without any farewell to those connected. etcd runs on.
    pub fn kill(&self) {
        drop(self.server().take());
    }

    /// Holds the API server (SIGSTOP): connections stay open, and nothing is answered.
    ///
    /// # Errors
    /// [`LabError::Io`] where the kernel refuses.
    pub fn pause(&self) -> LabResult<()> {
        self.signal(Signal::STOP)
    }

    /// Lets a held API server go on.
    ///
    /// # Errors
    /// [`LabError::Io`] where the kernel refuses.
    pub fn resume(&self) -> LabResult<()> {
        self.signal(Signal::CONT)
    }

    /// Gives the API server a new serving certificate of the same authority, and starts it again.
    ///
    /// # Errors
    /// As [`ControlPlane::stop`] and [`ControlPlane::start`].
    pub fn rotate_certificate(&self) -> LabResult<()> {
        self.sign()?;
        self.stop()?;
        self.start()
    }

    /// Makes a new authority and gives the API server a serving certificate of it, and starts it again. The
    /// authorities' file, which every kubeconfig names, holds the new one and the old.
    ///
    /// # Errors
    /// As [`ControlPlane::rotate_certificate`].
    pub fn rotate_authority(&self) -> LabResult<()> {
        self.pki().rotate_authority()?;
        self.0.admin.reload()?;
        self.rotate_certificate()
    }

    /// A client that may do everything.
    #[must_use]
    pub fn admin(&self) -> &ApiClient {
        &self.0.admin
    }

    /// A kubeconfig of one who may do everything, to be used from inside the lab's node ([`Place::entry`]).
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.0.kubeconfig
    }

    /// `kubectl` as one who may do everything, to be run in the node's network namespace.
    ///
    /// # Errors
    /// [`LabError::NoKubernetes`] where `KUBEBUILDER_ASSETS` is set and has none.
    pub fn kubectl(&self) -> LabResult<Cmd> {
        let command = self.0.components.command(&self.0.place, "kubectl")?;
        Ok(command.env("KUBECONFIG", &self.0.kubeconfig))
    }

    /// Where the API server is called.
    #[must_use]
    pub fn server_address(&self) -> SocketAddr {
        SocketAddr::new(first(&self.0.settings), PORT)
    }

    /// The same as a URL.
    #[must_use]
    pub fn server_url(&self) -> String {
        server(&self.0.settings)
    }

    /// The file with the certificates of the authorities that vouch for the API server, readable by all.
    #[must_use]
    pub fn authorities(&self) -> PathBuf {
        self.pki().bundle()
    }

    /// What the API server printed since its last start; empty where it does not run.
    #[must_use]
    pub fn output(&self) -> String {
        let server = self.server();
        server
            .as_ref()
            .map(Process::output_so_far)
            .unwrap_or_default()
    }

    /// Where the control plane runs.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.0.place
    }

    /// Its directory below the lab's.
    pub(crate) fn dir(&self) -> &Path {
        &self.0.dir
    }

    /// Its keys.
    pub(crate) fn pki(&self) -> MutexGuard<'_, Pki> {
        self.0.pki.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn server(&self) -> MutexGuard<'_, Option<Process>> {
        self.0.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn signal(&self, signal: Signal) -> LabResult<()> {
        let server = self.server();
        server
            .as_ref()
            .map_or(Ok(()), |process| process.signal(signal))
    }

    /// Writes a new serving certificate.
    fn sign(&self) -> LabResult<()> {
        let own = self.0.settings.addresses.iter().copied();
        let addresses: Vec<_> = own.chain(ALSO).collect();
        self.pki()
            .serving("kube-apiserver", &NAMES, &addresses)
            .map(drop)
    }

    fn command(&self) -> LabResult<Cmd> {
        let Inner {
            place,
            dir,
            components,
            settings,
            ..
        } = &*self.0;
        let keys = dir.join("pki");
        let pki = self.pki();
        let file = |name: &str| keys.join(name).display().to_string();
        let mut command = components
            .command(place, "kube-apiserver")?
            .args([
                "--allow-privileged=true".to_owned(),
                "--authorization-mode=Node,RBAC".to_owned(),
                "--bind-address=::".to_owned(),
                format!("--secure-port={PORT}"),
                format!("--advertise-address={}", first(settings)),
                format!("--etcd-servers=unix://{}", socket(dir).display()),
                format!("--service-cluster-ip-range={SERVICES}"),
                format!("--service-account-issuer={ISSUER}"),
                format!("--tls-cert-file={}", file("kube-apiserver.crt")),
                format!("--tls-private-key-file={}", file("kube-apiserver.key")),
                format!("--client-ca-file={}", pki.bundle().display()),
                format!(
                    "--service-account-signing-key-file={}",
                    pki.signing_key().display()
                ),
                format!(
                    "--service-account-key-file={}",
                    pki.verifying_key().display()
                ),
                "--kubelet-preferred-address-types=InternalIP".to_owned(),
                // Ends watches at a graceful stop, which else waits a minute for them.
                "--shutdown-watch-termination-grace-period=5s".to_owned(),
            ])
            .args(&settings.flags);
        let mut off = vec!["PodSecurity"];
        if !settings.controllers {
            off.push("ServiceAccount");
        }
        command = command.arg(format!("--disable-admission-plugins={}", off.join(",")));
        Ok(command)
    }

    fn wait_ready(&self, process: &Process) -> LabResult<()> {
        let ready = || {
            let answer = self.0.admin.send(Request::get("/readyz"));
            answer.is_ok_and(|(status, _)| status == 200)
        };
        wait_for("kube-apiserver", process, ready)
    }
}

fn start_etcd(components: &Components, place: &Place, dir: &Path) -> LabResult<Process> {
    let client = socket(dir);
    let url = |path: &Path| format!("unix://{}", path.display());
    let peer = url(&dir.join("etcd-peer.sock"));
    let process = components
        .command(place, "etcd")?
        .arg("--name=lab")
        .arg(format!("--data-dir={}", dir.join("etcd").display()))
        .arg(format!("--listen-client-urls={}", url(&client)))
        .arg(format!("--advertise-client-urls={}", url(&client)))
        .arg(format!("--listen-peer-urls={peer}"))
        .arg(format!("--initial-advertise-peer-urls={peer}"))
        .arg(format!("--initial-cluster=lab={peer}"))
        .arg("--unsafe-no-fsync")
        // Room for a bench's 100,000 pods and their changes.
        .arg("--quota-backend-bytes=8589934592")
        .arg("--log-level=warn")
        .spawn()?;
    wait_for("etcd", &process, || UnixStream::connect(&client).is_ok())?;
    Ok(process)
}

/// Waits until `ready` holds; a component that ends before, or does not get there, is an error with its words.
fn wait_for(name: &str, process: &Process, ready: impl Fn() -> bool) -> LabResult<()> {
    let _ = wait_every(ASK, START, || process.status().is_some() || ready());
    let what = "it was ready".to_owned();
    match process.status() {
        Some(status) => Err(LabError::Ended {
            process: name.to_owned(),
            status: status.to_string(),
            what,
            output: process.output_so_far(),
        }),
        None if ready() => Ok(()),
        None => Err(LabError::Timeout {
            what: format!("{name} getting ready"),
            after: START,
            output: process.output_so_far(),
        }),
    }
}

fn socket(dir: &Path) -> PathBuf {
    dir.join("etcd.sock")
}

fn first(settings: &Settings) -> IpAddr {
    let first = settings.addresses.first().copied();
    first.unwrap_or(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST))
}

fn server(settings: &Settings) -> String {
    format!("https://{}", SocketAddr::new(first(settings), PORT))
}
