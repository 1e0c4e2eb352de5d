//! The network half of the lab: which addresses a pod gets, how it comes onto the bridge and goes off it.
//! Writes no manifest.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::{
    Lab, LabError, LabResult, Place, PodSpec, address,
    cluster::Key,
    pod::Identity,
    wiring::{self, Plug},
};

impl Lab {
    /// The pod's addresses, IPv4 first: those it wants, fresh ones otherwise.
    pub(super) fn choose_addresses(&mut self, spec: &PodSpec) -> LabResult<Vec<IpAddr>> {
        if spec.host_network {
            return Ok(vec![address::HOST4.into(), address::HOST6.into()]);
        }
        for wanted in &spec.addresses {
            address::check(*wanted)?;
            self.free(*wanted)?;
        }
        let (v4, v6) = self.fresh();
        let wanted = |v4: bool| {
            spec.addresses
                .iter()
                .copied()
                .find(|address| address.is_ipv4() == v4)
        };
        let v4 = spec.v4.then(|| wanted(true).unwrap_or(v4.into()));
        let v6 = spec.v6.then(|| wanted(false).unwrap_or(v6.into()));
        Ok(v4.into_iter().chain(v6).collect())
    }

    /// The next pair that no pod has. Ends, since a lab has fewer pods than the pool has pairs.
    fn fresh(&mut self) -> (Ipv4Addr, Ipv6Addr) {
        loop {
            let (v4, v6) = self.pool.next();
            if self.holder_of(v4.into()).is_none() && self.holder_of(v6.into()).is_none() {
                return (v4, v6);
            }
        }
    }

    fn holder_of(&self, address: IpAddr) -> Option<&Key> {
        let holder = self
            .plugs
            .iter()
            .find(|(_, (pod, _))| pod.addresses().contains(&address));
        holder.map(|(key, _)| key)
    }

    /// Makes sure that nobody has the address: a finished pod gives it up, a running one is an error.
    fn free(&mut self, address: IpAddr) -> LabResult<()> {
        let Some(holder) = self.holder_of(address).cloned() else {
            return Ok(());
        };
        if self
            .cluster
            .pods
            .get(&holder)
            .is_none_or(|(_, object)| object.is_finished())
        {
            return self.disconnect(&holder);
        }
        Err(LabError::AddressTaken {
            address,
            holder: format!("{}/{}", holder.0, holder.1),
        })
    }

    pub(super) fn connect(
        &self,
        spec: &PodSpec,
        identity: &Identity,
    ) -> LabResult<(Place, Option<Plug>)> {
        if spec.host_network {
            return Ok((self.node.place().clone(), None));
        }
        let place = Place::new(&self.core)?;
        let plug = Plug {
            port: format!("v{}", self.made),
            addresses: identity.addresses.clone(),
            also: spec.also.clone(),
            default_route: spec.default_route,
        };
        wiring::plug_in(&self.node, &place, &plug)?;
        Ok((place, Some(plug)))
    }

    /// Ends a pod's processes and network. A hostNetwork pod's processes end with their handles.
    pub(super) fn disconnect(&mut self, key: &Key) -> LabResult<()> {
        match self.plugs.remove(key) {
            Some((pod, Some(plug))) => {
                pod.kill_all();
                wiring::pull_out(&self.node, &plug)
            }
            _ => Ok(()),
        }
    }
}
