//! A subject pod with an application, a stranger and the node, and ways to send them packets.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

use podwall_deploy::{Backend, Family, Mode, Queue, Queues, Redirect, UdpDeny, Wanted};
use podwall_lab::{Lab, Place, Pod, PodSpec, is_elevated};
use rustix::net::sockopt::{ip_original_dst, ipv6_original_dst};
use socket2::{Domain, Protocol, Socket, Type};

/// How long anything may take; nothing that works comes near it.
const PATIENCE: Duration = Duration::from_secs(5);

/// The application's TCP port and its UDP port.
pub const APP: u16 = 80;
pub const APP_UDP: u16 = 53;

/// The first queue, as installed.
pub const FIRST: u16 = 15871;

/// The relay's port and the canary's, as installed.
pub const LISTEN: u16 = 15006;
pub const CANARY: u16 = 15007;

/// A lab with an application on every address of the subject.
pub struct Wire {
    pub lab: Lab,
    pub subject: Pod,
    pub stranger: Pod,
    datagrams: UdpSocket,
}

impl Wire {
    /// Builds it. `None`, said aloud, without the privilege; with `CI` set that is a failure.
    pub fn lay(test: &str) -> Option<Self> {
        if !is_elevated() {
            assert!(std::env::var_os("CI").is_none(), "{test}: a lab needs root");
            println!("SKIPPED: {test}: a lab needs root");
            return None;
        }
        let mut lab = Lab::start().unwrap();
        let subject = lab.pod(PodSpec::new("shop", "subject")).unwrap();
        let stranger = lab.pod(PodSpec::new("shop", "stranger")).unwrap();
        let bind = || UdpSocket::bind((Ipv6Addr::UNSPECIFIED, APP_UDP)).unwrap();
        let datagrams = subject.enter(bind).unwrap();
        datagrams.set_read_timeout(Some(PATIENCE)).unwrap();
        for place in [subject.place(), stranger.place(), lab.node().place()] {
            place.sysctl("net.ipv4.ping_group_range", "0 0").unwrap();
        }
        serve(&subject, APP, |_| "app".to_owned());
        Some(Self {
            lab,
            subject,
            stranger,
            datagrams,
        })
    }

    /// Mode redirect without options, with the node's addresses as this pod sees them.
    pub fn wanted(&self) -> Wanted {
        self.with(mode())
    }

    /// A mode, with the node's addresses as this pod sees them.
    pub fn with(&self, mode: impl Into<Mode>) -> Wanted {
        Wanted::new(mode, self.nodes()).unwrap()
    }

    pub fn nodes(&self) -> [IpAddr; 2] {
        let node = self.lab.node();
        [node.v4().into(), node.v6().into()]
    }

    /// Where a port of the subject is, in one family.
    pub fn at(&self, family: Family, port: u16) -> SocketAddr {
        (address(&self.subject, family), port).into()
    }

    /// The subject is closed in this family: a stranger's TCP is refused and its UDP lost.
    pub fn is_closed(&self, family: Family, when: &str) {
        let answer = ask(&self.stranger, self.at(family, APP));
        assert_eq!(
            answer,
            Err(io::ErrorKind::ConnectionRefused),
            "{when}: tcp {family}"
        );
        assert_eq!(self.datagram(family), "node", "{when}: udp {family}");
    }

    /// The subject is open in this family.
    pub fn is_open(&self, family: Family, when: &str) {
        assert_eq!(
            ask(&self.stranger, self.at(family, APP)).unwrap(),
            "app",
            "{when}: tcp {family}"
        );
        assert_eq!(self.datagram(family), "stranger", "{when}: udp {family}");
        assert_eq!(self.receive(), "node");
    }

