//! Ids that were announced and that we lack: who has them, whom we asked, and when to ask the next.

pub(super) mod estimates;
mod starved;

use self::estimates::Estimates;
use crate::protocol::timers::WantId;
use std::collections::BTreeMap;
use std::time::Duration;

use crate::protocol::limits::{
    MAX_PASSES, MAX_WANTS, MAX_WANTS_PER_LINK, MOST_STARVED, WANTS_OF_TOPIC, WANTS_OF_TOPIC_IF_CROWDED,
    WANTS_SHARE,
};
use crate::protocol::linkset::{LinkSet, Slot};
use crate::protocol::pulls::starved::Starved;
use crate::protocol::random::{Keyed, KeyedMap};
use crate::protocol::shrink::Shrink as _;
use crate::protocol::time::Mono;
use crate::rumor::TopicId;

const QUICK_PASSES: u8 = 2;
const _: () = assert!(MOST_STARVED > MAX_WANTS_PER_LINK);

#[derive(Debug)]
pub(super) struct Want {
    /// Each is on the bill of its link (`MAX_WANTS_PER_LINK`), so their number needs no bound of its own.
    sources: Vec<Source>,
    /// How many to ask at once in the next round: 1, then 2, then 3.
    width: u8,
    /// Not asked again before this.
    rests_until: Mono,
}

#[derive(Debug, Clone, Copy)]
struct Source {
    slot: Slot,
    /// The size class that it announced. Each its own, or one that lies would have the others asked for too little.
    size: u8,
    /// Times asked.
    asked: u8,
    /// When the pull that is under way was sent, if one is.
    since: Option<Mono>,
    /// That it is overdue has been counted.
    late: bool,
    /// It waits in the link's queue of the starved.
    starved: bool,
    /// That pull is overdue, but the link is still working through others; or we doubted from the start that it serves.
    slow: bool,
    /// A copy may still come, even though we no longer count on it.
    owes: bool,
    /// It has said that it does not hold it, and has not announced it since.
    gone: bool,
}

impl Source {
    const fn new(slot: Slot, size: u8) -> Self {
        let (since, late, starved, slow, owes, gone) = (None, false, false, false, false, false);
        Self { slot, size, asked: 0, since, late, starved, slow, owes, gone }
    }
}

impl Want {
    fn starves_at(&self, slot: Slot) -> bool {
        self.sources.iter().any(|source| source.slot == slot && source.starved)
    }

    /// Sources that are not being asked, of those the least often asked, and how often that was.
    pub(super) fn idle(&self) -> (u8, Vec<Slot>) {
        let idle = || self.sources.iter().filter(|source| source.since.is_none() && !source.gone);
        let least = idle().map(|source| source.asked).min().unwrap_or(MAX_PASSES);
        if least >= MAX_PASSES {
            return (least, Vec::new());
        }
        (least, idle().filter(|source| source.asked == least).map(|source| source.slot).collect())
    }

    /// How many may be asked at once.
    pub(super) const fn width(&self) -> usize {
        self.width as usize
    }

    /// Whether nobody is asked for it for now.
    pub(super) fn rests(&self, now: Mono) -> bool {
        self.rests_until > now
    }

    /// A pull of it has failed: two at once next time, then three. Gives until when it rests, if all have been asked so often.
    pub(super) fn has_failed(&mut self, now: Mono) -> Option<Mono> {
        self.width = self.width.saturating_add(1).min(3);
        let rest = Self::rest(self.idle().0);
        if self.under_way() > 0 || rest.is_zero() {
            return None;
        }
        self.rests_until = now.plus(rest);
        Some(self.rests_until)
    }

    /// There is nobody to rest for any more, or somebody new.
    pub(super) fn rests_no_more(&mut self) {
        self.rests_until = Mono::default();
    }

    /// How long to rest before sources that were asked so often are asked once more.
    fn rest(asked: u8) -> Duration {
        match asked.checked_sub(QUICK_PASSES) {
            None => Duration::ZERO,
            Some(pass) => Duration::from_secs(1 << pass.min(3)),
        }
    }

    fn source(&mut self, slot: Slot) -> Option<&mut Source> {
        self.sources.iter_mut().find(|source| source.slot == slot)
    }

    /// This link has been asked. `slow` if we do not expect much of it.
    pub(super) fn asked(&mut self, slot: Slot, now: Mono, slow: bool) {
        if let Some(source) = self.source(slot) {
            source.since = Some(now);
            source.asked = source.asked.saturating_add(1);
            source.slow = slow;
            source.late = false;
            source.owes = true;
        }
    }

    /// A pull of this link is over; gives when it was sent, if one was under way, and the size class that was announced.
    /// `owes` if its copy may still come.
    pub(super) fn answered(&mut self, slot: Slot, owes: bool) -> Option<(Mono, u8)> {
        let source = self.source(slot)?;
        source.owes &= owes;
        source.since.take().map(|since| (since, source.size))
    }

