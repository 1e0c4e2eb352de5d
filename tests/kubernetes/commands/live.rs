//! A cluster answers as its objects do in files; files on top of it answer "what if"; and every way to name it
//! leads there.

use std::path::Path;

use podwall_lab::{Account, Cmd, Request, wait_until};
use serde_json::json;

use super::desk::{CART, Desk, PATIENCE, ROGUE, Ran, path, ran};

/// The name of the only context in the lab's kubeconfigs.
const CONTEXT: &str = "podwall-lab";

/// What the files of a service account are made of, before the command that is given: in a mount namespace of its own,
/// at the place where a kubelet puts them.
const IN_POD: &str = r#"
token=$(cat "$1/token") ca=$(cat "$2"); shift 2
mount -t tmpfs none /var/run && mkdir -p /var/run/secrets/kubernetes.io/serviceaccount || exit 99
cd /var/run/secrets/kubernetes.io/serviceaccount
printf %s "$token" >token; printf '%s\n' "$ca" >ca.crt; printf shop >namespace
exec "$@"
"#;

#[test]
fn a_cluster_answers_exactly_as_its_objects_do_in_files() {
    let mut desk = Desk::open();
    desk.lab.terminate("shop", "locked").unwrap();
    let reader = desk.reader();
    let get = ["get", "pods,ns,netpol", "-A", "-o", "yaml"];
    let objects = ran(desk.control.kubectl().unwrap().args(get));
    assert_eq!(objects.code, 0, "{objects:?}");
    let file = desk.file("objects.yaml", &objects.out);
    let same = |command: &[&str]| {
        let live = desk.by(&reader, command, &[]);
        let offline = desk.ask(&[command, &["-f", path(&file)]].concat());
        assert_eq!(live, offline, "{command:?}");
        live.code
    };
    let cart = desk.lab.get("shop", "cart").unwrap();
    let addresses: Vec<String> = cart.addresses().iter().map(ToString::to_string).collect();
    let mut codes = Vec::new();
    for (from, to, port) in [
        ("shop/cart", "shop/web", "80/TCP"),
        (addresses[0].as_str(), "shop/web", "80/TCP"),
        (addresses[1].as_str(), "shop/web", "80/TCP"),
        ("shop/six", "shop/web", "80/TCP"),
        ("other/stranger", "shop/web", "85/TCP"),
        ("192.0.2.7", "shop/web", "443/TCP"),
        ("shop/locked", "shop/cart", "80/TCP"),
        ("shop/rogue", "shop/web", "80/TCP"),
        ("other/stranger", "shop/web", "80/TCP"),
        ("other/hostly", "shop/web", "80/TCP"),
        ("192.0.2.99", "shop/web", "443/TCP"),
        ("shop/locked", "other/stranger", "80/TCP"),
        ("shop/done", "shop/web", "80/TCP"),
        ("shop/cart", "other/hostly", "80/TCP"),
    ] {
        let ask = ["explain", "--from", from, "--to", to, "--port", port, "-o"];
        codes.push(same(&[&ask[..], &["json"]].concat()));
        assert_eq!(Some(&same(&[&ask[..], &["table"]].concat())), codes.last());
    }
    // Every kind of answer is among them.
    codes.dedup();
    assert!(
        codes.starts_with(&[0, 1]) && codes.ends_with(&[2]),
        "{codes:?}"
    );
    for output in ["table", "json", "csv"] {
        let ask = [
            "matrix", "--port", "80/TCP", "--port", "53/UDP", "-o", output,
        ];
        assert_eq!(same(&ask), 0);
    }
}

/// The server gives 500 objects at a time.
#[test]
fn a_cluster_of_many_pages_is_read_whole() {
    const PODS: usize = 1100;
    let desk = Desk::open();
    let create = |at: usize| {
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": format!("many-{at}"), "namespace": "other", "labels": {"at": at.to_string()}},
            "spec": {"containers": [{"name": "c", "image": "none"}]},
        });
        Request::create("/api/v1/namespaces/other/pods", pod)
    };
    let created = desk.control.admin().send_all((0..PODS).map(create), 16);
    created.unwrap();
    for at in [0, 499, 500, 501, 999, 1000, PODS - 1] {
        let from = format!("other/many-{at}");
        let question = [
            "explain", "--from", &from, "--to", "shop/web", "--port", "85/TCP",
        ];
        let answer = desk.by(desk.control.kubeconfig(), &question, &[]);
        assert_eq!(answer.code, 0, "{answer:?}");
    }
}

