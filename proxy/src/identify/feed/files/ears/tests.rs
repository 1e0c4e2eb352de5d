//! What is heard at once, by events alone: the slow poll must not hide a deaf ear.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;

use rustix::event::{EventfdFlags, eventfd};

use super::super::tests::Dir;
use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

/// Long enough for an event that is there to be read: it is queued before the write returns.
const AT_ONCE: Duration = Duration::ZERO;

fn ears(paths: &[PathBuf]) -> Ears {
    let stop = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).unwrap();
    let mut ears = Ears::new(Arc::new(stop)).unwrap();
    ears.arm(paths);
    ears
}

/// Each act is heard, on a file of `path` or the directory itself.
#[track_caller]
fn check_heard(paths: &[PathBuf], act: impl FnOnce()) {
    let mut ears = ears(paths);
    assert_eq!(ears.wait(AT_ONCE), Heard::Nothing);
    act();
    assert_eq!(ears.wait(PATIENCE), Heard::Something);
}

#[test]
fn every_way_to_change_a_directory_is_heard() {
    let dir = Dir::new("ears-dir");
    let all = [dir.0.clone()];
    check_heard(&all, || fs::write(dir.path("a.yaml"), "").unwrap());
    check_heard(&all, || fs::write(dir.path("a.yaml"), "x").unwrap());
    check_heard(&all, || {
        fs::rename(dir.path("a.yaml"), dir.path("a.txt")).unwrap()
    });
    check_heard(&all, || {
        fs::rename(dir.path("a.txt"), dir.path("a.yaml")).unwrap()
    });
    check_heard(&all, || symlink("a.yaml", dir.path("b.yaml")).unwrap());
    check_heard(&all, || fs::remove_file(dir.path("b.yaml")).unwrap());
    check_heard(&all, || {
        fs::hard_link(dir.path("a.yaml"), dir.path("c.json")).unwrap()
    });
    symlink(".", dir.path("..data_tmp")).unwrap();
    check_heard(&all, || {
        fs::rename(dir.path("..data_tmp"), dir.path("..data")).unwrap()
    });
    let moved = dir.0.with_extension("moved");
    check_heard(&all, || fs::rename(&dir.0, &moved).unwrap());
    check_heard(&all, || fs::rename(&moved, &dir.0).unwrap());
    check_heard(&all, || fs::remove_dir_all(&dir.0).unwrap());
}

#[test]
fn every_way_to_change_one_file_is_heard() {
    let dir = Dir::new("ears-file");
    let one = [dir.path("state")];
    check_heard(&one, || fs::write(dir.path("state"), "x").unwrap());
    check_heard(&one, || dir.put("state", "y"));
    check_heard(&one, || fs::remove_file(dir.path("state")).unwrap());
    fs::write(dir.path("target"), "z").unwrap();
    check_heard(&one, || symlink("target", dir.path("state")).unwrap());
    check_heard(&one, || fs::write(dir.path("target"), "zz").unwrap());
}

#[test]
fn what_is_not_read_is_not_heard() {
    let dir = Dir::new("ears-others");
    let mut all = ears(std::slice::from_ref(&dir.0));
    let mut one = ears(&[dir.path("state")]);
    dir.put("notes.txt", "x");
    fs::create_dir(dir.path("sub")).unwrap();
    fs::write(dir.path(".hidden.yaml"), "x").unwrap();
    assert_eq!(
        (all.wait(AT_ONCE), one.wait(AT_ONCE)),
        (Heard::Nothing, Heard::Nothing)
    );
}

#[test]
fn a_file_is_being_written_from_its_opening_to_its_closing() {
    let dir = Dir::new("ears-writing");
    fs::write(dir.path("a.yaml"), "x").unwrap();
    let mut ears = ears(std::slice::from_ref(&dir.0));
    let mut writing = |expected: Option<&str>| {
        let _ = ears.wait(AT_ONCE);
        let now = ears.being_written().and_then(Path::file_name);
        assert_eq!(now, expected.map(OsStr::new));
    };
    let truncated = File::create(dir.path("a.yaml")).unwrap();
    writing(Some("a.yaml"));
    drop(truncated);
    writing(None);
    let mut created = File::create(dir.path("b.yaml")).unwrap();
    writing(Some("b.yaml"));
    created.write_all(b"x").unwrap();
    writing(Some("b.yaml"));
    fs::rename(dir.path("b.yaml"), dir.path("b.txt")).unwrap();
    writing(None);
    symlink("a.yaml", dir.path("c.yaml")).unwrap();
    fs::hard_link(dir.path("a.yaml"), dir.path("d.yaml")).unwrap();
    writing(None);
}

#[test]
fn a_wait_ends_when_the_watch_is_to_end() {
    let dir = Dir::new("ears-stop");
    let mut ears = ears(std::slice::from_ref(&dir.0));
    rustix::io::write(&ears.stop, &1u64.to_ne_bytes()).unwrap();
    assert_eq!(ears.wait(PATIENCE), Heard::Stop);
}
