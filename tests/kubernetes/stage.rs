//! The scene with a real API server as its source, read by the sidecar directly or through the server of faults.

use std::path::PathBuf;
use std::time::Duration;

use podwall_lab::{Account, ApiClient, ControlPlane, Pod, Sidecar, Source, wait_until};
use serde_json::Value;

use crate::faults::{Faults, Identity};
use crate::support::{CART_ONLY, SOON, Scene, Seen, podwall};
use crate::talk::{APP, App};

/// Bound on a recovery: what a watch may stay silent, and the longest back-off after it.
pub const LONG: Duration = Duration::from_secs(150);

/// What a sidecar may do, as it is given to users.
const RBAC: [&str; 2] = [
    include_str!("../../deploy/rbac/sidecar.yaml"),
    include_str!("../../deploy/rbac/sidecar-namespace.yaml"),
];

/// The scene's pods as objects of an API server, nginx and the test's own application in `shop/web`.
pub struct Stage {
    pub app: App,
    pub scene: Scene,
    pub faults: Option<Faults>,
    pub account: Account,
    pub control: ControlPlane,
}

impl Stage {
    /// Without a sidecar.
    pub fn bare(policies: &str) -> Self {
        let mut scene = Scene::bare(policies);
        let control = scene.lab.start_control_plane().expect("a control plane");
        let account = control.account("shop", "web").expect("an account");
        scene.serve();
        let app = App::listen(scene.web.place(), APP);
        let stage = Self {
            app,
            scene,
            faults: None,
            account,
            control,
        };
        stage.grant();
        stage
    }

    /// Gives the sidecar's account its rights.
    pub fn grant(&self) {
        for yaml in RBAC {
            self.control.grant(yaml).expect("the sidecar's rights");
        }
    }

    /// With a ready sidecar that asks the API server itself.
    pub fn direct() -> Self {
        let mut stage = Self::bare(CART_ONLY);
        stage.start();
        stage
    }

    /// Without a sidecar; whichever comes will ask the server of faults.
    pub fn spoiled(policies: &str) -> Self {
        let mut stage = Self::bare(policies);
        let (authority, node) = (stage.control.authorities(), stage.scene.lab.node().clone());
        let identity = Identity {
            certificate: &authority.with_file_name("kube-apiserver.crt"),
            key: &authority.with_file_name("kube-apiserver.key"),
            authority: &authority,
        };
        let upstream = stage.control.server_address();
        let faults = Faults::start(node.place(), upstream.ip(), upstream, &identity);
        stage.faults = Some(faults);
        stage
    }

    /// The same with a ready sidecar.
    pub fn behind_faults() -> Self {
        let mut stage = Self::spoiled(CART_ONLY);
        stage.start();
        stage
    }

    pub fn faults(&self) -> &Faults {
        self.faults.as_ref().expect("a server of faults")
    }

    pub fn admin(&self) -> &ApiClient {
        self.control.admin()
    }

    /// Starts the sidecar and waits until it is ready.
    pub fn start(&mut self) {
        self.launch();
        self.is_ready(SOON);
    }

    /// Starts the sidecar, or another in its place, and waits until it lives.
    pub fn launch(&mut self) {
        self.launch_with(&[]);
    }

    /// The same with more flags, which both programs take.
    pub fn launch_with(&mut self, more: &[&str]) {
        self.scene.sidecar = None;
        let (lab, web) = (&self.scene.lab, &self.scene.web);
        Sidecar::install(lab, web, &podwall(), more).expect("the rules");
        let kubeconfig = self.kubeconfig();
        let source = Source::Kubeconfig(&kubeconfig);
        let sidecar = Sidecar::launch_from(source, lab, web, &podwall(), more);
        let sidecar = sidecar.expect("a sidecar");
        let alive = || sidecar.get("/livez").is_ok_and(|(code, _)| code == 200);
        let lives = wait_until(SOON, alive);
        assert!(lives, "{}", sidecar.process().output_so_far());
        self.scene.sidecar = Some(sidecar);
    }

    pub fn kubeconfig(&self) -> PathBuf {
        let direct = self.account.kubeconfig();
        let Some(faults) = &self.faults else {
            return direct;
        };
        let text = std::fs::read_to_string(&direct).unwrap();
        let url = format!("https://{}", faults.address());
        let file = self.scene.lab.dir().join("faults.kubeconfig");
        std::fs::write(&file, text.replace(&self.control.server_url(), &url)).unwrap();
        file
    }

    /// Waits until the sidecar is ready.
    pub fn is_ready(&self, deadline: Duration) {
        let ready = || self.readiness().0 == 200;
        assert!(wait_until(deadline, ready), "{}", self.output());
    }

    /// Status and text of `/readyz`.
    pub fn readiness(&self) -> (u16, String) {
        self.scene.sidecar().get("/readyz").expect("an answer")
    }

    /// A series of podwall's without labels.
    pub fn metric(&self, name: &str) -> f64 {
        let series = format!("podwall_{name}");
        let value = self.scene.sidecar().metric(&series).expect("metrics");
        value.unwrap_or_else(|| panic!("no {series}"))
    }

    /// What podwall says on stderr contains these words, soon.
    pub fn says(&self, words: &str) {
        let talk = || self.scene.sidecar().process().stderr_so_far();
        assert!(wait_until(SOON, || talk().contains(words)), "{}", talk());
    }

    /// Asks until podwall answers this client so and for this reason; gives its line.
    pub fn fares(&self, client: &Pod, seen: Seen, reason: &str) -> Value {
        self.fares_at(client, 80, seen, reason)
    }

    /// The same on another port.
    pub fn fares_at(&self, client: &Pod, port: u16, seen: Seen, reason: &str) -> Value {
        let mut last = (Seen::TimedOut, Value::Null);
        let so = wait_until(SOON, || {
            last = self.scene.ask_logged(client, port);
            last.0 == seen && last.1["reason"] == reason
        });
        assert!(
            so,
            "{last:?} instead of {seen:?} {reason}: {}",
            self.output()
        );
        last.1
    }

    /// What podwall has printed, and where it stands.
    pub fn output(&self) -> String {
        let sidecar = self.scene.sidecar();
        let ready = sidecar.get("/readyz").map(|(_, text)| text);
        // Lines of refused tries fill the log.
        format!("{}\n{ready:?}", sidecar.process().stderr_so_far())
    }
}
