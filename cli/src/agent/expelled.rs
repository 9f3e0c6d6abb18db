//! Who was expelled and until when, in the state folder: a restart must not let them in again.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use vouchsafe::PublicKey;

use super::happening::unix_ms;
use crate::files;

/// The file.
const FILE: &str = "expelled";
/// Bytes of it that are read: as many lines as a node may expel keys, and some.
const MOST_BYTES: u64 = 1 << 20;

/// The keys, and Unix time in milliseconds until when.
#[derive(Debug, Clone)]
pub(crate) struct Expelled {
    path: PathBuf,
    until: Arc<Mutex<BTreeMap<PublicKey, u64>>>,
}

impl Expelled {
    /// Reads what an earlier life has left.
    pub(crate) fn open(state: &Path) -> Result<Self, String> {
        let path = state.join(FILE);
        let text = match files::text(&path, MOST_BYTES) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            text => text.map_err(|error| format!("{}: {error}", path.display()))?,
        };
        let line = |line: &str| {
            let (key, until) = line.split_once(' ')?;
            Some((key.parse().ok()?, until.parse().ok()?))
        };
        let until: Option<BTreeMap<_, _>> = text.lines().map(line).collect();
        let until = until.ok_or_else(|| {
            format!("{} is damaged: remove it, then expel again who is to be kept out", path.display())
        })?;
        Ok(Self { path, until: Arc::new(Mutex::new(until)) })
    }

    /// Of an agent that keeps nothing, and that nobody can tell to expel.
    pub(crate) fn nobody() -> Self {
        Self { path: PathBuf::new(), until: Arc::default() }
    }

    /// Who is still to be kept out, and for how long.
    pub(crate) fn now(&self) -> Vec<(PublicKey, Duration)> {
        let now = unix_ms();
        let until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        let still = until.iter().filter(|(_, until)| **until > now);
        still.map(|(key, until)| (*key, Duration::from_millis(until - now))).collect()
    }

    /// Notes that a key is expelled for so long, or no longer. Done when the disk has it.
    pub(crate) async fn set(&self, key: PublicKey, lasts: Option<Duration>) -> io::Result<()> {
        let this = self.clone();
        let written = tokio::task::spawn_blocking(move || {
            // One writer at a time.
            let mut until = this.until.lock().unwrap_or_else(PoisonError::into_inner);
            let now = unix_ms();
            let mut new = until.clone();
            new.retain(|_, until| *until > now);
            match lasts {
                Some(lasts) => {
                    let lasts = u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX);
                    new.insert(key, now.saturating_add(lasts));
                }
                None if !until.contains_key(&key) => return Ok(()),
                None => {
                    new.remove(&key);
                }
            }
            write(&this.path, &new)?;
            *until = new;
            Ok(())
        });
        written.await.unwrap_or_else(|error| Err(io::Error::other(error)))
    }
}

fn write(path: &Path, until: &BTreeMap<PublicKey, u64>) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    let text: String = until.iter().map(|(key, until)| format!("{key} {until}\n")).collect();
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use vouchsafe::SecretKey;

    use super::*;

    #[tokio::test]
    async fn who_was_expelled_is_known_to_the_next_life_and_who_was_admitted_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let [one, two] = [1, 2].map(|seed| SecretKey::from_seed(&[seed; 32]).public());
        let expelled = Expelled::open(folder.path()).unwrap();
        expelled.set(one, Some(Duration::from_secs(60))).await.unwrap();
        expelled.set(two, Some(Duration::from_secs(60))).await.unwrap();
        expelled.set(two, None).await.unwrap();
        let next = Expelled::open(folder.path()).unwrap().now();
        assert!(
            matches!(next[..], [(key, left)] if key == one && left > Duration::from_secs(50)),
            "{next:?}"
        );
        expelled.set(one, Some(Duration::ZERO)).await.unwrap();
        assert!(Expelled::open(folder.path()).unwrap().now().is_empty());
        fs::write(folder.path().join(FILE), "who 1\n").unwrap();
        assert!(Expelled::open(folder.path()).unwrap_err().contains("damaged"));
    }
}
