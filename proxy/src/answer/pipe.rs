//! Pipes for bulk: bytes go from socket to socket inside the kernel, through a pipe from a pool.
//!
//! Deliberately absent: when to use one; see `direction`.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use rustix::io::retry_on_intr;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use tokio::io::Interest;
use tokio::net::TcpStream;

#[cfg(test)]
mod tests;

/// How many pipes may exist at a time; a direction that finds none copies instead.
///
/// 64 of [`PIPE_BYTES`] are 64 MiB, which is also what the kernel lets a user without privilege
/// have (`fs.pipe-user-pages-soft`).
pub const MAX_PIPES: usize = 64;

/// The size asked for a pipe; also what `fs.pipe-max-size` allows by default. Bulk throughput is
/// bytes per system call: 1 MiB gave 0.78 of a direct connection where 64 KiB gave 0.36.
pub const PIPE_BYTES: usize = 1 << 20;

/// The smallest pipe worth having: one read of the shared buffer.
const LEAST_BYTES: usize = 64 << 10;

static POOL: Pool = Pool {
    existing: AtomicUsize::new(0),
    idle: Mutex::new(Vec::new()),
};

struct Pool {
    existing: AtomicUsize,
    idle: Mutex<Vec<Ends>>,
}

#[derive(Debug)]
struct Ends {
    read: OwnedFd,
    write: OwnedFd,
}

/// A pipe out of the pool. Dropped empty it goes back; dropped with bytes in it, it is closed.
#[derive(Debug)]
pub(super) struct Pipe {
    ends: Option<Ends>,
    /// At most [`PIPE_BYTES`].
    holds: u32,
}

impl Pipe {
    /// A pipe, unless too many are in use or the kernel refuses one.
    pub(super) fn take() -> Option<Self> {
        let idle = POOL
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        let ends = idle.or_else(Ends::make)?;
        Some(Self {
            ends: Some(ends),
            holds: 0,
        })
    }

    /// How many bytes are in it.
    pub(super) fn holds(&self) -> usize {
        self.holds as usize
    }

    /// Moves what has come from `from` into the pipe, which must be empty, so that "would block" can
    /// only mean the socket. Zero is the end of the stream.
    pub(super) fn fill(&mut self, from: &TcpStream) -> io::Result<usize> {
        let Some(ends) = &self.ends else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let moved = from.try_io(Interest::READABLE, || {
            moved(|| splice(from, None, &ends.write, None, PIPE_BYTES, FLAGS))
        })?;
        self.holds += moved as u32;
        Ok(moved)
    }

    /// Moves bytes from the pipe to `to`, as many as it takes at once.
    pub(super) fn drain(&mut self, to: &TcpStream) -> io::Result<usize> {
        let Some(ends) = &self.ends else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let moved = to.try_io(Interest::WRITABLE, || {
            moved(|| splice(&ends.read, None, to, None, self.holds as usize, FLAGS))
        })?;
        self.holds -= moved as u32;
        Ok(moved)
    }
}

/// How many pipes wait to be used again.
#[cfg(test)]
pub(super) fn idle() -> usize {
    POOL.idle
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .len()
}

const FLAGS: SpliceFlags = SpliceFlags::MOVE.union(SpliceFlags::NONBLOCK);

fn moved(mut splice: impl FnMut() -> rustix::io::Result<usize>) -> io::Result<usize> {
    Ok(retry_on_intr(&mut splice)?)
}

impl Ends {
    /// A new pipe of at least [`LEAST_BYTES`], unless there are [`MAX_PIPES`] already.
    fn make() -> Option<Self> {
        if POOL.existing.fetch_add(1, Ordering::Relaxed) >= MAX_PIPES {
            POOL.existing.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        let made = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)
            .ok()
            .filter(|(_, write)| {
                [PIPE_BYTES, PIPE_BYTES / 4, LEAST_BYTES]
                    .iter()
                    .any(|&bytes| fcntl_setpipe_size(write, bytes).is_ok())
            })
            .map(|(read, write)| Self { read, write });
        if made.is_none() {
            POOL.existing.fetch_sub(1, Ordering::Relaxed);
        }
        made
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        let Some(ends) = self.ends.take() else { return };
        if self.holds == 0 {
            POOL.idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(ends);
        } else {
            drop(ends);
            POOL.existing.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
