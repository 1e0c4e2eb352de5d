//! One pod with the keeper of its UDP port, on loopback.

use std::io::{ErrorKind, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use podwall_policy::cluster::Cluster;
use podwall_policy::document;
use podwall_policy::object::ObjectName;
use podwall_proxy::account::{Account, SourceReading};
use podwall_proxy::arrival::{Mode, OriginalDst};
use podwall_proxy::connection::{self, Doorkeeper, DrainPhase};
use podwall_proxy::datagram::{IdleTimes, Keeper, Recheck, Settings};
use podwall_proxy::identify::feed::Change;
use podwall_proxy::intercept::datagram::DatagramDoor;
use podwall_proxy::intercept::destination::{Destinations, OwnPorts};
use podwall_proxy::live::Live;
use podwall_proxy::world::{Nodes, Touched, World};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// How long a condition may take before a test gives up. Never a pace: tests go on as soon as they can.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub const CART: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
pub const ROGUE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);
pub const NEWCOMER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);

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
pub fn pod(name: &str, app: &str, address: Ipv4Addr) -> Change {
    let yaml = format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: shop, labels: {{app: {app}}}}}, \
         status: {{podIPs: [{{ip: {address}}}]}}}}"
    );
    let mut objects = document::read("test", &yaml).unwrap().objects;
    Change::Upsert(objects.remove(0))
}

/// A keeper with an application behind it.
pub struct Rig {
    pub world: Arc<World>,
    pub recheck: Arc<Recheck>,
    pub app: UdpSocket,
    pub door: u16,
    listener: socket2::Socket,
    account: Arc<Account>,
    log: Log,
    phase: watch::Sender<DrainPhase>,
    _runtime: Runtime,
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

/// 127.0.0.1 is the pod; the rest of that net is the world.
#[derive(Debug)]
struct Loopback;

impl Destinations for Loopback {
    fn original(&self, _: &TcpStream, _: SocketAddr) -> std::io::Result<OriginalDst> {
        Err(ErrorKind::Unsupported.into())
    }

    fn is_this_pod(&self, address: IpAddr) -> bool {
        address == IpAddr::from(Ipv4Addr::LOCALHOST)
    }

    fn is_from_within(&self, source: IpAddr) -> bool {
        self.is_this_pod(source)
    }
}

impl Rig {
    pub fn new() -> Self {
        Self::with(1000, |_| {})
    }

    /// Room for so many sessions, and a hold that `hold` may change.
    pub fn with(sessions: usize, hold: impl FnOnce(&mut connection::Settings)) -> Self {
        Self::build(sessions, IdleTimes::default(), hold)
    }

    /// Sessions may be silent for so long.
    pub fn with_idle(one_way: Duration) -> Self {
        let stream = one_way;
        Self::build(1000, IdleTimes { one_way, stream }, |_| {})
    }

    fn build(
        sessions: usize,
        idle: IdleTimes,
        hold: impl FnOnce(&mut connection::Settings),
    ) -> Self {
        let app = UdpSocket::bind("127.0.0.1:0").unwrap();
        app.set_read_timeout(Some(PATIENCE)).unwrap();
        let listener = DatagramDoor::bind(app.local_addr().unwrap().port(), 0).unwrap();
        let door = listener.address().unwrap().port();
        let same = listener.as_fd().try_clone_to_owned().unwrap();
        let world = World::new(ObjectName::new("shop", "web"), Nodes::default());
        let log = Log::default();
        let account = Account::new(log.clone(), Mode::Redirect).unwrap();
        let ports = OwnPorts {
            listen: 1,
            canary: 2,
        };
        let mut settings = connection::Settings::new(ports, (*b"nonce").into(), PATIENCE);
        hold(&mut settings);
        let doorkeeper = Arc::new(Doorkeeper::new(
            Arc::clone(&world),
            Arc::clone(&account),
            Live::new(1, false),
            Arc::new(Loopback),
            settings,
        ));
        let recheck = Recheck::new();
        let (phase, told) = watch::channel(DrainPhase::Serving);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let entered = runtime.enter();
        let settings = Settings {
            sessions,
            idle,
            keep_established: false,
        };
        let keeper = Keeper::new(doorkeeper, vec![listener], Arc::clone(&recheck), settings);
        runtime.spawn(keeper.unwrap().keep(told));
        drop(entered);
        let rig = Self {
            world,
            recheck,
            app,
            door,
            listener: same.into(),
            account,
            log,
            phase,
            _runtime: runtime,
        };
        rig.resync(SHOP);
        rig
    }

