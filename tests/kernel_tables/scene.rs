//! A pod whose connections are tracked, another that connects to it, and ways to talk.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};

use podwall_lab::{Lab, Place, Pod, PodSpec};
use podwall_policy::flow::Protocol;
use podwall_proxy::kernel::Tuple;
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};

use crate::support::SOON;

pub const PORT: u16 = 80;

pub struct Scene {
    pub web: Pod,
    pub cart: Pod,
    _lab: Lab,
}

impl Scene {
    /// Entries of `web` count what they carry only where `accounting` is on.
    pub fn set(accounting: bool) -> Self {
        let mut lab = Lab::start().unwrap();
        let web = lab.pod(PodSpec::new("shop", "web")).unwrap();
        let cart = lab.pod(PodSpec::new("shop", "cart")).unwrap();
        for iptables in ["iptables-nft", "ip6tables-nft"] {
            let rule = "-w 5 -A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT";
            run(&web, iptables, rule);
        }
        let accounting = if accounting { "1" } else { "0" };
        web.sysctl("net.netfilter.nf_conntrack_acct", accounting)
            .unwrap();
        Self {
            web,
            cart,
            _lab: lab,
        }
    }

    /// The addresses of `web`, one of each family.
    pub fn addresses(&self) -> [IpAddr; 2] {
        [self.web.v4().into(), self.web.v6().into()]
    }

    /// A listener in `web` on every address of both families.
    pub fn listen(&self, port: u16) -> TcpListener {
        let listen = || TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).unwrap();
        self.web.enter(listen).unwrap()
    }

    /// `cart` connects to `web`; the two ends.
    pub fn connect(&self, listener: &TcpListener, address: IpAddr) -> Pair {
        let at = SocketAddr::new(address, listener.local_addr().unwrap().port());
        let connect = || TcpStream::connect_timeout(&at, SOON).unwrap();
        let client = self.cart.enter(connect).unwrap();
        let (server, peer) = listener.accept().unwrap();
        assert_eq!(peer.port(), client.local_addr().unwrap().port());
        for end in [&client, &server] {
            end.set_read_timeout(Some(SOON)).unwrap();
        }
        Pair { client, server }
    }

    /// `cart` sends a datagram to `web`, which answers if `answered`; the client's socket, both open.
    pub fn datagrams(&self, address: IpAddr, answered: bool) -> (UdpSocket, UdpSocket) {
        let any = (Ipv6Addr::UNSPECIFIED, 0);
        let bind = || UdpSocket::bind(any).unwrap();
        let [server, client] = [&self.web, &self.cart].map(|pod| pod.enter(bind).unwrap());
        server.set_read_timeout(Some(SOON)).unwrap();
        client.set_read_timeout(Some(SOON)).unwrap();
        let at = SocketAddr::new(mapped(address), server.local_addr().unwrap().port());
        client.connect(at).unwrap();
        client.send(b"request").unwrap();
        let (_, peer) = server.recv_from(&mut [0; 16]).unwrap();
        if answered {
            server.send_to(b"answer", peer).unwrap();
            client.recv(&mut [0; 16]).unwrap();
        }
        (client, server)
    }
}

/// The two ends of a connection.
pub struct Pair {
    pub client: TcpStream,
    pub server: TcpStream,
}

impl Pair {
    pub fn tuple(&self) -> Tuple {
        let [source, destination] = [self.client.local_addr(), self.client.peer_addr()];
        Tuple::new(Protocol::Tcp, source.unwrap(), destination.unwrap())
    }

    /// Five bytes there and five back.
    pub fn talk(&mut self) {
        self.client.write_all(b"hello").unwrap();
        self.server.read_exact(&mut [0; 5]).unwrap();
        self.server.write_all(b"again").unwrap();
        self.client.read_exact(&mut [0; 5]).unwrap();
    }
}

/// A socket of both families knows IPv4 addresses by this spelling.
fn mapped(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().into(),
        v6 => v6,
    }
}

pub fn udp_tuple(client: &UdpSocket) -> Tuple {
    let [source, destination] = [client.local_addr(), client.peer_addr()];
    Tuple::new(Protocol::Udp, source.unwrap(), destination.unwrap())
}

pub fn reversed(tuple: &Tuple) -> Tuple {
    Tuple::new(tuple.protocol, tuple.destination, tuple.source)
}

/// Runs a program in a place; it must succeed.
pub fn run(place: &Place, program: &str, line: &str) {
    let command = place.command(program).args(line.split_whitespace());
    let output = command.run(SOON).unwrap();
    assert!(
        output.status.success(),
        "{program} {line}: {}",
        output.stderr
    );
}

/// Runs `work` inside a place on a thread without any capability.
pub fn without_capabilities<T: Send>(place: &Place, work: impl FnOnce() -> T + Send) -> T {
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    let visit = || {
        set_capabilities(None, none).unwrap();
        work()
    };
    place.enter(visit).unwrap()
}
