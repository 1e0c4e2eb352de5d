//! One step: change the cluster, let every client ask on every port, read podwall's own word for it.

use std::time::{Duration, Instant};

use podwall_lab::{LabError, LabResult, Pod, Process};
use serde_json::Value;

use super::script::{CLIENTS, PORTS, SUBJECT, Step};
use super::show::{Played, Row};
use super::stage::Stage;

/// Bound on one request; a reset takes a millisecond, so whoever waits this long was dropped.
const REQUEST: Duration = Duration::from_secs(5);

/// The lab's exit code for a curl that could not be run.
const NOT_RUN: i32 = -1;

/// Plays `step`.
///
/// # Errors
/// Where the lab fails; an unexpected answer is a row, not an error.
pub fn step(stage: &mut Stage, step: &Step) -> LabResult<Played> {
    stage.change(|lab| {
        lab.set_policies_yaml(step.policies.map_or("", |policies| policies.yaml))?;
        if let Some((namespace, key, value)) = step.namespace_label {
            lab.namespace(namespace, &[(key, value)])?;
        }
        Ok(())
    })?;
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

fn request(stage: &Stage, client: (&str, &str), port: u16, expect_page: bool) -> LabResult<Row> {
    let (pod, app2) = (stage.pod(client)?, stage.pod(SUBJECT)?);
    let skip = stage.sidecar.log().len();
    let asked = Instant::now();
    let answer = pod.curl(&format!("http://{}:{port}/", app2.v4()), REQUEST);
    let milliseconds = asked.elapsed().as_secs_f64() * 1e3;
    if answer.exit == NOT_RUN {
        return Err(LabError::Io {
            what: "run curl".to_owned(),
            source: std::io::Error::other(answer.error),
        });
    }
    let page = format!("port {port}");
    let seen = match (answer.exit, answer.http) {
        (0, Some(200)) if answer.body.contains(&page) => "200".to_owned(),
        (_, None) if answer.reset => "reset".to_owned(),
        (exit, _) => format!("curl exit {exit}: {}", answer.error),
    };
    let line = log_line(stage, skip, &pod, port, "connection")?;
    let expected = if expect_page { "200" } else { "reset" };
    Ok(row(
        client,
        format!("{port}/TCP"),
        expected,
        seen,
        &line,
        milliseconds,
    ))
}

/// A stream that is open and carries data when its right is taken away.
fn cut_stream(stage: &mut Stage, client: (&str, &str)) -> LabResult<Row> {
    let (pod, app2) = (stage.pod(client)?, stage.pod(SUBJECT)?);
    let stream = pod
        .command("curl")
        .args(["-q", "-sS", "-N", "--noproxy", "*"])
        .arg(format!("http://{}:80/slow", app2.v4()))
        .spawn()?;
    let flowing = podwall_lab::wait_until(REQUEST, || !stream.stdout_so_far().is_empty());
    let skip = stage.sidecar.log().len();
    let asked = Instant::now();
    stage.change(|lab| lab.relabel(client.0, client.1, &[]))?;
    let seen = if flowing {
        end_of(&stream)
    } else {
        "no data".to_owned()
    };
    let milliseconds = asked.elapsed().as_secs_f64() * 1e3;
    let line = log_line(stage, skip, &pod, 80, "revocation")?;
    Ok(row(
        client,
        "80/TCP stream".to_owned(),
        "cut",
        seen,
        &line,
        milliseconds,
    ))
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
fn log_line(stage: &Stage, skip: usize, client: &Pod, port: u16, kind: &str) -> LabResult<Value> {
    let source = client.v4().to_string();
    let wanted = |line: &Value| {
        line["kind"] == kind
            && line["source"] == source.as_str()
            && line["destination_port"] == port
    };
    match stage.sidecar.wait_log(skip, wanted, REQUEST) {
        Err(LabError::Timeout { .. }) if stage.sidecar.process().status().is_none() => {
            Ok(Value::Null)
        }
        found => found,
    }
}

fn row(
    client: (&str, &str),
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
