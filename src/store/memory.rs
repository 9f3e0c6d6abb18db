//! A store in memory: the rules of all stores over maps, deterministic, gone with its node.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::book::{self, Open};
use super::check::{self, Report};
use super::rows::{Each, EachBundle, Rows, RowsMut, Stored, Table};
use super::{Reader, Res, Store, StoreError};
use crate::key::PublicKey;
use crate::protocol::keeping::{
    Cursor, Forget, Frontier, Group, Head, Held, Hole, Keeping, Kept, Live, Opened, Page, Range, Scan, Size,
    Started,
};
use crate::rumor::{Bundle, BundleId, Evidence, Position, RuleSet, TopicId};

/// Keeps in memory what topics say: for nodes without a folder, and for simulations. Bundles are shared with who gave them.
#[derive(Debug)]
pub struct MemoryStore {
    rows: Arc<Mutex<Maps>>,
    own: Option<PublicKey>,
    open: HashMap<TopicId, Open>,
}

impl MemoryStore {
    /// An empty store. `incarnation` is what its cursors carry: a random number, not 0; in a simulation, one that its seed decides.
    #[must_use]
    pub fn new(incarnation: u64) -> Self {
        let mut maps = Maps::default();
        // Maps refuse nothing.
        let _ = book::begin(&mut maps, incarnation.max(1));
        Self { rows: Arc::new(Mutex::new(maps)), own: None, open: HashMap::new() }
    }

    /// The same contents, opened again under a new incarnation: what a restart does to a store on a disk.
    #[must_use]
    pub fn reopened(self, incarnation: u64) -> Self {
        let _ = book::begin(&mut *locked(&self.rows), incarnation.max(1));
        Self { own: None, open: HashMap::new(), ..self }
    }

    /// Opens a topic as a salvage does whose rules were lost.
    #[cfg(test)]
    pub(super) fn open_without_rules(&mut self, topic: &TopicId, keeping: Keeping) {
        let number = book::join_topic(&mut *locked(&self.rows), topic, &[]).unwrap();
        self.open.insert(*topic, Open { number, keeping });
    }

    /// A copy of its own of all that it holds, as a backup is: what happens to one does not happen to the other.
    #[must_use]
    pub fn copy(&self) -> Self {
        let rows = locked(&self.rows).clone();
        Self { rows: Arc::new(Mutex::new(rows)), own: None, open: HashMap::new() }
    }

    /// Walks through everything and counts it again.
    ///
    /// # Errors
    /// None so far: maps don't fail.
    pub fn check(&self) -> Res<Report> {
        check::check(&*locked(&self.rows))
    }
}

fn locked(rows: &Mutex<Maps>) -> MutexGuard<'_, Maps> {
    rows.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store for MemoryStore {
    fn start(&mut self, author: &PublicKey) -> Res<Started> {
        let rows = locked(&self.rows);
        self.own = Some(*author);
        Ok(Started {
            incarnation: book::incarnation(&*rows)?,
            recorded_until: book::recorded(&*rows, author)?,
            evidence: book::evidence(&*rows)?,
            damage: None,
        })
    }

    fn open(&mut self, rules: &RuleSet, keeping: &Keeping) -> Res<Opened> {
        let (topic, opened) = book::open(&mut *locked(&self.rows), rules, keeping, self.own.as_ref())?;
        self.open.insert(rules.id(), topic);
        Ok(opened)
    }

    fn keep(&mut self, group: &Group<'_>) -> Res<Vec<Kept>> {
        book::keep_group(&mut *locked(&self.rows), &self.open, group)
    }

    fn release(&mut self, topic: &TopicId, at: &[(PublicKey, Position)]) -> Res<Vec<Option<u64>>> {
        let mut rows = locked(&self.rows);
        let topic = book::topic(&*rows, topic)?;
        at.iter().map(|(author, at)| book::release(&mut *rows, topic, author, *at)).collect()
    }

    fn rest(&mut self, topic: &TopicId, holes: &[(Hole, u64)]) -> Res<()> {
        let mut rows = locked(&self.rows);
        let topic = book::topic(&*rows, topic)?;
        holes.iter().try_for_each(|(hole, until)| book::rest(&mut *rows, topic, hole, *until))
    }

    fn settle(&mut self, author: &PublicKey, until_ms: u64) -> Res<()> {
        book::settle(&mut *locked(&self.rows), author, until_ms)
    }

    fn remember(&mut self, evidence: &Evidence) -> Res<()> {
        book::remember(&mut *locked(&self.rows), evidence)
    }

    fn forget(&mut self, topic: &TopicId, what: Forget) -> Res<bool> {
        let mut rows = locked(&self.rows);
        let topic = book::topic(&*rows, topic)?;
        book::forget(&mut *rows, topic, what)
    }

    fn reader(&self) -> Box<dyn Reader> {
        Box::new(MemoryReader(Arc::clone(&self.rows)))
    }
}

/// Reads a [`MemoryStore`].
#[derive(Debug)]
struct MemoryReader(Arc<Mutex<Maps>>);

impl Reader for MemoryReader {
    fn held(&self, topic: &TopicId, at: &[(PublicKey, Position, BundleId)]) -> Res<Vec<Held>> {
        let rows = locked(&self.0);
        let topic = book::topic(&*rows, topic)?;
        at.iter().map(|(author, at, id)| book::held(&*rows, topic, author, *at, id)).collect()
    }

