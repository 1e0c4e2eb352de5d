//! A cluster of a few pods and policies, and somebody who asks podwall about it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use podwall_lab::{Cmd, ControlPlane, Lab, LabResult, PodSpec, wait_until};
use serde_json::Value;

use crate::support::podwall;

/// Bound on one command.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The question of most tests; denied, because the pod has the wrong label.
pub const ROGUE: [&str; 6] = [
    "--from",
    "shop/rogue",
    "--to",
    "shop/web",
    "--port",
    "80/TCP",
];
/// Allowed by its label.
pub const CART: [&str; 6] = [
    "--from",
    "shop/cart",
    "--to",
    "shop/web",
    "--port",
    "80/TCP",
];

/// Rules by label and named port, by namespace, by block with an exception, and of the other direction.
const POLICIES: &str = "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: web-in, namespace: shop }
spec:
  podSelector: { matchLabels: { app: web } }
  policyTypes: [Ingress]
  ingress:
    - from: [{ podSelector: { matchLabels: { app: cart } } }]
      ports: [{ port: http }]
    - from: [{ namespaceSelector: { matchExpressions: [{ key: team, operator: In, values: [b] }] } }]
      ports: [{ port: 81, endPort: 89 }]
    - from: [{ ipBlock: { cidr: 192.0.2.0/24, except: [192.0.2.96/28] } }]
      ports: [{ port: 443 }]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: locked-out, namespace: shop }
spec:
  podSelector: { matchLabels: { app: locked } }
  policyTypes: [Egress]
  egress:
    - to: [{ podSelector: { matchLabels: { app: cart } } }]
";

/// Lets the group `readers` read what `explain` and `matrix` read.
const READERS: &str = "apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: { name: podwall-reader }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: podwall-reader }
subjects: [{ kind: Group, apiGroup: rbac.authorization.k8s.io, name: readers }]
";

/// The cluster.
pub struct Desk {
    pub control: ControlPlane,
    pub lab: Lab,
}

/// What a command printed, and how it ended.
#[derive(Debug, Eq, PartialEq)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Desk {
    pub fn open() -> Self {
        let mut lab = Lab::start().expect("a lab");
        lab.batch(populate).expect("pods");
        let control = lab.start_control_plane().expect("a control plane");
        Self { control, lab }
    }

    /// The kubeconfig of one who has the rights of `deploy/rbac/reader.yaml` and no other, as soon as they hold.
    pub fn reader(&self) -> PathBuf {
        for yaml in [include_str!("../../../deploy/rbac/reader.yaml"), READERS] {
            self.control.grant(yaml).expect("a reader's rights");
        }
        let file = self.control.person("jane", "readers").expect("a person");
        let mut last = None;
        let may = wait_until(PATIENCE, || {
            last = Some(self.by(&file, &["explain"], &CART));
            last.as_ref().is_some_and(|ran| ran.code == 0)
        });
        assert!(may, "{last:?}");
        file
    }

    /// podwall on the lab's node, by somebody without a kubeconfig of their own.
    pub fn podwall(&self, args: &[&str]) -> Cmd {
        let home = self.control.place().dir();
        let command = self.control.place().command(podwall()).args(args);
        command
            .env("HOME", home)
            .env("KUBECONFIG", "")
            .env("NO_COLOR", "1")
    }

    /// Runs it to its end.
    pub fn ask(&self, args: &[&str]) -> Ran {
        ran(self.podwall(args))
    }

    /// The same with this kubeconfig.
    pub fn by(&self, kubeconfig: &Path, command: &[&str], more: &[&str]) -> Ran {
        let source = ["--kubeconfig", path(kubeconfig)];
        self.ask(&[command, &source, more].concat())
    }

    /// A file of this content in the lab's directory.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let file = self.lab.dir().join(name);
        std::fs::write(&file, text).unwrap();
        file
    }

    /// The same kubeconfig with its parts changed.
    pub fn altered(&self, kubeconfig: &Path, alter: impl FnOnce(&mut Value)) -> PathBuf {
        let text = std::fs::read_to_string(kubeconfig).unwrap();
        let mut config: Value = serde_json::from_str(&text).expect("the lab writes JSON");
        alter(&mut config);
        self.file("altered.kubeconfig", &config.to_string())
    }
}

pub fn ran(command: Cmd) -> Ran {
    let output = command.run(PATIENCE).expect("podwall runs");
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: output.stdout,
        err: output.stderr,
    }
}

pub fn path(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

impl Ran {
    /// It ended so, and all of these words were said on stderr.
    #[track_caller]
    pub fn says(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, code, "{self:#?}");
        for word in words {
            assert!(self.err.contains(word), "{word:?} is missing: {}", self.err);
        }
    }
}

fn populate(lab: &mut Lab) -> LabResult<()> {
    lab.namespace("shop", &[("team", "a")])?;
    lab.namespace("other", &[("team", "b")])?;
    let app =
        |namespace: &str, name: &str, app: &str| PodSpec::new(namespace, name).label("app", app);
    lab.pod(app("shop", "web", "web").port("http", 80, "TCP"))?;
    for name in ["cart", "rogue", "locked"] {
        lab.pod(app("shop", name, name))?;
    }
    lab.pod(app("shop", "six", "cart").v6_only())?;
    lab.pod(app("shop", "done", "cart").phase("Succeeded"))?;
    lab.pod(app("other", "stranger", "cart"))?;
    lab.pod(app("other", "hostly", "cart").host_network())?;
    lab.set_policies_yaml(POLICIES)
}
