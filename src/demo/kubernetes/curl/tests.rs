#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use super::*;

fn ended(code: i32, stdout: &str, stderr: &str) -> LabResult<Answer> {
    answer(Output {
        status: ExitStatus::from_raw(code << 8),
        stdout: stdout.to_owned(),
        stderr: stderr.to_owned(),
    })
}

#[test]
fn a_page_has_its_body_and_the_requests_own_time() {
    let answer = ended(0, "hello\nport 80\n\n200 0.0042", "* Trying\n").unwrap();
    assert_eq!(answer.curl.body, "hello\nport 80\n");
    assert_eq!((answer.curl.exit, answer.curl.http), (0, Some(200)));
    assert!((answer.milliseconds - 4.2).abs() < 1e-9);
}

#[test]
fn a_reset_is_curls_word_and_not_kubectls() {
    let stderr = "* Recv failure: Connection reset by peer\ncurl: (56) Recv failure: Connection reset by peer\n\
                  command terminated with exit code 56\n";
    let answer = ended(56, "\n000 0.0007", stderr).unwrap();
    assert_eq!((answer.curl.exit, answer.curl.http), (56, None));
    assert!(answer.curl.reset && !answer.curl.refused);
    assert_eq!(
        answer.curl.error,
        "curl: (56) Recv failure: Connection reset by peer"
    );
}

#[test]
fn what_never_ran_is_an_error_and_no_answer() {
    let said = "Error from server (NotFound): pods \"app1\" not found\n";
    let error = ended(1, "", said).unwrap_err();
    assert!(error.to_string().contains("not found"), "{error}");
}
