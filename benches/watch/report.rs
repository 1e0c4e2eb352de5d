//! The figures as Markdown tables.

use comfy_table::Table;
use comfy_table::presets::ASCII_MARKDOWN;

use super::figures::Memory;
use super::listing::Listing;
use super::samples::{Change, Samples};
use super::steady::Steady;

/// Everything measured.
#[derive(Default)]
pub struct Report {
    sizes: Vec<([usize; 3], Samples)>,
    listings: Vec<(usize, Listing)>,
}

impl Report {
    /// Adds the writes at so many pods, policies and open connections, and gives a table of these alone.
    pub fn rounds(&mut self, size: [usize; 3], samples: Samples) -> String {
        self.sizes.push((size, samples));
        enforcement(self.sizes.last().into_iter())
    }

    /// Adds what a sidecar costs at `pods`, and gives the table so far.
    pub fn listing(&mut self, pods: usize, listing: Listing) -> String {
        self.listings.push((pods, listing));
        self.lists()
    }

    /// From each write to its enforcement.
    pub fn enforcement(&self) -> String {
        enforcement(self.sizes.iter())
    }

    /// What a sidecar and its API server pay for the first list. Per pod means against the smallest cluster.
    pub fn lists(&self) -> String {
        let mut table = table(&[
            "pods",
            "start to ready, s",
            "received, MB",
            "received per pod, B",
            "resident / peak, MiB",
            "growth, MiB",
            "growth per pod, B",
            "after another list: resident / peak, MiB",
            "CPU of API server / etcd / sidecar, s",
        ]);
        let Some((fewest, base)) = self.listings.first() else {
            return String::new();
        };
        for (pods, listing) in &self.listings {
            let growth = listing.first.resident - base.first.resident;
            let each = |bytes: f64| match pods - fewest {
                0 => "-".to_owned(),
                more => format!("{:.0}", bytes / more as f64),
            };
            let [server, etcd, sidecar] = listing.processor;
            table.add_row([
                pods.to_string(),
                format!("{:.2}", listing.ready.as_secs_f64()),
                format!("{:.2}", listing.bytes / 1e6),
                each(listing.bytes - base.bytes),
                memory(listing.first),
                format!("{:.1}", mebi(growth)),
                each(growth),
                listing.again.map_or("-".to_owned(), memory),
                format!("{server:.2} / {etcd:.2} / {sidecar:.2}"),
            ]);
        }
        table.to_string()
    }
}

fn enforcement<'a>(sizes: impl Iterator<Item = &'a ([usize; 3], Samples)>) -> String {
    let mut table = table(&[
        "pods",
        "policies",
        "open",
        "written",
        "n",
        "enforced",
        "enforced, from the request",
        "event at another watcher",
        "enforced, from that event",
        "all open ones cut",
    ]);
    for ([pods, policies, open], samples) in sizes {
        for series in samples.series() {
            table.add_row([
                pods.to_string(),
                policies.to_string(),
                open.to_string(),
                written(series.change).to_owned(),
                series.count.to_string(),
                series.enforced.to_string(),
                series.from_request.to_string(),
                series.event.to_string(),
                series.own.to_string(),
                series.cut.to_string(),
            ]);
        }
    }
    table.to_string()
}

/// What watching costs while pods change.
pub fn steady(steady: &Steady) -> String {
    let mut table = table(&["what", "figure"]);
    let watchers = steady.watchers;
    let rows = [
        (
            "received by a sidecar per change of a pod",
            format!("{:.0} B", steady.bytes),
        ),
        (
            "sidecar, CPU per change",
            format!("{:.0} us", steady.sidecar * 1e6),
        ),
        (
            "API server, CPU per change, one sidecar",
            format!("{:.0} us", steady.alone * 1e6),
        ),
        (
            "the same per change and watcher more",
            format!("{:.1} us", steady.each_watcher() * 1e6),
        ),
        (
            "API server, live memory per watcher more",
            format!("{:.0} KiB", steady.memory / watchers as f64 / 1024.0),
        ),
    ];
    for (what, figure) in rows {
        table.add_row([what.to_owned(), figure]);
    }
    table.to_string()
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN);
    table.set_header(header);
    table
}

fn written(change: Change) -> &'static str {
    match change {
        Change::Policy => "policy",
        Change::Labels => "peer's label",
    }
}

fn memory(memory: Memory) -> String {
    format!("{:.1} / {:.1}", mebi(memory.resident), mebi(memory.peak))
}

fn mebi(bytes: f64) -> f64 {
    bytes / f64::from(1 << 20)
}
