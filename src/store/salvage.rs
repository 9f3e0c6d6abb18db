//! Makes a new store of what can be read of a damaged one.
//!
//! The damaged file is only read, and is kept under another name. A page that can't be read costs the rows that stand in it; a record
//! whose checksum does not hold costs itself. The book is made anew by keeping bundle after bundle. Records of positions are not taken
//! over, since an older one would let a position be used twice; and cursors of the damaged store are foreign to the new one.
//!
//! Each step can end at any point and is done again: what is under way is `store.redb.fresh`; what is complete is
//! `store.redb.salvaged`; only then the damaged file leaves its name.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::redb::{Database, ReadOnlyDatabase, ReadableDatabase as _};

use super::book::{self, Counts, Open};
use super::database::{
    self, FILE_NAME, FRESH, Handle, MARK, SALVAGED, failed, guarded, open_database, walk_named,
};
use super::disk::{Damaged, SHARED};
use super::position_log::sync_folder;
use super::rows::{Fields, Stored, Table};
use super::{Res, StoreError};
use crate::protocol::keeping::{Arrival, Damage, Keep, Keeping, Kept, Show};
use crate::rumor::{Bundle, EVIDENCE_LEN, Evidence, RuleSet, TopicId};

/// How often an unreadable stretch of a table is halved, in all, to find what is readable inside.
const ATTEMPTS: usize = 64;
/// Bundles in one transaction.
const GROUP: usize = 1000;

