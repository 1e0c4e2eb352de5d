//! The canary: proof, without privilege, that the redirect rules are there (P40).
//!
//! Nothing listens on the canary's port. The last nat rule of each family redirects that port on
//! loopback to the relay, which answers with this instance's word. Who reads the word has met itself:
//! the nat rules are committed in this network namespace and lead to this relay's port.
//!
//! It does not prove that nobody put rules ahead of ours later, nor the filter half; `podwall redirect
//! --check` reads everything back, with privilege.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

#[cfg(test)]
mod tests;

/// How long the relay may take to answer. Loopback answers within a millisecond.
const PATIENCE: Duration = Duration::from_secs(1);

/// One instance's canary.
#[derive(Clone, Debug)]
pub struct Canary {
    port: u16,
    word: Arc<[u8]>,
}

/// Why one family's canary did not answer as it should.
#[derive(Debug, thiserror::Error)]
pub enum CanaryFault {
    /// This pod's addresses cannot be listed, so the families are not known.
    #[error("the pod's addresses cannot be listed: {0}")]
    Addresses(#[source] io::Error),
    /// Nobody there.
    #[error(
        "canary {address}: {source}; are podwall's rules installed in this pod, with the same \
         --listen-port and --canary-port?"
    )]
    Silent {
        /// What was connected to.
        address: SocketAddr,
        /// What came of it.
        source: io::Error,
    },
    /// Somebody else is there.
    #[error(
        "canary {0}: another program answers there; give --canary-port a port that nobody uses"
    )]
    Stranger(SocketAddr),
}

impl Canary {
    /// The canary of this instance, with a word that no other instance has.
    #[must_use]
    pub fn new(port: u16) -> Self {
        // The hasher's keys are the system's randomness; the word is a name, no secret.
        let random = || RandomState::new().hash_one(std::process::id());
        let word = format!("podwall {:016x}{:016x}\n", random(), random());
        Self {
            port,
            word: word.into_bytes().into(),
        }
    }

    /// What the relay says to whoever comes for the canary.
    #[must_use]
    pub fn word(&self) -> Arc<[u8]> {
        Arc::clone(&self.word)
    }

    /// Asks on every family that this pod has; the faults found, none where all is well.
    pub async fn ask(&self) -> Vec<CanaryFault> {
        let own = match if_addrs::get_if_addrs() {
            Ok(interfaces) => interfaces,
            Err(error) => return vec![CanaryFault::Addresses(error)],
        };
        let own: Vec<IpAddr> = own.iter().map(if_addrs::Interface::ip).collect();
        let mut faults = Vec::new();
        for loopback in families(&own) {
            let address = SocketAddr::new(loopback, self.port);
            faults.extend(self.ask_one(address).await.err());
        }
        faults
    }

    async fn ask_one(&self, address: SocketAddr) -> Result<(), CanaryFault> {
        let heard = match timeout(PATIENCE, hear(address, self.word.len())).await {
            Ok(heard) => heard,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        };
        match heard {
            Ok(word) if *word == *self.word => Ok(()),
            Ok(_) => Err(CanaryFault::Stranger(address)),
            Err(source) => Err(CanaryFault::Silent { address, source }),
        }
    }
}

/// The loopback address of each family of which the pod has another address too.
fn families(own: &[IpAddr]) -> Vec<IpAddr> {
    let has = |v4: bool| own.iter().any(|ip| ip.is_ipv4() == v4 && !ip.is_loopback());
    let v4 = has(true).then_some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let v6 = has(false).then_some(IpAddr::V6(Ipv6Addr::LOCALHOST));
    v4.into_iter().chain(v6).collect()
}

/// What `address` says first, up to one byte more than `len`.
async fn hear(address: SocketAddr, len: usize) -> io::Result<Vec<u8>> {
    let limit = u64::try_from(len).unwrap_or(u64::MAX).saturating_add(1);
    let mut word = Vec::with_capacity(len + 1);
    let stream = TcpStream::connect(address).await?;
    stream.take(limit).read_to_end(&mut word).await?;
    Ok(word)
}
