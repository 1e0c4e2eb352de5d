//! One real HTTP request by curl, from a pod, the node or a container. Reads the answer; judges nothing.

use std::time::Duration;

use crate::{Output, Place};

#[cfg(test)]
mod tests;

/// Time beside curl's own limit, for a machine under load.
const MARGIN: Duration = Duration::from_secs(10);

/// What curl saw.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CurlResult {
    /// curl's exit code: 0 done, 28 timed out; -1 where curl could not be run.
    pub exit: i32,
    /// The HTTP status, if an answer came.
    pub http: Option<u16>,
    /// The body.
    pub body: String,
    /// curl's own message, empty on success.
    pub error: String,
    /// Somebody answered with a reset, at whichever moment. One that comes right after the handshake
    /// may be reported as a failure to connect (exit 7), so the exit code alone does not tell.
    pub reset: bool,
    /// Nobody listens, or a rule refused the connection.
    pub refused: bool,
    /// How long the request took, by curl's own clock; none where curl did not run to its end.
    pub time: Option<Duration>,
}

impl Place {
    /// Asks `url` by curl and gives up after `max_time`. An IPv6 address stands in brackets.
    #[must_use]
    pub fn curl(&self, url: &str, max_time: Duration) -> CurlResult {
        let words = CurlResult::words(url, max_time);
        let command = self.command(&words[0]).args(&words[1..]);
        match command.run(max_time + MARGIN) {
            Ok(output) => CurlResult::read(&output),
            Err(error) => CurlResult {
                exit: -1,
                http: None,
                body: String::new(),
                error: error.to_string(),
                reset: false,
                refused: false,
                time: None,
            },
        }
    }
}

impl CurlResult {
    /// The command line that asks `url`, and prints what [`CurlResult::read`] reads.
    #[must_use]
    pub fn words(url: &str, max_time: Duration) -> Vec<String> {
        let limit = format!("{:.3}", max_time.as_secs_f64());
        let words = [
            "curl",
            "-q",
            "--silent",
            "--show-error",
            "--verbose",
            "--globoff",
            "--noproxy",
            "*",
            "--write-out",
            "\n%{http_code} %{time_total}",
            "--max-time",
            &limit,
            url,
        ];
        words.map(str::to_owned).into()
    }

    /// What came of [`CurlResult::words`], wherever they ran.
    #[must_use]
    pub fn read(output: &Output) -> Self {
        let last = last_line(&output.stdout);
        let (body, code) = last.map_or(("", 0), |(body, code, _)| (body, code));
        Self {
            exit: output.status.code().unwrap_or(-1),
            http: Some(code).filter(|code| *code != 0),
            body: body.to_owned(),
            error: message(&output.stderr),
            reset: output.stderr.contains("Connection reset by peer"),
            refused: output.stderr.contains("Connection refused"),
            time: last.map(|(_, _, time)| time),
        }
    }
}

/// The body, and what curl prints at its end, failed or not.
fn last_line(stdout: &str) -> Option<(&str, u16, Duration)> {
    let (body, last) = stdout.rsplit_once('\n')?;
    let (code, seconds) = last.split_once(' ')?;
    let time = Duration::try_from_secs_f64(seconds.parse().ok()?).ok()?;
    Some((body, code.parse().ok()?, time))
}

/// curl's own words among those of `--verbose`.
fn message(stderr: &str) -> String {
    let own = stderr.lines().filter(|line| line.starts_with("curl:"));
    own.collect::<Vec<_>>().join("\n")
}
