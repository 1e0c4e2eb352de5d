//! A Pod. One field of it that is needed and cannot be read makes the whole pod unknown (P26).

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use super::findings::{Findings, Reported};
use super::metadata;
use super::node::{self, Node};
use super::port;
use crate::flow::Protocol;
use crate::object::{NamedPort, Object, ObjectName, Phase, Pod};

/// Reads the Pod `name`. Every fault is reported, not only the first.
pub(super) fn read(object: &Node<'_>, name: ObjectName, out: &mut Findings) -> Object {
    let metadata = object.child("metadata");
    let spec = object.child("spec");
    let status = object.child("status");
    let shape = spec.map(out).and(status.map(out));
    let uid = metadata.child("uid").text(out);
    let labels = metadata::labels(object, out);
    let ports = ports(&spec, out);
    let host_network = spec.child("hostNetwork").flag(out);
    let addresses = addresses(&status, "podIPs", "podIP", out);
    let host_addresses = addresses_of_host(&status, out);
    let phase = phase(&status.child("phase"), out);
    let started = started(&metadata, &status, out);
    let parts = || -> Result<Pod, Reported> {
        shape?;
        let ports = ports?;
        Ok(Pod {
            uid: uid?.map(Arc::from),
            labels: labels?,
            addresses: addresses?,
            host_addresses: host_addresses?,
            named_ports: ports.named.into(),
            udp_ports: ports.udp.into_iter().collect(),
            host_network: host_network?.unwrap_or(false),
            phase: phase?,
            started: started?,
            terminating: metadata::is_terminating(object),
            name: name.clone(),
        })
    };
    parts().map_or_else(|Reported| Object::BrokenPod(name.clone()), Object::Pod)
}

/// The addresses under `list`, or the single one under `single` where there is no list (S75).
fn addresses(
    status: &Node<'_>,
    list: &'static str,
    single: &'static str,
    out: &mut Findings,
) -> Result<Vec<IpAddr>, Reported> {
    let (list, single) = (status.child(list), status.child(single));
    let mut found = Vec::new();
    for item in list.items(out)? {
        item.map(out)?;
        found.extend(address(&item.child("ip"), out)?);
    }
    if found.is_empty() {
        found.extend(address(&single, out)?);
    }
    Ok(distinct(found))
}

fn addresses_of_host(status: &Node<'_>, out: &mut Findings) -> Result<Vec<IpAddr>, Reported> {
    addresses(status, "hostIPs", "hostIP", out)
}

fn distinct(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let mut kept: Vec<IpAddr> = Vec::with_capacity(addresses.len());
    for address in addresses {
        if !kept.contains(&address) {
            kept.push(address);
        }
    }
    kept
}

/// An address, canonical (S45); none where the text is empty.
fn address(at: &Node<'_>, out: &mut Findings) -> Result<Option<IpAddr>, Reported> {
    match at.text(out)? {
        None | Some("") => Ok(None),
        Some(text) => match text.parse::<IpAddr>() {
            Ok(address) => Ok(Some(address.to_canonical())),
            Err(_) => {
                let message = format!("{:?} is no address", node::short(text));
                Err(out.error(
                    at,
                    message,
                    "write an IPv4 or IPv6 address, without a prefix",
                ))
            }
        },
    }
}

fn phase(at: &Node<'_>, out: &mut Findings) -> Result<Option<Phase>, Reported> {
    Ok(match at.text(out)? {
        None | Some("") => None,
        Some("Pending") => Some(Phase::Pending),
        Some("Running") => Some(Phase::Running),
        Some("Succeeded") => Some(Phase::Succeeded),
        Some("Failed") => Some(Phase::Failed),
        Some("Unknown") => Some(Phase::Unknown),
        Some(other) => {
            let message = format!(
                "{:?} is no phase; the pod counts as alive",
                node::short(other)
            );
            out.warning(
                at,
                message,
                "write Pending, Running, Succeeded, Failed or Unknown",
            );
            Some(Phase::Unknown)
        }
    })
}

/// `status.startTime`, else `metadata.creationTimestamp` (S72).
fn started(
    metadata: &Node<'_>,
    status: &Node<'_>,
    out: &mut Findings,
) -> Result<Option<SystemTime>, Reported> {
    let start = time(&status.child("startTime"), out);
    let created = time(&metadata.child("creationTimestamp"), out);
    Ok(start?.or(created?))
}

fn time(at: &Node<'_>, out: &mut Findings) -> Result<Option<SystemTime>, Reported> {
    let Some(text) = at.text(out)? else {
        return Ok(None);
    };
    match humantime::parse_rfc3339(text) {
        Ok(time) => Ok(Some(time)),
        Err(_) => {
            let message = format!("{:?} is no time", node::short(text));
            Err(out.error(at, message, "write it as 2024-05-06T07:08:09Z"))
        }
    }
}

/// The declared ports that anybody asks for.
#[derive(Default)]
struct Ports {
    /// Sorted at the end.
    named: Vec<NamedPort>,
    udp: BTreeSet<u16>,
}

/// The ports of the containers and native sidecars (S52 to S54).
///
/// Of a name given twice with one protocol the first number stays, as for a Service.
fn ports(spec: &Node<'_>, out: &mut Findings) -> Result<Ports, Reported> {
    let mut found = Ports::default();
    let containers = spec.child("containers");
    for container in containers.items(out)? {
        container_ports(&container, &mut found, out)?;
    }
    let init = spec.child("initContainers");
    for container in init.items(out)? {
        if container.child("restartPolicy").as_text() == Some("Always") {
            container_ports(&container, &mut found, out)?;
        }
    }
    found.named.sort();
    Ok(found)
}

fn container_ports(
    container: &Node<'_>,
    found: &mut Ports,
    out: &mut Findings,
) -> Result<(), Reported> {
    container.map(out)?;
    let ports = container.child("ports");
    for item in ports.items(out)? {
        item.map(out)?;
        found.udp.extend(udp_port(&item));
        let at = item.child("name");
        let Some(name) = at.text(out)?.filter(|name| !name.is_empty()) else {
            continue;
        };
        let named = NamedPort {
            name: name.into(),
            protocol: port::protocol(&item.child("protocol"), out)?,
            port: port::number(&item.child("containerPort"), out)?,
        };
        let same = |have: &&NamedPort| have.name == named.name && have.protocol == named.protocol;
        match found.named.iter().find(same) {
            None => found.named.push(named),
            Some(have) if have.port == named.port => {}
            Some(have) => {
                let message = format!(
                    "the name {:?} stands for {} already",
                    node::short(name),
                    have.port
                );
                out.warning(&at, message, "give each port its own name");
            }
        }
    }
    Ok(())
}

/// The port, where it is one of UDP. No decision depends on it, so what cannot be read is none.
fn udp_port(item: &Node<'_>) -> Option<u16> {
    if item.child("protocol").as_text() != Some(Protocol::Udp.label()) {
        return None;
    }
    let number = item.child("containerPort").value()?.as_u64()?;
    u16::try_from(number).ok().filter(|number| *number > 0)
}
