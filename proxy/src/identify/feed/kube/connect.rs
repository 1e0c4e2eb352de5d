//! From an [`Access`] to connections: what is on disk is read here, and read again when it may have been
//! rotated.
//!
//! Deliberately absent: what is asked, and when; proxies, those of the environment too.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::kube::Config;
use ::kube::client::{Body, ConfigExt};
use ::kube::config::{InClusterError, Kubeconfig, KubeconfigError};
use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tower::util::BoxCloneService;
use tower::{BoxError, ServiceBuilder};

use super::fault::KubeError;
use crate::access::Access;
use auth::AuthFault;

pub(super) mod auth;
mod check;

/// How long a TCP connection may take: two lost SYNs.
const CONNECT: Duration = Duration::from_secs(5);

/// When a connection without traffic is first asked for a sign of life, and how often after that.
///
/// With [`KEEPALIVE_RETRIES`]: a server that is gone without a word, or behind a partition, is noticed
/// after 10 s + 3 x 5 s = 25 s, whatever the watch's own timeout. One that is there but stands still
/// answers these; only the watch's timeout finds it.
const KEEPALIVE: Duration = Duration::from_secs(10);
/// See [`KEEPALIVE`].
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
/// See [`KEEPALIVE`].
const KEEPALIVE_RETRIES: u32 = 3;

/// How long bytes of ours may stay unacknowledged; the same 25 s.
const UNACKNOWLEDGED: Duration = Duration::from_secs(25);

/// How long an unused connection is kept for the next request.
const IDLE: Duration = Duration::from_secs(30);

/// Sends requests with the credentials that were read with it.
pub(super) type Stack = BoxCloneService<Request<Body>, Response<Incoming>, BoxError>;

/// How long a request waits for what is on disk to be read again. A plug-in may hang, or ask a person.
const READING: Duration = Duration::from_secs(20);

/// Connections to one API server, by what was last read from disk.
pub(super) struct Connector(Arc<Inner>);

struct Inner {
    access: Access,
    current: Mutex<Current>,
}

struct Current {
    stack: Stack,
    server: String,
    /// How often the disk was read.
    reading: u64,
    /// What is on disk may be newer.
    stale: bool,
    /// It is being read.
    busy: bool,
    /// Why it could not be read at last, as it was logged.
    complaint: Option<String>,
}

impl Connector {
    /// Reads what `access` names.
    pub(super) fn new(access: Access) -> Result<Self, KubeError> {
        let (stack, server) = stack(&access)?;
        Ok(Self(Arc::new(Inner {
            access,
            current: Mutex::new(Current {
                stack,
                server,
                reading: 0,
                stale: false,
                busy: false,
                complaint: None,
            }),
        })))
    }

    /// The server's address.
    pub(super) fn server(&self) -> String {
        self.0.current().server.clone()
    }

    /// The way to send, and the number of its reading. What is on disk is read again first where it may be newer;
    /// where it cannot be read, as in the middle of a rotation, what was read before is used on.
    pub(super) async fn stack(&self) -> (Stack, u64) {
        if self.0.current().begins() {
            // On a thread of its own, which nobody waits for at the end: a plug-in may hang.
            let inner = Arc::clone(&self.0);
            let reading = tokio::task::spawn_blocking(move || inner.read_again());
            if tokio::time::timeout(READING, reading).await.is_err() {
                let late = format!("reading takes longer than {} s", READING.as_secs());
                let mut current = self.0.current();
                if current.busy {
                    current.complain(late);
                }
            }
        }
        let current = self.0.current();
        (current.stack.clone(), current.reading)
    }

    /// A request sent by what was read as number `reading` was not accepted, or got no connection.
    pub(super) fn on_refused(&self, reading: u64) {
        let mut current = self.0.current();
        if current.reading == reading {
            current.stale = true;
        }
    }
}

