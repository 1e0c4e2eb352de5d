//! A bell for a thread that waits in `poll`: anybody rings, the thread hears it whenever it looks.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::{read, write};

/// A bell. Rung before it is listened for, it is heard all the same.
#[derive(Debug)]
pub struct Bell(OwnedFd);

impl Bell {
    /// A bell that nobody has rung yet.
    ///
    /// # Errors
    /// Where no descriptor is left.
    pub fn new() -> io::Result<Self> {
        Ok(Self(eventfd(
            0,
            EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK,
        )?))
    }

    /// Rings. Many rings before one hearing are one.
    pub fn ring(&self) {
        // It fails only where it was rung 2^64 times unheard, so the thread wakes anyway.
        let _rung_already = write(&self.0, &1_u64.to_ne_bytes());
    }

    /// Hears what was rung so far; whoever waits then waits for the next ring.
    pub fn hear(&self) {
        let mut count = [0_u8; 8];
        let _nobody_rang = read(&self.0, &mut count[..]);
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
