//! A watcher beside podwall: says when the API server's event of a write reached any watcher at all.
//!
//! What podwall takes longer than this is podwall's own. It watches the gate and the client pod, nothing else, and
//! does nothing with an event but note its version and the time.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use http_body_util::BodyExt;
use kube::config::{KubeConfigOptions, Kubeconfig};
use podwall_lab::{LabResult, Place, wait_until};
use serde_json::Value;
use tokio::sync::oneshot;

use super::client::PATIENCE;
use super::stage::NAMESPACE;

/// When each version of a watched object arrived.
type Arrivals = Arc<Mutex<HashMap<String, Instant>>>;

/// A running watcher; dropping it ends it.
pub struct Witness {
    arrivals: Arrivals,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Witness {
    /// Starts it in `place` and returns when it follows both objects.
    ///
    /// # Errors
    /// Where the place cannot be entered.
    ///
    /// # Panics
    /// Where the API server does not answer.
    pub fn start(place: &Place, kubeconfig: &Path) -> LabResult<Self> {
        let arrivals = Arrivals::default();
        let (stop, stopped) = oneshot::channel();
        let (noted, file) = (Arc::clone(&arrivals), kubeconfig.to_owned());
        // A thread is born in its parent's network namespace.
        let thread = place.enter(move || {
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build();
                runtime.expect("a runtime").block_on(async {
                    let client = connect(&file).await;
                    let policies = format!(
                        "/apis/networking.k8s.io/v1/namespaces/{NAMESPACE}/networkpolicies"
                    );
                    let pods = format!("/api/v1/namespaces/{NAMESPACE}/pods");
                    tokio::select! {
                        () = watch(&client, &policies, "gate", &noted) => {}
                        () = watch(&client, &pods, "client", &noted) => {}
                        _ = stopped => {}
                    }
                });
            })
        })?;
        let witness = Self {
            arrivals,
            stop: Some(stop),
            thread: Some(thread),
        };
        // A watch from no version begins with the object as it is.
        let follows = wait_until(PATIENCE, || witness.arrivals().len() >= 2);
        assert!(follows, "no two watches within {PATIENCE:?}");
        Ok(witness)
    }

    /// When that version arrived. Waits for it.
    ///
    /// # Panics
    /// Where it does not arrive.
    pub fn heard(&self, version: &str) -> Instant {
        let mut found = None;
        let heard = wait_until(PATIENCE, || {
            found = self.arrivals().get(version).copied();
            found.is_some()
        });
        assert!(heard, "no event of version {version} within {PATIENCE:?}");
        found.expect("heard means found")
    }

    fn arrivals(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A client that is who `kubeconfig` says.
pub async fn connect(kubeconfig: &Path) -> kube::Client {
    let file = Kubeconfig::read_from(kubeconfig).expect("the admin's kubeconfig");
    let config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await;
    kube::Client::try_from(config.expect("a configuration")).expect("a client")
}

/// Notes the events of one object until the connection ends, which fails the round that waits for one.
async fn watch(client: &kube::Client, collection: &str, name: &str, noted: &Arrivals) {
    let path =
        format!("{collection}?watch=true&fieldSelector=metadata.name={name}&timeoutSeconds=86400");
    let request = hyper::Request::get(path).body(kube::client::Body::empty());
    let answer = client.send(request.expect("a request")).await;
    let mut body = answer.expect("a watch").into_body();
    let mut text = Vec::new();
    while let Some(Ok(frame)) = body.frame().await {
        let at = Instant::now();
        text.extend_from_slice(&frame.into_data().unwrap_or_default());
        while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = text.drain(..=end).collect();
            let event: Value = serde_json::from_slice(&line).expect("an event is JSON");
            if let Some(version) = event["object"]["metadata"]["resourceVersion"].as_str() {
                let mut arrivals = noted.lock().unwrap_or_else(PoisonError::into_inner);
                arrivals.entry(version.to_owned()).or_insert(at);
            }
        }
    }
}
