//! Topics that nobody has joined any more, of which something is held that is over.

use super::places::first_keys;
use crate::rumor::{RuleSet, TopicId};
use crate::store::Res;
use crate::store::rows::{Fields, Key, Rows, Table};

/// Topics beside these that hold something older than their retention, each with the first tick that is not over. Topics that are kept for
/// ever are none of them, nor those whose rules were lost.
pub(in crate::store) fn over(rows: &dyn Rows, joined: &[TopicId], now_ms: u64) -> Res<Vec<(TopicId, u64)>> {
    let mut left = Vec::new();
    rows.walk(Table::Topics, &[], &[u8::MAX; 33], &mut |key, value| {
        let id = TopicId::from_bytes(Fields(key).array()?);
        let mut fields = Fields(value);
        let number = fields.u32()?;
        if !joined.contains(&id)
            && let Ok(rules) = RuleSet::decode(fields.0)
            && let Some(retention) = rules.retention().duration()
        {
            let retention = u64::try_from(retention.as_millis()).unwrap_or(u64::MAX);
            left.push((id, number, rules.tick_len().tick_at(now_ms.saturating_sub(retention))));
        }
        Ok(true)
    })?;
    let mut over = Vec::new();
    for (id, number, first) in left {
        let prefix = Key::topic(number);
        let end = prefix.clone().number(first);
        if !first_keys(rows, Table::Ticks, &prefix, &end, 1)?.is_empty() {
            over.push((id, first));
        }
    }
    Ok(over)
}
