//! The scene on which the product's tests play: a guarded pod with nginx, pods that may and may not enter.
//!
//! Every wait has a deadline and a condition. A test that cannot run here panics with the reason: there are no skips.

// Each test file uses its own part of this room.
#![allow(dead_code, missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::path::PathBuf;
use std::time::Duration;

use podwall_lab::{Lab, LabResult, Nginx, Pod, PodSpec, Sidecar};
use serde_json::Value;

/// Bound on anything that should happen soon; never reached where all is well.
pub const SOON: Duration = Duration::from_secs(10);
/// The guarded pod's ports with nginx behind them.
pub const PORTS: [u16; 2] = [80, 9000];

/// Lets shop/cart (app=cart) into shop/web (app=web), on every port.
pub const CART_ONLY: &str = "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: cart-only, namespace: shop }
spec:
  podSelector: { matchLabels: { app: web } }
  policyTypes: [Ingress]
  ingress:
    - from: [{ podSelector: { matchLabels: { app: cart } } }]
";

/// The program under test.
pub fn podwall() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_podwall"))
}

/// Pods `shop/web` (guarded), `shop/cart`, `shop/rogue` and `other/stranger` in one lab.
pub struct Scene {
    pub sidecar: Option<Sidecar>,
    pub nginx: Option<Nginx>,
    pub web: Pod,
    pub cart: Pod,
    pub rogue: Pod,
    pub stranger: Pod,
    pub lab: Lab,
}

impl Scene {
    /// The pods and nothing that runs in them.
    pub fn bare(policies: &str) -> Self {
        let mut lab = Lab::start().expect("a lab");
        let (web, cart, rogue, stranger) = lab
            .batch(|lab| populate(lab, policies))
            .expect("the scene's pods");
        Self {
            sidecar: None,
            nginx: None,
            web,
            cart,
            rogue,
            stranger,
            lab,
        }
    }

    /// The pods, nginx in `shop/web`, and a sidecar that is ready.
    pub fn guarded(policies: &str) -> Self {
        Self::guarded_with(policies, &[])
    }

    /// The same with more flags for the sidecar.
    pub fn guarded_with(policies: &str, more: &[&str]) -> Self {
        let mut scene = Self::bare(policies);
        scene.serve();
        scene.sidecar = Some(
            Sidecar::start(&scene.lab, &scene.web, &podwall(), more).expect("a ready sidecar"),
        );
        scene
    }

    /// Starts nginx in `shop/web`.
    pub fn serve(&mut self) {
        self.nginx =
            Some(Nginx::start(self.web.place(), &PORTS, "the page of web").expect("nginx"));
    }

    pub fn sidecar(&self) -> &Sidecar {
        self.sidecar.as_ref().expect("a sidecar in this scene")
    }

    /// Changes the cluster in one write and waits until the sidecar has taken it in.
    pub fn change(&mut self, change: impl FnOnce(&mut Lab) -> LabResult<()>) {
        let before = self.generation();
        self.lab.batch(change).expect("a change");
        let taken_in = self.sidecar().wait_beyond(before, SOON);
        taken_in.expect("the change taken in");
    }

    /// How many changes the sidecar has taken in.
    pub fn generation(&self) -> f64 {
        self.sidecar().generation().expect("the generation")
    }

    /// Asks `shop/web` from `client` over IPv4 by curl.
    pub fn ask(&self, client: &Pod, port: u16) -> Seen {
        self.ask_at(client, &format!("{}", self.web.v4()), port)
    }

    /// The same over IPv6.
    pub fn ask_v6(&self, client: &Pod, port: u16) -> Seen {
        self.ask_at(client, &format!("[{}]", self.web.v6()), port)
    }

    fn ask_at(&self, client: &Pod, host: &str, port: u16) -> Seen {
        let told = self.told(client, port);
        let seen = self.request(client, host, port);
        // Whoever was connected has a line in the log. Awaited here, it cannot be taken for that of a later request.
        if self.sidecar.is_some() && matches!(seen, Seen::Page | Seen::Reset) {
            assert!(
                podwall_lab::wait_until(SOON, || self.told(client, port) > told),
                "no line tells of this request: {}",
                self.sidecar().process().output_so_far()
            );
        }
        seen
    }

    /// How many lines tell of connections of `client` to `port`.
    fn told(&self, client: &Pod, port: u16) -> usize {
        let Some(sidecar) = &self.sidecar else {
            return 0;
        };
        let own = |line: &&Value| is_of(line, client, port);
        sidecar.log().iter().filter(own).count()
    }

    fn request(&self, client: &Pod, host: &str, port: u16) -> Seen {
        let answer = client.place().curl(&format!("http://{host}:{port}/"), SOON);
        match (answer.exit, answer.http) {
            (0, Some(200)) => {
                assert!(
                    answer.body.contains(&format!("port {port}")),
                    "another page: {}",
                    answer.body
                );
                Seen::Page
            }
            (_, None) if answer.reset => Seen::Reset,
            (_, None) if answer.refused => Seen::Refused,
            (28, None) => Seen::TimedOut,
            (exit, http) => Seen::Other(format!("exit {exit}, http {http:?}: {}", answer.error)),
        }
    }

    /// Asks and gives back podwall's access-log line for it.
    pub fn ask_logged(&self, client: &Pod, port: u16) -> (Seen, Value) {
        let skip = self.sidecar().log().len();
        let seen = self.ask(client, port);
        (seen, self.line(skip, client, port))
    }

    /// The first connection line from the `skip`-th on of `client` towards `port`.
    pub fn line(&self, skip: usize, client: &Pod, port: u16) -> Value {
        let wanted = |line: &Value| is_of(line, client, port);
        self.sidecar()
            .wait_log(skip, wanted, SOON)
            .expect("an access-log line")
    }
}

/// Whether this line tells of a connection of `client` to `port`.
fn is_of(line: &Value, client: &Pod, port: u16) -> bool {
    let mut sources = client.addresses().iter().map(ToString::to_string);
    line["kind"] == "connection"
        && line["destination_port"] == port
        && sources.any(|source| line["source"] == source.as_str())
}

/// What a client saw.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Seen {
    Page,
    /// Connected, then reset.
    Reset,
    /// The connection itself was refused.
    Refused,
    TimedOut,
    Other(String),
}

fn populate(lab: &mut Lab, policies: &str) -> LabResult<(Pod, Pod, Pod, Pod)> {
    lab.namespace("shop", &[("team", "a")])?;
    lab.namespace("other", &[("team", "b")])?;
    let pods = (
        lab.pod(
            PodSpec::new("shop", "web")
                .label("app", "web")
                .port("http", 80, "TCP"),
        )?,
        lab.pod(PodSpec::new("shop", "cart").label("app", "cart"))?,
        lab.pod(PodSpec::new("shop", "rogue").label("app", "rogue"))?,
        lab.pod(PodSpec::new("other", "stranger").label("app", "cart"))?,
    );
    lab.set_policies_yaml(policies)?;
    Ok(pods)
}
