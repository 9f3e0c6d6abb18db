//! Counts a store again, from its bundles, and says where it differs: what `store check` prints, and what tests ask.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use super::Res;
use super::book::{self, Counts, Expected, Usage};
use super::rows::{Fields, Key, Rows, Table};
use crate::protocol::keeping::Size;
use crate::rumor::{Bundle, BundleId, Position, Previous, RuleSet, TopicId};

/// Differences that are told one by one; the rest are only counted.
const TOLD: usize = 100;

/// What a walk through a whole store found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// Each topic that was ever opened.
    pub topics: Vec<TopicReport>,
    /// What is not as it should be, in words; at most 100.
    pub differences: Vec<String>,
    /// How many differences there are.
    pub count: u64,
}

/// What a walk found of one topic.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TopicReport {
    /// Which one.
    pub id: TopicId,
    /// What people call it.
    pub name: String,
    /// Its rules; `None` after a salvage, until the application joins it.
    pub rules: Option<RuleSet>,
    /// The first tick that may be kept.
    pub floor: u64,
    /// What is held, counted again.
    pub size: Size,
    /// Held bundles that no other names; in a topic of state, live ones.
    pub heads: u64,
    /// Bundles that are named and missing.
    pub holes: u64,
    /// Bundles that are held back or rejected.
    pub unshown: u64,
    /// Keys of all authors, in a topic of state.
    pub keys: u64,
    /// Records whose checksum does not hold.
    pub rotten: u64,
}

impl Report {
    fn differs(&mut self, what: impl FnOnce() -> String) {
        self.count = self.count.saturating_add(1);
        if self.differences.len() < TOLD {
            self.differences.push(what());
        }
    }

    /// Compares the keys that a table should have with those that it has.
    fn compare(&mut self, name: &str, what: &str, expected: &BTreeSet<Vec<u8>>, found: &BTreeSet<Vec<u8>>) {
        for key in expected.symmetric_difference(found) {
            let which = if expected.contains(key) { "is not listed" } else { "is listed and should not be" };
            self.differs(|| format!("{name}: {what} {} {which}", hex::encode(key)));
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for topic in &self.topics {
            let TopicReport { id, name, rules: _, floor, size, heads, holes, unshown, keys, rotten } = topic;
            let Size { bytes, bundles, authors } = size;
            writeln!(
                f,
                "{name} ({id}): {bundles} bundles of {authors} authors, {bytes} bytes, from tick {floor} on; \
                 {heads} heads, {holes} holes, {keys} keys, {unshown} not shown, {rotten} rotten"
            )?;
        }
        for difference in &self.differences {
            writeln!(f, "{difference}")?;
        }
        match self.count {
            0 => write!(f, "all is as it should be"),
            count => write!(f, "{count} differences: open the store with a node, which repairs what it can"),
        }
    }
}

/// All keys of a table that begin so.
fn keys_of(rows: &dyn Rows, table: Table, prefix: &Key) -> Res<BTreeSet<Vec<u8>>> {
    let mut found = BTreeSet::new();
    rows.walk(table, prefix, &prefix.clone().end(), &mut |key, _| {
        found.insert(key.to_vec());
        Ok(true)
    })?;
    Ok(found)
}

pub(super) fn check(rows: &dyn Rows) -> Res<Report> {
    let mut report = Report::default();
    let mut topics = Vec::new();
    rows.walk(Table::Topics, &[], &[u8::MAX; 33], &mut |key, value| {
        let mut fields = Fields(value);
        topics.push((TopicId::from_bytes(Fields(key).array()?), fields.u32()?, fields.0.to_vec()));
        Ok(true)
    })?;
    let mut users = BTreeMap::<u64, u32>::new();
    for (id, topic, rules) in topics {
        let (name, rules) = match RuleSet::decode(&rules) {
            // After a salvage, until the application joins it.
            _ if rules.is_empty() => ("without rules".to_owned(), None),
            Ok(rules) => (rules.name().to_owned(), Some(rules)),
            Err(why) => {
                report.differs(|| format!("the rules of topic {id}: {why}"));
                (String::new(), None)
            }
        };
        let checked = check_topic(rows, topic, (id, name, rules), &mut users, &mut report)?;
        report.topics.push(checked);
    }
    let mut known = BTreeMap::new();
    rows.walk(Table::Authors, &[], &[u8::MAX; 33], &mut |key, value| {
        let mut fields = Fields(value);
        known.insert(fields.u64()?, (key.to_vec(), fields.u32()?));
        Ok(true)
    })?;
    let mut named = BTreeMap::new();
    rows.walk(Table::Names, &[], &[u8::MAX; 9], &mut |key, value| {
        named.insert(Fields(key).number()?, value.to_vec());
        Ok(true)
    })?;
    let counted: BTreeMap<u64, u32> = known.iter().map(|(number, (_, topics))| (*number, *topics)).collect();
    if counted != users {
        report.differs(|| format!("{} authors are known, and {} have bundles", counted.len(), users.len()));
    }
    if !named.iter().eq(known.iter().map(|(number, (key, _))| (number, key)).collect::<BTreeMap<_, _>>()) {
        report.differs(|| "the numbers of authors and their keys differ".into());
    }
    Ok(report)
}

/// A topic that is checked.
struct Checked<'a> {
    rows: &'a dyn Rows,
    id: TopicId,
    name: &'a str,
    counts: Counts,
    prefix: Key,
}