#[test]
fn files_on_top_of_a_cluster_answer_what_if_and_change_nothing_in_it() {
    let desk = Desk::open();
    let reader = desk.reader();
    let policy = |name: &str, ingress: &str| {
        format!(
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: {name}, namespace: shop}}\n\
             spec: {{podSelector: {{matchLabels: {{app: web}}}}, policyTypes: [Ingress], ingress: {ingress}}}\n"
        )
    };
    let pod = "{apiVersion: v1, kind: Pod, metadata: {name: rogue, namespace: shop, labels: {app: cart}}}";
    let namespace = "{apiVersion: v1, kind: Namespace, metadata: {name: other, labels: {team: c}}}";
    let stranger = [
        "--from",
        "other/stranger",
        "--to",
        "shop/web",
        "--port",
        "81/TCP",
    ];
    for (question, now, file, then) in [
        // One more policy admits more.
        (ROGUE, 1, policy("more", "[{from: [{podSelector: {}}]}]"), 0),
        // One of a name that is there takes its place: nothing of the cluster's own is left.
        (CART, 0, policy("web-in", "[]"), 1),
        (ROGUE, 1, pod.to_owned(), 0),
        (stranger, 0, namespace.to_owned(), 1),
    ] {
        let explain =
            |more: &[&str]| desk.by(&reader, &[&["explain"], &question[..]].concat(), more);
        assert_eq!(explain(&[]).code, now, "{question:?}");
        let on_top = desk.file("new.yaml", &file);
        let then_is = explain(&["-f", path(&on_top)]);
        assert_eq!(then_is.code, then, "{file}: {then_is:?}");
        // The same by stdin, as `kustomize build | podwall explain -f -`.
        let source = ["explain", "--kubeconfig", path(&reader), "-f", "-"];
        let piped = desk.podwall(&[&source[..], &question].concat());
        assert_eq!(ran(piped.stdin(file)), then_is);
        assert_eq!(explain(&[]).code, now, "{question:?}");
    }
}

