//! The thread behind a client: an asynchronous runtime that lives in one network namespace for as long as the client.
//!
//! Threads belong to namespaces, so the blocking callers, who are elsewhere, hand their requests over.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use http_body_util::BodyExt;
use kube::{
    Client, Config,
    client::Body,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::Value;
use tokio::{runtime, sync::oneshot, time};

use crate::{LabError, LabResult, Place};

use super::Request;

/// Status and body, or why there is none.
type Answer = Result<(u16, Value), String>;

/// A handle of the thread; the last one ends it.
#[derive(Clone)]
pub(super) struct Runtime(Arc<Inner>);

struct Inner {
    kubeconfig: PathBuf,
    handle: runtime::Handle,
    client: Mutex<Client>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Runtime {
    pub(super) fn start(place: &Place, kubeconfig: &Path) -> LabResult<Self> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(LabError::io("make a runtime for the API client"))?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        // A thread is born in its parent's namespaces.
        let thread = place
            .enter(|| {
                thread::Builder::new()
                    .name("lab-api-client".to_owned())
                    .spawn(move || {
                        let _ = runtime.block_on(stopped);
                    })
            })?
            .map_err(LabError::io("start the API client's thread"))?;
        let client = connect(&handle, kubeconfig);
        let inner = |client| Inner {
            kubeconfig: kubeconfig.to_owned(),
            handle,
            client: Mutex::new(client),
            stop: Some(stop),
            thread: Some(thread),
        };
        client.map(|client| Self(Arc::new(inner(client))))
    }

    pub(super) fn reload(&self) -> LabResult<()> {
        let fresh = connect(&self.0.handle, &self.0.kubeconfig)?;
        *self.client() = fresh;
        Ok(())
    }

    /// Sends the request and hands the answer to `done`, on the client's thread.
    pub(super) fn spawn(
        &self,
        request: Request,
        deadline: Duration,
        done: impl FnOnce(Answer) + Send + 'static,
    ) {
        let client = self.client().clone();
        self.0.handle.spawn(async move {
            let answer = time::timeout(deadline, exchange(client, request)).await;
            done(answer.unwrap_or_else(|_| {
                Err(format!(
                    "none within {}",
                    humantime::format_duration(deadline)
                ))
            }));
        });
    }

    fn client(&self) -> std::sync::MutexGuard<'_, Client> {
        self.0.client.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Runtime({})", self.0.kubeconfig.display())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        // The last handle may be dropped by the thread itself, which cannot wait for its own end.
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != thread::current().id()
        {
            let _ = thread.join();
        }
    }
}

/// A client by the file's words. Connects to nothing yet.
fn connect(handle: &runtime::Handle, kubeconfig: &Path) -> LabResult<Client> {
    let what = || LabError::io(format!("use {}", kubeconfig.display()));
    let (sender, receiver) = std::sync::mpsc::sync_channel(1);
    let path = kubeconfig.to_owned();
    handle.spawn(async move {
        let _ = sender.send(client(&path).await);
    });
    match receiver.recv() {
        Ok(client) => client.map_err(|fault| what()(io::Error::other(fault))),
        Err(_) => Err(what()(io::ErrorKind::BrokenPipe.into())),
    }
}

async fn client(kubeconfig: &Path) -> Result<Client, String> {
    let file = Kubeconfig::read_from(kubeconfig).map_err(|error| error.to_string())?;
    let mut config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
        .await
        .map_err(|error| error.to_string())?;
    config.default_retry = false;
    Client::try_from(config).map_err(|error| error.to_string())
}

async fn exchange(client: Client, request: Request) -> Answer {
    let body = match &request.body {
        Value::Null => Vec::new(),
        body => body.to_string().into_bytes(),
    };
    let sent = hyper::Request::builder()
        .method(request.method)
        .uri(&request.path)
        .header("content-type", request.content_type)
        .header("accept", "application/json")
        .body(Body::from(body))
        .map_err(|error| error.to_string())?;
    let answer = client.send(sent).await.map_err(|error| chain(&error))?;
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await;
    let bytes = body.map_err(|error| chain(&error))?.to_bytes();
    Ok((
        status,
        serde_json::from_slice(&bytes).unwrap_or(Value::Null),
    ))
}

/// An error with all its causes: the outermost seldom says why.
fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !words.contains(&more) {
            words = format!("{words}: {more}");
        }
        cause = error.source();
    }
    words
}
