//! From acceptance to the application's leg.
//!
//! The usual arrival is answered at once, without waiting for anything: [`open`] is no future. What
//! must wait (the canary's answer, a hold, a slow connect) goes on in a box of its own.
//!
//! Nothing is read from the client, and it is reset wherever its [`Caller`] is dropped.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Instant;

use podwall_policy::flow::Flow;
use tokio::net::TcpStream;

use super::carrying::Carrying;
use super::story::Story;
use super::{Arrived, Stage};
use crate::answer::caller::Caller;
use crate::answer::relay::{Carried, Relay};
use crate::answer::upstream::{self, Begun, Fresh, NotConnected};
use crate::arrival::OriginalDst;
use crate::farewell::End;
use crate::intercept::destination::{Meant, meant};
use crate::live::{Seat, Signal};
use crate::ruling::{Decision, Refusal, Ruling};

/// The rest of the way in, for those who must wait.
pub(super) type Waiting = Pin<Box<dyn Future<Output = Option<Carrying>> + Send>>;

/// An arrival that the law has been asked about.
struct Visit {
    story: Story,
    caller: Caller,
    seat: Seat,
    destination: OriginalDst,
    flow: Flow,
}

/// Answers an arrival, as far as that goes without waiting.
pub(super) fn open(arrived: Arrived) -> Stage {
    let Arrived {
        mut story,
        caller,
        peer,
        seat,
    } = arrived;
    let (destination, meant) = match read_destination(&mut story, &caller, peer) {
        Ok(read) => read,
        Err(refusal) => return dismiss(&story, caller, refusal),
    };
    let flow = match meant {
        Meant::ForTheApplication(flow) => flow,
        Meant::ForTheCanary => return Stage::Waiting(Box::pin(sing(story, caller, seat))),
    };
    let Some(mut seat) = seat else {
        return dismiss(&story, caller, Refusal::OverCapacity);
    };
    // P29: entered first, judged afterwards.
    seat.register(story.source_ip(), flow);
    let visit = Visit {
        story,
        caller,
        seat,
        destination,
        flow,
    };
    visit.judge()
}

fn read_destination(
    story: &mut Story,
    caller: &Caller,
    peer: SocketAddr,
) -> Result<(OriginalDst, Meant), Refusal> {
    let doorkeeper = Arc::clone(&story.doorkeeper);
    let destination = caller
        .stream()
        .and_then(|stream| doorkeeper.destinations.original(stream, peer).ok())
        .ok_or(Refusal::NotRedirected)?;
    story.note_destination(destination);
    let ports = doorkeeper.settings.ports;
    let is_this_pod = |address| doorkeeper.destinations.is_this_pod(address);
    Ok((
        destination,
        meant(story.source(), destination, ports, is_this_pod)?,
    ))
}

/// Refuses without asking the law.
fn dismiss(story: &Story, caller: Caller, refusal: Refusal) -> Stage {
    drop(caller);
    story.farewell(refusal.into(), None, Carried::default(), End::Denied);
    Stage::Over
}

/// Answers the canary's visit, which leaves no line (P40). Its seat, if there was one, is kept
/// meanwhile.
async fn sing(story: Story, caller: Caller, _seat: Option<Seat>) -> Option<Carrying> {
    let _left_first = caller.tell(&story.doorkeeper.settings.nonce).await;
    None
}

impl Visit {
    fn judge(self) -> Stage {
        let ruling = self.story.judge(&self.flow);
        if ruling.decision.may_turn() {
            return Stage::Waiting(Box::pin(self.wait_for_certainty(ruling)));
        }
        if !ruling.decision.is_allow() {
            self.end(ruling, End::Denied);
            return Stage::Over;
        }
        let dead_peer = self.story.doorkeeper.settings.dead_peer;
        match upstream::begin(self.destination, dead_peer) {
            Ok(Begun::Connected(app)) => match self.admit(ruling, app) {
                Some(carrying) => Stage::Carrying(carrying),
                None => Stage::Over,
            },
            Ok(Begun::Pending(fresh)) => {
                Stage::Waiting(Box::pin(self.wait_for_application(ruling, fresh)))
            }
            Err(why) => {
                self.not_connected(ruling, &why);
                Stage::Over
            }
        }
    }