#[test]
fn every_way_to_name_a_cluster_leads_there() {
    let desk = Desk::open();
    let reader = desk.reader();
    let question = [&["explain"], &ROGUE[..]].concat();
    let answer = desk.by(&reader, &question, &[]);
    assert_eq!(answer.code, 1, "{answer:?}");
    // Of two contexts the other one is current, and leads nowhere.
    let two = desk.altered(&reader, |config| {
        let clusters = config["clusters"].as_array_mut().unwrap();
        clusters.push(json!({"name": "away", "cluster": {"server": "https://127.0.0.1:1"}}));
        let context = json!({"name": "away", "context": {"cluster": "away", "user": CONTEXT}});
        config["contexts"].as_array_mut().unwrap().push(context);
        config["current-context"] = "away".into();
    });
    let by_context = [&question[..], &["--context", CONTEXT]].concat();
    assert_eq!(desk.by(&two, &by_context, &[]), answer);
    desk.by(&two, &question, &[])
        .says(3, &["https://127.0.0.1:1"]);
    let usual = |args: &[&str], file: &Path| ran(desk.podwall(args).env("KUBECONFIG", file));
    assert_eq!(usual(&by_context, &two), answer);
    assert_eq!(usual(&question, &reader), answer);
    let several = std::env::join_paths([Path::new("/nonexistent/config"), &reader]).unwrap();
    assert_eq!(usual(&question, Path::new(&several)), answer);
    // Where nothing is said at all it is ~/.kube/config.
    let home = desk.lab.dir().join("home");
    std::fs::create_dir_all(home.join(".kube")).unwrap();
    std::fs::copy(&reader, home.join(".kube/config")).unwrap();
    assert_eq!(ran(desk.podwall(&question).env("HOME", &home)), answer);
    let by_variable = desk.podwall(&question).env("PODWALL_KUBECONFIG", &reader);
    assert_eq!(ran(by_variable), answer);
    // As cloud providers do: a program prints the credentials.
    let account = desk.control.account("other", "asks").unwrap();
    let token = std::fs::read_to_string(account.token_file()).unwrap();
    let kind = json!({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential"});
    let mut credential = kind.clone();
    credential["status"] = json!({ "token": token });
    let credential = desk.file("credential.json", &credential.to_string());
    let by_program = desk.altered(&reader, |config| {
        config["users"][0]["user"] = json!({"exec": {
            "apiVersion": kind["apiVersion"], "command": "cat", "args": [credential], "interactiveMode": "Never",
        }});
    });
    let known = desk.by(&by_program, &question, &[]);
    known.says(3, &[&format!("{} may not list pods", account.user())]);
    let matrix = ["matrix", "--port", "80/TCP", "-o", "csv"];
    let rows = usual(&matrix, &reader);
    assert!(
        rows.out
            .contains("\nshop/rogue,shop/web,80/TCP,deny,allow,deny\n"),
        "{rows:?}"
    );
}

/// With the files of a service account where a kubelet mounts them, but without a kubelet.
#[test]
fn in_a_pod_the_service_account_is_enough() {
    let desk = Desk::open();
    for yaml in [
        include_str!("../../../deploy/rbac/sidecar.yaml"),
        include_str!("../../../deploy/rbac/sidecar-namespace.yaml"),
        include_str!("../../../deploy/rbac/reader.yaml"),
        "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: asks}, \
         roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: podwall-reader}, \
         subjects: [{kind: ServiceAccount, namespace: other, name: asks}]}",
    ] {
        desk.control.grant(yaml).unwrap();
    }
    let account = |namespace, name| desk.control.account(namespace, name).unwrap();
    let (asks, web) = (account("other", "asks"), account("shop", "web"));
    let question = [&["explain"], &ROGUE[..]].concat();
    let mut last: Option<Ran> = None;
    let answered = wait_until(PATIENCE, || {
        let asked = ran(in_pod(&desk, &asks, &question));
        let answered = asked.code == 1;
        last = Some(asked);
        answered
    });
    assert!(answered, "{last:?}");
    let by_flag = [&question[..], &["--in-cluster"]].concat();
    assert_eq!(Some(ran(in_pod(&desk, &asks, &by_flag))), last);
    // The sidecar needs no flag either; here it follows the cluster from the node.
    let proxy = ["proxy", "--pod", "shop/web", "--no-gateway"];
    let proxy = in_pod(&desk, &web, &proxy).spawn().unwrap();
    let known = || {
        proxy
            .stderr_so_far()
            .contains("pod shop/web is known; 1 policies")
    };
    assert!(wait_until(PATIENCE, known), "{}", proxy.stderr_so_far());
    assert!(
        proxy.stderr_so_far().contains(" --in-cluster "),
        "it says which source it takes"
    );
}

/// podwall on the node, with what a pod of this account would have.
fn in_pod(desk: &Desk, account: &Account, args: &[&str]) -> Cmd {
    let server = desk.control.server_address();
    let podwall = crate::support::podwall();
    let command = desk.control.place().command("unshare");
    let command = command.args([
        "--mount",
        "--propagation",
        "private",
        "sh",
        "-c",
        IN_POD,
        "sh",
    ]);
    let command = command.arg(account.dir()).arg(desk.control.authorities());
    command
        .arg(podwall)
        .args(args)
        .env("HOME", "/nonexistent")
        .env("KUBECONFIG", "")
        .env("NO_COLOR", "1")
        .env("KUBERNETES_SERVICE_HOST", server.ip().to_string())
        .env("KUBERNETES_SERVICE_PORT", server.port().to_string())
}

/// Credentials may come of a program that reads standard input. The manifests there are not its to read.
#[test]
fn manifests_from_standard_input_are_whole_whatever_a_credential_plugin_reads() {
    let desk = Desk::open();
    let reader = desk.reader();
    let token = desk.control.account("other", "robot").unwrap();
    desk.control.grant(ROBOT).unwrap();
    let plugin = desk.file(
        "plugin.sh",
        &format!(
            "read -r line; read -r line\nprintf '{{\"apiVersion\": \"client.authentication.k8s.io/v1\", \
             \"kind\": \"ExecCredential\", \"status\": {{\"token\": \"%s\"}}}}' \"$(cat {})\"\n",
            token.token_file().display()
        ),
    );
    let by_plugin = desk.altered(&reader, |config| {
        config["users"][0]["user"] = json!({"exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": "sh", "args": [plugin],
            "interactiveMode": "IfAvailable",
        }});
    });
    let nobody = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n  name: web-in\n  namespace: shop\n\
                  spec: {podSelector: {}, policyTypes: [Ingress]}\n";
    let words = [
        &["explain", "--kubeconfig", path(&by_plugin), "-f", "-"],
        &CART[..],
    ]
    .concat();
    let answer = || ran(desk.podwall(&words).stdin(nobody));
    let denied = wait_until(PATIENCE, || answer().code == 1);
    assert!(denied, "{:?}", answer());
    assert!(answer().out.starts_with("DENY"));
}

/// Lets the account of the test above read.
const ROBOT: &str = "apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: { name: robot }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: podwall-reader }
subjects: [{ kind: ServiceAccount, name: robot, namespace: other }]
";

#[test]
fn what_of_the_files_has_no_say_is_said() {
    let desk = Desk::open();
    let reader = desk.reader();
    let file = desk.file(
        "odd.yaml",
        "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: web-in}, spec: {podSelector: {}}}\n---\n\
         {apiVersion: apps/v1, kind: Deployment, metadata: {name: web}}\n",
    );
    let answer = desk.by(&reader, &["explain", "-f", path(&file)], &CART);
    answer.says(
        0,
        &[
            "passed over Deployment",
            "NetworkPolicy web-in names no namespace and is taken as one of `default`",
            "write metadata.namespace",
        ],
    );
}
