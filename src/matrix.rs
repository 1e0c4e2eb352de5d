//! `podwall matrix`: every ordered pair of different pods that run, on every port asked for.

use std::io::{BufWriter, Write};
use std::process::ExitCode;

use clap::ValueEnum;
use comfy_table::Table as TextTable;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use podwall_policy::cluster::Cluster;
use podwall_policy::object::{Phase, Pod};
use serde::Serialize;
use serde::ser::{SerializeMap, SerializeSeq, Serializer};

use crate::failure::{Outcome, told};
use crate::offline::say_uncarried;
use crate::port::Port;
use crate::source::SourceFlags;

mod grid;
use grid::Grid;

/// Say for every pair of pods what is allowed.
///
/// Every ordered pair of different pods that run, by their first address, sorted by source,
/// destination and port. hostNetwork pods are left out and listed on stderr.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 done, 2 bad input, 3 the cluster does not answer or refuses."
)]
pub struct Args {
    /// A port of the destination pods, such as 80/TCP; repeatable
    #[arg(long = "port", value_name = "PORT/PROTOCOL", required = true)]
    ports: Vec<Port>,
    /// How to print
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
    // Last: what follows it would stand under its heading.
    #[command(flatten)]
    source: SourceFlags,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    /// For people: a grid for each port
    Table,
    /// For programs; versioned
    Json,
    /// For spreadsheets
    Csv,
}

/// One flow as it is printed.
#[derive(Debug, Serialize)]
struct Row<'a> {
    from: &'a str,
    to: &'a str,
    port: &'a str,
    ingress: &'static str,
    egress: &'static str,
    verdict: &'static str,
}

/// Runs the command.
///
/// # Errors
/// Bad input of any kind, or a cluster that does not tell.
pub fn run(args: &Args) -> Outcome {
    let cluster = args.source.read()?.cluster;
    let pods = running(&cluster);
    let mut ports = args.ports.clone();
    ports.sort_unstable_by_key(|port| (port.to_string(), *port));
    ports.dedup();
    say_uncarried(&ports);
    let view = View {
        grid: Grid::of(&cluster, &pods, &ports),
        pods: pods.iter().map(|pod| pod.name.to_string()).collect(),
        ports: ports.iter().map(Port::to_string).collect(),
    };
    let mut out = BufWriter::new(std::io::stdout().lock());
    let written = match args.output {
        Output::Table => view.table(&mut out),
        Output::Json => view.json(&mut out),
        Output::Csv => view.csv(&mut out),
    };
    told(written.and_then(|()| out.flush()))?;
    Ok(ExitCode::SUCCESS)
}

/// The pods that run and have a network of their own, sorted by name as it is printed.
fn running(cluster: &Cluster) -> Vec<&Pod> {
    let alive = |pod: &&Pod| matches!(pod.phase, None | Some(Phase::Running));
    let (host, mut pods): (Vec<&Pod>, Vec<&Pod>) = cluster
        .pods()
        .filter(alive)
        .partition(|pod| pod.host_network);
    for pod in host {
        eprintln!(
            "left out: {} is a hostNetwork pod; NetworkPolicy does not define what applies to it",
            pod.name
        );
    }
    pods.sort_by_cached_key(|pod| pod.name.to_string());
    pods
}

/// The answers with the names that go with them.
struct View {
    grid: Grid,
    pods: Vec<String>,
    ports: Vec<String>,
}

impl View {
    /// Every flow in the order promised.
    fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        let (pods, ports) = (self.pods.len(), self.ports.len());
        let pairs = (0..pods).flat_map(move |from| (0..pods).map(move |to| (from, to)));
        pairs
            .filter(|(from, to)| from != to)
            .flat_map(move |(from, to)| (0..ports).map(move |port| (from, to, port)))
            .map(|(from, to, port)| {
                let (ingress, egress) = self.grid.allows(from, to, port);
                Row {
                    from: &self.pods[from],
                    to: &self.pods[to],
                    port: &self.ports[port],
                    ingress: word(ingress),
                    egress: word(egress),
                    verdict: word(ingress && egress),
                }
            })
    }

    fn json(&self, out: &mut impl Write) -> std::io::Result<()> {
        struct Flows<'v>(&'v View);
        impl Serialize for Flows<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut rows = serializer.serialize_seq(None)?;
                for row in self.0.rows() {
                    rows.serialize_element(&row)?;
                }
                rows.end()
            }
        }
        let mut json = serde_json::Serializer::new(&mut *out);
        let mut map = json.serialize_map(None)?;
        map.serialize_entry("version", &1)?;
        map.serialize_entry("ports", &self.ports)?;
        map.serialize_entry("flows", &Flows(self))?;
        SerializeMap::end(map)?;
        writeln!(out)
    }

    /// Names and ports hold neither comma nor quote, so no field needs quoting.
    fn csv(&self, out: &mut impl Write) -> std::io::Result<()> {
        writeln!(out, "from,to,port,ingress,egress,verdict")?;
        for row in self.rows() {
            writeln!(
                out,
                "{},{},{},{},{},{}",
                row.from, row.to, row.port, row.ingress, row.egress, row.verdict
            )?;
        }
        Ok(())
    }

    /// A grid for each port: a row for each source, a column for each destination.
    fn table(&self, out: &mut impl Write) -> std::io::Result<()> {
        for (port, name) in self.ports.iter().enumerate() {
            let mut table = TextTable::new();
            table.load_style(UTF8_FULL_CONDENSED);
            let heads = self.pods.iter().map(String::as_str);
            table.set_header(std::iter::once(name.as_str()).chain(heads));
            for (from, source) in self.pods.iter().enumerate() {
                let cells = (0..self.pods.len()).map(|to| match self.grid.allows(from, to, port) {
                    _ if from == to => "",
                    (true, true) => "allow",
                    (false, true) => "deny: ingress",
                    (true, false) => "deny: egress",
                    (false, false) => "deny: both",
                });
                table.add_row(std::iter::once(source.as_str()).chain(cells));
            }
            writeln!(out, "{table}")?;
        }
        writeln!(out, "rows are sources, columns are destinations")
    }
}

const fn word(allowed: bool) -> &'static str {
    if allowed { "allow" } else { "deny" }
}
