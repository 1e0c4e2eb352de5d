//! How a command fails: whose fault it is decides the exit code.

use std::fmt::Display;
use std::process::ExitCode;

/// Why a command could not do its work.
#[derive(Debug)]
pub enum Failure {
    /// Usage or input is wrong: exit 2.
    Input(String),
    /// What was tried did not come out as it should: exit 1.
    #[cfg(feature = "demo")]
    Finding(String),
    /// Something the machine lacks, a privilege, a tool, a port, a server that answers: exit 3.
    Environment(String),
}

impl Failure {
    /// The input is at fault.
    pub fn input(reason: impl Display) -> Self {
        Self::Input(reason.to_string())
    }

    /// What was tried is at fault.
    #[cfg(feature = "demo")]
    pub fn finding(reason: impl Display) -> Self {
        Self::Finding(reason.to_string())
    }

    /// The environment is at fault.
    pub fn environment(reason: impl Display) -> Self {
        Self::Environment(reason.to_string())
    }

    /// Says on stderr what is wrong and gives the exit code.
    pub fn report(self) -> ExitCode {
        let (reason, code) = match self {
            #[cfg(feature = "demo")]
            Self::Finding(reason) => (reason, 1),
            Self::Input(reason) => (reason, 2),
            Self::Environment(reason) => (reason, 3),
        };
        eprintln!("podwall: {reason}");
        ExitCode::from(code)
    }
}

/// What a command gives back: its exit code, or its failure.
pub type Outcome = Result<ExitCode, Failure>;

/// What came of a write to stdout. A reader that goes away early, as `head` does, is no fault; and it
/// changes nothing about the answer, which the exit code still gives.
///
/// # Errors
/// Any other fault of the write.
pub fn told(written: std::io::Result<()>) -> Result<(), Failure> {
    match written {
        Err(fault) if fault.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::environment(
            format_args!("cannot write to stdout: {fault}"),
        )),
        _ => Ok(()),
    }
}
