//! A guarded pod with applications on UDP ports, and clients that ask them.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use podwall_lab::{Mode, Place, Pod, Setting, Sidecar, Source, wait_until};
use serde_json::Value;
use socket2::{Domain, Socket, Type};

use crate::support::{SOON, Scene, podwall};

/// A port that podwall carries.
pub const DNS: u16 = 53;
/// Another one.
pub const MDNS: u16 = 5353;
/// For both programs.
pub const SHARED: &[&str] = &["--udp-port", "53", "--udp-port", "5353"];

/// The scene's pods, `shop/web` guarded with two UDP ports carried.
pub fn guarded(policies: &str) -> Scene {
    guarded_with(policies, &[])
}

/// The same with more flags for the sidecar.
pub fn guarded_with(policies: &str, more: &[&str]) -> Scene {
    let mut scene = Scene::bare(policies);
    start(&mut scene, &podwall(), more);
    scene
}

/// Installs the rules and starts the sidecar.
pub fn start(scene: &mut Scene, program: &std::path::Path, more: &[&str]) {
    let sidecar = Sidecar::start_as(&setting(more), &scene.lab, &scene.web, program);
    scene.sidecar = Some(sidecar.expect("a ready sidecar"));
}

/// Mode redirect with both ports.
pub fn setting<'a>(more: &'a [&'a str]) -> Setting<'a> {
    Setting {
        mode: Mode::Redirect,
        source: Source::Manifests,
        shared: SHARED,
        more,
    }
}

/// Where a port of a pod is, IPv4 then IPv6.
pub fn both(pod: &Pod, port: u16) -> [SocketAddr; 2] {
    [(pod.v4(), port).into(), (pod.v6(), port).into()]
}

/// A client of one address and port: it hears nobody else.
pub struct Client(pub UdpSocket);

impl Client {
    pub fn new(place: &Place, to: SocketAddr) -> Self {
        let any: IpAddr = match to {
            SocketAddr::V4(_) => [0; 4].into(),
            SocketAddr::V6(_) => [0; 16].into(),
        };
        Self::from(place, (any, 0).into(), to)
    }

    /// From an address and port of the place's own.
    pub fn from(place: &Place, source: SocketAddr, to: SocketAddr) -> Self {
        let socket = place.enter(|| UdpSocket::bind(source).unwrap()).unwrap();
        socket.set_read_timeout(Some(SOON)).unwrap();
        socket.connect(to).unwrap();
        Self(socket)
    }

    pub fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    pub fn say(&self, words: &[u8]) {
        self.0.send(words).unwrap();
    }

    /// The same where nobody may be there any more.
    pub fn try_say(&self, words: &[u8]) {
        let _refused = self.0.send(words);
    }

    pub fn hear(&self) -> Vec<u8> {
        let mut buffer = vec![0; 64 << 10];
        let length = self.0.recv(&mut buffer).expect("an answer");
        buffer.truncate(length);
        buffer
    }

    /// Asks and is answered with the same words.
    pub fn ask(&self, words: &[u8]) {
        self.say(words);
        assert_eq!(self.hear(), words, "from {}", self.address());
    }

    /// Asks until it is answered, as a resolver does: in a flood the kernel has no room for some datagrams.
    pub fn ask_again_and_again(&self, words: &[u8]) {
        let look = Some(Duration::from_millis(50));
        self.0.set_read_timeout(look).unwrap();
        let answered = wait_until(SOON, || {
            self.say(words);
            self.0
                .recv(&mut [0; 64])
                .is_ok_and(|length| length == words.len())
        });
        assert!(answered, "never answered: {}", self.address());
        self.0.set_read_timeout(Some(SOON)).unwrap();
    }

    /// Whether the next that is heard is that nobody listens.
    pub fn is_refused(&self) -> bool {
        let heard = self.0.recv(&mut [0; 64]);
        heard.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
    }

    /// Forgets what has come up to now.
    pub fn drain(&self) {
        while !self.has_heard_nothing() {}
    }

    /// When the last datagram came before it was quiet for so long.
    pub fn last_word(&self, quiet: Duration) -> Instant {
        let began = Instant::now();
        let mut last = began;
        self.0.set_read_timeout(Some(quiet)).unwrap();
        while self.0.recv(&mut [0; 64]).is_ok() {
            last = Instant::now();
            assert!(last - began < SOON, "it goes on");
        }
        self.0.set_read_timeout(Some(SOON)).unwrap();
        last
    }

    /// Whether nothing has come up to now.
    pub fn has_heard_nothing(&self) -> bool {
        self.0.set_nonblocking(true).unwrap();
        let heard = self.0.recv(&mut [0; 64]);
        self.0.set_nonblocking(false).unwrap();
        heard.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }
}

/// An application on a port of every address of a place, both families by one socket.
pub struct App(UdpSocket);

impl App {
    pub fn listen(place: &Place, port: u16) -> Self {
        Self::listen_at(place, (Ipv6Addr::UNSPECIFIED, port).into())
    }

    pub fn listen_at(place: &Place, address: SocketAddr) -> Self {
        let bind = || -> std::io::Result<UdpSocket> {
            let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
            if address.is_ipv6() {
                socket.set_only_v6(false)?;
            }
            socket.bind(&address.into())?;
            Ok(socket.into())
        };
        let socket = place.enter(bind).unwrap().expect("a free port");
        socket.set_read_timeout(Some(SOON)).unwrap();
        Self(socket)
    }

    /// The next datagram, and from where it seems to come.
    pub fn hear(&self) -> (Vec<u8>, SocketAddr) {
        let mut buffer = vec![0; 64 << 10];
        let (length, from) = self.0.recv_from(&mut buffer).expect("a datagram");
        buffer.truncate(length);
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        (buffer, from)
    }

    pub fn answer(&self, words: &[u8], to: SocketAddr) {
        self.0.send_to(words, mapped(to)).unwrap();
    }

    /// The same by a socket of one family.
    pub fn answer_in_kind(&self, words: &[u8], to: SocketAddr) {
        self.0.send_to(words, to).unwrap();
    }

    /// The same to somebody who may be gone.
    pub fn try_answer(&self, words: &[u8], to: SocketAddr) {
        let _gone = self.0.send_to(words, mapped(to));
    }

    /// Forgets what has come up to now.
    pub fn drain(&self) {
        while !self.has_heard_nothing() {}
    }

    /// Whether nothing has come up to now.
    pub fn has_heard_nothing(&self) -> bool {
        self.0.set_nonblocking(true).unwrap();
        let heard = self.0.recv_from(&mut [0; 64]);
        self.0.set_nonblocking(false).unwrap();
        heard.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    /// Answers everybody with their own words until it is dropped.
    pub fn echo(self) -> Echo {
        let stop = Arc::<AtomicBool>::default();
        let told = Arc::clone(&stop);
        let look = Some(Duration::from_millis(50));
        self.0.set_read_timeout(look).unwrap();
        let thread = thread::spawn(move || {
            let mut buffer = vec![0; 64 << 10];
            while !told.load(Ordering::SeqCst) {
                if let Ok((length, from)) = self.0.recv_from(&mut buffer) {
                    let _gone = self.0.send_to(&buffer[..length], from);
                }
            }
        });
        Echo(stop, Some(thread))
    }
}

/// As a socket of both families spells it.
fn mapped(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) => (v4.ip().to_ipv6_mapped(), v4.port()).into(),
        v6 => v6,
    }
}

