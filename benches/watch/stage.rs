//! The real part of the cluster: a client pod, a guarded pod with an application, a control plane, a sidecar.
//!
//! One policy, the gate, decides about the client. It is written by `PATCH`, as `kubectl` would.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use podwall_lab::{
    Account, ApiClient, ControlPlane, Lab, LabError, LabResult, Mode, Pod, PodSpec, Request,
    Setting, Sidecar, Source, wait_until,
};
use serde_json::{Value, json};

use super::app::App;
use super::client::{Outcome, hold_until_cut, try_until};
use super::samples::{Change, Sample, Samples};
use super::witness::Witness;

/// The namespace of the real pods.
pub const NAMESPACE: &str = "bench";
/// The guarded pod's name and the value of its label `app`.
pub const SERVER: &str = "server";
/// The client pod's name and the value of its label `app`.
const CLIENT: &str = "client";
/// The application's port.
const PORT: u16 = 8080;
/// Bound on the sidecar's way from its start to readiness.
const SYNC: Duration = Duration::from_secs(300);

/// Lets in pods with the label door=open.
const GATE: &str = "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: gate, namespace: bench }
spec:
  podSelector: { matchLabels: { app: server } }
  policyTypes: [Ingress]
  ingress: [{ from: [{ podSelector: { matchLabels: { door: open } } }] }]
";

/// The real pods and their control plane. Everything ends with it.
pub struct Stage {
    client: Pod,
    /// The guarded pod.
    pub server: Pod,
    /// etcd and the API server.
    pub control: ControlPlane,
    account: Account,
    program: PathBuf,
    mode: Mode,
    _app: App,
    // Last, so that whatever lives in it ends before.
    lab: Lab,
}

impl Stage {
    /// Builds it, with the door open, and installs podwall's rules in the guarded pod.
    ///
    /// # Errors
    /// What the lab or the API server refuses.
    ///
    /// # Panics
    /// Where the rules cannot be installed.
    pub fn build(mode: Mode) -> LabResult<Self> {
        let mut lab = Lab::start()?;
        let control = lab.start_control_plane()?;
        let (client, server) = lab.batch(|lab| {
            lab.namespace(NAMESPACE, &[])?;
            let client = PodSpec::new(NAMESPACE, CLIENT).label("app", CLIENT);
            let client = lab.pod(client.label("door", "open"))?;
            let server = lab.pod(PodSpec::new(NAMESPACE, SERVER).label("app", SERVER))?;
            lab.set_policies_yaml(GATE)?;
            Ok((client, server))
        })?;
        for pod in [&client, &server] {
            // Thousands of connections a minute between few addresses: ports must come back at once.
            pod.place().sysctl("net.ipv4.tcp_tw_reuse", "1")?;
        }
        control.grant(include_str!("../../deploy/rbac/sidecar.yaml"))?;
        let binding = include_str!("../../deploy/rbac/sidecar-namespace.yaml");
        control.grant(&binding.replace("shop", NAMESPACE))?;
        let program = PathBuf::from(env!("CARGO_BIN_EXE_podwall"));
        let installed = Sidecar::redirect_as(mode, &lab, &server, &program, &[])?;
        assert!(installed.status.success(), "{}", installed.stderr);
        Ok(Self {
            account: control.account(NAMESPACE, "default")?,
            _app: App::start(&server, PORT)?,
            client,
            server,
            control,
            program,
            mode,
            lab,
        })
    }

    /// One who may do everything.
    pub fn admin(&self) -> &ApiClient {
        self.control.admin()
    }

    /// Starts a sidecar, as the pod's service account, and says how long it took to get ready.
    ///
    /// # Errors
    /// With its own words where it does not get ready.
    pub fn sidecar(&self) -> LabResult<(Sidecar, Duration)> {
        self.account.renew(Duration::from_secs(3600))?;
        let began = Instant::now();
        let file = self.account.kubeconfig();
        if self.mode == Mode::Queue {
            // It runs as the lab's own user there, not as the one whose file this is, and may not override that.
            let token = file.with_file_name("token");
            std::fs::set_permissions(&token, Permissions::from_mode(0o644)).map_err(|source| {
                LabError::Io {
                    what: format!("open {} to all", token.display()),
                    source,
                }
            })?;
        }
        // The cluster alone: the lab's manifests on top of it would hide every change.
        let setting = Setting {
            mode: self.mode,
            source: Source::Kubeconfig(&file),
            shared: &[],
            more: &[],
        };
        let sidecar = Sidecar::launch_as(&setting, &self.lab, &self.server, &self.program)?;
        let answers = || sidecar.get("/readyz").is_ok_and(|(code, _)| code == 200);
        let ready = wait_until(SYNC, || sidecar.process().status().is_some() || answers());
        let took = began.elapsed();
        if ready && sidecar.process().status().is_none() {
            return Ok((sidecar, took));
        }
        Err(LabError::Timeout {
            what: "the sidecar getting ready".to_owned(),
            after: SYNC,
            output: sidecar.process().output_so_far(),
        })
    }

