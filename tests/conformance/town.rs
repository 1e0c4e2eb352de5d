//! The cluster of the tables: namespaces x, y, z with pods a, b, c, each with servers and with podwall at its door.
//!
//! One town plays many cases. Between them nothing is started anew: other manifests are put in force, and every
//! sidecar has taken them in before anybody is asked.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;

use podwall_lab::{Lab, LabResult, Mode, Pod, PodSpec, Setting, Sidecar, Source};

use super::servers::Servers;
use super::table::{Case, Change, Family, NAMESPACES, PODS};
use crate::support::{SOON, podwall};

/// The ports on which every pod serves TCP and UDP; each has a name, the last is declared by a native sidecar.
pub const PORTS: [u16; 3] = [80, 81, 82];

/// A UDP port that is judged and that no server of the town has.
pub const SPARE: u16 = 83;

/// A pod of which no table speaks. Its label changes with every step, so that every sidecar has something to take in.
const BEACON: (&str, &str) = ("z", "beacon");

type Labels = &'static [(&'static str, &'static str)];

/// Counts from 0 on.
#[derive(Debug, Default)]
pub struct Counter(AtomicU16);

impl Counter {
    pub fn next(&self) -> u16 {
        self.0.fetch_add(1, Ordering::SeqCst)
    }
}

/// A pod of the tables.
pub struct Resident {
    pub name: String,
    pub pod: Pod,
    pub servers: Servers,
    sidecar: Option<Sidecar>,
}

pub struct Town {
    pub mode: Option<Mode>,
    pub residents: Vec<Resident>,
    pub lab: Lab,
    labelled: BTreeMap<&'static str, Labels>,
    steps: u32,
    /// How many questions of UDP and SCTP were put; each has source ports of its own.
    pub questions: Counter,
}

impl Town {
    /// Pods and nothing in them.
    pub fn unguarded() -> Self {
        let mut lab = Lab::start().expect("a lab");
        let pods = lab.batch(populate).expect("the town's pods");
        let residents = pods
            .into_iter()
            .map(|pod| Resident {
                name: format!("{}/{}", pod.namespace(), pod.name()),
                servers: Servers::none(),
                sidecar: None,
                pod,
            })
            .collect();
        Self {
            mode: None,
            residents,
            lab,
            labelled: BTreeMap::new(),
            steps: 0,
            questions: Counter::default(),
        }
    }

    /// Servers in every pod, and podwall at every door.
    pub fn guarded(mode: Mode) -> Self {
        let mut town = Self::unguarded();
        town.mode = Some(mode);
        let lab = &town.lab;
        thread::scope(|scope| {
            for resident in &mut town.residents {
                scope.spawn(move || {
                    resident.servers = Servers::start(&resident.pod, &resident.name);
                    resident.sidecar = Some(guard(mode, lab, &resident.pod));
                });
            }
        });
        town
    }

    /// A pod of the tables.
    pub fn get(&self, name: &str) -> &Resident {
        let found = self.residents.iter().find(|one| one.name == name);
        found.unwrap_or_else(|| panic!("no pod {name}"))
    }

    /// Begins a case: no policy, no label of an earlier one, and these changes.
    pub fn begin(&mut self, changes: &[Change]) {
        let old: Vec<&'static str> = std::mem::take(&mut self.labelled).into_keys().collect();
        let fresh = old.into_iter().map(|name| match name.contains('/') {
            true => Change::Pod(name, &[]),
            false => Change::Namespace(name, &[]),
        });
        let no_policy = Change::Policies(String::new());
        let all: Vec<Change> = fresh
            .chain([no_policy])
            .chain(changes.iter().cloned())
            .collect();
        self.change(&all);
    }

    /// Puts the changes in force. Every sidecar has taken them in when this returns.
    pub fn change(&mut self, changes: &[Change]) {
        for change in changes {
            match change {
                Change::Pod(name, labels) | Change::Namespace(name, labels) => {
                    self.labelled.insert(name, labels);
                }
                Change::Policies(_) => {}
            }
        }
        let changes: Vec<Change> = changes.iter().map(|one| self.with_addresses(one)).collect();
        self.alter(|lab| changes.iter().try_for_each(|change| apply(lab, change)));
    }

