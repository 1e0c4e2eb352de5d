//! Questions to the law without a sidecar: one state in, verdicts out.
//!
//! `explain` and `matrix` stand on this room, and this room on the engine that the sidecar runs:
//! `compile`, `matching`, `decide`, `misses`. Deliberately absent: a second opinion, and output.

use std::net::IpAddr;
use std::sync::Arc;

use podwall_policy::cluster::Cluster;
use podwall_policy::compile::compile;
use podwall_policy::compiled::Table;
use podwall_policy::diagnostic::Diagnostic;
use podwall_policy::flow::{Direction, Protocol};
use podwall_policy::object::{ObjectName, Pod};
use podwall_policy::peer::Identity;

use crate::failure::Failure;
use crate::port::Port;
use crate::source::State;

/// Says findings on stderr.
pub fn report(diagnostics: &[Diagnostic]) {
    for one in diagnostics {
        eprintln!("{one}");
    }
}

/// `NS/POD`.
///
/// # Errors
/// Where the text is not two words with a slash between.
pub fn pod_name(text: &str) -> Result<ObjectName, String> {
    match text.split_once('/') {
        Some((namespace, name))
            if !namespace.is_empty() && !name.is_empty() && !name.contains('/') =>
        {
            Ok(ObjectName::new(namespace, name))
        }
        _ => Err(format!("{text:?} names no pod; write NAMESPACE/POD")),
    }
}

/// The pod of that name.
///
/// # Errors
/// Where there is none, or it has ended and owns no address any more (S70).
pub fn running_pod<'c>(
    state: &'c State,
    name: &ObjectName,
    flag: &str,
) -> Result<&'c Pod, Failure> {
    let State { cluster, place } = state;
    if cluster.broken_pods().any(|one| one == name) {
        return Err(Failure::input(format_args!(
            "{flag} {name}: the pod cannot be read; mend what is reported of it above"
        )));
    }
    let Some(pod) = cluster.pod(name) else {
        return Err(Failure::input(format_args!(
            "{flag} {name}: no such pod in {place}; {}",
            place.hint()
        )));
    };
    if pod.is_finished() {
        return Err(Failure::input(format_args!(
            "{flag} {name}: the pod has ended (status.phase), so no packet comes from it or reaches it; \
             name a running one"
        )));
    }
    Ok(pod)
}

/// The table of all policies for one subject, both directions, and what was odd in them.
pub fn table_for(cluster: &Cluster, subject: &Identity) -> (Arc<Table>, Vec<Diagnostic>) {
    let compiled = compile(cluster.policies(), subject, 1);
    (Arc::new(compiled.table), compiled.diagnostics)
}

/// The addresses over which `source` would reach `destination`: of the destination's first family
/// that the source has too. `None` for a side that has no address, or none of a common family.
pub fn addresses(source: &Pod, destination: &Pod) -> (Option<IpAddr>, Option<IpAddr>) {
    let common = destination.addresses.iter().find_map(|to| {
        let from = source
            .addresses
            .iter()
            .find(|from| from.is_ipv4() == to.is_ipv4())?;
        Some((*from, *to))
    });
    match common {
        Some((from, to)) => (Some(from), Some(to)),
        None if destination.addresses.is_empty() => (source.addresses.first().copied(), None),
        None if source.addresses.is_empty() => (None, destination.addresses.first().copied()),
        None => (None, None),
    }
}

/// The same over the family that [`addresses`] leaves out, where both sides have that too.
pub fn other_addresses(source: &Pod, destination: &Pod) -> Option<(IpAddr, IpAddr)> {
    let (first, _) = addresses(source, destination);
    let v6 = first?.is_ipv4();
    let of_family = |pod: &Pod| {
        pod.addresses
            .iter()
            .copied()
            .find(|one| one.is_ipv6() == v6)
    };
    of_family(source).zip(of_family(destination))
}

/// Says on stderr what the policies do not: what of UDP and SCTP is dropped without asking them.
pub fn say_uncarried(ports: &[Port]) {
    let has = |protocol| ports.iter().any(|port| port.protocol == protocol);
    let redirect = match (has(Protocol::Udp), has(Protocol::Sctp)) {
        (false, false) => return,
        (true, false) => "UDP is judged on the ports of --udp-port only and dropped on others",
        (false, true) => "SCTP is dropped on all ports",
        (true, true) => {
            "UDP is judged on the ports of --udp-port only, and dropped on others, as SCTP is on all"
        }
    };
    eprintln!(
        "note: this is what the policies say, and mode queue does, on every port; in mode redirect {redirect}. \
         --unguarded-port lets everybody in, in both modes"
    );
}

/// What podwall enforces of the two directions today.
pub const ENFORCED: [Direction; 1] = [Direction::Ingress];
