//! Opening a store from outside: only one that is there, and with a sign that something is going on.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use vouchsafe::PublicKey;
use vouchsafe::protocol::keeping::Damage;
use vouchsafe::store::{Reader, RedbStore, Report, Store as _, StoreError};

use crate::exit::Failure;

/// A store that this process has open.
pub(crate) struct Opened {
    store: RedbStore,
    damage: Option<Damage>,
    file: PathBuf,
}

/// Opens the store in a folder, which must be there.
pub(crate) fn open(folder: &Path) -> Result<Opened, Failure> {
    let file = folder.join(vouchsafe::store::FILE_NAME);
    if !file.exists() {
        return Err(Failure::Usage(format!(
            "{}: there is no store in this folder; a node makes one with --store",
            folder.display()
        )));
    }
    let bar = spinner("opening the store");
    let opened = RedbStore::open(folder);
    bar.finish_and_clear();
    let mut store = opened.map_err(|error| failure(&error))?;
    // Whose records of positions are asked for does not matter here.
    let started = store.start(&PublicKey::from_bytes([0; 32])).map_err(|error| failure(&error))?;
    Ok(Opened { store, damage: started.damage, file })
}

impl Opened {
    /// What was lost, if the file was damaged.
    pub(crate) const fn damage(&self) -> Option<&Damage> {
        self.damage.as_ref()
    }

    /// Reads everything and counts it again.
    pub(crate) fn report(&self) -> Result<Report, Failure> {
        let bar = spinner("reading all records");
        let report = self.store.check();
        bar.finish_and_clear();
        report.map_err(|error| failure(&error))
    }

    /// For reading.
    pub(crate) fn reader(&self) -> Box<dyn Reader> {
        self.store.reader()
    }

    /// How large its file is.
    pub(crate) fn file_bytes(&self) -> u64 {
        std::fs::metadata(&self.file).map_or(0, |file| file.len())
    }
}

/// What an error of the store means for the exit code.
pub(crate) fn failure(error: &StoreError) -> Failure {
    match error {
        StoreError::InUse(_) | StoreError::Newer { .. } | StoreError::NotAStore(_) | StoreError::NotOpen => {
            Failure::usage(error)
        }
        StoreError::Io { source, .. } => Failure::by_kind(source, error),
        _ => Failure::failed(error),
    }
}

fn spinner(what: &'static str) -> ProgressBar {
    let shown = std::io::stderr().is_terminal();
    let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(None, target);
    let style = ProgressStyle::with_template("{elapsed:>4} {spinner} {msg}");
    let bar = style.map_or(bar.clone(), |style| bar.with_style(style)).with_message(what);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
