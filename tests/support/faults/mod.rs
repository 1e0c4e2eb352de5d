//! A server between the sidecar and the API server that passes everything on until it is told to spoil it: one
//! blocking thread per connection, TLS on both sides. What is spoiled, and how, can be changed while it runs.
//!
//! It forwards as HTTP/1.0, to which Go's server answers without chunks until it closes: so one event of a watch is
//! one line, and a list is one line too. Knows the paths of Kubernetes, no policy.

#![allow(dead_code, missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod program;
mod serve;
mod stream;

use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use podwall_lab::Place;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use serde_json::Value;
use socket2::SockRef;

use program::Program;
pub use program::{Asked, Call, Fault, Resource, Rule};
use serve::Server;

/// How often a thread that waits for bytes looks at whether the program has changed.
const TICK: Duration = Duration::from_millis(20);

/// Who the server is and whom it trusts: files in PEM.
pub struct Identity<'a> {
    pub authority: &'a Path,
    pub certificate: &'a Path,
    pub key: &'a Path,
}

/// The server. Dropping it cuts every connection.
pub struct Faults {
    program: Arc<Program>,
    address: SocketAddr,
    accepting: Option<JoinHandle<()>>,
}

impl Faults {
    /// Listens in `place` on a free port of `listen` and forwards to `upstream`.
    pub fn start(place: &Place, listen: IpAddr, upstream: SocketAddr, tls: &Identity<'_>) -> Self {
        let program = Arc::<Program>::default();
        let bind = || TcpListener::bind((listen, 0));
        let listener = place.enter(bind).unwrap().expect("a listener");
        SockRef::from(&listener)
            .set_read_timeout(Some(TICK))
            .unwrap();
        let address = listener.local_addr().unwrap();
        let server = Arc::new(Server {
            program: Arc::clone(&program),
            place: place.clone(),
            upstream,
            offers: offers(tls),
            trusts: trusts(tls),
        });
        let accepting = Some(thread::spawn(move || accept(&listener, &server)));
        Self {
            program,
            address,
            accepting,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Spoils by this rule from now on, before those that are there.
    pub fn spoil(&self, rule: Rule) {
        self.program.change(|state| state.rules.insert(0, rule));
    }

    /// Spoils nothing that comes from now on; who hangs is served, what trickles flows.
    pub fn relent(&self) {
        self.program.change(|state| {
            state.rules.clear();
            state.edits.clear();
            state.frozen = false;
            state.held.clear();
        });
    }

    /// Changes every object of a resource on its way from now on, in lists and in watches, running ones too.
    pub fn edit(&self, resource: Resource, edit: impl Fn(&mut Value) + Send + Sync + 'static) {
        self.program
            .change(|state| state.edits.push((resource, Arc::new(edit))));
    }

    /// Passes nothing on any more, also on connections that are there, or does again.
    pub fn freeze(&self, frozen: bool) {
        self.program.change(|state| state.frozen = frozen);
    }

    /// Passes nothing of one resource on any more, until [`Faults::relent`].
    pub fn hold(&self, resource: Resource) {
        self.program.change(|state| state.held.push(resource));
    }

    /// Breaks every connection off in the middle.
    pub fn cut(&self) {
        self.program.cut();
    }

    /// Says a line in every running watch of a resource.
    pub fn say(&self, resource: Resource, line: &Value) {
        let line = format!("{line}\n");
        self.program
            .change(|state| state.said.push((resource, line)));
    }

    /// How often this has been asked so far.
    pub fn asked(&self, resource: Resource, call: Call) -> usize {
        let wanted = Asked {
            resource: Some(resource),
            call,
        };
        let asked = self.program.look(|state| state.asked.clone());
        asked.iter().filter(|one| **one == wanted).count()
    }

    /// How many requests have met a rule so far.
    pub fn spoiled(&self) -> usize {
        self.program.look(|state| state.spoiled)
    }

    /// Watches of a resource that run at this moment.
    pub fn running(&self, resource: Resource) -> usize {
        let running = self.program.look(|state| state.running.clone());
        running.iter().filter(|one| **one == resource).count()
    }
}

impl Drop for Faults {
    fn drop(&mut self) {
        self.program.change(|state| state.over = true);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
        self.program.cut();
    }
}

fn accept(listener: &TcpListener, server: &Arc<Server>) {
    while !server.program.look(|state| state.over) {
        // An error is the tick, mostly.
        let Ok((client, _)) = listener.accept() else {
            continue;
        };
        let server = Arc::clone(server);
        // A connection that breaks is what this room is for.
        thread::spawn(move || server.serve(patient(client)).err());
    }
}

fn patient(stream: TcpStream) -> TcpStream {
    stream.set_nodelay(true).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    stream
}

fn offers(tls: &Identity<'_>) -> Arc<ServerConfig> {
    let chain = CertificateDer::pem_file_iter(tls.certificate).unwrap();
    let chain = chain.collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(tls.key).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key);
    Arc::new(config.expect("a certificate and its key"))
}

fn trusts(tls: &Identity<'_>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_file(tls.authority).unwrap();
    roots.add(authority).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}
