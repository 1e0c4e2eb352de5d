//! What is to be spoiled, and what has been asked so far. No sockets but those that a cut must end.

use std::collections::BTreeMap;
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

/// What the sidecar reads.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Resource {
    Pods,
    Namespaces,
    Policies,
}

/// How it reads.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Call {
    List,
    Watch,
    /// A watch that begins with what is there.
    StreamingList,
}

/// One request; other paths have no resource.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Asked {
    pub resource: Option<Resource>,
    pub call: Call,
}

impl Asked {
    /// By the target of the request line.
    pub fn of(target: &str) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let has = |pair: &str| query.split('&').any(|one| one == pair);
        let call = match (
            has("watch=true") || has("watch=1"),
            has("sendInitialEvents=true"),
        ) {
            (true, true) => Call::StreamingList,
            (true, false) => Call::Watch,
            _ => Call::List,
        };
        let resource = match path.rsplit('/').next() {
            Some("pods") => Some(Resource::Pods),
            Some("namespaces") => Some(Resource::Namespaces),
            Some("networkpolicies") => Some(Resource::Policies),
            _ => None,
        };
        Self { resource, call }
    }
}

/// What becomes of a request.
#[derive(Clone, Debug)]
pub enum Fault {
    /// An answer with this status and more headers, each with its line end.
    Answer(u16, &'static str),
    /// No answer until the server relents; then what the program says by then.
    Hang,
    /// A watch that says that this has happened, and ends.
    ErrorEvent(u16),
    /// The connection is broken off after so many bytes of the body.
    CutAfter(usize),
    /// The same after so many lines: events of a watch, or whole lists.
    CutAfterLines(usize),
    /// So many bytes of the body per tick, until the server relents.
    Trickle(usize),
}

/// Which requests meet a fault: all, unless narrowed.
#[derive(Clone, Debug)]
pub struct Rule {
    fault: Fault,
    resource: Option<Resource>,
    call: Option<Call>,
    times: usize,
}

impl Rule {
    pub fn new(fault: Fault) -> Self {
        Self {
            fault,
            resource: None,
            call: None,
            times: usize::MAX,
        }
    }

    pub fn of(mut self, resource: Resource) -> Self {
        self.resource = Some(resource);
        self
    }

    pub fn call(mut self, call: Call) -> Self {
        self.call = Some(call);
        self
    }

    /// Holds for so many requests.
    pub fn times(mut self, times: usize) -> Self {
        self.times = times;
        self
    }

    fn meets(&self, asked: Asked) -> bool {
        let same = |wanted: Option<Resource>| wanted.is_none() || wanted == asked.resource;
        self.times > 0 && same(self.resource) && self.call.is_none_or(|call| call == asked.call)
    }
}

pub type Edit = Arc<dyn Fn(&mut Value) + Send + Sync>;

/// The state that a test changes and every connection reads.
#[derive(Default)]
pub struct State {
    pub rules: Vec<Rule>,
    pub edits: Vec<(Resource, Edit)>,
    pub said: Vec<(Resource, String)>,
    pub asked: Vec<Asked>,
    pub running: Vec<Resource>,
    pub spoiled: usize,
    pub frozen: bool,
    pub held: Vec<Resource>,
    pub over: bool,
    joined: u64,
    live: BTreeMap<u64, TcpStream>,
}

impl State {
    fn first(&mut self, asked: Asked) -> Option<&mut Rule> {
        self.rules.iter_mut().find(|rule| rule.meets(asked))
    }

    /// Whether this request has to wait now.
    fn hangs(&mut self, asked: Asked) -> bool {
        let told = self.first(asked);
        let told = told.is_some_and(|rule| matches!(rule.fault, Fault::Hang));
        !self.over && (told || self.holds(asked.resource))
    }

    fn holds(&self, resource: Option<Resource>) -> bool {
        let held = |one: &Resource| Some(*one) == resource;
        !self.over && (self.frozen || self.held.iter().any(held))
    }

    /// The fault that this request meets now.
    fn meet(&mut self, asked: Asked) -> Option<Fault> {
        let rule = self.first(asked)?;
        rule.times -= 1;
        let fault = rule.fault.clone();
        self.spoiled += 1;
        Some(fault)
    }
}

#[derive(Default)]
pub struct Program {
    state: Mutex<State>,
    changed: Condvar,
}

impl Program {
    pub fn look<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = self.look(change);
        self.changed.notify_all();
        result
    }

    /// What this request meets. Does not return while that is to hang.
    pub fn decide(&self, asked: Asked) -> Option<Fault> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.asked.push(asked);
        if state.hangs(asked) {
            state.spoiled += 1;
            let hangs = |state: &mut State| state.hangs(asked);
            let waited = self.changed.wait_while(state, hangs);
            state = waited.unwrap_or_else(PoisonError::into_inner);
        }
        state.meet(asked)
    }

    /// Waits for the next tick, or until nothing trickles any more.
    pub fn pace(&self, tick: Duration) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let trickles = |rule: &Rule| matches!(rule.fault, Fault::Trickle(_));
        if state.over || !state.rules.iter().any(trickles) {
            return;
        }
        drop(self.changed.wait_timeout(state, tick));
    }

    /// Returns once this resource flows.
    pub fn thaw(&self, resource: Option<Resource>) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let frozen = |state: &mut State| state.holds(resource);
        drop(self.changed.wait_while(state, frozen));
    }

    /// Until the end of what is given back, this connection is one of those that a cut ends.
    pub fn join(&self, stream: &TcpStream) -> Option<Member<'_>> {
        let stream = stream.try_clone().ok()?;
        let number = self.look(|state| {
            state.joined += 1;
            state.live.insert(state.joined, stream);
            state.joined
        });
        Some(Member(self, number))
    }

    pub fn cut(&self) {
        for stream in self
            .change(|state| std::mem::take(&mut state.live))
            .values()
        {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// A connection while it is served; then it is closed, whoever holds its socket.
pub struct Member<'a>(&'a Program, u64);

impl Drop for Member<'_> {
    fn drop(&mut self) {
        if let Some(stream) = self.0.look(|state| state.live.remove(&self.1)) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}
