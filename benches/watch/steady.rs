//! What watching costs while pods change: a sidecar's bytes and time, and what each watcher more costs the API
//! server.
//!
//! The further watchers follow all pods, as sidecars do, and throw away what they read.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use podwall_lab::{LabResult, Place, Sidecar, wait_until};
use tokio::sync::oneshot;

use super::client::PATIENCE;
use super::crowd::Crowd;
use super::figures::{child, processor_time, received};
use super::stage::Stage;
use super::witness::connect;

/// Changes of pods in one go.
const CHANGES: usize = 1_000;
/// Nothing more came for so long: everything has come.
const QUIET: Duration = Duration::from_millis(300);

/// What watching costs while pods change.
pub struct Steady {
    /// The further watchers.
    pub watchers: usize,
    /// Bytes that a sidecar receives per change.
    pub bytes: f64,
    /// A sidecar's processor time per change, in seconds.
    pub sidecar: f64,
    /// The API server's per change with one sidecar, the change itself included.
    pub alone: f64,
    /// The same with the further watchers.
    pub together: f64,
    /// What these hold in the API server's memory, in bytes: live objects and stacks, right after a collection of
    /// what is garbage. Its resident size may grow by about twice that.
    pub memory: f64,
}

impl Steady {
    /// What each further watcher adds to a change.
    pub fn each_watcher(&self) -> f64 {
        (self.together - self.alone) / self.watchers as f64
    }
}

/// Changes pods with a sidecar alone, and again with `watchers` more.
///
/// # Errors
/// What the API server refuses.
pub fn weigh(
    stage: &Stage,
    crowd: &Crowd<'_>,
    sidecar: &Sidecar,
    watchers: usize,
) -> LabResult<Steady> {
    let server = child("kube-apiserver").expect("an API server");
    let pid = sidecar.process().pid();
    let (bytes, own) = (received(&stage.server), processor_time(pid));
    let alone = change(stage, crowd, server, &AtomicU64::new(0))?;
    let (bytes, own) = (received(&stage.server) - bytes, processor_time(pid) - own);
    let (place, kubeconfig) = (stage.control.place(), stage.control.kubeconfig());
    let held = live(place, kubeconfig)?;
    let more = Watchers::start(place, kubeconfig, watchers)?;
    let grown = live(place, kubeconfig)? - held;
    let together = change(stage, crowd, server, &more.received)?;
    drop(more);
    let each = |sum: f64| sum / CHANGES as f64;
    Ok(Steady {
        watchers,
        bytes: each(bytes),
        sidecar: each(own),
        alone: each(alone),
        together: each(together),
        memory: grown,
    })
}

/// Changes pods and gives the API server's processor time until sidecar and watchers (`more`) have all of it.
fn change(stage: &Stage, crowd: &Crowd<'_>, server: u32, more: &AtomicU64) -> LabResult<f64> {
    let before = processor_time(server);
    crowd.change(CHANGES)?;
    let now = || (received(&stage.server), more.load(Ordering::SeqCst));
    let mut last = (now(), Instant::now());
    let quiet = wait_until(PATIENCE, || {
        let now = now();
        if now != last.0 {
            last = (now, Instant::now());
        }
        last.1.elapsed() > QUIET
    });
    assert!(quiet, "events still come after {PATIENCE:?}");
    Ok(processor_time(server) - before)
}

/// Bytes of live objects and stacks in the API server, after a collection.
fn live(place: &Place, kubeconfig: &Path) -> LabResult<f64> {
    place.enter(|| {
        runtime().block_on(async {
            let client = connect(kubeconfig).await;
            // Collects first; the profile itself is not wanted.
            read(&client, "/debug/pprof/heap?gc=1").await;
            let metrics = read(&client, "/metrics").await;
            let metrics = String::from_utf8_lossy(&metrics);
            let figure = |name: &str| {
                let rest = metrics.lines().find_map(|line| line.strip_prefix(name));
                let value = rest.and_then(|rest| rest.trim().parse::<f64>().ok());
                value.unwrap_or_else(|| panic!("the API server's metrics have no {name}"))
            };
            figure("go_memstats_heap_alloc_bytes ") + figure("go_memstats_stack_inuse_bytes ")
        })
    })
}

/// Running watchers; dropping them ends them.
struct Watchers {
    /// Bytes that they have received, all together.
    received: Arc<AtomicU64>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watchers {
    /// Starts them in `place` and returns when each has had its first bytes.
    fn start(place: &Place, kubeconfig: &Path, count: usize) -> LabResult<Self> {
        let (stop, stopped) = oneshot::channel();
        let begun = Arc::new(AtomicUsize::new(0));
        let received = Arc::<AtomicU64>::default();
        let (counter, file) = (Arc::clone(&begun), kubeconfig.to_owned());
        let sum = Arc::clone(&received);
        // A thread is born in its parent's network namespace.
        let thread = place.enter(move || {
            std::thread::spawn(move || {
                runtime().block_on(async {
                    for _ in 0..count {
                        let (begun, sum) = (Arc::clone(&counter), Arc::clone(&sum));
                        tokio::spawn(watch(connect(&file).await, begun, sum));
                    }
                    let _ = stopped.await;
                });
            })
        })?;
        let all = wait_until(PATIENCE, || begun.load(Ordering::SeqCst) == count);
        assert!(all, "no {count} watches within {PATIENCE:?}");
        Ok(Self {
            received,
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Watchers {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime")
}

/// Follows all pods from now on, on a connection of its own.
async fn watch(client: kube::Client, begun: Arc<AtomicUsize>, received: Arc<AtomicU64>) {
    // One page gives the version to go on from; the list itself is weighed elsewhere.
    let list = read(&client, "/api/v1/pods?limit=1").await;
    let list: serde_json::Value = serde_json::from_slice(&list).expect("a page is JSON");
    let version = list["metadata"]["resourceVersion"].as_str();
    let version = version.expect("a list has a resourceVersion");
    let path = format!("/api/v1/pods?watch=true&timeoutSeconds=86400&resourceVersion={version}");
    let mut events = get(&client, &path).await;
    begun.fetch_add(1, Ordering::SeqCst);
    while let Some(Ok(frame)) = events.frame().await {
        let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
        received.fetch_add(bytes, Ordering::SeqCst);
    }
    // The server gives up a watcher that does not keep up: its changes would be missing from the figure.
    panic!("a watch ended");
}

/// The whole answer.
async fn read(client: &kube::Client, path: &str) -> Vec<u8> {
    let body = get(client, path).await.collect().await;
    body.expect("a whole answer").to_bytes().to_vec()
}

async fn get(client: &kube::Client, path: &str) -> kube::client::Body {
    let request = hyper::Request::get(path).body(kube::client::Body::empty());
    let answer = client.send(request.expect("a request")).await;
    answer.expect("an answer").into_body()
}
