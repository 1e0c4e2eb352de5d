//! Following the three kinds, for ever: a list, its changes, and again whatever happens.
//!
//! Each kind is first asked for as a *streaming list*, one answer that holds the list and goes on with the
//! changes; a server that refuses it, or never gets to the list's end, is asked for pages instead. A
//! watch that ends is begun anew where it stopped; one whose version the server no longer has, or with an
//! event of nobody knows which object, with a new list (P25, P26).
//!
//! Deliberately absent: waiting between attempts and bounds on requests (see [`door`](super::door)).

use std::cell::RefCell;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::kube::runtime::watcher::{self, Event, watcher};
use ::kube::{Api, Client, Resource};
use futures_util::StreamExt;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use tokio::sync::watch;

use super::door::Door;
use super::object::Watched;
use super::telling::{After, Telling};
use super::words::Trouble;
use crate::identify::feed::{Change, Kind};

/// The shortest time after which a watch ends by itself, in seconds, and how much longer it may last.
///
/// 30 to 60 s: a connection that is dead without a word is given up 5 s after that at the latest, so
/// within 65 s; by chance, so that not all sidecars begin anew at once (P25).
const WATCH_SECONDS: u32 = 30;
/// See [`WATCH_SECONDS`].
const WATCH_SPREAD: f64 = 31.0;

/// Objects in one page of a list, as kubectl asks for: 500 pods are about 3 MB of text.
pub(super) const PAGE: u32 = 500;

/// How many streaming lists may break off one after another before pages are asked for.
///
/// A streaming list must end before its watch's timeout: 100,000 pods over a slow link may not.
const BROKEN_OFF: u32 = 2;

/// How often health is looked at, for what only time brings to light.
const TICK: Duration = Duration::from_millis(500);

/// Follows the cluster until `stop` changes; lists anew when `relist` changes.
pub(super) async fn run<S: FnMut(Change)>(
    door: Door,
    namespace: Arc<str>,
    send: S,
    relist: watch::Receiver<u64>,
    mut stop: watch::Receiver<bool>,
) {
    let client = Client::new(door.clone(), &*namespace);
    let policies: Api<Watched<NetworkPolicy>> = Api::namespaced(client.clone(), &namespace);
    let pods: Api<Watched<Pod>> = Api::all(client.clone());
    let namespaces: Api<Watched<Namespace>> = Api::all(client);
    let telling = RefCell::new(Telling::new(send, door.clone(), namespace));
    let all = async {
        tokio::join!(
            follow(namespaces, Kind::Namespace, &door, &telling, relist.clone()),
            follow(policies, Kind::Policy, &door, &telling, relist.clone()),
            follow(pods, Kind::Pod, &door, &telling, relist),
            watch_health(&door, &telling),
        )
    };
    tokio::select! {
        _ = stop.changed() => {}
        _ = all => {}
    }
}

async fn watch_health<S: FnMut(Change)>(door: &Door, telling: &RefCell<Telling<S>>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(TICK) => {}
            () = door.news() => {}
        }
        telling.borrow_mut().tell_health(Instant::now());
    }
}

/// How a kind is listed.
#[derive(Clone, Copy, Debug)]
enum Lists {
    Streamed {
        /// How many lists broke off since the last whole one.
        broken_off: u32,
    },
    Paged,
}

async fn follow<K, S>(
    api: Api<Watched<K>>,
    kind: Kind,
    door: &Door,
    telling: &RefCell<Telling<S>>,
    mut relist: watch::Receiver<u64>,
) where
    K: Resource<DynamicType = ()> + 'static,
    S: FnMut(Change),
{
    let mut lists = Lists::Streamed { broken_off: 0 };
    loop {
        let mut events = pin!(watcher(api.clone(), settings(lists, door)));
        loop {
            let event = tokio::select! {
                event = events.next() => event,
                _ = relist.changed() => break,
            };
            let Some(event) = event else { break };
            let before = lists;
            lists = lists.after(&event);
            if let (Lists::Streamed { .. }, Lists::Paged) = (before, lists) {
                tracing::info!(%kind, "the API server gives no streaming list; asking for pages");
                break;
            }
            if take(kind, event, door, telling) == After::Doubtful {
                break;
            }
        }
    }
}

