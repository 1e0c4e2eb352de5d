//! Finds what a lab may leave behind: namespaces by inode, processes by a mark in their arguments, the directory.

use std::{
    fs,
    path::{Path, PathBuf},
};

use podwall_lab::{Lab, Place, wait_until};

use crate::SOON;

/// Everything of one lab that must vanish with it.
#[derive(Clone, Debug)]
pub struct Traces {
    /// `net:[inode]` and `pid:[inode]`, as links below /proc name them.
    pub namespaces: Vec<String>,
    /// Argument of a process that the lab runs.
    pub mark: String,
    /// The lab's directory.
    pub dir: PathBuf,
}

impl Traces {
    /// Starts a marked process in `place`, and one of another session that nobody holds, and notes what must vanish.
    pub fn of(lab: &Lab, place: &Place, mark: &str) -> Self {
        let script = format!("readlink /proc/self/ns/pid; setsid sleep {mark} & exec sleep {mark}");
        let process = place.command("sh").args(["-c", &script]).spawn().unwrap();
        let pid_namespace = process
            .wait_for_line(|line| line.starts_with("pid:"), SOON)
            .unwrap();
        process.keep();
        let net = |place: &Place| {
            place
                .enter(|| fs::read_link("/proc/thread-self/ns/net").unwrap())
                .unwrap()
        };
        let nets = [net(place), net(lab.node())].map(|link| link.display().to_string());
        let traces = Self {
            namespaces: [pid_namespace].into_iter().chain(nets).collect(),
            mark: mark.to_owned(),
            dir: lab.dir().to_owned(),
        };
        assert!(
            wait_until(SOON, || traces.found().len() >= 4),
            "nothing to look for: {:?}",
            traces.found()
        );
        traces
    }

    /// What is still there: one line per process, open namespace or directory.
    ///
    /// The kernel gives a namespace's number to a new one, perhaps another lab's: only a number that stays tells.
    pub fn found(&self) -> Vec<String> {
        let mut found = self.processes_and_directory();
        for process in processes() {
            let inside = ["ns/net", "ns/pid"].map(|link| process.join(link));
            let open = fs::read_dir(process.join("fd"))
                .into_iter()
                .flatten()
                .flatten()
                .map(|entry| entry.path());
            for link in inside.into_iter().chain(open) {
                let target = fs::read_link(&link)
                    .unwrap_or_default()
                    .display()
                    .to_string();
                if self.namespaces.contains(&target) {
                    found.push(format!(
                        "{} -> {target} ({})",
                        link.display(),
                        arguments(&process)
                    ));
                }
            }
        }
        found
    }

    /// The lab's own processes and directory that are still there.
    pub fn processes_and_directory(&self) -> Vec<String> {
        let ours = |words: &String| words.starts_with("sleep") && words.contains(&self.mark);
        let processes = processes().map(|process| arguments(&process)).filter(ours);
        let dir = self.dir.exists().then(|| self.dir.display().to_string());
        processes.chain(dir).collect()
    }

    /// Waits until nothing is left.
    pub fn assert_gone(&self) {
        let gone = wait_until(SOON, || self.found().is_empty());
        assert!(gone, "left behind: {:#?}", self.found());
    }
}

fn processes() -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .map(|entry| entry.path());
    entries.filter(|path| path.join("ns").exists())
}

fn arguments(process: &Path) -> String {
    let arguments = fs::read(process.join("cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&arguments).replace('\0', " ")
}
