//! The least that a queue can cost: rules of mode queue, and a loop that lets everything in unread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use podwall_lab::{LabResult, Pod};
use podwall_proxy::config::FIRST_QUEUE;
use podwall_proxy::intercept::queue::{Answer, Queue};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::load;

/// How often the loop sees whether it is to end.
const LOOK: Duration = Duration::from_millis(100);

/// A running loop; dropping it ends it.
pub struct Bare {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Bare {
    /// Starts it in `pod`, whose rules are installed.
    pub fn start(pod: &Pod, cpu: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (place, stopped) = (pod.place().clone(), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let served: LabResult<()> = place.enter(|| {
                load::pin_thread(cpu);
                let mut queue = Queue::bind(FIRST_QUEUE).expect("nobody else has the queue");
                let timeout = Timespec {
                    tv_sec: 0,
                    tv_nsec: LOOK.subsec_nanos().into(),
                };
                while !stopped.load(Ordering::Relaxed) {
                    let mut fds = [PollFd::new(&queue, PollFlags::IN)];
                    poll(&mut fds, Some(&timeout)).expect("the queue can be waited for");
                    while let Some(ticket) = queue.receive().expect("the queue works") {
                        queue
                            .answer(ticket, Answer::Admit)
                            .expect("the kernel takes a verdict");
                    }
                }
            });
            served.expect("the pod can be entered");
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
