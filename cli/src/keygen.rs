//! `vouchsafe keygen`: a new key, in a file or on stdout.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use vouchsafe::store::PositionLog;
use vouchsafe::{KeyFileError, SecretKey};

use crate::exit::Failure;
use crate::files::is_dash;

/// Make a new key
///
/// With --out: writes the secret to a new file that only you can read (mode 0600), a position log beside it (the same name, ending in
/// .positions: nothing has been said under this key yet, so a node may speak at once), and prints the public key on stdout.
///
/// Without --out, or with --out -: prints the secret on stdout and the public key on stderr, so that `umask 077; vouchsafe
/// keygen > FILE` makes a key file too.
///
/// Anybody may know the public key: others need it to reach your node. Nobody else may see the secret.
///
/// Exit code: 0 the key is where it should be, and was told in full; 1 it is not, or was not; 2 the file can't be used.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Write the secret to this new file, - is stdout. A file that exists is never overwritten
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Make nothing: print the public key of this key file, - is stdin
    #[arg(long, value_name = "FILE", conflicts_with = "out")]
    public_of: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    if let Some(path) = &args.public_of {
        return print_public(&load(path)?).map_err(|error| untold(&error, "its public key was not told"));
    }
    match args.out.as_deref().filter(|path| !is_dash(path)) {
        Some(path) => make_files(path, &SecretKey::generate()),
        None => print_secret(&SecretKey::generate()),
    }
}

fn load(path: &Path) -> Result<SecretKey, Failure> {
    if is_dash(path) {
        return SecretKey::read_from(io::stdin().lock())
            .map_err(|error| Failure::Usage(format!("stdin: {error}")));
    }
    SecretKey::load(path).map_err(|error| key_file(&error))
}

/// What a key file that can't be used means for the exit code.
pub(crate) fn key_file(error: &KeyFileError) -> Failure {
    match error {
        KeyFileError::Io { source, .. } => Failure::by_kind(source, error),
        _ => Failure::usage(error),
    }
}

fn make_files(path: &Path, key: &SecretKey) -> Result<(), Failure> {
    let position_log = position_log_beside(path);
    if path.exists() {
        return Err(Failure::Usage(format!(
            "{} exists and is not overwritten, since it may be a key in use: choose another name, or move it away",
            path.display()
        )));
    }
    if position_log == path {
        return Err(Failure::Usage(format!(
            "{} is where the key's position log goes: choose a name that does not end in .positions",
            path.display()
        )));
    }
    if position_log.exists() {
        return Err(Failure::Usage(format!(
            "{} exists, and may be the position log of a key in use: choose another name, or move it away",
            position_log.display()
        )));
    }
    key.save(path).map_err(|error| key_file(&error))?;
    let made = |what: String| {
        Failure::Failed(format!(
            "{what}; the key itself is in {path}, and `vouchsafe keygen --public-of {path}` tells its public key",
            path = path.display()
        ))
    };
    if let Err(error) = PositionLog::open(position_log, key.public(), true, 0) {
        return Err(made(format!("{error}: a node will make another, and wait 30 s before its first line")));
    }
    print_public(key).map_err(|error| made(format!("the output can't be written: {error}")))
}

fn print_public(key: &SecretKey) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{}", key.public())?;
    out.flush()
}

/// A key that nobody has is none, so here a reader that has gone is a failure too.
fn print_secret(key: &SecretKey) -> Result<(), Failure> {
    if stdout::leads_nowhere() {
        return Err(Failure::failed(
            "stdout is closed or leads to the null device, so nobody would have the key: give --out FILE",
        ));
    }
    key.write_to(io::stdout().lock())
        .and_then(|()| stdout::sync())
        .map_err(|error| untold(&error, "nobody has the key: make another, with --out FILE"))?;
    let _ = writeln!(io::stderr(), "public key: {}", key.public());
    Ok(())
}

fn untold(error: &io::Error, so: &str) -> Failure {
    Failure::Failed(format!("the output can't be written ({error}), so {so}"))
}

/// Where the position log of a key file is, unless it is told otherwise. Of two keys in one folder each has its own: `.key` is replaced,
/// and what else a name may end in stays.
pub(crate) fn position_log_beside(key: &Path) -> PathBuf {
    if key.extension().is_some_and(|ending| ending == "key") {
        return key.with_extension("positions");
    }
    let mut name = key.as_os_str().to_owned();
    name.push(".positions");
    name.into()
}

/// What stdout leads to.
#[cfg(unix)]
mod stdout {
    use std::fs::File;
    use std::io;
    use std::os::fd::AsFd as _;
    use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};

    fn file() -> io::Result<File> {
        Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
    }

    /// Whether what is written is gone. A stdout that was closed is such a device too: the runtime puts it in its place.
    pub(super) fn leads_nowhere() -> bool {
        let same = || {
            let (ours, null) = (file()?.metadata()?, std::fs::metadata("/dev/null")?);
            io::Result::Ok(ours.file_type().is_char_device() && ours.rdev() == null.rdev())
        };
        same().unwrap_or(false)
    }

    /// Waits until what was written is on the disk, if it is a file.
    pub(super) fn sync() -> io::Result<()> {
        let file = file()?;
        if file.metadata()?.is_file() { file.sync_all() } else { Ok(()) }
    }
}

/// Elsewhere that is not known.
#[cfg(not(unix))]
mod stdout {
    pub(super) fn leads_nowhere() -> bool {
        false
    }

    pub(super) fn sync() -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_of_a_folder_has_a_position_log_of_its_own() {
        let names = ["a.key", "r.alice", "r.bob", "plain"].map(|name| position_log_beside(Path::new(name)));
        assert_eq!(
            names,
            ["a.positions", "r.alice.positions", "r.bob.positions", "plain.positions"].map(PathBuf::from)
        );
    }
}
