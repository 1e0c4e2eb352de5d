//! After a change: everything that the kernel carries into this pod is judged again, and what may no longer be is cut.
//!
//! A thread of its own, woken by changes; changes that come while it is at work are taken together. It reads the
//! kernel's tables, so that nothing escapes that was let in by a podwall before this one, or by nobody.
//!
//! Work: one walk through connection tracking and one through the TCP sockets per change that touches anybody; a question
//! to the law for each flow from a touched address.

use std::sync::Arc;
use std::time::Instant;

use podwall_policy::flow::Protocol;

use super::cuts::Cuts;
use super::flows::Story;
use super::retry::Retry;
use super::{Shared, bytes, is_own_connection, question};
use crate::arrival::{ADMITTED, REFUSED};
use crate::farewell::End;
use crate::kernel::{Conntrack, Entry, Sockets, TcpSocket, TcpState, Tuple};
use crate::ruling::Ruling;
use crate::world::{SubjectStatus, Touched};

/// So many flows are judged before those that are to be cut are.
const BATCH: usize = 256;

/// The thread that judges again.
pub(super) struct Sweep {
    shared: Arc<Shared>,
    conntrack: Conntrack,
    sockets: Sockets,
    cuts: Cuts,
    retry: Retry,
    can_destroy: bool,
    /// Nobody is judged by a world that never was whole: what the kernel carries was let in by one that was.
    synced: bool,
}

impl Sweep {
    /// Where the kernel cannot destroy sockets (`can_destroy`), a cut flow's packets are refused all the same.
    pub(super) fn new(
        shared: Arc<Shared>,
        conntrack: Conntrack,
        sockets: Sockets,
        can_destroy: bool,
    ) -> Self {
        Self {
            can_destroy,
            shared,
            conntrack,
            sockets,
            cuts: Cuts::default(),
            retry: Retry::default(),
            synced: false,
        }
    }

    /// Until the gate is closed.
    pub(super) fn run(mut self) {
        loop {
            let next = self.cuts.next_due().into_iter();
            let next = next.chain(self.retry.next_due()).min();
            let mut due = self.shared.work.wait(next);
            if self.shared.is_stopped() {
                return;
            }
            for tuple in due.cuts {
                self.cuts.add(tuple, Instant::now());
            }
            due.touched.add(&self.retry.take_due(Instant::now()));
            self.sweep(due.touched);
            let due = self.cuts.take_due(Instant::now());
            self.cut(due);
        }
    }

    fn sweep(&mut self, touched: Touched) {
        if touched == Touched::Nothing {
            return;
        }
        let first = !self.synced;
        // Nor by one that does not know this pod yet; later it keeps its last labels.
        let status = self.shared.clerk.world().status();
        self.synced |= status.synced && status.subject == SubjectStatus::Known;
        if !self.synced {
            // The state that is waited for comes as a change, and is judged by whole.
            self.retry.forget();
            *self.shared.trouble() = None;
            return;
        }
        // What a podwall before this one left behind is judged with the first whole state.
        let touched = match first {
            true => Touched::Everything,
            false => touched,
        };
        let flows = self.sweep_flows(&touched, first);
        // Also where those cannot be read: what is to be cut of these does not wait for it.
        let sockets = self.sweep_sockets(&touched);
        match flows.and(sockets) {
            Ok(()) => {
                if touched == Touched::Everything {
                    self.retry.forget();
                }
                if self.retry.succeeded() {
                    *self.shared.trouble() = None;
                }
            }
            Err(error) => {
                self.synced = !first;
                self.retry.failed(&touched, Instant::now());
                let trouble =
                    format!("not all that is open could be judged again after a change: {error}");
                tracing::warn!("{trouble}; it is tried again");
                *self.shared.trouble() = Some(trouble);
            }
        }
    }

