//! From the application's leg to the end: relayed, and judged again whenever a change asks for it.
//!
//! A small struct polled by hand, for it is what an idle connection costs. The runtime rounds a task
//! up to a multiple of 128 bytes and aligns it so; what is cold lies in boxes that fit the gaps.

use std::task::{Context, Poll};

use super::story::Story;
use crate::account::Gauged;
use crate::answer::relay::{Carried, Relay};
use crate::farewell::End;
use crate::live::{Seat, Signal};
use crate::ruling::Ruling;

/// A connection that was let in.
pub(super) struct Carrying {
    /// Before the seat: both legs are closed when the seat is given back.
    relay: Relay,
    story: Box<Story>,
    ruling: Box<Ruling>,
    half_closed: Option<Gauged>,
    _live: Gauged,
    seat: Seat,
}

impl Carrying {
    /// Carries on with what the first half has found.
    pub(super) fn new(story: Story, seat: Seat, ruling: Ruling, relay: Relay) -> Self {
        let live = story.doorkeeper.clerk.account().live();
        Self {
            relay,
            story: Box::new(story),
            ruling: Box::new(ruling),
            half_closed: None,
            _live: live,
            seat,
        }
    }

    /// Carries what there is; ready at the end, with everything written down.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let before = self.relay.carried();
        // Asked before a byte moves: a change between the judgement and now has left its signal.
        let polled = match self.poll_verdict(cx) {
            Poll::Ready(end) => Poll::Ready(end),
            Poll::Pending => {
                let patience = self.story.doorkeeper.settings.half_close_timeout;
                self.relay.poll(cx, patience)
            }
        };
        self.count(before);
        match polled {
            Poll::Ready(end) => {
                self.end(end);
                Poll::Ready(())
            }
            Poll::Pending => Poll::Pending,
        }
    }

    /// Ready where the verdict has turned or podwall stops.
    fn poll_verdict(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        while let Poll::Ready(signal) = self.seat.poll_signal(cx) {
            if signal == Signal::Stop {
                return Poll::Ready(End::Stopped);
            }
            let Some(flow) = self.seat.flow() else {
                continue;
            };
            let again = self.story.judge(flow);
            if !again.decision.is_allow() {
                self.story.revoked(&again, flow);
                *self.ruling = again;
                return Poll::Ready(End::Revoked);
            }
        }
        Poll::Pending
    }

    /// Brings the gauges and counters up to date.
    fn count(&mut self, before: Carried) {
        let account = self.story.doorkeeper.clerk.account();
        let now = self.relay.carried();
        if now != before {
            account.carried(now.inward - before.inward, now.outward - before.outward);
        }
        match (self.relay.is_half_closed(), &self.half_closed) {
            (true, None) => self.half_closed = Some(account.half_closed()),
            (false, Some(_)) => self.half_closed = None,
            _ => {}
        }
    }

    /// Both legs are reset when the relay is dropped, unless it ended in order.
    fn end(&self, end: End) {
        let carried = self.relay.carried();
        self.story
            .farewell((*self.ruling).clone(), self.seat.flow(), carried, end);
    }
}
