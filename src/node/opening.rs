//! The files of a node, opened before it starts: its position log, and its store.

use std::path::PathBuf;
use std::sync::Arc;

use super::keeper::{Keeper, Opener, Space};
use super::outside::Outside;
use crate::key::{PublicKey, SecretKey};
use crate::protocol::keeping::{Damage, Started, StoreAnswer};
use crate::protocol::{Config, MAX_SKEW, UsedPositions};
use crate::rumor::Spans;
use crate::store::{PositionLog, PositionLogError, RedbStore, Res, Store, StoreError};

/// Opened files, and what they say.
pub(super) struct Files {
    pub(super) position_log: Option<PositionLog>,
    pub(super) store: Option<OpenStore>,
    pub(super) used: UsedPositions,
}

impl Files {
    /// What the store had lost.
    pub(super) fn damage(&self) -> Option<Arc<Damage>> {
        self.store.as_ref().and_then(|store| store.damage.clone()).map(Arc::new)
    }
}

/// A store on a disk, started.
pub(super) struct OpenStore {
    store: Box<dyn Store>,
    open: Opener,
    folder: PathBuf,
    /// For the engine.
    started: StoreAnswer,
    /// For the application, which can listen to events only when the node runs.
    pub(super) damage: Option<Damage>,
}

/// Why the files could not be opened.
#[derive(Debug)]
pub(super) enum Unopened {
    PositionLog(PositionLogError),
    Store(StoreError),
}

/// Opens what is named, on the thread that it blocks.
pub(super) fn open(
    log: Option<PathBuf>,
    folder: Option<PathBuf>,
    author: &SecretKey,
    now_ms: u64,
) -> Result<Files, Unopened> {
    if log.is_none() && folder.is_none() {
        return Ok(Files { position_log: None, store: None, used: UsedPositions::None });
    }
    let (key, fresh) = (author.public(), author.take_fresh());
    let log = log.map(|path| PositionLog::open(path, key, fresh, now_ms)).transpose();
    let (position_log, by_log) = log.map_err(Unopened::PositionLog)?.unzip();
    let store = folder.map(|folder| open_store(folder, &key)).transpose().map_err(Unopened::Store)?;
    let (store, by_store) = store.unzip();
    let used = used(by_log, by_store.flatten(), fresh, now_ms);
    Ok(Files { position_log, store, used: UsedPositions::Kept { used } })
}

/// When positions may have been used. Of two records both hold, so the later one decides.
fn used(log: Option<Spans>, store: Option<u64>, fresh: bool, now_ms: u64) -> Spans {
    let skew = u64::try_from(MAX_SKEW.as_millis()).unwrap_or(u64::MAX);
    match (log, store) {
        (Some(mut log), Some(until_ms)) => {
            log.add_all(&Spans::before(until_ms));
            log
        }
        (Some(log), None) => log,
        (None, Some(until_ms)) => Spans::before(until_ms),
        // A store that knows nothing of this key: it is new, or was moved aside, or was damaged. A key that was just made has said
        // nothing; any other may have spoken until now, by a clock that was ahead of today's.
        (None, None) if fresh => Spans::default(),
        (None, None) => Spans::before(now_ms.saturating_add(skew)),
    }
}

/// What keeps what topics say: on the disk, if there is an open store, and then what the engine is to be told of it first.
pub(super) fn keeper(
    store: Option<OpenStore>,
    author: PublicKey,
    leave_free: u64,
    outside: Outside,
) -> (Keeper, Option<StoreAnswer>) {
    match store {
        Some(OpenStore { store, open, folder, started, .. }) => {
            let space = Space::new(folder, leave_free);
            (Keeper::on_disk(store, open, author, space, outside), Some(started))
        }
        None => (Keeper::in_memory(&author), None),
    }
}

/// What a node keeps in memory is no more than what its topics may have there.
pub(super) fn in_memory(config: Config) -> Config {
    let most = u64::try_from(config.topics.bytes).unwrap_or(u64::MAX);
    config.with(|config| {
        config.history.bytes = config.history.bytes.min(most);
        config.history.topic_bytes = config.history.topic_bytes.min(most);
    })
}

fn open_store(folder: PathBuf, author: &PublicKey) -> Res<(OpenStore, Option<u64>)> {
    let at = folder.clone();
    let mut open: Opener = Box::new(move || Ok(Box::new(RedbStore::open(&at)?)));
    let mut store = open()?;
    let Started { recorded_until, evidence, damage, .. } = store.start(author)?;
    let started = StoreAnswer::Started { evidence, damage: damage.clone() };
    Ok((OpenStore { store, open, folder, started, damage }, recorded_until))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_folder_no_more_is_kept_than_topics_may_have_in_memory() {
        let config = in_memory(Config::default().with(|config| {
            config.topics.bytes = 5 << 20;
            config.history.bytes = 1 << 20;
        }));
        assert_eq!((config.history.bytes, config.history.topic_bytes), (1 << 20, 5 << 20));
        assert!(in_memory(Config::default()).history.bytes <= 256 << 20);
    }

    #[test]
    fn of_two_records_the_later_holds() {
        let log = || {
            let mut spans = Spans::default();
            spans.add(50, 60);
            spans
        };
        assert_eq!(used(Some(log()), Some(40), false, 0).end(), 60);
        assert_eq!(used(Some(log()), Some(90), false, 0).end(), 90);
        assert!(used(Some(log()), Some(90), false, 0).overlaps(0, 1), "a store says only until when");
        assert_eq!(used(Some(log()), None, false, 0), log(), "a new store beside a log knows less than it");
        assert_eq!(used(None, Some(90), true, 0).end(), 90);
        assert!(used(None, None, true, 0).is_empty());
        assert_eq!(used(None, None, false, 1_000).end(), 31_000, "as without any record");
    }
}
