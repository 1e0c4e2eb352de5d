//! One pod with its sidecar's relay, on loopback.

use std::io::{ErrorKind, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use podwall_policy::cluster::Cluster;
use podwall_policy::document;
use podwall_policy::object::ObjectName;
use podwall_proxy::account::Account;
use podwall_proxy::arrival::{Mode, OriginalDst};
use podwall_proxy::connection::{Doorkeeper, DrainPhase, Settings, keep_door};
use podwall_proxy::identify::feed::Change;
use podwall_proxy::intercept::destination::{Destinations, OwnPorts};
use podwall_proxy::intercept::redirect::{Door, DoorError};
use podwall_proxy::live::Live;
use podwall_proxy::world::{Nodes, World};
use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How long a condition may take before a test gives up. Never a pace: tests go on as soon as they can.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub const CART: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
pub const ROGUE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);
pub const NEWCOMER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);
pub const CANARY_PORT: u16 = 15_873;
pub const NONCE: &[u8] = b"this very process";

/// The shop: `web` is guarded, `cart` may come in, `rogue` may not.
pub const SHOP: &str = "
{apiVersion: v1, kind: Namespace, metadata: {name: shop}}
---
{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop, labels: {app: web}}, status: {podIPs: [{ip: 127.0.0.1}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: cart, namespace: shop, labels: {app: cart}}, status: {podIPs: [{ip: 127.0.0.2}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: rogue, namespace: shop, labels: {app: rogue}}, status: {podIPs: [{ip: 127.0.0.3}]}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: allow-cart, namespace: shop}
spec:
  podSelector: {matchLabels: {app: web}}
  ingress: [{from: [{podSelector: {matchLabels: {app: cart}}}]}]
";

/// The pod `name` of the shop, with the label `app`.
pub fn pod(name: &str, app: &str, address: Ipv4Addr) -> String {
    format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: shop, labels: {{app: {app}}}}}, \
         status: {{podIPs: [{{ip: {address}}}]}}}}"
    )
}

/// What is different in a test.
pub struct Plan {
    pub cluster: Option<&'static str>,
    pub max_connections: usize,
    pub keep_established: bool,
    pub half_close_timeout: Duration,
    pub hold_time: Duration,
    /// Instead of the application's address.
    pub destination: Option<SocketAddr>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            cluster: Some(SHOP),
            max_connections: 1000,
            keep_established: false,
            half_close_timeout: PATIENCE,
            hold_time: Duration::from_millis(900),
            destination: None,
        }
    }
}

/// A relay with an application behind it.
pub struct Rig {
    pub world: Arc<World>,
    pub live: Arc<Live>,
    pub app: TcpListener,
    pub door: SocketAddr,
    pub phase: watch::Sender<DrainPhase>,
    pub kept: JoinHandle<Result<(), DoorError>>,
    account: Arc<Account>,
    log: Log,
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Every arrival was meant for this.
#[derive(Debug)]
struct Always(SocketAddr);

impl Destinations for Always {
    fn original(&self, _: &TcpStream, _: SocketAddr) -> std::io::Result<OriginalDst> {
        Ok(self.0.into())
    }

    fn is_this_pod(&self, address: IpAddr) -> bool {
        address == IpAddr::from(Ipv4Addr::LOCALHOST)
    }
}

impl Rig {
    pub async fn new(plan: Plan) -> Self {
        let app = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let destination = plan.destination.unwrap_or(app.local_addr().unwrap());
        let door = Door::bind(0, PATIENCE).unwrap();
        let at = SocketAddr::from((Ipv4Addr::LOCALHOST, door.address().unwrap().port()));
        let (world, log) = (
            World::new(ObjectName::new("shop", "web"), Nodes::default()),
            Log::default(),
        );
        let account = Account::new(log.clone(), Mode::Redirect).unwrap();
        let live = Live::new(plan.max_connections, plan.keep_established);
        let ports = OwnPorts {
            listen: at.port(),
            canary: CANARY_PORT,
        };
        let mut settings = Settings::new(ports, NONCE.into(), plan.half_close_timeout);
        settings.hold_time = plan.hold_time;
        let doorkeeper = Doorkeeper::new(
            Arc::clone(&world),
            Arc::clone(&account),
            Arc::clone(&live),
            Arc::new(Always(destination)),
            settings,
        );
        let (phase, told) = watch::channel(DrainPhase::Serving);
        let kept = tokio::spawn(keep_door(Arc::new(doorkeeper), door, told));
        let rig = Self {
            world,
            live,
            app,
            door: at,
            phase,
            kept,
            account,
            log,
        };
        if let Some(cluster) = plan.cluster {
            rig.resync(cluster);
        }
        rig
    }