/// Takes one event in, or what came in place of one.
fn take<K, S>(
    kind: Kind,
    event: watcher::Result<Event<Watched<K>>>,
    door: &Door,
    telling: &RefCell<Telling<S>>,
) -> After
where
    S: FnMut(Change),
{
    match event {
        Ok(event) => {
            let after = telling.borrow_mut().on_event(kind, event);
            if after == After::Doubtful {
                // A kind with one such event after the other is not listed in a tight loop.
                door.ledger().on_failed(kind);
            }
            after
        }
        Err(error) => {
            on_error(kind, &error, door, telling);
            match is_astray(&error) {
                true => After::Doubtful,
                false => After::Whole,
            }
        }
    }
}

fn settings(lists: Lists, door: &Door) -> watcher::Config {
    let more = WATCH_SPREAD * door.ledger().chance();
    // Below 31, so nothing is lost.
    let timeout = WATCH_SECONDS + more as u32;
    let config = watcher::Config::default().timeout(timeout).page_size(PAGE);
    match lists {
        Lists::Streamed { .. } => config.streaming_lists(),
        Lists::Paged => config,
    }
}

fn on_error<S: FnMut(Change)>(
    kind: Kind,
    error: &watcher::Error,
    door: &Door,
    telling: &RefCell<Telling<S>>,
) {
    tracing::debug!(%kind, %error, "a watch failed");
    if !was_noted(error) {
        door.ledger().on_failed(kind);
    }
    if let Some(trouble) = Trouble::of_watch(error) {
        telling.borrow_mut().on_failed(kind, trouble);
    }
}

/// Whether the failure was seen below the API client already, so that the next request waits for it.
fn was_noted(error: &watcher::Error) -> bool {
    use ::kube::Error::{Api, HyperError, ReadEvents, Service};
    match error {
        watcher::Error::InitialListFailed(error) | watcher::Error::WatchStartFailed(error) => {
            matches!(error, Api(_) | HyperError(_) | Service(_))
        }
        watcher::Error::WatchFailed(ReadEvents(error)) => !is_no_text(error),
        watcher::Error::WatchFailed(error) => matches!(error, HyperError(_) | Service(_)),
        watcher::Error::WatchError(_) | watcher::Error::NoResourceVersion => false,
    }
}

/// Whether going on from the last version would miss changes, or never succeed: the kind is listed anew.
///
/// The watcher sees that itself for a version that is gone only where it is told inside an answer.
fn is_astray(error: &watcher::Error) -> bool {
    use ::kube::Error::{Api, FromUtf8, ReadEvents, SerdeError};
    match error {
        // A line that cannot be read was an event, nobody knows of which object. The API client takes it
        // for a status where it is an object at all.
        watcher::Error::WatchFailed(Api(_) | SerdeError(_) | FromUtf8(_)) => true,
        watcher::Error::WatchFailed(ReadEvents(error)) => is_no_text(error),
        // Also of an etcd that was restored to an older state.
        watcher::Error::WatchStartFailed(Api(status)) => {
            status.code == 410 || status.message.contains("oo large resource version")
        }
        _ => false,
    }
}

/// Whether a line came whole and is no UTF-8; every other fault is the connection's.
fn is_no_text(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::InvalidData
}

impl Lists {
    /// How to list after `event`.
    fn after<K>(self, event: &watcher::Result<Event<K>>) -> Self {
        let Self::Streamed { broken_off } = self else {
            return self;
        };
        match event {
            Ok(Event::Init) if broken_off >= BROKEN_OFF => Self::Paged,
            Ok(Event::Init) => Self::Streamed {
                broken_off: broken_off + 1,
            },
            Ok(Event::InitDone) => Self::Streamed { broken_off: 0 },
            Err(watcher::Error::WatchStartFailed(::kube::Error::Api(status)))
                if matches!(status.code, 400 | 422) =>
            {
                Self::Paged
            }
            _ => self,
        }
    }
}

#[cfg(test)]
mod tests;
