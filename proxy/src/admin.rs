//! The admin endpoints: `/livez`, `/readyz` and `/metrics`, over HTTP/1.1 without TLS.
//!
//! May enter: what the world and the account say of themselves. Deliberately absent: anything that
//! changes what podwall does, and any exemption: strangers reach this port through the relay, judged
//! like callers of the application (P35). The node's probes come straight.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::account::{Account, SourceReading};
use crate::sys;
use crate::world::{SubjectStatus, World, WorldStatus};
use proof::Proof;

pub mod canary;
pub mod proof;
mod ready;
pub mod rules;
#[cfg(test)]
mod tests;

/// The most admin connections at a time; further ones wait in the kernel's queue.
pub const MAX_CONNECTIONS: usize = 64;

/// How many of them may come through the relay; further ones are closed. The rest is the node's, so
/// that no caller who is let in, slow or many, keeps its probes waiting.
pub const MAX_RELAYED: usize = 32;

/// How long a client may take for its request's head.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// How long one admin connection may last. Each carries one request.
pub const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);

/// The largest head of a request, in bytes: hyper's smallest.
pub const MAX_HEAD: usize = 8192;

/// The most headers of a request.
pub const MAX_HEADERS: usize = 32;

/// How long to wait after a failed accept, so that a lack of descriptors does not spin (P17).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What `/metrics` is: OpenMetrics text.
const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// The admin port cannot be had.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot listen on TCP port {port} for /livez, /readyz and /metrics: {source}; choose another --admin-port"
)]
pub struct AdminPortTaken {
    /// The port that was asked for.
    port: u16,
    /// What the kernel said.
    source: io::Error,
}

/// What the endpoints speak of.
#[derive(Debug)]
pub struct Admin {
    account: Arc<Account>,
    world: Arc<World>,
    proof: Proof,
    draining: AtomicBool,
}

impl Admin {
    /// Endpoints that speak of `world` and `account`.
    #[must_use]
    pub fn new(account: Arc<Account>, world: Arc<World>, proof: Proof) -> Arc<Self> {
        Arc::new(Self {
            account,
            world,
            proof,
            draining: AtomicBool::new(false),
        })
    }

    /// From now on not ready, whatever else holds.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    async fn answer(&self, method: &Method, path: &str) -> Response<Full<Bytes>> {
        let known = matches!(path, "/livez" | "/readyz" | "/metrics");
        if !known {
            return plain(
                StatusCode::NOT_FOUND,
                "there are /livez, /readyz and /metrics\n",
            );
        }
        if method != Method::GET && method != Method::HEAD {
            let mut refused = plain(StatusCode::METHOD_NOT_ALLOWED, "GET or HEAD only\n");
            let allow = HeaderValue::from_static("GET, HEAD");
            refused.headers_mut().insert(ALLOW, allow);
            return refused;
        }
        match path {
            "/livez" => plain(StatusCode::OK, "alive\n"),
            "/readyz" => self.ready().await,
            _ => {
                let text = self
                    .account
                    .render(&reading(&self.world.status(), Instant::now()));
                respond(StatusCode::OK, OPEN_METRICS, text)
            }
        }
    }

    async fn ready(&self) -> Response<Full<Bytes>> {
        let mut faults = self.proof.faults().await;
        let draining = self.draining.load(Ordering::Relaxed);
        if draining {
            // The door is closed on purpose; the rules are not at fault.
            faults.clear();
        }
        let report = ready::report(&self.world.status(), &faults, draining, Instant::now());
        let status = if report.ready {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        plain(status, report.text)
    }
}

/// What the metrics say of the source.
fn reading(status: &WorldStatus, now: Instant) -> SourceReading {
    SourceReading {
        synced: status.synced,
        subject_known: status.subject == SubjectStatus::Known,
        age: status
            .last_confirmed_at
            .map(|at| now.saturating_duration_since(at)),
        problem: status.problem.is_some(),
        generation: status.generation,
        pods: status.pods,
        namespaces: status.namespaces,
        policies: status.policies,
        contested: status.contested,
        findings: status.diagnostics,
    }
}

fn plain(status: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    respond(status, PLAIN, text)
}

fn respond(status: StatusCode, kind: HeaderValue, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Listens on `port` of every address, as [`sys::listen`] does. Must be called inside a runtime.
///
/// # Errors
/// Where the port cannot be had.
pub fn bind(port: u16) -> Result<TcpListener, AdminPortTaken> {
    let backlog = i32::try_from(MAX_CONNECTIONS).unwrap_or(i32::MAX);
    sys::listen(port, backlog, |_| Ok(())).map_err(|source| AdminPortTaken { port, source })
}

/// Serves until the task is dropped or aborted; connections end with it or soon after.
pub async fn serve(listener: TcpListener, admin: Arc<Admin>) -> Infallible {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let relayed = Arc::new(Semaphore::new(MAX_RELAYED));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            // INVARIANT: nobody closes the semaphore.
            return std::future::pending().await;
        };
        match listener.accept().await {
            Ok((stream, peer)) => {
                let share =
                    is_relayed(&stream, peer).then(|| Arc::clone(&relayed).try_acquire_owned());
                let Ok(share) = share.transpose() else {
                    continue;
                };
                let admin = Arc::clone(&admin);
                tokio::spawn(async move {
                    // A client that is slow or leaves is its own affair.
                    let _ = tokio::time::timeout(CONNECTION_TIMEOUT, one(stream, &admin)).await;
                    drop((share, place));
                });
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// Whether a connection came through the relay, which connects from the very address it connects to.
/// So does somebody inside the pod who does not use loopback.
fn is_relayed(stream: &TcpStream, peer: SocketAddr) -> bool {
    let own = stream.local_addr().map(|own| own.ip());
    !peer.ip().to_canonical().is_loopback() && own.is_ok_and(|own| own == peer.ip())
}

/// One request.
async fn one(stream: TcpStream, admin: &Admin) -> Result<(), hyper::Error> {
    let answer = |request: Request<hyper::body::Incoming>| async move {
        Ok::<_, Infallible>(admin.answer(request.method(), request.uri().path()).await)
    };
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service_fn(answer))
        .await
}
