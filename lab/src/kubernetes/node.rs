//! A real node beside the control plane: kubelet, containerd, the pods' network and kube-proxy, and the controllers and
//! the scheduler without which no pod gets to it. Pods are started by the kubelet, from images that were imported.
//!
//! In reading order: `room` (where they mount), `config` (their files), this file (their lives and the pods').
//! All of them run in the network namespace of the lab's node, on its bridge; nothing listens outside of it. Needs
//! root of the machine: containers want control groups and devices.
//!
//! Deliberately absent: podwall, and what any pod is for.

mod config;
mod containers;
mod room;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    Cmd, ControlPlane, LabError, LabResult, Place, Process, address, elevate::in_user_namespace,
    manifest::NODE, scratch::make_dir, tools, wait::wait_every,
};

use super::{
    components::Components,
    control::{fits_a_socket, wait_for},
    image::Image,
    kubeconfig,
};

pub use containers::container_status;
use containers::is_ready;
use room::Room;

/// Bound on the start of each program and on the node's way to readiness: ten seconds on an idle machine.
const START: Duration = Duration::from_secs(120);
/// Bound on the import of one image.
const IMPORT: Duration = Duration::from_secs(120);
/// How often the API server is asked about something that takes seconds.
const ASK: Duration = Duration::from_millis(50);
/// A group without rights, for those whose rights are bound to their user name.
const NO_GROUP: &str = "podwall-lab:components";
/// Where distributions put CNI's programs.
const CNI: [&str; 3] = ["/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"];

/// A node that runs in a lab. Everything ends with the lab: containers, mounts and control groups too.
#[derive(Debug)]
pub struct KubernetesNode {
    // Dropped in this order: those who start others first.
    controllers: Vec<Process>,
    kubelet: Process,
    proxy: Process,
    containerd: Process,
    room: Room,
    dir: PathBuf,
    control: ControlPlane,
}

impl KubernetesNode {
    /// Starts all of it at `place`, beside a control plane that has controllers; returns when the node is ready and the
    /// first namespace has its service account.
    pub(crate) fn start_at(
        place: &Place,
        control: ControlPlane,
        components: Components,
    ) -> LabResult<Self> {
        if in_user_namespace() {
            return Err(LabError::NotRoot);
        }
        let dir = place.dir().join("node");
        make_dir(&dir)?;
        let room = Room::build(place, &dir, &components.files())?;
        let start = Start {
            control: &control,
            components: &components,
            room: &room,
            dir: &dir,
        };
        start.write_files()?;
        let containerd = start.containerd()?;
        let node = Self {
            controllers: start.controllers()?,
            kubelet: start.kubelet()?,
            proxy: start.proxy()?,
            containerd,
            room,
            dir,
            control,
        };
        let pause = Image::new(config::PAUSE)
            .programs(&["sleep"])?
            .command(&["/usr/bin/sleep", "infinity"]);
        node.import(&pause)?;
        node.wait_until_ready()?;
        Ok(node)
    }

    /// Why this process cannot start one, if so.
    #[must_use]
    pub fn obstacle() -> Option<LabError> {
        in_user_namespace().then_some(LabError::NotRoot)
    }

    /// The control plane that it belongs to.
    #[must_use]
    pub fn control(&self) -> &ControlPlane {
        &self.control
    }

    /// Gives containerd an image, so that pods can name it with `imagePullPolicy: Never` or `IfNotPresent`.
    ///
    /// # Errors
    /// As [`Image::pack`], and [`LabError::Tool`] with the words of `ctr`.
    pub fn import(&self, image: &Image) -> LabResult<()> {
        let stem: String = image
            .name()
            .chars()
            .map(|sign| {
                if sign.is_ascii_alphanumeric() {
                    sign
                } else {
                    '-'
                }
            })
            .collect();
        let archive = image.pack(&self.dir, &stem)?;
        self.ctr(&["images", "import"])
            .arg(&archive)
            .succeed(IMPORT)?;
        fs::remove_file(&archive).map_err(LabError::io(format!("remove {}", archive.display())))
    }

    /// `ctr`, containerd's client, on the kubelet's images and containers.
    fn ctr(&self, words: &[&str]) -> Cmd {
        let command = self.room.command("ctr");
        command
            .args(["--address", config::CONTAINERD, "--namespace", "k8s.io"])
            .args(words)
    }

    /// The kubelet's own words, for the report of a test that failed.
    #[must_use]
    pub fn kubelet_output(&self) -> String {
        self.kubelet.output_so_far()
    }

    fn wait_until_ready(&self) -> LabResult<()> {
        let api = self.control.admin();
        let node = format!("/api/v1/nodes/{NODE}");
        let account = "/api/v1/namespaces/default/serviceaccounts/default";
        let up = wait_every(ASK, START, || {
            self.ended().is_some()
                || api.get(&node).is_ok_and(|node| is_ready(&node)) && api.get(account).is_ok()
        });
        match self.ended() {
            Some((name, process)) => Err(LabError::Ended {
                process: name.to_owned(),
                status: process
                    .status()
                    .map_or_else(String::new, |end| end.to_string()),
                what: "the node was ready".to_owned(),
                output: process.output_so_far(),
            }),
            None if up => Ok(()),
            None => Err(LabError::Timeout {
                what: "the node getting ready".to_owned(),
                after: START,
                output: self.kubelet.output_so_far(),
            }),
        }
    }

