//! One connection: reads a request, asks the program, spoils the answer or passes it on.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use podwall_lab::Place;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

use super::program::{Asked, Call, Fault, Member, Program, Resource};
use super::stream::{Heard, Lines, Request, begin, chunk, finish};
use super::{TICK, patient};

/// Bound on reaching the API server; the connection is broken off then.
const CONNECT: Duration = Duration::from_secs(5);
const JSON: &str = "Content-Type: application/json\r\n";

type Client = StreamOwned<ServerConnection, TcpStream>;
type Upstream = StreamOwned<ClientConnection, TcpStream>;

/// What every connection of one server shares.
pub struct Server {
    pub program: Arc<Program>,
    pub place: Place,
    pub upstream: SocketAddr,
    pub offers: Arc<ServerConfig>,
    pub trusts: Arc<ClientConfig>,
}

/// How the body is slowed down or broken off.
#[derive(Clone, Copy)]
enum Flow {
    Free,
    CutAfter(usize),
    CutAfterLines(usize),
    Trickle(usize),
}

impl Server {
    pub fn serve(&self, client: TcpStream) -> io::Result<()> {
        let _member = self.program.join(&client);
        self.program.thaw(None);
        let offers = Arc::clone(&self.offers);
        let tls = ServerConnection::new(offers).map_err(io::Error::other)?;
        let mut client = StreamOwned::new(tls, client);
        let request = Request::read(&mut client)?;
        let asked = Asked::of(&request.target);
        let flow = match self.program.decide(asked) {
            Some(Fault::Answer(code, headers)) => return refuse(&mut client, code, headers),
            Some(Fault::ErrorEvent(code)) => return expire(&mut client, code),
            Some(Fault::CutAfter(bytes)) => Flow::CutAfter(bytes),
            Some(Fault::CutAfterLines(lines)) => Flow::CutAfterLines(lines),
            Some(Fault::Trickle(bytes)) => Flow::Trickle(bytes),
            Some(Fault::Hang) | None => Flow::Free,
        };
        let (upstream, _member) = self.ask(&request)?;
        let watched = asked.resource.filter(|_| asked.call != Call::List);
        if let Some(resource) = watched {
            self.program.change(|state| state.running.push(resource));
        }
        let end = self.pass_on(asked, upstream, &mut client, flow);
        if let Some(resource) = watched {
            self.program.change(|state| {
                let one = state.running.iter().position(|one| *one == resource);
                one.map(|at| state.running.remove(at))
            });
        }
        end
    }

    /// Connects to the API server and asks it the same.
    fn ask(&self, request: &Request) -> io::Result<(Upstream, Option<Member<'_>>)> {
        let connect = || TcpStream::connect_timeout(&self.upstream, CONNECT);
        let mut stream = patient(self.place.enter(connect).map_err(io::Error::other)??);
        let member = self.program.join(&stream);
        let name = ServerName::from(self.upstream.ip());
        let trusts = Arc::clone(&self.trusts);
        let mut tls = ClientConnection::new(trusts, name).map_err(io::Error::other)?;
        while tls.is_handshaking() {
            tls.complete_io(&mut stream)?;
        }
        let mut upstream = StreamOwned::new(tls, stream);
        request.write(&mut upstream)?;
        upstream.sock.set_read_timeout(Some(TICK))?;
        Ok((upstream, member))
    }

    /// The answer, line by line as it comes, until the API server ends it.
    fn pass_on(
        &self,
        asked: Asked,
        upstream: Upstream,
        client: &mut Client,
        flow: Flow,
    ) -> io::Result<()> {
        let mut lines = Lines::new(upstream);
        self.head(asked.resource, &mut lines, client)?;
        let mut flow = flow;
        let mut said = self.program.look(|state| state.said.len());
        loop {
            let heard = lines.next()?;
            self.program.thaw(asked.resource);
            if asked.call != Call::List {
                self.say(asked.resource, &mut said, client)?;
            }
            match heard {
                Heard::Line(line) => {
                    let line = self.edited(asked.resource, line);
                    self.send(client, &line, &mut flow)?;
                }
                Heard::Nothing => {}
                Heard::End => break finish(client)?,
            }
        }
        client.conn.send_close_notify();
        client.conn.complete_io(&mut client.sock).map(drop)
    }