    /// What holds whatever is installed: the node, the pod itself, loopback and ICMP pass.
    pub fn always_holds(&self, family: Family, when: &str) {
        let loopback = loopback(family);
        let app = self.at(family, APP);
        let own = [SocketAddr::new(loopback, APP), app];
        assert_eq!(
            ask(self.lab.node(), app).unwrap(),
            "app",
            "{when}: node {family}"
        );
        for to in own {
            assert_eq!(
                ask(&self.subject, to).unwrap(),
                "app",
                "{when}: from inside to {to}"
            );
        }
        ping(&self.stranger, app.ip());
    }

    /// Sends a stranger's datagram, then the node's; gives the first that the application got.
    ///
    /// The ping between them has travelled the stranger's whole way, so what it sent before is
    /// through or lost, and nothing has to be waited for.
    pub fn datagram(&self, family: Family) -> String {
        let to = self.at(family, APP_UDP);
        send(&self.stranger, to, "stranger");
        ping(&self.stranger, to.ip());
        send(self.lab.node(), to, "node");
        self.receive()
    }

    pub fn receive(&self) -> String {
        let mut buffer = [0; 64];
        let (length, _) = self
            .datagrams
            .recv_from(&mut buffer)
            .expect("a datagram arrives");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }
}

/// Mode redirect without options.
pub fn mode() -> Redirect {
    Redirect::new(LISTEN, CANARY).unwrap()
}

/// Mode queue with so many queues.
pub fn queue(count: u16, udp_deny: UdpDeny) -> Queue {
    let queues = Queues::new(FIRST, count).unwrap();
    Queue { queues, udp_deny }
}

/// The address of a pod in a family.
pub fn address(pod: &Pod, family: Family) -> IpAddr {
    match family {
        Family::Ipv4 => pod.v4().into(),
        Family::Ipv6 => pod.v6().into(),
    }
}

pub fn loopback(family: Family) -> IpAddr {
    match family {
        Family::Ipv4 => Ipv4Addr::LOCALHOST.into(),
        Family::Ipv6 => Ipv6Addr::LOCALHOST.into(),
    }
}

/// Answers every connection to a port of a place with what `answer` says, and closes it. Ends
/// with the test's process.
pub fn serve(place: &Place, port: u16, answer: impl Fn(&TcpStream) -> String + Send + 'static) {
    let bind = || TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).unwrap();
    let listener = place.enter(bind).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let _ = stream.write_all(answer(&stream).as_bytes());
        }
    });
}

/// Stands for the relay: tells the original destination.
pub fn serve_relay(place: &Place, port: u16) {
    serve(place, port, |stream| {
        let mapped = stream.peer_addr().unwrap().ip().to_canonical().is_ipv4();
        let original = if mapped {
            ip_original_dst(stream).map(SocketAddr::V4)
        } else {
            ipv6_original_dst(stream).map(SocketAddr::V6)
        };
        format!("relay {}", original.unwrap())
    });
}

/// Connects and reads to the end.
pub fn ask(place: &Place, to: SocketAddr) -> Result<String, io::ErrorKind> {
    let connect = || -> io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&to, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    };
    place.enter(connect).unwrap().map_err(|error| error.kind())
}

/// Sends a SYN and says what came of it by the time that a ping which followed it was answered: connected,
/// refused, or nothing at all. Not for rules that ask somebody who takes his time.
pub fn knock(place: &Place, to: SocketAddr) -> Result<(), io::ErrorKind> {
    let open = || Socket::new(Domain::for_address(to), Type::STREAM, None).unwrap();
    let socket = place.enter(open).unwrap();
    socket.set_nonblocking(true).unwrap();
    let _ = socket.connect(&to.into());
    ping(place, to.ip());
    match (socket.take_error().unwrap(), socket.peer_addr()) {
        (Some(error), _) => Err(error.kind()),
        (None, Ok(_)) => Ok(()),
        (None, Err(_)) => Err(io::ErrorKind::TimedOut),
    }
}

