//! A guarded pod for a server, a friend who may enter and a rogue who may not.

use std::net::{IpAddr, SocketAddr, TcpStream};

use podwall_lab::{Lab, LabResult, Mode, Output, Pod, PodSpec, Process, Setting, Sidecar, Source};

use serde_json::Value;

use crate::support::{SOON, podwall};

/// Lets the friend into the server, on every port.
const FRIENDS_ONLY: &str = "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: friends-only, namespace: shop }
spec:
  podSelector: { matchLabels: { app: server } }
  policyTypes: [Ingress]
  ingress:
    - from: [{ podSelector: { matchLabels: { app: friend } } }]
";

pub struct Stage {
    pub mode: Mode,
    pub sidecar: Sidecar,
    pub server: Pod,
    pub friend: Pod,
    pub rogue: Pod,
    pub lab: Lab,
}

impl Stage {
    /// Pods, and podwall at the server's door; the server itself is the test's. Of the ports with names those of UDP
    /// are judged in mode redirect as well.
    pub fn set(mode: Mode, udp_ports: &str) -> Self {
        let mut lab = Lab::start().expect("a lab");
        let (server, friend, rogue) = lab.batch(populate).expect("pods");
        let shared = match mode {
            Mode::Redirect if !udp_ports.is_empty() => vec!["--udp-port", udp_ports],
            Mode::Redirect | Mode::Queue => Vec::new(),
        };
        let setting = Setting {
            mode,
            source: Source::Manifests,
            shared: &shared,
            more: &[],
        };
        let sidecar = Sidecar::start_as(&setting, &lab, &server, &podwall());
        Self {
            mode,
            sidecar: sidecar.expect("a ready sidecar"),
            server,
            friend,
            rogue,
            lab,
        }
    }

    /// The server's addresses as they are written, IPv4 then IPv6.
    pub fn hosts(&self) -> [IpAddr; 2] {
        [self.server.v4().into(), self.server.v6().into()]
    }

    /// Starts the server's program. It runs as long as the value lives.
    pub fn serve(&self, words: &[&str]) -> Process {
        let command = self.server.command(words[0]).args(&words[1..]);
        command.spawn().expect("a server")
    }

    /// Waits until somebody listens on that port of the server, and the server's program lives.
    pub fn listens(&self, server: &Process, port: u16) {
        let [host, _] = self.hosts();
        let to = SocketAddr::new(host, port);
        let answers = || TcpStream::connect_timeout(&to, SOON).is_ok();
        let up = self.server.enter(|| {
            podwall_lab::wait_until(SOON, || server.status().is_some() || answers())
                && server.status().is_none()
        });
        assert!(up.unwrap(), "no server: {}", server.output_so_far());
    }

    /// The friend is one no more. The sidecar has taken it in when this returns.
    pub fn revoke(&mut self) {
        self.relabel("stranger");
    }

    /// Waits until podwall says that it has cut the flow from that port; `skip` are the lines of before.
    pub fn revoked(&self, skip: usize, source_port: u16) {
        let told =
            |line: &Value| line["kind"] == "revocation" && line["source_port"] == source_port;
        self.sidecar
            .wait_log(skip, told, SOON)
            .expect("a revocation");
    }

    /// And is one again.
    pub fn restore(&mut self) {
        self.relabel("friend");
    }

    fn relabel(&mut self, app: &str) {
        let before = self.sidecar.generation().expect("the generation");
        self.lab.relabel("shop", "friend", &[("app", app)]).unwrap();
        let taken_in = self.sidecar.wait_beyond(before, SOON);
        taken_in.expect("the change taken in");
    }

    /// What is expected where the modes differ.
    pub fn either<T>(&self, redirect: T, queue: T) -> T {
        match self.mode {
            Mode::Redirect => redirect,
            Mode::Queue => queue,
        }
    }
}

/// Runs a client to its end.
fn run(client: &Pod, words: &[&str]) -> Output {
    let command = client.command(words[0]).args(&words[1..]);
    command.run(SOON * 2).expect("the client's end")
}

/// A client that must succeed; gives what it printed.
pub fn succeeds(client: &Pod, words: &[&str]) -> String {
    let output = run(client, words);
    let Output {
        status,
        stdout,
        stderr,
    } = output;
    assert!(status.success(), "{words:?}: {status}: {stdout}{stderr}");
    stdout
}

/// A client that must fail with one of these words; gives its exit code.
pub fn fails(client: &Pod, words: &[&str], with: &[&str]) -> Option<i32> {
    let output = run(client, words);
    let said = output.stdout + &output.stderr;
    assert!(!output.status.success(), "{words:?} succeeded: {said}");
    let as_expected = with.iter().any(|words| said.contains(words));
    assert!(as_expected, "{words:?}: none of {with:?} in {said}");
    output.status.code()
}

/// Waits for the end of a client whose connection was cut; it must have failed with these words.
pub fn is_cut(client: &Process, with: &str) {
    let status = client.wait(SOON).expect("the client's end");
    let said = client.output_so_far();
    assert!(!status.success(), "a client ended well: {said}");
    assert!(said.contains(with), "no {with:?} in {said}");
}

fn populate(lab: &mut Lab) -> LabResult<(Pod, Pod, Pod)> {
    lab.namespace("shop", &[])?;
    let pod = |lab: &mut Lab, name: &str| lab.pod(PodSpec::new("shop", name).label("app", name));
    let pods = (pod(lab, "server")?, pod(lab, "friend")?, pod(lab, "rogue")?);
    lab.set_policies_yaml(FRIENDS_ONLY)?;
    Ok(pods)
}
