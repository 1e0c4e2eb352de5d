//! A network namespace as an open file: made, entered, never named or mounted. Interfaces are not its matter.

use std::{
    fs::{self, File},
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    panic, thread,
};

use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};

use crate::{LabError, LabResult};

/// An open network namespace. It exists until this value and all processes and sockets in it are gone.
#[derive(Debug)]
pub(crate) struct NetNs(OwnedFd);

impl NetNs {
    /// Makes a fresh one: loopback down, nothing else inside.
    pub(crate) fn new() -> LabResult<Self> {
        on_own_thread(|| {
            // Deprecated only because other flags (FILES) can make threads disagree about descriptors;
            // NEWNET changes nothing but this thread's view of the network, and this thread ends here.
            #[allow(deprecated)]
            rustix::thread::unshare(UnshareFlags::NEWNET)?;
            Ok(Self(File::open("/proc/thread-self/ns/net")?.into()))
        })
        .map_err(LabError::io("make a network namespace"))
    }

    /// Runs `work` on a fresh thread inside the namespace. Sockets that it opens stay inside.
    pub(crate) fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> LabResult<T> {
        on_own_thread(|| {
            move_into_link_name_space(self.0.as_fd(), Some(LinkNameSpaceType::Network))?;
            Ok(work())
        })
        .map_err(LabError::io("enter a network namespace"))
    }

    /// Runs `spawn` on a fresh thread inside the namespace whose children are born in `processes`.
    pub(crate) fn enter_to_spawn<T: Send>(
        &self,
        processes: &OwnedFd,
        spawn: impl FnOnce() -> io::Result<T> + Send,
    ) -> io::Result<T> {
        on_own_thread(|| {
            move_into_link_name_space(self.0.as_fd(), Some(LinkNameSpaceType::Network))?;
            move_into_link_name_space(processes.as_fd(), Some(LinkNameSpaceType::ProcessID))?;
            spawn()
        })
    }

    /// A path by which any process of the same user can open the namespace while this value lives.
    pub(crate) fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd())
    }

    /// Writes kernel settings of the namespace, named with dots as `sysctl` does.
    pub(crate) fn sysctl(&self, settings: &[(&str, &str)]) -> LabResult<()> {
        self.enter(|| {
            settings.iter().try_for_each(|(name, value)| {
                let path = format!("/proc/sys/{}", name.replace('.', "/"));
                fs::write(&path, value).map_err(LabError::io(format!("write {value} to {path}")))
            })
        })?
    }
}

/// Namespaces belong to threads, so each visit has a thread of its own, which never returns to the caller's.
/// A panic inside is the caller's panic.
fn on_own_thread<T: Send>(work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    thread::scope(|scope| {
        match thread::Builder::new()
            .name("lab-visit".to_owned())
            .spawn_scoped(scope, work)
        {
            Ok(visit) => visit
                .join()
                .unwrap_or_else(|cause| panic::resume_unwind(cause)),
            Err(error) => Err(error),
        }
    })
}
