//! Install, check, remove: the rooms joined, in the network namespace of the calling thread.
//!
//! May enter: [`Wanted`]. Deliberately absent: what the rules say ([`rules`](crate::rules())), how
//! they are compared, printing.
//!
//! Order of an installation: everything that can refuse comes first and changes nothing (own
//! addresses, foreign rules, the trial of the back end); then the steps; then reading back.

mod scene;

use crate::addresses::{own_addresses, reachable_over_v6};
use crate::backend::{Attempt, Backend, Tools};
use crate::compare::{Difference, differences};
use crate::dump;
use crate::error::RedirectError;
use crate::installed;
use crate::plan::{Step, Table, install_step, remove_step};
use crate::rules;
use crate::wanted::{Family, Wanted, refuse_host_network};
use scene::{Reading, Scene};

/// What is known after an installation or a check.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Report {
    /// The back end that holds the rules, or would.
    pub backend: Backend,
    /// The families that were looked at.
    pub families: Vec<Family>,
    /// How the installed rules differ from the wanted ones; empty after an installation.
    pub differences: Vec<Difference>,
    /// What an operator should know though it is no error.
    pub warnings: Vec<String>,
}

impl Report {
    /// Whether the rules are exactly the wanted ones.
    #[must_use]
    pub const fn as_wanted(&self) -> bool {
        self.differences.is_empty()
    }

    /// How many packets with a forged own or loopback source the rules have dropped since they were
    /// installed, all families together; a rerun of the installation begins anew at 0.
    ///
    /// Runs one program for each family, on one table.
    ///
    /// # Errors
    /// A program is missing or may not read.
    pub fn spoofed_packets(&self) -> Result<u64, RedirectError> {
        let of = |family: &Family| -> Result<u64, Attempt> {
            let text = Tools::find(self.backend, *family)?.counters(Table::Filter)?;
            Ok(dump::packets(&text, rules::SPOOFED))
        };
        self.families
            .iter()
            .map(of)
            .sum::<Result<u64, Attempt>>()
            .map_err(RedirectError::Counters)
    }
}

/// The commits of an installation or a removal, ready to be run in order.
///
/// Each is one table of one family. In both modes a family is closed to strangers (TCP, UDP, SCTP) from its
/// `filter` commit on, whatever follows or fails to follow (P19); over an earlier installation it
/// stays closed throughout, and in a removal until its `filter` commit, which comes last.
#[derive(Debug)]
pub struct Plan {
    backend: Backend,
    commits: Vec<Commit>,
    warnings: Vec<String>,
}

/// A step with the programs that take it.
#[derive(Debug)]
struct Commit {
    step: Step,
    tools: Tools,
    /// Whether a failure ends the run; if not it is a warning.
    required: bool,
}

impl Plan {
    /// The steps, in order.
    pub fn steps(&self) -> impl ExactSizeIterator<Item = &Step> {
        self.commits.iter().map(|commit| &commit.step)
    }

    /// Runs the first `count` steps (all, if there are fewer); gives warnings.
    ///
    /// # Errors
    /// The first required step that fails; those before it stand.
    pub fn apply_first(&self, count: usize) -> Result<Vec<String>, RedirectError> {
        let mut warnings = self.warnings.clone();
        for (done, commit) in self.commits.iter().take(count).enumerate() {
            let Err(attempt) = commit.tools.restore(&commit.step.payload) else {
                continue;
            };
            if commit.required {
                let (step, all) = (commit.step.to_string(), self.commits.len());
                return Err(RedirectError::Step {
                    step,
                    done,
                    all,
                    attempt,
                });
            }
            warnings.push(skipped(&attempt));
        }
        Ok(warnings)
    }
}

/// Installs the rules with the first back end that works, and reads them back.
///
/// Idempotent: what is there of ours is replaced, table by table, each in one commit.
///
/// # Errors
/// See [`RedirectError`]; only `Step` and `NotAsWanted` leave something changed.
pub fn install(wanted: &Wanted) -> Result<Report, RedirectError> {
    install_with(wanted, &Backend::ORDER)
}

