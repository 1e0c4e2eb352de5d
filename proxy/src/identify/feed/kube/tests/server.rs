//! A server that plays an API server's part.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use super::super::{Access, Change, KubeHandle, watch};

/// One request, as much of it as matters.
pub(in crate::identify::feed) struct Request {
    /// Path and query.
    pub(in crate::identify::feed) uri: String,
    pub(in crate::identify::feed) token: String,
}

impl Request {
    pub(in crate::identify::feed) fn is_for(&self, plural: &str) -> bool {
        self.uri.split('?').next().unwrap().ends_with(plural)
    }

    pub(in crate::identify::feed) fn has(&self, parameter: &str) -> bool {
        self.uri.contains(parameter)
    }
}

pub(in crate::identify::feed) enum Reply {
    Json(u16, String),
    /// See [`lines`].
    Watch(Vec<u8>),
}

/// These lines, then nothing more. They need be no text.
pub(in crate::identify::feed) fn lines(body: impl AsRef<[u8]>) -> Reply {
    Reply::Watch(body.as_ref().to_owned())
}

pub(in crate::identify::feed) fn refuse(code: u16, message: &str) -> Reply {
    let status = format!(
        r#"{{"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": {code}, "message": "{message}", "reason": "Test"}}"#
    );
    Reply::Json(code, status)
}

pub(in crate::identify::feed) fn list(items: &str, more: &str) -> Reply {
    Reply::Json(
        200,
        format!(
            r#"{{"kind": "List", "apiVersion": "v1", "metadata": {{"resourceVersion": "5", "continue": "{more}"}}, "items": [{items}]}}"#
        ),
    )
}

/// A kubeconfig that names a server on loopback, which answers by `play` until the test process ends.
pub(in crate::identify::feed) struct Cluster {
    pub(in crate::identify::feed) dir: PathBuf,
    pub(in crate::identify::feed) port: u16,
}

impl Cluster {
    pub(in crate::identify::feed) fn new(
        test: &str,
        play: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let play = Arc::new(play);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let play = Arc::clone(&play);
                std::thread::spawn(move || answer(&stream.unwrap(), &*play));
            }
        });
        let dir = std::env::temp_dir().join(format!("podwall-{test}-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let cluster = Self { dir, port };
        cluster.give_token("first");
        cluster
    }

    pub(in crate::identify::feed) fn give_token(&self, token: &str) {
        fs::write(self.dir.join("token"), token).unwrap();
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
             clusters: [{{name: c, cluster: {{server: 'http://127.0.0.1:{}'}}}}]\n\
             users: [{{name: u, user: {{tokenFile: token}}}}]\n\
             contexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n",
            self.port
        );
        fs::write(self.dir.join("kubeconfig"), text).unwrap();
    }

    pub(in crate::identify::feed) fn access(&self) -> Access {
        Access::Kubeconfig {
            path: Some(self.dir.join("kubeconfig")),
            context: None,
        }
    }

    pub(in crate::identify::feed) fn watch(&self) -> (KubeHandle, Receiver<Change>) {
        let (send, changes) = channel();
        let handle = watch(self.access(), "shop".into(), move |change| {
            let _ = send.send(change);
        });
        (handle.unwrap(), changes)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn answer(mut stream: &TcpStream, play: &impl Fn(&Request) -> Reply) {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let Some(first) = lines.next() else { return };
    let mut request = Request {
        uri: first.split(' ').nth(1).unwrap().to_owned(),
        token: String::new(),
    };
    for line in lines.by_ref().take_while(|line| !line.is_empty()) {
        if let Some((_, token)) = line.split_once("Bearer ") {
            request.token = token.trim().to_owned();
        }
    }
    let _ = match play(&request) {
        Reply::Json(code, text) => write!(
            stream,
            "HTTP/1.1 {code} X\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{text}",
            text.len()
        ),
        Reply::Watch(body) => {
            let sent = begin(stream, &body);
            // Until the client leaves.
            lines.for_each(drop);
            sent
        }
    };
}

fn begin(mut stream: &TcpStream, body: &[u8]) -> std::io::Result<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
    stream.write_all(body)
}

/// What a request for a streaming list has.
pub(in crate::identify::feed) const STREAMING: &str = "sendInitialEvents=true";

/// The end of a streaming list.
pub(in crate::identify::feed) const END: &str = r#"{"type": "BOOKMARK", "object": {"kind": "Pod", "apiVersion": "v1", "metadata": {"resourceVersion": "5", "annotations": {"k8s.io/initial-events-end": "true"}}}}
"#;
