//! How a command ends: the kinds of failure and their exit codes.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write as _};
use std::path::Path;
use std::process::ExitCode;

use vouchsafe::{BindError, FolderError, PositionLogError, SpawnError};

/// Why a command did not do what was asked.
#[derive(Debug)]
pub enum Failure {
    /// What was given can't be used: flags, values, files. Exit code 2.
    Usage(String),
    /// It was tried and failed. Exit code 1.
    Failed(String),
    /// The answer was given on stdout, and it is no. Exit code 1, and nothing more to say.
    No,
    /// Whatever read our output has gone, as `| head` does. Not a fault of anybody.
    OutputClosed,
}

impl Failure {
    pub fn usage(what: impl Display) -> Self {
        Self::Usage(what.to_string())
    }

    pub fn failed(what: impl Display) -> Self {
        Self::Failed(what.to_string())
    }

    /// A file that the user named and that can't be read or written.
    pub fn file(path: &Path, error: &io::Error) -> Self {
        let what = format!("{}: {error}", path.display());
        if is_usage(error) {
            Self::Usage(format!("{what}: check the path and its permissions"))
        } else {
            Self::Failed(what)
        }
    }

    /// What `error`, whose words are `what`, means for the exit code.
    pub(crate) fn by_kind(error: &io::Error, what: impl Display) -> Self {
        if is_usage(error) { Self::usage(what) } else { Self::failed(what) }
    }
}

/// Whether an error says that what was given can't be used, rather than that something failed which may work another time.
fn is_usage(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NotFound
            | ErrorKind::PermissionDenied
            | ErrorKind::AlreadyExists
            | ErrorKind::NotADirectory
            | ErrorKind::IsADirectory
            | ErrorKind::InvalidInput
            | ErrorKind::InvalidFilename
            | ErrorKind::InvalidData
            | ErrorKind::ReadOnlyFilesystem
            | ErrorKind::AddrNotAvailable
    )
}

/// For writing to stdout: every other use of files says which file it was.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::Failed(format!("the output can't be written: {error}")),
        }
    }
}

/// Addresses, topics and position logs are given by flags: a node that can't start because of one of them was not given what it needs.
impl From<SpawnError> for Failure {
    fn from(error: SpawnError) -> Self {
        match &error {
            SpawnError::Bind(BindError::Socket { source, .. })
            | SpawnError::PositionLog(PositionLogError::Io { source, .. }) => Self::by_kind(source, &error),
            SpawnError::Folder(FolderError::Io { source, .. }) => Self::by_kind(source, &error),
            SpawnError::Listen { .. }
            | SpawnError::Folder(_)
            | SpawnError::Topic(_)
            | SpawnError::Join(_)
            | SpawnError::PositionLog(_) => Self::usage(&error),
            SpawnError::Store(error) => crate::store::failure(error),
            _ => Self::failed(&error),
        }
    }
}

/// How a run ends that checked promises. That nobody read the output to its end, or that a file could not be written, does not
/// hide that a promise was broken.
pub fn verdict(faults: Vec<String>, written: Result<(), Failure>) -> Result<(), Failure> {
    match (faults.is_empty(), written) {
        (true, Err(Failure::OutputClosed)) => Ok(()),
        (true, written) => written,
        (false, Err(Failure::Usage(what) | Failure::Failed(what))) => {
            Err(Failure::Failed(format!("{}; {what}", faults.join("; "))))
        }
        (false, _) => Err(Failure::Failed(faults.join("; "))),
    }
}

/// Writes on stdout, all of it.
pub fn print(text: impl AsRef<[u8]>) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_ref())?;
    Ok(out.flush()?)
}

/// A line of progress, of a run whose report is a file: it goes on when nobody reads its lines any more.
pub fn progress(written: io::Result<()>) -> Result<(), Failure> {
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

/// Says what went wrong and gives the exit code.
pub fn report(result: Result<(), Failure>) -> ExitCode {
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

/// What the parser of the flags has to say: help and version on stdout, all else on stderr with exit code 2.
pub fn parsed(error: &clap::Error) -> ExitCode {
    let printed = error.print().and_then(|()| io::stdout().flush());
    if error.use_stderr() { ExitCode::from(2) } else { report(printed.map_err(Failure::from)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unread_or_unwritten_output_hides_no_broken_promise() {
        let faults = || vec!["one".to_owned(), "two".to_owned()];
        for written in [Ok(()), Err(Failure::OutputClosed), Err(Failure::No)] {
            assert!(matches!(verdict(faults(), written), Err(Failure::Failed(what)) if what == "one; two"));
        }
        let full = Err(Failure::Failed("full".to_owned()));
        assert!(matches!(verdict(faults(), full), Err(Failure::Failed(what)) if what == "one; two; full"));
        assert!(verdict(Vec::new(), Err(Failure::OutputClosed)).is_ok());
        assert!(matches!(verdict(Vec::new(), Err(Failure::failed("full"))), Err(Failure::Failed(_))));
    }

    #[test]
    fn a_wrong_path_is_usage_and_a_full_disk_is_not() {
        let failure = |kind: ErrorKind| Failure::file(Path::new("x"), &kind.into());
        assert!(
            matches!(failure(ErrorKind::IsADirectory), Failure::Usage(what) if what.contains("check the path"))
        );
        assert!(matches!(failure(ErrorKind::StorageFull), Failure::Failed(what) if !what.contains("check")));
    }
}