    /// What connection tracking knows. At the `first` sweep what may go on is followed from now on.
    fn sweep_flows(&mut self, touched: &Touched, first: bool) -> std::io::Result<()> {
        let now = Instant::now();
        let mut entries = Vec::new();
        let shared = &self.shared;
        self.conntrack.dump(&mut |entry: Entry| {
            if touched.concerns(entry.tuple.source.ip())
                && shared.is_inbound(&entry.tuple, entry.mark, now)
            {
                entries.push(entry);
            }
        })?;
        let mut all = Ok(());
        for some in entries.chunks(BATCH) {
            for entry in some {
                // One that cannot be marked keeps nobody else.
                all = all.and(self.judge_entry(entry, first));
            }
            // What is to be cut does not wait for the end of a long walk, nor for second looks at what was.
            let pressing = self.cuts.take_pressing(Instant::now());
            self.cut(pressing);
        }
        all
    }

    fn judge_entry(&mut self, entry: &Entry, first: bool) -> std::io::Result<()> {
        let now = Instant::now();
        let refused = entry.mark & REFUSED != 0;
        if self.shared.is_unguarded(&entry.tuple) {
            return match refused {
                true => self.remark(&entry.tuple, 0),
                false => Ok(()),
            };
        }
        let Some(ruling) = self.judge(&entry.tuple) else {
            return Ok(());
        };
        match (ruling.decision.is_allow(), refused, entry.ended) {
            (true, true, ended) => {
                self.remark(&entry.tuple, ADMITTED)?;
                if !ended {
                    self.adopt(entry.tuple, ruling);
                }
            }
            // Found, not let in: marked all the same, so that it is known as one that came in.
            (true, false, false) if first && !self.is_own(entry) => {
                self.remark(&entry.tuple, ADMITTED)?;
                self.adopt(entry.tuple, ruling);
            }
            (true, false, _) => {}
            (false, ..) if self.shared.work.keeps_established() => {}
            // Over; whoever comes again from that port is asked about by its first packet.
            (false, false, true) if !self.is_alive(&entry.tuple) => {}
            (false, false, _) if !self.is_own(entry) => self.cuts.add(entry.tuple, now),
            // A cut that a podwall before this one did not finish.
            (false, true, _) if self.is_alive(&entry.tuple) => self.cuts.add(entry.tuple, now),
            (false, ..) => {}
        }
        Ok(())
    }

    /// One of this pod's own connections. What podwall let in as an arrival is none, whatever became of its listener.
    fn is_own(&mut self, entry: &Entry) -> bool {
        entry.mark & (ADMITTED | REFUSED) == 0 && is_own_connection(&mut self.sockets, &entry.tuple)
    }

    fn is_alive(&mut self, tuple: &Tuple) -> bool {
        matches!(self.live_socket(tuple), Ok(Some(_)))
    }

    /// The flow's TCP socket, unless only its name is kept.
    fn live_socket(&mut self, tuple: &Tuple) -> std::io::Result<Option<TcpSocket>> {
        if tuple.protocol != Protocol::Tcp {
            return Ok(None);
        }
        let found = self.sockets.find(tuple)?;
        Ok(found.filter(|socket| socket.state != TcpState::TimeWait))
    }

    /// What has a TCP socket behind a port on which something listens, with an entry or without.
    fn sweep_sockets(&mut self, touched: &Touched) -> std::io::Result<()> {
        let now = Instant::now();
        if self.shared.work.keeps_established() {
            return Ok(());
        }
        let listeners = self.sockets.listeners()?;
        let mut inbound = Vec::new();
        let shared = &self.shared;
        self.sockets.connected(&mut |socket| {
            let tuple = Tuple::new(Protocol::Tcp, socket.remote, socket.local);
            if listeners.may_accept(tuple.destination)
                && touched.concerns(tuple.source.ip())
                && shared.is_inbound(&tuple, 0, now)
                && !shared.is_unguarded(&tuple)
            {
                inbound.push(tuple);
            }
        })?;
        for tuple in inbound {
            if self
                .judge(&tuple)
                .is_some_and(|ruling| !ruling.decision.is_allow())
            {
                self.cuts.add(tuple, now);
            }
        }
        Ok(())
    }

    fn judge(&self, tuple: &Tuple) -> Option<Ruling> {
        let flow = question(tuple)?;
        Some(self.shared.clerk.judge(tuple.source.ip(), &flow))
    }