    /// Passes on the status and the headers that count.
    fn head(
        &self,
        resource: Option<Resource>,
        lines: &mut Lines<Upstream>,
        client: &mut Client,
    ) -> io::Result<()> {
        let (mut code, mut headers) = (None, String::new());
        loop {
            self.program.thaw(resource);
            let line = match lines.next()? {
                Heard::Line(line) => String::from_utf8_lossy(&line).into_owned(),
                Heard::Nothing if self.program.look(|state| state.over) => return broken_off(),
                Heard::Nothing => continue,
                Heard::End => return broken_off(),
            };
            let lower = line.to_ascii_lowercase();
            if code.is_none() {
                let word = line.split(' ').nth(1);
                code = Some(word.and_then(|word| word.parse().ok()).unwrap_or(502));
            } else if line.trim().is_empty() {
                return begin(client, code.unwrap_or(502), &headers);
            } else if ["content-type:", "retry-after:", "warning:"]
                .iter()
                .any(|name| lower.starts_with(name))
            {
                headers.push_str(&line);
            }
        }
    }

    /// What the test wants said in this watch and has not been said yet.
    fn say(
        &self,
        resource: Option<Resource>,
        said: &mut usize,
        client: &mut Client,
    ) -> io::Result<()> {
        let news = self.program.look(|state| state.said[*said..].to_vec());
        *said += news.len();
        for (_, line) in news.iter().filter(|(of, _)| Some(*of) == resource) {
            chunk(client, line.as_bytes())?;
        }
        Ok(())
    }

    fn send(&self, client: &mut Client, line: &[u8], flow: &mut Flow) -> io::Result<()> {
        match flow {
            Flow::Free => chunk(client, line),
            Flow::CutAfter(left) if *left < line.len() => {
                chunk(client, &line[..*left])?;
                broken_off()
            }
            Flow::CutAfter(left) => {
                *left -= line.len();
                chunk(client, line)
            }
            Flow::CutAfterLines(0) => broken_off(),
            Flow::CutAfterLines(left) => {
                *left -= 1;
                chunk(client, line)
            }
            Flow::Trickle(bytes) => {
                for piece in line.chunks(*bytes) {
                    chunk(client, piece)?;
                    self.program.pace(TICK);
                }
                Ok(())
            }
        }
    }

    /// The line with every object in it edited.
    fn edited(&self, resource: Option<Resource>, line: Vec<u8>) -> Vec<u8> {
        let edits = self.program.look(|state| state.edits.clone());
        let edits = edits.iter().filter(|(of, _)| Some(*of) == resource);
        let edits: Vec<_> = edits.map(|(_, edit)| edit).collect();
        let parsed = (!edits.is_empty()).then(|| serde_json::from_slice::<Value>(&line));
        let Some(Ok(mut value)) = parsed else {
            return line;
        };
        let bookmark = value["type"] == "BOOKMARK";
        let objects: Vec<&mut Value> = match value.get("items").is_some_and(Value::is_array) {
            true => value["items"]
                .as_array_mut()
                .into_iter()
                .flatten()
                .collect(),
            false if bookmark => Vec::new(),
            false => value.get_mut("object").into_iter().collect(),
        };
        for object in objects {
            edits.iter().for_each(|edit| edit(object));
        }
        format!("{value}\n").into_bytes()
    }
}

/// An error drops the connection without an end.
fn broken_off() -> io::Result<()> {
    Err(io::ErrorKind::UnexpectedEof.into())
}

fn status(code: u16) -> Value {
    let reason = match code {
        401 => "Unauthorized",
        403 => "Forbidden",
        410 => "Expired",
        422 => "Invalid",
        429 => "TooManyRequests",
        _ => "InternalError",
    };
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": format!("said by the test: {reason}"), "reason": reason, "code": code,
    })
}

fn refuse(client: &mut Client, code: u16, headers: &str) -> io::Result<()> {
    begin(client, code, &format!("{JSON}{headers}"))?;
    chunk(client, status(code).to_string().as_bytes())?;
    finish(client)?;
    client.conn.send_close_notify();
    client.conn.complete_io(&mut client.sock).map(drop)
}

fn expire(client: &mut Client, code: u16) -> io::Result<()> {
    begin(client, 200, JSON)?;
    let event = json!({ "type": "ERROR", "object": status(code) });
    chunk(client, format!("{event}\n").as_bytes())?;
    finish(client)?;
    client.conn.send_close_notify();
    client.conn.complete_io(&mut client.sock).map(drop)
}
