//! The addresses of this pod, asked of the kernel and remembered.

use std::collections::HashSet;
use std::io;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

#[cfg(test)]
mod tests;

/// How often, at most, an address that is not among the known ones makes us ask again. A flood of
/// foreign destinations then costs one listing a second.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(1);

type List = dyn Fn() -> io::Result<Vec<IpAddr>> + Send + Sync;

/// The addresses of this pod, loopback left out.
pub(crate) struct OwnAddresses {
    list: Box<List>,
    known: RwLock<HashSet<IpAddr>>,
    asked: Mutex<Option<Instant>>,
}

impl OwnAddresses {
    /// The addresses of this network namespace's interfaces.
    pub(crate) fn of_this_pod() -> Self {
        Self::listed_by(|| {
            let interfaces = if_addrs::get_if_addrs()?;
            Ok(interfaces.iter().map(if_addrs::Interface::ip).collect())
        })
    }

    fn listed_by(list: impl Fn() -> io::Result<Vec<IpAddr>> + Send + Sync + 'static) -> Self {
        Self {
            list: Box::new(list),
            known: RwLock::default(),
            asked: Mutex::new(None),
        }
    }

    /// Whether `address`, canonical, is one of them. A miss may ask the kernel again.
    pub(crate) fn contains(&self, address: IpAddr, now: Instant) -> bool {
        if address.is_loopback() || address.is_unspecified() {
            return false;
        }
        self.knows(address) || self.ask_again(address, now)
    }

    /// Asks the kernel, unless it was asked just now. Who comes while another asks waits for that answer: the first
    /// arrivals of all come together.
    fn ask_again(&self, address: IpAddr, now: Instant) -> bool {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let due = asked.is_none_or(|last| now.saturating_duration_since(last) >= ASK_AGAIN_AFTER);
        if due {
            *asked = Some(now);
            self.refresh();
        }
        self.knows(address)
    }

    fn knows(&self, address: IpAddr) -> bool {
        self.known
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(&address)
    }

    fn refresh(&self) {
        match (self.list)() {
            Ok(addresses) => {
                let addresses = addresses.iter().map(IpAddr::to_canonical);
                *self.known.write().unwrap_or_else(PoisonError::into_inner) = addresses.collect();
            }
            Err(error) => {
                tracing::warn!(%error, "the addresses of this pod cannot be listed; those known so far stay");
            }
        }
    }
}

impl std::fmt::Debug for OwnAddresses {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("OwnAddresses")
            .field("known", &self.known)
            .finish_non_exhaustive()
    }
}