/// An application that answers everybody with their own words.
pub struct Echo(Arc<AtomicBool>, Option<JoinHandle<()>>);

impl Drop for Echo {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
        if let Some(thread) = self.1.take() {
            thread.join().unwrap();
        }
    }
}

/// Whether this line is of UDP and of this client.
pub fn is_of(line: &Value, client: SocketAddr) -> bool {
    let source = client.ip().to_canonical().to_string();
    line["protocol"] == "UDP"
        && line["source"] == source.as_str()
        && line["source_port"] == client.port()
}

/// The first line of this kind of a client. A client on a wildcard address is meant by its pod's.
pub fn line(scene: &Scene, kind: &str, client: SocketAddr) -> Value {
    let wanted = |line: &Value| line["kind"] == kind && is_of(line, client);
    scene.sidecar().wait_log(0, wanted, SOON).expect("a line")
}

/// How many lines tell of a client.
pub fn lines(scene: &Scene, client: SocketAddr) -> usize {
    let log = scene.sidecar().log();
    log.iter().filter(|line| is_of(line, client)).count()
}

/// The value of a series, zero where it is not there.
pub fn metric(scene: &Scene, series: &str) -> f64 {
    scene.sidecar().metric(series).unwrap().unwrap_or(0.0)
}

/// Waits until a series has this value.
pub fn reaches(scene: &Scene, series: &str, wanted: f64) {
    let reached = wait_until(SOON, || metric(scene, series) == wanted);
    let is = metric(scene, series);
    let output = || scene.sidecar().process().output_so_far();
    assert!(reached, "{series} is {is}, not {wanted}\n{}", output());
}
