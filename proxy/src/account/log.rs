//! The log's writer: a bounded queue and one thread that writes whole lines.
//!
//! Deliberately absent: any way for a slow or dead reader to slow a connection down.

use std::io::{self, Write};
use std::iter;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use prometheus_client::metrics::counter::Counter;

/// What goes through the queue.
enum Entry {
    /// A line, newline included.
    Line(String),
    /// Answer when everything before this is written.
    Flush(SyncSender<()>),
}

/// The sending end. Dropped, the thread writes what is queued and ends.
pub(super) struct Log {
    queue: SyncSender<Entry>,
    dropped: Counter,
}

/// How often a flush tries to find room in a full queue.
const FLUSH_RETRY: Duration = Duration::from_millis(5);

/// How long lines are gathered before they are written at once.
///
/// 5 ms: a line is late by no more, and thousands of connections a second cost 200 writes.
const GATHER: Duration = Duration::from_millis(5);

/// The bytes after which a write does not wait for more lines: what a pipe holds.
const BATCH: usize = 64 * 1024;

impl Log {
    /// Starts the thread; the queue holds at most `lines`.
    pub(super) fn start(
        out: impl Write + Send + 'static,
        lines: usize,
        dropped: Counter,
    ) -> io::Result<Self> {
        let (queue, entries) = sync_channel(lines);
        let lost = dropped.clone();
        thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || write_all(out, &entries, &lost))?;
        Ok(Self { queue, dropped })
    }

    /// Queues one line; drops and counts it where there is no room or no writer.
    pub(super) fn write(&self, line: String) {
        if self.queue.try_send(Entry::Line(line)).is_err() {
            self.dropped.inc();
        }
    }

    /// Waits until everything queued so far is written, at most `patience`.
    pub(super) fn flush(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let (done, written) = sync_channel(1);
        let mut marker = Entry::Flush(done);
        loop {
            match self.queue.try_send(marker) {
                Ok(()) => break,
                Err(TrySendError::Disconnected(_)) => return false,
                Err(TrySendError::Full(back)) => marker = back,
            }
            if Instant::now() >= deadline {
                return false;
            }
            thread::sleep(FLUSH_RETRY);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        written.recv_timeout(left).is_ok()
    }
}

/// Writes whole lines, those of one [`GATHER`] at once.
///
/// Asleep and not waiting meanwhile, so that a line costs its sender no system call.
fn write_all(mut out: impl Write, entries: &Receiver<Entry>, dropped: &Counter) {
    let mut more_is_waiting = false;
    while let Ok(first) = entries.recv() {
        if matches!(first, Entry::Line(_)) && !more_is_waiting {
            thread::sleep(GATHER);
        }
        let (mut batch, mut lines, mut asked) = (String::new(), 0, Vec::new());
        for entry in iter::once(first).chain(entries.try_iter()) {
            match entry {
                Entry::Line(line) => {
                    batch.push_str(&line);
                    lines += 1;
                }
                Entry::Flush(done) => asked.push(done),
            }
            if batch.len() >= BATCH || !asked.is_empty() {
                break;
            }
        }
        more_is_waiting = batch.len() >= BATCH;
        let written = out.write_all(batch.as_bytes()).and_then(|()| out.flush());
        if written.is_err() {
            dropped.inc_by(lines);
        }
        // An asker may have run out of patience.
        for done in asked {
            let _ = done.try_send(());
        }
    }
}
