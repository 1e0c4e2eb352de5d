//! The node with the scenario's pods: asked by its clients, read through its API, robbed of its containers.

use std::path::{Path, PathBuf};
use std::time::Duration;

use podwall_lab::{
    Cmd, CurlResult, Endpoints, Image, KubernetesNode, Lab, Mode, Output, Place, Process, Sidecar,
    access_log, container_status, wait_until,
};
use serde_json::{Value, json};

use super::super::LONG;

/// The namespace of all pods that matter here.
const NAMESPACE: &str = "my-app-ns";
/// The guarded pod.
const APP2: &str = "app2";
/// Bound on a command in a container, or of kubectl.
const EXEC: Duration = Duration::from_secs(60);
/// Bound on one request.
const REQUEST: Duration = Duration::from_secs(10);
/// Bound on one request of the node while podwall is away: twice the kubelet's own patience.
const PROBE: Duration = Duration::from_secs(2);

pub struct Node {
    /// podwall's mode in app2.
    pub mode: Mode,
    pub node: KubernetesNode,
    app2: Value,
    /// `kubectl logs --follow` of podwall's container, of the life that it has now.
    log: Process,
    lab: Lab,
}

impl Node {
    /// Everything is applied but the sidecar's permission, the policy first; returns when podwall runs.
    pub fn start(mode: Mode) -> Self {
        let mut lab = Lab::start().unwrap();
        let node = lab.start_kubernetes_node().unwrap();
        let program = env!("CARGO_BIN_EXE_podwall").as_ref();
        for image in [Image::nginx(), Image::curl(), Sidecar::image(program)] {
            node.import(&image.unwrap()).unwrap();
        }
        let namespace = json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE },
        });
        node.control().admin().create(&namespace).unwrap();
        let policy = manifest("demo/allow-app1-access-app2.yaml");
        kubectl(&node, |kubectl| kubectl.arg("apply").arg("-f").arg(policy));
        // As the header of cluster.yaml says; what binds the roles comes later.
        let roles = manifest("rbac/sidecar.yaml");
        kubectl(&node, |kubectl| kubectl.arg("apply").arg("-f").arg(roles));
        let cluster = cluster(&lab, mode);
        kubectl(&node, |kubectl| {
            kubectl.args(["apply", "-f", "-"]).stdin(cluster)
        });
        for client in ["app1", "rogue"] {
            node.wait_until_pod_ready(NAMESPACE, client, LONG).unwrap();
        }
        let runs = |pod: &Value| container_status(pod, "podwall")["state"]["running"].is_object();
        let app2 = node.wait_for_pod(NAMESPACE, APP2, "podwall runs", LONG, runs);
        Self {
            mode,
            app2: app2.unwrap(),
            log: node.follow_log(NAMESPACE, APP2, "podwall").unwrap(),
            node,
            lab,
        }
    }

    /// Lets the service accounts of the namespace read what a sidecar reads, by the documented line; gives the
    /// server's time of it.
    pub fn grant_sidecar(&self) -> String {
        let sed = self.lab.node().place().command("sed");
        let binding = sed.arg(format!(r"s/\bshop\b/{NAMESPACE}/"));
        let binding = binding
            .arg(manifest("rbac/sidecar-namespace.yaml"))
            .run(EXEC);
        let binding = binding.unwrap().stdout;
        kubectl(&self.node, |kubectl| {
            kubectl.args(["apply", "-f", "-"]).stdin(binding)
        });
        let path = format!(
            "/apis/rbac.authorization.k8s.io/v1/namespaces/{NAMESPACE}/rolebindings/podwall-sidecar"
        );
        let made = self.node.control().admin().get(&path).unwrap();
        made["metadata"]["creationTimestamp"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// Lets the pod's account read all that `explain` asks for, by the documented lines.
    pub fn grant_reader(&self) {
        let reader = manifest("rbac/reader.yaml");
        kubectl(&self.node, |kubectl| {
            kubectl.arg("apply").arg("-f").arg(reader)
        });
        let words = [
            "create",
            "clusterrolebinding",
            "podwall-reader",
            "--clusterrole=podwall-reader",
        ];
        let account = format!("--serviceaccount={NAMESPACE}:default");
        kubectl(&self.node, |kubectl| kubectl.args(words).arg(account));
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
        let output = self.run(client, "client", &words);
        let curl = CurlResult::read(&output);
        assert!(curl.time.is_some(), "{output:?}");
        curl
    }

    /// One request by curl in a client that the policy does not admit: reset after its connect, or refused at its connect.
    pub fn is_denied(&self, client: &str, url: &str) {
        let seen = self.ask(client, url);
        let denied = match self.mode {
            Mode::Redirect => seen.reset,
            Mode::Queue => seen.refused,
        };
        assert!(denied && seen.http.is_none(), "{client} {url}: {seen:?}");
    }

    /// One request from the node, as the kubelet probes.
    pub fn ask_from_node(&self) -> CurlResult {
        self.place().curl(&self.urls(80)[0], PROBE)
    }

    /// Kills a container of app2.
    pub fn kill(&self, container: &str) {
        self.node
            .kill_container(NAMESPACE, APP2, container)
            .unwrap();
    }

    /// Waits until the kubelet lets a container of app2 wait before it is started again.
    pub fn is_waiting_to_restart(&self, container: &str) -> bool {
        wait_until(LONG, || {
            self.status(container)["state"]["waiting"]["reason"] == "CrashLoopBackOff"
        })
    }

    /// Waits until the container was started again so often, and the whole pod is ready. The log is that of
    /// podwall's new life afterwards.
    pub fn wait_until_back(&mut self, container: &str, restarts: u64) {
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
        if container == "podwall" {
            self.log = self.node.follow_log(NAMESPACE, APP2, "podwall").unwrap();
        }
    }

    /// How often a container of app2 was started again.
    pub fn restarts(&self, container: &str) -> u64 {
        self.status(container)["restartCount"].as_u64().unwrap()
    }

    /// How often a probe of a container of app2 failed.
    pub fn unhealthy(&self, container: &str) -> u64 {
        self.complaints(container)
            .iter()
            .map(|event| event["count"].as_u64().unwrap_or(1))
            .sum()
    }

    /// The kubelet's events about failed probes of a container of app2.
    pub fn complaints(&self, container: &str) -> Vec<Value> {
        let path = format!("/api/v1/namespaces/{NAMESPACE}/events");
        let list = self.node.control().admin().get(&path).unwrap();
        let place = format!("{{{container}}}");
        let events = list["items"].as_array().unwrap().iter().filter(|event| {
            event["reason"] == "Unhealthy"
                && event["involvedObject"]["fieldPath"]
                    .as_str()
                    .is_some_and(|path| path.ends_with(&place))
        });
        events.cloned().collect()
    }

    /// What the API server says of a container of app2.
    pub fn status(&self, container: &str) -> Value {
        let path = format!("/api/v1/namespaces/{NAMESPACE}/pods/{APP2}");
        container_status(&self.node.control().admin().get(&path).unwrap(), container).clone()
    }

    /// Where the node's own programs run.
    pub fn place(&self) -> &Place {
        self.lab.node().place()
    }

    /// podwall's endpoints, asked from the node.
    pub fn endpoints(&self) -> Endpoints {
        let address = self.app2["status"]["podIP"].as_str().unwrap();
        Endpoints::new(self.lab.node().place(), address.parse().unwrap())
    }

    /// What podwall has written in the life that is followed.
    pub fn log(&self) -> String {
        self.log.output_so_far()
    }

    /// Its first access-log line of a client with that reason.
    pub fn log_line(&self, client: &str, reason: &str) -> Value {
        let sources = self.addresses(client);
        let mut found = None;
        let came = wait_until(LONG, || {
            let mut lines = access_log(&self.log()).into_iter();
            found =
                lines.find(|line| sources.contains(&line["source"]) && line["reason"] == reason);
            found.is_some()
        });
        assert!(came, "{}", self.log());
        found.unwrap()
    }

    /// podwall has let nobody with the client's address in, in this life and the one before.
    pub fn log_holds_no_allow_of(&self, client: &str) {
        let sources = self.addresses(client);
        let words = ["logs", "--previous", "-n", NAMESPACE, APP2, "-c", "podwall"];
        let before = self.node.control().kubectl().unwrap().args(words).run(EXEC);
        let text = before.unwrap().stdout + &self.log();
        let of_client = |line: &&Value| sources.contains(&line["source"]);
        let lines = access_log(&text);
        assert!(lines.iter().any(|line| of_client(&line)), "{text}");
        let allowed = lines
            .iter()
            .filter(of_client)
            .find(|line| line["verdict"] != "deny");
        assert_eq!(allowed, None);
    }

    /// podwall with these words, run in app2 beside the sidecar.
    pub fn podwall(&self, arguments: &[&str]) -> Output {
        self.run(APP2, "podwall", &[&["podwall"], arguments].concat())
    }

    /// The addresses of a pod, as the API server has them.
    pub fn addresses(&self, client: &str) -> Vec<Value> {
        let path = format!("/api/v1/namespaces/{NAMESPACE}/pods/{client}");
        let pod = self.node.control().admin().get(&path).unwrap();
        let all = pod["status"]["podIPs"].as_array().unwrap().iter();
        all.map(|one| one["ip"].clone()).collect()
    }

    /// A command in a container, to be started.
    pub fn exec(&self, pod: &str, container: &str, arguments: &[&str]) -> Cmd {
        let words: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        self.node.exec(NAMESPACE, pod, container, &words).unwrap()
    }

    /// The same, run to its end.
    pub fn run(&self, pod: &str, container: &str, arguments: &[&str]) -> Output {
        self.exec(pod, container, arguments).run(EXEC).unwrap()
    }
}

/// The scenario's manifest, changed by the documented line for mode queue.
fn cluster(lab: &Lab, mode: Mode) -> String {
    let file = manifest("demo/cluster.yaml");
    match mode {
        Mode::Redirect => std::fs::read_to_string(file).unwrap(),
        Mode::Queue => {
            let sed = lab.node().place().command("sed").arg("-f");
            let sed = sed.arg(manifest("demo/queue.sed")).arg(file);
            sed.succeed(EXEC).unwrap().stdout
        }
    }
}

/// A manifest of `deploy/`.
fn manifest(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("deploy")
        .join(file)
}

/// kubectl on the node's cluster, which must succeed.
fn kubectl(node: &KubernetesNode, with: impl FnOnce(Cmd) -> Cmd) {
    let output = with(node.control().kubectl().unwrap()).run(EXEC).unwrap();
    assert!(output.status.success(), "{output:?}");
}
