//! One step: change the cluster, let every client ask on every port, read podwall's own word for it.

use std::time::{Duration, Instant};

use podwall_lab::{CurlResult, LabResult, Mode, Process, wait_until};
use serde_json::Value;

use super::script::{CLIENTS, PORTS, SUBJECT, Step};
use super::show::{Played, Row};
use super::stage::{Name, REQUEST, Stage};

/// Plays `step` with podwall in `mode`.
///
/// # Errors
/// Where the stage fails; an unexpected answer is a row, not an error.
pub fn step(stage: &mut dyn Stage, mode: Mode, step: &Step) -> LabResult<Played> {
    stage.prepare(step)?;
    let mut rows = Vec::new();
    if let Some(client) = step.cut_stream_of {
        rows.push(cut_stream(stage, mode, client)?);
    }
    for client in CLIENTS {
        for port in PORTS {
            let wish = Wish::new(stage, mode, client, step.admits(client, port))?;
            rows.push(request(stage, &wish, client, port)?);
        }
    }
    Ok(Played {
        id: step.id,
        title: step.title,
        change: step.change,
        manifest: step.policies.map(|policies| policies.file),
        rows,
        lesson: step.lesson,
    })
}

/// What a request should come to.
struct Wish {
    mode: Mode,
    /// `200`, `reset`, `refused` or `cut`.
    seen: &'static str,
    /// Whom app2 takes the client for, where it hears of it.
    client: Option<String>,
}

impl Wish {
    fn new(stage: &dyn Stage, mode: Mode, client: Name<'_>, gets_in: bool) -> LabResult<Self> {
        let seen = match (gets_in, mode) {
            (true, _) => "200",
            (false, Mode::Redirect) => "reset",
            (false, Mode::Queue) => "refused",
        };
        // The relay connects from the pod's own address; the kernel leaves the client's where it is.
        let as_whom = match mode {
            Mode::Redirect => SUBJECT,
            Mode::Queue => client,
        };
        let address = stage.address(as_whom)?.to_string();
        Ok(Self {
            mode,
            seen,
            client: gets_in.then_some(address),
        })
    }

    fn verdict(&self) -> &'static str {
        match self.seen {
            "200" => "allow",
            _ => "deny",
        }
    }
}

fn request(stage: &dyn Stage, wish: &Wish, client: Name<'_>, port: u16) -> LabResult<Row> {
    let skip = stage.lines();
    let curl = stage.ask(client, port)?;
    let line = log_line(stage, skip, client, port, "connection")?;
    let saw = Saw {
        seen: seen(&curl, port),
        client: as_whom(&curl),
        milliseconds: curl.time.map_or(f64::NAN, milliseconds),
    };
    Ok(row(wish, client, format!("{port}/TCP"), saw, &line))
}

/// What came of a request.
struct Saw {
    seen: String,
    client: Option<String>,
    milliseconds: f64,
}

fn seen(curl: &CurlResult, port: u16) -> String {
    let page = format!("port {port}\n");
    match (curl.exit, curl.http) {
        (0, Some(200)) if curl.body.contains(&page) => "200".to_owned(),
        (_, None) if curl.reset => "reset".to_owned(),
        (_, None) if curl.refused => "refused".to_owned(),
        (exit, _) => format!("curl exit {exit}: {}", curl.error),
    }
}

/// Whom app2 took its client for, by its own word.
fn as_whom(curl: &CurlResult) -> Option<String> {
    let said = curl
        .body
        .lines()
        .find_map(|line| line.strip_prefix("client "));
    said.map(str::to_owned)
}

/// A stream that is open and carries data when its right is taken away.
fn cut_stream(stage: &mut dyn Stage, mode: Mode, client: Name<'_>) -> LabResult<Row> {
    let stream = stage.open_stream(client)?;
    let flowing = wait_until(REQUEST, || !stream.stdout_so_far().is_empty());
    let skip = stage.lines();
    let asked = Instant::now();
    stage.take_labels(client)?;
    let seen = match flowing {
        true => end_of(&stream),
        false => "no data".to_owned(),
    };
    let milliseconds = milliseconds(asked.elapsed());
    let line = log_line(stage, skip, client, 80, "revocation")?;
    let wish = Wish {
        mode,
        seen: "cut",
        client: None,
    };
    let saw = Saw {
        seen,
        client: None,
        milliseconds,
    };
    Ok(row(&wish, client, "80/TCP stream".to_owned(), saw, &line))
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// How curl's stream ended: `cut` is a reset while it was carrying data.
fn end_of(stream: &Process) -> String {
    let Ok(status) = stream.wait(REQUEST) else {
        return "still open".to_owned();
    };
    let error = stream.stderr_so_far();
    match status.code() {
        Some(56) if error.contains("reset") => "cut".to_owned(),
        code => format!("curl exit {code:?}: {}", error.trim()),
    }
}

/// podwall's line for this client and port, null where it has none. The source's port does not count:
/// the kernel may rewrite it on the way.
fn log_line(
    stage: &dyn Stage,
    skip: usize,
    client: Name<'_>,
    port: u16,
    kind: &str,
) -> LabResult<Value> {
    let source = stage.address(client)?.to_string();
    let wanted = |line: &Value| {
        line["kind"] == kind
            && line["source"] == source.as_str()
            && line["destination_port"] == port
    };
    Ok(stage.line(skip, &wanted)?.unwrap_or(Value::Null))
}

fn row(wish: &Wish, client: Name<'_>, to: String, saw: Saw, line: &Value) -> Row {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Row {
        from: format!("{}/{}", client.0, client.1),
        to,
        expected: wish.seen,
        // What the client saw counts only as podwall's doing: by its own word.
        ok: saw.seen == wish.seen
            && saw.client == wish.client
            && line["verdict"] == wish.verdict()
            && line["mode"] == wish.mode.word(),
        seen: saw.seen,
        app2_sees: saw.client,
        verdict: text(&line["verdict"]),
        reason: text(&line["reason"]),
        because: because(line),
        milliseconds: saw.milliseconds,
    }
}

/// The deciding policy and rule, or the nearest miss, or the bare reason.
fn because(line: &Value) -> String {
    let rule = |object: &Value| match (object["policy"].as_str(), object["rule"].as_u64()) {
        (Some(policy), Some(rule)) => Some(format!("{policy} rule {rule}")),
        (Some(policy), None) => Some(policy.to_owned()),
        (None, _) => None,
    };
    let reason = line["reason"]
        .as_str()
        .unwrap_or("podwall's log says nothing of it: it did not pass podwall");
    if let Some(admitted) = rule(line) {
        return admitted;
    }
    match (
        rule(&line["nearest_miss"]),
        line["nearest_miss"]["detail"].as_str(),
    ) {
        (Some(miss), Some(detail)) => format!("{miss}: {detail}"),
        _ => reason.to_owned(),
    }
}
