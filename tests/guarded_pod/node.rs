//! The node with the scenario's pods: asked by its clients, read through its API, robbed of its containers.

use std::time::Duration;

use podwall_lab::{
    CurlResult, Endpoints, Image, KubernetesNode, Lab, Output, Process, Sidecar, container_status,
    wait_until,
};
use serde_json::{Value, json};

use super::super::LONG;

const CLUSTER: &str = include_str!("../../deploy/demo/cluster.yaml");
const POLICY: &str = include_str!("../../deploy/demo/allow-app1-access-app2.yaml");
const ROLES: &str = include_str!("../../deploy/rbac/sidecar.yaml");
const BINDING: &str = include_str!("../../deploy/rbac/sidecar-namespace.yaml");
const READER: &str = include_str!("../../deploy/rbac/reader.yaml");

/// The namespace of all pods that matter here.
const NAMESPACE: &str = "my-app-ns";
/// The guarded pod.
const APP2: &str = "app2";
/// Bound on a command in a container.
const EXEC: Duration = Duration::from_secs(60);
/// Bound on one request in it.
const REQUEST: Duration = Duration::from_secs(10);
/// What curl prints: HTTP code and its own exit code, 0 and 0 where all is well.
const FORM: &str = "%{http_code} %{exitcode}\n";
/// Tries until the file is there, or fifty thousand times.
const SIEGE: &str = r#"i=0; while [ ! -e /tmp/lift ] && [ $i -lt 50000 ]; do
curl -q -s -g -o /dev/null -m 5 -w "$1" "$2"; i=$((i + 1)); done"#;

pub struct Node {
    pub node: KubernetesNode,
    app2: Value,
    log: Process,
    lab: Lab,
}