    /// The size class that a link has announced.
    pub(super) fn size_of(&self, slot: Slot) -> u8 {
        self.sources.iter().find(|source| source.slot == slot).map_or(0, |source| source.size)
    }

    /// The pull sent to this link at `asked` is late without being lost: no reason not to ask another.
    /// Gives whether that is news.
    pub(super) fn is_slow(&mut self, slot: Slot) -> bool {
        self.source(slot).is_some_and(|source| !std::mem::replace(&mut source.slow, true))
    }

    /// The pull sent to this link has taken longer than our patience. Gives whether that is news.
    pub(super) fn is_late(&mut self, slot: Slot) -> bool {
        self.source(slot).is_some_and(|source| !std::mem::replace(&mut source.late, true))
    }

    /// Whether a copy may still come from this link.
    pub(super) fn owes(&self, slot: Slot) -> bool {
        self.sources.iter().any(|source| source.slot == slot && source.owes)
    }

    /// This link does not hold it. It stays listed: how often it was asked counts if it announces it again.
    pub(super) fn is_gone(&mut self, slot: Slot) {
        if let Some(source) = self.source(slot) {
            source.gone = true;
        }
    }

    /// Pulls that are under way, the late ones included.
    pub(super) fn under_way(&self) -> usize {
        self.sources.iter().filter(|source| source.since.is_some()).count()
    }

    /// Pulls that are under way and not late.
    pub(super) fn in_time(&self) -> usize {
        self.sources.iter().filter(|source| source.since.is_some() && !source.slow).count()
    }

    /// Links that are being asked, and since when.
    pub(super) fn asking(&self) -> impl Iterator<Item = (Slot, Mono)> {
        self.sources.iter().filter_map(|source| source.since.map(|since| (source.slot, since)))
    }

    /// Links that may still send a copy.
    pub(super) fn owing(&self) -> impl Iterator<Item = Slot> {
        self.sources.iter().filter(|source| source.owes).map(|source| source.slot)
    }

    pub(super) fn sources(&self) -> impl Iterator<Item = Slot> {
        self.sources.iter().map(|source| source.slot)
    }

    /// Removes those of `slots` that are not being asked, and gives them.
    pub(super) fn remove_idle(&mut self, slots: &LinkSet) -> Vec<Slot> {
        let idle = |source: &mut Source| source.since.is_none() && slots.contains(source.slot);
        self.sources.extract_if(.., idle).map(|source| source.slot).collect()
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
    /// This link had announced it, and had said since that it does not hold it: ask.
    Again,
    /// A cap is reached.
    Full,
}

#[derive(Debug)]
pub(super) struct Wants {
    /// What pulls have shown lately.
    estimates: Estimates,
    wants: KeyedMap<WantId, Want>,
    /// By link: wanted ids whose sources all owe us as much as they may, and some that are no longer wanted.
    starved: BTreeMap<Slot, Starved>,
    /// Links that may be asked for something that starved.
    freed: LinkSet,
}

impl Wants {
    pub(super) const fn estimates(&self) -> &Estimates {
        &self.estimates
    }

    pub(super) const fn estimates_mut(&mut self) -> &mut Estimates {
        &mut self.estimates
    }

    /// A pull of this link has ended: it may be asked for something that has waited.
    pub(super) fn is_freed(&mut self, slot: Slot) {
        self.freed.insert(slot);
    }

    /// The links of which a pull has ended since the last call.
    pub(super) fn take_freed(&mut self) -> LinkSet {
        std::mem::take(&mut self.freed)
    }

