//! A client of the API server for tests: blocking, raw, with many requests at once where asked.
//!
//! Bodies are JSON values; an object's path comes from the server's own list of its kinds, so every kind works.
//! Its sockets belong to the network namespace that it was made for. It retries nothing and hides nothing: what
//! the server says is the caller's.

mod paths;
mod runtime;

use std::{path::Path, sync::mpsc, time::Duration};

use serde_json::{Value, json};

use crate::{LabError, LabResult, Place, cluster::documents};

use paths::Paths;
use runtime::Runtime;

/// Bound on one request, connecting included.
const REQUEST: Duration = Duration::from_secs(30);
/// Who owns what is applied.
const MANAGER: &str = "podwall-lab";

/// A request to the API server.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET`, `POST`, `PUT`, `PATCH` or `DELETE`.
    pub method: &'static str,
    /// The path with its query.
    pub path: String,
    /// Media type of the body.
    pub content_type: &'static str,
    /// The body; none is sent where it is null.
    pub body: Value,
}

impl Request {
    /// Reads what is at `path`.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new("GET", path, "application/json", Value::Null)
    }

    /// Creates `object` in the collection `path`.
    pub fn create(path: impl Into<String>, object: Value) -> Self {
        Self::new("POST", path, "application/json", object)
    }

    /// Replaces what is at `path` by `object`.
    pub fn replace(path: impl Into<String>, object: Value) -> Self {
        Self::new("PUT", path, "application/json", object)
    }

    /// Merges `patch` into what is at `path`; null removes a member.
    pub fn merge(path: impl Into<String>, patch: Value) -> Self {
        Self::new("PATCH", path, "application/merge-patch+json", patch)
    }

    /// Changes what is at `path` by these operations of RFC 6902.
    pub fn json_patch(path: impl Into<String>, operations: Value) -> Self {
        Self::new("PATCH", path, "application/json-patch+json", operations)
    }

    /// Deletes what is at `path`, after the kind's own grace period.
    pub fn delete(path: impl Into<String>) -> Self {
        Self::new("DELETE", path, "application/json", Value::Null)
    }

    /// Deletes the pod at `path` with this grace, in seconds; 0 removes it at once.
    pub fn delete_within(path: impl Into<String>, grace: u32) -> Self {
        let options =
            json!({ "apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": grace });
        Self::new("DELETE", path, "application/json", options)
    }

    fn new(
        method: &'static str,
        path: impl Into<String>,
        content_type: &'static str,
        body: Value,
    ) -> Self {
        Self {
            method,
            path: path.into(),
            content_type,
            body,
        }
    }
}

/// A client of the API server, as one identity. Cheap to clone; a clone shares connections.
#[derive(Clone, Debug)]
pub struct ApiClient {
    runtime: Runtime,
    paths: Paths,
}

impl ApiClient {
    /// A client that is who `kubeconfig` says, from within `place`'s network namespace.
    ///
    /// # Errors
    /// [`LabError::Io`] where the file cannot be used.
    pub fn new(place: &Place, kubeconfig: &Path) -> LabResult<Self> {
        Ok(Self {
            runtime: Runtime::start(place, kubeconfig)?,
            paths: Paths::default(),
        })
    }

    /// Reads its kubeconfig again, and the files that it names, and drops its connections.
    pub(crate) fn reload(&self) -> LabResult<()> {
        self.runtime.reload()
    }

    /// Sends a request and gives back whatever the server answers: status and body, null where it is not JSON.
    ///
    /// # Errors
    /// [`LabError::NoAnswer`] where there is no answer within 30 s.
    pub fn send(&self, request: Request) -> LabResult<(u16, Value)> {
        let (method, path) = (request.method, request.path.clone());
        let (sender, answer) = mpsc::sync_channel(1);
        self.runtime.spawn(request, REQUEST, move |result| {
            let _ = sender.send(result);
        });
        let result = answer
            .recv()
            .unwrap_or_else(|_| Err("the client has ended".to_owned()));
        result.map_err(|fault| LabError::NoAnswer {
            method,
            path,
            fault,
        })
    }

    /// As [`ApiClient::send`], but a refusal is an error.
    ///
    /// # Errors
    /// [`LabError::Refused`] with the server's words, [`LabError::NoAnswer`].
    pub fn succeed(&self, request: Request) -> LabResult<Value> {
        let (method, path) = (request.method, request.path.clone());
        let (status, body) = self.send(request)?;
        accept(method, path, status, body)
    }

