//! The stage without a cluster: pods are network namespaces of the lab, the sidecar reads manifests.
//!
//! Deliberately absent: what is expected of anybody.

use std::fmt::Write;
use std::net::IpAddr;
use std::time::Duration;

use podwall_lab::{
    CurlResult, Lab, LabError, LabResult, Mode, Nginx, Pod, PodSpec, Process, Setting, Sidecar,
    Source,
};
use podwall_policy::document;
use podwall_policy::object::Object;
use serde_json::Value;

use super::script::{CLIENTS, CLUSTER, PORTS, SUBJECT, Step};
use super::stage::{Name, PAGE, REQUEST, Stage, WHO, program};

/// Bound on the time from a written manifest to its being taken in.
const TAKEN_IN: Duration = Duration::from_secs(10);

/// The labels of app1 after the last step, as the manifests have them; no other pod has none.
const NO_LABELS: &str = r#""labels":{}"#;
/// And as they were.
const LABELS_BACK: &str = r#""labels":{"app":"app1-access"}"#;

/// Everything that runs.
pub struct LabStage {
    lab: Lab,
    sidecar: Sidecar,
    _nginx: Nginx,
}

impl LabStage {
    /// Builds it and returns when the sidecar is ready.
    ///
    /// # Errors
    /// Whatever the lab lacks.
    pub fn build(mode: Mode) -> LabResult<Self> {
        let mut lab = Lab::start()?;
        lab.batch(populate)?;
        let app2 = pod_of(&lab, SUBJECT)?;
        let nginx = Nginx::start(app2.place(), &PORTS, PAGE)?;
        let setting = Setting {
            mode,
            source: Source::Manifests,
            shared: &[],
            more: &[],
        };
        let sidecar = Sidecar::start_as(&setting, &lab, &app2, &program()?)?;
        Ok(Self {
            lab,
            sidecar,
            _nginx: nginx,
        })
    }

    /// Changes the cluster and returns when the sidecar has taken the change in.
    fn change(&mut self, change: impl FnOnce(&mut Lab) -> LabResult<()>) -> LabResult<()> {
        let (generation, before) = (self.sidecar.generation()?, self.written());
        self.lab.batch(change)?;
        if self.written() == before {
            return Ok(());
        }
        self.sidecar.wait_beyond(generation, TAKEN_IN)
    }

    /// The manifests as they are at this moment; empty where they cannot be read, which is no content.
    fn written(&self) -> Vec<u8> {
        let files = std::fs::read_dir(self.lab.manifests())
            .into_iter()
            .flatten()
            .flatten();
        files
            .flat_map(|file| std::fs::read(file.path()).unwrap_or_default())
            .collect()
    }

    fn pod(&self, name: Name<'_>) -> LabResult<Pod> {
        pod_of(&self.lab, name)
    }
}

impl Stage for LabStage {
    fn platform(&self) -> &'static str {
        "lab"
    }

    fn prepare(&mut self, step: &Step) -> LabResult<()> {
        self.change(|lab| {
            lab.set_policies_yaml(step.policies.map_or("", |policies| policies.yaml))?;
            if let Some((namespace, key, value)) = step.namespace_label {
                lab.namespace(namespace, &[(key, value)])?;
            }
            Ok(())
        })
    }

    fn ask(&self, client: Name<'_>, port: u16) -> LabResult<CurlResult> {
        let (pod, app2) = (self.pod(client)?, self.pod(SUBJECT)?);
        let curl = pod.curl(&format!("http://{}:{port}/{WHO}", app2.v4()), REQUEST);
        match curl.time {
            Some(_) => Ok(curl),
            None => Err(LabError::Io {
                what: "run curl".to_owned(),
                source: std::io::Error::other(curl.error),
            }),
        }
    }

    fn open_stream(&self, client: Name<'_>) -> LabResult<Process> {
        let (pod, app2) = (self.pod(client)?, self.pod(SUBJECT)?);
        pod.command("curl")
            .args(["-q", "-sS", "-N", "--noproxy", "*"])
            .arg(format!("http://{}:80/slow", app2.v4()))
            .spawn()
    }

    fn take_labels(&mut self, pod: Name<'_>) -> LabResult<()> {
        self.change(|lab| lab.relabel(pod.0, pod.1, &[]))
    }

    fn address(&self, pod: Name<'_>) -> LabResult<IpAddr> {
        Ok(self.pod(pod)?.v4().into())
    }

    fn lines(&self) -> usize {
        self.sidecar.log().len()
    }

    fn line(&self, skip: usize, wanted: &dyn Fn(&Value) -> bool) -> LabResult<Option<Value>> {
        match self.sidecar.wait_log(skip, wanted, REQUEST) {
            Err(LabError::Timeout { .. }) if self.sidecar.process().status().is_none() => Ok(None),
            found => found.map(Some),
        }
    }

    fn how_to_enter(&self) -> String {
        let mut text =
            "\nThe pods are running. In another terminal, as the same user:\n".to_owned();
        let Some(app2) = self.lab.get(SUBJECT.0, SUBJECT.1) else {
            return text;
        };
        for (namespace, name) in CLIENTS {
            if let Some(pod) = self.lab.get(namespace, name) {
                let (entry, url) = (pod.place().entry(), app2.v4());
                let _ = writeln!(
                    text,
                    "  # {namespace}/{name}\n  {entry} curl -sS http://{url}:80/"
                );
            }
        }
        let manifests = self.lab.manifests().display();
        let entry = app2.place().entry();
        let _ = writeln!(text, "  # the rules of app2\n  {entry} iptables-save");
        let _ = writeln!(
            text,
            "The manifests are in {manifests}; an edit takes effect at once.\n\
             Nobody gets in now, since app1 has lost its label. Give it back:\n  \
             sed -i 's/{NO_LABELS}/{LABELS_BACK}/' {manifests}/cluster.yaml"
        );
        let _ = writeln!(text, "Ctrl-C ends it all.");
        text
    }
}

fn pod_of(lab: &Lab, (namespace, name): Name<'_>) -> LabResult<Pod> {
    lab.get(namespace, name).ok_or_else(|| LabError::NoSuchPod {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    })
}

/// Makes the scenario's namespaces and pods from its manifest.
fn populate(lab: &mut Lab) -> LabResult<()> {
    let documents =
        document::read("deploy/demo/cluster.yaml", CLUSTER).map_err(|fault| LabError::Io {
            what: "read the demo's manifests".to_owned(),
            source: std::io::Error::other(fault.to_string()),
        })?;
    for object in documents.objects {
        match object {
            Object::Namespace(namespace) => {
                let labels: Vec<_> = namespace.labels.iter().collect();
                lab.namespace(&namespace.name, &labels)?;
            }
            Object::Pod(pod) => {
                let mut spec = PodSpec::new(&*pod.name.namespace, &*pod.name.name);
                for (key, value) in pod.labels.iter() {
                    spec = spec.label(key, value);
                }
                for port in pod.named_ports.iter() {
                    spec = spec.port(&*port.name, port.port, port.protocol.label());
                }
                lab.pod(spec)?;
            }
            Object::Policy(_) | Object::BrokenPod(_) | Object::BrokenNamespace(_) => {}
        }
    }
    Ok(())
}