    /// The same for what no table says.
    pub fn alter<T>(&mut self, change: impl FnOnce(&mut Lab) -> LabResult<T>) -> T {
        let before: Vec<f64> = self
            .sidecars()
            .map(|sidecar| sidecar.generation().expect("the generation"))
            .collect();
        self.steps += 1;
        let step = self.steps.to_string();
        let done = self.lab.batch(|lab| {
            lab.relabel(BEACON.0, BEACON.1, &[("step", &step)])?;
            change(lab)
        });
        for (sidecar, before) in self.sidecars().zip(before) {
            let taken_in = sidecar.wait_beyond(before, SOON);
            taken_in.expect("the change taken in");
        }
        done.expect("a change")
    }

    fn sidecars(&self) -> impl Iterator<Item = &Sidecar> {
        self.residents.iter().filter_map(|one| one.sidecar.as_ref())
    }

    fn with_addresses(&self, change: &Change) -> Change {
        let Change::Policies(text) = change else {
            return change.clone();
        };
        let mut text = text.clone();
        for one in &self.residents {
            for (family, sign) in [(Family::V4, '4'), (Family::V6, '6')] {
                let address = one.address(family).to_string();
                text = text.replace(&format!("<{} {sign}>", one.name), &address);
            }
        }
        Change::Policies(text)
    }
}

impl Resident {
    pub fn address(&self, family: Family) -> IpAddr {
        match family {
            Family::V4 => self.pod.v4().into(),
            Family::V6 => self.pod.v6().into(),
        }
    }

    pub fn sidecar(&self) -> &Sidecar {
        self.sidecar.as_ref().expect("podwall at this door")
    }
}

/// What a case begins with, in front of its first answers.
pub fn play(town: &mut Town, case: &Case, mut each: impl FnMut(&Town, usize, &super::table::Ask)) {
    for (number, step) in case.steps.iter().enumerate() {
        match number {
            0 => town.begin(&step.changes),
            _ => town.change(&step.changes),
        }
        for ask in &step.asks {
            each(town, number + 1, ask);
        }
    }
}

fn apply(lab: &mut Lab, change: &Change) -> LabResult<()> {
    match change {
        Change::Policies(text) => lab.set_policies_yaml(text),
        Change::Pod(name, labels) => {
            let (namespace, pod) = name.split_once('/').expect("a pod");
            let mut all = vec![("pod", pod)];
            all.extend_from_slice(labels);
            lab.relabel(namespace, pod, &all)
        }
        Change::Namespace(name, labels) => lab.namespace(name, labels),
    }
}

fn populate(lab: &mut Lab) -> LabResult<Vec<Pod>> {
    let mut pods = Vec::new();
    for namespace in NAMESPACES {
        lab.namespace(namespace, &[])?;
        for pod in PODS {
            let mut spec = PodSpec::new(namespace, pod).label("pod", pod);
            for protocol in ["TCP", "UDP", "SCTP"] {
                let name = |port: u16| format!("serve-{port}-{}", protocol.to_lowercase());
                let [first, second, by_sidecar] = PORTS;
                spec = spec.port(name(first), first, protocol);
                spec = spec.port(name(second), second, protocol);
                spec = spec.sidecar_port(name(by_sidecar), by_sidecar, protocol);
            }
            pods.push(lab.pod(spec)?);
        }
    }
    let (namespace, name) = BEACON;
    lab.pod(PodSpec::new(namespace, name))?;
    Ok(pods)
}

fn guard(mode: Mode, lab: &Lab, pod: &Pod) -> Sidecar {
    // Mode queue judges every port; mode redirect must be told those of UDP.
    let shared: &[&str] = match mode {
        Mode::Redirect => &["--udp-port", "80,81,82,83"],
        Mode::Queue => &[],
    };
    let setting = Setting {
        mode,
        source: Source::Manifests,
        shared,
        more: &[],
    };
    Sidecar::start_as(&setting, lab, pod, &podwall()).expect("a ready sidecar")
}
