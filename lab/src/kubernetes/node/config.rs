//! The configuration files of a node's programs, as text. Pure: starts nothing, and knows paths only as they are
//! seen inside the [`room`](super::room).

use std::path::Path;

use serde_json::{Value, json};

use crate::{address, manifest::NODE};

/// The image of the process that holds a pod's namespaces.
pub(super) const PAUSE: &str = "localhost/podwall-lab/pause:1";
/// containerd's socket.
pub(super) const CONTAINERD: &str = "/run/containerd/containerd.sock";
/// CNI's programs that a pod's network takes.
pub(super) const PLUGINS: [&str; 4] = ["bridge", "host-local", "loopback", "portmap"];
/// Where the description of the pods' network is.
pub(super) const NETWORKS: &str = "/run/podwall-lab/cni";

/// containerd's, with CNI's programs in `plugins`. Only one runtime, and no limit on memory that this machine may
/// not give.
pub(super) fn containerd(plugins: &Path) -> String {
    let plugins = plugins.display();
    format!(
        r#"version = 2
root = "/var/lib/containerd"
state = "/run/containerd"

[grpc]
  address = "{CONTAINERD}"

[plugins."io.containerd.internal.v1.opt"]
  path = "/var/lib/containerd/opt"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  disable_apparmor = true

[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "{plugins}"
  conf_dir = "{NETWORKS}"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
"#
    )
}

/// The pods' network: the lab's bridge, with the upper half of each of its networks, since the lower halves are the
/// lab's own pods'.
pub(super) fn network() -> Value {
    let [a, b, ..] = address::GATEWAY4.octets();
    let prefix = address::NET6.trim_end_matches("/64");
    json!({
        "cniVersion": "0.4.0",
        "name": "podwall-lab",
        "plugins": [
            {
                "type": "bridge",
                "bridge": "br0",
                "isGateway": true,
                "hairpinMode": true,
                "ipam": {
                    "type": "host-local",
                    "ranges": [
                        [{
                            "subnet": address::NET4, "gateway": address::GATEWAY4,
                            "rangeStart": format!("{a}.{b}.128.1"), "rangeEnd": format!("{a}.{b}.255.254"),
                        }],
                        [{
                            "subnet": address::NET6, "gateway": address::GATEWAY6,
                            "rangeStart": format!("{prefix}8001"), "rangeEnd": format!("{prefix}fffe"),
                        }],
                    ],
                    "routes": [{ "dst": "0.0.0.0/0" }, { "dst": "::/0" }],
                },
            },
            { "type": "portmap", "capabilities": { "portMappings": true } },
        ],
    })
}

/// The kubelet's, with every control group below `group`. It reserves nothing for the machine, and no pod is put out
/// because the machine's disk is full.
pub(super) fn kubelet(group: &str, authorities: &Path) -> Value {
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": { "anonymous": { "enabled": false }, "x509": { "clientCAFile": authorities } },
        "containerRuntimeEndpoint": format!("unix://{CONTAINERD}"),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": format!("/{group}"),
        "enforceNodeAllocatable": [],
        "failCgroupV1": false,
        "failSwapOn": false,
        "evictionHard": { "memory.available": "1Mi", "nodefs.available": "0%", "imagefs.available": "0%" },
        "imageGCHighThresholdPercent": 100,
        "resolvConf": "",
        "volumePluginDir": "/var/lib/kubelet/volume-plugins",
    })
}

/// kube-proxy's. It changes no setting of the machine's connection tracking.
pub(super) fn proxy(kubeconfig: &Path) -> Value {
    json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "clientConnection": { "kubeconfig": kubeconfig },
        "clusterCIDR": format!("{},{}", address::NET4, address::NET6),
        "hostnameOverride": NODE,
        "conntrack": {
            "maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s",
        },
    })
}
