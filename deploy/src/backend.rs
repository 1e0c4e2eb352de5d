//! The programs of iptables: finding them, running them, and telling why they fail.
//!
//! May enter: restore text. Deliberately absent: what the text says, which rules are wanted.
//! Programs run in the network namespace of the calling thread.

use std::ffi::OsStr;
use std::fmt;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::dump::Dump;
use crate::plan::Table;
use crate::wanted::Family;

/// How long the legacy programs wait for their lock, in seconds: a restore holds it for
/// milliseconds, so who waits longer waits for something that hangs.
const LOCK_WAIT: &str = "5";

/// Where the programs may be besides `PATH`, which often lacks the sbin directories.
const SBIN: [&str; 3] = ["/usr/sbin", "/sbin", "/usr/local/sbin"];

/// Which half of the kernel the programs talk to. Each holds tables of its own.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Backend {
    /// nf_tables.
    Nft,
    /// ip_tables and ip6_tables.
    Legacy,
}

impl Backend {
    /// Both, in the order in which they are tried.
    pub const ORDER: [Self; 2] = [Self::Nft, Self::Legacy];
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nft => "nft",
            Self::Legacy => "legacy",
        })
    }
}

/// What stood in the way of an attempt.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Obstacle {
    /// The program is not installed.
    Missing,
    /// The kernel refused for lack of privilege.
    Privilege,
    /// The lock file of the legacy programs cannot be opened or stays taken.
    Lock,
    /// Anything else: the message tells.
    Other,
}

impl Obstacle {
    /// What to do about it.
    #[must_use]
    pub const fn mend(self) -> &'static str {
        match self {
            Self::Missing => "install the Debian package `iptables`",
            Self::Privilege => {
                "give the container the capability NET_ADMIN (back end legacy also wants NET_RAW)"
            }
            Self::Lock => {
                "back end legacy wants the capabilities NET_ADMIN and NET_RAW and a lock file \
                 that it may write: make /run/xtables.lock writable, or name another file in \
                 XTABLES_LOCKFILE"
            }
            Self::Other => "see what the program said; the kernel may lack a netfilter feature",
        }
    }
}

/// A program that did not do what it was asked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Attempt {
    /// The back end that was asked.
    pub backend: Backend,
    /// The family that was asked.
    pub family: Family,
    /// What stood in the way.
    pub obstacle: Obstacle,
    /// What the program said, on one line.
    pub message: String,
}

impl Attempt {
    /// What to do about it.
    #[must_use]
    pub const fn mend(&self) -> &'static str {
        self.obstacle.mend()
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.backend, self.family, self.message)
    }
}

/// The two programs of one back end and family.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Tools {
    backend: Backend,
    family: Family,
    save: PathBuf,
    restore: PathBuf,
}

impl Tools {
    /// Looks for the programs: first under the back end's own name, then under the plain name if
    /// that says that it is of this back end.
    pub(crate) fn find(backend: Backend, family: Family) -> Result<Self, Attempt> {
        let program = family.program();
        let own = format!("{program}-{backend}");
        let tools = |name: &str| {
            let save = look_up(&format!("{name}-save"))?;
            let restore = look_up(&format!("{name}-restore"))?;
            Some(Self {
                backend,
                family,
                save,
                restore,
            })
        };
        let plain = || tools(program).filter(|tools| version_of(&tools.restore) == Some(backend));
        tools(&own).or_else(plain).ok_or_else(|| Attempt {
            backend,
            family,
            obstacle: Obstacle::Missing,
            message: format!("{own}-save and {own}-restore not found"),
        })
    }

    /// Reads every table of the family.
    ///
    /// Tables of back end legacy that the kernel does not list are not asked for: asking would
    /// create them.
    pub(crate) fn dump(&self) -> Result<Dump, Attempt> {
        if self.backend == Backend::Legacy && legacy_tables(self.family) == Some(false) {
            return Ok(Dump::default());
        }
        let text = self.run(&self.save, &[], "")?;
        Ok(Dump::parse(&text))
    }

    /// Reads one table with its counters, as text. Changes none of them.
    pub(crate) fn counters(&self, table: Table) -> Result<String, Attempt> {
        self.run(&self.save, &["-c", "-t", table.name()], "")
    }

    /// Commits a restore text without touching what it does not name.
    pub(crate) fn restore(&self, payload: &str) -> Result<(), Attempt> {
        self.run(&self.restore, &["--noflush", "--wait", LOCK_WAIT], payload)
            .map(drop)
    }

    fn run(&self, program: &Path, arguments: &[&str], input: &str) -> Result<String, Attempt> {
        run(program, arguments, input).map_err(|message| Attempt {
            backend: self.backend,
            family: self.family,
            obstacle: obstacle(&message),
            message,
        })
    }
}

/// Everything that `nft` shows, all tables of all families.
pub(crate) fn nft_ruleset() -> Result<String, Attempt> {
    let attempt = |obstacle, message| Attempt {
        backend: Backend::Nft,
        family: Family::Ipv4,
        obstacle,
        message,
    };
    let missing = || attempt(Obstacle::Missing, "nft not found".to_owned());
    let nft = look_up("nft").ok_or_else(missing)?;
    run(&nft, &["list", "ruleset"], "").map_err(|message| attempt(obstacle(&message), message))
}

/// Runs a program with `input`; gives its output, or its name and what it said, on one line.
fn run(program: &Path, arguments: &[&str], input: &str) -> Result<String, String> {
    let failed = |message: &str| format!("{}: {message}", program.display());
    let mut child = command(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(&error.to_string()))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that stops reading early says why; that is the better message.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child
        .wait_with_output()
        .map_err(|error| failed(&error.to_string()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    Err(failed(if said.is_empty() {
        "failed without a word"
    } else {
        &said
    }))
}

/// A command whose messages are English, as [`obstacle`] reads them.
fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env("LC_ALL", "C");
    command
}

/// Tells what stood in the way from what the program said.
fn obstacle(message: &str) -> Obstacle {
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if says(&["lock file", "xtables lock"]) {
        Obstacle::Lock
    } else if says(&[
        "Permission denied",
        "Operation not permitted",
        "must be root",
    ]) {
        Obstacle::Privilege
    } else {
        Obstacle::Other
    }
}

/// Whether the kernel has legacy tables of this family in this network namespace; `None` where
/// it does not let us see.
fn legacy_tables(family: Family) -> Option<bool> {
    let names = match family {
        Family::Ipv4 => "/proc/thread-self/net/ip_tables_names",
        Family::Ipv6 => "/proc/thread-self/net/ip6_tables_names",
    };
    match std::fs::read_to_string(names) {
        Ok(text) => Some(!text.trim().is_empty()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Some(false),
        Err(_) => None,
    }
}

/// The back end that a plainly named program belongs to, by its own word. Versions that do not
/// say are older than the nft back end.
fn version_of(program: &Path) -> Option<Backend> {
    let output = command(program)
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() || !text.contains(" v") {
        return None;
    }
    Some(if text.contains("nf_tables") {
        Backend::Nft
    } else {
        Backend::Legacy
    })
}

/// Finds an executable in `PATH` and the sbin directories.
fn look_up(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    look_up_in(&path, name)
}

fn look_up_in(path: &OsStr, name: &str) -> Option<PathBuf> {
    let executable = |file: &PathBuf| {
        std::fs::metadata(file)
            .is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
    };
    std::env::split_paths(path)
        .filter(|directory| directory.is_absolute())
        .chain(SBIN.iter().map(PathBuf::from))
        .map(|directory| directory.join(name))
        .find(executable)
}

#[cfg(test)]
mod tests;
