//! The handles of a lab's two kinds of place: pod and node. They hold the place open; the lab owns what is behind it.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ops::Deref,
    sync::Arc,
};

use crate::{Place, address};

/// A pod of the lab. Cheap to clone; it is also the [`Place`] where its processes run.
///
/// A handle may outlive its pod: after [`crate::Lab::remove`] its addresses are gone and nothing answers.
#[derive(Clone, Debug)]
pub struct Pod {
    place: Place,
    identity: Arc<Identity>,
}

/// What never changes about a pod.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) addresses: Vec<IpAddr>,
}

impl Pod {
    pub(crate) fn new(place: Place, identity: Arc<Identity>) -> Self {
        Self { place, identity }
    }

    /// Its namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.identity.namespace
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.identity.name
    }

    /// Its `metadata.uid`.
    #[must_use]
    pub fn uid(&self) -> &str {
        &self.identity.uid
    }

    /// Its addresses as `status.podIPs` lists them, IPv4 first.
    #[must_use]
    pub fn addresses(&self) -> &[IpAddr] {
        &self.identity.addresses
    }

    /// Its IPv4 address.
    ///
    /// # Panics
    /// If it was made with [`crate::PodSpec::v6_only`].
    #[must_use]
    pub fn v4(&self) -> Ipv4Addr {
        let found = self.addresses().iter().find_map(|address| match address {
            IpAddr::V4(v4) => Some(*v4),
            IpAddr::V6(_) => None,
        });
        found.unwrap_or_else(|| {
            panic!(
                "pod {}/{} has no IPv4 address",
                self.namespace(),
                self.name()
            )
        })
    }

    /// Its IPv6 address.
    ///
    /// # Panics
    /// If it was made with [`crate::PodSpec::v4_only`].
    #[must_use]
    pub fn v6(&self) -> Ipv6Addr {
        let found = self.addresses().iter().find_map(|address| match address {
            IpAddr::V6(v6) => Some(*v6),
            IpAddr::V4(_) => None,
        });
        found.unwrap_or_else(|| {
            panic!(
                "pod {}/{} has no IPv6 address",
                self.namespace(),
                self.name()
            )
        })
    }

    /// Where its processes run.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }
}

impl Deref for Pod {
    type Target = Place;

    fn deref(&self) -> &Place {
        &self.place
    }
}

/// The node: the bridge's namespace, from whose gateway address the kubelet's probes come.
#[derive(Clone, Debug)]
pub struct Node(Place);

impl Node {
    pub(crate) fn new(place: Place) -> Self {
        Self(place)
    }

    /// The gateway address of the pods, from which a probe comes.
    #[must_use]
    pub fn v4(&self) -> Ipv4Addr {
        address::GATEWAY4
    }

    /// The same in IPv6.
    #[must_use]
    pub fn v6(&self) -> Ipv6Addr {
        address::GATEWAY6
    }

    /// The node's own address, `status.hostIP` of every pod.
    #[must_use]
    pub fn host_v4(&self) -> Ipv4Addr {
        address::HOST4
    }

    /// The same in IPv6, second in `status.hostIPs`.
    #[must_use]
    pub fn host_v6(&self) -> Ipv6Addr {
        address::HOST6
    }

    /// Where its processes run.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.0
    }
}

impl Deref for Node {
    type Target = Place;

    fn deref(&self) -> &Place {
        &self.0
    }
}
