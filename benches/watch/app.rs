//! The application in the guarded pod: says one byte to whoever connects, then reads until the client is gone.
//!
//! It speaks first, so that a client knows by one read whether it was let in.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc;
use std::thread::JoinHandle;

use podwall_lab::{LabResult, Pod};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// What it says.
pub const GREETING: u8 = b'h';

/// A running application; dropping it ends it.
pub struct App {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl App {
    /// Starts it in `pod` on `port` and returns when it listens.
    ///
    /// # Errors
    /// Where the pod cannot be entered.
    pub fn start(pod: &Pod, port: u16) -> LabResult<Self> {
        let (stop, stopped) = oneshot::channel();
        let (up, listening) = mpsc::channel();
        let place = pod.place().clone();
        let thread = std::thread::spawn(move || {
            let served = place.enter(|| {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build();
                runtime.expect("a runtime").block_on(async {
                    let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
                    let listener = TcpListener::bind(address).await.expect("the port is free");
                    up.send(()).expect("the bench waits for it");
                    tokio::select! {
                        () = accept(listener) => {}
                        _ = stopped => {}
                    }
                });
            });
            served.expect("the pod can be entered");
        });
        listening.recv().expect("the application listens");
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for App {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept(listener: TcpListener) {
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    }
}

async fn serve(mut stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    if stream.write_all(&[GREETING]).await.is_ok() {
        let mut rest = [0; 16];
        while stream.read(&mut rest).await.is_ok_and(|bytes| bytes > 0) {}
    }
}
