//! What watching costs while pods change: a sidecar's bytes and time, and what each watcher more costs the API
//! server.
//!
//! The further watchers follow all pods, as sidecars do, and throw away what they read.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use podwall_lab::{LabResult, Place, Sidecar, wait_until};
use tokio::sync::oneshot;

use super::client::PATIENCE;
use super::crowd::Crowd;
use super::figures::{child, memory, processor_time, received};
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
    /// Resident growth of the API server by these, in bytes.
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
    let alone = change(stage, crowd, server)?;
    let (bytes, own) = (received(&stage.server) - bytes, processor_time(pid) - own);
    let resident = memory(server).resident;
    let more = Watchers::start(stage.control.place(), stage.control.kubeconfig(), watchers)?;
    let grown = memory(server).resident - resident;
    let together = change(stage, crowd, server)?;
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

/// Changes pods and gives the API server's processor time meanwhile.
fn change(stage: &Stage, crowd: &Crowd<'_>, server: u32) -> LabResult<f64> {
    let before = processor_time(server);
    crowd.change(CHANGES)?;
    let mut last = (received(&stage.server), Instant::now());
    let quiet = wait_until(PATIENCE, || {
        let now = received(&stage.server);
        if now > last.0 {
            last = (now, Instant::now());
        }
        last.1.elapsed() > QUIET
    });
    assert!(quiet, "the sidecar still receives after {PATIENCE:?}");
    Ok(processor_time(server) - before)
}

/// Running watchers; dropping them ends them.
struct Watchers {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watchers {
    /// Starts them in `place` and returns when each has had its first bytes.
    fn start(place: &Place, kubeconfig: &Path, count: usize) -> LabResult<Self> {
        let (stop, stopped) = oneshot::channel();
        let begun = Arc::new(AtomicUsize::new(0));
        let (counter, file) = (Arc::clone(&begun), kubeconfig.to_owned());
        // A thread is born in its parent's network namespace.
        let thread = place.enter(move || {
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build();
                runtime.expect("a runtime").block_on(async {
                    for _ in 0..count {
                        tokio::spawn(watch(connect(&file).await, Arc::clone(&counter)));
                    }
                    let _ = stopped.await;
                });
            })
        })?;
        let all = wait_until(PATIENCE, || begun.load(Ordering::SeqCst) == count);
        assert!(all, "no {count} watches within {PATIENCE:?}");
        Ok(Self {
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

/// Follows all pods from now on, on a connection of its own.
async fn watch(client: kube::Client, begun: Arc<AtomicUsize>) {
    // One page gives the version to go on from; the list itself is weighed elsewhere.
    let list = get(&client, "/api/v1/pods?limit=1").await;
    let list = list.collect().await.expect("a page").to_bytes();
    let list: serde_json::Value = serde_json::from_slice(&list).expect("a page is JSON");
    let version = list["metadata"]["resourceVersion"].as_str();
    let version = version.expect("a list has a resourceVersion");
    let path = format!("/api/v1/pods?watch=true&timeoutSeconds=86400&resourceVersion={version}");
    let mut events = get(&client, &path).await;
    begun.fetch_add(1, Ordering::SeqCst);
    while let Some(Ok(_)) = events.frame().await {}
}

async fn get(client: &kube::Client, path: &str) -> kube::client::Body {
    let request = hyper::Request::get(path).body(kube::client::Body::empty());
    let answer = client.send(request.expect("a request")).await;
    answer.expect("an answer").into_body()
}
