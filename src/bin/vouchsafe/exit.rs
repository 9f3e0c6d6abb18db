//! How a command ends: the two kinds of failure and their exit codes.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

/// Why a command did not do what was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// What was given can't be used: flags, values, files. Exit code 2.
    Usage(String),
    /// It was tried and failed. Exit code 1.
    Failed(String),
    /// The answer was given on stdout, and it is no. Exit code 1, and nothing more to say.
    No,
    /// Who read our output has gone, as `| head` does. Not a fault of anybody.
    OutputClosed,
}

impl Failure {
    pub(crate) fn usage(what: impl Display) -> Self {
        Self::Usage(what.to_string())
    }

    pub(crate) fn failed(what: impl Display) -> Self {
        Self::Failed(what.to_string())
    }

    /// A file that the user named and that can't be read or written.
    pub(crate) fn file(path: &Path, error: &io::Error) -> Self {
        Self::Usage(format!("{}: {error}: check the path and its permissions", path.display()))
    }
}

/// For writing to stdout: every other use of files says which file it was.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::Failed(format!("the output can't be written: {error}")),
        }
    }
}

/// Says what went wrong and gives the exit code.
pub(crate) fn report(result: Result<(), Failure>) -> ExitCode {
    let (code, what) = match result {
        Ok(()) | Err(Failure::OutputClosed) => return ExitCode::SUCCESS,
        Err(Failure::No) => return ExitCode::from(1),
        Err(Failure::Failed(what)) => (1, what),
        Err(Failure::Usage(what)) => (2, what),
    };
    // Nobody is left to tell if stderr is closed too.
    let _ = writeln!(io::stderr(), "error: {what}");
    ExitCode::from(code)
}
