//! How etcd and kube-apiserver are started: their flags, and when each is ready.
//!
//! etcd speaks on unix sockets in the lab's directory only; it does not sync its files, which nobody needs after
//! a crash of the machine. The API server listens on every address of its place, so that pods reach it. No packet
//! needs to leave the lab.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    Cmd, LabError, LabResult, Place, Process, scratch::make_private_dir, wait::wait_every,
};

use super::super::{components::Components, pki::Pki};

/// etcd's directory: its data and its sockets, which know no password.
const ETCD: &str = "etcd";
/// The longest path of a unix socket, without the byte that ends it.
const SOCKET_PATH: usize = 107;
/// The API server's port.
const PORT: u16 = 6443;
/// Bound on each component's start; about a second on an idle machine, several on a busy one.
const START: Duration = Duration::from_secs(90);
/// How often a component that starts is asked whether it is ready.
const ASK: Duration = Duration::from_millis(10);
/// Addresses that Services get. Routed nowhere unless a kube-proxy runs.
const SERVICES: &str = "10.96.0.0/16,fd00:96::/112";
/// Who issues service accounts' tokens.
const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
/// File name of the API server's certificate, by which others know it.
const SERVING: &str = "kube-apiserver";
/// File name of the certificate by which it calls kubelets.
const TO_KUBELETS: &str = "kube-apiserver-kubelet-client";
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
    IpAddr::V4(Ipv4Addr::LOCALHOST),
    IpAddr::V6(Ipv6Addr::LOCALHOST),
    IpAddr::V4(Ipv4Addr::new(10, 96, 0, 1)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x96, 0, 0, 0, 0, 0, 1)),
];

/// What differs between a control plane alone and one with a node.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The address of its place that is advertised and stands in kubeconfigs.
    pub(crate) address: IpAddr,
    /// Other addresses of its place by which it may be called.
    pub(crate) also: Vec<IpAddr>,
    /// Whether a controller manager runs. Without one, no namespace gets its `default` ServiceAccount, and the
    /// admission plugin that demands it of every pod is switched off.
    pub(crate) controllers: bool,
    /// More of the API server's flags.
    pub(crate) flags: Vec<String>,
}

impl Settings {
    pub(crate) fn server_address(&self) -> SocketAddr {
        SocketAddr::new(self.address, PORT)
    }

    pub(crate) fn server_url(&self) -> String {
        format!("https://{}", self.server_address())
    }
}

/// Writes a new certificate of the API server, and one for its calls to kubelets.
pub(super) fn sign(pki: &Pki, settings: &Settings) -> LabResult<()> {
    let addresses: Vec<_> = [settings.address]
        .into_iter()
        .chain(settings.also.iter().copied())
        .chain(ALSO)
        .collect();
    pki.serving(SERVING, &NAMES, &addresses)?;
    pki.client(TO_KUBELETS, "system:masters").map(drop)
}

/// Starts etcd; returns when it listens.
pub(super) fn etcd(components: &Components, place: &Place, dir: &Path) -> LabResult<Process> {
    let client = socket(dir);
    let rooms = dir.join(ETCD);
    make_private_dir(&rooms)?;
    let peer = rooms.join("peer.sock");
    [&client, &peer]
        .into_iter()
        .try_for_each(|path| fits_a_socket(path))?;
    let url = |path: &Path| format!("unix://{}", path.display());
    let peer = url(&peer);
    let process = components
        .command(place, "etcd")?
        .arg("--name=lab")
        .arg(format!("--data-dir={}", rooms.join("data").display()))
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

/// The API server on that etcd.
pub(super) fn server(
    components: &Components,
    place: &Place,
    dir: &Path,
    settings: &Settings,
    pki: &Pki,
) -> LabResult<Cmd> {
    let mut off = vec!["PodSecurity"];
    if !settings.controllers {
        off.push("ServiceAccount");
    }
    let command = components.command(place, "kube-apiserver")?.args([
        "--allow-privileged=true".to_owned(),
        "--authorization-mode=Node,RBAC".to_owned(),
        "--bind-address=::".to_owned(),
        format!("--secure-port={PORT}"),
        format!("--advertise-address={}", settings.address),
        format!("--etcd-servers=unix://{}", socket(dir).display()),
        format!("--service-cluster-ip-range={SERVICES}"),
        format!("--service-account-issuer={ISSUER}"),
        format!("--disable-admission-plugins={}", off.join(",")),
        "--kubelet-preferred-address-types=InternalIP".to_owned(),
        // Ends watches at a graceful stop, which else waits a minute for them.
        "--shutdown-watch-termination-grace-period=5s".to_owned(),
    ]);
    Ok(command.args(keys(pki)).args(&settings.flags))
}

fn keys(pki: &Pki) -> Vec<String> {
    let flag = |name: &str, file: PathBuf| format!("--{name}={}", file.display());
    let (serving, kubelets) = (pki.pair(SERVING), pki.pair(TO_KUBELETS));
    vec![
        flag("client-ca-file", pki.bundle()),
        flag("tls-cert-file", serving.certificate),
        flag("tls-private-key-file", serving.key),
        flag("kubelet-client-certificate", kubelets.certificate),
        flag("kubelet-client-key", kubelets.key),
        flag("service-account-signing-key-file", pki.signing_key()),
        flag("service-account-key-file", pki.verifying_key()),
    ]
}

/// Waits until `ready` holds; a component that ends before, or does not get there, is an error with its words.
pub(crate) fn wait_for(name: &str, process: &Process, ready: impl Fn() -> bool) -> LabResult<()> {
    let held = wait_every(ASK, START, || process.status().is_some() || ready());
    match process.status() {
        Some(status) => Err(LabError::Ended {
            process: name.to_owned(),
            status: status.to_string(),
            what: "it was ready".to_owned(),
            output: process.output_so_far(),
        }),
        None if held => Ok(()),
        None => Err(LabError::Timeout {
            what: format!("{name} getting ready"),
            after: START,
            output: process.output_so_far(),
        }),
    }
}

fn socket(dir: &Path) -> PathBuf {
    dir.join(ETCD).join("client.sock")
}

/// Refuses a path on which no unix socket can listen.
pub(crate) fn fits_a_socket(path: &Path) -> LabResult<()> {
    if path.as_os_str().len() <= SOCKET_PATH {
        return Ok(());
    }
    Err(LabError::LongPath {
        path: path.to_owned(),
        max: SOCKET_PATH,
    })
}
