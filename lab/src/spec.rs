//! What a pod shall be: addresses, labels, ports. A description only; the lab makes the pod.

use std::{collections::BTreeMap, net::IpAddr, time::SystemTime};

/// A pod to be made by [`crate::Lab::pod`].
#[derive(Clone, Debug)]
#[must_use]
pub struct PodSpec {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) ports: Vec<Port>,
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) also: Vec<IpAddr>,
    pub(crate) v4: bool,
    pub(crate) v6: bool,
    pub(crate) default_route: bool,
    pub(crate) host_network: bool,
    pub(crate) announced: bool,
    pub(crate) phase: String,
    pub(crate) started: Option<SystemTime>,
}

/// A declared container port.
#[derive(Clone, Debug)]
pub(crate) struct Port {
    pub(crate) name: String,
    pub(crate) number: u16,
    pub(crate) protocol: String,
    /// Declared by a native sidecar (an init container that restarts) instead of the application.
    pub(crate) sidecar: bool,
}

impl PodSpec {
    /// A running dual-stack pod with a default route, no labels and no declared ports.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
            labels: BTreeMap::new(),
            ports: Vec::new(),
            addresses: Vec::new(),
            also: Vec::new(),
            v4: true,
            v6: true,
            default_route: true,
            host_network: false,
            announced: true,
            phase: "Running".to_owned(),
            started: None,
        }
    }

    /// Adds a label.
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(key.into(), value.into());
        self
    }

    /// Declares a container port; an empty name leaves it nameless.
    pub fn port(
        mut self,
        name: impl Into<String>,
        number: u16,
        protocol: impl Into<String>,
    ) -> Self {
        self.ports.push(Port {
            name: name.into(),
            number,
            protocol: protocol.into(),
            sidecar: false,
        });
        self
    }

    /// Declares a port of a native sidecar, that is an init container with `restartPolicy: Always`.
    pub fn sidecar_port(
        mut self,
        name: impl Into<String>,
        number: u16,
        protocol: impl Into<String>,
    ) -> Self {
        self.ports.push(Port {
            name: name.into(),
            number,
            protocol: protocol.into(),
            sidecar: true,
        });
        self
    }

    /// Wants this address, of the pods' networks, instead of a fresh one of its family: that of a removed pod.
    pub fn address(mut self, address: impl Into<IpAddr>) -> Self {
        self.addresses.push(address.into());
        self
    }

    /// Gives the pod one more address, which its object does not list. Any address; the node routes it to the pod.
    pub fn also(mut self, address: impl Into<IpAddr>) -> Self {
        self.also.push(address.into());
        self
    }

    /// Leaves IPv6 out.
    pub fn v4_only(mut self) -> Self {
        (self.v4, self.v6) = (true, false);
        self
    }

    /// Leaves IPv4 out.
    pub fn v6_only(mut self) -> Self {
        (self.v4, self.v6) = (false, true);
        self
    }

    /// Leaves the pod without default routes: it reaches the bridge only.
    pub fn no_default_route(mut self) -> Self {
        self.default_route = false;
        self
    }

    /// Makes it a hostNetwork pod: it lives in the node's network namespace and has the node's addresses.
    pub fn host_network(mut self) -> Self {
        self.host_network = true;
        self
    }

    /// Makes the pod without its object: no manifest tells of it until [`crate::Lab::announce`].
    pub fn unannounced(mut self) -> Self {
        self.announced = false;
        self
    }

    /// Sets `status.phase`; `Running` unless set.
    pub fn phase(mut self, phase: impl Into<String>) -> Self {
        self.phase = phase.into();
        self
    }

    /// Sets `status.startTime`. Unless set, each pod of a lab starts a second after the one made before it.
    pub fn started(mut self, time: SystemTime) -> Self {
        self.started = Some(time);
        self
    }
}