    fn page(&self, topic: &TopicId, ranges: &[Range], max_bytes: usize) -> Res<Page> {
        let rows = locked(&self.0);
        book::page(&*rows, book::topic(&*rows, topic)?, ranges, max_bytes)
    }

    fn history(&self, topic: &TopicId, range: &Range, max_bytes: usize) -> Res<Page> {
        let rows = locked(&self.0);
        book::history(&*rows, book::topic(&*rows, topic)?, range, max_bytes)
    }

    fn find(&self, topic: &TopicId, author: &PublicKey, at: Position) -> Res<Option<Arc<Bundle>>> {
        let rows = locked(&self.0);
        book::find(&*rows, book::topic(&*rows, topic)?, author, at)
    }

    fn frontier(&self, topic: &TopicId, author: &PublicKey, holes: usize) -> Res<Frontier> {
        let rows = locked(&self.0);
        book::frontier(&*rows, book::topic(&*rows, topic)?, author, holes)
    }

    fn live(&self, topic: &TopicId, after: Option<&Head>, max_bytes: usize) -> Res<Live> {
        let rows = locked(&self.0);
        book::live(&*rows, book::topic(&*rows, topic)?, after, max_bytes)
    }

    fn scan(&self, topic: &TopicId, after: Cursor, max_bytes: usize) -> Res<Scan> {
        let rows = locked(&self.0);
        book::scan(&*rows, book::topic(&*rows, topic)?, after, max_bytes)
    }

    fn before(&self, topic: &TopicId, at: &[(PublicKey, Position)]) -> Res<Vec<Option<Position>>> {
        let rows = locked(&self.0);
        let topic = book::topic(&*rows, topic)?;
        at.iter().map(|(author, at)| book::before(&*rows, topic, author, *at)).collect()
    }

    fn unmet(&self, topic: &TopicId, after: Option<&Hole>, count: usize) -> Res<Vec<Hole>> {
        let rows = locked(&self.0);
        book::unmet(&*rows, book::topic(&*rows, topic)?, after, count)
    }

    fn over(&self, joined: &[TopicId], now_ms: u64) -> Res<Vec<(TopicId, u64)>> {
        book::over(&*locked(&self.0), joined, now_ms)
    }

    fn size(&self, topic: &TopicId) -> Res<Size> {
        let rows = locked(&self.0);
        Ok(book::Counts::read(&*rows, book::topic(&*rows, topic)?)?.size)
    }
}

/// A map for each table.
#[derive(Clone, Debug, Default)]
pub(super) struct Maps {
    tables: [BTreeMap<Vec<u8>, Vec<u8>>; Table::ALL.len()],
    bundles: BTreeMap<Vec<u8>, Arc<Bundle>>,
}

impl Maps {
    fn table(&self, table: Table) -> Res<&BTreeMap<Vec<u8>, Vec<u8>>> {
        self.tables.get(table as usize).ok_or_else(|| StoreError::damaged(table.name()))
    }

    fn table_mut(&mut self, table: Table) -> Res<&mut BTreeMap<Vec<u8>, Vec<u8>>> {
        self.tables.get_mut(table as usize).ok_or_else(|| StoreError::damaged(table.name()))
    }
}

type Bounds<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

/// The bounds of a range; `None` for one that has nothing in it, which maps panic at.
fn bounds<'a>(from: &'a [u8], upto: &'a [u8]) -> Option<Bounds<'a>> {
    (from < upto).then_some((Bound::Included(from), Bound::Excluded(upto)))
}

impl Rows for Maps {
    fn get(&self, table: Table, key: &[u8]) -> Res<Option<Vec<u8>>> {
        Ok(self.table(table)?.get(key).cloned())
    }

    fn walk(&self, table: Table, from: &[u8], upto: &[u8], each: Each<'_>) -> Res<()> {
        let Some(bounds) = bounds(from, upto) else { return Ok(()) };
        for (key, value) in self.table(table)?.range::<[u8], _>(bounds) {
            if !each(key, value)? {
                break;
            }
        }
        Ok(())
    }

    fn bundles(&self, from: &[u8], upto: &[u8], back: bool, each: EachBundle<'_>) -> Res<()> {
        let Some(bounds) = bounds(from, upto) else { return Ok(()) };
        let mut range = self.bundles.range::<[u8], _>(bounds);
        while let Some((key, bundle)) = if back { range.next_back() } else { range.next() } {
            if !each(key, Stored::Shared(bundle))? {
                break;
            }
        }
        Ok(())
    }
}

impl RowsMut for Maps {
    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Res<()> {
        self.table_mut(table)?.insert(key.to_vec(), value.to_vec());
        Ok(())
    }

    fn remove(&mut self, table: Table, key: &[u8]) -> Res<bool> {
        Ok(self.table_mut(table)?.remove(key).is_some())
    }

    fn put_bundle(&mut self, key: &[u8], bundle: &Arc<Bundle>) -> Res<()> {
        self.bundles.insert(key.to_vec(), Arc::clone(bundle));
        Ok(())
    }

    fn remove_bundle(&mut self, key: &[u8]) -> Res<()> {
        self.bundles.remove(key);
        Ok(())
    }
}