    /// The world becomes `yaml`, in one step.
    pub fn resync(&self, yaml: &str) {
        let objects = document::read("test", yaml).unwrap().objects;
        let (cluster, _) = Cluster::assemble(objects).unwrap();
        self.apply(Change::Resync(cluster));
    }

    /// A change is taken in, and the keeper is told.
    pub fn apply(&self, change: Change) {
        let touched = self.apply_untold(change);
        self.recheck.note(&touched);
    }

    /// A change is in force, and the keeper does not know it yet.
    pub fn apply_untold(&self, change: Change) -> Touched {
        self.world.apply(change)
    }

    /// A client with this address.
    pub fn client(&self, from: Ipv4Addr) -> UdpSocket {
        let client = UdpSocket::bind((from, 0)).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client.connect((Ipv4Addr::LOCALHOST, self.door)).unwrap();
        client
    }

    /// The keeper is told to go on to this phase.
    pub fn phase(&self, phase: DrainPhase) {
        self.phase.send(phase).unwrap();
    }

    /// From now on the kernel takes no answer for a client.
    pub fn close_the_way_back(&self) {
        // It says that nobody is connected, and does it all the same.
        let _not_connected = self.listener.shutdown(std::net::Shutdown::Write);
    }

    /// The application hears these words; gives from where.
    pub fn heard(&self, words: &[u8]) -> SocketAddr {
        let mut buffer = [0; 64];
        let (length, from) = self.app.recv_from(&mut buffer).expect("a datagram");
        assert_eq!(&buffer[..length], words);
        from
    }

    /// Client and application say something and hear each other.
    pub fn talk(&self, client: &UdpSocket) {
        client.send(b"question").unwrap();
        let from = self.heard(b"question");
        self.app.send_to(b"answer", from).unwrap();
        let mut buffer = [0; 64];
        assert_eq!(client.recv(&mut buffer).expect("an answer"), 6);
    }

    /// Nothing has come to the application up to now.
    pub fn app_heard_nothing(&self) {
        self.app.set_nonblocking(true).unwrap();
        let heard = self.app.recv_from(&mut [0; 64]);
        self.app.set_nonblocking(false).unwrap();
        assert_eq!(heard.unwrap_err().kind(), ErrorKind::WouldBlock);
    }

    /// Waits for a log line of this kind that has `key` = `value`.
    pub fn line(&self, kind: &str, key: &str, value: impl Into<Value>) -> Value {
        let value = value.into();
        let mut found = None;
        let mut look = || {
            let mut lines = self.lines().into_iter();
            found = lines.find(|one| one["kind"] == kind && one[key] == value);
            found.is_some()
        };
        eventually(&mut look, || format!("{kind} with {key}={value}"));
        found.unwrap()
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

    /// The value of a series, zero where it is not there.
    pub fn metric(&self, series: &str) -> f64 {
        let reading = SourceReading {
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
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().unwrap())
    }

    /// Waits until a series has this value.
    pub fn reaches(&self, series: &str, wanted: f64) {
        let mut look = || self.metric(series) == wanted;
        eventually(&mut look, || {
            format!("{series} is {}, not {wanted}", self.metric(series))
        });
    }
}

/// Waits for a condition.
pub fn eventually(condition: &mut dyn FnMut() -> bool, what: impl Fn() -> String) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never: {}", what());
        std::thread::sleep(Duration::from_millis(2));
    }
}
