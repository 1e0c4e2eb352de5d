//! Mode queue: the story of what the kernel's queue holds.
//!
//! a packet waits in the kernel -> read -> judged, perhaps held -> remembered -> its verdict -> from there on the
//! kernel carries the flow. When something changes, what the kernel carries is judged again and what may no longer be is
//! cut. When the kernel forgets a flow it is written down.
//!
//! Three kinds of thread, none of which waits for another: one `keeper` per queue, one `sweep` that judges again
//! and cuts, one `ends` that takes leave. What they share is here. Nothing is kept that the verdicts depend on: the
//! kernel's connection tracking and sockets are the truth, read anew for every change; so a podwall that was killed
//! finds what it left behind.
//!
//! Start at [`Gate::open`].

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use podwall_policy::flow::{Direction, Flow, Protocol};
use tokio::sync::mpsc;

use crate::account::Revocation;
use crate::arrival::{ADMITTED, Mode, REFUSED};
use crate::clerk::Clerk;
use crate::config::Queues;
use crate::farewell::{End, Farewell};
use crate::hold::Hold;
use crate::intercept::own_addresses::OwnAddresses;
use crate::intercept::queue::Queue;
use crate::kernel::{Conntrack, Entry, Events, Sockets, Tuple};
use crate::ruling::Ruling;
use crate::sys::wake::Bell;
use crate::world::Touched;
pub use error::GateError;
use flows::{Flows, Story};
use keeper::Keeper;
use repeats::Repeats;
use start::{can_destroy, shortage};
use sweep::Sweep;
use work::Work;

pub(crate) mod cuts;
pub(crate) mod ends;
mod error;
mod flows;
mod keeper;
pub(crate) mod repeats;
mod retry;
mod start;
mod sweep;
mod work;

/// Datagrams of one flow that are asked about come within this time: those that were sent before the first one's verdict.
/// Above [`HOLD_TIME`](crate::hold::HOLD_TIME), as long as the shortest time that an entry can live.
const BURST: Duration = Duration::from_secs(1);

/// What may be set of the gate.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where arrivals wait.
    pub queues: Queues,
    /// How many flows are followed to their end; more are let in all the same.
    pub most_flows: usize,
    /// Whether what was let in stays when its verdict turns.
    pub keep_established: bool,
    /// Ports that the rules leave to everybody.
    pub unguarded: Vec<(Protocol, u16)>,
}

/// What the threads share.
#[derive(Debug)]
struct Shared {
    clerk: Clerk,
    hold: Arc<Hold>,
    flows: Flows,
    repeats: Repeats,
    work: Work,
    own: OwnAddresses,
    /// Ports that are left to everybody: their flows are nobody's to judge.
    unguarded: Vec<(Protocol, u16)>,
    /// Nobody new is let in any more.
    draining: AtomicBool,
    stopped: AtomicBool,
    /// Why what is open could not be judged again, while it cannot.
    trouble: Mutex<Option<String>>,
    /// One per thread that waits in `poll`.
    bells: Vec<Bell>,
}

/// The open gate. Dropped, its threads end and the kernel drops what is new.
#[derive(Debug)]
pub struct Gate {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    /// A thread that ended says its name.
    ended: mpsc::UnboundedReceiver<String>,
}

/// Where a change is announced.
#[derive(Clone, Debug)]
pub struct Changes(Arc<Shared>);

impl Changes {
    /// What is held is judged again, and what the kernel carries for those touched. Returns at once.
    ///
    /// Call it after the change is in the world.
    pub fn announce(&self, touched: &Touched) {
        if *touched == Touched::Nothing {
            return;
        }
        self.0.work.touch(touched);
        self.0.bells.iter().for_each(Bell::ring);
    }
}

