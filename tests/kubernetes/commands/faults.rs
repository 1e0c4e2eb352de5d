//! What is wrong with a cluster's name, with the way to it, or with the asker's rights, is said with the mend.

use podwall_lab::{Account, Sidecar, Source, wait_until};

use super::desk::{CART, Desk, PATIENCE, ROGUE, path, ran};
use crate::support::podwall;

/// What has to be granted, kind by kind: API group, resource.
const KINDS: [(&str, &str); 3] = [
    ("", "pods"),
    ("", "namespaces"),
    ("networking.k8s.io", "networkpolicies"),
];

#[test]
fn a_cluster_that_is_named_wrongly_is_bad_input() {
    let desk = Desk::open();
    let admin = desk.control.kubeconfig().to_owned();
    let explain = |more: &[&str]| desk.ask(&[&["explain"], &ROGUE[..], more].concat());
    let matrix = |more: &[&str]| desk.ask(&[&["matrix", "--port", "80/TCP"], more].concat());
    for ask in [&explain as &dyn Fn(&[&str]) -> _, &matrix] {
        ask(&["--kubeconfig", path(&admin), "--context", "prod"]).says(
            2,
            &[path(&admin), "no context \"prod\"", "it holds podwall-lab"],
        );
        ask(&["--kubeconfig", "/nonexistent/config"])
            .says(2, &["/nonexistent/config", "--kubeconfig"]);
        // Nobody said where to ask, and there is no place where kubectl would.
        ask(&[]).says(2, &[".kube/config", "--kubeconfig", "$KUBECONFIG", "-f"]);
        ask(&["--kubeconfig", path(&admin), "--in-cluster"]).says(
            2,
            &[
                "--in-cluster (PODWALL_IN_CLUSTER)",
                "--kubeconfig",
                "one of the two",
            ],
        );
        ask(&["--in-cluster"]).says(3, &["not in a pod", "KUBERNETES_SERVICE_HOST"]);
    }
    let broken = desk.file("broken.kubeconfig", "clusters: [");
    explain(&["--kubeconfig", path(&broken)]).says(2, &["broken.kubeconfig", "no kubeconfig"]);
    // The files are wrong, not the cluster.
    let file = desk.file("new.yaml", "kind: Pod\n  oops: [");
    explain(&["--kubeconfig", path(&admin), "-f", path(&file)]).says(2, &["new.yaml"]);
    // The sidecar says the same of a context.
    let proxy = [
        "proxy",
        "--pod",
        "shop/web",
        "--kubeconfig",
        path(&admin),
        "--context",
        "prod",
    ];
    desk.ask(&proxy)
        .says(2, &["no context \"prod\"", "it holds podwall-lab"]);
}

#[test]
fn a_pod_that_is_not_there_is_said_of_the_place_that_was_asked() {
    let desk = Desk::open();
    let admin = desk.control.kubeconfig().to_owned();
    let question = [
        "explain",
        "--from",
        "shop/nobody",
        "--to",
        "shop/web",
        "--port",
        "80/TCP",
    ];
    let server = desk.control.server_url();
    let live = desk.by(&admin, &question, &[]);
    live.says(
        2,
        &[
            "--from shop/nobody: no such pod in the cluster of",
            &server,
            "right ones?",
        ],
    );
    assert!(
        !live.err.contains(" -f") && !live.err.contains("manifests"),
        "{}",
        live.err
    );
    let new = desk.file(
        "new.yaml",
        "{apiVersion: v1, kind: Namespace, metadata: {name: shop}}",
    );
    let both = desk.by(&admin, &question, &["-f", path(&new)]);
    both.says(
        2,
        &[
            "no such pod in the manifests and the cluster of",
            &server,
            "among the -f",
        ],
    );
    let offline = desk.ask(&[&question[..], &["-f", path(&new)]].concat());
    offline.says(
        2,
        &["--to shop/web: no such pod in the manifests; is its file among the -f"],
    );
    // A namespace of no object is named without talk of manifests. No API server has one, but files on top may.
    let ghost = "{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: ghost}}";
    let ghost = desk.file("ghost.yaml", ghost);
    let asked = desk.by(
        &admin,
        &[&["explain"], &CART[..]].concat(),
        &["-f", path(&ghost)],
    );
    asked.says(
        0,
        &["Namespace ghost", "add the Namespace object to the source"],
    );
}

#[test]
fn a_server_that_is_away_or_does_not_know_the_asker_is_the_environments_fault() {
    let desk = Desk::open();
    let admin = desk.control.kubeconfig().to_owned();
    let question = [&["explain"], &ROGUE[..]].concat();
    let server = desk.control.server_url();
    let account = desk.control.account("shop", "web").unwrap();
    account.write("worth-nothing").unwrap();
    let unknown = desk.by(&account.kubeconfig(), &question, &[]);
    unknown.says(
        3,
        &[
            &server,
            "401",
            "expired, or does it belong to another cluster?",
        ],
    );
    desk.control.stop().unwrap();
    for more in [&[][..], &["-f", path(&desk.file("new.yaml", POD))]] {
        let away = desk.by(&admin, &question, more);
        away.says(
            3,
            &[&server, "connection refused", "is the API server running"],
        );
        assert_eq!(away.out, "");
    }
    // Nobody asks it where only files are given.
    let files = ["-f", path(desk.lab.manifests())];
    assert_eq!(desk.ask(&[&question[..], &files].concat()).code, 1);
}