    /// Shuts the door and opens it again, once by the policy and once by the client's label; adds what was seen.
    /// Whenever it is shut, so many connections are `open`.
    ///
    /// # Errors
    /// What the API server refuses.
    ///
    /// # Panics
    /// Where a change is not enforced, or something else than it.
    pub fn round(&self, open: usize, witness: &Witness, samples: &mut Samples) -> LabResult<()> {
        let gate = self.gate_path();
        let rules = |rules| Request::merge(&gate, json!({ "spec": { "ingress": rules } }));
        let friends =
            json!([{ "from": [{ "podSelector": { "matchLabels": { "door": "open" } } }] }]);
        self.shut(open, rules(json!([])), Change::Policy, witness, samples)?;
        self.open(rules(friends), Change::Policy, witness, samples)?;
        let pod = format!("/api/v1/namespaces/{NAMESPACE}/pods/{CLIENT}");
        let door = |word: &str| {
            Request::merge(&pod, json!({ "metadata": { "labels": { "door": word } } }))
        };
        self.shut(open, door("ajar"), Change::Labels, witness, samples)?;
        self.open(door("open"), Change::Labels, witness, samples)
    }

    /// Writes something that is no pod. The version from which pods were followed last is then older than what a
    /// server that starts afresh begins with, so it wants them listed anew.
    ///
    /// # Errors
    /// What the API server refuses.
    pub fn outdate(&self) -> LabResult<()> {
        let now = format!("{:?}", Instant::now());
        let note = json!({ "metadata": { "annotations": { "outdated": now } } });
        let namespace = format!("/api/v1/namespaces/{NAMESPACE}");
        self.admin().merge(&namespace, note).map(drop)
    }

    fn gate_path(&self) -> String {
        format!("/apis/networking.k8s.io/v1/namespaces/{NAMESPACE}/networkpolicies/gate")
    }

    fn shut(
        &self,
        open: usize,
        request: Request,
        change: Change,
        witness: &Witness,
        samples: &mut Samples,
    ) -> LabResult<()> {
        let target = (self.server.v4(), PORT).into();
        let (ready, at_work) = mpsc::channel();
        let sample = thread::scope(|scope| {
            let held = ready.clone();
            let cut = scope.spawn(move || hold_until_cut(&self.client, target, open, held));
            let denied =
                scope.spawn(move || try_until(&self.client, target, Outcome::Denied, ready));
            for _ in 0..2 {
                at_work.recv().expect("both clients are at work");
            }
            self.write(request, witness, || {
                let denied = denied.join().expect("new connections are refused");
                let cut = cut.join().expect("the open connections are cut");
                (denied.max(cut), Some(cut))
            })
        })?;
        samples.add(change, sample);
        Ok(())
    }

    fn open(
        &self,
        request: Request,
        change: Change,
        witness: &Witness,
        samples: &mut Samples,
    ) -> LabResult<()> {
        let target = (self.server.v4(), PORT).into();
        let (ready, at_work) = mpsc::channel();
        let sample = thread::scope(|scope| {
            let allowed =
                scope.spawn(move || try_until(&self.client, target, Outcome::Allowed, ready));
            at_work.recv().expect("the client is at work");
            self.write(request, witness, || {
                let allowed = allowed.join().expect("new connections are let in");
                (allowed, None)
            })
        })?;
        samples.add(change, sample);
        Ok(())
    }

    /// Sends a write, waits for its enforcement, and the last cut where it shuts, and gives all its moments.
    fn write(
        &self,
        request: Request,
        witness: &Witness,
        enforced: impl FnOnce() -> (Instant, Option<Instant>),
    ) -> LabResult<Sample> {
        let sent = Instant::now();
        let object = self.admin().succeed(request)?;
        let answered = Instant::now();
        let version = match &object["metadata"]["resourceVersion"] {
            Value::String(version) => version.as_str(),
            other => panic!("an object has a resourceVersion, not {other}"),
        };
        let (enforced, cut) = enforced();
        Ok(Sample {
            sent,
            answered,
            enforced,
            cut,
            event: witness.heard(version),
        })
    }
}