/// [`install`] with the back ends to try, in order.
///
/// # Errors
/// As [`install`].
pub fn install_with(wanted: &Wanted, order: &[Backend]) -> Result<Report, RedirectError> {
    let plan = plan(wanted, order)?;
    let warnings = plan.apply_first(usize::MAX)?;
    let mut report = inspect(wanted, &Scene::read(), plan.backend, &own_addresses()?);
    if !report.as_wanted() {
        return Err(RedirectError::NotAsWanted {
            differences: report.differences,
        });
    }
    report.warnings.extend(warnings);
    report.warnings.sort_unstable();
    report.warnings.dedup();
    Ok(report)
}

/// Makes the plan of an installation. Nothing of effect is changed: the trial of a back end makes
/// a chain that nothing leads to, and takes it away.
///
/// # Errors
/// Whatever forbids the installation: see [`RedirectError`].
pub fn plan(wanted: &Wanted, order: &[Backend]) -> Result<Plan, RedirectError> {
    let own = own_addresses()?;
    refuse_host_network(wanted, &own)?;
    let scene = Scene::read();
    let foreign = scene.foreign(&wanted.mode);
    if !foreign.is_empty() {
        return Err(RedirectError::Foreign { rules: foreign });
    }
    let needs_v6 = reachable_over_v6(&own);
    let (backend, readings, mut warnings) = choose(wanted, &scene, order, needs_v6)?;
    if let Some(other) = scene.ours().find(|reading| reading.backend != backend) {
        let (other, family) = (other.backend, other.family);
        return Err(RedirectError::OtherBackend {
            chosen: backend,
            other,
            family,
        });
    }
    warnings.extend(scene.blind_spots(backend));
    let mut commits = Vec::new();
    for table in Table::order(&wanted.mode) {
        for reading in &readings {
            let now = reading.dump.table(table.name());
            let step = install_step(wanted, reading.family, table, now);
            let required = reading.family == Family::Ipv4 || needs_v6;
            commits.extend(step.map(|step| Commit {
                step,
                tools: reading.tools.clone(),
                required,
            }));
        }
    }
    Ok(Plan {
        backend,
        commits,
        warnings,
    })
}

/// A back end that works, its tables, and warnings.
type Choice<'a> = (Backend, Vec<&'a Reading>, Vec<String>);

/// Finds the first back end whose tables can be read and written: both families, IPv6 only where
/// the pod has it.
fn choose<'a>(
    wanted: &Wanted,
    scene: &'a Scene,
    order: &[Backend],
    needs_v6: bool,
) -> Result<Choice<'a>, RedirectError> {
    let mut attempts = Vec::new();
    for &backend in order {
        let (mut readings, mut failures) = (Vec::new(), Vec::new());
        for family in Family::ALL {
            match scene
                .of(backend, family)
                .and_then(|reading| probed(wanted, reading))
            {
                Ok(reading) => readings.push(reading),
                Err(attempt) => failures.push(attempt),
            }
        }
        let usable = readings
            .iter()
            .any(|reading| reading.family == Family::Ipv4);
        if usable && (failures.is_empty() || !needs_v6) {
            let mut warnings: Vec<String> = failures.iter().map(skipped).collect();
            warnings.extend(
                attempts
                    .iter()
                    .map(|a: &Attempt| format!("not usable: {a}")),
            );
            return Ok((backend, readings, warnings));
        }
        attempts.extend(failures);
    }
    Err(RedirectError::NoBackend { attempts })
}

/// Tries whether our kind of rules can be committed, with chains that nothing leads to. Where
/// rules of this mode stand already that is proven.
fn probed<'a>(wanted: &Wanted, reading: &'a Reading) -> Result<&'a Reading, Attempt> {
    let tables = rules::tables(wanted);
    if !tables.iter().all(|table| reading.holds_ours_in(*table)) {
        for table in tables {
            let (trial, clearance) = rules::probe(wanted, reading.family, table);
            reading.tools.restore(&trial)?;
            reading.tools.restore(&clearance)?;
        }
    }
    Ok(reading)
}

/// Compares the installed rules with the wanted ones. Changes nothing. Runs the programs of both back ends,
/// which takes tens of milliseconds; NET_ADMIN is enough where the rules are in back end nft.
///
/// # Errors
/// The wish itself is refused, no back end lets us read, or rules of ours are in none that does while
/// another is closed to us.
pub fn check(wanted: &Wanted) -> Result<Report, RedirectError> {
    let own = own_addresses()?;
    refuse_host_network(wanted, &own)?;
    let scene = Scene::read();
    let backend = scene.holder()?;
    let forbidden = scene.forbidden();
    if scene.ours().next().is_none() && !forbidden.is_empty() {
        return Err(RedirectError::Unseen {
            attempts: forbidden,
        });
    }
    let mut report = inspect(wanted, &scene, backend, &own);
    report.warnings.extend(scene.blind_spots(backend));
    Ok(report)
}

