//! The rest of an answer: each part of it is a sign of life, and a list that stops coming is given up.
//!
//! Deliberately absent: a bound on the silence of a watch. The watcher above has one, its timeout and
//! 5 s more.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use tokio::time::Sleep;
use tower::BoxError;

use super::door::{Asked, Door, What};
use super::words::NoAnswer;

/// How long a list may stand still; one that comes slowly may take any time.
const STANDSTILL: Duration = Duration::from_secs(20);

/// The body of an answer.
pub(super) struct Answer {
    body: Incoming,
    door: Door,
    asked: Asked,
    /// It is no error's.
    good: bool,
    /// Until when the next part must come.
    patience: Pin<Box<Sleep>>,
}

impl Answer {
    pub(super) fn new(body: Incoming, door: Door, asked: Asked, good: bool) -> Self {
        Self {
            body,
            door,
            asked,
            good,
            patience: Box::pin(tokio::time::sleep(STANDSTILL)),
        }
    }

    fn is_watch(&self) -> bool {
        self.good && self.asked.what != What::List
    }

    fn heard(&mut self) {
        if self.is_watch() {
            let mut ledger = self.door.ledger();
            ledger.health.on_heard(self.asked.kind, Instant::now());
        } else {
            let until = tokio::time::Instant::now() + STANDSTILL;
            self.patience.as_mut().reset(until);
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                self.heard();
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                self.door.ledger().on_failed(self.asked.kind);
                Poll::Ready(Some(Err(error.into())))
            }
            Poll::Ready(None) => {
                if self.is_watch() {
                    self.door.ledger().on_ended(self.asked.kind);
                }
                Poll::Ready(None)
            }
            Poll::Pending if self.is_watch() => Poll::Pending,
            Poll::Pending => match self.patience.as_mut().poll(context) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(()) => {
                    self.door.ledger().on_failed(self.asked.kind);
                    Poll::Ready(Some(Err(NoAnswer(STANDSTILL).into())))
                }
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
