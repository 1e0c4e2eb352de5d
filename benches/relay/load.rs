//! The client's side: one figure at a time, for one slice of time.

use std::future::Future;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use podwall_lab::{LabResult, Pod};
use rustix::thread::{CpuSet, Pid, sched_setaffinity};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::task::JoinSet;

use super::app::{ASK, PAGE, REQUEST, STREAM};

/// Bound on one whole figure, whatever the other side does.
const BOUND: Duration = Duration::from_secs(60);
/// New flows of datagrams in one round: less than one source may have at once in mode redirect, so none is evicted.
const FLOWS: usize = 400;

/// What can be measured.
#[derive(Clone, Copy, Debug)]
pub enum Figure {
    /// New connections, so many at a time: connect, ask, first byte, close.
    Connect(usize),
    /// Requests over so many open connections.
    KeepAlive(usize),
    /// Bytes over so many streams.
    Bulk(usize),
    /// Datagrams, one question and one answer at a time: over new flows, and over one that is open.
    Datagrams,
}

/// All figures of a round.
pub const FIGURES: &[Figure] = &[
    Figure::Connect(1),
    Figure::Connect(16),
    Figure::Connect(64),
    Figure::KeepAlive(1),
    Figure::KeepAlive(32),
    Figure::Bulk(1),
    Figure::Bulk(4),
    Figure::Datagrams,
];

/// One measured value.
#[derive(Clone, Debug)]
pub struct Value {
    /// What it is, unit included.
    pub name: String,
    /// The value.
    pub value: f64,
}

fn value(name: impl Into<String>, value: f64) -> Value {
    Value {
        name: name.into(),
        value,
    }
}

/// Measures `figure` against `target` from `client`.
///
/// # Errors
/// Where the pod cannot be entered.
pub fn run(
    client: &Pod,
    figure: Figure,
    target: SocketAddr,
    slice: Duration,
    cpu: usize,
) -> LabResult<Vec<Value>> {
    inside(client, cpu, async move {
        match figure {
            Figure::Connect(at_a_time) => connect(target, at_a_time, slice).await,
            Figure::KeepAlive(connections) => keep_alive(target, connections, slice).await,
            Figure::Bulk(streams) => bulk(target, streams, slice).await,
            Figure::Datagrams => datagrams(target, slice).await,
        }
    })
}

/// How long a denied client waits for its reset.
///
/// # Errors
/// Where the pod cannot be entered.
pub fn denied(
    rogue: &Pod,
    target: SocketAddr,
    slice: Duration,
    cpu: usize,
) -> LabResult<Vec<Value>> {
    inside(rogue, cpu, async move {
        let (mut waits, until) = (Vec::new(), Instant::now() + slice);
        while Instant::now() < until {
            let asked = Instant::now();
            assert!(page(target).await.is_err(), "a rogue got its page");
            waits.push(asked.elapsed());
        }
        vec![value(
            "denied: connect to reset p50, us",
            percentile(&mut waits, 50),
        )]
    })
}

/// Holds `count` idle connections, each of which has carried one request, while `look` looks.
///
/// # Errors
/// Where the pod cannot be entered.
pub fn hold<T: Send>(
    client: &Pod,
    target: SocketAddr,
    count: usize,
    look: impl FnOnce() -> T + Send,
) -> LabResult<T> {
    client.place().enter(|| {
        runtime().block_on(async {
            let mut held = Vec::with_capacity(count);
            while held.len() < count {
                let mut stream = TcpStream::connect(target)
                    .await
                    .expect("an allowed connection");
                match ask(&mut stream).await {
                    Ok(()) => held.push(stream),
                    Err(error) => {
                        eprintln!("{target}: no page for one that is to be held: {error}")
                    }
                }
            }
            look()
        })
    })
}

fn inside<T: Send>(pod: &Pod, cpu: usize, work: impl Future<Output = T> + Send) -> LabResult<T> {
    pod.place().enter(|| {
        pin_thread(cpu);
        runtime().block_on(async {
            tokio::time::timeout(BOUND, work)
                .await
                .expect("a figure within its bound")
        })
    })
}

async fn connect(target: SocketAddr, at_a_time: usize, slice: Duration) -> Vec<Value> {
    let (began, until) = (Instant::now(), Instant::now() + slice);
    let mut tasks = JoinSet::new();
    for _ in 0..at_a_time {
        tasks.spawn(async move {
            let (mut waits, mut resets) = (Vec::new(), 0);
            while Instant::now() < until {
                let asked = Instant::now();
                match page(target).await {
                    Ok(()) => waits.push(asked.elapsed()),
                    Err(error) if error.kind() == ErrorKind::ConnectionReset => resets += 1,
                    Err(error) => panic!("{target} lets its client in, but: {error}"),
                }
            }
            (waits, resets)
        });
    }
    let (waits, resets): (Vec<_>, Vec<usize>) = tasks.join_all().await.into_iter().unzip();
    let (mut waits, resets) = (waits.concat(), resets.iter().sum::<usize>());
    if resets > 0 {
        // Rare, and no reason to lose a run; but nobody was to be reset.
        eprintln!(
            "{target}: {resets} connections were reset, beside {} that got their page",
            waits.len()
        );
    }
    let rate = waits.len() as f64 / began.elapsed().as_secs_f64();
    vec![
        value(format!("new connections, {at_a_time} at a time, /s"), rate),
        value(
            format!("connect to first byte p50, {at_a_time} at a time, us"),
            percentile(&mut waits, 50),
        ),
        value(
            format!("connect to first byte p99, {at_a_time} at a time, us"),
            percentile(&mut waits, 99),
        ),
    ]
}

