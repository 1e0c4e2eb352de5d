//! A client that has not been answered yet.
//!
//! Nothing is read from it: what it sends waits in its socket until the application can have it.

use std::io;

use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::TcpStream;

use crate::sys;

/// A client that has not been answered yet. Dropped, it is reset (P5).
#[derive(Debug)]
pub struct Caller(Option<TcpStream>);

impl Caller {
    /// Takes responsibility for `stream`.
    #[must_use]
    pub fn new(stream: TcpStream) -> Self {
        Self(Some(stream))
    }

    /// The socket, to ask it questions.
    #[must_use]
    pub fn stream(&self) -> Option<&TcpStream> {
        self.0.as_ref()
    }

    /// Resolves when the client has reset the connection.
    ///
    /// An orderly end of what it sends does not count: it may still wait for an answer.
    pub async fn gone(&self) {
        if let Some(stream) = &self.0 {
            let _either_way = stream.ready(Interest::ERROR).await;
        }
    }

    /// Lets the client in; from here on the stream is the taker's to end.
    #[must_use]
    pub fn admit(mut self) -> Option<TcpStream> {
        self.0.take()
    }

    /// Says `word` to the client and ends in order: the canary's answer (P40).
    ///
    /// # Errors
    /// Where the client left first.
    pub async fn tell(mut self, word: &[u8]) -> io::Result<()> {
        match self.0.take() {
            Some(mut stream) => {
                stream.write_all(word).await?;
                stream.shutdown().await
            }
            None => Ok(()),
        }
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        if let Some(stream) = self.0.take() {
            sys::reset_on_close(&stream);
        }
    }
}
