#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;

use super::*;

/// A directory of its own, gone at the end.
struct Dir(PathBuf);

impl Dir {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("podwall-{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn put(&self, text: &str) -> Access {
        fs::write(self.0.join("kubeconfig"), text).unwrap();
        Access::Kubeconfig {
            path: Some(self.0.join("kubeconfig")),
            context: None,
        }
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A kubeconfig with these fields of the cluster and the user.
fn kubeconfig(cluster: &str, user: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: here\n\
         clusters: [{{name: c, cluster: {{server: 'https://127.0.0.1:1', {cluster}}}}}]\n\
         users: [{{name: u, user: {{{user}}}}}]\n\
         contexts: [{{name: here, context: {{cluster: c, user: u}}}}, {{name: lost, context: {{cluster: c, user: x}}}}]\n"
    )
}

fn fault(access: Access) -> String {
    match Connector::new(access) {
        Ok(_) => "none".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_good_kubeconfig_gives_connections_with_the_tls_that_is_built_in() {
    let dir = Dir::new("kube-good");
    let connector =
        Connector::new(dir.put(&kubeconfig("insecure-skip-tls-verify: true", "token: t"))).unwrap();
    assert_eq!(connector.server(), "https://127.0.0.1:1");
}

#[test]
fn what_is_wrong_with_a_kubeconfig_is_said_with_the_mend() {
    let dir = Dir::new("kube-faults");
    let good = kubeconfig("insecure-skip-tls-verify: true", "token: t");
    let rows = [
        ("nonsense: [", "it is no kubeconfig"),
        ("", "no current context; name one with --context"),
        (
            &good.replace("current-context: here", "current-context: there"),
            "no context \"there\"; it holds here, lost",
        ),
        (
            &good.replace("current-context: here", "current-context: lost"),
            "the user \"x\", which is not there",
        ),
        (
            &good.replace("cluster: c, user: u", "cluster: d, user: u"),
            "the cluster \"d\" is not there",
        ),
        (
            &kubeconfig("proxy-url: 'http://127.0.0.1:2'", "token: t"),
            "which podwall does not",
        ),
        (
            &kubeconfig("certificate-authority: gone.crt", "token: t"),
            "gone.crt",
        ),
        (
            &kubeconfig("insecure-skip-tls-verify: true", "tokenFile: gone.token"),
            "gone.token",
        ),
        (
            &kubeconfig(
                "insecure-skip-tls-verify: true",
                "client-certificate: gone.pem",
            ),
            "gone.pem",
        ),
    ];
    for (text, words) in rows {
        let said = fault(dir.put(text));
        assert!(said.contains(words), "{said}\n{text}");
    }
}

#[test]
fn a_kubeconfig_or_context_that_is_not_there_is_bad_input() {
    let dir = Dir::new("kube-gone");
    let access = Access::Kubeconfig {
        path: Some(dir.0.join("gone")),
        context: None,
    };
    let error = Connector::new(access).err().unwrap();
    assert!(matches!(error, KubeError::NoKubeconfig(_)), "{error}");
    assert!(error.is_bad_input());
    dir.put(&kubeconfig("insecure-skip-tls-verify: true", "token: t"));
    let access = Access::Kubeconfig {
        path: Some(dir.0.join("kubeconfig")),
        context: Some("elsewhere".to_owned()),
    };
    let error = Connector::new(access).err().unwrap();
    assert!(matches!(error, KubeError::NoContext { .. }), "{error}");
    assert!(error.is_bad_input());
}

#[test]
fn outside_a_pod_that_is_said() {
    if std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() {
        return;
    }
    let error = Connector::new(Access::InCluster).err().unwrap();
    assert!(
        error
            .to_string()
            .starts_with("not in a pod: KUBERNETES_SERVICE_HOST"),
        "{error}"
    );
    assert!(!error.is_bad_input());
}

#[tokio::test]
async fn the_disk_is_read_again_after_a_refusal_and_the_old_is_kept_while_it_cannot() {
    let dir = Dir::new("kube-rotated");
    let text = kubeconfig("insecure-skip-tls-verify: true", "token: t");
    let connector = Connector::new(dir.put(&text)).unwrap();
    dir.put(&text.replace("127.0.0.1:1", "127.0.0.1:2"));
    assert_eq!(connector.stack().await.1, 0, "nothing was refused");
    connector.on_refused(0);
    assert_eq!(connector.stack().await.1, 1);
    assert_eq!(connector.server(), "https://127.0.0.1:2");
    connector.on_refused(0);
    assert_eq!(
        connector.stack().await.1,
        1,
        "an older reading's refusal says nothing of this one"
    );
    dir.put("half of a fi");
    connector.on_refused(1);
    assert_eq!(connector.stack().await.1, 1);
    assert_eq!(connector.server(), "https://127.0.0.1:2");
}

/// What a plug-in is given and what it prints is secret; so is a password in an address.
#[test]
fn no_secret_of_a_credential_plugin_or_an_address_is_printed() {
    let dir = Dir::new("kube-plugin");
    let exec = |script: &str| {
        kubeconfig(
            "insecure-skip-tls-verify: true",
            &format!(
                "exec: {{apiVersion: client.authentication.k8s.io/v1, command: sh, interactiveMode: Never, \
                 args: [-c, '{script}', SECRET], env: [{{name: TOKEN, value: SECRET}}]}}"
            ),
        )
    };
    let rows = [
        (
            "echo SECRET; echo SECRET >&2; exit 3",
            "sh failed with exit status: 3",
        ),
        ("echo SECRET", "sh printed is no ExecCredential"),
        ("echo \"{kind: SECRET}\"", "sh printed has no status"),
        (
            "echo \"{status: {token: SECRET, expirationTimestamp: SECRET}}\"",
            "the end of the token is no date",
        ),
    ];
    for (script, words) in rows {
        let said = fault(dir.put(&exec(script)));
        assert!(said.contains(words), "{said}");
        assert!(!said.contains("SECRET"), "{said}");
        assert!(!said.contains("is the file there"), "{said}");
    }
    let text = kubeconfig("insecure-skip-tls-verify: true", "token: t");
    let text = text.replace("127.0.0.1:1", "user:SECRET@127.0.0.1:1");
    let connector = Connector::new(dir.put(&text)).unwrap();
    assert_eq!(connector.server(), "https://127.0.0.1:1");
}

/// Another cluster would be asked.
#[test]
fn a_kubeconfig_that_cannot_be_read_is_not_taken_for_an_absent_one() {
    let dir = Dir::new("kube-unreadable");
    let access = Access::Usual;
    let gone = usual_of(&access, &[dir.0.join("gone")]).unwrap();
    assert!(gone.is_none());
    // Not even root can read a directory as a file.
    let error = usual_of(&access, std::slice::from_ref(&dir.0))
        .err()
        .unwrap();
    assert!(
        error.to_string().starts_with(&dir.0.display().to_string()),
        "{error}"
    );
    fs::write(dir.0.join("file"), "").unwrap();
    let below = dir.0.join("file").join("config");
    assert!(usual_of(&access, &[below]).is_err());
}

/// Health and the end of the process must not wait for it.
#[test]
fn a_plugin_that_hangs_stops_neither_the_thread_nor_its_end() {
    let dir = Dir::new("kube-hangs");
    let connector =
        Connector::new(dir.put(&kubeconfig("insecure-skip-tls-verify: true", "token: t"))).unwrap();
    let exec = "exec: {apiVersion: client.authentication.k8s.io/v1, command: sleep, args: ['20'], interactiveMode: Never}";
    dir.put(&kubeconfig("insecure-skip-tls-verify: true", exec));
    connector.on_refused(0);
    let started = std::time::Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let soon = Duration::from_millis(100);
        let read = tokio::time::timeout(soon, connector.stack()).await;
        assert!(read.is_err(), "it hangs");
        connector.on_refused(0);
        assert_eq!(connector.stack().await.1, 0, "the old is used meanwhile");
    });
    runtime.shutdown_background();
    assert!(started.elapsed() < Duration::from_secs(10));
}
