//! The figures as a table and as a picture: medians over the rounds, and ratios within each round.

use std::collections::HashMap;
use std::fmt::Write;

use comfy_table::Table;
use comfy_table::presets::ASCII_MARKDOWN;

use super::load::Value;

/// Everything measured.
#[derive(Default)]
pub struct Report {
    names: Vec<String>,
    values: HashMap<(&'static str, String), Vec<f64>>,
    memory: Option<(f64, f64, usize)>,
}

/// One line of the table.
struct Line {
    name: String,
    direct: Option<f64>,
    redirect: f64,
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

    /// Adds the sidecar's memory before and while connections are held, in bytes.
    pub fn memory(&mut self, idle: f64, held: f64, connections: usize) {
        self.memory = Some((idle, held, connections));
    }

    fn lines(&self) -> impl Iterator<Item = Line> {
        self.names.iter().map(|name| {
            let side = |side| {
                self.values
                    .get(&(side, name.clone()))
                    .cloned()
                    .unwrap_or_default()
            };
            let (direct, redirect) = (side("direct"), side("redirect"));
            let mut ratios: Vec<f64> = redirect
                .iter()
                .zip(&direct)
                .map(|(ours, theirs)| ours / theirs)
                .collect();
            ratios.sort_by(f64::total_cmp);
            let ratio = ratios
                .first()
                .zip(ratios.last())
                .map(|(low, high)| [*low, median(&ratios), *high]);
            Line {
                name: name.clone(),
                direct: (!direct.is_empty()).then(|| median(&direct)),
                redirect: median(&redirect),
                ratio,
            }
        })
    }

    /// The table, in Markdown.
    pub fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(ASCII_MARKDOWN);
        table.set_header([
            "figure",
            "direct",
            "redirect",
            "ratio",
            "ratio, lowest to highest round",
        ]);
        for line in self.lines() {
            table.add_row([
                line.name,
                line.direct
                    .map_or("-".to_owned(), |value| format!("{value:.0}")),
                format!("{:.0}", line.redirect),
                line.ratio
                    .map_or("-".to_owned(), |[_, middle, _]| format!("{middle:.2}")),
                line.ratio.map_or("-".to_owned(), |[low, _, high]| {
                    format!("{low:.2} to {high:.2}")
                }),
            ]);
        }
        let mut text = table.to_string();
        if let Some((idle, held, connections)) = self.memory {
            let each = (held - idle) / connections as f64;
            let _ = write!(
                text,
                "\n\nsidecar's anonymous memory: {:.1} MB before, {:.1} MB with {connections} idle connections held: {each:.0} bytes each",
                idle / 1e6,
                held / 1e6
            );
        }
        text
    }

    /// The ratios as bars; 1 is the direct connection. Readable in light and dark.
    pub fn svg(&self) -> String {
        let lines: Vec<(String, [f64; 3])> = self
            .lines()
            .filter_map(|line| line.ratio.map(|ratio| (line.name, ratio)))
            .collect();
        let widest = lines.iter().map(|(_, ratio)| ratio[2]).fold(1.0, f64::max);
        let (height, scale) = (70 + lines.len() * 26, 420.0 / widest);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 860 {height}\" font-family=\"system-ui, sans-serif\" font-size=\"13\" role=\"img\">\n\
             <title>podwall in mode redirect, as a ratio to a direct connection</title>\n\
             <style>text{{fill:#1c2733}}.bar{{fill:#3b7dd8}}.one{{stroke:#b3261e}}.range{{stroke:#1c2733}}\
             @media (prefers-color-scheme: dark){{text{{fill:#e6edf3}}.bar{{fill:#6aa5ff}}.one{{stroke:#ff7b72}}.range{{stroke:#e6edf3}}}}</style>\n\
             <text x=\"10\" y=\"22\" font-size=\"15\" font-weight=\"600\">podwall, mode redirect: ratio to a direct connection</text>\n\
             <text x=\"10\" y=\"40\">bar: median of the rounds; line: lowest to highest round; red: no difference; of /s more is better, of us less</text>\n"
        );
        for (at, (name, [low, middle, high])) in lines.iter().enumerate() {
            let y = 54 + at * 26;
            let _ = writeln!(
                svg,
                "<text x=\"10\" y=\"{}\">{name}</text><rect class=\"bar\" x=\"360\" y=\"{y}\" width=\"{:.1}\" height=\"16\"/>\
                 <line class=\"range\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{}\" y2=\"{}\"/><text x=\"{:.1}\" y=\"{}\">{middle:.2}</text>",
                y + 13,
                middle * scale,
                360.0 + low * scale,
                360.0 + high * scale,
                y + 8,
                y + 8,
                368.0 + high * scale,
                y + 13,
            );
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

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