/// A bundle, as the recount needs it.
struct Counted {
    id: BundleId,
    prev: Option<Previous>,
    /// Itself, in a topic of state.
    cells: Option<Arc<Bundle>>,
}

/// What the records of a topic say.
#[derive(Default)]
struct Recount {
    held: BTreeMap<(u64, Position), Counted>,
    usage: BTreeMap<u64, Usage>,
    /// The keys that `Ticks` should have, with the bytes of each.
    ticks: BTreeMap<Vec<u8>, u64>,
    rotten: u64,
}

impl Recount {
    fn size(&self) -> Size {
        Size {
            bytes: self.usage.values().fold(0, |sum, of| sum.saturating_add(of.bytes)),
            bundles: self.usage.values().fold(0, |sum, of| sum.saturating_add(of.bundles)),
            authors: self.usage.len() as u64,
        }
    }
}

fn check_topic(
    rows: &dyn Rows,
    topic: u32,
    (id, name, rules): (TopicId, String, Option<RuleSet>),
    users: &mut BTreeMap<u64, u32>,
    report: &mut Report,
) -> Res<TopicReport> {
    let counts = Counts::read(rows, topic)?;
    let checked = Checked { rows, id, name: &name, counts, prefix: Key::topic(topic) };
    let mut recount = checked.records(report)?;
    let registers = if counts.is_state() { Some(checked.registers(&mut recount, report)?) } else { None };
    for author in recount.usage.keys() {
        let topics = users.entry(*author).or_default();
        *topics = topics.saturating_add(1);
    }
    checked.sums(&recount, report)?;
    let (heads, holes) = match registers {
        Some(live) => (live, 0),
        None => checked.links(&recount, report)?,
    };
    let unshown = checked.order(&recount, report)?;
    let (floor, size, rotten) = (counts.floor, recount.size(), recount.rotten);
    let keys = recount.usage.values().fold(0, |sum: u64, of| sum.saturating_add(of.keys));
    Ok(TopicReport { id, name, rules, floor, size, heads, holes, unshown, keys, rotten })
}

