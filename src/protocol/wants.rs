//! Ids that were announced and that we lack: who has them, whom we asked, and when to ask the next.

use std::time::Duration;

use super::linkset::Slot;
use super::random::{Keyed, KeyedMap};
use super::time::Mono;
use crate::rumor::{BundleId, TopicId};

/// Most ids wanted at once.
const MAX_WANTS: usize = 65_536;
/// Most wanted ids that list one link as a source: what a flood of announcements can make us remember.
pub(super) const MAX_WANTS_PER_LINK: usize = 8_192;
/// Most sources remembered per id. The repair cycle brings further ones.
const MAX_SOURCES: usize = 32;
/// How often each source is asked before we give up until somebody announces again.
const MAX_PASSES: u8 = 2;

#[derive(Debug)]
pub(super) struct Want {
    pub(super) topic: TopicId,
    pub(super) size: u8,
    sources: Vec<Source>,
    /// How many to ask at once in the next round: 1, then 2, then 3 (design section 7).
    pub(super) width: u8,
}

#[derive(Debug, Clone, Copy)]
struct Source {
    slot: Slot,
    /// Times asked.
    asked: u8,
    /// When the pull that is under way was sent, if one is.
    since: Option<Mono>,
}

impl Want {
    /// Sources that are not being asked, those asked least first.
    pub(super) fn idle(&self) -> Vec<Slot> {
        let least =
            self.sources.iter().filter(|source| source.since.is_none()).map(|source| source.asked).min();
        let Some(least) = least.filter(|asked| *asked < MAX_PASSES) else { return Vec::new() };
        let idle = self.sources.iter().filter(|source| source.since.is_none() && source.asked == least);
        idle.map(|source| source.slot).collect()
    }

    pub(super) fn asked(&mut self, slot: Slot, now: Mono) {
        if let Some(source) = self.sources.iter_mut().find(|source| source.slot == slot) {
            source.since = Some(now);
            source.asked = source.asked.saturating_add(1);
        }
    }

    /// A pull of this link is over; gives when it was sent, if one was under way.
    pub(super) fn answered(&mut self, slot: Slot) -> Option<Mono> {
        self.sources.iter_mut().find(|source| source.slot == slot)?.since.take()
    }

    pub(super) fn under_way(&self) -> usize {
        self.sources.iter().filter(|source| source.since.is_some()).count()
    }

    /// Links that are being asked, and since when.
    pub(super) fn asking(&self) -> impl Iterator<Item = (Slot, Mono)> {
        self.sources.iter().filter_map(|source| source.since.map(|since| (source.slot, since)))
    }

    pub(super) fn sources(&self) -> impl Iterator<Item = Slot> {
        self.sources.iter().map(|source| source.slot)
    }

    pub(super) fn remove_source(&mut self, slot: Slot) {
        self.sources.retain(|source| source.slot != slot);
    }
}

/// What adding a source did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Added {
    /// A new id, or one that nobody was being asked for: ask.
    Ask,
    /// Known already; another source was noted.
    Noted,
    /// This link had already announced it.
    Nothing,
    /// A cap is reached.
    Full,
}

#[derive(Debug)]
pub(super) struct Wants {
    wants: KeyedMap<BundleId, Want>,
}

impl Wants {
    pub(super) fn new(keyed: Keyed) -> Self {
        Self { wants: keyed.map() }
    }

    pub(super) fn len(&self) -> usize {
        self.wants.len()
    }

    pub(super) fn get(&self, id: &BundleId) -> Option<&Want> {
        self.wants.get(id)
    }

    pub(super) fn get_mut(&mut self, id: &BundleId) -> Option<&mut Want> {
        self.wants.get_mut(id)
    }

    pub(super) fn add(&mut self, id: BundleId, topic: TopicId, size: u8, slot: Slot) -> Added {
        let source = Source { slot, asked: 0, since: None };
        if let Some(want) = self.wants.get_mut(&id) {
            if want.sources.iter().any(|known| known.slot == slot) {
                return Added::Nothing;
            }
            if want.sources.len() >= MAX_SOURCES {
                return Added::Full;
            }
            want.sources.push(source);
            return if want.under_way() == 0 { Added::Ask } else { Added::Noted };
        }
        if self.wants.len() >= MAX_WANTS {
            return Added::Full;
        }
        self.wants.insert(id, Want { topic, size, sources: vec![source], width: 1 });
        Added::Ask
    }

    pub(super) fn remove(&mut self, id: &BundleId) -> Option<Want> {
        if self.wants.is_empty() { None } else { self.wants.remove(id) }
    }

    /// Ids that list `slot`, when a link is gone.
    pub(super) fn of_link(&self, slot: Slot) -> Vec<BundleId> {
        self.wants
            .iter()
            .filter(|(_, want)| want.sources().any(|source| source == slot))
            .map(|(id, _)| *id)
            .collect()
    }
}

/// How long to wait for a pulled copy before the next source is asked: design section 7, point 3.
pub(super) fn patience(rtt: Duration, median_serve: Option<Duration>) -> Duration {
    let by_rtt = rtt.saturating_mul(2).saturating_add(Duration::from_millis(50));
    let by_service = median_serve.unwrap_or_default().saturating_mul(3);
    by_rtt.max(by_service).clamp(Duration::from_millis(60), Duration::from_secs(2))
}