impl Gate {
    /// Binds the queues, opens what the kernel is asked by, and starts the threads.
    ///
    /// # Errors
    /// See [`GateError`].
    pub fn open(clerk: Clerk, settings: Settings) -> Result<Self, GateError> {
        let queues = settings.queues;
        let kernel = |what| move |source| GateError::Kernel { what, source };
        let numbers = (0..queues.count).filter_map(|at| queues.first.checked_add(at));
        let bound: Vec<Queue> = numbers.map(Queue::bind).collect::<Result<_, _>>()?;
        let short = bound
            .iter()
            .filter_map(|queue| shortage(queue.number(), queue.room()));
        short.for_each(|short| tracing::warn!("{short}"));
        let events = Events::open().map_err(kernel("connection tracking's events"))?;
        let bells = (0..=bound.len()).map(|_| Bell::new());
        let shared = Arc::new(Shared {
            clerk,
            hold: Arc::default(),
            flows: Flows::new(settings.most_flows),
            repeats: Repeats::default(),
            work: Work::new(settings.keep_established),
            own: OwnAddresses::of_this_pod(),
            unguarded: settings.unguarded,
            draining: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            trouble: Mutex::default(),
            bells: bells
                .collect::<io::Result<_>>()
                .map_err(GateError::Thread)?,
        });
        let (tell_end, ended) = mpsc::unbounded_channel();
        let mut gate = Self {
            shared: Arc::clone(&shared),
            threads: Vec::new(),
            ended,
        };
        let conntrack = || {
            let opened = Conntrack::open().and_then(Conntrack::answering);
            opened.map_err(kernel("connection tracking"))
        };
        let sockets = || Sockets::open().map_err(kernel("the table of TCP sockets"));
        let mut table = sockets()?;
        let can_destroy =
            can_destroy(&mut table).map_err(kernel("the destruction of TCP sockets"))?;
        let sweep = Sweep::new(Arc::clone(&shared), conntrack()?, table, can_destroy);
        gate.start("sweep", &tell_end, move || sweep.run())?;
        let ends = ends::Ends::new(Arc::clone(&shared), events, conntrack()?);
        gate.start("ends", &tell_end, move || ends.run())?;
        for (at, queue) in bound.into_iter().enumerate() {
            let name = format!("queue {}", queue.number());
            let keeper = Keeper::new(Arc::clone(&shared), at, queue, sockets()?);
            gate.start(&name, &tell_end, move || keeper.run())?;
        }
        Ok(gate)
    }

    fn start(
        &mut self,
        name: &str,
        tell_end: &mpsc::UnboundedSender<String>,
        run: impl FnOnce() + Send + 'static,
    ) -> Result<(), GateError> {
        let (tell_end, name) = (tell_end.clone(), name.to_owned());
        let thread = std::thread::Builder::new()
            .name(format!("podwall {name}"))
            .spawn(move || {
                // Also where `run` panics.
                let _told = Farewells(tell_end, name);
                run();
            })
            .map_err(GateError::Thread)?;
        self.threads.push(thread);
        Ok(())
    }

    /// Where changes are announced.
    #[must_use]
    pub fn changes(&self) -> Changes {
        Changes(Arc::clone(&self.shared))
    }

    /// Resolves when a thread has ended by itself.
    pub async fn lost(&mut self) -> GateError {
        GateError::Lost(self.ended.recv().await.unwrap_or_default())
    }

    /// From now on nobody new is let in.
    pub fn drain(&self) {
        self.shared.draining.store(true, Ordering::SeqCst);
        self.shared.bells.iter().for_each(Bell::ring);
    }