impl Checked<'_> {
    /// Walks through all records.
    fn records(&self, report: &mut Report) -> Res<Recount> {
        let Self { rows, id, name, prefix, .. } = self;
        let mut recount = Recount::default();
        let mut last: Option<(u64, u64, u32)> = None;
        rows.bundles(prefix, &prefix.clone().end(), false, &mut |key, stored| {
            let mut fields = Fields(key);
            fields.topic()?;
            let (author, at) = (fields.number()?, fields.position()?);
            let len = stored.len() as u64;
            let entry = recount.usage.entry(author).or_default();
            entry.bytes = entry.bytes.saturating_add(len);
            entry.bundles = entry.bundles.saturating_add(1);
            recount.ticks.insert(prefix.clone().number(at.tick).number(author).slot(at.slot).to_vec(), len);
            let Some(bundle) = stored.bundle() else {
                recount.rotten = recount.rotten.saturating_add(1);
                report.differs(|| {
                    format!("{name}: the record at {at} of author {author} is not what was written")
                });
                return Ok(true);
            };
            let header = bundle.header();
            let is_there =
                header.topic == *id && header.position() == at && book::name(*rows, author)? == header.author;
            if !is_there {
                report.differs(|| format!("{name}: the bundle at {at} of author {author} belongs elsewhere"));
            }
            if last.is_some_and(|(of, tick, end)| of == author && tick == at.tick && end > u32::from(at.slot))
            {
                report.differs(|| {
                    format!("{name}: the bundle at {at} of author {author} overlaps the one before it")
                });
            }
            last = Some((author, at.tick, header.end_slot()));
            let cells = self.counts.is_state().then(|| Arc::clone(&bundle));
            recount.held.insert((author, at), Counted { id: bundle.id(), prev: header.prev, cells });
            Ok(true)
        })?;
        Ok(recount)
    }

    /// What is held in all, and of each author.
    fn sums(&self, recount: &Recount, report: &mut Report) -> Res<()> {
        let Self { rows, name, counts, prefix, .. } = self;
        let size = recount.size();
        if size != counts.size {
            report.differs(|| format!("{name}: {size:?} is held, and {:?} is counted", counts.size));
        }
        let mut counted = BTreeMap::new();
        rows.walk(Table::Usage, prefix, &prefix.clone().end(), &mut |key, value| {
            let mut fields = Fields(key);
            fields.topic()?;
            counted.insert(fields.number()?, Usage::decode(value)?);
            Ok(true)
        })?;
        if counted != recount.usage {
            report.differs(|| format!("{name}: what each author uses is counted wrongly"));
        }
        Ok(())
    }

    /// Registers, live bundles and dead ones, of a topic of state. Gives how many are live.
    fn registers(&self, recount: &mut Recount, report: &mut Report) -> Res<u64> {
        let Self { rows, name, counts, prefix, .. } = self;
        let (mut registers, mut cells) = (BTreeSet::new(), BTreeSet::new());
        let (mut live, mut ended) = (BTreeSet::new(), BTreeSet::new());
        let mut keys = 0u64;
        for (author, usage) in &mut recount.usage {
            let of = recount.held.range((*author, Position { tick: 0, slot: 0 })..);
            let of =
                of.take_while(|((held, _), _)| held == author).filter_map(|(_, held)| held.cells.as_ref());
            let expected = Expected::of(counts.max_keys, of);
            let key = |at: Position| prefix.clone().number(*author).position(at);
            usage.keys = expected.registers.len() as u64;
            keys = keys.saturating_add(usage.keys);
            for (text, at) in &expected.registers {
                registers.insert(prefix.clone().number(*author).text(text).to_vec());
                cells.insert(key(*at).to_vec());
            }
            live.extend(expected.live.iter().map(|(at, id)| key(*at).id(id).to_vec()));
            ended.extend(expected.dead.keys().map(|at| key(*at).to_vec()));
        }
        if keys != counts.keys {
            report.differs(|| format!("{name}: {keys} keys are held, and {} are counted", counts.keys));
        }
        let mut dead = BTreeSet::new();
        for key in keys_of(*rows, Table::Dead, prefix)? {
            let (author, at, _) = book::dead_of(&key)?;
            dead.insert(prefix.clone().number(author).position(at).to_vec());
        }
        let live_count = live.len() as u64;
        for (what, expected, found) in [
            ("the register", registers, keys_of(*rows, Table::Registers, prefix)?),
            ("the cell", cells, keys_of(*rows, Table::Cells, prefix)?),
            ("the live bundle", live, keys_of(*rows, Table::Heads, prefix)?),
            ("the dead bundle", ended.clone(), keys_of(*rows, Table::Ended, prefix)?),
            ("the end of the dead bundle", ended, dead),
            ("the hole", BTreeSet::new(), keys_of(*rows, Table::Unmet, prefix)?),
        ] {
            report.compare(name, what, &expected, &found);
        }
        Ok(live_count)
    }

    /// Heads and holes. Gives how many there are.
    fn links(&self, recount: &Recount, report: &mut Report) -> Res<(u64, u64)> {
        let Self { rows, name, counts, prefix, .. } = self;
        let held = &recount.held;
        let named: BTreeSet<_> = held
            .iter()
            .filter_map(|((author, _), bundle)| bundle.prev.map(|prev| (*author, prev.position, prev.id)))
            .collect();
        let key = |author: u64, at: Position, id: &BundleId| {
            prefix.clone().number(author).position(at).id(id).to_vec()
        };
        let is_head = |of: &(&(u64, Position), &Counted)| !named.contains(&(of.0.0, of.0.1, of.1.id));
        let heads: BTreeSet<_> =
            held.iter().filter(is_head).map(|((author, at), bundle)| key(*author, *at, &bundle.id)).collect();
        let is_hole = |(author, at, id): &&(u64, Position, BundleId)| {
            at.tick >= counts.floor && held.get(&(*author, *at)).is_none_or(|bundle| bundle.id != *id)
        };
        let holes: Vec<_> = named.iter().filter(is_hole).collect();
        report.compare(name, "the head", &heads, &keys_of(*rows, Table::Heads, prefix)?);
        // What lies below the floor waits for its removal.
        let above = |key: &Vec<u8>, tick: fn(&mut Fields<'_>) -> Res<u64>| -> bool {
            tick(&mut Fields(key)).is_ok_and(|tick| tick >= counts.floor)
        };
        let unmet = keys_of(*rows, Table::Unmet, prefix)?.into_iter().filter(|key| {
            above(key, |fields| {
                fields.topic()?;
                fields.number()?;
                fields.number()
            })
        });
        let expected = holes.iter().map(|(author, at, id)| key(*author, *at, id)).collect();
        report.compare(name, "the hole", &expected, &unmet.collect());
        let unmet_ticks = keys_of(*rows, Table::UnmetTicks, prefix)?.into_iter().filter(|key| {
            above(key, |fields| {
                fields.topic()?;
                fields.number()
            })
        });
        let expected = holes
            .iter()
            .map(|(author, at, id)| {
                prefix.clone().number(at.tick).number(*author).slot(at.slot).id(id).to_vec()
            })
            .collect();
        report.compare(name, "the tick of the hole", &expected, &unmet_ticks.collect());
        Ok((heads.len() as u64, holes.len() as u64))
    }

    /// The order of arrival and of expiry, and what is not shown. Gives how many are not.
    fn order(&self, recount: &Recount, report: &mut Report) -> Res<u64> {
        let Self { rows, name, prefix, .. } = self;
        let ticks = &recount.ticks;
        let unshown = keys_of(*rows, Table::Unshown, prefix)?;
        let mut arrivals = BTreeMap::new();
        rows.walk(Table::Arrivals, prefix, &prefix.clone().end(), &mut |key, value| {
            let mut fields = Fields(key);
            fields.topic()?;
            let sequence = fields.number()?;
            arrivals.insert(sequence, value.to_vec());
            Ok(true)
        })?;
        let (mut counted, mut shown) = (BTreeMap::new(), 0usize);
        rows.walk(Table::Ticks, prefix, &prefix.clone().end(), &mut |key, value| {
            let mut fields = Fields(value);
            let (sequence, len) = (fields.u64()?, fields.u64()?);
            counted.insert(key.to_vec(), len);
            let (author, at) = book::tick_of(key)?;
            let place = prefix.clone().number(author).position(at).to_vec();
            let is_right = match arrivals.get(&sequence) {
                Some(arrival) => {
                    shown = shown.saturating_add(1);
                    arrival.starts_with(&place) && !unshown.contains(&place)
                }
                None => sequence == 0 && unshown.contains(&place),
            };
            if !is_right {
                report.differs(|| {
                    format!(
                        "{name}: the bundle at {at} of author {author} is neither shown nor hidden, or both"
                    )
                });
            }
            Ok(true)
        })?;
        if counted != *ticks {
            report.differs(|| {
                format!("{name}: {} bundles are held, and {} wait for their end", ticks.len(), counted.len())
            });
        }
        if shown != arrivals.len() {
            report.differs(|| {
                format!("{name}: {} arrivals are listed, and {shown} are of a bundle", arrivals.len())
            });
        }
        Ok(unshown.len() as u64)
    }
}