    /// A program of the node that should run and does not.
    fn ended(&self) -> Option<(&'static str, &Process)> {
        let named = [
            ("containerd", &self.containerd),
            ("kubelet", &self.kubelet),
            ("kube-proxy", &self.proxy),
        ];
        let controllers = self.controllers.iter().map(|one| ("a controller", one));
        named
            .into_iter()
            .chain(controllers)
            .find(|(_, process)| process.status().is_some())
    }
}

/// What the programs of a node need to be started.
struct Start<'n> {
    control: &'n ControlPlane,
    components: &'n Components,
    room: &'n Room,
    dir: &'n Path,
}

impl Start<'_> {
    /// Writes every configuration file.
    fn write_files(&self) -> LabResult<()> {
        let networks = self.dir.join(config::NETWORKS.trim_start_matches('/'));
        fs::create_dir_all(&networks)
            .map_err(LabError::io(format!("create {}", networks.display())))?;
        let proxy = self.kubeconfig("system:kube-proxy", NO_GROUP)?;
        let group = room::group(self.control.place()).to_string_lossy();
        let kubelet = config::kubelet(&group, &self.control.authorities());
        for (path, text) in [
            (
                self.dir.join("containerd.toml"),
                config::containerd(&cni()?),
            ),
            (networks.join("lab.conflist"), config::network().to_string()),
            (self.dir.join("kubelet.json"), kubelet.to_string()),
            (
                self.dir.join("kube-proxy.json"),
                config::proxy(&proxy).to_string(),
            ),
        ] {
            fs::write(&path, text).map_err(LabError::io(format!("write {}", path.display())))?;
        }
        Ok(())
    }

    fn containerd(&self) -> LabResult<Process> {
        tools::find("runc".as_ref())?;
        let process = self
            .room
            .command(tools::find("containerd".as_ref())?)
            .arg("--config")
            .arg(self.dir.join("containerd.toml"))
            .args(["--log-level", "warn"])
            .spawn()?;
        // Seen from outside of the room.
        let socket = self.dir.join(config::CONTAINERD.trim_start_matches('/'));
        fits_a_socket(&socket)?;
        wait_for("containerd", &process, || {
            std::os::unix::net::UnixStream::connect(&socket).is_ok()
        })?;
        Ok(process)
    }

    fn kubelet(&self) -> LabResult<Process> {
        let user = format!("system:node:{NODE}");
        self.component("kubelet")?
            .arg("--config")
            .arg(self.dir.join("kubelet.json"))
            .arg("--kubeconfig")
            .arg(self.kubeconfig(&user, "system:nodes")?)
            .arg(format!("--hostname-override={NODE}"))
            .arg(format!("--node-ip={},{}", address::HOST4, address::HOST6))
            .spawn()
    }

    fn proxy(&self) -> LabResult<Process> {
        let config = self.dir.join("kube-proxy.json");
        self.component("kube-proxy")?
            .arg("--config")
            .arg(config)
            .spawn()
    }

    fn controllers(&self) -> LabResult<Vec<Process>> {
        let key = self.control.pki().signing_key();
        let manager = self
            .component("kube-controller-manager")?
            .arg("--kubeconfig")
            .arg(self.kubeconfig("system:kube-controller-manager", NO_GROUP)?)
            .arg(format!(
                "--service-account-private-key-file={}",
                key.display()
            ))
            .arg(format!(
                "--root-ca-file={}",
                self.control.authorities().display()
            ))
            .args(["--leader-elect=false", "--use-service-account-credentials"])
            .spawn()?;
        let scheduler = self
            .component("kube-scheduler")?
            .arg("--kubeconfig")
            .arg(self.kubeconfig("system:kube-scheduler", NO_GROUP)?)
            .arg("--leader-elect=false")
            .spawn()?;
        Ok(vec![manager, scheduler])
    }

    fn component(&self, name: &str) -> LabResult<Cmd> {
        let command = self.components.command(self.control.place(), name)?;
        Ok(self.room.enter(command))
    }

    fn kubeconfig(&self, user: &str, group: &str) -> LabResult<PathBuf> {
        kubeconfig::of_person(
            self.control.dir(),
            &self.control.server_url(),
            &self.control.pki(),
            user,
            group,
        )
    }
}

/// The directory with CNI's programs, all of those that the pods' network names.
fn cni() -> LabResult<PathBuf> {
    let has_all = |dir: &PathBuf| config::PLUGINS.iter().all(|name| dir.join(name).exists());
    let found = CNI.iter().map(PathBuf::from).find(has_all);
    found.ok_or_else(|| LabError::MissingTool {
        tool: format!("CNI's {}", config::PLUGINS.join(", ")),
        package: "containernetworking-plugins",
    })
}