    /// Says what is wrong while a change has not reached all that is open.
    pub fn trouble(&self) -> impl Fn() -> Option<String> + Send + Sync + 'static {
        let shared = Arc::clone(&self.shared);
        move || shared.trouble().clone()
    }

    /// How many flows were let in and have not ended.
    #[must_use]
    pub fn open_flows(&self) -> usize {
        self.shared.flows.len()
    }

    /// Resolves when every flow that was let in has ended.
    pub async fn emptied(&self) {
        self.shared.flows.emptied().await;
    }

    /// Ends the threads and writes down what is still open: the kernel goes on carrying it. Blocks the thread.
    pub fn close(mut self) {
        self.shared.stop();
        for thread in self.threads.drain(..) {
            let _told_already = thread.join();
        }
        for (tuple, story) in self.shared.flows.take_all() {
            self.shared.take_leave(&tuple, &story, None, End::LeftOpen);
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

/// Says that a thread has ended, however it did.
struct Farewells(mpsc::UnboundedSender<String>, String);

impl Drop for Farewells {
    fn drop(&mut self) {
        let _nobody_asks_any_more = self.0.send(std::mem::take(&mut self.1));
    }
}

impl Shared {
    fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.work.wake();
        self.bells.iter().for_each(Bell::ring);
    }

    fn trouble(&self) -> MutexGuard<'_, Option<String>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    /// Whether the flow came in: from no address of this pod, to one of its own or, where it was let in (`mark`), to
    /// one that it shares, such as a multicast group.
    fn is_inbound(&self, tuple: &Tuple, mark: u32, now: Instant) -> bool {
        let source = tuple.source.ip();
        !source.is_loopback()
            && !self.own.contains(source, now)
            && (mark & (ADMITTED | REFUSED) != 0 || self.own.contains(tuple.destination.ip(), now))
    }

    /// Whether the rules leave its port to everybody.
    fn is_unguarded(&self, tuple: &Tuple) -> bool {
        let port = (tuple.protocol, tuple.destination.port());
        self.unguarded.contains(&port)
    }

    /// Remembers a flow that is being let in. Where there is no room its line is written now.
    ///
    /// A datagram is asked about only while the kernel has no entry for its flow. So one that comes long after the
    /// flow's story began opens another flow, and the old one has ended unheard.
    fn remember(&self, tuple: Tuple, story: Story) {
        if tuple.protocol != Protocol::Tcp
            && let Some(then) = story.at.checked_sub(BURST)
            && let Some(old) = self.flows.take_older(&tuple, then)
        {
            self.take_leave(&tuple, &old, None, End::Idle);
        }
        if let Some(story) = self.flows.remember(tuple, story) {
            self.take_leave(&tuple, &story, None, End::NotFollowed);
        }
    }

    /// One line, one count. `bytes` are those in and out, where the kernel counted them.
    fn take_leave(&self, tuple: &Tuple, story: &Story, bytes: Option<(u64, u64)>, end: End) {
        if let Some((inward, outward)) = bytes {
            self.clerk.account().carried(inward, outward);
        }
        self.clerk.account().farewell(&Farewell {
            time: story.time,
            mode: Mode::Queue,
            source: tuple.source.into(),
            destination: Some(tuple.destination.into()),
            protocol: tuple.protocol,
            nearest_miss: match end {
                End::Denied | End::Revoked => self.clerk.nearest_miss(
                    tuple.source.ip(),
                    &story.ruling,
                    question(tuple).as_ref(),
                ),
                _ => None,
            },
            ruling: story.ruling.clone(),
            bytes_in: bytes.map(|(inward, _)| inward),
            bytes_out: bytes.map(|(_, outward)| outward),
            duration: story.at.elapsed(),
            held: story.held,
            end,
        });
    }

    /// Notes that a flow is being cut by `ruling`; `story` is what was remembered of it.
    fn revoked(&self, tuple: &Tuple, ruling: &Ruling, story: Option<&Story>) {
        self.clerk.account().revoked(&Revocation {
            time: SystemTime::now(),
            source: tuple.source.into(),
            destination: tuple.destination.into(),
            protocol: tuple.protocol,
            nearest_miss: self.clerk.nearest_miss(
                tuple.source.ip(),
                ruling,
                question(tuple).as_ref(),
            ),
            ruling: ruling.clone(),
            open_for: story.map(|story| story.at.elapsed()).unwrap_or_default(),
        });
    }
}

/// The bytes in and out of a flow that came in, where the kernel counts them.
fn bytes(entry: &Entry) -> Option<(u64, u64)> {
    let counters = entry.counters?;
    Some((counters.original.bytes, counters.reply.bytes))
}

/// What the law is asked about a flow. `None` for one between two families, which no packet is.
fn question(tuple: &Tuple) -> Option<Flow> {
    Flow::between(
        Direction::Ingress,
        tuple.protocol,
        tuple.source.ip(),
        tuple.destination.ip(),
        tuple.destination.port(),
    )
    .ok()
}

/// Whether a TCP packet or flow that looks inbound belongs to a connection that this pod opened: the pod has that
/// very socket, and nothing listens where it could have come in (P38, S6). Where the kernel cannot be asked it does not.
fn is_own_connection(sockets: &mut Sockets, tuple: &Tuple) -> bool {
    has_socket(sockets, tuple)
        && sockets
            .listeners()
            .is_ok_and(|listeners| !listeners.may_accept(tuple.destination))
}

/// Whether the pod has the TCP socket of this very connection.
fn has_socket(sockets: &mut Sockets, tuple: &Tuple) -> bool {
    tuple.protocol == Protocol::Tcp && matches!(sockets.find(tuple), Ok(Some(_)))
}
