//! Opens a topic: what is known of it at the start.

use super::cells::dead_of;
use super::names::{Counts, Names, author, join_topic};
use super::places::{first_keys, is_held, read, tick_of, unshown_of};
use super::remove::recount;
use crate::key::PublicKey;
use crate::protocol::keeping::{Head, Keeping, Opened};
use crate::rumor::{Kind, RuleSet};
use crate::store::Res;
use crate::store::rows::{Fields, Key, RowsMut, Table};

/// A topic that is open.
#[derive(Clone, Debug)]
pub(in crate::store) struct Open {
    pub(in crate::store) number: u32,
    pub(in crate::store) keeping: Keeping,
}

/// Opens a topic: its number, and what is known of it.
pub(in crate::store) fn open(
    rows: &mut dyn RowsMut,
    rules: &RuleSet,
    keeping: &Keeping,
    own: Option<&PublicKey>,
) -> Res<(Open, Opened)> {
    let topic = join_topic(rows, &rules.id(), &rules.encode())?;
    take_kind(rows, topic, rules.kind())?;
    let floor_was = lower_floor(rows, topic, keeping.latest)?;
    let counts = Counts::read(rows, topic)?;
    let mut opened = Opened { floor: counts.floor, floor_was, size: counts.size, ..Opened::default() };
    let prefix = Key::topic(topic);
    let end = prefix.clone().end();
    let mut names = Names::default();
    for key in first_keys(rows, Table::Heads, &prefix, &end, usize::MAX)? {
        let mut fields = Fields(&key);
        fields.topic()?;
        let author = names.of(rows, fields.number()?)?;
        opened.heads.push(Head { author, position: fields.position()?, id: fields.id()? });
    }
    for key in first_keys(rows, Table::Dead, &prefix, &end, usize::MAX)? {
        let (author, position, in_tick) = dead_of(&key)?;
        if let Some(signed) = read(rows, topic, author, position, |stored| stored.signed())? {
            let head = Head { author: signed.header.author, position, id: signed.header.id() };
            opened.dead.push((head, in_tick));
        }
    }
    let from = Key::topic(topic).number(keeping.recent_from.max(counts.floor));
    for key in first_keys(rows, Table::Ticks, &from, &end, usize::MAX)? {
        let (author, at) = tick_of(&key)?;
        let Some(signed) = read(rows, topic, author, at, |stored| stored.signed())? else { continue };
        opened.recent.push(signed);
        let earlier = signed.header.prev.filter(|prev| prev.position.tick < keeping.recent_from);
        if let Some(prev) = earlier
            && is_held(rows, topic, author, &prev)?
        {
            let head = Head { author: signed.header.author, position: prev.position, id: prev.id };
            opened.named.push(head);
        }
    }
    let mut unshown = Vec::new();
    rows.walk(Table::Unshown, &prefix, &end, &mut |key, value| {
        let mut fields = Fields(key);
        fields.topic()?;
        let author = fields.number()?;
        unshown.push((fields.position()?, author, unshown_of(value)?.0));
        Ok(true)
    })?;
    unshown.sort_unstable();
    for (at, author, rejected) in unshown {
        match rejected {
            None => opened.held.extend(read(rows, topic, author, at, |stored| stored.bundle())?),
            Some(by) if keeping.judged_by.is_some_and(|version| version != by) => {
                opened.rejudge.push((names.of(rows, author)?, at));
            }
            Some(_) => {}
        }
    }
    if let Some(author) = own.map_or(Ok(None), |key| author(rows, key))? {
        let prefix = Key::topic(topic).number(author);
        rows.bundles(&prefix, &prefix.clone().end(), true, &mut |_, stored| {
            opened.own = stored.signed().map(|signed| (signed.header.id(), signed.header.position()));
            Ok(opened.own.is_none())
        })?;
    }
    Ok((Open { number: topic, keeping: keeping.clone() }, opened))
}

/// Notes what the topic remembers. What was kept while that was not known (its rules were lost) is counted again.
fn take_kind(rows: &mut dyn RowsMut, topic: u32, kind: Kind) -> Res<()> {
    let mut counts = Counts::read(rows, topic)?;
    let max_keys = kind.max_keys().unwrap_or(0);
    if counts.max_keys == max_keys {
        return Ok(());
    }
    counts.max_keys = max_keys;
    counts.write(rows, topic)?;
    let prefix = Key::topic(topic);
    let end = prefix.clone().end();
    for table in [Table::Unmet, Table::UnmetTicks] {
        for key in first_keys(rows, table, &prefix, &end, usize::MAX)? {
            rows.remove(table, &key)?;
        }
    }
    recount_all(rows, topic)
}

/// Makes the book of a topic anew.
fn recount_all(rows: &mut dyn RowsMut, topic: u32) -> Res<()> {
    let prefix = Key::topic(topic);
    let mut authors = Vec::new();
    rows.walk(Table::Usage, &prefix, &prefix.clone().end(), &mut |key, _| {
        let mut fields = Fields(key);
        fields.topic()?;
        authors.push(fields.number()?);
        Ok(true)
    })?;
    authors.into_iter().try_for_each(|author| recount(rows, topic, author))
}

/// A floor that no correct clock can have reached comes of one that was wrong: it goes back to what is still held. Gives what it was.
fn lower_floor(rows: &mut dyn RowsMut, topic: u32, latest: u64) -> Res<Option<u64>> {
    let mut counts = Counts::read(rows, topic)?;
    if counts.floor <= latest {
        return Ok(None);
    }
    let was = counts.floor;
    let prefix = Key::topic(topic);
    let end = prefix.clone().end();
    let lowest = first_keys(rows, Table::Ticks, &prefix, &end, 1)?;
    counts.floor = lowest.first().map_or(Ok(0), |key| tick_of(key).map(|(_, at)| at.tick))?.min(latest);
    counts.write(rows, topic)?;
    // What was below is a hole again.
    recount_all(rows, topic)?;
    Ok(Some(was))
}
