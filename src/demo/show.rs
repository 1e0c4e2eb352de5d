//! How the demo looks: a table for people, JSON for programs.
//!
//! May enter: what was played. Deliberately absent: any judgement but "as expected or not".

use std::io::Write;

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{ContentArrangement, Table};
use serde::Serialize;

/// One request, or one stream, and what came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Who asked: `namespace/pod`.
    pub from: String,
    /// What was asked for: `80/TCP`, or `80/TCP stream`.
    pub to: String,
    /// `200`; `reset` (mode redirect) or `refused` (mode queue); `cut`.
    pub expected: &'static str,
    /// The same words, or what happened instead.
    pub seen: String,
    /// Whether the two agree.
    pub ok: bool,
    /// The address that app2 sees as its client's, where it answered: its own in mode redirect, the client's in mode
    /// queue.
    pub app2_sees: Option<String>,
    /// podwall's own word, from its access log.
    pub verdict: String,
    /// Its reason.
    pub reason: String,
    /// The deciding policy and rule, or the nearest miss.
    pub because: String,
    /// What the client waited, in milliseconds.
    pub milliseconds: f64,
}

/// One step with its rows.
#[derive(Clone, Debug, Serialize)]
pub struct Played {
    /// `a` to `e`.
    pub id: &'static str,
    /// What it is about.
    pub title: &'static str,
    /// What was changed.
    pub change: &'static str,
    /// The manifest that was applied, if any.
    pub manifest: Option<&'static str>,
    /// The requests.
    pub rows: Vec<Row>,
    /// What to see in it.
    pub lesson: &'static str,
}

/// The whole demo; `version` changes when a field changes its meaning.
#[derive(Debug, Serialize)]
pub struct Report<'p> {
    /// The version of this form.
    pub version: u32,
    /// Through which data path.
    pub mode: &'static str,
    /// What the pods ran on: `lab` or `kubernetes`.
    pub platform: &'static str,
    /// Whether every row is as expected.
    pub ok: bool,
    /// From the first pod to the last row, in seconds.
    pub seconds: f64,
    /// The steps.
    pub steps: &'p [Played],
}

/// One step for people.
///
/// # Errors
/// Where `out` cannot be written.
pub fn step(out: &mut impl Write, played: &Played) -> std::io::Result<()> {
    writeln!(out, "\n{}. {}", played.id, played.title)?;
    writeln!(out, "   {}", played.change)?;
    if let Some(manifest) = played.manifest {
        writeln!(out, "   {manifest}")?;
    }
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(terminal_width());
    table.set_header([
        "who",
        "to app2",
        "expected",
        "seen",
        "app2 sees",
        "decided by",
        "ms",
    ]);
    for row in &played.rows {
        table.add_row([
            row.from.clone(),
            row.to.clone(),
            row.expected.to_owned(),
            seen(row),
            row.app2_sees.clone().unwrap_or_default(),
            row.because.clone(),
            format!("{:.1}", row.milliseconds),
        ]);
    }
    writeln!(out, "{table}")?;
    writeln!(out, "   {}", played.lesson)
}

/// The table's width: `COLUMNS` where the shell exports it, else 132 characters.
fn terminal_width() -> u16 {
    let told = std::env::var("COLUMNS")
        .ok()
        .and_then(|text| text.parse().ok());
    told.unwrap_or(132).clamp(100, 200)
}

/// What was seen, and whether it is what was expected.
fn seen(row: &Row) -> String {
    let mark = if row.ok {
        "\u{2713}"
    } else {
        "! NOT as expected"
    };
    format!("{} {mark}", row.seen)
}

/// The last line.
///
/// # Errors
/// Where `out` cannot be written.
pub fn sum(out: &mut impl Write, report: &Report<'_>) -> std::io::Result<()> {
    let rows = report.steps.iter().flat_map(|step| &step.rows);
    let (good, bad) = rows.fold((0, 0), |(good, bad), row| {
        if row.ok {
            (good + 1, bad)
        } else {
            (good, bad + 1)
        }
    });
    let (mode, seconds) = (report.mode, report.seconds);
    if bad == 0 {
        return writeln!(
            out,
            "\nAll {good} rows are as expected in mode {mode}, in {seconds:.1} s."
        );
    }
    writeln!(
        out,
        "\n{bad} of {} rows are NOT as expected in mode {mode} (marked with !), in {seconds:.1} s.",
        good + bad
    )
}

/// The whole demo for programs.
///
/// # Errors
/// Where `out` cannot be written.
pub fn json(out: &mut impl Write, report: &Report<'_>) -> std::io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, report)?;
    writeln!(out)
}