impl Inner {
    fn read_again(&self) {
        let read = catch_unwind(AssertUnwindSafe(|| stack(&self.access)));
        let mut current = self.current();
        current.busy = false;
        match read {
            Ok(Ok((stack, server))) => {
                current.stack = stack;
                current.server = server;
                current.reading += 1;
                current.stale = false;
                if current.complaint.take().is_some() {
                    tracing::info!("credentials can be read again");
                }
            }
            Ok(Err(error)) => current.complain(error.to_string()),
            Err(_) => current.complain("podwall broke while it read them".to_owned()),
        }
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Current {
    /// Whether the disk is to be read now; one reading at a time.
    fn begins(&mut self) -> bool {
        let begins = self.stale && !self.busy;
        if begins {
            self.stale = false;
            self.busy = true;
        }
        begins
    }

    /// Logs why the disk cannot be read, where that is news.
    fn complain(&mut self, error: String) {
        if self.complaint.as_ref() != Some(&error) {
            tracing::warn!(
                %error, "credentials cannot be read again; those read before are used on"
            );
            self.complaint = Some(error);
        }
    }
}

/// Reads what `access` names; the server's address besides.
fn stack(access: &Access) -> Result<(Stack, String), KubeError> {
    let config = config(access)?;
    let program = auth::program(&config.auth_info);
    let fault = |error: ::kube::Error| {
        let known = AuthFault::within(&error, program.as_deref());
        let known = known.unwrap_or_else(|| AuthFault {
            cause: innermost(&error),
            mend: auth::FILE,
        });
        KubeError::credentials(access, known.cause, known.mend)
    };
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT));
    tcp.set_keepalive(Some(KEEPALIVE));
    tcp.set_keepalive_interval(Some(KEEPALIVE_INTERVAL));
    tcp.set_keepalive_retries(Some(KEEPALIVE_RETRIES));
    tcp.set_tcp_user_timeout(Some(UNACKNOWLEDGED));
    let tls = config
        .rustls_https_connector_with_connector(tcp)
        .map_err(fault)?;
    let client: Client<_, Body> = Client::builder(TokioExecutor::new())
        .pool_idle_timeout(IDLE)
        .build(tls);
    let auth_layer = config.auth_layer().map_err(fault)?;
    let extra_headers = config.extra_headers_layer().map_err(fault)?;
    let service = ServiceBuilder::new()
        .map_err(move |error: BoxError| auth::conceal(error, program.as_deref()))
        .layer(config.base_uri_layer())
        .option_layer(auth_layer)
        .layer(extra_headers)
        .map_err(BoxError::from)
        .service(client);
    Ok((
        BoxCloneService::new(service),
        without_user(&config.cluster_url.to_string()),
    ))
}

/// A server's address as it may be printed: a name and password in it may not.
fn without_user(server: &str) -> String {
    let server = server.trim_end_matches('/');
    let Some((scheme, rest)) = server.split_once("://") else {
        return server.to_owned();
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}{path}")
}

fn config(access: &Access) -> Result<Config, KubeError> {
    match access {
        Access::InCluster => in_cluster(),
        Access::Kubeconfig {
            path: Some(path),
            context,
        } => from_kubeconfig(access, read(access, path)?, context.as_deref()),
        Access::Kubeconfig {
            path: None,
            context,
        } => match usual(access)? {
            Some(kubeconfig) => from_kubeconfig(access, kubeconfig, context.as_deref()),
            None => Err(KubeError::NoKubeconfig(usual_path())),
        },
        Access::Usual => match usual(access)? {
            Some(kubeconfig) => from_kubeconfig(access, kubeconfig, None),
            None if std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() => in_cluster(),
            None => Err(KubeError::NoKubeconfig(usual_path())),
        },
    }
}

fn in_cluster() -> Result<Config, KubeError> {
    Config::incluster().map_err(|error| {
        KubeError::NotInPod(match error {
            InClusterError::ReadEnvironmentVariable(_) => {
                "KUBERNETES_SERVICE_HOST or KUBERNETES_SERVICE_PORT is not set".to_owned()
            }
            other => format!(
                "the files of a service account are not mounted at /var/run/secrets/kubernetes.io/serviceaccount ({})",
                innermost(&other)
            ),
        })
    })
}