    pub(super) fn new(keyed: Keyed) -> Self {
        Self {
            estimates: Estimates::default(),
            wants: keyed.map(),
            starved: BTreeMap::new(),
            freed: LinkSet::default(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.wants.len()
    }

    pub(super) fn get(&self, id: &WantId) -> Option<&Want> {
        self.wants.get(id)
    }

    pub(super) fn get_mut(&mut self, id: &WantId) -> Option<&mut Want> {
        self.wants.get_mut(id)
    }

    /// Adds a source, which is listed by so many wants already, in all and in this topic, and may be by `most`.
    pub(super) fn add(
        &mut self,
        id: WantId,
        size: u8,
        slot: Slot,
        listed: (usize, usize),
        most: usize,
    ) -> Added {
        let (listed, of_topic) = listed;
        let full = listed >= most || (listed >= most - most / 8 && of_topic >= WANTS_OF_TOPIC);
        let source = Source::new(slot, size);
        if let Some(want) = self.wants.get_mut(&id) {
            if let Some(known) = want.source(slot) {
                if !std::mem::take(&mut known.gone) {
                    return Added::Nothing;
                }
                want.rests_no_more();
                return Added::Again;
            }
            if full {
                return Added::Full;
            }
            want.sources.push(source);
            want.rests_no_more();
            return if want.in_time() == 0 { Added::Ask } else { Added::Noted };
        }
        let crowded = self.wants.len() >= MAX_WANTS;
        if full || (crowded && listed >= WANTS_SHARE && of_topic >= WANTS_OF_TOPIC_IF_CROWDED) {
            return Added::Full;
        }
        let rests_until = Mono::default();
        let want = Want { sources: vec![source], width: 1, rests_until };
        self.wants.insert(id, want);
        Added::Ask
    }

    pub(super) fn remove(&mut self, id: &WantId) -> Option<Want> {
        if self.wants.is_empty() { None } else { self.wants.remove(id) }
    }

    /// Nobody may be asked for `id` now: it waits until a pull of one of its sources ends.
    pub(super) fn starve(&mut self, id: WantId, now: Mono) {
        let Some(want) = self.wants.get_mut(&id) else { return };
        let mut crowded = LinkSet::default();
        for source in want.sources.iter_mut().filter(|source| source.since.is_none() && !source.gone) {
            if !std::mem::replace(&mut source.starved, true)
                && self.starved.entry(source.slot).or_default().push(id, now) > MOST_STARVED
            {
                crowded.insert(source.slot);
            }
        }
        for slot in crowded.iter() {
            // What is no longer wanted is still in the queue. Once in so many times it is cleared out.
            let wants = &self.wants;
            if let Some(starved) = self.starved.get_mut(&slot) {
                starved.retain(|id| wants.get(id).is_some_and(|want| want.starves_at(slot)));
            }
        }
    }

    /// The next of a link's starved ids that nobody is being asked for, if any.
    pub(super) fn pop_starved(&mut self, slot: Slot) -> Option<WantId> {
        let starved = self.starved.get_mut(&slot)?;
        while let Some(id) = starved.pop() {
            let Some(want) = self.wants.get_mut(&id) else { continue };
            let idle = want.under_way() == 0;
            if want.source(slot).is_some_and(|source| std::mem::take(&mut source.starved)) && idle {
                return Some(id);
            }
        }
        self.starved.remove(&slot);
        None
    }

    /// A link is gone.
    pub(super) fn forget_starved(&mut self, slot: Slot) {
        self.starved.remove(&slot);
    }

    /// After a flood of announcements.
    pub(super) fn shrink(&mut self) {
        self.wants.shrink();
        if self.wants.is_empty() {
            self.starved.clear();
        }
    }

    #[cfg(test)]
    pub(super) fn starved_len(&self) -> usize {
        self.starved.values().map(Starved::len).sum()
    }

    /// Places that it has room for.
    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.wants.capacity()
    }

    /// Ids that list `slot`, when a link is gone.
    pub(super) fn of_link(&self, slot: Slot) -> Vec<WantId> {
        self.of(|_, want| want.sources().any(|source| source == slot))
    }

    /// Ids that list any of these.
    pub(super) fn of_links(&self, slots: &LinkSet) -> Vec<WantId> {
        self.of(|_, want| want.sources().any(|source| slots.contains(source)))
    }

    /// Ids of a topic, when it is left.
    pub(super) fn of_topic(&self, topic: &TopicId) -> Vec<WantId> {
        self.of(|id, _| id.0 == *topic)
    }

    fn of(&self, which: impl Fn(&WantId, &Want) -> bool) -> Vec<WantId> {
        self.wants.iter().filter(|(id, want)| which(id, want)).map(|(id, _)| *id).collect()
    }
}

#[cfg(any(test, feature = "sim"))]
impl Want {
    /// It is in the queue of the starved.
    pub(super) fn is_starved(&self) -> bool {
        self.sources.iter().any(|source| source.starved)
    }
}

#[cfg(any(test, feature = "sim"))]
impl Wants {
    pub(super) fn iter(&self) -> impl Iterator<Item = (&WantId, &Want)> {
        self.wants.iter()
    }

    /// Of each link that is listed, by the wants: how many list it, how many pulls it owes, and about how many bytes.
    pub(super) fn bills(&self) -> std::collections::BTreeMap<Slot, (usize, usize, usize)> {
        let mut bills = std::collections::BTreeMap::<_, (usize, usize, usize)>::new();
        for source in self.wants.values().flat_map(|want| &want.sources) {
            let (listed, owed, bytes) = bills.entry(source.slot).or_default();
            *listed += 1;
            *owed += usize::from(source.since.is_some());
            *bytes += if source.since.is_some() { 1 << source.size } else { 0 };
        }
        bills
    }

    pub(super) fn check(&self, recount: &mut crate::protocol::check::Recount) {
        let ids = |starved: &Starved| starved.ids().collect::<std::collections::BTreeSet<_>>();
        let queued: BTreeMap<_, _> =
            self.starved.iter().map(|(slot, starved)| (*slot, ids(starved))).collect();
        for (id, want) in &self.wants {
            for source in want.sources.iter().filter(|source| source.starved) {
                recount.holds(
                    queued.get(&source.slot).is_some_and(|queued| queued.contains(id)),
                    "a starved id is not in the queue of the starved",
                );
            }
        }
    }
}
