//! The lab's claims about its node: pods of packed images, started by a real kubelet.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    missing_docs
)]

use std::time::{Duration, Instant};

use podwall_lab::{Image, KubernetesNode, Lab, skipped};
use serde_json::Value;

/// Long enough for a machine under load; nothing waits for it unless something is broken.
const SOON: Duration = Duration::from_secs(120);

const PODS: &str = r#"
apiVersion: v1
kind: Pod
metadata: { name: web, labels: { app: web } }
spec:
  terminationGracePeriodSeconds: 1
  containers:
    - name: nginx
      image: docker.io/library/nginx:latest
      imagePullPolicy: Never
      command: [nginx, -c, /etc/web/nginx.conf]
      ports: [{ name: http, containerPort: 8080 }]
      readinessProbe: { httpGet: { path: /, port: http }, periodSeconds: 1 }
      volumeMounts: [{ name: config, mountPath: /etc/web }]
  volumes: [{ name: config, configMap: { name: web } }]
---
apiVersion: v1
kind: ConfigMap
metadata: { name: web }
data:
  nginx.conf: |
    daemon off; user root root; error_log stderr warn; pid /tmp/pid;
    events {}
    http {
      access_log off;
      server { listen 8080; listen [::]:8080; location / { return 200 "hello from a pod\n"; } }
    }
---
apiVersion: v1
kind: Service
metadata: { name: web }
spec:
  ipFamilyPolicy: RequireDualStack
  selector: { app: web }
  ports: [{ port: 80, targetPort: http }]
---
apiVersion: v1
kind: Pod
metadata: { name: client }
spec:
  terminationGracePeriodSeconds: 1
  containers:
    - name: client
      image: docker.io/curlimages/curl:latest
      imagePullPolicy: Never
      command: [sleep, infinity]
"#;

fn node() -> (Lab, KubernetesNode) {
    let mut lab = Lab::start().unwrap();
    let begin = Instant::now();
    let node = lab.start_kubernetes_node().unwrap();
    println!("node ready after {:?}", begin.elapsed());
    for image in [Image::nginx().unwrap(), Image::curl().unwrap()] {
        node.import(&image).unwrap();
    }
    println!("images after {:?}", begin.elapsed());
    (lab, node)
}

fn curl(node: &KubernetesNode, url: &str) -> String {
    let words = ["curl", "-sSg", "--max-time", "5", url].map(str::to_owned);
    let output = node.exec("default", "client", "client", &words).unwrap();
    let output = output.run(SOON).unwrap();
    format!("{}{}", output.stdout, output.stderr)
}

#[test]
fn pods_of_packed_images_run_are_probed_and_talk_over_both_families() {
    if skipped("pods of a node", KubernetesNode::obstacle()) {
        return;
    }
    let (_lab, node) = node();
    let begin = Instant::now();
    node.control().admin().apply(PODS).unwrap();
    let web = node.wait_until_pod_ready("default", "web", SOON).unwrap();
    node.wait_until_pod_ready("default", "client", SOON)
        .unwrap();
    println!("pods ready after {:?}", begin.elapsed());
    let addresses = web["status"]["podIPs"].as_array().unwrap();
    assert_eq!(addresses.len(), 2, "{addresses:?}");
    for address in addresses {
        let address = address["ip"].as_str().unwrap();
        let url = if address.contains(':') {
            format!("http://[{address}]:8080/")
        } else {
            format!("http://{address}:8080/")
        };
        assert_eq!(curl(&node, &url), "hello from a pod\n", "{url}");
    }
}

#[test]
fn a_killed_container_is_started_again() {
    if skipped("containers of a node", KubernetesNode::obstacle()) {
        return;
    }
    let (_lab, node) = node();
    node.control().admin().apply(PODS).unwrap();
    node.wait_until_pod_ready("default", "web", SOON).unwrap();
    node.kill_container("default", "web", "nginx").unwrap();
    let restarted = |pod: &Value| {
        let status = &pod["status"]["containerStatuses"][0];
        status["restartCount"] == 1 && status["ready"] == true
    };
    node.wait_for_pod("default", "web", "started again", SOON, restarted)
        .unwrap();
}
