//! curl in a container of the cluster: its words, and what it printed, read back out of `kubectl exec`.
//!
//! Deliberately absent: how the words get into the container.

use podwall_lab::{CurlResult, LabError, LabResult, Output};

use crate::demo::stage::{Answer, REQUEST};

#[cfg(test)]
mod tests;

/// The words that ask for `url`; curl keeps the time itself, so that what is measured is the request and not the way
/// into the container.
pub fn words(url: &str) -> Vec<String> {
    let limit = format!("{:.3}", REQUEST.as_secs_f64());
    let fixed = [
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
    fixed.map(str::to_owned).into()
}

/// The words that load `url` without an end, printing as it comes.
pub fn stream(url: &str) -> Vec<String> {
    let fixed = ["curl", "-q", "-sS", "-N", "--noproxy", "*", url];
    fixed.map(str::to_owned).into()
}

/// What came of [`words`].
///
/// # Errors
/// [`LabError::Tool`] where curl did not run to its end, which its own last line shows.
pub fn answer(output: Output) -> LabResult<Answer> {
    let Some((body, code, seconds)) = last_line(&output.stdout) else {
        return Err(LabError::Tool {
            command: "kubectl exec ... curl".to_owned(),
            status: output.status.to_string(),
            stderr: output.stderr,
        });
    };
    let own = output.stderr.lines().filter(|l| l.starts_with("curl:"));
    let curl = CurlResult {
        exit: output.status.code().unwrap_or(-1),
        http: Some(code).filter(|code| *code != 0),
        body: body.to_owned(),
        error: own.collect::<Vec<_>>().join("\n"),
        reset: output.stderr.contains("Connection reset by peer"),
        refused: output.stderr.contains("Connection refused"),
    };
    Ok(Answer {
        curl,
        milliseconds: seconds * 1e3,
    })
}

/// The body, and the HTTP code and the seconds that [`words`] make curl print at its end, failed or not.
fn last_line(stdout: &str) -> Option<(&str, u16, f64)> {
    let (body, last) = stdout.rsplit_once('\n')?;
    let (code, seconds) = last.split_once(' ')?;
    Some((body, code.parse().ok()?, seconds.parse().ok()?))
}