    /// Gives the kernel's entry, if it is still there, these of our two bits.
    fn remark(&mut self, tuple: &Tuple, bits: u32) -> std::io::Result<()> {
        let _gone_or_marked = self.conntrack.set_mark(tuple, bits, ADMITTED | REFUSED)?;
        Ok(())
    }

    /// A flow that is let in and that this podwall has not seen begin: its line begins here.
    fn adopt(&self, tuple: Tuple, ruling: Ruling) {
        if self.shared.flows.knows(&tuple) {
            return;
        }
        let live = self.shared.clerk.account().live();
        self.shared
            .remember(tuple, Story::met_now(ruling, Some(live)));
    }

    /// Looks at these of the cuts, and ends what is there.
    fn cut(&mut self, these: Vec<Tuple>) {
        for tuple in these {
            let Some(ruling) = self.judge(&tuple) else {
                continue;
            };
            if ruling.decision.is_allow() {
                // It has turned back meanwhile.
                match self.remark(&tuple, ADMITTED) {
                    Ok(()) if self.cuts.done(&tuple) => self.adopt(tuple, ruling),
                    Ok(()) => {}
                    Err(_) => self.look_again(&tuple, false),
                }
                continue;
            }
            // Before the socket is ended: its reset is an end too, of which the kernel tells at once.
            let story = self.shared.flows.take(&tuple);
            let pass = self.refuse(&tuple);
            let found = pass.as_ref().is_ok_and(Pass::found_anything);
            if (found || story.is_some()) && self.cuts.announce(&tuple) {
                let bytes = pass.as_ref().ok().and_then(|pass| pass.bytes);
                self.announce(&tuple, ruling, story, bytes);
            }
            self.look_again(&tuple, pass.is_ok_and(|pass| !pass.socket));
        }
    }

    /// Until two looks in a row were quiet; says what takes too long.
    fn look_again(&mut self, tuple: &Tuple, is_quiet: bool) {
        if let Some(since) = self.cuts.report(tuple, is_quiet, Instant::now()) {
            tracing::warn!(
                "{} from {} to {}: its verdict turned {:.1} s ago, and its mark cannot be set or its socket is still there",
                tuple.protocol,
                tuple.source,
                tuple.destination,
                since.as_secs_f64()
            );
        }
    }

    /// Turns the kernel's entry to refused (P37), then ends the socket: its peer is reset, the application reads an error.
    fn refuse(&mut self, tuple: &Tuple) -> std::io::Result<Pass> {
        let marked = self.conntrack.set_mark(tuple, REFUSED, ADMITTED | REFUSED);
        // Also where the mark cannot be set: one of the two is better than none.
        let socket = self.live_socket(tuple)?;
        if let (Some(socket), true) = (&socket, self.can_destroy) {
            let _gone_or_ended = self.sockets.destroy(socket)?;
        }
        let entry = marked?;
        Ok(Pass {
            // One that was refused already was told by whoever refused it.
            entry: entry.is_some_and(|entry| entry.mark & REFUSED == 0),
            bytes: entry.and_then(|entry| bytes(&entry)),
            socket: socket.is_some() && self.can_destroy,
        })
    }

    /// The line of the revocation and that of the flow's end.
    fn announce(
        &self,
        tuple: &Tuple,
        ruling: Ruling,
        story: Option<Story>,
        bytes: Option<(u64, u64)>,
    ) {
        self.shared.revoked(tuple, &ruling, story.as_ref());
        let story = match story {
            Some(story) => Story { ruling, ..story },
            None => Story::met_now(ruling, None),
        };
        self.shared.take_leave(tuple, &story, bytes, End::Revoked);
        if tuple.protocol != Protocol::Tcp {
            // What it goes on sending is more of the same.
            let _first = self.shared.repeats.note(*tuple, Instant::now());
        }
    }
}

/// What one pass of a cut met.
struct Pass {
    /// An entry that was not refused before.
    entry: bool,
    bytes: Option<(u64, u64)>,
    /// A socket that was there, and that is being destroyed.
    socket: bool,
}

impl Pass {
    fn found_anything(&self) -> bool {
        self.entry || self.socket
    }
}
