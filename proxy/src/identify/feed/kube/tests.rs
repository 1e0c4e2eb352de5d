//! Against a server that plays an API server's part, line by line. The real one is asked in the
//! whole product's tests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use super::*;
use crate::identify::feed::Kind;

/// How long a test waits for what must come. Only a broken watch needs all of it.
const PATIENCE: Duration = Duration::from_secs(20);

/// One request, as much of it as matters.
struct Request {
    /// Path and query.
    uri: String,
    token: String,
}

impl Request {
    fn is_for(&self, plural: &str) -> bool {
        self.uri.split('?').next().unwrap().ends_with(plural)
    }

    fn has(&self, parameter: &str) -> bool {
        self.uri.contains(parameter)
    }
}

enum Reply {
    Json(u16, String),
    /// These lines, then nothing more.
    Watch(String),
}

fn refuse(code: u16, message: &str) -> Reply {
    let status = format!(
        r#"{{"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": {code}, "message": "{message}", "reason": "Test"}}"#
    );
    Reply::Json(code, status)
}

fn list(items: &str, more: &str) -> Reply {
    Reply::Json(
        200,
        format!(
            r#"{{"kind": "List", "apiVersion": "v1", "metadata": {{"resourceVersion": "5", "continue": "{more}"}}, "items": [{items}]}}"#
        ),
    )
}

/// A kubeconfig that names a server on loopback, which answers by `play` until the test process ends.
struct Cluster {
    dir: PathBuf,
    port: u16,
}

impl Cluster {
    fn new(test: &str, play: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let play = Arc::new(play);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let play = Arc::clone(&play);
                std::thread::spawn(move || answer(&stream.unwrap(), &*play));
            }
        });
        let dir = std::env::temp_dir().join(format!("podwall-{test}-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let cluster = Self { dir, port };
        cluster.give_token("first");
        cluster
    }

    fn give_token(&self, token: &str) {
        fs::write(self.dir.join("token"), token).unwrap();
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
             clusters: [{{name: c, cluster: {{server: 'http://127.0.0.1:{}'}}}}]\n\
             users: [{{name: u, user: {{tokenFile: token}}}}]\n\
             contexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n",
            self.port
        );
        fs::write(self.dir.join("kubeconfig"), text).unwrap();
    }

    fn access(&self) -> Access {
        Access::Kubeconfig {
            path: Some(self.dir.join("kubeconfig")),
            context: None,
        }
    }

    fn watch(&self) -> (KubeHandle, Receiver<Change>) {
        let (send, changes) = channel();
        let handle = watch(self.access(), "shop".into(), move |change| {
            let _ = send.send(change);
        });
        (handle.unwrap(), changes)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn answer(mut stream: &TcpStream, play: &impl Fn(&Request) -> Reply) {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let Some(first) = lines.next() else { return };
    let mut request = Request {
        uri: first.split(' ').nth(1).unwrap().to_owned(),
        token: String::new(),
    };
    for line in lines.by_ref().take_while(|line| !line.is_empty()) {
        if let Some((_, token)) = line.split_once("Bearer ") {
            request.token = token.trim().to_owned();
        }
    }
    let _ = match play(&request) {
        Reply::Json(code, text) => write!(
            stream,
            "HTTP/1.1 {code} X\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{text}",
            text.len()
        ),
        Reply::Watch(text) => {
            let _ = write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{text}");
            // Until the client leaves.
            lines.for_each(drop);
            Ok(())
        }
    };
}

/// What is told until `end` is, in words.
fn told_until(changes: &Receiver<Change>, end: impl Fn(&Change) -> bool) -> Vec<String> {
    let deadline = Instant::now() + PATIENCE;
    let mut told = Vec::new();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let change = changes.recv_timeout(left).expect("it was never told");
        told.push(format!("{change:?}"));
        if end(&change) {
            return told;
        }
    }
}

fn is_healthy(change: &Change) -> bool {
    matches!(change, Change::SourceHealthy(_))
}

const STREAMING: &str = "sendInitialEvents=true";

/// The end of a streaming list.
const END: &str = r#"{"type": "BOOKMARK", "object": {"kind": "Pod", "apiVersion": "v1", "metadata": {"resourceVersion": "5", "annotations": {"k8s.io/initial-events-end": "true"}}}}
"#;

