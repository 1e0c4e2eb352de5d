#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Mutex;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use super::redirect::capacity;
use super::*;
use crate::config::source::Given;
use crate::config::{Settings, UdpPort};
use crate::sys;

const DEADLINE: Duration = Duration::from_secs(20);

const STATE: &str = "\
{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {kubernetes.io/metadata.name: shop}}}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}}
spec: {hostNetwork: HOST, containers: [{name: web, image: web}]}
status: {phase: Running, podIP: 10.9.9.9, podIPs: [{ip: 10.9.9.9}]}
";

/// A directory of manifests that goes away with the test.
struct State(PathBuf);

impl State {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("podwall-run-{}-{name}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    fn write(&self, host_network: bool) {
        let text = STATE.replace("HOST", &host_network.to_string());
        fs::write(self.0.join(".new"), text).unwrap();
        fs::rename(self.0.join(".new"), self.0.join("state.yaml")).unwrap();
    }
}

impl Drop for State {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Paper {
    fn lines(&self) -> Vec<Value> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

/// Three ports that are free at this moment.
async fn ports() -> [u16; 3] {
    let any = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let taken = [
        any().await.unwrap(),
        any().await.unwrap(),
        any().await.unwrap(),
    ];
    taken.map(|listener| listener.local_addr().unwrap().port())
}

async fn config(state: &State) -> Config {
    let [listen_port, admin_port, canary_port] = ports().await;
    Config::new(&Settings {
        pod: "shop/web".to_owned(),
        source: Given {
            files: vec![state.0.clone()],
            ..Given::default()
        },
        listen_port,
        admin_port,
        canary_port,
        drain_timeout: "5s".to_owned(),
        ..Settings::default()
    })
    .unwrap()
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// What an endpoint says; empty while nobody listens.
async fn get(port: u16, path: &str) -> String {
    let Ok(mut stream) = TcpStream::connect(local(port)).await else {
        return String::new();
    };
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await;
    answer
}

/// Connects and reads to the end. A reset may come before the connect is told of its success.
async fn say_nothing(port: u16) -> io::Result<usize> {
    let mut stream = TcpStream::connect(local(port)).await?;
    stream.read_to_end(&mut Vec::new()).await
}

/// Asks an endpoint until its answer has `word`.
async fn until(port: u16, path: &str, word: &str) -> String {
    let end = Instant::now() + DEADLINE;
    loop {
        let answer = get(port, path).await;
        if answer.contains(word) {
            return answer;
        }
        assert!(Instant::now() < end, "{path} never said {word:?}: {answer}");
        tokio::task::yield_now().await;
    }
}

/// In mode redirect nobody reads the rules back.
fn unread() -> Box<ReadRules> {
    Box::new(|| panic!("mode redirect proves its rules by the canary"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_starts_serves_and_stops() {
    let state = State::new("serves");
    state.write(false);
    let config = config(&state).await;
    let (listen, admin) = (config.listen_port, config.admin_port);
    let (paper, (stop, stopped)) = (Paper::default(), oneshot::channel::<()>());
    let running = tokio::spawn(run_with(config, paper.clone(), unread(), async move {
        let _ = stopped.await;
    }));
    until(admin, "/metrics", "\npodwall_subject_known 1\n").await;
    let ready = get(admin, "/readyz").await;
    assert!(
        ready.starts_with("HTTP/1.1 503"),
        "no rules, so no canary: {ready}"
    );
    // Nothing redirected this one: refused, counted, written down.
    let reset = timeout(DEADLINE, say_nothing(listen)).await.unwrap();
    assert_eq!(reset.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    stop.send(()).unwrap();
    let drained = timeout(DEADLINE, running).await.unwrap().unwrap().unwrap();
    assert_eq!(drained.reset, 0);
    let lines = paper.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0]["end"], "denied");
    let reason = lines[0]["reason"].as_str().unwrap();
    assert!(
        ["aimed_at_relay", "not_redirected"].contains(&reason),
        "{reason}"
    );
    assert!(
        TcpStream::connect(local(listen)).await.is_err(),
        "the door is closed"
    );
}

#[tokio::test]
async fn a_taken_port_is_an_error_that_names_the_flag() {
    let state = State::new("taken");
    let taken = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = taken.local_addr().unwrap().port();
    for (flag, change) in [
        (
            "--listen-port",
            (|c, p| c.listen_port = p) as fn(&mut Config, u16),
        ),
        ("--admin-port", |c, p| c.admin_port = p),
    ] {
        let mut config = config(&state).await;
        change(&mut config, port);
        let said = run_with(config, io::sink(), unread(), std::future::pending())
            .await
            .unwrap_err();
        let said = said.to_string();
        assert!(
            said.contains(flag) && said.contains(&port.to_string()),
            "{said}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s66_a_subject_in_its_nodes_network_is_refused() {
    let state = State::new("host");
    state.write(true);
    let config = config(&state).await;
    let end = timeout(
        DEADLINE,
        run_with(config, io::sink(), unread(), std::future::pending()),
    )
    .await;
    let said = end.expect("it ends by itself").unwrap_err();
    assert!(matches!(said, RunError::HostNetwork(_)), "{said}");
    assert!(said.to_string().contains("shop/web"), "{said}");
}

#[tokio::test]
async fn a_cluster_that_is_named_wrongly_is_bad_input_and_one_that_is_away_is_none() {
    let state = State::new("cluster");
    let file = state.0.join("kubeconfig");
    let with = |files: &[PathBuf]| Given {
        files: files.to_vec(),
        kubeconfig: file.clone(),
        ..Given::default()
    };
    for files in [vec![], vec![state.0.clone()]] {
        let mut config = config(&state).await;
        config.source = with(&files).read(&mut Vec::new()).unwrap();
        let said = run_with(config, io::sink(), unread(), std::future::pending()).await;
        let said = said.unwrap_err();
        assert!(said.is_bad_input(), "{said}");
        assert!(
            said.to_string().contains(&*file.to_string_lossy()),
            "{said}"
        );
    }
    let cluster = "cluster: {server: 'https://127.0.0.1:1', insecure-skip-tls-verify: true}";
    let text = format!(
        "{{apiVersion: v1, kind: Config, current-context: c, contexts: [{{name: c, context: {{cluster: c}}}}], clusters: [{{name: c, {cluster}}}]}}"
    );
    fs::write(&file, text).unwrap();
    let mut config = config(&state).await;
    config.source = with(&[]).read(&mut Vec::new()).unwrap();
    let admin = config.admin_port;
    let (stop, stopped) = oneshot::channel::<()>();
    let run = tokio::spawn(run_with(config, io::sink(), unread(), async {
        let _ = stopped.await;
    }));
    let said = until(admin, "/readyz", "connection refused").await;
    assert!(said.contains("not ready"), "{said}");
    let _ = stop.send(());
    timeout(DEADLINE, run).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn s66_our_own_address_is_no_nodes_address() {
    let own = if_addrs::get_if_addrs().unwrap();
    let own: Vec<IpAddr> = own.iter().map(|one| one.ip().to_canonical()).collect();
    let Some(address) = own.first() else {
        return;
    };
    let said = refuse_node_network(&[*address]).unwrap_err().to_string();
    assert!(
        said.contains(&address.to_string()) && said.contains("hostNetwork"),
        "{said}"
    );
    refuse_node_network(&["192.0.2.1".parse().unwrap()]).unwrap();
}

#[test]
fn p17_capacity_is_what_descriptors_hold() {
    let descriptors = sys::raise_descriptor_limit();
    let most = capacity(None, descriptors);
    assert!(most >= 64);
    assert_eq!(capacity(Some(1), descriptors), 1);
    assert_eq!(capacity(Some(usize::MAX), descriptors), most);
}

#[test]
fn p17_udp_takes_its_share_of_the_descriptors_where_a_port_is_carried() {
    let dns = [UdpPort {
        port: 53,
        listen: 15874,
    }];
    assert_eq!(datagrams::share(1024, &[]), 0);
    assert_eq!(datagrams::share(1024, &dns), 256);
    assert_eq!(datagrams::share(u64::MAX, &dns), 4096);
    assert_eq!(datagrams::share(0, &dns), 0);
}
