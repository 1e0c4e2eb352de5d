//! The figures as a table and as a picture: medians over the rounds, and ratios within each round.

use std::collections::HashMap;
use std::fmt::Write;

use comfy_table::Table;
use comfy_table::presets::ASCII_MARKDOWN;

use super::load::Value;

/// The sides: no podwall, a bare loop behind the barest rules and behind those of mode queue, and podwall in either mode.
pub const DIRECT: &str = "direct";
pub const BARE: &str = "bare queue";
pub const BARE_RULES: &str = "bare queue, rules of mode queue";
pub const REDIRECT: &str = "redirect";
pub const QUEUE: &str = "queue";

/// Those that are compared with the direct one, in the order of the columns.
const COMPARED: [&str; 4] = [REDIRECT, QUEUE, BARE_RULES, BARE];

/// Everything measured.
#[derive(Default)]
pub struct Report {
    names: Vec<String>,
    values: HashMap<(&'static str, String), Vec<f64>>,
    memory: Vec<Memory>,
}

/// A sidecar's memory before and while connections are held, in bytes.
struct Memory {
    side: &'static str,
    idle: f64,
    held: f64,
    connections: usize,
}

/// One side's part of a line.
struct Part {
    median: f64,
    /// Lowest, median and highest ratio of a round.
    ratio: Option<[f64; 3]>,
}

impl Report {
    /// Adds what one side gave in one round.
    pub fn add(&mut self, side: &'static str, values: Vec<Value>) {
        for one in values {
            if !self.names.contains(&one.name) {
                self.names.push(one.name.clone());
            }
            self.values
                .entry((side, one.name))
                .or_default()
                .push(one.value);
        }
    }

    /// Adds a sidecar's memory before and while connections are held, in bytes.
    pub fn memory(&mut self, side: &'static str, idle: f64, held: f64, connections: usize) {
        self.memory.push(Memory {
            side,
            idle,
            held,
            connections,
        });
    }

    fn values(&self, side: &'static str, name: &str) -> &[f64] {
        self.values
            .get(&(side, name.to_owned()))
            .map_or(&[], Vec::as_slice)
    }

    /// What `side` gave for the figure `name`, if it gave any.
    fn part(&self, side: &'static str, name: &str) -> Option<Part> {
        let (ours, direct) = (self.values(side, name), self.values(DIRECT, name));
        let mut ratios: Vec<f64> = ours.iter().zip(direct).map(|(a, b)| a / b).collect();
        ratios.sort_by(f64::total_cmp);
        let ends = ratios.first().zip(ratios.last());
        (!ours.is_empty()).then(|| Part {
            median: median(ours),
            ratio: ends.map(|(low, high)| [*low, median(&ratios), *high]),
        })
    }

    /// The table, in Markdown: the direct value, then each side's value, ratio and the range of its ratios.
    pub fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(ASCII_MARKDOWN);
        let mut header = vec!["figure".to_owned(), DIRECT.to_owned()];
        header.extend(COMPARED.map(|side| format!("{side}: value, ratio (lowest to highest)")));
        table.set_header(header);
        for name in &self.names {
            let direct = self.part(DIRECT, name);
            let mut row = vec![
                name.clone(),
                direct.map_or("-".to_owned(), |part| format!("{:.0}", part.median)),
            ];
            row.extend(COMPARED.map(|side| cell(self.part(side, name).as_ref())));
            table.add_row(row);
        }
        let mut text = table.to_string();
        for Memory {
            side,
            idle,
            held,
            connections,
        } in &self.memory
        {
            let each = (held - idle) / *connections as f64;
            let _ = write!(
                text,
                "\n\n{side}: sidecar's anonymous memory {:.1} MB before, {:.1} MB with {connections} idle connections held: {each:.0} bytes each",
                idle / 1e6,
                held / 1e6
            );
        }
        text
    }

    /// The ratios as bars, one for each mode; 1 is the direct connection. Readable in light and dark.
    pub fn svg(&self) -> String {
        let ratio = |side, name: &String| self.part(side, name).and_then(|part| part.ratio);
        let lines: Vec<(&String, [f64; 3], [f64; 3])> = self
            .names
            .iter()
            .filter_map(|name| Some((name, ratio(REDIRECT, name)?, ratio(QUEUE, name)?)))
            .collect();
        let highs = lines.iter().flat_map(|(_, a, b)| [a[2], b[2]]);
        let widest = highs.fold(1.0, f64::max);
        let (height, scale) = (70 + lines.len() * 44, 420.0 / widest);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 860 {height}\" font-family=\"system-ui, sans-serif\" font-size=\"13\" role=\"img\">\n\
             <title>podwall in both modes, as a ratio to a direct connection</title>\n\
             <style>text{{fill:#1c2733}}.redirect{{fill:#3b7dd8}}.queue{{fill:#2f9e6e}}.one{{stroke:#b3261e}}.range{{stroke:#1c2733}}\
             @media (prefers-color-scheme: dark){{text{{fill:#e6edf3}}.redirect{{fill:#6aa5ff}}.queue{{fill:#57d39b}}.one{{stroke:#ff7b72}}.range{{stroke:#e6edf3}}}}</style>\n\
             <text x=\"10\" y=\"22\" font-size=\"15\" font-weight=\"600\">podwall: ratio to a direct connection; blue: mode redirect, green: mode queue</text>\n\
             <text x=\"10\" y=\"40\">bar: median of the rounds; line: lowest to highest round; red: no difference; of /s more is better, of us less</text>\n"
        );
        for (at, (name, redirect, queue)) in lines.iter().enumerate() {
            let y = 54 + at * 44;
            let _ = writeln!(svg, "<text x=\"10\" y=\"{}\">{name}</text>", y + 22);
            for (class, at, [low, middle, high]) in
                [("redirect", y, redirect), ("queue", y + 18, queue)]
            {
                let _ = writeln!(
                    svg,
                    "<rect class=\"{class}\" x=\"360\" y=\"{at}\" width=\"{:.1}\" height=\"16\"/>\
                     <line class=\"range\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{}\" y2=\"{}\"/><text x=\"{:.1}\" y=\"{}\">{middle:.2}</text>",
                    middle * scale,
                    360.0 + low * scale,
                    360.0 + high * scale,
                    at + 8,
                    at + 8,
                    368.0 + high * scale,
                    at + 13,
                );
            }
        }
        let one = 360.0 + scale;
        let _ = writeln!(
            svg,
            "<line class=\"one\" x1=\"{one:.1}\" x2=\"{one:.1}\" y1=\"48\" y2=\"{}\"/>\n</svg>",
            height - 10
        );
        svg
    }
}

fn cell(part: Option<&Part>) -> String {
    match part {
        None => "-".to_owned(),
        Some(Part {
            median,
            ratio: None,
        }) => format!("{median:.0}"),
        Some(Part {
            median,
            ratio: Some([low, middle, high]),
        }) => format!("{median:.0}, {middle:.2} ({low:.2} to {high:.2})"),
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
