//! What the pods of a cluster cost in memory: resident growth of the world, per pod.
//!
//! Pods are told as the API server tells them, each parsed from JSON and dropped again, so the
//! allocator's waste counts. Measured after a first list, after a second one of the same pods, and
//! after every pod was replaced by a successor, event by event. The peak is that of the step. No
//! number is asserted. `-- --pods N` (default 100,000), `-- --single` for one address per pod, `-- --unique`
//! for a label that no two pods share, as pods of StatefulSets and Jobs have.

// A bench that cannot do its work ends; its table goes to stdout.
#![allow(clippy::expect_used, clippy::print_stdout)]

use std::fs;
use std::time::{Duration, Instant};

use podwall_policy::document;
use podwall_policy::object::{Object, ObjectName};
use podwall_proxy::identify::feed::{Change, Gone, Kind};
use podwall_proxy::world::{Nodes, World};

use cluster::Cluster;

mod cluster;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let after = |flag: &str| words.iter().skip_while(|word| *word != flag).nth(1);
    let pods = after("--pods").and_then(|text| text.parse().ok());
    let cluster = Cluster {
        pods: pods.unwrap_or(100_000),
        unique: words.iter().any(|word| word == "--unique"),
        dual_stack: !words.iter().any(|word| word == "--single"),
    };
    let world = World::new(ObjectName::new("team-0", "web"), Nodes::default());
    println!("{cluster}");
    println!(
        "{:<24}{:>12}{:>12}{:>12}{:>12}",
        "after", "resident", "peak", "per pod", "took"
    );
    let bench = Bench {
        resident: memory("VmRSS"),
        cluster: &cluster,
        world: &world,
    };
    bench.step("the first list", || bench.list(0));
    bench.step("a second list", || bench.list(0));
    bench.step("a rolling update of all", || bench.roll(0));
    bench.step("a list of these", || bench.list(1));
    assert_eq!(world.status().pods, cluster.pods as usize);
}

struct Bench<'b> {
    /// Before anything was told, in bytes.
    resident: u64,
    cluster: &'b Cluster,
    world: &'b World,
}

impl Bench<'_> {
    /// Lists everything; `round` counts the rolling updates before.
    fn list(&self, round: u32) {
        for kind in Kind::ALL {
            self.tell(Change::Relist(kind));
        }
        for namespace in self.cluster.namespaces() {
            self.tell(Change::Listed(object(&namespace)));
        }
        self.tell(Change::Relisted(Kind::Namespace));
        for at in 0..self.cluster.pods {
            self.tell(Change::Listed(object(&self.cluster.pod(at, round))));
        }
        self.tell(Change::Relisted(Kind::Pod));
        self.tell(Change::Relisted(Kind::Policy));
    }

    /// Each pod gives way to a successor of another name, address and template.
    fn roll(&self, round: u32) {
        for at in 0..self.cluster.pods {
            self.tell(Change::Upsert(object(&self.cluster.pod(at, round + 1))));
            let Object::Pod(old) = object(&self.cluster.pod(at, round)) else {
                continue;
            };
            let (name, uid) = (old.name, old.uid);
            self.tell(Change::Delete(Gone::Pod { name, uid }));
        }
    }

    fn tell(&self, change: Change) {
        let _ = self.world.apply(change);
    }

    fn step(&self, name: &str, work: impl FnOnce()) {
        // Lets the peak begin anew.
        let _ = fs::write("/proc/self/clear_refs", "5");
        let start = Instant::now();
        work();
        self.row(name, start.elapsed());
    }

    fn row(&self, name: &str, took: Duration) {
        let growth = |what| memory(what).saturating_sub(self.resident);
        let mib = |bytes: u64| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20));
        let resident = growth("VmRSS");
        println!(
            "{name:<24}{:>12}{:>12}{:>12}{:>12}",
            mib(resident),
            mib(growth("VmHWM")),
            format!("{} B", resident / u64::from(self.cluster.pods.max(1))),
            format!("{:.1} s", took.as_secs_f64()),
        );
    }
}

/// The one object of a JSON text.
fn object(text: &str) -> Object {
    let value = serde_json::from_str(text).expect("JSON");
    let mut documents = document::read_object(&value).expect("an object");
    documents.objects.pop().expect("of a kind that we read")
}

/// A figure of this process, in bytes.
fn memory(what: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("/proc");
    let line = status.lines().find(|line| line.starts_with(what));
    let kibibytes = line.and_then(|line| line.split_whitespace().nth(1));
    kibibytes
        .and_then(|text| text.parse::<u64>().ok())
        .expect("a figure")
        * 1024
}
