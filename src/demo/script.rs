//! The scenario as data: which policies, which labels, and what each client should see.
//!
//! Deliberately absent: how a pod is made and how a request is played.

/// The scenario's pods and namespaces, as they would be given to kubectl.
pub const CLUSTER: &str = include_str!("../../deploy/demo/cluster.yaml");
/// The pod that is guarded.
pub const SUBJECT: (&str, &str) = ("my-app-ns", "app2");
/// The ports on which its nginx serves.
pub const PORTS: [u16; 2] = [80, 9000];
/// Who asks for the page, in this order.
pub const CLIENTS: [(&str, &str); 4] = [APP1, ROGUE, APP3, ROGUE2];

const APP1: (&str, &str) = ("my-app-ns", "app1");
const ROGUE: (&str, &str) = ("my-app-ns", "rogue");
const APP3: (&str, &str) = ("my-app-ns2", "app3");
const ROGUE2: (&str, &str) = ("my-app-ns2", "rogue");

const APP1_TO_APP2: Policies = Policies {
    file: "deploy/demo/allow-app1-access-app2.yaml",
    yaml: include_str!("../../deploy/demo/allow-app1-access-app2.yaml"),
};
const APP1_PORT_80: Policies = Policies {
    file: "deploy/demo/allow-app1-access-app2-port-80.yaml",
    yaml: include_str!("../../deploy/demo/allow-app1-access-app2-port-80.yaml"),
};
const NS2_OR_APP3: Policies = Policies {
    file: "deploy/demo/allow-ns2-app3-access-ns-apps.yaml",
    yaml: include_str!("../../deploy/demo/allow-ns2-app3-access-ns-apps.yaml"),
};
const NS2_AND_APP3: Policies = Policies {
    file: "deploy/demo/allow-ns2-app3-access-ns-apps-and.yaml",
    yaml: include_str!("../../deploy/demo/allow-ns2-app3-access-ns-apps-and.yaml"),
};

/// The policies of a step; they replace those of the step before.
#[derive(Clone, Copy, Debug)]
pub struct Policies {
    /// Where the manifest is in the repository.
    pub file: &'static str,
    /// Its text.
    pub yaml: &'static str,
}

/// One step.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// How it is called: `a`, `d1`.
    pub id: &'static str,
    /// What it is about.
    pub title: &'static str,
    /// What is changed before the requests, in words.
    pub change: &'static str,
    /// The policies, none for an empty set.
    pub policies: Option<Policies>,
    /// A label that a namespace gets: namespace, key, value.
    pub namespace_label: Option<(&'static str, &'static str, &'static str)>,
    /// A stream that this client holds open on port 80 is cut when its labels are taken away.
    pub cut_stream_of: Option<(&'static str, &'static str)>,
    /// Which client gets its page on which port; everybody else is denied.
    pub pages: &'static [((&'static str, &'static str), u16)],
    /// What to see in it, printed below the table.
    pub lesson: &'static str,
}

impl Step {
    /// Whether `client` should get its page on `port`.
    pub fn admits(&self, client: (&str, &str), port: u16) -> bool {
        self.pages.contains(&(client, port))
    }
}

/// The scenario.
pub const STEPS: [Step; 7] = [
    Step {
        id: "a",
        title: "no policy",
        change: "no NetworkPolicy in the cluster",
        policies: None,
        namespace_label: None,
        cut_stream_of: None,
        pages: &[
            (APP1, 80),
            (APP1, 9000),
            (ROGUE, 80),
            (ROGUE, 9000),
            (APP3, 80),
            (APP3, 9000),
            (ROGUE2, 80),
            (ROGUE2, 9000),
        ],
        lesson: "A pod that no policy selects is open to everyone.",
    },
    Step {
        id: "b",
        title: "only app1 may reach app2",
        change: "apply allow-app1-access-app2",
        policies: Some(APP1_TO_APP2),
        namespace_label: None,
        cut_stream_of: None,
        pages: &[(APP1, 80), (APP1, 9000)],
        lesson: "The allowed pod gets its page, the rogues are rejected.",
    },
    Step {
        id: "c",
        title: "only app1, only on port 80",
        change: "the same policy with ports: 80/TCP",
        policies: Some(APP1_PORT_80),
        namespace_label: None,
        cut_stream_of: None,
        pages: &[(APP1, 80)],
        lesson: "Peer and port must both match; on 9000 app1 misses by its port only.",
    },
    Step {
        id: "d1",
        title: "a namespace selected by a label that it does not have",
        change: "apply allow-ns2-app3-access-ns-apps (namespaceSelector name=my-app-ns2 OR podSelector app=app3-access)",
        policies: Some(NS2_OR_APP3),
        namespace_label: None,
        cut_stream_of: None,
        pages: &[],
        lesson: "A namespace has no label `name` unless somebody gives it one; the label that every namespace \
has is kubernetes.io/metadata.name. And podSelector alone means pods of the policy's own namespace, so app3 misses twice.",
    },
    Step {
        id: "d2",
        title: "the namespace gets its label",
        change: "label namespace my-app-ns2 name=my-app-ns2",
        policies: Some(NS2_OR_APP3),
        namespace_label: Some(("my-app-ns2", "name", "my-app-ns2")),
        cut_stream_of: None,
        pages: &[(APP3, 9000), (ROGUE2, 9000)],
        lesson: "Look at my-app-ns2/rogue: it gets in too. Two items under `from` are OR (S24), so every pod of \
the namespace is meant. One hyphen makes the difference; the next step takes it away.",
    },
    Step {
        id: "d3",
        title: "both selectors in one item: AND",
        change: "apply allow-ns2-app3-access-ns-apps-and",
        policies: Some(NS2_AND_APP3),
        namespace_label: None,
        cut_stream_of: None,
        pages: &[(APP3, 9000)],
        lesson: "One item with both selectors lets app3 in and keeps the rogue beside it out.",
    },
    Step {
        id: "e",
        title: "an open stream loses its right",
        change: "apply allow-app1-access-app2, app1 holds a stream open, then its labels are taken away",
        policies: Some(APP1_TO_APP2),
        namespace_label: None,
        cut_stream_of: Some(APP1),
        pages: &[],
        lesson: "Connections are judged again when labels change: the stream was cut while it was in use.",
    },
];
