//! What to run in a pod, and with how little privilege. Starting is the place's work, watching the process's.

use std::{
    env,
    ffi::{OsStr, OsString},
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Command, ExitStatus, Stdio},
    time::Duration,
};

use crate::{LabError, LabResult, Place, Process, tools};

/// A program to be run in a pod or on the node. Its stdin is empty unless given; its output is captured.
///
/// The environment is the owner's, without proxy settings.
#[derive(Debug)]
#[must_use]
pub struct Cmd {
    place: Place,
    program: OsString,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    stdin: Option<Vec<u8>>,
    privilege: Privilege,
    silent: bool,
}

/// What a program may do in its place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Privilege {
    /// As much as the lab itself.
    All,
    /// The lab's user with one capability.
    NetAdmin,
    /// No capability, and another user where there is one.
    Nothing,
}

/// A process that has ended.
#[derive(Debug)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// All it printed on stdout.
    pub stdout: String,
    /// All it printed on stderr.
    pub stderr: String,
}

impl Cmd {
    pub(crate) fn new(place: Place, program: &OsStr) -> Self {
        Self {
            place,
            program: program.to_owned(),
            args: Vec::new(),
            env: Vec::new(),
            stdin: None,
            privilege: Privilege::All,
            silent: false,
        }
    }

    /// Adds one argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args
            .extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets a variable of the environment.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env
            .push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Gives it these bytes as stdin.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into());
        self
    }

    /// Has it started by another program: `wrapper` with these arguments, and then the program with its own.
    pub(crate) fn started_by(mut self, wrapper: &str, args: &[String]) -> Self {
        let program = std::mem::replace(&mut self.program, wrapper.into());
        let own = std::mem::take(&mut self.args);
        self.args = args.iter().map(Into::into).collect();
        self.args.push(program);
        self.args.extend(own);
        self
    }

    /// Runs it without any capability and, where the user exists in this user namespace, as uid and gid 65532.
    pub fn unprivileged(mut self) -> Self {
        self.privilege = Privilege::Nothing;
        self
    }

    /// Runs it with NET_ADMIN and no other capability, as the lab's own user.
    pub fn only_net_admin(mut self) -> Self {
        self.privilege = Privilege::NetAdmin;
        self
    }

    /// Throws its output away instead of keeping it in memory, for processes that talk a lot.
    pub fn silent(mut self) -> Self {
        self.silent = true;
        self
    }

    /// Starts it.
    ///
    /// # Errors
    /// [`LabError::MissingTool`], or [`LabError::Io`] where it cannot be started.
    pub fn spawn(mut self) -> LabResult<Process> {
        let name = self.program.to_string_lossy().into_owned();
        let stdin = self.stdin.take();
        let mut command = self.build()?;
        command.stdin(if stdin.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        });
        self.place.start(name, command, stdin)
    }

    /// Starts it and waits for its end; kills it at the deadline.
    ///
    /// # Errors
    /// As [`Cmd::spawn`], and [`LabError::Timeout`]. An unsuccessful exit status is no error.
    pub fn run(self, deadline: Duration) -> LabResult<Output> {
        let process = self.spawn()?;
        let status = process.wait(deadline)?;
        Ok(Output {
            status,
            stdout: process.stdout_so_far(),
            stderr: process.stderr_so_far(),
        })
    }

    /// As [`Cmd::run`], but an unsuccessful exit status is an error that carries stderr.
    ///
    /// # Errors
    /// As [`Cmd::run`], and [`LabError::Tool`].
    pub fn succeed(self, deadline: Duration) -> LabResult<Output> {
        let command = self.words();
        let output = self.run(deadline)?;
        if output.status.success() {
            return Ok(output);
        }
        Err(LabError::Tool {
            command,
            status: output.status.to_string(),
            stderr: output.stderr,
        })
    }

    /// The program and its arguments, for people.
    pub(crate) fn words(&self) -> String {
        let words = [&self.program]
            .into_iter()
            .chain(&self.args)
            .map(|word| word.to_string_lossy());
        words.collect::<Vec<_>>().join(" ")
    }

    fn build(&self) -> LabResult<Command> {
        let program = tools::find(&self.program)?;
        let mut command = match self.privilege {
            Privilege::All => Command::new(program),
            Privilege::NetAdmin => {
                let mut command = Command::new(tools::find("setpriv".as_ref())?);
                command.args(["--bounding-set=-all,+net_admin", "--inh-caps=-all", "--"]);
                command.arg(program);
                command
            }
            Privilege::Nothing => self.drop_privilege(program)?,
        };
        for (name, _) in env::vars_os() {
            if name
                .to_string_lossy()
                .to_ascii_lowercase()
                .ends_with("_proxy")
            {
                command.env_remove(name);
            }
        }
        // iptables takes a lock file that belongs to the machine; a lab's lock belongs to the lab.
        command.env("XTABLES_LOCKFILE", self.place.dir().join("xtables.lock"));
        command
            .args(&self.args)
            .envs(self.env.iter().map(|(name, value)| (name, value)));
        command.process_group(0).current_dir("/");
        let sink = || {
            if self.silent {
                Stdio::null()
            } else {
                Stdio::piped()
            }
        };
        command.stdout(sink()).stderr(sink());
        Ok(command)
    }

    fn drop_privilege(&self, program: PathBuf) -> LabResult<Command> {
        let mut command = Command::new(tools::find("setpriv".as_ref())?);
        let mut program = program;
        if self.place.core().can_change_user() {
            program = self.place.core().reachable(program)?;
            command.args(["--reuid=65532", "--regid=65532", "--clear-groups"]);
        }
        command
            .args([
                "--no-new-privs",
                "--bounding-set=-all",
                "--inh-caps=-all",
                "--",
            ])
            .arg(program);
        Ok(command)
    }
}
