//! From acceptance to the application's leg.
//!
//! Every step either gives the next one what it needs or a [`Parting`]. Nothing is read from the
//! client, and the client is reset wherever its [`Caller`] is dropped.

use std::net::SocketAddr;
use std::pin::pin;
use std::time::Instant;

use podwall_policy::flow::Flow;
use tokio::net::TcpStream;

use super::carrying::Carrying;
use super::story::Story;
use crate::answer::caller::Caller;
use crate::answer::relay::{Carried, Relay};
use crate::answer::upstream::{self, NotConnected};
use crate::arrival::OriginalDst;
use crate::farewell::End;
use crate::intercept::destination::{Meant, meant};
use crate::live::{Seat, Signal};
use crate::ruling::{Decision, Refusal, Ruling};

/// An arrival's end before anything was carried.
struct Parting {
    ruling: Ruling,
    flow: Option<Flow>,
    end: End,
}

impl Parting {
    /// Refused before the law was asked.
    fn refused(refusal: Refusal) -> Box<Self> {
        Box::new(Self {
            ruling: refusal.into(),
            flow: None,
            end: End::Denied,
        })
    }

    /// Ended after it was asked `flow`.
    fn after(flow: &Flow, ruling: Ruling, end: End) -> Box<Self> {
        let flow = Some(*flow);
        Box::new(Self { ruling, flow, end })
    }
}

/// What the steps before the last have found.
struct Admitted {
    flow: Flow,
    ruling: Ruling,
    relay: Relay,
}

/// Tells the first half; what is left to do is carried by the result, if there is anything.
pub(super) async fn open(
    mut story: Story,
    stream: TcpStream,
    peer: SocketAddr,
    mut seat: Option<Seat>,
) -> Option<Carrying> {
    match let_in(&mut story, Caller::new(stream), peer, &mut seat).await {
        Ok(Some(admitted)) => {
            let seat = seat?;
            let Admitted {
                flow,
                ruling,
                relay,
            } = admitted;
            Some(Carrying::new(story, seat, flow, ruling, relay))
        }
        Ok(None) => None,
        Err(parting) => {
            let Parting { ruling, flow, end } = *parting;
            story.farewell(ruling, flow.as_ref(), Carried::default(), end);
            None
        }
    }
}

/// The steps in order. `None`: it was the canary.
async fn let_in(
    story: &mut Story,
    caller: Caller,
    peer: SocketAddr,
    seat: &mut Option<Seat>,
) -> Result<Option<Admitted>, Box<Parting>> {
    let (destination, meant) = read_destination(story, &caller, peer)?;
    let flow = match meant {
        Meant::ForTheApplication(flow) => flow,
        Meant::ForTheCanary => {
            let _left_first = caller.tell(&story.doorkeeper.settings.nonce).await;
            return Ok(None);
        }
    };
    let Some(seat) = seat else {
        return Err(Parting::refused(Refusal::OverCapacity));
    };
    // P29: entered first, judged afterwards.
    seat.register(story.source.ip(), flow);
    let ruling = judge(story, &flow, seat, &caller).await?;
    let app = connect(story, destination, &flow, &ruling, seat, &caller).await?;
    let patience = story.doorkeeper.settings.half_close_timeout;
    Ok(caller.admit().map(|client| Admitted {
        flow,
        ruling,
        relay: Relay::new(client, app, patience),
    }))
}

fn read_destination(
    story: &mut Story,
    caller: &Caller,
    peer: SocketAddr,
) -> Result<(OriginalDst, Meant), Box<Parting>> {
    let doorkeeper = &story.doorkeeper;
    let destination = caller
        .stream()
        .and_then(|stream| doorkeeper.destinations.original(stream, peer).ok())
        .ok_or_else(|| Parting::refused(Refusal::NotRedirected))?;
    story.destination = Some(destination);
    let meant = meant(
        story.source,
        destination,
        doorkeeper.settings.ports,
        |address| doorkeeper.destinations.is_this_pod(address),
    );
    Ok((destination, meant.map_err(Parting::refused)?))
}

/// The ruling that lets the arrival in; held for it where the answer may still turn (P7).
async fn judge(
    story: &mut Story,
    flow: &Flow,
    seat: &Seat,
    caller: &Caller,
) -> Result<Ruling, Box<Parting>> {
    let mut ruling = story.judge(flow);
    let mut end = End::Denied;
    if ruling.decision.may_turn() {
        (ruling, end) = hold(story, flow, seat, caller, ruling).await;
    }
    if ruling.decision.is_allow() {
        return Ok(ruling);
    }
    Err(Parting::after(flow, ruling, end))
}

/// Waits for the answer to become certain, until [`hold_time`](super::Settings::hold_time) after the
/// arrival. Gives the last ruling, and how the arrival ends if that is a denial.
async fn hold(
    story: &mut Story,
    flow: &Flow,
    seat: &Seat,
    caller: &Caller,
    mut ruling: Ruling,
) -> (Ruling, End) {
    let doorkeeper = &story.doorkeeper;
    let Some(_place) = doorkeeper.hold.take(story.source.ip()) else {
        ruling.decision = Decision::Refuse(Refusal::HoldFull);
        return (ruling, End::Denied);
    };
    let _held = doorkeeper.account.held();
    let began = Instant::now();
    let mut over = pin!(tokio::time::sleep_until(
        (story.at + doorkeeper.settings.hold_time).into()
    ));
    // Subscribed before the next judgement, so no change falls between the two.
    let mut changes = doorkeeper.world.changes();
    let mut end = End::Denied;
    loop {
        ruling = story.judge(flow);
        if !ruling.decision.may_turn() {
            break;
        }
        tokio::select! {
            Ok(()) = changes.changed() => {}
            () = &mut over => break,
            () = caller.gone() => {
                end = End::ClientGone;
                break;
            }
            signal = seat.signal() => {
                if signal == Signal::Stop {
                    end = End::Stopped;
                    break;
                }
            }
        }
    }
    story.held = began.elapsed();
    (ruling, end)
}

/// The application's leg. A verdict that turns meanwhile is a denial: nothing was carried yet.
async fn connect(
    story: &Story,
    destination: OriginalDst,
    flow: &Flow,
    ruling: &Ruling,
    seat: &Seat,
    caller: &Caller,
) -> Result<TcpStream, Box<Parting>> {
    let parting = |end| Parting::after(flow, ruling.clone(), end);
    let dead_peer = story.doorkeeper.settings.dead_peer;
    let mut connecting = pin!(upstream::connect(destination, dead_peer));
    loop {
        tokio::select! {
            biased;
            signal = seat.signal() => match signal {
                Signal::Stop => return Err(parting(End::Stopped)),
                Signal::JudgeAgain => {
                    let again = story.judge(flow);
                    if !again.decision.is_allow() {
                        return Err(Parting::after(flow, again, End::Denied));
                    }
                }
            },
            connected = &mut connecting => return connected.map_err(|why| match why {
                NotConnected::Refused(..) => parting(End::AppRefused),
                NotConnected::Reset(_) => parting(End::AppGone),
                NotConnected::NoLocalPort(_) => parting(End::NoLocalPort),
                NotConnected::Exhausted(..) => Parting::refused(Refusal::OverCapacity),
            }),
            () = caller.gone() => return Err(parting(End::ClientGone)),
        }
    }
}