/// Ends a salvage that was cut off: either it is complete and takes its place, or it is worth nothing.
pub(super) fn finish(folder: &Path) -> io::Result<Option<Damage>> {
    let (name, salvaged) = (folder.join(FILE_NAME), folder.join(SALVAGED));
    match fs::remove_file(folder.join(FRESH)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    if !salvaged.exists() {
        return Ok(None);
    }
    let moved_to = aside(folder);
    if name.exists() {
        fs::rename(&name, &moved_to)?;
    }
    fs::rename(salvaged, &name)?;
    sync_folder(&name)?;
    match fs::remove_file(folder.join(MARK)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    Ok(Some(Damage { moved_to, saved: 0, bad: 0, unreadable: 0 }))
}

/// A name that nothing has yet.
fn aside(folder: &Path) -> PathBuf {
    let names = (1u64..).map(|number| folder.join(format!("{FILE_NAME}.damaged-{number}")));
    names
        .into_iter()
        .find(|name| !name.exists())
        .unwrap_or_else(|| folder.join(format!("{FILE_NAME}.damaged")))
}

/// Makes a new store and puts it in the place of the damaged one.
pub(super) fn run(folder: &Path, lock: &Arc<Option<File>>) -> Res<Damage> {
    let io = |source| StoreError::Io { path: folder.into(), source };
    // If we end here, the next opening begins again.
    File::create(folder.join(MARK)).map_err(io)?;
    let fresh = folder.join(FRESH);
    let _ = fs::remove_file(&fresh);
    let into = open_database(&fresh, lock, true)?;
    into.write(|rows| book::begin(rows, database::incarnation()))?;
    let mut damage = Damage { moved_to: PathBuf::new(), saved: 0, bad: 0, unreadable: 0 };
    match Source::open(&folder.join(FILE_NAME)) {
        Ok(source) => fill(&source, &into, &mut damage)?,
        // Not even its first pages: all of it is one stretch.
        Err(StoreError::Damaged(_)) => damage.unreadable = 1,
        Err(error) => return Err(error),
    }
    drop(into);
    fs::rename(fresh, folder.join(SALVAGED))
        .and_then(|()| sync_folder(&folder.join(FILE_NAME)))
        .map_err(io)?;
    let moved = finish(folder).map_err(io)?;
    damage.moved_to = moved.map(|moved| moved.moved_to).unwrap_or_default();
    Ok(damage)
}

/// The damaged database.
struct Source(Option<ReadOnlyDatabase>);

impl Drop for Source {
    fn drop(&mut self) {
        let database = self.0.take();
        let _ = guarded(|| {
            drop(database);
            Ok(())
        });
    }
}

/// A stretch of keys: from (included), up to (not included).
type Stretch = (Vec<u8>, Vec<u8>);

impl Source {
    fn open(name: &Path) -> Res<Self> {
        let io = |source| StoreError::Io { path: name.into(), source };
        let file = Damaged::new(File::open(name).map_err(io)?).map_err(failed)?;
        let open = || {
            let mut builder = Database::builder();
            builder.set_concurrency_mode(SHARED);
            builder.open_read_only_with_backend(file).map_err(failed)
        };
        guarded(open).map(|database| Self(Some(database)))
    }

    /// Walks over what can be read of a stretch, until the first row that can't be.
    fn pass(
        &self,
        table: &'static str,
        stretch: &Stretch,
        back: bool,
        each: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Res<()> {
        guarded(|| {
            let database = self.0.as_ref().ok_or(StoreError::Closed)?;
            let transaction = database.begin_read().map_err(failed)?;
            walk_named(&transaction, table, &stretch.0, &stretch.1, back, &mut |key, value| {
                each(key, value);
                Ok(true)
            })
        })
    }

    /// The bundle under a key; `None` if it can't be read, or is not what was written.
    fn bundle(&self, key: &[u8]) -> Option<Arc<Bundle>> {
        let mut end = key.to_vec();
        end.push(0);
        let mut found: Option<Arc<Bundle>> = None;
        let read = self.pass("bundles", &(key.to_vec(), end), false, &mut |key, value| {
            found = Stored::Written(key, value).bundle();
        });
        found.filter(|_| read.is_ok())
    }

    /// Calls `each` for every row of a table that can be read, each once, in no order. Gives how many stretches can't be read.
    fn sweep(&self, table: &'static str, each: &mut dyn FnMut(&[u8], &[u8])) -> u64 {
        let mut open = VecDeque::from([(Vec::new(), vec![u8::MAX; LONGEST])]);
        let mut lost: Vec<Stretch> = Vec::new();
        let mut attempts = 0usize;
        while let Some((mut from, mut upto)) = open.pop_front() {
            if attempts >= ATTEMPTS {
                lost.push((from, upto));
                continue;
            }
            attempts = attempts.saturating_add(1);
            let stretch = (from.clone(), upto.clone());
            let read = self.pass(table, &stretch, false, &mut |key, value| {
                from = key.to_vec();
                from.push(0);
                each(key, value);
            });
            if read.is_ok() {
                continue;
            }
            let stretch = (from.clone(), upto.clone());
            let read = self.pass(table, &stretch, true, &mut |key, value| {
                upto = key.to_vec();
                each(key, value);
            });
            if read.is_ok() {
                continue;
            }
            match middle(&from, &upto) {
                Some(middle) => open.extend([(from, middle.clone()), (middle, upto)]),
                None => lost.push((from, upto)),
            }
        }
        lost.sort();
        let apart = lost.windows(2).filter(|pair| matches!(pair, [one, next] if one.1 != next.0)).count();
        if lost.is_empty() { 0 } else { apart.saturating_add(1) as u64 }
    }
}

/// Longer than any key.
const LONGEST: usize = 56;

/// Halfway between two keys, as numbers; `None` if there is nothing between.
fn middle(from: &[u8], upto: &[u8]) -> Option<Vec<u8>> {
    let digit = |key: &[u8], at: usize| u32::from(key.get(at).copied().unwrap_or(0));
    // The sum, from the last digit on, then its half.
    let (mut sum, mut carry) = ([0u32; LONGEST], 0u32);
    for (at, out) in sum.iter_mut().enumerate().rev() {
        let here = digit(from, at).saturating_add(digit(upto, at)).saturating_add(carry);
        (*out, carry) = (here % 256, here / 256);
    }
    let mut half = Vec::with_capacity(LONGEST);
    for here in sum {
        let here = carry.saturating_mul(256).saturating_add(here);
        half.push((here / 2) as u8);
        carry = here % 2;
    }
    // Zeros at the end sort before nothing that has a key.
    while half.last() == Some(&0) {
        half.pop();
    }
    (half.as_slice() > from && half.as_slice() < upto).then_some(half)
}

/// The topics of the new store: what bundles are kept under.
type Topics = HashMap<TopicId, Open>;

/// Keeps in a new store what the damaged one still shows.
fn fill(source: &Source, into: &Handle, damage: &mut Damage) -> Res<()> {
    let mut lost = take_proofs(source, into)?;
    let (mut topics, of_topics) = take_topics(source, into)?;
    lost = lost.saturating_add(of_topics);
    let ways = Ways::of(source);
    lost = lost.saturating_add(ways.lost).saturating_add(ways.hidden_lost);
    // By ticks, since that is near to the order in which they came.
    let mut places = Vec::new();
    lost = lost.saturating_add(source.sweep("bundles", &mut |key, _| {
        let mut fields = Fields(key);
        if let (Ok(topic), Ok(author), Ok(at)) = (fields.topic(), fields.number(), fields.position()) {
            places.push((topic, at, author, key.to_vec()));
        }
    }));
    places.sort_unstable();
    damage.unreadable = lost;
    for group in places.chunks(GROUP) {
        let mut keeps = Vec::with_capacity(group.len());
        for (.., key) in group {
            match source.bundle(key) {
                Some(bundle) => {
                    let (show, arrival) = ways.way_of(key);
                    keeps.push(Keep { bundle, arrival, show });
                }
                None => damage.bad = damage.bad.saturating_add(1),
            }
        }
        keep(into, &mut topics, &keeps, damage)?;
    }
    Ok(())
}

/// Takes over the proofs. Gives how many stretches can't be read.
fn take_proofs(source: &Source, into: &Handle) -> Res<u64> {
    let mut proofs = Vec::new();
    let lost = source.sweep(Table::Evidence.name(), &mut |_, value| {
        let mut fields = Fields(value);
        let proof = fields.u64().and_then(|ordinal| Ok((ordinal, fields.array::<EVIDENCE_LEN>()?)));
        if let Ok((ordinal, Ok(evidence))) = proof.map(|(ordinal, bytes)| (ordinal, Evidence::decode(&bytes)))
        {
            // There is no checksum over it, and a proof convicts.
            if crate::verify::evidence(&evidence).is_ok() {
                proofs.push((ordinal, evidence));
            }
        }
    });
    proofs.sort_unstable_by_key(|(ordinal, _)| *ordinal);
    into.write(|rows| proofs.iter().try_for_each(|(_, evidence)| book::remember(rows, evidence)))?;
    Ok(lost)
}

/// Takes over the topics, with their floors. Gives how many stretches can't be read.
fn take_topics(source: &Source, into: &Handle) -> Res<(Topics, u64)> {
    let (mut topics, mut floors) = (HashMap::new(), HashMap::new());
    let lost = source.sweep(Table::Topics.name(), &mut |key, value| {
        let mut fields = Fields(value);
        if let (Ok(id), Ok(number)) = (Fields(key).array().map(TopicId::from_bytes), fields.u32()) {
            topics.insert(id, (number, fields.0.to_vec()));
        }
    });
    let floors_lost = source.sweep(Table::Counts.name(), &mut |key, value| {
        if let (Ok(topic), Ok(floor)) = (Fields(key).topic(), Fields(value).u64()) {
            floors.insert(topic, floor);
        }
    });
    let mut open = HashMap::new();
    into.write(|rows| {
        for (id, (number, rules)) in &topics {
            let topic = book::join_topic(rows, id, rules)?;
            // Without its rules a topic is a log until the application joins it, and is counted again then.
            let kind = RuleSet::decode(rules).map(|rules| rules.kind()).unwrap_or_default();
            let floor = floors.get(number).copied().unwrap_or(0);
            let max_keys = kind.max_keys().unwrap_or(0);
            Counts { floor, max_keys, ..Counts::default() }.write(rows, topic)?;
            open.insert(*id, Open { number: topic, keeping: ROOM });
        }
        Ok(())
    })?;
    Ok((open, lost.saturating_add(floors_lost)))
}

/// How bundles came, and whether they are shown, by their keys.
struct Ways {
    arrivals: HashMap<Vec<u8>, Arrival>,
    unshown: HashMap<Vec<u8>, (Option<u32>, Arrival)>,
    /// Stretches of the arrivals that can't be read, and of what is not shown.
    lost: u64,
    hidden_lost: u64,
}

impl Ways {
    fn of(source: &Source) -> Self {
        let (mut arrivals, mut unshown) = (HashMap::new(), HashMap::new());
        let lost = source.sweep(Table::Arrivals.name(), &mut |_, value| {
            if let Some((code, place)) = value.split_last() {
                arrivals.insert(
                    place.to_vec(),
                    book::arrival_of(*code).unwrap_or(Arrival::Late { below: false }),
                );
            }
        });
        let hidden_lost = source.sweep(Table::Unshown.name(), &mut |key, value| {
            unshown.extend(book::unshown_of(value).map(|how| (key.to_vec(), how)));
        });
        Self { arrivals, unshown, lost, hidden_lost }
    }

    fn way_of(&self, key: &[u8]) -> (Show, Arrival) {
        match self.unshown.get(key) {
            Some((None, arrival)) => (Show::Held, *arrival),
            Some((Some(by), arrival)) => (Show::Rejected { by: *by }, *arrival),
            // What was hidden is not known: the application judges again, all of it.
            None if self.hidden_lost > 0 => (Show::Rejected { by: u32::MAX }, Arrival::Late { below: false }),
            None => (Show::Now, self.arrivals.get(key).copied().unwrap_or(Arrival::Late { below: false })),
        }
    }
}

/// Keeps a group of bundles in the new store, in one transaction.
fn keep(into: &Handle, topics: &mut Topics, keeps: &[Keep], damage: &mut Damage) -> Res<()> {
    let kept = into.write(|rows| {
        for keep in keeps {
            let id = keep.bundle.header().topic;
            if let Entry::Vacant(vacant) = topics.entry(id) {
                // Its rules come when the application joins it.
                vacant.insert(Open { number: book::join_topic(rows, &id, &[])?, keeping: ROOM });
            }
        }
        let group = crate::protocol::keeping::Group { keeps, record: None, now_ms: 0 };
        book::keep_group(rows, topics, &group)
    })?;
    let saved = kept.iter().filter(|kept| matches!(kept, Kept::New { .. })).count() as u64;
    damage.saved = damage.saved.saturating_add(saved);
    damage.bad = damage.bad.saturating_add((kept.len() as u64).saturating_sub(saved));
    Ok(())
}

/// Room for whatever was there.
const ROOM: Keeping = Keeping {
    bytes: u64::MAX,
    shared: u64::MAX,
    authors: u64::MAX,
    judged_by: None,
    recent_from: 0,
    latest: u64::MAX,
};
