//! Objects as an API server would print them, with what it and the kubelet add. Pure: values in, JSON out.

use std::{collections::BTreeMap, time::SystemTime};

use serde_json::{Value, json};

use crate::{PodSpec, address, pod::Identity, spec::Port};

/// Name of the node that every pod is on.
pub(crate) const NODE: &str = "lab-node";
/// Seconds that a terminating pod has left.
pub(crate) const GRACE: u32 = 30;

/// A Pod object's changing parts.
#[derive(Clone, Debug)]
pub(crate) struct PodObject {
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) phase: String,
    pub(crate) terminating: bool,
    pub(crate) announced: bool,
    ports: Vec<Port>,
    host_network: bool,
    started: SystemTime,
}

impl PodObject {
    pub(crate) fn new(spec: &PodSpec, started: SystemTime) -> Self {
        Self {
            labels: spec.labels.clone(),
            phase: spec.phase.clone(),
            terminating: false,
            announced: spec.announced,
            ports: spec.ports.clone(),
            host_network: spec.host_network,
            started: spec.started.unwrap_or(started),
        }
    }

    /// Whether the pod's containers have ended for good.
    pub(crate) fn is_finished(&self) -> bool {
        matches!(self.phase.as_str(), "Succeeded" | "Failed")
    }

    /// The whole object, as a server prints it.
    pub(crate) fn json(&self, identity: &Identity) -> Value {
        let mut object = self.request(identity);
        object["metadata"]["uid"] = identity.uid.clone().into();
        if self.terminating {
            object["metadata"]["deletionTimestamp"] = time(SystemTime::now()).into();
            object["metadata"]["deletionGracePeriodSeconds"] = GRACE.into();
        }
        object["status"] = self.status(identity);
        object
    }

    /// The object as its maker sends it to a server: without what server and kubelet add.
    pub(crate) fn request(&self, identity: &Identity) -> Value {
        let metadata = json!({
            "name": identity.name, "namespace": identity.namespace, "labels": self.labels,
        });
        json!({ "apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": self.spec() })
    }

    /// What a kubelet says of the pod.
    pub(crate) fn status(&self, identity: &Identity) -> Value {
        let ips =
            |ips: &[std::net::IpAddr]| ips.iter().map(|ip| json!({ "ip": ip })).collect::<Vec<_>>();
        let host = [address::HOST4.into(), address::HOST6.into()];
        json!({
            "phase": self.phase, "startTime": time(self.started), "hostIP": host[0], "hostIPs": ips(&host),
            "podIP": identity.addresses.first(), "podIPs": ips(&identity.addresses),
        })
    }

    fn spec(&self) -> Value {
        let ports = |sidecar| {
            let declared = self.ports.iter().filter(|port| port.sidecar == sidecar);
            declared.map(port).collect::<Vec<_>>()
        };
        let mut spec = json!({
            "nodeName": NODE,
            "containers": [{ "name": "app", "image": "lab/app", "ports": ports(false) }],
        });
        if self.ports.iter().any(|port| port.sidecar) {
            spec["initContainers"] = json!([{
                "name": "sidecar", "image": "lab/sidecar", "restartPolicy": "Always", "ports": ports(true),
            }]);
        }
        if self.host_network {
            spec["hostNetwork"] = true.into();
        }
        spec
    }
}

/// A Namespace object, with the label that every server adds.
pub(crate) fn namespace(name: &str, labels: &BTreeMap<String, String>) -> Value {
    let mut labels = labels.clone();
    labels.insert("kubernetes.io/metadata.name".to_owned(), name.to_owned());
    json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": { "name": name, "labels": labels }, "status": { "phase": "Active" },
    })
}

fn port(port: &Port) -> Value {
    let mut declared = json!({ "containerPort": port.number, "protocol": port.protocol });
    if !port.name.is_empty() {
        declared["name"] = port.name.clone().into();
    }
    declared
}

fn time(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}
