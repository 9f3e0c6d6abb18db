//! `vouchsafe keygen`: a new key, in a file or on stdout.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use vouchsafe::key::SecretKey;
use vouchsafe::store::LedgerFile;

use crate::exit::Failure;

/// Make a new key
///
/// With --out: writes the secret to a new file that only you can read (mode 0600), a ledger beside it (the same name, ending in
/// .ledger: nothing has been said under this key yet, so a node may speak at once), and prints the public key on stdout.
///
/// Without --out: prints the secret on stdout and the public key on stderr, so that `umask 077; vouchsafe keygen >
/// FILE` makes a key file too.
///
/// Anybody may know the public key: others need it to reach your node. Nobody else may see the secret.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Write the secret to this new file. A file that exists is never overwritten
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Make nothing: print the public key of this key file
    #[arg(long, value_name = "FILE", conflicts_with = "out")]
    public_of: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    if let Some(path) = &args.public_of {
        let key = SecretKey::load(path).map_err(Failure::usage)?;
        return Ok(writeln!(stdout, "{}", key.public())?);
    }
    let key = SecretKey::generate();
    match &args.out {
        Some(path) if path.exists() => Err(Failure::Usage(format!(
            "{} exists and is not overwritten, since it may be a key in use: choose another name, or move it away",
            path.display()
        ))),
        Some(path) => {
            let ledger = ledger_beside(path);
            if ledger == *path {
                return Err(Failure::Usage(format!(
                    "{} is where the key's ledger goes: choose a name that does not end in .ledger",
                    path.display()
                )));
            }
            if ledger.exists() {
                return Err(Failure::Usage(format!(
                    "{} exists, and may be the ledger of a key in use: choose another name, or move it away",
                    ledger.display()
                )));
            }
            key.save(path).map_err(Failure::usage)?;
            LedgerFile::open(ledger, key.public(), true, 0).map_err(Failure::usage)?;
            Ok(writeln!(stdout, "{}", key.public())?)
        }
        None => {
            // The key type never prints its secret, but its file format is this line.
            let secret = hex::encode(key.to_seed().as_slice());
            writeln!(stdout, "{secret}")?;
            let _ = writeln!(io::stderr(), "public key: {}", key.public());
            Ok(())
        }
    }
}

/// Where the ledger of a key file is, unless it is told otherwise.
pub(crate) fn ledger_beside(key: &Path) -> PathBuf {
    key.with_extension("ledger")
}
