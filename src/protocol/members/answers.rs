//! What links ask this node about members: one question of a link at a time, each answered within a budget, charged to who asks.

use std::collections::BTreeMap;

use super::life::MemberState;
use super::table::{Entry, Table};
use crate::protocol::Mono;
use crate::protocol::limits::{
    ANSWER_BYTES_BURST, ANSWER_BYTES_IN_ALL, ANSWER_BYTES_OF_LINK, MEMBERS_OF_FIRST,
};
use crate::protocol::linkset::Slot;
use crate::protocol::meter::Meter;
use crate::protocol::random::Random;
use crate::rumor::Bundle;
use crate::wire::{KeyPrefix, MAX_PULSES, MembersAsk, PULSE_ITEM_LEN, Pulse, PulsePage, Pulses};
use std::sync::Arc;

/// An answer: pulses, and records on the lane of the past.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) pulses: Pulses,
    pub(super) bundles: Vec<Arc<Bundle>>,
    /// Members that were looked at.
    looked: usize,
}

impl Answer {
    /// What it costs its asker, in bytes: a question that finds nothing is work too.
    pub(super) fn costs(&self) -> u64 {
        let looked = self.looked.saturating_mul(LOOK_BYTES).saturating_add(ANSWER_BYTES);
        self.bytes().saturating_add(looked as u64)
    }

    pub(super) fn bytes(&self) -> u64 {
        let bundles: usize = self.bundles.iter().map(|bundle| bundle.encoded().len()).sum();
        self.pulses.pulses.len().saturating_mul(PULSE_ITEM_LEN).saturating_add(bundles) as u64
    }
}

/// What a member that is looked at costs, in bytes of an answer: so the largest table is walked once in four seconds.
const LOOK_BYTES: usize = 4;
/// What an answer costs beside what is in it.
const ANSWER_BYTES: usize = 64;

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Answers {
    waiting: BTreeMap<Slot, MembersAsk>,
    meters: BTreeMap<Slot, Meter>,
    in_all: Meter,
    /// Who was answered last: the next one after it is first.
    last: Slot,
}

impl Default for Answers {
    fn default() -> Self {
        let in_all = Meter::new(ANSWER_BYTES_IN_ALL, ANSWER_BYTES_BURST);
        Self { waiting: BTreeMap::new(), meters: BTreeMap::new(), in_all, last: Slot(0) }
    }
}

impl Answers {
    /// A link asks. False if it has asked before and was not answered yet: that question stands.
    pub(super) fn asks(&mut self, slot: Slot, ask: MembersAsk) -> bool {
        if self.waiting.contains_key(&slot) {
            return false;
        }
        self.waiting.insert(slot, ask);
        true
    }

    pub(super) fn leaves(&mut self, slot: Slot) {
        self.waiting.remove(&slot);
        self.meters.remove(&slot);
    }

    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The next question that the budgets allow to be answered, in turns.
    pub(super) fn next(&mut self, now: Mono) -> Option<(Slot, MembersAsk)> {
        if !self.in_all.allows(now, 1) {
            return None;
        }
        let free = |slot: &Slot| self.meters.get(slot).is_none_or(|meter| meter.allows(now, 1));
        let later = self.waiting.keys().find(|slot| **slot > self.last && free(slot)).copied();
        let slot = later.or_else(|| self.waiting.keys().find(|slot| free(slot)).copied())?;
        self.last = slot;
        self.waiting.remove(&slot).map(|ask| (slot, ask))
    }

    /// An answer costs so many bytes. Until that is paid, its asker waits.
    pub(super) fn costs(&mut self, slot: Slot, bytes: u64, now: Mono) {
        self.in_all.charge(now, bytes);
        let meter = self.meters.entry(slot);
        meter.or_insert_with(|| Meter::new(ANSWER_BYTES_OF_LINK, ANSWER_BYTES_BURST)).charge(now, bytes);
    }
}

/// What this node has to say.
pub(super) fn answer(table: &Table, ask: &MembersAsk, random: &mut Random) -> Answer {
    match ask {
        MembersAsk::Pulses(keys) => {
            let members = keys.iter().flat_map(|prefix| table.of_prefix(*prefix));
            last(members.filter_map(pulse_of).take(MAX_PULSES).collect(), Vec::new())
        }
        MembersAsk::Since { since, after } => since_then(table, *since, *after),
        MembersAsk::Records(keys) => {
            let members: Vec<_> = keys.iter().flat_map(|prefix| table.of_prefix(*prefix)).collect();
            with_records(&members)
        }
        MembersAsk::First => {
            let mut members: Vec<_> = table.iter().filter(|member| member.state().is_here()).collect();
            random.sample_to_front(&mut members, MEMBERS_OF_FIRST);
            members.truncate(MEMBERS_OF_FIRST);
            Answer { looked: table.len(), ..with_records(&members) }
        }
    }
}

fn with_records(members: &[&Entry]) -> Answer {
    let members = members.iter().take(MEMBERS_OF_FIRST);
    let pulses = members.clone().filter_map(|member| pulse_of(member)).collect();
    last(pulses, members.map(|member| Arc::clone(member.bundle())).collect())
}

const fn last(pulses: Vec<Pulse>, bundles: Vec<Arc<Bundle>>) -> Answer {
    let looked = 0;
    Answer { pulses: Pulses { page: PulsePage::Last, pulses }, bundles, looked }
}

fn since_then(table: &Table, since: u32, after: KeyPrefix) -> Answer {
    let from = (after != KeyPrefix::default()).then_some(after);
    let mut looked = 0usize;
    let mut members = table
        .after(from)
        .inspect(|_| looked = looked.saturating_add(1))
        .filter(|member| member.newest_s() >= u64::from(since));
    let mut pulses: Vec<_> = members.by_ref().filter_map(pulse_of).take(MAX_PULSES).collect();
    let more = pulses.len() >= MAX_PULSES && members.next().is_some();
    let page = if more { PulsePage::More } else { PulsePage::Last };
    pulses.truncate(MAX_PULSES);
    drop(members);
    Answer { pulses: Pulses { page, pulses }, bundles: Vec::new(), looked }
}

/// The newest pulse of a member that is known, whatever its state is here. None of the anchor, which proves nothing.
pub(super) fn pulse_of(member: &Entry) -> Option<Pulse> {
    let chain = member.chains().find(|chain| chain.known.index > 0)?;
    Some(Pulse {
        member: KeyPrefix::of(&member.key()),
        index: chain.known.index.into(),
        value: chain.known.value,
        failed_here: matches!(member.state(), MemberState::Failed(_)),
    })
}