/// A fresh port, which may send to everybody.
pub fn bound(place: &Place, family: Family) -> UdpSocket {
    let any: SocketAddr = match family {
        Family::Ipv4 => (Ipv4Addr::UNSPECIFIED, 0).into(),
        Family::Ipv6 => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = place.enter(|| UdpSocket::bind(any).unwrap()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.set_broadcast(true).unwrap();
    socket
}

/// Sends one datagram from a fresh port; gives the socket.
pub fn send(place: &Place, to: SocketAddr, text: &str) -> UdpSocket {
    let family = match to {
        SocketAddr::V4(_) => Family::Ipv4,
        SocketAddr::V6(_) => Family::Ipv6,
    };
    let socket = bound(place, family);
    socket.send_to(text.as_bytes(), to).unwrap();
    socket
}

/// One ICMP echo and its reply.
pub fn ping(place: &Place, to: IpAddr) {
    let (domain, protocol, request, reply) = match to {
        IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4, 8, 0),
        IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6, 128, 129),
    };
    let open = || Socket::new(domain, Type::DGRAM, Some(protocol)).unwrap();
    let mut socket = place.enter(open).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    // Type, code, and what the kernel fills in: checksum and identifier. Then a sequence number.
    let echo = [request, 0, 0, 0, 0, 0, 0, 1];
    socket
        .send_to(&echo, &SocketAddr::new(to, 0).into())
        .unwrap();
    let mut answer = [0; 64];
    let length = socket
        .read(&mut answer)
        .unwrap_or_else(|error| panic!("ping {to}: {error}"));
    assert_eq!((answer[0], length), (reply, echo.len()), "ping {to}");
}

/// Sends one packet of a bare IP protocol.
pub fn send_protocol(place: &Place, to: IpAddr, protocol: i32) {
    send_packet(place, to, protocol, &[0; 12]);
}

/// Sends an SCTP association's first packet; this needs no SCTP in the kernel.
#[allow(dead_code)]
pub fn send_sctp_init(place: &Place, to: SocketAddr) {
    let mut packet = vec![0; 32];
    packet[..2].copy_from_slice(&5000_u16.to_be_bytes());
    packet[2..4].copy_from_slice(&to.port().to_be_bytes());
    // One chunk, INIT, of 20 bytes (RFC 9260, section 3.3.2). Conntrack calls it INVALID unless its
    // checksum is right.
    packet[12..16].copy_from_slice(&[1, 0, 0, 20]);
    let checksum = crc(&packet);
    packet[8..12].copy_from_slice(&checksum.to_le_bytes());
    send_packet(place, to.ip(), 132, &packet);
}

/// CRC32c (RFC 9260, appendix A), bit by bit.
fn crc(bytes: &[u8]) -> u32 {
    let over = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0x82f6_3b78 * (crc & 1))
        })
    };
    !bytes.iter().fold(!0, over)
}

/// Sends one packet of an IP protocol.
fn send_packet(place: &Place, to: IpAddr, protocol: i32, packet: &[u8]) {
    let open = || {
        let domain = Domain::for_address(SocketAddr::new(to, 0));
        Socket::new(domain, Type::RAW, Some(Protocol::from(protocol))).unwrap()
    };
    let socket = place.enter(open).unwrap();
    socket
        .send_to(packet, &SocketAddr::new(to, 0).into())
        .unwrap();
}

/// How many packets met the first rule of a subject's table whose saved line ends so.
pub fn counter(place: &Place, backend: Backend, family: Family, rule: &str) -> u64 {
    let save = format!("{}-{backend}-save", family.program());
    let output = place.command(save).arg("-c").run(PATIENCE).unwrap();
    let line = output.stdout.lines().find(|line| line.ends_with(rule));
    let line = line.unwrap_or_else(|| panic!("no {rule} in {}", output.stdout));
    line.trim_start_matches('[')
        .split(':')
        .next()
        .unwrap()
        .parse()
        .unwrap()
}

/// Runs a program in a place; it must succeed.
pub fn run(place: &Place, line: &str) {
    let mut words = line.split_whitespace();
    let command = place.command(words.next().unwrap()).args(words);
    let output = command.run(PATIENCE).unwrap();
    assert!(output.status.success(), "{line}: {}", output.stderr);
}
