//! The rules of mode queue: `mangle` asks, `filter` refuses.
//!
//! May enter: the wish. Deliberately absent: the verdict; the sidecar gives it, and the node is judged
//! there like everybody.
//!
//! A queue's accept leaves the table, so nothing behind it in `mangle` is met (P36). That is why the
//! packet's mark says *admitted*, and `filter` refuses every TCP, UDP and SCTP packet without it that is
//! of no established connection, whatever conntrack calls it. So who is denied is accepted by the queue
//! without the mark, and nobody enters where the queue has no listener (the kernel drops), where
//! `mangle` is missing, or where conntrack was told to look away.
//!
//! A SYN is always a question, whatever the kernel takes it for: after a reset from the pod's side an entry stays for
//! ten seconds with its mark, and a SYN from the same port would come in through it as ESTABLISHED (measured).
//! So it is asked about before ESTABLISHED, and refused there without the mark. So is every datagram of a flow that is
//! marked refused, not to let it in but to account for it.
//!
//! The mark of the connection remembers: the admitted bit lets further packets of a one-way UDP stream
//! past the queue (P37), the refused bit ends a flow that was admitted, before ESTABLISHED lets it in.
//! `filter` writes the admitted bit, because there alone the verdict is known and nobody has
//! to be asked again; `mangle` only reads it.

use super::{Chain, Content, Hook, QUEUE, icmp, loopback, refusing, unguarded};
use crate::mode::{ADMITTED, OWN, Queue, REFUSED, UdpDeny};
use crate::wanted::{Family, Wanted};

/// The protocols that are judged; all others are not touched.
const JUDGED: [&str; 3] = ["tcp", "udp", "sctp"];

/// A packet that opens a TCP connection, as the save programs print it.
const SYN: &str = "-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN";

/// A bit as value and mask, as the save programs print both.
fn bit(mark: u32) -> String {
    format!("{mark:#x}/{mark:#x}")
}

/// The half that refuses.
pub(super) fn filter(wanted: &Wanted, mode: Queue, family: Family) -> Content {
    let (admitted, refused) = (bit(ADMITTED), bit(REFUSED));
    let mut rules: Vec<String> = JUDGED
        .map(|name| format!("-p {name} -m connmark --mark {refused} {}", refusal(name)))
        .into();
    rules.extend(JUDGED.map(|name| format!("-p {name} -m conntrack --ctstate INVALID -j DROP")));
    rules.extend([
        // Silently, where there is an entry: a reset would end it, and with it a connection that may still stand, of
        // which this is a late or forged copy.
        format!("{SYN} -m mark ! --mark {admitted} -m conntrack --ctstate ESTABLISHED -j DROP"),
        format!("{SYN} -m mark ! --mark {admitted} -j REJECT --reject-with tcp-reset"),
        "-m conntrack --ctstate ESTABLISHED -j ACCEPT".to_owned(),
        // Sets one bit and clears none: a refusal that comes between is kept, and weighs more.
        format!(
            "-m mark --mark {admitted} -m connmark ! --mark {admitted} -j CONNMARK --set-xmark {admitted}"
        ),
        format!("-m mark --mark {admitted} -j ACCEPT"),
        format!("-p tcp -m mark --mark {} -j ACCEPT", bit(OWN)),
    ]);
    rules.extend(unguarded(wanted, "ACCEPT"));
    let udp = match (mode.udp_deny, family) {
        (UdpDeny::Drop, _) => refusal("udp"),
        (UdpDeny::Unreachable, Family::Ipv4) => "-j REJECT --reject-with icmp-port-unreachable",
        (UdpDeny::Unreachable, Family::Ipv6) => "-j REJECT --reject-with icmp6-port-unreachable",
    };
    rules.extend([
        format!("-p tcp {}", refusal("tcp")),
        format!("-p udp {udp}"),
        format!("-p sctp {}", refusal("sctp")),
    ]);
    refusing(family, rules)
}

/// What a packet gets that belongs to nobody who is admitted.
fn refusal(protocol: &str) -> &'static str {
    match protocol {
        "tcp" => "-j REJECT --reject-with tcp-reset",
        _ => "-j DROP",
    }
}

/// The half that asks.
pub(super) fn mangle(wanted: &Wanted, mode: Queue, family: Family) -> Content {
    let (admitted, refused) = (bit(ADMITTED), bit(REFUSED));
    // Without --queue-bypass, which would let everybody in where nobody listens.
    let (first, last) = (mode.queues.first(), mode.queues.last());
    let queue = match first == last {
        true => format!("-j NFQUEUE --queue-num {first}"),
        false => format!("-j NFQUEUE --queue-balance {first}:{last}"),
    };
    let mut rules = vec![
        // Whoever set the bits before us has no say.
        format!(
            "! -i lo -j MARK --set-xmark 0x0/{:#x}",
            ADMITTED | OWN | REFUSED
        ),
        "-i lo -j RETURN".to_owned(),
        // Forged: filter drops and counts them.
        "-m addrtype --src-type LOCAL -j RETURN".to_owned(),
        format!("-s {} -j RETURN", loopback(family)),
        format!("-p {} -j RETURN", icmp(family)),
        "-m conntrack --ctstate INVALID -j RETURN".to_owned(),
        // So that the sidecar sees that it is asked for the account only.
        format!("-m connmark --mark {refused} -j MARK --set-xmark {refused}"),
        format!("{SYN} {queue}"),
        format!("-m mark ! --mark {refused} -m conntrack --ctstate ESTABLISHED -j RETURN"),
    ];
    rules.extend(unguarded(wanted, "RETURN"));
    rules.extend([
        // Of TCP these are the last words of a connection that was cut, and the cut was told.
        format!("-p tcp -m mark --mark {refused} -j RETURN"),
        // Whoever goes on sending datagrams is counted like everybody who is denied.
        format!("-p udp -m mark --mark {refused} {queue}"),
        format!("-p sctp -m mark --mark {refused} {queue}"),
    ]);
    rules.extend([
        format!("-m connmark --mark {admitted} -j MARK --set-xmark {admitted}"),
        format!("-m connmark --mark {admitted} -j RETURN"),
    ]);
    rules.extend(JUDGED.map(|name| format!("-p {name} {queue}")));
    Content {
        chains: vec![Chain { name: QUEUE, rules }],
        hooks: vec![Hook {
            base: "INPUT",
            rule: format!("-j {QUEUE}"),
        }],
    }
}
