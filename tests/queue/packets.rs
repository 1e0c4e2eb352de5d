//! Packets that no socket would send: from addresses of others, and of a protocol that the kernel here has not.

use std::io::Read;
use std::net::{IpAddr, SocketAddr};

use podwall_lab::Place;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::support::SOON;

/// "The packet brings its own header" (`IPPROTO_RAW`).
const RAW: i32 = 255;
const TCP: u8 = 6;
/// `IPPROTO_SCTP`.
pub const SCTP: i32 = 132;

/// A raw socket of a protocol in a place.
pub fn raw(place: &Place, like: IpAddr, protocol: i32) -> Socket {
    let domain = Domain::for_address((like, 0).into());
    let open = || Socket::new(domain, Type::RAW, Some(Protocol::from(protocol)));
    let socket = place.enter(open).unwrap().expect("a raw socket");
    socket.set_read_timeout(Some(SOON)).unwrap();
    socket
}

/// Sends SYNs from any address: one per socket and family.
pub struct Forger(Socket, SocketAddr);

impl Forger {
    pub fn new(place: &Place, to: SocketAddr) -> Self {
        Self(raw(place, to.ip(), RAW), to)
    }

    /// A SYN from this address and port. One that finds no room in the sender's own queues is lost.
    pub fn syn(&self, source: SocketAddr) {
        let target = SockAddr::from(SocketAddr::new(self.1.ip(), 0));
        let _no_room = self.0.send_to(&syn(source, self.1), &target);
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().into(),
        IpAddr::V6(v6) => v6.octets().into(),
    }
}

/// The sum of RFC 1071 over parts of even length.
fn checksum(parts: &[&[u8]]) -> [u8; 2] {
    let words = parts.iter().flat_map(|part| part.chunks(2));
    let mut sum: u32 = words
        .map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!(sum as u16)).to_be_bytes()
}

/// A SYN with its IP header, whose own checksum the kernel adds.
fn syn(source: SocketAddr, to: SocketAddr) -> Vec<u8> {
    let [from, into] = [source, to].map(|end| octets(end.ip()));
    let ports = [source.port().to_be_bytes(), to.port().to_be_bytes()].concat();
    // Sequence number, acknowledgment, 20 bytes of header, SYN, window.
    let rest = [0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0xff, 0xff];
    let mut segment = [&ports[..], &rest, &[0; 4]].concat();
    let length = segment.len() as u8;
    let sum = checksum(&[&from, &into, &[0, TCP, 0, length], &segment]);
    segment[16..18].copy_from_slice(&sum);
    let header = match to {
        SocketAddr::V4(_) => vec![0x45, 0, 0, 20 + length, 0, 0, 0, 0, 64, TCP, 0, 0],
        SocketAddr::V6(_) => vec![0x60, 0, 0, 0, 0, length, TCP, 64],
    };
    [header, from, into, segment].concat()
}

/// The first chunk of an SCTP association, with a checksum of zero.
pub fn init(source_port: u16, port: u16) -> Vec<u8> {
    let mut packet = [source_port, port].map(u16::to_be_bytes).concat();
    packet.extend([0; 8]);
    // INIT, 20 bytes: tag, window, one stream each way, first sequence number.
    packet.extend([1, 0, 0, 20]);
    let words = [0x1234_5678_u32, 0xffff, 0x0001_0001, 1];
    packet.extend(words.iter().flat_map(|word| word.to_be_bytes()));
    packet
}

/// What a raw socket of IPv4 gives comes with its IP header, that of IPv6 without.
pub fn payload(packet: &[u8], source: IpAddr) -> &[u8] {
    match source {
        IpAddr::V4(_) => &packet[usize::from(packet[0] & 0xf) * 4..],
        IpAddr::V6(_) => packet,
    }
}

/// Sends an echo request and waits for its answer.
pub fn ping(place: &Place, to: IpAddr) {
    let (protocol, request, answer) = match to {
        IpAddr::V4(_) => (1, 8, 0),
        IpAddr::V6(_) => (58, 128, 129),
    };
    let mut socket = raw(place, to, protocol);
    let mut packet = [request, 0, 0, 0, 0x70, 0x77, 0, 1, b'p', b'i', b'n', b'g'];
    if to.is_ipv4() {
        let sum = checksum(&[&packet]);
        packet[2..4].copy_from_slice(&sum);
    }
    let target = SockAddr::from(SocketAddr::new(to, 0));
    socket.send_to(&packet, &target).unwrap();
    let mut buffer = [0; 256];
    loop {
        let length = socket.read(&mut buffer).expect("an answer to the ping");
        let heard = payload(&buffer[..length], to);
        if heard[0] == answer && heard[4..] == packet[4..] {
            return;
        }
    }
}