const POD: &str = "{apiVersion: v1, kind: Pod, metadata: {name: new, namespace: shop}}";

#[test]
fn a_missing_permission_is_told_with_verb_resource_and_account() {
    let desk = Desk::open();
    let account = desk.control.account("other", "asks").unwrap();
    let question = [&["explain"], &CART[..]].concat();
    let none = desk.by(&account.kubeconfig(), &question, &[]);
    none.says(3, &["403", "podwall-reader", &desk.control.server_url()]);
    for kind in KINDS {
        assert!(
            none.err.contains(&missing(&account, kind)),
            "{kind:?}: {}",
            none.err
        );
    }
    // With one kind missing that one is named, and no verdict is given without it, a guess or not.
    for absent in KINDS {
        let granted = KINDS.into_iter().filter(|kind| *kind != absent);
        grant(&desk, &account, granted.collect());
        let mut last = None;
        let so = wait_until(PATIENCE, || {
            let asked = desk.by(&account.kubeconfig(), &question, &[]);
            let named = KINDS.map(|kind| asked.err.contains(&missing(&account, kind)));
            let so = named == KINDS.map(|kind| kind == absent);
            last = Some(asked);
            so
        });
        let last = last.unwrap();
        assert!(so, "{absent:?}: {last:?}");
        assert_eq!(
            (last.code, last.out.as_str()),
            (3, ""),
            "{absent:?}: {}",
            last.err
        );
    }
    // What one may read of a single namespace is not enough for a verdict, and is not taken for all there is.
    let policies = "{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: asks, namespace: shop}, \
         roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}, \
         subjects: [{kind: ServiceAccount, namespace: other, name: asks}]}";
    desk.control.grant(policies).unwrap();
    let matrix = ["matrix", "--port", "80/TCP"];
    let partly = desk.by(&account.kubeconfig(), &matrix, &[]);
    partly.says(3, &[&missing(&account, KINDS[2])]);
    assert_eq!(partly.out, "");
    grant(&desk, &account, KINDS.to_vec());
    let may = || desk.by(&account.kubeconfig(), &question, &[]).code == 0;
    assert!(wait_until(PATIENCE, may), "{none:?}");
}

/// The same of the sidecar, on stderr and in `/readyz`; it lets nobody in until then.
#[test]
fn a_sidecar_without_permission_says_so_and_is_not_ready() {
    let desk = Desk::open();
    let account = desk.control.account("other", "asks").unwrap();
    let web = desk.lab.get("shop", "web").unwrap();
    Sidecar::install(&desk.lab, &web, &podwall(), &[]).unwrap();
    let file = account.kubeconfig();
    let source = Source::Kubeconfig(&file);
    let sidecar = Sidecar::launch_from(source, &desk.lab, &web, &podwall(), &[]).unwrap();
    let said = |words: &str| {
        let ready = || {
            sidecar
                .get("/readyz")
                .map_or_else(|_| String::new(), |(_, text)| text)
        };
        let stderr = || sidecar.process().stderr_so_far();
        let so = wait_until(PATIENCE, || {
            ready().contains(words) && stderr().contains(words)
        });
        assert!(so, "{words:?}:\n{}\n{}", ready(), stderr());
    };
    // It asks for lists and changes in one, where the server can; of policies for its own namespace's only.
    for what in [
        "pods at the cluster scope",
        "namespaces at the cluster scope",
        "networkpolicies.networking.k8s.io in namespace shop",
    ] {
        said(&format!("{} may not watch {what}", account.user()));
    }
    // One line says it, and none for each attempt.
    let stderr = sidecar.process().stderr_so_far();
    let lines = stderr.lines().filter(|line| line.contains("403"));
    assert!(lines.count() <= KINDS.len(), "{stderr}");
    assert_eq!(sidecar.get("/readyz").unwrap().0, 503);
    grant(&desk, &account, KINDS.to_vec());
    let ready = || sidecar.get("/readyz").is_ok_and(|(code, _)| code == 200);
    assert!(
        wait_until(PATIENCE, ready),
        "{}",
        sidecar.process().stderr_so_far()
    );
    // And who asks with that sidecar's rights in hand is told the same words.
    let asked = ran(desk.podwall(&[&["explain", "--kubeconfig", path(&file)], &CART[..]].concat()));
    assert_eq!(asked.code, 0, "{asked:?}");
}

/// How a kind that may not be listed is told.
fn missing(account: &Account, (group, resource): (&str, &str)) -> String {
    let dot = if group.is_empty() { "" } else { "." };
    format!(
        "{} may not list {resource}{dot}{group} at the cluster scope",
        account.user()
    )
}

/// The account may read these kinds and nothing else.
fn grant(desk: &Desk, account: &Account, kinds: Vec<(&str, &str)>) {
    let rule = |(group, resource): (&str, &str)| {
        format!("{{apiGroups: ['{group}'], resources: [{resource}], verbs: [get, list, watch]}}")
    };
    let rules: Vec<String> = kinds.into_iter().map(rule).collect();
    let role = "{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: asks}";
    let yaml = format!(
        "{{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {{name: asks}}, rules: [{}]}}\n---\n\
         {{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {{name: asks}}, \
         roleRef: {role}, subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: User, name: '{}'}}]}}",
        rules.join(", "),
        account.user()
    );
    desk.control.grant(&yaml).unwrap();
}
