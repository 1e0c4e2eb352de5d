//! One real HTTP request by curl, from a pod or the node. Reads the answer; judges nothing.

use std::time::Duration;

use crate::Place;

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
}

impl Place {
    /// Asks `url` by curl and gives up after `max_time`. An IPv6 address stands in brackets.
    #[must_use]
    pub fn curl(&self, url: &str, max_time: Duration) -> CurlResult {
        let command = self
            .command("curl")
            .args([
                "-q",
                "--silent",
                "--show-error",
                "--verbose",
                "--globoff",
                "--noproxy",
                "*",
                "--write-out",
                "\n%{http_code}",
            ])
            .args(["--max-time", &format!("{:.3}", max_time.as_secs_f64()), url]);
        // curl keeps its own time; the margin is for a machine under load.
        let output = match command.run(max_time + Duration::from_secs(10)) {
            Ok(output) => output,
            Err(error) => {
                return CurlResult {
                    exit: -1,
                    http: None,
                    body: String::new(),
                    error: error.to_string(),
                    reset: false,
                    refused: false,
                };
            }
        };
        let (body, code) = output.stdout.rsplit_once('\n').unwrap_or(("", ""));
        CurlResult {
            exit: output.status.code().unwrap_or(-1),
            http: code.parse().ok().filter(|code| *code != 0),
            body: body.to_owned(),
            error: message(&output.stderr),
            reset: output.stderr.contains("Connection reset by peer"),
            refused: output.stderr.contains("Connection refused"),
        }
    }
}

/// curl's own words among those of `--verbose`.
fn message(stderr: &str) -> String {
    let own = stderr.lines().filter(|line| line.starts_with("curl:"));
    own.collect::<Vec<_>>().join("\n")
}
