//! The stage on a real Kubernetes node: objects through its API, requests by its pods, podwall as their sidecar.
//!
//! Deliberately absent: what is expected of anybody.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::IpAddr;
use std::time::Duration;

use podwall_lab::{
    ApiClient, CurlResult, Endpoints, Image, KubernetesNode, Lab, LabError, LabResult, Mode, Place,
    Process, Sidecar, access_log, wait_until,
};
use serde_json::{Value, json};

use super::script::{CLIENTS, CLUSTER, Policies, SUBJECT, Step};
use super::stage::{Name, REQUEST, Stage, WHO, program};

/// The roles of a sidecar, and their binding, which is written for a namespace called `shop`.
const ROLES: &str = include_str!("../../deploy/rbac/sidecar.yaml");
const BINDING: &str = include_str!("../../deploy/rbac/sidecar-namespace.yaml");

/// What `deploy/demo/queue.sed` changes in the scenario's manifest for mode queue.
const QUEUE: &str = include_str!("../../deploy/demo/queue.sed");

/// Bound on the way from an applied Pod to one that is ready.
const READY: Duration = Duration::from_secs(120);
/// Bound on the time from a changed object to its being taken in by the sidecar.
const TAKEN_IN: Duration = Duration::from_secs(10);
/// Bound on the start of a command in a container; curl's own time is counted apart from it.
const EXEC: Duration = Duration::from_secs(20);
/// The container of every client.
const CLIENT: &str = "client";
/// The container of app2 that is podwall.
const PODWALL: &str = "podwall";

/// The node with everything on it.
pub struct KubernetesStage {
    node: KubernetesNode,
    addresses: BTreeMap<(String, String), IpAddr>,
    endpoints: Endpoints,
    /// `kubectl logs --follow`, running.
    log: Process,
    /// The policies of the step before, none at first.
    policies: Option<Policies>,
    // Last, so that whatever lives in it ends before.
    _lab: Lab,
}

impl KubernetesStage {
    /// Starts the node, applies the scenario's manifests to it and returns when every pod is ready.
    ///
    /// # Errors
    /// Whatever the lab lacks, or the API server refuses.
    pub fn build(mode: Mode) -> LabResult<Self> {
        let mut lab = Lab::start()?;
        let node = lab.start_kubernetes_node()?;
        for image in [
            Image::nginx()?,
            Image::curl()?,
            Sidecar::image(&program()?)?,
        ] {
            node.import(&image)?;
        }
        let api = node.control().admin();
        api.apply(ROLES)?;
        api.apply(&manifest(lab.node().place(), mode)?)?;
        api.apply(&BINDING.replace("shop", SUBJECT.0))?;
        let mut addresses = BTreeMap::new();
        for (namespace, name) in CLIENTS.into_iter().chain([SUBJECT]) {
            let pod = node.wait_until_pod_ready(namespace, name, READY)?;
            addresses.insert((namespace.to_owned(), name.to_owned()), address(&pod)?);
        }
        let app2 = addresses[&(SUBJECT.0.to_owned(), SUBJECT.1.to_owned())];
        Ok(Self {
            endpoints: Endpoints::new(lab.node().place(), app2),
            log: node.follow_log(SUBJECT.0, SUBJECT.1, PODWALL)?,
            node,
            addresses,
            policies: None,
            _lab: lab,
        })
    }

    /// Makes one change and returns when the sidecar has taken it in. One at a time, so that the first of two is not
    /// mistaken for both.
    fn change(&self, change: impl FnOnce(&ApiClient) -> LabResult<()>) -> LabResult<()> {
        let before = self.endpoints.generation()?;
        change(self.node.control().admin())?;
        let talk = || self.log.output_so_far();
        self.endpoints.wait_beyond(before, TAKEN_IN, talk)
    }

    /// Replaces the policies in force by these. A policy of the same name is updated.
    fn set_policies(&mut self, next: Option<Policies>) -> LabResult<()> {
        let before = std::mem::replace(&mut self.policies, next);
        let file = |policies: Option<Policies>| policies.map(|one| one.file);
        if file(before) == file(next) {
            return Ok(());
        }
        let name = |policies: Policies| policy_path(policies.yaml);
        let (old, new) = (before.map(name).transpose()?, next.map(name).transpose()?);
        if let Some(policies) = next {
            self.change(|api| api.apply(policies.yaml).map(drop))?;
        }
        match old {
            Some(old) if Some(&old) != new.as_ref() => {
                self.change(|api| api.delete(&old).map(drop))
            }
            _ => Ok(()),
        }
    }

    fn url(&self, port: u16, page: &str) -> LabResult<String> {
        Ok(format!("http://{}:{port}/{page}", self.address(SUBJECT)?))
    }
}