#[test]
fn a_server_without_streaming_lists_is_asked_for_pages() {
    let cluster = Cluster::new("kube-pages", |request| {
        if request.has(STREAMING) {
            return refuse(422, "sendInitialEvents is forbidden");
        }
        if request.has("watch=true") {
            return Reply::Watch(String::new());
        }
        if !request.is_for("/pods") {
            return list("", "");
        }
        if request.has("continue=more") {
            list(r#"{"metadata": {"name": "b", "namespace": "shop"}}"#, "")
        } else {
            list(
                r#"{"metadata": {"name": "a", "namespace": "shop"}}, {"metadata": {"name": "odd", "namespace": "shop", "labels": 7}}"#,
                "more",
            )
        }
    });
    let (_handle, changes) = cluster.watch();
    let told = told_until(&changes, is_healthy);
    let pods: Vec<_> = told.iter().filter(|one| one.contains("Pod")).collect();
    let starts = [
        "Relist(Pod)",
        "Listed(Pod(Pod { name: ObjectName { namespace: \"shop\", name: \"a\"",
        "Listed(BrokenPod(ObjectName { namespace: \"shop\", name: \"odd\"",
        "Listed(Pod(Pod { name: ObjectName { namespace: \"shop\", name: \"b\"",
        "Relisted(Pod)",
        "Findings([Diagnostic { severity: Error, place: \"Pod shop/odd",
    ];
    assert_eq!(pods.len(), starts.len(), "{told:#?}");
    for (pod, start) in pods.iter().zip(starts) {
        assert!(pod.starts_with(start), "{pod}");
    }
    assert!(
        !told.iter().any(|one| one.contains("SourceProblem")),
        "{told:#?}"
    );
}

#[test]
fn a_rotated_token_is_read_after_a_refusal() {
    let cluster = Cluster::new("kube-token", |request| match &*request.token {
        "second" if request.has(STREAMING) => Reply::Watch(END.to_owned()),
        _ => refuse(401, "Unauthorized"),
    });
    let (_handle, changes) = cluster.watch();
    let told = told_until(&changes, |change| {
        matches!(change, Change::SourceProblem(_))
    });
    assert!(
        told.last()
            .unwrap()
            .contains("credentials are not accepted"),
        "{told:?}"
    );
    cluster.give_token("second");
    let told = told_until(&changes, is_healthy);
    for kind in Kind::ALL {
        let relisted = format!("{:?}", Change::Relisted(kind));
        assert!(told.contains(&relisted), "{told:#?}");
    }
}

#[test]
fn p25_lists_anew_when_asked_to() {
    let cluster = Cluster::new("kube-relist", |_| Reply::Watch(END.to_owned()));
    let (handle, changes) = cluster.watch();
    told_until(&changes, is_healthy);
    handle.relister().relist();
    for _ in Kind::ALL {
        told_until(&changes, |change| matches!(change, Change::Relist(_)));
    }
    drop(handle);
    assert!(
        changes
            .iter()
            .all(|change| !matches!(change, Change::SourceProblem(_)))
    );
}

#[test]
fn a_watch_that_ends_at_once_is_not_begun_in_a_tight_loop() {
    let asked = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let cluster = Cluster::new("kube-tight", move |request| {
        if !request.has(STREAMING) {
            count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            return Reply::Json(200, String::new());
        }
        // Ends in good order right after the list.
        Reply::Json(200, END.to_owned())
    });
    let (_handle, changes) = cluster.watch();
    let begun = Instant::now();
    let many = |_: &Change| asked.load(std::sync::atomic::Ordering::Relaxed) >= 9;
    told_until(&changes, many);
    // Three kinds, each 0.1 s and more after its list, 0.2 s and more after its first watch, 0.4 s and more after its second.
    assert!(
        begun.elapsed() >= Duration::from_millis(500),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn a_cluster_is_read_once_page_by_page() {
    let cluster = Cluster::new("kube-read", |request| {
        match (request.is_for("/pods"), request.has("continue=more")) {
            (true, false) => list(
                r#"{"metadata": {"name": "a", "namespace": "shop"}}"#,
                "more",
            ),
            (true, true) => list(r#"{"metadata": {"name": "b", "namespace": "web"}}"#, ""),
            (false, _) => list("", ""),
        }
    });
    let (objects, findings) = read(&cluster.access()).unwrap();
    assert_eq!(objects.len(), 2);
    assert_eq!(findings, []);
}

#[test]
fn what_a_person_may_not_read_is_an_error_with_the_mend() {
    let cluster = Cluster::new("kube-forbidden", |_| {
        refuse(
            403,
            r#"pods is forbidden: User \"anna\" cannot list resource \"pods\" in API group \"\" at the cluster scope"#,
        )
    });
    let error = read(&cluster.access()).unwrap_err();
    assert!(!error.is_bad_input());
    let said = error.to_string();
    assert!(
        said.contains("anna may not list pods at the cluster scope; bind it"),
        "{said}"
    );
}

#[test]
fn a_server_that_is_away_is_an_error_at_once_for_a_person() {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mut cluster = Cluster::new("kube-away", |_| refuse(500, "never asked"));
    cluster.port = port;
    cluster.give_token("first");
    let said = read(&cluster.access()).unwrap_err().to_string();
    assert!(
        said.contains("connection refused; is the API server running"),
        "{said}"
    );
}
