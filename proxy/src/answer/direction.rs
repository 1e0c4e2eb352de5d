//! One direction of a relay: from one socket to the other, in order, until the end of the stream.
//!
//! Bytes go through one buffer per thread, so a direction that waits owns none. What the receiver
//! does not take at once is kept in a private buffer until it does. After two full reads in a row
//! the direction changes to a [`Pipe`], and back when little comes.

use std::cell::RefCell;
use std::pin::Pin as Pinned;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::pipe::Pipe;

/// The buffer that all connections of a thread share. Large enough for a burst of requests, small
/// enough that two of them fit the second-level cache.
const SHARED_BYTES: usize = 64 << 10;

/// How much one direction carries before it lets others run: two full pipes, about a millisecond.
const TURN_BYTES: u64 = 2 << 20;

/// Full reads in a row after which bytes go through a pipe.
const BULK_AFTER: u8 = 2;

/// A turn through a pipe that carries less than this goes back to copying: for small messages a pipe
/// costs 10 % more.
const BULK_LEAST: u64 = 16 << 10;

thread_local! {
    static SHARED: RefCell<Box<[u8]>> = RefCell::new(vec![0; SHARED_BYTES].into_boxed_slice());
}

/// Which of the two sockets broke.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Broken {
    /// The one that sends.
    Sender,
    /// The one that receives.
    Receiver,
}

/// One direction of a relay.
#[derive(Debug, Default)]
pub(super) struct Direction {
    in_hand: InHand,
    carried: u64,
    full_reads: u8,
    finished: bool,
}

/// Bytes taken from the sender that the receiver has not got yet.
#[derive(Debug, Default)]
enum InHand {
    #[default]
    Nothing,
    Bytes {
        bytes: Box<[u8]>,
        given: u32,
    },
    Pipe(Pipe),
}

impl Direction {
    /// Bytes that the receiver's socket has taken.
    pub(super) fn carried(&self) -> u64 {
        self.carried
    }

    /// Whether the end of the stream has been passed on.
    pub(super) fn is_finished(&self) -> bool {
        self.finished
    }

    /// Carries what there is, at most one turn; ready once the end of the stream is passed on.
    ///
    /// The `last` of two directions leaves its end of stream to the `close` that follows at once.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut TcpStream,
        to: &mut TcpStream,
        last: bool,
    ) -> Poll<Result<(), Broken>> {
        if self.finished {
            return Poll::Ready(Ok(()));
        }
        let before = self.carried;
        loop {
            ready!(self.poll_give(cx, to)).map_err(|Gone| Broken::Receiver)?;
            if self.carried - before >= TURN_BYTES {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            match self.poll_take(cx, from, to, before) {
                Poll::Ready(Ok(Taken::Some)) => {}
                Poll::Ready(Ok(Taken::End)) => break,
                Poll::Ready(Err(broken)) => return Poll::Ready(Err(broken)),
                Poll::Pending => return Poll::Pending,
            }
        }
        self.in_hand = InHand::Nothing;
        if !last {
            ready!(Pinned::new(to).poll_shutdown(cx)).map_err(|_| Broken::Receiver)?;
        }
        self.finished = true;
        Poll::Ready(Ok(()))
    }

    /// Gives the receiver everything that is in hand.
    fn poll_give(&mut self, cx: &mut Context<'_>, to: &mut TcpStream) -> Poll<Result<(), Gone>> {
        match &mut self.in_hand {
            InHand::Nothing => {}
            InHand::Bytes { bytes, given } => {
                // INVARIANT: no private buffer is larger than the shared one, so its length is a u32.
                while (*given as usize) < bytes.len() {
                    let n = ready!(poll_write(cx, to, &bytes[*given as usize..]))?;
                    *given += n as u32;
                    self.carried += n as u64;
                }
                self.in_hand = InHand::Nothing;
            }
            InHand::Pipe(pipe) => {
                while pipe.holds() > 0 {
                    ready!(to.poll_write_ready(cx)).map_err(|_| Gone)?;
                    match pipe.drain(to) {
                        Ok(0) => return Poll::Ready(Err(Gone)),
                        Ok(n) => self.carried += n as u64,
                        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                        Err(_) => return Poll::Ready(Err(Gone)),
                    }
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Takes what the sender has, by pipe or by copy. Nothing is in hand when it is called, except
    /// perhaps an empty pipe.
    fn poll_take(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut TcpStream,
        to: &mut TcpStream,
        before: u64,
    ) -> Poll<Result<Taken, Broken>> {
        if self.full_reads >= BULK_AFTER && self.take_pipe() {
            let taken = self.poll_fill(cx, from);
            if taken.is_pending() {
                // An idle direction owns no pipe.
                self.in_hand = InHand::Nothing;
                if self.carried - before < BULK_LEAST {
                    self.full_reads = 0;
                }
            }
            return taken;
        }
        SHARED.with_borrow_mut(|shared| self.poll_copy(cx, from, to, shared))
    }

    /// Whether a pipe is in hand now.
    fn take_pipe(&mut self) -> bool {
        if matches!(self.in_hand, InHand::Nothing) {
            match Pipe::take() {
                Some(pipe) => self.in_hand = InHand::Pipe(pipe),
                None => self.full_reads = 0,
            }
        }
        matches!(self.in_hand, InHand::Pipe(_))
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>, from: &TcpStream) -> Poll<Result<Taken, Broken>> {
        let InHand::Pipe(pipe) = &mut self.in_hand else {
            return Poll::Ready(Ok(Taken::Some));
        };
        loop {
            ready!(from.poll_read_ready(cx)).map_err(|_| Broken::Sender)?;
            match pipe.fill(from) {
                Ok(0) => return Poll::Ready(Ok(Taken::End)),
                Ok(_) => return Poll::Ready(Ok(Taken::Some)),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => return Poll::Ready(Err(Broken::Sender)),
            }
        }
    }

    /// One read into the shared buffer and one write out of it; what is not taken is kept.
    fn poll_copy(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut TcpStream,
        to: &mut TcpStream,
        shared: &mut [u8],
    ) -> Poll<Result<Taken, Broken>> {
        let mut read = ReadBuf::new(shared);
        ready!(Pinned::new(from).poll_read(cx, &mut read)).map_err(|_| Broken::Sender)?;
        let full = read.remaining() == 0;
        self.full_reads = if full {
            self.full_reads.saturating_add(1)
        } else {
            0
        };
        let bytes = read.filled();
        if bytes.is_empty() {
            return Poll::Ready(Ok(Taken::End));
        }
        let given = match poll_write(cx, to, bytes) {
            Poll::Ready(Ok(n)) => n,
            Poll::Ready(Err(Gone)) => return Poll::Ready(Err(Broken::Receiver)),
            Poll::Pending => 0,
        };
        self.carried += given as u64;
        if given < bytes.len() {
            self.in_hand = InHand::Bytes {
                bytes: bytes[given..].into(),
                given: 0,
            };
        }
        Poll::Ready(Ok(Taken::Some))
    }
}

/// What a look at the sender gave.
enum Taken {
    Some,
    End,
}

/// The socket has no other end any more.
struct Gone;

/// Writes some of `bytes`, at least one.
fn poll_write(cx: &mut Context<'_>, to: &mut TcpStream, bytes: &[u8]) -> Poll<Result<usize, Gone>> {
    match ready!(Pinned::new(to).poll_write(cx, bytes)) {
        Ok(0) | Err(_) => Poll::Ready(Err(Gone)),
        Ok(n) => Poll::Ready(Ok(n)),
    }
}