impl Stage for KubernetesStage {
    fn platform(&self) -> &'static str {
        "kubernetes"
    }

    fn prepare(&mut self, step: &Step) -> LabResult<()> {
        self.set_policies(step.policies)?;
        let Some((namespace, key, value)) = step.namespace_label else {
            return Ok(());
        };
        let labels = json!({ "metadata": { "labels": { key: value } } });
        let path = format!("/api/v1/namespaces/{namespace}");
        self.change(|api| api.merge(&path, labels).map(drop))
    }

    fn ask(&self, client: Name<'_>, port: u16) -> LabResult<CurlResult> {
        let words = CurlResult::words(&self.url(port, WHO)?, REQUEST);
        let command = self.node.exec(client.0, client.1, CLIENT, &words)?;
        let output = command.run(EXEC + REQUEST)?;
        let curl = CurlResult::read(&output);
        match curl.time {
            Some(_) => Ok(curl),
            None => Err(LabError::Tool {
                command: "kubectl exec ... curl".to_owned(),
                status: output.status.to_string(),
                stderr: output.stderr,
            }),
        }
    }

    fn open_stream(&self, client: Name<'_>) -> LabResult<Process> {
        let url = self.url(80, "slow")?;
        let words = ["curl", "-q", "-sS", "-N", "--noproxy", "*", &url].map(str::to_owned);
        self.node.exec(client.0, client.1, CLIENT, &words)?.spawn()
    }

    fn take_labels(&mut self, (namespace, name): Name<'_>) -> LabResult<()> {
        let path = format!("/api/v1/namespaces/{namespace}/pods/{name}");
        let none = json!({ "metadata": { "labels": null } });
        self.change(|api| api.merge(&path, none).map(drop))
    }

    fn address(&self, (namespace, name): Name<'_>) -> LabResult<IpAddr> {
        let key = (namespace.to_owned(), name.to_owned());
        let found = self.addresses.get(&key).copied();
        found.ok_or(LabError::NoSuchPod {
            namespace: key.0,
            name: key.1,
        })
    }

    fn lines(&self) -> usize {
        access_log(&self.log.stdout_so_far()).len()
    }

    fn line(&self, skip: usize, wanted: &dyn Fn(&Value) -> bool) -> LabResult<Option<Value>> {
        let mut found = None;
        let _ = wait_until(REQUEST, || {
            let lines = access_log(&self.log.stdout_so_far());
            found = lines.into_iter().skip(skip).find(|line| wanted(line));
            found.is_some() || self.log.status().is_some()
        });
        match self.log.status() {
            Some(status) if found.is_none() => Err(LabError::Ended {
                process: "kubectl logs --follow".to_owned(),
                status: status.to_string(),
                what: "podwall's line was read".to_owned(),
                output: self.log.output_so_far(),
            }),
            _ => Ok(found),
        }
    }

    fn how_to_enter(&self) -> String {
        let control = self.node.control();
        let mut text = "\nThe cluster is running. In another terminal, as root:\n".to_owned();
        let _ = writeln!(
            text,
            "  export KUBECONFIG='{}'\n  alias enter='{}'",
            control.kubeconfig().display(),
            control.place().entry()
        );
        let Ok(kubectl) = self.node.kubectl_line() else {
            return text;
        };
        let _ = writeln!(
            text,
            "  # any kubectl works, run through `enter`; this one is always there\n  alias kubectl='{kubectl}'"
        );
        let _ = writeln!(text, "  kubectl get pods,networkpolicies -A");
        if let Ok(url) = self.url(80, "") {
            for (namespace, name) in CLIENTS {
                let _ = writeln!(
                    text,
                    "  kubectl exec -n {namespace} {name} -- curl -sS {url}"
                );
            }
        }
        let (namespace, name) = SUBJECT;
        let _ = writeln!(
            text,
            "  # what podwall says of it\n  kubectl logs -n {namespace} {name} -c {PODWALL}\n\
             Nobody gets in now, since app1 has lost its label. Give it back:\n  \
             kubectl label pod -n my-app-ns app1 app=app1-access\n\
             Ctrl-C ends it all."
        );
        text
    }
}

/// The scenario's manifest, by the documented line for mode queue.
fn manifest(place: &Place, mode: Mode) -> LabResult<String> {
    match mode {
        Mode::Redirect => Ok(CLUSTER.to_owned()),
        Mode::Queue => {
            let sed = place.command("sed").args(["-e", QUEUE]).stdin(CLUSTER);
            Ok(sed.succeed(EXEC)?.stdout)
        }
    }
}

/// The pod's first IPv4 address.
fn address(pod: &Value) -> LabResult<IpAddr> {
    let all = pod["status"]["podIPs"].as_array().into_iter().flatten();
    let mut addresses = all.filter_map(|one| one["ip"].as_str()?.parse().ok());
    addresses.find(IpAddr::is_ipv4).ok_or_else(|| {
        fault(
            "read status.podIPs",
            "a pod that is ready has no IPv4 address",
        )
    })
}

/// Where the one policy of this manifest is in the API.
fn policy_path(yaml: &str) -> LabResult<String> {
    use podwall_policy::{document, object::Object};
    let read = document::read("the step's manifest", yaml);
    let documents = read.map_err(|error| fault("read a policy", &error.to_string()))?;
    let named = documents
        .objects
        .into_iter()
        .find_map(|object| match object {
            Object::Policy(policy) => Some(policy.name),
            _ => None,
        });
    let name = named.ok_or_else(|| fault("read a policy", "the manifest has none"))?;
    Ok(format!(
        "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies/{}",
        name.namespace, name.name
    ))
}

fn fault(what: &str, why: &str) -> LabError {
    LabError::Io {
        what: what.to_owned(),
        source: std::io::Error::other(why.to_owned()),
    }
}