/// Every difference between the wanted rules and those of one back end.
fn inspect(wanted: &Wanted, scene: &Scene, backend: Backend, own: &[std::net::IpAddr]) -> Report {
    let mut report = Report {
        backend,
        families: Vec::new(),
        differences: Vec::new(),
        warnings: Vec::new(),
    };
    let (mut readings, mut unreadable) = (Vec::new(), Vec::new());
    for family in Family::ALL {
        let needed = family == Family::Ipv4 || reachable_over_v6(own);
        match scene.of(backend, family) {
            Ok(reading) if needed || reading.holds_ours() => {
                report.families.push(family);
                readings.push(reading);
            }
            Ok(_) => report
                .warnings
                .push(format!("{backend} {family}: no rules; {NO_V6}")),
            Err(attempt) if needed => {
                let message = attempt.message;
                unreadable.push(Difference::Unreadable { family, message });
            }
            Err(attempt) => report.warnings.push(skipped(&attempt)),
        }
    }
    report.differences = among(wanted, &readings);
    report.differences.extend(unreadable);
    let others = scene.ours().filter(|reading| reading.backend != backend);
    report
        .differences
        .extend(others.map(|reading| Difference::OtherBackend {
            family: reading.family,
            backend: reading.backend,
        }));
    let foreign = scene.foreign(&wanted.mode).into_iter();
    report.differences.extend(foreign.map(Difference::Foreign));
    report
}

/// The differences of these families: the flags, where the rules are whole but made from others, else
/// rule by rule.
fn among(wanted: &Wanted, readings: &[&Reading]) -> Vec<Difference> {
    let by_rule = |wish: &Wanted| -> Vec<Difference> {
        let each = readings.iter().flat_map(|reading| {
            Table::ALL.map(|table| {
                let now = reading.dump.table(table.name());
                differences(wish, reading.family, table, now)
            })
        });
        each.flatten().collect()
    };
    let found = by_rule(wanted);
    if found.is_empty() {
        return found;
    }
    let dumps = readings.iter().map(|one| (one.family, &one.dump));
    match installed::wish(dumps).filter(|wish| by_rule(wish).is_empty()) {
        Some(wish) => installed::flags(&wish, wanted),
        None => found,
    }
}

/// Why a missing IPv6 half is no error.
const NO_V6: &str = "no interface but lo has an IPv6 address, so the pod is not reachable that way";

fn skipped(attempt: &Attempt) -> String {
    format!("{attempt}; {NO_V6}")
}

/// What a removal did.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Removed {
    /// The commits that were made, in order; none where nothing of ours was there.
    pub steps: Vec<Step>,
    /// What an operator should know though it is no error.
    pub warnings: Vec<String>,
}

/// Takes everything of ours away, of both modes and from every back end, `filter` last.
///
/// # Errors
/// Nothing can be read, or a commit failed.
pub fn remove() -> Result<Removed, RedirectError> {
    let plan = remove_plan()?;
    let warnings = plan.apply_first(usize::MAX)?;
    let steps = plan.commits.into_iter().map(|commit| commit.step).collect();
    Ok(Removed { steps, warnings })
}

/// Makes the plan of a removal. Changes nothing.
///
/// # Errors
/// No back end can be read.
pub fn remove_plan() -> Result<Plan, RedirectError> {
    let scene = Scene::read();
    let backend = scene.holder()?;
    let mut commits = Vec::new();
    for table in Table::ALL.into_iter().rev() {
        for family in Family::ALL.into_iter().rev() {
            for reading in scene.readings().filter(|reading| reading.family == family) {
                let now = reading.dump.table(table.name());
                let step = remove_step(family, table, now);
                let tools = &reading.tools;
                commits.extend(step.map(|step| Commit {
                    step,
                    tools: tools.clone(),
                    required: true,
                }));
            }
        }
    }
    Ok(Plan {
        backend,
        commits,
        warnings: scene.blind_spots(backend),
    })
}
