//! What a store knows beside its topics: its incarnations, until when positions are recorded, and proofs.

use std::collections::BTreeMap;

use super::names::Number;
use crate::key::PublicKey;
use crate::rumor::{EVIDENCE_LEN, Evidence};
use crate::store::rows::{Fields, Rows, RowsMut, Table};
use crate::store::{Res, StoreError};

/// The format of the rows. A store of a later one is refused.
pub(in crate::store) const FORMAT: u64 = 1;

/// Openings of a store whose cursors are known. One more than these ago, a cursor is foreign.
const MAX_INCARNATIONS: u64 = 4096;

/// Authors whose proof is kept; as many as an engine keeps convicted.
const MAX_PROOFS: u64 = 16_384;

/// The format that the rows have; `None` if no store wrote them.
pub(in crate::store) fn format(rows: &dyn Rows) -> Res<Option<u64>> {
    Number::Format.read(rows)
}

/// Begins a new incarnation.
pub(in crate::store) fn begin(rows: &mut dyn RowsMut, incarnation: u64) -> Res<()> {
    Number::Format.write(rows, FORMAT)?;
    let sequence = Number::Sequence.read(rows)?.unwrap_or(0);
    if let Some(before) = Number::Incarnation.read(rows)? {
        let row = rows.get(Table::Incarnations, &before.to_le_bytes())?;
        let ordinal = row.map_or(Ok(0), |value| Fields(&value).u64())?;
        let ended = [ordinal, sequence].map(u64::to_le_bytes).concat();
        rows.put(Table::Incarnations, &before.to_le_bytes(), &ended)?;
    }
    let ordinal = Number::Ordinal.next(rows)?;
    let row = [ordinal, u64::MAX].map(u64::to_le_bytes).concat();
    rows.put(Table::Incarnations, &incarnation.to_le_bytes(), &row)?;
    Number::Incarnation.write(rows, incarnation)?;
    let mut all = Vec::new();
    rows.walk(Table::Incarnations, &[], &[u8::MAX; 9], &mut |key, value| {
        all.push((Fields(value).u64()?, key.to_vec()));
        Ok(true)
    })?;
    all.sort_unstable();
    let beyond = all.len().saturating_sub(usize::try_from(MAX_INCARNATIONS).unwrap_or(usize::MAX));
    for (_, key) in all.iter().take(beyond) {
        rows.remove(Table::Incarnations, key)?;
    }
    Ok(())
}

/// The incarnation that has begun last.
pub(in crate::store) fn incarnation(rows: &dyn Rows) -> Res<u64> {
    Number::Incarnation.read(rows)?.ok_or_else(|| StoreError::damaged("no incarnation has begun"))
}

/// Until when positions of an author are recorded.
pub(in crate::store) fn recorded(rows: &dyn Rows, author: &PublicKey) -> Res<Option<u64>> {
    rows.get(Table::Positions, author.as_bytes())?.map(|value| Fields(&value).u64()).transpose()
}

/// Never takes a record back.
pub(super) fn record(rows: &mut dyn RowsMut, author: &PublicKey, until_ms: u64) -> Res<()> {
    if recorded(rows, author)?.is_none_or(|before| before < until_ms) {
        rows.put(Table::Positions, author.as_bytes(), &until_ms.to_le_bytes())?;
    }
    Ok(())
}

/// Makes the record what was used, whatever was recorded: a store that was damaged meanwhile knows less.
pub(in crate::store) fn settle(rows: &mut dyn RowsMut, author: &PublicKey, until_ms: u64) -> Res<()> {
    rows.put(Table::Positions, author.as_bytes(), &until_ms.to_le_bytes())
}

/// All proofs, the oldest first.
pub(in crate::store) fn evidence(rows: &dyn Rows) -> Res<Vec<Evidence>> {
    let mut all = BTreeMap::new();
    rows.walk(Table::Evidence, &[], &[u8::MAX; 33], &mut |_, value| {
        let mut fields = Fields(value);
        let ordinal = fields.u64()?;
        let evidence = Evidence::decode(&fields.array::<EVIDENCE_LEN>()?);
        all.insert(ordinal, evidence.map_err(|why| StoreError::damaged(why.to_string()))?);
        Ok(true)
    })?;
    Ok(all.into_values().collect())
}

pub(in crate::store) fn remember(rows: &mut dyn RowsMut, evidence: &Evidence) -> Res<()> {
    let author = evidence.author();
    if rows.get(Table::Evidence, author.as_bytes())?.is_some() {
        return Ok(());
    }
    let ordinal = Number::Ordinal.next(rows)?;
    let value = [ordinal.to_le_bytes().as_slice(), &evidence.encode()].concat();
    rows.put(Table::Evidence, author.as_bytes(), &value)?;
    rows.put(Table::EvidenceOrder, &ordinal.to_be_bytes(), author.as_bytes())?;
    let mut held = Number::Proofs.read(rows)?.unwrap_or(0).saturating_add(1);
    if held > MAX_PROOFS {
        let mut oldest = None;
        rows.walk(Table::EvidenceOrder, &[], &[u8::MAX; 9], &mut |key, value| {
            oldest = Some((key.to_vec(), value.to_vec()));
            Ok(false)
        })?;
        if let Some((ordinal, author)) = oldest {
            rows.remove(Table::EvidenceOrder, &ordinal)?;
            rows.remove(Table::Evidence, &author)?;
            held = held.saturating_sub(1);
        }
    }
    Number::Proofs.write(rows, held)
}
