//! The node with the scenario's pods: asked by its clients, read through its API, robbed of its containers.

use std::path::{Path, PathBuf};
use std::time::Duration;

use podwall_lab::{
    Cmd, CurlResult, Endpoints, Image, KubernetesNode, Lab, Output, Process, Sidecar, access_log,
    container_status, wait_until,
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
/// What curl prints: HTTP code and its own exit code, 0 and 0 where all is well.
const FORM: &str = "%{http_code} %{exitcode}\n";
/// Tries until the file is there, or fifty thousand times. One try lasts as long as an arrival is held.
const SIEGE: &str = r#"i=0; while [ ! -e /tmp/lift ] && [ $i -lt 50000 ]; do
curl -q -s -g -o /dev/null -m 5 -w "$1" "$2"; i=$((i + 1)); done"#;
/// Loops of tries for each address: while one try is held, others go on.
const LOOPS: usize = 2;

pub struct Node {
    pub node: KubernetesNode,
    app2: Value,
    /// `kubectl logs --follow` of podwall's container, of the life that it has now.
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
        let namespace = json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE },
        });
        node.control().admin().create(&namespace).unwrap();
        let policy = manifest("demo/allow-app1-access-app2.yaml");
        kubectl(&node, |kubectl| kubectl.arg("apply").arg("-f").arg(policy));
        // As the header of cluster.yaml says; what binds the roles comes later.
        let (roles, cluster) = (manifest("rbac/sidecar.yaml"), manifest("demo/cluster.yaml"));
        kubectl(&node, |kubectl| {
            kubectl.args([
                "apply".as_ref(),
                "-f".as_ref(),
                roles.as_os_str(),
                "-f".as_ref(),
                cluster.as_os_str(),
            ])
        });
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
        let output = self.exec(client, "client", &words);
        let curl = CurlResult::read(&output);
        assert!(curl.time.is_some(), "{output:?}");
        curl
    }

    /// The same from the node, as the kubelet probes.
    pub fn ask_from_node(&self) -> CurlResult {
        self.lab.node().place().curl(&self.urls(80)[0], REQUEST)
    }

    /// A client that tries over both families until it is lifted.
    pub fn besiege(&self, client: &'static str) -> Siege {
        let urls = self.urls(80).into_iter().flat_map(|url| vec![url; LOOPS]);
        let besieger = |url: String| {
            let words = words(&["sh", "-c", SIEGE, "siege", FORM, &url]);
            let process = self.node.exec(NAMESPACE, client, "client", &words);
            process.unwrap().spawn().unwrap()
        };
        let siege = Siege {
            client,
            loops: urls.map(besieger).collect(),
        };
        siege.tries_again(self);
        siege
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
        let path = format!("/api/v1/namespaces/{NAMESPACE}/events");
        let list = self.node.control().admin().get(&path).unwrap();
        let place = format!("{{{container}}}");
        let events = list["items"].as_array().unwrap().iter().filter(|event| {
            event["reason"] == "Unhealthy"
                && event["involvedObject"]["fieldPath"]
                    .as_str()
                    .is_some_and(|path| path.ends_with(&place))
        });
        events
            .map(|event| event["count"].as_u64().unwrap_or(1))
            .sum()
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
        self.exec(APP2, "podwall", &[&["podwall"], arguments].concat())
    }

    fn addresses(&self, client: &str) -> Vec<Value> {
        let path = format!("/api/v1/namespaces/{NAMESPACE}/pods/{client}");
        let pod = self.node.control().admin().get(&path).unwrap();
        let all = pod["status"]["podIPs"].as_array().unwrap().iter();
        all.map(|one| one["ip"].clone()).collect()
    }

    fn exec(&self, pod: &str, container: &str, arguments: &[&str]) -> Output {
        let command = self.node.exec(NAMESPACE, pod, container, &words(arguments));
        command.unwrap().run(EXEC).unwrap()
    }
}

/// A client that tries all the time.
pub struct Siege {
    client: &'static str,
    loops: Vec<Process>,
}

impl Siege {
    /// Waits until every loop has tried twice since now, so that one try of each began after now.
    pub fn tries_again(&self, node: &Node) {
        for one in &self.loops {
            let tries = || seen(&one.stdout_so_far()).len();
            let before = tries();
            let more = wait_until(LONG, || tries() > before + 1 || one.status().is_some());
            assert!(
                more && one.status().is_none(),
                "{}{}",
                one.output_so_far(),
                node.log()
            );
        }
    }

    /// Ends it after one more try and gives what every try saw.
    pub fn lift(self, node: &Node) -> Vec<Seen> {
        self.tries_again(node);
        node.exec(self.client, "client", &["sh", "-c", ": > /tmp/lift"]);
        let ended = self
            .loops
            .iter()
            .inspect(|one| assert!(one.wait(LONG).is_ok()));
        ended.flat_map(|one| seen(&one.stdout_so_far())).collect()
    }
}

/// What came of one request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Seen {
    /// The page.
    Page,
    /// A reset: of the attempt, while sending or while reading. Which curl says depends on when it notices.
    Reset,
    /// Anything else: curl's exit code.
    Other(u16),
}

/// Every whole line in [`FORM`].
fn seen(printed: &str) -> Vec<Seen> {
    let whole = printed.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let see = |line| match line {
        "200 0" => Seen::Page,
        "000 7" | "000 55" | "000 56" => Seen::Reset,
        other => Seen::Other(other.rsplit(' ').next().unwrap().parse().unwrap()),
    };
    whole.lines().map(see).collect()
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

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}
