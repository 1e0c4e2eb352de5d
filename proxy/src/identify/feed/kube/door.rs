//! The way of every request to the API server: it waits its turn, is bounded in time, and what becomes of
//! it is noted.
//!
//! It lies below the API client, because the watcher above keeps to itself what does not change an object:
//! that a watch began anew, that a sign of life came. Deliberately absent: what is asked and what
//! the answers hold.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use ::kube::client::Body;
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode, Uri, header};
use tokio::sync::Notify;
use tower::{BoxError, Service, ServiceExt};

use super::answer::Answer;
use super::chance::Chance;
use super::connect::Connector;
use super::health::Health;
use super::pace::Pace;
use super::words::NoAnswer;
use crate::identify::feed::Kind;

/// How long the server may take to begin an answer, name resolution and encryption included.
///
/// 20 s: an API server under load holds a request back for up to 15 s before it works on it (a quarter
/// of its default request timeout of 60 s). One that accepts connections and says nothing is
/// noticed by this.
const BEGIN: Duration = Duration::from_secs(20);

/// How often at most a kind's recovery ends the waits of the others: a server whose every answer breaks
/// off would make them end each other's.
const HURRY: Duration = Duration::from_secs(10);

/// How the API client asks for a list of whatever version the server has at hand.
const ANY_VERSION: &str = "resourceVersion=0";

/// What is known of the requests of the three kinds.
#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) health: Health,
    paces: [Pace; Kind::ALL.len()],
    chance: Chance,
    /// When a recovery last ended waits.
    hurried: Option<Instant>,
    /// Which reading of the disk the server's address is of.
    reading: u64,
}

/// The way to the API server. Copies share everything.
#[derive(Clone)]
pub(super) struct Door(Arc<Inner>);

struct Inner {
    connector: Connector,
    ledger: Mutex<Ledger>,
    /// Something happened that may have to be told.
    news: Notify,
    /// Whoever waits for a turn may have it sooner.
    turns: Notify,
}

/// What a request is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Asked {
    pub(super) kind: Kind,
    pub(super) what: What,
}

/// Which answer is wanted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum What {
    /// A list, or a part of one.
    List,
    /// A list and all changes after it, in one answer.
    ListAndWatch,
    /// All changes from a version on.
    Watch,
}

impl Door {
    pub(super) fn new(connector: Connector) -> Self {
        let health = Health::new(connector.server());
        Self(Arc::new(Inner {
            connector,
            ledger: Mutex::new(Ledger {
                health,
                paces: Default::default(),
                chance: Chance::default(),
                hurried: None,
                reading: 0,
            }),
            news: Notify::new(),
            turns: Notify::new(),
        }))
    }

    /// The server's address.
    pub(super) fn server(&self) -> String {
        self.0.connector.server()
    }

    /// What is known of the requests.
    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.0.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing is known any more of what was told, and nobody is asked at once; why, in words.
    pub(super) fn on_broken(&self) -> String {
        let server = self.server();
        let mut ledger = self.ledger();
        ledger.health = Health::new(server.clone());
        Kind::ALL.iter().for_each(|kind| ledger.on_failed(*kind));
        format!(
            "podwall broke while it followed {server}, and begins anew; please report this with what stderr says"
        )
    }

    /// Waits until an answer began.
    pub(super) async fn news(&self) {
        self.0.news.notified().await;
    }

    async fn send(self, mut request: Request<Body>) -> Result<Response<Answer>, BoxError> {
        let asked = Asked::of(request.uri());
        if let Some(uri) = asked.newest(request.uri()) {
            *request.uri_mut() = uri;
        }
        self.turn(asked.kind).await;
        let (stack, reading) = self.0.connector.stack().await;
        let awaited = self.begin(asked.kind, reading);
        let answer = tokio::time::timeout(BEGIN, stack.oneshot(request)).await;
        drop(awaited);
        match answer.unwrap_or_else(|_| Err(NoAnswer(BEGIN).into())) {
            Ok(response) => Ok(self.take(asked, response, reading)),
            Err(error) => {
                self.0.connector.on_refused(reading);
                self.ledger().on_failed(asked.kind);
                Err(error)
            }
        }
    }

    /// Waits until `kind` may be asked about.
    async fn turn(&self, kind: Kind) {
        loop {
            let wait = self.ledger().paces[kind as usize].next_start(Instant::now());
            if wait.is_zero() {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.0.turns.notified() => {}
            }
        }
    }

