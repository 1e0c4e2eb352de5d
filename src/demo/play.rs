//! One step: change the cluster, let every client ask on every port, read podwall's own word for it.

use std::time::{Duration, Instant};

use podwall_lab::{LabResult, Process, wait_until};
use serde_json::Value;

use super::script::{CLIENTS, PORTS, Step};
use super::show::{Played, Row};
use super::stage::{Name, REQUEST, Stage};

/// Plays `step`.
///
/// # Errors
/// Where the stage fails; an unexpected answer is a row, not an error.
pub fn step(stage: &mut dyn Stage, step: &Step) -> LabResult<Played> {
    stage.prepare(step)?;
    let mut rows = Vec::new();
    if let Some(client) = step.cut_stream_of {
        rows.push(cut_stream(stage, client)?);
    }
    for client in CLIENTS {
        for port in PORTS {
            rows.push(request(stage, client, port, step.admits(client, port))?);
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

fn request(stage: &dyn Stage, client: Name<'_>, port: u16, expect_page: bool) -> LabResult<Row> {
    let skip = stage.lines();
    let curl = stage.ask(client, port)?;
    let page = format!("port {port}");
    let seen = match (curl.exit, curl.http) {
        (0, Some(200)) if curl.body.contains(&page) => "200".to_owned(),
        (_, None) if curl.reset => "reset".to_owned(),
        (exit, _) => format!("curl exit {exit}: {}", curl.error),
    };
    let line = log_line(stage, skip, client, port, "connection")?;
    let expected = if expect_page { "200" } else { "reset" };
    Ok(row(
        client,
        format!("{port}/TCP"),
        expected,
        seen,
        &line,
        curl.time.map_or(f64::NAN, milliseconds),
    ))
}

/// A stream that is open and carries data when its right is taken away.
fn cut_stream(stage: &mut dyn Stage, client: Name<'_>) -> LabResult<Row> {
    let stream = stage.open_stream(client)?;
    let flowing = wait_until(REQUEST, || !stream.stdout_so_far().is_empty());
    let skip = stage.lines();
    let asked = Instant::now();
    stage.take_labels(client)?;
    let seen = if flowing {
        end_of(&stream)
    } else {
        "no data".to_owned()
    };
    let took = milliseconds(asked.elapsed());
    let line = log_line(stage, skip, client, 80, "revocation")?;
    Ok(row(
        client,
        "80/TCP stream".to_owned(),
        "cut",
        seen,
        &line,
        took,
    ))
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

fn row(
    client: Name<'_>,
    to: String,
    expected: &'static str,
    seen: String,
    line: &Value,
    milliseconds: f64,
) -> Row {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let verdict = if expected == "200" { "allow" } else { "deny" };
    Row {
        from: format!("{}/{}", client.0, client.1),
        to,
        expected,
        // What the client saw counts only as podwall's doing: by its own word.
        ok: seen == expected && line["verdict"] == verdict,
        seen,
        verdict: text(&line["verdict"]),
        reason: text(&line["reason"]),
        because: because(line),
        milliseconds,
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
