//! The application: answers a small request with a small page, streams without end, or holds; answers a datagram by one.
//!
//! One thread, one processor, inside the pod's network namespace.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::mpsc;
use std::thread::JoinHandle;

use podwall_lab::{LabResult, Pod};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::oneshot;

use super::load;

/// Bytes of a request.
pub const REQUEST: usize = 64;
/// Bytes of a page.
pub const PAGE: usize = 256;
/// The first byte of a request: one page for each such request.
pub const ASK: u8 = b'q';
/// The first byte of a request: a stream until the client goes away.
pub const STREAM: u8 = b's';
/// Bytes of one write of a stream.
const CHUNK: usize = 256 * 1024;

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
    pub fn start(pod: &Pod, port: u16, cpu: usize) -> LabResult<Self> {
        let (stop, stopped) = oneshot::channel();
        let (up, listening) = mpsc::channel();
        let place = pod.place().clone();
        let thread = std::thread::spawn(move || {
            let served = place.enter(|| {
                load::pin_thread(cpu);
                load::runtime().block_on(async {
                    let listener = listen(port);
                    let datagrams = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).await;
                    let datagrams = datagrams.expect("the UDP port is free");
                    up.send(()).expect("the bench waits for it");
                    tokio::select! {
                        () = accept(listener) => {}
                        () = answer(datagrams) => {}
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

fn listen(port: u16) -> TcpListener {
    let socket =
        socket2::Socket::new(socket2::Domain::IPV6, socket2::Type::STREAM, None).expect("a socket");
    socket.set_only_v6(false).expect("dual stack");
    socket.set_reuse_address(true).expect("reuse");
    socket
        .bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)).into())
        .expect("the port is free");
    socket.listen(4096).expect("listen");
    socket.set_nonblocking(true).expect("non-blocking");
    TcpListener::from_std(socket.into()).expect("a listener")
}

async fn accept(listener: TcpListener) {
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    }
}

async fn answer(socket: UdpSocket) {
    let mut question = [0; REQUEST];
    loop {
        if let Ok((_, from)) = socket.recv_from(&mut question).await {
            let _ = socket.send_to(&[b'p'; PAGE], from).await;
        }
    }
}

async fn serve(mut stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let mut request = [0; REQUEST];
    while stream.read_exact(&mut request).await.is_ok() {
        if request[0] == STREAM {
            let chunk = vec![b'x'; CHUNK];
            while stream.write_all(&chunk).await.is_ok() {}
            return;
        }
        if stream.write_all(&[b'p'; PAGE]).await.is_err() {
            return;
        }
    }
}