/// `$KUBECONFIG` may name several files, of which those that are not there are passed over, as kubectl does.
fn usual(access: &Access) -> Result<Option<Kubeconfig>, KubeError> {
    let named = std::env::var_os("KUBECONFIG").unwrap_or_default();
    let mut paths: Vec<PathBuf> = std::env::split_paths(&named)
        .filter(|path| !path.as_os_str().is_empty())
        .collect();
    if paths.is_empty() {
        paths.push(usual_path());
    }
    usual_of(access, &paths)
}

fn usual_of(access: &Access, paths: &[PathBuf]) -> Result<Option<Kubeconfig>, KubeError> {
    let mut merged: Option<Kubeconfig> = None;
    for path in paths {
        let next = match read(access, path) {
            // Only what is surely not there: behind one that may not be read there may be another cluster.
            Err(KubeError::NoKubeconfig(_)) => continue,
            next => next?,
        };
        merged = Some(match merged {
            None => next,
            Some(before) => before.merge(next).map_err(|error| bad(access, &error))?,
        });
    }
    Ok(merged)
}

/// Where the kubeconfig is looked for, to name it.
fn usual_path() -> PathBuf {
    match std::env::var_os("KUBECONFIG") {
        Some(named) if !named.is_empty() => PathBuf::from(named),
        _ => std::env::home_dir()
            .unwrap_or_else(|| PathBuf::from("~"))
            .join(".kube/config"),
    }
}

fn read(access: &Access, path: &Path) -> Result<Kubeconfig, KubeError> {
    match Kubeconfig::read_from(path) {
        Ok(kubeconfig) => Ok(kubeconfig),
        Err(KubeconfigError::ReadConfig(error, _))
            if error.kind() == std::io::ErrorKind::NotFound =>
        {
            Err(KubeError::NoKubeconfig(path.to_owned()))
        }
        Err(KubeconfigError::ReadConfig(error, _)) => Err(KubeError::Kubeconfig {
            access: path.display().to_string(),
            fault: format!("{error}; podwall needs to read it"),
        }),
        Err(error) => Err(bad(access, &error)),
    }
}

fn from_kubeconfig(
    access: &Access,
    mut kubeconfig: Kubeconfig,
    context: Option<&str>,
) -> Result<Config, KubeError> {
    if let Some(context) = context {
        kubeconfig.current_context = Some(context.to_owned());
    }
    check::check(access, &kubeconfig)?;
    Config::try_from(kubeconfig).map_err(|error| bad(access, &error))
}

fn bad(access: &Access, error: &KubeconfigError) -> KubeError {
    match error {
        KubeconfigError::LoadCertificateAuthority(fault)
        | KubeconfigError::LoadClientCertificate(fault)
        | KubeconfigError::LoadClientKey(fault) => {
            KubeError::credentials(access, fault.to_string(), auth::FILE)
        }
        // A proxy-url in the file was refused before.
        KubeconfigError::ParseProxyUrl(fault) => KubeError::Environment(format!(
            "$HTTPS_PROXY or $https_proxy is no address: {fault}; mend or unset it (podwall uses no proxy)"
        )),
        KubeconfigError::LoadClusterOfContext(cluster) => KubeError::Kubeconfig {
            access: access.to_string(),
            fault: format!("the cluster {cluster:?} is not there; add it to clusters"),
        },
        KubeconfigError::Parse(error) => KubeError::Kubeconfig {
            access: access.to_string(),
            fault: format!("it is no kubeconfig: {}", error.without_snippet()),
        },
        other => KubeError::Kubeconfig {
            access: access.to_string(),
            fault: other.to_string(),
        },
    }
}

/// What lies at the ground of an error.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        // The path is in the words of the outer one.
        if source.is::<std::io::Error>() {
            break;
        }
        error = source;
    }
    error.to_string()
}

#[cfg(test)]
mod tests;