    fn begin(&self, kind: Kind, reading: u64) -> Awaited<'_> {
        let mut ledger = self.ledger();
        if ledger.reading != reading {
            ledger.reading = reading;
            ledger.health.moved(self.server());
        }
        ledger.health.on_asked(kind, Instant::now());
        Awaited { door: self, kind }
    }

    fn take(&self, asked: Asked, response: Response<Incoming>, reading: u64) -> Response<Answer> {
        let now = Instant::now();
        let mut ledger = self.ledger();
        let good = response.status().is_success();
        if good {
            if ledger.paces[asked.kind as usize].on_opened(now) && ledger.may_hurry(now) {
                ledger.paces.iter_mut().for_each(Pace::on_recovery);
                self.0.turns.notify_waiters();
            }
            if asked.what == What::Watch {
                ledger.health.on_resumed(asked.kind, now);
            }
            self.0.news.notify_one();
        } else {
            ledger.on_failed(asked.kind);
        }
        if let Some(wait) = retry_after(&response) {
            ledger.paces[asked.kind as usize].on_ordered(now, wait);
        }
        drop(ledger);
        if response.status() == StatusCode::UNAUTHORIZED {
            self.0.connector.on_refused(reading);
        }
        response.map(|body| Answer::new(body, self.clone(), asked, good))
    }
}

impl Ledger {
    /// A request for `kind` or its answer failed.
    pub(super) fn on_failed(&mut self, kind: Kind) {
        let jitter = self.chance.draw();
        self.paces[kind as usize].on_failed(Instant::now(), jitter);
    }

    /// A watch of `kind` ended in good order.
    pub(super) fn on_ended(&mut self, kind: Kind) {
        let jitter = self.chance.draw();
        self.paces[kind as usize].on_ended(Instant::now(), jitter);
    }

    fn may_hurry(&mut self, now: Instant) -> bool {
        let may = self.hurried.is_none_or(|at| now - at >= HURRY);
        if may {
            self.hurried = Some(now);
        }
        may
    }

    /// A number by chance, at least 0 and below 1.
    pub(super) fn chance(&mut self) -> f64 {
        self.chance.draw()
    }
}

/// A request without an answer yet; also one that nobody waits for any more ends here.
struct Awaited<'d> {
    door: &'d Door,
    kind: Kind,
}

impl Drop for Awaited<'_> {
    fn drop(&mut self) {
        self.door.ledger().health.on_answered(self.kind);
    }
}

impl Asked {
    /// By the address of a request of the API client.
    pub(super) fn of(uri: &Uri) -> Self {
        let kind = match uri.path().rsplit('/').next() {
            Some("pods") => Kind::Pod,
            Some("namespaces") => Kind::Namespace,
            _ => Kind::Policy,
        };
        let has = |flag: &str| {
            uri.query()
                .unwrap_or_default()
                .split('&')
                .any(|it| it == flag)
        };
        let what = match (has("watch=true"), has("sendInitialEvents=true")) {
            (true, true) => What::ListAndWatch,
            (true, false) => What::Watch,
            (false, _) => What::List,
        };
        Self { kind, what }
    }

    /// The address that asks for the newest list there is; `None` where this one does.
    ///
    /// The API client asks for a streaming list of version 0, "any": one of several API servers that
    /// lags behind would answer with a state from before the one in force, in which a policy may be
    /// missing. Without a version the server makes sure of the newest first. Pages are asked for so anyway.
    fn newest(self, uri: &Uri) -> Option<Uri> {
        if self.what != What::ListAndWatch {
            return None;
        }
        let (path, query) = (uri.path(), uri.query()?);
        let pairs: Vec<&str> = query.split('&').filter(|it| *it != ANY_VERSION).collect();
        let mut parts = uri.clone().into_parts();
        parts.path_and_query = Some(format!("{path}?{}", pairs.join("&")).parse().ok()?);
        Uri::from_parts(parts).ok()
    }
}

/// How long the server asks to be left alone, in whole seconds; a date is not read.
fn retry_after<B>(response: &Response<B>) -> Option<Duration> {
    let text = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}

impl Service<Request<Body>> for Door {
    type Response = Response<Answer>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.clone().send(request))
    }
}

#[cfg(test)]
mod tests;
