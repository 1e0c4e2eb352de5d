#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use super::*;

mod reading;

/// How long a test waits for what must come. Only a broken watch needs all of it.
const PATIENCE: Duration = Duration::from_secs(20);

/// A directory of its own, gone at the end.
pub(super) struct Dir(pub(super) PathBuf);

impl Dir {
    pub(super) fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("podwall-{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes as a careful writer does: to another name, then renamed.
    pub(super) fn put(&self, name: &str, text: &str) {
        let draft = self.path(".draft");
        fs::write(&draft, text).unwrap();
        fs::rename(draft, self.path(name)).unwrap();
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn pod(name: &str) -> String {
    format!("---\nkind: Pod\napiVersion: v1\nmetadata: {{name: {name}, namespace: ns}}\n")
}

/// What the feed tells, in the words of these tests.
struct Heard {
    changes: Receiver<Change>,
    log: Vec<String>,
    _handle: FilesHandle,
}

fn watching(paths: &[&Path]) -> Heard {
    let (send, changes) = channel();
    let paths = paths.iter().map(|one| one.to_path_buf()).collect();
    Heard {
        changes,
        log: Vec::new(),
        _handle: watch(paths, move |change| {
            let _ = send.send(change);
        })
        .unwrap(),
    }
}

impl Heard {
    /// Names of the pods of a state, `problem: ...`, or nothing for what these tests do not ask.
    fn word(change: Change) -> Option<String> {
        match change {
            Change::Resync(cluster) => {
                let names: Vec<&str> = cluster.pods().map(|one| &*one.name.name).collect();
                Some(names.join(" "))
            }
            Change::SourceProblem(problem) => Some(format!("problem: {problem}")),
            Change::SourceHealthy(_) => Some("well".to_owned()),
            Change::Relist(_)
            | Change::Listed(_)
            | Change::Relisted(_)
            | Change::Findings(_)
            | Change::Upsert(_)
            | Change::Delete(_) => None,
        }
    }

    /// Waits for a word that begins so; everything heard before it may come and go.
    #[track_caller]
    fn until(&mut self, begin: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.changes.recv_timeout(left) {
                Ok(change) => self.log.extend(Self::word(change)),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("never heard {begin:?}, but {:?}", self.log);
                }
            }
            if let Some(word) = self.log.last().filter(|word| word.starts_with(begin)) {
                return word.clone();
            }
        }
    }

    /// Listens a while for what must not come.
    fn silence(&mut self) {
        if let Ok(change) = self.changes.recv_timeout(Duration::from_millis(400)) {
            self.log.extend(Self::word(change));
        }
    }

    /// Everything heard so far, without the signs of health.
    fn all(&self) -> Vec<&str> {
        let words = self.log.iter().map(String::as_str);
        words.filter(|one| *one != "well").collect()
    }
}

#[test]
fn a_renamed_file_is_taken_in_as_one_swap() {
    let dir = Dir::new("rename");
    dir.put("a.yaml", &pod("a"));
    let mut heard = watching(&[&dir.0]);
    heard.until("a");
    dir.put("a.yaml", &(pod("b") + &pod("c")));
    heard.until("b c");
    assert_eq!(heard.all(), ["a", "b c"]);
}

#[test]
fn a_file_written_in_place_is_taken_in_when_it_is_closed() {
    use std::io::Write;
    let dir = Dir::new("in-place");
    dir.put("a.yaml", &pod("a"));
    dir.put("b.yaml", &pod("b"));
    let mut heard = watching(&[&dir.0]);
    heard.until("a b");
    let mut file = fs::File::create(dir.path("b.yaml")).unwrap();
    // Open and empty: what was there stays in force, however long it takes.
    assert!(heard.until("problem").contains("b.yaml: is being written"));
    file.write_all(pod("c").as_bytes()).unwrap();
    heard.silence(); // half of the file, good YAML
    file.write_all(pod("d").as_bytes()).unwrap();
    drop(file);
    heard.until("a c d");
    let states: Vec<&str> = heard
        .all()
        .into_iter()
        .filter(|one| !one.starts_with("problem"))
        .collect();
    assert_eq!(states, ["a b", "a c d"], "no half-written state in between");
}

#[test]
fn files_come_and_go() {
    let dir = Dir::new("come-and-go");
    dir.put("a.yaml", &pod("a"));
    let mut heard = watching(&[&dir.0]);
    heard.until("a");
    fs::write(dir.path("b.yml"), pod("b")).unwrap();
    heard.until("a b");
    fs::write(
        dir.path("c.json"),
        r#"{"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "c", "namespace": "ns"}}"#,
    )
    .unwrap();
    heard.until("a b c");
    fs::remove_file(dir.path("b.yml")).unwrap();
    heard.until("a c");
    fs::rename(dir.path("c.json"), dir.path("c.gone")).unwrap();
    heard.until("a");
}

#[test]
fn a_link_to_a_file_is_a_file() {
    let (dir, other) = (Dir::new("link"), Dir::new("link-target"));
    dir.put("a.yaml", &pod("a"));
    let mut heard = watching(&[&dir.0]);
    heard.until("a");
    other.put("b.yaml", &pod("b"));
    symlink(other.path("b.yaml"), dir.path("b.yaml")).unwrap();
    heard.until("a b");
    fs::hard_link(other.path("b.yaml"), dir.path("c.yaml")).unwrap();
    fs::remove_file(dir.path("b.yaml")).unwrap();
    fs::write(other.path("b.yaml"), pod("c")).unwrap();
    // No event tells of a file that changed elsewhere; the slow poll sees it.
    heard.until("a c");
}

/// Version `round` of a mounted ConfigMap with the files `a.yaml` and `b.yaml`, which hold one pod each.
fn config_map(dir: &Dir, round: usize) {
    let version = format!("..{round}");
    fs::create_dir(dir.path(&version)).unwrap();
    for file in ["a", "b"] {
        let path = dir.path(&version).join(format!("{file}.yaml"));
        fs::write(path, pod(&format!("{file}{round}"))).unwrap();
    }
    symlink(&version, dir.path("..data_tmp")).unwrap();
    fs::rename(dir.path("..data_tmp"), dir.path("..data")).unwrap();
}

/// What kubelet does: the files are links through `..data`, which is swapped by one rename.
#[test]
fn a_config_map_swaps_all_of_its_files_at_once() {
    let dir = Dir::new("config-map");
    config_map(&dir, 1);
    for name in ["a.yaml", "b.yaml"] {
        symlink(Path::new("..data").join(name), dir.path(name)).unwrap();
    }
    let mut heard = watching(&[&dir.0]);
    let mut one_file = watching(&[&dir.path("a.yaml")]);
    heard.until("a1 b1");
    one_file.until("a1");
    for round in 2..12 {
        config_map(&dir, round);
        fs::remove_dir_all(dir.path(&format!("..{}", round - 1))).unwrap();
        heard.until(&format!("a{round} b{round}"));
        one_file.until(&format!("a{round}"));
    }
    let whole: Vec<String> = (1..12).map(|one| format!("a{one} b{one}")).collect();
    let mut states = heard.all();
    states.dedup(); // the slow events of one swap may have it read twice
    assert_eq!(states, whole, "never one file of each");
}

#[test]
fn a_replaced_directory_is_watched_like_the_first_one() {
    let dir = Dir::new("replaced");
    let make = |name: &str, of: &str| {
        fs::create_dir(dir.path(name)).unwrap();
        fs::write(dir.path(name).join("a.yaml"), pod(of)).unwrap();
    };
    make("state", "a");
    let mut heard = watching(&[&dir.path("state")]);
    heard.until("a");
    make("next", "b");
    fs::rename(dir.path("state"), dir.path("old")).unwrap();
    fs::rename(dir.path("next"), dir.path("state")).unwrap();
    heard.until("b");
    fs::write(dir.path("state").join("a.yaml"), pod("c")).unwrap();
    heard.until("c");
    fs::remove_dir_all(dir.path("state")).unwrap();
    heard.until("problem");
    make("state", "d");
    heard.until("d");
    assert_eq!(heard.all().len(), 5, "{:?}", heard.all());
}

#[test]
fn a_linked_directory_is_followed_to_where_it_leads_now() {
    let dir = Dir::new("linked");
    for name in ["one", "two"] {
        fs::create_dir(dir.path(name)).unwrap();
        fs::write(dir.path(name).join("a.yaml"), pod(name)).unwrap();
    }
    symlink("one", dir.path("state")).unwrap();
    let mut heard = watching(&[&dir.path("state")]);
    heard.until("one");
    symlink("two", dir.path("draft")).unwrap();
    fs::rename(dir.path("draft"), dir.path("state")).unwrap();
    heard.until("two");
    fs::write(dir.path("two/a.yaml"), pod("three")).unwrap();
    heard.until("three");
}

#[test]
fn s84_a_broken_file_keeps_the_last_good_state_until_it_is_mended() {
    let dir = Dir::new("broken");
    dir.put("a.yaml", &pod("a"));
    let mut heard = watching(&[&dir.0]);
    heard.until("a");
    dir.put("b.yaml", "---\nkind: Pod\nmetadata: [\n");
    let problem = heard.until("problem");
    assert!(
        problem.contains("b.yaml:"),
        "it names file and line: {problem}"
    );
    dir.put("c.yaml", &pod("c"));
    dir.put("b.yaml", &pod("b"));
    heard.until("a b c");
    assert_eq!(
        heard.all(),
        ["a", &problem, "a b c"],
        "told once, and nothing half-good"
    );
}

#[test]
fn s84_an_empty_source_is_a_mistake_not_a_state() {
    let dir = Dir::new("empty");
    let mut heard = watching(&[&dir.0]);
    assert!(
        heard
            .until("problem")
            .contains("no Pod, Namespace or NetworkPolicy")
    );
    dir.put("a.yaml", &pod("a"));
    heard.until("a");
    fs::remove_file(dir.path("a.yaml")).unwrap();
    assert!(
        heard
            .until("problem")
            .contains("no Pod, Namespace or NetworkPolicy")
    );
    dir.put("a.yaml", &pod("b"));
    heard.until("b");
}

#[test]
fn s84_a_missing_file_is_a_problem_until_it_is_there() {
    let dir = Dir::new("missing");
    let (one, two) = (dir.path("one.yaml"), dir.path("deep/er/two.txt"));
    dir.put("one.yaml", &pod("one"));
    let mut heard = watching(&[&one, &two]);
    assert!(heard.until("problem").contains("two.txt: no such file"));
    fs::create_dir_all(dir.path("deep/er")).unwrap();
    fs::write(&two, pod("two")).unwrap();
    heard.until("one two");
    fs::remove_file(&one).unwrap();
    heard.until("problem");
    dir.put("one.yaml", &pod("one-again"));
    heard.until("one-again two");
}

#[test]
fn two_changes_in_a_row_end_in_the_second() {
    let dir = Dir::new("two-quickly");
    dir.put("a.yaml", &pod("a0"));
    let mut heard = watching(&[&dir.0]);
    heard.until("a0");
    for round in 1..50 {
        dir.put("a.yaml", &pod("between"));
        dir.put("a.yaml", &pod(&format!("a{round}")));
        heard.until(&format!("a{round}"));
    }
}

#[test]
fn files_that_are_not_read_wake_nobody() {
    let dir = Dir::new("others");
    dir.put("a.yaml", &pod("a"));
    let mut heard = watching(&[&dir.0]);
    heard.until("a");
    let writer = fs::File::create(dir.path("notes.txt")).unwrap();
    fs::write(dir.path(".hidden.yaml"), "{").unwrap();
    fs::create_dir(dir.path("sub")).unwrap();
    fs::write(dir.path("sub/b.yaml"), pod("b")).unwrap();
    heard.until("well");
    drop(writer);
    heard.until("well");
    assert_eq!(heard.all(), ["a"]);
}

#[test]
fn dropping_the_handle_ends_the_watch() {
    let dir = Dir::new("drop");
    dir.put("a.yaml", &pod("a"));
    let mut heard = watching(&[&dir.0]);
    heard.until("a");
    let Heard {
        changes, _handle, ..
    } = heard;
    let start = Instant::now();
    drop(_handle);
    assert!(start.elapsed() < PATIENCE);
    while let Ok(change) = changes.try_recv() {
        assert!(!matches!(change, Change::Resync(_)));
    }
    assert_eq!(
        changes.recv().err().map(|_| ()),
        Some(()),
        "the sender is gone with its thread"
    );
}

#[test]
fn what_cannot_be_watched_is_refused_at_once() {
    let refused = |paths: &[&str]| {
        let paths = paths.iter().map(PathBuf::from).collect();
        watch(paths, |_| {}).unwrap_err().to_string()
    };
    assert!(refused(&[]).contains("-f"));
    assert!(refused(&["-"]).contains("cannot be watched"));
    assert!(refused(&["/dev/null"]).contains("cannot be watched"));
}