    /// Sends many requests, at most `in_flight` at a time, in no particular order; returns when all are answered.
    ///
    /// # Errors
    /// The first refusal or missing answer; requests not sent yet are left out then.
    pub fn send_all(
        &self,
        requests: impl IntoIterator<Item = Request>,
        in_flight: usize,
    ) -> LabResult<()> {
        let (sender, answers) = mpsc::channel();
        let mut requests = requests.into_iter();
        let (mut pending, mut failure) = (0, None);
        loop {
            while failure.is_none()
                && pending < in_flight.max(1)
                && let Some(request) = requests.next()
            {
                let (sender, method, path) = (sender.clone(), request.method, request.path.clone());
                self.runtime.spawn(request, REQUEST, move |result| {
                    let _ = sender.send((method, path, result));
                });
                pending += 1;
            }
            if pending == 0 {
                return failure.map_or(Ok(()), Err);
            }
            let Ok((method, path, result)) = answers.recv() else {
                return failure.map_or(Ok(()), Err);
            };
            pending -= 1;
            let outcome = match result {
                Ok((status, body)) => accept(method, path, status, body).map(drop),
                Err(fault) => Err(LabError::NoAnswer {
                    method,
                    path,
                    fault,
                }),
            };
            failure = failure.or(outcome.err());
        }
    }

    /// What is at `path`.
    ///
    /// # Errors
    /// As [`ApiClient::succeed`].
    pub fn get(&self, path: &str) -> LabResult<Value> {
        self.succeed(Request::get(path))
    }

    /// Creates an object; gives it back as the server keeps it.
    ///
    /// # Errors
    /// As [`ApiClient::succeed`], and where the server does not know the kind.
    pub fn create(&self, object: &Value) -> LabResult<Value> {
        let path = self.paths.collection(self, object)?;
        self.succeed(Request::create(path, object.clone()))
    }

    /// Replaces an object; gives it back as the server keeps it.
    ///
    /// # Errors
    /// As [`ApiClient::create`].
    pub fn replace(&self, object: &Value) -> LabResult<Value> {
        let path = self.path(object)?;
        self.succeed(Request::replace(path, object.clone()))
    }

    /// Merges `patch` into what is at `path`; null removes a member.
    ///
    /// # Errors
    /// As [`ApiClient::succeed`].
    pub fn merge(&self, path: &str, patch: Value) -> LabResult<Value> {
        self.succeed(Request::merge(path, patch))
    }

    /// Deletes what is at `path`, after the kind's own grace period.
    ///
    /// # Errors
    /// As [`ApiClient::succeed`].
    pub fn delete(&self, path: &str) -> LabResult<Value> {
        self.succeed(Request::delete(path))
    }

    /// Creates or updates every object of these YAML documents, in their order, by server-side apply. A field that the
    /// server does not know is refused.
    ///
    /// # Errors
    /// As [`ApiClient::create`], [`LabError::Io`] where a document is not YAML; what came before it is applied.
    pub fn apply(&self, yaml: &str) -> LabResult<Vec<Value>> {
        let applied = documents(yaml).into_iter().map(|document| {
            let object: Value = serde_saphyr::from_str(&document).map_err(|error| {
                LabError::io("read a manifest to apply")(std::io::Error::other(error.to_string()))
            })?;
            let path = self.path(&object)?;
            let path = format!("{path}?fieldManager={MANAGER}&force=true&fieldValidation=Strict");
            let request = Request::new("PATCH", path, "application/apply-patch+yaml", object);
            self.succeed(request)
        });
        applied.collect()
    }

    /// The path of the object that has this one's apiVersion, kind, namespace (`default` where absent) and name.
    ///
    /// # Errors
    /// As [`ApiClient::create`].
    pub fn path(&self, object: &Value) -> LabResult<String> {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        Ok(format!("{}/{name}", self.paths.collection(self, object)?))
    }
}

fn accept(method: &'static str, path: String, status: u16, body: Value) -> LabResult<Value> {
    if (200..300).contains(&status) {
        return Ok(body);
    }
    Err(LabError::Refused {
        method,
        path,
        status,
        message: body["message"].as_str().unwrap_or("(no reason)").to_owned(),
    })
}
