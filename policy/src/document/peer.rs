//! One item of `from` or `to` (S21 to S29) and its `ipBlock` (S40 to S45).

use ipnet::IpNet;

use super::findings::{Findings, Reported};
use super::node::{self, Harm, Node};
use super::selector;
use crate::cidr::{self, IpBlock};
use crate::selector::Selector;
use crate::spec::{Namespaces, PeerSpec};

const FIELDS: [&str; 3] = ["podSelector", "namespaceSelector", "ipBlock"];
const BLOCK_FIELDS: [&str; 2] = ["cidr", "except"];

/// The peer at `at`; one that cannot be understood matches nothing.
pub(super) fn read(at: &Node<'_>, out: &mut Findings) -> PeerSpec {
    peer(at, out).unwrap_or(PeerSpec::Broken)
}

fn peer(at: &Node<'_>, out: &mut Findings) -> Result<PeerSpec, Reported> {
    at.map(out)?;
    if at.unknown_fields(&FIELDS, Harm::Breaks("peer"), out) {
        return Err(Reported);
    }
    let (pods, namespaces) = (at.child("podSelector"), at.child("namespaceSelector"));
    let block = at.child("ipBlock");
    let selects = !pods.is_missing() || !namespaces.is_missing();
    match (block.is_missing(), selects) {
        (true, false) => Err(out.error(
            at,
            "a peer without a field matches nothing",
            "write podSelector, namespaceSelector or ipBlock, or remove the item",
        )),
        (false, true) => Err(out.error(
            at,
            "ipBlock beside a selector matches nothing",
            "make them two items of the list",
        )),
        (false, false) => Ok(PeerSpec::Block(ip_block(&block, out)?)),
        (true, true) => by_labels(&pods, &namespaces, out),
    }
}

fn by_labels(
    pods: &Node<'_>,
    namespaces: &Node<'_>,
    out: &mut Findings,
) -> Result<PeerSpec, Reported> {
    let pods = selector::read(pods, out);
    let namespaces = if namespaces.is_missing() {
        Namespaces::Own
    } else {
        Namespaces::Matching(selector::read(namespaces, out))
    };
    match (&pods, &namespaces) {
        // Said by the selector already.
        (Selector::Broken, _) | (_, Namespaces::Matching(Selector::Broken)) => Err(Reported),
        _ => Ok(PeerSpec::Pods { namespaces, pods }),
    }
}

fn ip_block(at: &Node<'_>, out: &mut Findings) -> Result<IpBlock, Reported> {
    at.map(out)?;
    let unknown = at.unknown_fields(&BLOCK_FIELDS, Harm::Breaks("ipBlock"), out);
    let cidr = range(&at.child("cidr"), out);
    let excepts = at.child("except");
    let mut except = Vec::new();
    let mut fault = None;
    for item in excepts.items(out)? {
        match range(&item, out) {
            Ok(one) => except.push((item, one)),
            // An exception that is left out would widen the block.
            Err(reported) => fault = Some(reported),
        }
    }
    if let (Some(fault), _) | (_, Some(fault)) = (fault, unknown.then_some(Reported)) {
        return Err(fault);
    }
    let cidr = cidr?;
    for (item, one) in except
        .iter()
        .filter(|(_, one)| !is_strictly_inside(one, &cidr))
    {
        let message = format!("{one} is no part of {cidr}; it takes out what it covers");
        out.warning(
            item,
            message,
            "the API server refuses this: write a smaller range inside the cidr",
        );
    }
    let except = except.into_iter().map(|(_, one)| one).collect();
    Ok(IpBlock { cidr, except })
}

fn is_strictly_inside(inner: &IpNet, outer: &IpNet) -> bool {
    inner != outer && outer.contains(inner)
}

fn range(at: &Node<'_>, out: &mut Findings) -> Result<IpNet, Reported> {
    let Some(text) = at.text(out)? else {
        return Err(out.error(
            at,
            "no range is named",
            "write ADDRESS/PREFIX, for example 10.0.0.0/8",
        ));
    };
    let Ok((range, sloppiness)) = cidr::parse(text) else {
        let message = format!("{:?} is no CIDR", node::short(text));
        return Err(out.error(
            at,
            message,
            "write ADDRESS/PREFIX, for example 10.0.0.0/8 or fd00::/8",
        ));
    };
    let oddities = [
        (sloppiness.host_bits, "has host bits set, which are ignored"),
        (
            sloppiness.leading_zeros,
            "has leading zeros and is read as decimal",
        ),
        (
            sloppiness.v4_mapped,
            "is a v4-mapped range and is read as IPv4",
        ),
    ];
    for (_, oddity) in oddities.iter().filter(|(found, _)| *found) {
        out.warning(
            at,
            format!("{:?} {oddity}", node::short(text)),
            format!("write {range}"),
        );
    }
    Ok(range)
}
