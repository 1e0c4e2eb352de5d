//! Bytes of HTTP: a request's head, an answer's lines as they come, an answer in chunks. Decides nothing.

use std::io::{self, ErrorKind, Read, Write};

/// Bound on a head, in bytes; a service account's token is the longest thing in it.
const HEAD: usize = 64 * 1024;

/// A request, its head and its body.
pub struct Request {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn read(from: &mut impl Read) -> io::Result<Self> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            from.read_exact(&mut byte)?;
            head.push(byte[0]);
            if head.len() > HEAD {
                return Err(ErrorKind::InvalidData.into());
            }
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let mut lines = head.lines();
        let mut words = lines.next().unwrap_or_default().split(' ');
        let mut word = || words.next().unwrap_or_default().to_owned();
        let (method, target) = (word(), word());
        let headers: Vec<_> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let length = headers.iter().find(|(name, _)| name == "content-length");
        let length = length.and_then(|(_, value)| value.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        from.read_exact(&mut body)?;
        Ok(Self {
            method,
            target,
            headers,
            body,
        })
    }

    /// The same as HTTP/1.0, for an answer without chunks or compression.
    pub fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let mut text = format!("{} {} HTTP/1.0\r\n", self.method, self.target);
        for (name, value) in &self.headers {
            if !matches!(name.as_str(), "connection" | "accept-encoding") {
                text.push_str(&format!("{name}: {value}\r\n"));
            }
        }
        to.write_all(text.as_bytes())?;
        to.write_all(b"\r\n")?;
        to.write_all(&self.body)?;
        to.flush()
    }
}

/// What came.
pub enum Heard {
    /// A line with its end; the last one may lack it.
    Line(Vec<u8>),
    /// Nothing within the socket's time.
    Nothing,
    End,
}

/// Whole lines of a stream whose reads may time out.
pub struct Lines<R> {
    from: R,
    held: Vec<u8>,
    searched: usize,
}

impl<R: Read> Lines<R> {
    pub fn new(from: R) -> Self {
        Self {
            from,
            held: Vec::new(),
            searched: 0,
        }
    }

    pub fn next(&mut self) -> io::Result<Heard> {
        let mut chunk = [0; 64 * 1024];
        loop {
            let fresh = &self.held[self.searched..];
            if let Some(at) = fresh.iter().position(|byte| *byte == b'\n') {
                let rest = self.held.split_off(self.searched + at + 1);
                self.searched = 0;
                return Ok(Heard::Line(std::mem::replace(&mut self.held, rest)));
            }
            self.searched = self.held.len();
            match self.from.read(&mut chunk) {
                Ok(0) if self.held.is_empty() => return Ok(Heard::End),
                Ok(0) => {
                    self.searched = 0;
                    return Ok(Heard::Line(std::mem::take(&mut self.held)));
                }
                Ok(count) => self.held.extend_from_slice(&chunk[..count]),
                Err(error) if is_tick(&error) => return Ok(Heard::Nothing),
                Err(error) => return Err(error),
            }
        }
    }
}

fn is_tick(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}

/// Writes an answer's head; the body follows in chunks.
pub fn begin(to: &mut impl Write, code: u16, headers: &str) -> io::Result<()> {
    let chunks = "Connection: close\r\nTransfer-Encoding: chunked\r\n";
    write!(to, "HTTP/1.1 {code} -\r\n{headers}{chunks}\r\n")?;
    to.flush()
}

pub fn chunk(to: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    if bytes.is_empty() {
        return Ok(());
    }
    let mut text = format!("{:x}\r\n", bytes.len()).into_bytes();
    text.extend_from_slice(bytes);
    text.extend_from_slice(b"\r\n");
    to.write_all(&text)?;
    to.flush()
}

/// Without this the answer has been broken off.
pub fn finish(to: &mut impl Write) -> io::Result<()> {
    to.write_all(b"0\r\n\r\n")?;
    to.flush()
}
