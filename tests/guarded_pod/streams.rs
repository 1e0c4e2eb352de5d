//! Streams that are open while podwall is killed: one from the node, and one from a client that the policy admits.

use std::time::Duration;

use podwall_lab::{Process, wait_until};

use super::super::LONG;
use super::node::Node;

/// Long enough for a page of 1 KiB/s to go on several times.
const GOES_ON: Duration = Duration::from_secs(5);

/// Both, open.
pub struct Streams {
    /// Opened by the node.
    pub of_node: Stream,
    /// Opened by app1.
    pub of_app1: Stream,
}

/// A page that takes a quarter of an hour.
pub struct Stream(Process);

impl Node {
    /// Opens both; returns when each carries data.
    pub fn open_streams(&self) -> Streams {
        let url = format!("{}slow", self.urls(80)[0]);
        let words = ["curl", "-q", "-sS", "-N", "--noproxy", "*", &url];
        let from_node = self.place().command(words[0]).args(&words[1..]);
        let streams = Streams {
            of_node: Stream(from_node.spawn().unwrap()),
            of_app1: Stream(self.exec("app1", "client", &words).spawn().unwrap()),
        };
        assert!(wait_until(LONG, || !streams.of_node.is_empty()));
        assert!(wait_until(LONG, || !streams.of_app1.is_empty()));
        streams
    }
}

impl Stream {
    fn is_empty(&self) -> bool {
        self.0.stdout_so_far().is_empty()
    }

    /// Whether more of the page comes from now on.
    pub fn flows(&self) -> bool {
        let before = self.0.stdout_so_far().len();
        wait_until(GOES_ON, || self.0.stdout_so_far().len() > before)
    }

    /// Whether it has ended, or does so soon.
    pub fn has_ended(&self) -> bool {
        self.0.wait(GOES_ON).is_ok()
    }
}
