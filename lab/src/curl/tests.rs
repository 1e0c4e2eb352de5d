#![allow(clippy::unwrap_used)]

use std::{os::unix::process::ExitStatusExt, process::ExitStatus};

use super::*;

fn read(code: i32, stdout: &str, stderr: &str) -> CurlResult {
    CurlResult::read(&Output {
        status: ExitStatus::from_raw(code << 8),
        stdout: stdout.to_owned(),
        stderr: stderr.to_owned(),
    })
}

#[test]
fn a_page_has_its_body_and_the_requests_own_time() {
    let curl = read(0, "hello\nport 80\n\n200 0.0042", "* Trying\n");
    assert_eq!(curl.body, "hello\nport 80\n");
    assert_eq!((curl.exit, curl.http), (0, Some(200)));
    assert_eq!(curl.time, Some(Duration::from_micros(4200)));
}

#[test]
fn a_reset_is_curls_word_and_not_that_of_whoever_ran_it() {
    let stderr = "* Recv failure: Connection reset by peer\ncurl: (56) Recv failure: Connection reset by peer\n\
                  command terminated with exit code 56\n";
    let curl = read(56, "\n000 0.0007", stderr);
    assert_eq!((curl.exit, curl.http), (56, None));
    assert!(curl.reset && !curl.refused && curl.time.is_some());
    assert_eq!(
        curl.error,
        "curl: (56) Recv failure: Connection reset by peer"
    );
}

#[test]
fn what_never_ran_took_no_time() {
    let said = "Error from server (NotFound): pods \"app1\" not found\n";
    let curl = read(1, "", said);
    assert_eq!((curl.http, curl.time), (None, None));
}
