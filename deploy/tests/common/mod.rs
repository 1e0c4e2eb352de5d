//! An empty network namespace for the calling thread, and iptables programs run in it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    dead_code
)]

pub mod backends;
pub mod wishes;

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::process::{Child, Command, Stdio};

use podwall_deploy::{Backend, Family};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// A network namespace that lives as long as this value; the thread that made it is inside.
pub struct Namespace {
    holder: Child,
}

impl Namespace {
    /// Moves the calling thread into a new network namespace with `lo` up. `None`, said aloud,
    /// where that needs a privilege that is not there; with `CI` set that is a failure.
    pub fn enter(test: &str) -> Option<Self> {
        // `cat` ends when its stdin closes, also if this process is killed.
        let mut holder = Command::new("unshare")
            .args([
                "-n",
                "sh",
                "-c",
                "ip link set lo up && echo ready && exec cat",
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("unshare (Debian package util-linux) starts");
        let mut ready = [0; 6];
        let inside = holder
            .stdout
            .as_mut()
            .unwrap()
            .read_exact(&mut ready)
            .is_ok()
            && File::open(format!("/proc/{}/ns/net", holder.id())).is_ok_and(|file| {
                let kind = Some(LinkNameSpaceType::Network);
                move_into_link_name_space(file.as_fd(), kind).is_ok()
            });
        let namespace = Self { holder };
        if inside {
            return Some(namespace);
        }
        assert!(
            std::env::var_os("CI").is_none(),
            "{test}: a network namespace needs root"
        );
        println!("SKIPPED: {test}: a network namespace needs root");
        None
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}

fn program(backend: Backend, family: Family, what: &str) -> String {
    format!("{}-{backend}{what}", family.program())
}

/// What the save program prints, without comments and counters.
pub fn save(backend: Backend, family: Family) -> String {
    let output = Command::new(program(backend, family, "-save"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| format!("{}\n", line.split(" [").next().unwrap()))
        .collect()
}

/// Runs `iptables ARGUMENTS` of a back end and family.
pub fn iptables(backend: Backend, family: Family, arguments: &str) {
    let output = Command::new(program(backend, family, ""))
        .args(arguments.split_whitespace())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{backend} {family} {arguments}: {said}"
    );
}

/// Feeds a text to the restore program of a back end and family.
pub fn restore(backend: Backend, family: Family, text: &str) {
    let mut child = Command::new(program(backend, family, "-restore"))
        .arg("--noflush")
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    assert!(
        child.wait().unwrap().success(),
        "{backend} {family} refused:\n{text}"
    );
}

/// Runs `ip ARGUMENTS`.
pub fn ip(arguments: &str) {
    let status = Command::new("ip")
        .args(arguments.split_whitespace())
        .status()
        .unwrap();
    assert!(status.success(), "ip {arguments}");
}

/// Both families of a back end, as text.
pub fn dump(backend: Backend) -> String {
    Family::ALL.map(|family| save(backend, family)).concat()
}

/// Gives the pod an interface with a v4 and a v6 address.
pub fn with_eth() {
    ip("link add eth0 type veth peer name other");
    ip("addr add 10.1.0.5/24 dev eth0");
    ip("addr add fd00::5/64 dev eth0 nodad");
    ip("link set eth0 up");
}
