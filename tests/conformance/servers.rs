//! What runs in a pod of the tables: small servers that say whose they are, over TCP and UDP, and an ear for SCTP.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;

use podwall_lab::{Place, Pod};
use socket2::{Domain, Protocol, Socket, Type};

use super::town::PORTS;

/// IANA's number of SCTP.
const SCTP: i32 = 132;

/// An SCTP packet that came through: from whom, from which port, to which.
type Heard = Arc<Mutex<BTreeSet<(IpAddr, u16, u16)>>>;

/// The servers of one pod. They end with the process; their sockets hold nothing but a network namespace.
pub struct Servers {
    heard: Heard,
}

impl Servers {
    pub fn none() -> Self {
        Self {
            heard: Heard::default(),
        }
    }

    /// Starts a server on every port, which says `name` to whoever comes.
    pub fn start(pod: &Pod, name: &str) -> Self {
        let servers = Self::none();
        for port in PORTS {
            let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
            let bind = || {
                (
                    TcpListener::bind(any).unwrap(),
                    UdpSocket::bind(any).unwrap(),
                )
            };
            let (tcp, udp) = pod.enter(bind).unwrap();
            let name = name.to_owned();
            let other = name.clone();
            thread::spawn(move || greet(&tcp, &name));
            thread::spawn(move || answer(&udp, &other));
        }
        for v4 in [true, false] {
            let (ear, heard) = (raw(pod, v4), Arc::clone(&servers.heard));
            thread::spawn(move || listen(&ear, &heard));
        }
        servers
    }

    /// Whether an SCTP packet of this sender has come through.
    pub fn heard(&self, from: IpAddr, source_port: u16, port: u16) -> bool {
        let heard = self.heard.lock().unwrap();
        heard.contains(&(from, source_port, port))
    }
}

fn greet(listener: &TcpListener, name: &str) {
    for stream in listener.incoming() {
        let Ok(mut stream) = stream else { continue };
        // A client that left at once is no matter of the server's.
        let _ = stream.write_all(name.as_bytes());
    }
}

fn answer(socket: &UdpSocket, name: &str) {
    let mut buffer = [0; 64];
    while let Ok((_, from)) = socket.recv_from(&mut buffer) {
        let _ = socket.send_to(name.as_bytes(), from);
    }
}

/// A raw socket hears what the filter has let in, whether or not the kernel speaks SCTP.
fn listen(ear: &UdpSocket, heard: &Heard) {
    let mut buffer = [0; 512];
    while let Ok((length, from)) = ear.recv_from(&mut buffer) {
        // Over IPv4 a raw socket hands over the header too; its first byte has its length, in words of four bytes.
        let header = match from {
            SocketAddr::V4(_) => usize::from(buffer[0] & 0xf) * 4,
            SocketAddr::V6(_) => 0,
        };
        let Some([high, low, to_high, to_low]) = buffer[header..length].first_chunk() else {
            continue;
        };
        let ports = [[*high, *low], [*to_high, *to_low]].map(u16::from_be_bytes);
        heard
            .lock()
            .unwrap()
            .insert((from.ip(), ports[0], ports[1]));
    }
}

/// A raw socket of SCTP, with the methods of a datagram socket. Ports of its addresses mean nothing and are 0.
pub fn raw(place: &Place, v4: bool) -> UdpSocket {
    let domain = if v4 { Domain::IPV4 } else { Domain::IPV6 };
    let open = || Socket::new(domain, Type::RAW, Some(Protocol::from(SCTP)));
    place.enter(open).unwrap().expect("a raw socket").into()
}