impl Node {
    /// Everything is applied but the sidecar's permission, the policy first; returns when podwall runs.
    pub fn start() -> Self {
        let mut lab = Lab::start().unwrap();
        let node = lab.start_kubernetes_node().unwrap();
        let program = env!("CARGO_BIN_EXE_podwall").as_ref();
        for image in [Image::nginx(), Image::curl(), Sidecar::image(program)] {
            node.import(&image.unwrap()).unwrap();
        }
        let api = node.control().admin();
        let namespace = json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE },
        });
        api.create(&namespace).unwrap();
        for manifest in [ROLES, POLICY, CLUSTER] {
            api.apply(manifest).unwrap();
        }
        for client in ["app1", "rogue"] {
            node.wait_until_pod_ready(NAMESPACE, client, LONG).unwrap();
        }
        let runs = |pod: &Value| container_status(pod, "podwall")["state"]["running"].is_object();
        let app2 = node.wait_for_pod(NAMESPACE, APP2, "podwall runs", LONG, runs);
        Self {
            app2: app2.unwrap(),
            log: node.follow_log(NAMESPACE, APP2, "podwall").unwrap(),
            node,
            lab,
        }
    }

    /// Lets the service accounts of the namespace read what a sidecar reads.
    pub fn grant_sidecar(&self) {
        let api = self.node.control().admin();
        api.apply(&BINDING.replace("shop", NAMESPACE)).unwrap();
    }

    /// Lets the pod's account read all that `explain` asks for.
    pub fn grant_reader(&self) {
        let api = self.node.control().admin();
        api.apply(READER).unwrap();
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": { "name": "podwall-reader" },
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "podwall-reader",
            },
            "subjects": [{ "kind": "ServiceAccount", "name": "default", "namespace": NAMESPACE }],
        });
        api.create(&binding).unwrap();
    }

    /// Where nginx is asked, over both families.
    pub fn urls(&self, port: u16) -> Vec<String> {
        let addresses = self.app2["status"]["podIPs"].as_array().unwrap();
        let url = |address: &Value| match address["ip"].as_str().unwrap() {
            v6 if v6.contains(':') => format!("http://[{v6}]:{port}/"),
            v4 => format!("http://{v4}:{port}/"),
        };
        let urls: Vec<_> = addresses.iter().map(url).collect();
        assert_eq!(urls.len(), 2, "{addresses:?}");
        urls
    }

    /// One request by curl in a client.
    pub fn ask(&self, client: &str, url: &str) -> CurlResult {
        let words = CurlResult::words(url, REQUEST);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let output = self.exec(client, "client", &words);
        let curl = CurlResult::read(&output);
        assert!(curl.time.is_some(), "{output:?}");
        curl
    }

    /// A client that tries until it is lifted.
    pub fn besiege(&self, client: &'static str) -> Siege<'_> {
        let url = &self.urls(80)[0];
        let words = words(&["sh", "-c", SIEGE, "siege", FORM, url]);
        let process = self.node.exec(NAMESPACE, client, "client", &words).unwrap();
        let siege = Siege {
            node: self,
            client,
            process: process.spawn().unwrap(),
        };
        siege.tries_again();
        siege
    }

    /// Kills a container of app2.
    pub fn kill(&self, container: &str) {
        self.node
            .kill_container(NAMESPACE, APP2, container)
            .unwrap();
    }

    /// Waits until the container was started again so often, and the whole pod is ready.
    pub fn wait_until_back(&self, container: &str, restarts: u64) {
        let back = |pod: &Value| {
            let status = container_status(pod, container);
            status["restartCount"] == restarts && status["ready"] == true
        };
        self.node
            .wait_for_pod(NAMESPACE, APP2, "back", LONG, back)
            .unwrap();
        self.node
            .wait_until_pod_ready(NAMESPACE, APP2, LONG)
            .unwrap();
    }

    /// How often a container of app2 was started again.
    pub fn restarts(&self, container: &str) -> u64 {
        self.status(container)["restartCount"].as_u64().unwrap()
    }

    /// What the API server says of a container of app2.
    pub fn status(&self, container: &str) -> Value {
        let path = format!("/api/v1/namespaces/{NAMESPACE}/pods/{APP2}");
        container_status(&self.node.control().admin().get(&path).unwrap(), container).clone()
    }

    /// podwall's endpoints, asked from the node.
    pub fn endpoints(&self) -> Endpoints {
        let address = self.app2["status"]["podIP"].as_str().unwrap();
        Endpoints::new(self.lab.node().place(), address.parse().unwrap())
    }

    /// What podwall wrote until now, before any restart of it.
    pub fn log(&self) -> String {
        self.log.output_so_far()
    }

    /// Its first access-log line with that reason.
    pub fn log_line(&self, reason: &str) -> Value {
        let mut found = Value::Null;
        let came = wait_until(LONG, || {
            let log = self.log();
            let mut lines = log
                .lines()
                .filter_map(|line| serde_json::from_str(line).ok());
            found = lines
                .find(|line: &Value| line["reason"] == reason)
                .unwrap_or_default();
            !found.is_null()
        });
        assert!(came, "{}", self.log());
        found
    }

    /// podwall with these words, run in app2 beside the sidecar.
    pub fn podwall(&self, arguments: &[&str]) -> Output {
        self.exec(APP2, "podwall", &[&["podwall"], arguments].concat())
    }

    fn exec(&self, pod: &str, container: &str, arguments: &[&str]) -> Output {
        let command = self.node.exec(NAMESPACE, pod, container, &words(arguments));
        command.unwrap().run(EXEC).unwrap()
    }
}

/// A client that tries all the time.
pub struct Siege<'n> {
    node: &'n Node,
    client: &'static str,
    process: Process,
}

impl Siege<'_> {
    /// Waits until it has tried twice since now, so that one try began after now.
    pub fn tries_again(&self) {
        let tries = || seen(&self.process.stdout_so_far()).len();
        let before = tries();
        let more = wait_until(LONG, || {
            tries() > before + 1 || self.process.status().is_some()
        });
        assert!(
            more && self.process.status().is_none(),
            "{}",
            self.process.output_so_far()
        );
    }

    /// Ends it after one more try and gives what every try saw.
    pub fn lift(self) -> Vec<Seen> {
        self.tries_again();
        self.node
            .exec(self.client, "client", &["sh", "-c", ": > /tmp/lift"]);
        self.process.wait(LONG).unwrap();
        seen(&self.process.stdout_so_far())
    }
}

/// What came of one request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Seen {
    /// The page.
    Page,
    /// A reset: of the connection, or of the attempt. Which of the two curl says depends on which it notices first.
    Reset,
    /// Anything else: curl's exit code.
    Other(u16),
}

/// Every whole line in [`FORM`].
fn seen(printed: &str) -> Vec<Seen> {
    let whole = printed.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let see = |line| match line {
        "200 0" => Seen::Page,
        "000 7" | "000 56" => Seen::Reset,
        other => Seen::Other(other.rsplit(' ').next().unwrap().parse().unwrap()),
    };
    whole.lines().map(see).collect()
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}