    /// Waits for the answer to become certain, at most
    /// [`hold_time`](super::Settings::hold_time) from the arrival (P7).
    async fn wait_for_certainty(mut self, ruling: Ruling) -> Option<Carrying> {
        let (ruling, end) = self.hold(ruling).await;
        if !ruling.decision.is_allow() {
            self.end(ruling, end);
            return None;
        }
        let dead_peer = self.story.doorkeeper.settings.dead_peer;
        match upstream::begin(self.destination, dead_peer) {
            Ok(Begun::Connected(app)) => self.admit(ruling, app),
            Ok(Begun::Pending(fresh)) => self.wait_for_application(ruling, fresh).await,
            Err(why) => {
                self.not_connected(ruling, &why);
                None
            }
        }
    }

    /// The last ruling, and how the arrival ends if that is a denial.
    async fn hold(&mut self, mut ruling: Ruling) -> (Ruling, End) {
        let doorkeeper = &self.story.doorkeeper;
        let Some(_place) = doorkeeper.hold.take(self.story.source_ip()) else {
            ruling.decision = Decision::Refuse(Refusal::HoldFull);
            return (ruling, End::Denied);
        };
        let _held = doorkeeper.clerk.account().held();
        let began = Instant::now();
        let over = self.story.at + doorkeeper.settings.hold_time;
        let mut over = pin!(tokio::time::sleep_until(over.into()));
        // Subscribed before the next judgement, so no change falls between the two.
        let mut changes = doorkeeper.clerk.world().changes();
        let end = loop {
            ruling = self.story.judge(&self.flow);
            if !ruling.decision.may_turn() {
                break End::Denied;
            }
            tokio::select! {
                Ok(()) = changes.changed() => {}
                () = &mut over => break End::Denied,
                () = self.caller.gone() => break End::ClientGone,
                signal = self.seat.signal() => if signal == Signal::Stop {
                    break End::Stopped;
                },
            }
        };
        self.story.note_held(began.elapsed());
        (ruling, end)
    }

    /// Waits for the application to accept. A verdict that turns meanwhile is a denial: nothing was
    /// carried yet.
    async fn wait_for_application(self, ruling: Ruling, fresh: Fresh) -> Option<Carrying> {
        let connected = {
            let mut connecting = pin!(fresh.connected());
            loop {
                tokio::select! {
                    biased;
                    signal = self.seat.signal() => match signal {
                        Signal::Stop => break Err((ruling.clone(), End::Stopped)),
                        Signal::JudgeAgain => {
                            let again = self.story.judge(&self.flow);
                            if !again.decision.is_allow() {
                                break Err((again, End::Denied));
                            }
                        }
                    },
                    connected = &mut connecting => break Ok(connected),
                    () = self.caller.gone() => break Err((ruling.clone(), End::ClientGone)),
                }
            }
        };
        match connected {
            Ok(Ok(app)) => self.admit(ruling, app),
            Ok(Err(why)) => {
                self.not_connected(ruling, &why);
                None
            }
            Err((ruling, end)) => {
                self.end(ruling, end);
                None
            }
        }
    }

    fn admit(self, ruling: Ruling, app: TcpStream) -> Option<Carrying> {
        let Self {
            story,
            caller,
            seat,
            ..
        } = self;
        let relay = Relay::new(caller.admit()?, app);
        Some(Carrying::new(story, seat, ruling, relay))
    }

    fn not_connected(self, ruling: Ruling, why: &NotConnected) {
        match why {
            NotConnected::Refused(..) => self.end(ruling, End::AppRefused),
            NotConnected::Reset(_) => self.end(ruling, End::AppGone),
            NotConnected::NoLocalPort(_) => self.end(ruling, End::NoLocalPort),
            NotConnected::Exhausted(..) => self.end(Refusal::OverCapacity.into(), End::Denied),
        }
    }

    /// The client is reset first, then it is written down, then the seat is given back.
    fn end(self, ruling: Ruling, end: End) {
        drop(self.caller);
        self.story
            .farewell(ruling, Some(&self.flow), Carried::default(), end);
    }
}
