//! The made-up pods that fill the cluster, and the policies that select the guarded pod.
//!
//! Everything is made through the API, so the API server has checked and stored it as in any cluster. No pod of the
//! crowd runs anywhere: a watcher needs no more than the object. A pod is written out as a kubelet and a controller
//! would leave it (owner, probes, resources, a token's volume, conditions, container states), because the size of
//! one list depends on it.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use podwall_lab::{ApiClient, LabResult, Request};
use serde_json::{Value, json};

use super::stage::{NAMESPACE, SERVER};

/// How many Deployments the pods are of; pods of one share their labels.
const DEPLOYMENTS: usize = 1_000;
/// How many namespaces they are in.
const NAMESPACES: usize = 50;
/// Pods made and completed in one go.
const CHUNK: usize = 2_000;
/// Requests on their way at a time: enough to keep two processors busy.
const IN_FLIGHT: usize = 24;
/// First address of the crowd. Far from the lab's own pods, and room for eight million.
const FIRST_ADDRESS: u32 = u32::from_be_bytes([10, 128, 0, 1]);
/// The address of all their nodes.
const NODE: &str = "172.18.0.2";

/// What fills the cluster.
pub struct Crowd<'a> {
    admin: &'a ApiClient,
    pods: usize,
    /// The policies besides the gate.
    policies: usize,
}

impl<'a> Crowd<'a> {
    /// Makes the namespaces.
    ///
    /// # Errors
    /// What the API server refuses.
    pub fn new(admin: &'a ApiClient) -> LabResult<Self> {
        let namespace = |number| {
            let name = namespace(number);
            let object = json!({
                "apiVersion": "v1", "kind": "Namespace",
                "metadata": { "name": name, "labels": { "team": format!("team-{}", number % 10) } },
            });
            Request::create("/api/v1/namespaces", object)
        };
        admin.send_all((0..NAMESPACES).map(namespace), IN_FLIGHT)?;
        Ok(Self {
            admin,
            pods: 0,
            policies: 0,
        })
    }

    /// Makes pods until there are `pods` of them, and says how long it took. Never removes any.
    ///
    /// # Errors
    /// What the API server refuses.
    pub fn grow(&mut self, pods: usize) -> LabResult<Duration> {
        let began = Instant::now();
        while self.pods < pods {
            let numbers = self.pods..pods.min(self.pods + CHUNK);
            let create = |number| Request::create(collection(number), pod(number));
            self.admin
                .send_all(numbers.clone().map(create), IN_FLIGHT)?;
            // A server forgets the status of what is created: it is the kubelet's to report.
            let complete = |number| {
                let path = format!("{}/{}/status", collection(number), name(number));
                Request::merge(path, json!({ "status": status(number) }))
            };
            self.admin
                .send_all(numbers.clone().map(complete), IN_FLIGHT)?;
            self.pods = numbers.end;
        }
        Ok(began.elapsed())
    }

    /// Changes an annotation of `changes` pods, one after the other and from the first again.
    ///
    /// # Errors
    /// What the API server refuses.
    pub fn change(&self, changes: usize) -> LabResult<()> {
        let change = |turn: usize| {
            let number = turn % self.pods;
            let path = format!("{}/{}", collection(number), name(number));
            let turn = format!("{:?}", Instant::now());
            Request::merge(
                path,
                json!({ "metadata": { "annotations": { "turn": turn } } }),
            )
        };
        self.admin.send_all((0..changes).map(change), IN_FLIGHT)
    }

    /// Makes or removes policies until `policies` select the guarded pod, the gate among them.
    ///
    /// # Errors
    /// What the API server refuses.
    pub fn select(&mut self, policies: usize) -> LabResult<()> {
        let wanted = policies.saturating_sub(1);
        let collection =
            format!("/apis/networking.k8s.io/v1/namespaces/{NAMESPACE}/networkpolicies");
        let create = |number| Request::create(&collection, policy(number));
        let delete = |number| Request::delete(format!("{collection}/{}", policy_name(number)));
        self.admin
            .send_all((self.policies..wanted).map(create), IN_FLIGHT)?;
        self.admin
            .send_all((wanted..self.policies).map(delete), IN_FLIGHT)?;
        self.policies = wanted;
        Ok(())
    }
}