async fn keep_alive(target: SocketAddr, connections: usize, slice: Duration) -> Vec<Value> {
    let mut streams = Vec::new();
    for _ in 0..connections {
        streams.push(
            TcpStream::connect(target)
                .await
                .expect("an allowed connection"),
        );
    }
    let (began, until) = (Instant::now(), Instant::now() + slice);
    let mut tasks = JoinSet::new();
    for mut stream in streams {
        tasks.spawn(async move {
            let mut count = 0usize;
            while Instant::now() < until {
                ask(&mut stream).await.expect("a page");
                count += 1;
            }
            count
        });
    }
    let count: usize = tasks.join_all().await.into_iter().sum();
    let rate = count as f64 / began.elapsed().as_secs_f64();
    vec![value(
        format!("keep-alive requests, {connections} connections, /s"),
        rate,
    )]
}

async fn bulk(target: SocketAddr, streams: usize, slice: Duration) -> Vec<Value> {
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..streams {
        tasks.spawn(async move {
            let mut stream = TcpStream::connect(target)
                .await
                .expect("an allowed connection");
            stream
                .write_all(&[STREAM; REQUEST])
                .await
                .expect("a request");
            let (mut buffer, mut bytes) = (vec![0; 256 * 1024], 0usize);
            while began.elapsed() < slice {
                bytes += stream.read(&mut buffer).await.expect("a stream");
            }
            bytes
        });
    }
    let bytes: usize = tasks.join_all().await.into_iter().sum();
    let rate = bytes as f64 / began.elapsed().as_secs_f64() / 1e6;
    vec![value(format!("bulk, {streams} streams, MB/s"), rate)]
}

async fn datagrams(target: SocketAddr, slice: Duration) -> Vec<Value> {
    let mut waits = Vec::with_capacity(FLOWS);
    for _ in 0..FLOWS {
        let flow = flow(target).await;
        waits.push(question(&flow).await);
    }
    let new = percentile(&mut waits, 50);
    waits.clear();
    let (flow, until) = (flow(target).await, Instant::now() + slice);
    // Its first is of a new flow.
    question(&flow).await;
    while Instant::now() < until {
        waits.push(question(&flow).await);
    }
    vec![
        value("UDP, question to answer p50, a new flow each, us", new),
        value(
            "UDP, question to answer p50, one open flow, us",
            percentile(&mut waits, 50),
        ),
    ]
}

/// A socket of a port of its own.
async fn flow(target: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await;
    let socket = socket.expect("a socket");
    socket.connect(target).await.expect("a way");
    socket
}

async fn question(flow: &UdpSocket) -> Duration {
    let asked = Instant::now();
    flow.send(&[ASK; REQUEST]).await.expect("a question");
    let mut page = [0; PAGE];
    let heard = flow.recv(&mut page).await.expect("an answer");
    assert_eq!(heard, PAGE);
    asked.elapsed()
}

/// Connects, asks, reads the first byte, closes.
async fn page(target: SocketAddr) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(target).await?;
    stream.set_nodelay(true)?;
    ask(&mut stream).await
}

async fn ask(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(&[ASK; REQUEST]).await?;
    stream.read_exact(&mut [0; PAGE]).await?;
    Ok(())
}

fn percentile(waits: &mut [Duration], percent: usize) -> f64 {
    waits.sort_unstable();
    let at = (waits.len() * percent / 100).min(waits.len().saturating_sub(1));
    waits
        .get(at)
        .map_or(f64::NAN, |wait| wait.as_secs_f64() * 1e6)
}

/// One thread, timers and sockets.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

/// Binds this thread to one processor; a machine that has fewer goes on unbound.
pub fn pin_thread(cpu: usize) {
    let _ = sched_setaffinity(None, &one(cpu));
}

/// Binds another process's first thread, and what it starts later, to one processor.
pub fn pin_process(pid: u32, cpu: usize) {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten();
    for task in tasks {
        let id = task.file_name().to_string_lossy().parse().ok();
        if let Some(id) = id.and_then(Pid::from_raw) {
            let _ = sched_setaffinity(Some(id), &one(cpu));
        }
    }
}

fn one(cpu: usize) -> CpuSet {
    let mut set = CpuSet::new();
    set.set(cpu);
    set
}

/// A process's anonymous resident memory, in bytes.
pub fn anonymous_memory(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let kilobytes = line.and_then(|text| text.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kilobytes.map_or(f64::NAN, |number| number * 1024.0)
}