    /// The world becomes `yaml`, in one step, and open connections are judged again.
    pub fn resync(&self, yaml: &str) -> usize {
        let (cluster, _) =
            Cluster::assemble(document::read("test", yaml).unwrap().objects).unwrap();
        self.apply(Change::Resync(cluster))
    }

    /// One object is new or changed, and open connections are judged again.
    pub fn upsert(&self, yaml: &str) -> usize {
        let mut objects = document::read("test", yaml).unwrap().objects;
        assert_eq!(objects.len(), 1);
        self.apply(Change::Upsert(objects.remove(0)))
    }

    fn apply(&self, change: Change) -> usize {
        let touched = self.world.apply(change);
        self.live.rejudge(&self.world, &touched)
    }

    /// A client with this address, connected to the relay.
    pub async fn client(&self, from: Ipv4Addr) -> TcpStream {
        self.try_client(from).await.unwrap()
    }

    pub async fn try_client(&self, from: Ipv4Addr) -> std::io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((from, 0).into())?;
        socket.connect(self.door).await
    }

    /// A client with this address is reset, perhaps before it knows that it was connected.
    pub async fn expect_refused(&self, from: Ipv4Addr) {
        match self.try_client(from).await {
            Ok(mut client) => expect_reset(&mut client).await,
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
    }

    /// The application accepts.
    pub async fn accept(&self) -> TcpStream {
        within(self.app.accept()).await.unwrap().0
    }

    /// A client and the application, joined by the relay.
    pub async fn joined(&self, from: Ipv4Addr) -> (TcpStream, TcpStream) {
        tokio::join!(self.client(from), self.accept())
    }

    /// Waits for a log line of this kind that has `key` = `value`.
    pub async fn line(&self, kind: &str, key: &str, value: impl Into<Value>) -> Value {
        let value = value.into();
        let found = || {
            self.lines()
                .into_iter()
                .find(|one| one["kind"] == kind && one[key] == value)
        };
        eventually(
            || found().is_some(),
            || format!("{kind} with {key}={value} in {:#?}", self.lines()),
        )
        .await;
        found().unwrap()
    }

    /// Every log line so far.
    pub fn lines(&self) -> Vec<Value> {
        assert!(self.account.flush(PATIENCE));
        let log = self.log.0.lock().unwrap();
        let lines = log
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty());
        lines
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect()
    }

    /// The value of a metric without labels.
    pub fn metric(&self, name: &str) -> f64 {
        let reading = podwall_proxy::account::SourceReading {
            synced: true,
            subject_known: true,
            age: None,
            problem: false,
            generation: 0,
            pods: 0,
            namespaces: 0,
            policies: 0,
            contested: 0,
            findings: 0,
        };
        let text = self.account.render(&reading);
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name} ")));
        line.unwrap_or_else(|| panic!("{name} in {text}"))
            .parse()
            .unwrap()
    }
}

/// Fails a test that waits for ever.
pub async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("in time")
}

/// Waits for a condition.
pub async fn eventually(condition: impl Fn() -> bool, what: impl Fn() -> String) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never: {}", what());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Reads until the other end resets; panics at an orderly end.
pub async fn expect_reset(stream: &mut TcpStream) {
    let mut bytes = Vec::new();
    let error = within(stream.read_to_end(&mut bytes))
        .await
        .expect_err("a reset, not an end");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

/// Reads until the other end has said everything.
pub async fn read_all(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    within(stream.read_to_end(&mut bytes)).await.unwrap();
    bytes
}

/// Ends a connection with a reset.
pub fn reset(stream: TcpStream) {
    stream.set_zero_linger().unwrap();
}