fn namespace(number: usize) -> String {
    format!("crowd-{:02}", number % NAMESPACES)
}

fn collection(number: usize) -> String {
    format!("/api/v1/namespaces/{}/pods", namespace(number))
}

/// The Deployment of that pod and the hash of its template, as its ReplicaSet's name has it.
fn owner(number: usize) -> String {
    let deployment = number % DEPLOYMENTS;
    format!("app-{deployment:03}-{:09x}", deployment * 7_654_321)
}

fn name(number: usize) -> String {
    format!("{}-{number:05x}", owner(number))
}

fn pod(number: usize) -> Value {
    let deployment = number % DEPLOYMENTS;
    let (app, owner) = (format!("app-{deployment:03}"), owner(number));
    let hash = owner.rsplit('-').next();
    let probe =
        |path: &str| json!({ "httpGet": { "path": path, "port": "http" }, "periodSeconds": 10 });
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": name(number), "namespace": namespace(number),
            "labels": {
                "app.kubernetes.io/name": app, "app.kubernetes.io/part-of": format!("shop-{}", deployment % 40),
                "pod-template-hash": hash, "tier": (if deployment.is_multiple_of(3) { "web" } else { "back" }),
            },
            "annotations": { "prometheus.io/scrape": "true", "prometheus.io/port": "9090" },
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": owner, "controller": true,
                "blockOwnerDeletion": true, "uid": format!("{deployment:08x}-0000-4000-8000-000000000001"),
            }],
        },
        "spec": {
            "serviceAccountName": "default",
            "containers": [{
                "name": "app", "image": format!("registry.example/shop/{app}:1.4.2"),
                "ports": [{ "name": "http", "containerPort": 8080 }, { "name": "metrics", "containerPort": 9090 }],
                "env": [
                    { "name": "POD_NAME", "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } } },
                    { "name": "DATABASE", "value": "postgres://db.shop.svc:5432/shop" },
                ],
                "resources": {
                    "requests": { "cpu": "100m", "memory": "128Mi" }, "limits": { "memory": "256Mi" },
                },
                "readinessProbe": probe("/ready"), "livenessProbe": probe("/live"),
                "volumeMounts": [{
                    "name": "token", "readOnly": true,
                    "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
                }],
            }],
            "volumes": [{ "name": "token", "projected": { "sources": [
                { "serviceAccountToken": { "expirationSeconds": 3607, "path": "token" } },
                { "configMap": { "name": "kube-root-ca.crt", "items": [{ "key": "ca.crt", "path": "ca.crt" }] } },
            ] } }],
        },
    })
}

fn status(number: usize) -> Value {
    let offset = u32::try_from(number).expect("fewer pods than addresses");
    let address = Ipv4Addr::from(FIRST_ADDRESS + offset);
    let since = "2026-01-01T00:00:00Z";
    let met = |kind: &str| json!({ "type": kind, "status": "True", "lastTransitionTime": since });
    let image = format!(
        "registry.example/shop/app-{:03}:1.4.2",
        number % DEPLOYMENTS
    );
    json!({
        "phase": "Running", "startTime": since, "qosClass": "Burstable",
        "podIP": address, "podIPs": [{ "ip": address }], "hostIP": NODE, "hostIPs": [{ "ip": NODE }],
        "conditions": [met("PodScheduled"), met("Initialized"), met("ContainersReady"), met("Ready")],
        "containerStatuses": [{
            "name": "app", "image": image, "imageID": format!("{image}@sha256:{number:064x}"), "restartCount": 0,
            "ready": true, "started": true, "containerID": format!("containerd://{number:064x}"),
            "state": { "running": { "startedAt": since } },
        }],
    })
}

fn policy_name(number: usize) -> String {
    format!("other-{number:05}")
}

/// Selects the guarded pod and lets in a peer of its own that does not exist, on one port.
fn policy(number: usize) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": { "name": policy_name(number), "namespace": NAMESPACE },
        "spec": {
            "podSelector": { "matchLabels": { "app": SERVER } },
            "policyTypes": ["Ingress"],
            "ingress": [{
                "from": [{ "podSelector": { "matchLabels": { "app": format!("peer-{number:05}") } } }],
                "ports": [{ "protocol": "TCP", "port": 8080 }],
            }],
        },
    })
}
