//! What is missing is asked for: of whom, from where on, and what it says about a link if it does not come.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::protocol::engine::Engine;
use crate::protocol::keeping::{Found, Hole, Query, StoreJob, StoreTrouble};
use crate::protocol::limits::{FETCHES_OF_LINK, HEADS_A_LOOK};
use crate::protocol::links::Sender;
use crate::protocol::linkset::{LinkSet, Slot};
use crate::protocol::repair::LookFor;
use crate::protocol::repair::asker::Due;
use crate::protocol::repair::fetches::{Fetching, Pace};
use crate::protocol::repair::gaps::{Fate, start_of};
use crate::protocol::repair::missing::Missing;
use crate::protocol::repair::paces::WIDE_TICKS;
use crate::protocol::repair::walk::{HOLES_A_LOOK, Rest, rest_until};
use crate::protocol::timers::Timer;
use crate::protocol::{Action, Event, Mono};
use crate::rumor::TopicId;
use crate::wire::{self, Fetch, FetchedRange, MAX_RANGES_PER_FETCH, Mark, Page};

/// A hole is asked for when it is so old: what is under way by itself has come by then.
pub(super) const HOLE_PATIENCE: Duration = Duration::from_secs(5);
/// The same where links have announced it, or it is being checked.
const ON_ITS_WAY: Duration = Duration::from_secs(15);
/// What could not be asked for now is looked at again after this.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Who may be asked in a topic: links, best first, each with its floor and how many ranges it may be asked for.
struct Askable {
    links: Vec<(Slot, u64, usize)>,
    keepers: LinkSet,
    highest_floor: u64,
}

impl Askable {
    /// Those whose floor is not above a tick.
    fn keepers_of(&self, tick: u64) -> LinkSet {
        let mut keepers = self.keepers;
        if tick < self.highest_floor {
            let above = self.links.iter().filter(|(_, floor, _)| *floor > tick);
            above.for_each(|(slot, ..)| keepers.remove(*slot));
        }
        keepers
    }

    /// Whether anybody may be asked for anything, or nobody keeps the topic.
    fn has_room(&self) -> bool {
        self.links.is_empty() || self.links.iter().any(|(_, _, room)| *room > 0)
    }

    /// The best of `candidates` that may be asked for one more range.
    fn take(&mut self, candidates: &LinkSet) -> Option<Slot> {
        let mut free =
            self.links.iter_mut().filter(|(slot, _, room)| *room > 0 && candidates.contains(*slot));
        let (slot, _, room) = free.next()?;
        *room = room.saturating_sub(1);
        Some(*slot)
    }
}

impl Engine {
    /// Asks for what is missing in a topic, as far as links are free.
    pub(super) fn fetch_missing(&mut self, topic: TopicId) {
        let now = self.cx.now.mono;
        let Some(asked) = self.asker.topic(&topic).filter(|asked| asked.gaps().len() > 0) else { return };
        if self.repair.waiting().refusal().is_some() {
            // What would come could not be kept. The store says when it works again.
            return;
        }
        let full = self.asker.late().is_parked() || !asked.held().has_room();
        let mut askable = self.askable(&topic);
        if full || !askable.has_room() {
            // What is under way will end; a link that was left is looked at again in a while.
            return self.set_due(topic, Due::Hole, Some(now.plus(LOOK_AGAIN)));
        }
        let Some(asked) = self.asker.topic(&topic) else { return };
        let due = asked.gaps().due(now);
        let (mut chosen, mut waits) = (BTreeMap::<Slot, Vec<Missing>>::new(), false);
        let mut starts = Vec::new();
        for missing in due {
            if self.is_on_its_way(&topic, &missing) {
                continue;
            }
            if self.lacks_start(&topic, &missing) {
                starts.push(missing);
                continue;
            }
            let keepers = askable.keepers_of(missing.position().tick);
            let Some(asked) = self.asker.topic_mut(&topic) else { return };
            let candidates = asked.gaps().candidates(&missing, &keepers);
            if candidates.is_empty() {
                self.settle_gap(topic, &missing, &keepers);
                continue;
            }
            let paced = asked.gaps().is_below(&missing) && !asked.paces_mut().allows(&missing.author(), now);
            match if paced { None } else { askable.take(&candidates) } {
                Some(slot) => chosen.entry(slot).or_default().push(missing),
                None => waits = true,
            }
        }
        for (slot, gaps) in chosen {
            self.fetch(topic, slot, &gaps);
        }
        self.look_for_starts(topic, starts);
        let next = self.asker.topic(&topic).and_then(|asked| asked.gaps().next_due(now));
        let again = waits.then(|| now.plus(LOOK_AGAIN));
        self.set_due(topic, Due::Hole, [next, again].into_iter().flatten().min());
    }

    fn askable(&self, topic: &TopicId) -> Askable {
        let now = self.cx.now.mono;
        let Some(asked) = self.asker.topic(topic) else {
            return Askable { links: Vec::new(), keepers: LinkSet::EMPTY, highest_floor: 0 };
        };
        let keepers = asked.turns().keepers();
        let mut ranked: Vec<_> = keepers
            .iter()
            .map(|slot| {
                let brings = self.asker.brings(slot);
                let rank = brings.map(|brings| brings.rank(now)).unwrap_or_default();
                let at_once = brings.map_or(FETCHES_OF_LINK, |brings| brings.at_once(now));
                let room = self.asker.fetches().free(slot, at_once, now).saturating_mul(MAX_RANGES_PER_FETCH);
                (rank, slot, asked.turns().floor(slot), room)
            })
            .collect();
        ranked.sort_unstable();
        let links: Vec<_> = ranked.into_iter().map(|(_, slot, floor, room)| (slot, floor, room)).collect();
        let highest_floor = links.iter().map(|(_, floor, _)| *floor).max().unwrap_or(0);
        Askable { links, keepers, highest_floor }
    }

    /// Whether something will come by itself: links have announced it, or a copy is being checked. That is waited for, and not for long.
    fn is_on_its_way(&mut self, topic: &TopicId, missing: &Missing) -> bool {
        let id = missing.id();
        let wanted = self.wants.get(&(*topic, id)).is_some();
        let entry = self.topics.get(topic).and_then(|window| window.entry(&id));
        let judged = entry.is_some_and(|entry| !entry.is_accepted());
        if !wanted && !judged {
            return false;
        }
        let Some(asked) = self.asker.topic_mut(topic) else { return false };
        let until = asked.gaps().since(missing).map(|since| since.plus(ON_ITS_WAY));
        let Some(until) = until.filter(|until| *until > self.cx.now.mono) else { return false };
        asked.gaps_mut().is_put_off(missing, until);
        true
    }

    /// Asks one link for several gaps, in as many fetches as it may be given.
    fn fetch(&mut self, topic: TopicId, slot: Slot, gaps: &[Missing]) {
        let now = self.cx.now.mono;
        let brings = self.asker.brings_mut(slot);
        let (at_once, max_bytes) = (brings.at_once(now), brings.allowance());
        let free = self.asker.fetches().free(slot, at_once, now).max(1);
        let share = gaps.len().div_ceil(free).clamp(1, MAX_RANGES_PER_FETCH);
        for gaps in gaps.chunks(share) {
            if self.asker.fetches().free(slot, at_once, now) == 0 {
                return;
            }
            let ranges: Vec<_> =
                gaps.iter().map(|missing| (*missing, self.range(&topic, missing, slot))).collect();
            let number = self.asker.number();
            let fetch = Fetch {
                topic,
                session: number,
                max_bytes,
                ranges: ranges.iter().map(|(_, range)| *range).collect(),
            };
            let Some(link) = self.links.at_mut(slot) else { return };
            if !link.outbox_mut().history(wire::fetch(&fetch)) {
                return;
            }
            let id = link.id();
            self.cx.dirty.insert(slot);
            self.cx.counters.fetches += 1;
            if let Some(asked) = self.asker.topic_mut(&topic) {
                gaps.iter().for_each(|missing| asked.gaps_mut().asks(missing, slot, now));
            }
            if let Some(at) = self.asker.fetches_mut().begin(slot, number, topic, ranges, max_bytes, now) {
                self.cx.timers.set(at, Timer::PageOverdue(id));
            }
        }
    }

    /// Whether the store must say first what it holds before a gap: of its author we have heads, all of them after it, and which of what
    /// they follow is held only the store knows.
    fn lacks_start(&self, topic: &TopicId, missing: &Missing) -> bool {
        let (Some(asked), Some(kept)) = (self.asker.topic(topic), self.repair.topic(topic)) else {
            return false;
        };
        let first = kept.book().of_author(&missing.author()).next();
        first.is_some_and(|(first, _)| first > missing.position()) && !asked.gaps().knows_before(missing)
    }

    fn look_for_starts(&mut self, topic: TopicId, mut gaps: Vec<Missing>) {
        gaps.truncate(HEADS_A_LOOK);
        let Some(asked) = self.asker.topic_mut(&topic).filter(|asked| !asked.is_looking()) else { return };
        if gaps.is_empty() {
            return;
        }
        asked.set_looking(true);
        let at = gaps.iter().map(|missing| (missing.author(), missing.position())).collect();
        if !self.looks_up(LookFor::Starts { topic, gaps }, Query::Before { topic, at }) {
            self.on_starts_found(topic, &[], &Err(StoreTrouble::NotOpen));
        }
    }

    /// The store has said what it holds before gaps. Without an answer they are asked for from the beginning.
    pub(super) fn on_starts_found(
        &mut self,
        topic: TopicId,
        gaps: &[Missing],
        found: &Result<Found, StoreTrouble>,
    ) {
        let Some(asked) = self.asker.topic_mut(&topic) else { return };
        asked.set_looking(false);
        let held = if let Ok(Found::Before(held)) = found { held.as_slice() } else { &[] };
        for (at, missing) in gaps.iter().enumerate() {
            asked.gaps_mut().learns_before(missing, held.get(at).copied().flatten());
        }
        self.asker.stir(topic);
    }

    fn range(&self, topic: &TopicId, missing: &Missing, slot: Slot) -> FetchedRange {
        let (author, upto) = (missing.author(), missing.position());
        let mut from = start_of(upto);
        if let (Some(asked), Some(kept)) = (self.asker.topic(topic), self.repair.topic(topic)) {
            let held = kept.book().of_author(&author).map(|(at, _)| at).rfind(|at| *at < upto);
            from = asked.gaps().from(missing, slot, held, kept.low());
            if asked.paces().is_wide(&author) {
                let wide = upto.tick.saturating_sub(WIDE_TICKS).max(kept.low());
                from = from.min(Mark { tick: wide, slot: 0 });
            }
        }
        FetchedRange { author, from, upto }
    }

    /// A link has sent what it sends of a fetch.
    pub(in crate::protocol::engine) fn on_page(&mut self, sender: Sender, page: &Page) {
        let (now, slot) = (self.cx.now.mono, sender.slot);
        let Some(fetch) = self.asker.fetches_mut().end(slot, page.session, now) else {
            self.cx.counters.unasked_history += 1;
            return;
        };
        let topic = *fetch.topic();
        let moved = self.page_goes_through(&topic, slot, &fetch, page);
        let brings = self.asker.brings_mut(slot);
        if moved || fetch.bytes() > 0 {
            brings.served(fetch.bytes(), now.since(fetch.asked_at()));
        } else {
            brings.missed(now);
            self.cx.counters.history_missed += 1;
        }
        if let Some(asked) = self.asker.topic_mut(&topic) {
            asked.turns_mut().tells_floor(slot, page.floor);
        }
        for (missing, _) in fetch.ranges() {
            self.settle_by_floor(topic, missing);
        }
        self.asker.stir_all();
    }

    /// What a page says of each range: how far it goes, and whether that is beyond what is missing. Gives whether it goes anywhere.
    fn page_goes_through(&mut self, topic: &TopicId, slot: Slot, fetch: &Fetching, page: &Page) -> bool {
        let Some(asked) = self.asker.topic_mut(topic) else { return false };
        let mut next = page.next.iter();
        let mut moved = false;
        let reaches: Vec<_> = fetch
            .ranges()
            .map(|(missing, range)| {
                let next = next.next().copied().unwrap_or(range.from);
                moved |= next > range.from;
                (missing, range, next)
            })
            .collect();
        for (missing, range, next) in reaches {
            if next > start_of(range.upto) {
                asked.gaps_mut().is_passed(missing, slot, page.floor > missing.position().tick);
            } else if next > range.from {
                asked.gaps_mut().stands(missing, slot, next);
            } else if moved {
                asked.gaps_mut().is_asked_no_more(missing, slot);
            } else {
                asked.gaps_mut().is_missed(missing, slot);
            }
        }
        moved
    }

    /// Nobody has filled a gap with what was asked: if nobody is left to ask, a claim is forgotten, and a hole rests.
    fn settle_gap(&mut self, topic: TopicId, missing: &Missing, keepers: &LinkSet) {
        // Without a link that keeps the topic it waits for one. Links that keep nothing so old are no reason to wait.
        let Some(asked) = self.asker.topic_mut(&topic).filter(|asked| asked.turns().len() > 0) else {
            return;
        };
        match asked.gaps_mut().settle(missing, keepers) {
            Fate::GoesOn => {}
            Fate::Forgotten => self.cx.counters.claims_forgotten += 1,
            Fate::Rests(hole) => self.rest_hole(topic, hole),
        }
    }

    /// The same, with all links that may have it.
    pub(super) fn settle_by_floor(&mut self, topic: TopicId, missing: &Missing) {
        let Some(asked) = self.asker.topic(&topic) else { return };
        let keepers = asked.turns().keepers_of(missing.position().tick);
        self.settle_gap(topic, missing, &keepers);
    }

    /// A hole that nobody could fill rests in the store, and the application learns of it the first time.
    fn rest_hole(&mut self, topic: TopicId, hole: Hole) {
        let until = rest_until(&hole, self.cx.now.unix_ms);
        self.cx.counters.holes_rested += 1;
        self.cx.actions.push_back(Action::Store(StoreJob::Rest { topic, holes: vec![(hole, until)] }));
        let Some(asked) = self.asker.topic_mut(&topic) else { return };
        if asked.tells_hole(&hole.author) {
            self.event(Event::Hole { topic, author: hole.author, position: hole.position });
        }
    }

    /// It is time to see whether what was asked of a link comes.
    pub(in crate::protocol::engine) fn on_page_overdue(&mut self, link: crate::protocol::LinkId) {
        let now = self.cx.now.mono;
        let Some(slot) = self.links.slot_of(link) else { return };
        let reads = self.links.at(slot).is_some_and(|link| !link.is_held_up_with_the_past());
        match self.asker.fetches_mut().pace(slot, reads, now) {
            Pace::Idle => {}
            Pace::Fine(at) => self.page_is_due(slot, at),
            Pace::Slow => self.leave_slow(slot),
        }
    }

    fn page_is_due(&mut self, slot: Slot, at: Mono) {
        if let Some(link) = self.links.at(slot) {
            self.cx.timers.set(at, Timer::PageOverdue(link.id()));
        }
    }

    /// A link is slow: what it was asked for is asked of others, where there are any. What it brings all the same is taken.
    fn leave_slow(&mut self, slot: Slot) {
        let now = self.cx.now.mono;
        self.asker.brings_mut(slot).missed(now);
        self.cx.counters.history_missed += 1;
        for (number, topic, gaps) in self.asker.leave_slow(slot, now) {
            self.stop_fetch(slot, number);
            for missing in gaps {
                if let Some(asked) = self.asker.topic_mut(&topic) {
                    asked.gaps_mut().is_left(&missing, slot);
                }
                self.settle_by_floor(topic, &missing);
            }
        }
        self.asker.stir_all();
    }

    pub(super) fn stop_fetch(&mut self, slot: Slot, number: u32) {
        if let Some(link) = self.links.at_mut(slot) {
            // Without room for it, it is served what it no longer needs.
            link.outbox_mut().history(wire::stop(number));
            self.cx.dirty.insert(slot);
        }
    }

    /// Asks the store for holes that found no place, or rested, when that is due.
    pub(super) fn walk_holes(&mut self, topic: TopicId) {
        let now = self.cx.now.mono;
        let Some(asked) = self.asker.topic_mut(&topic) else { return };
        let more = asked.gaps().has_beyond();
        if asked.gaps_mut().is_to_be_refilled() {
            asked.walk_mut().goes_again();
        }
        if let Some(after) = asked.walk_mut().asks(more, now) {
            if asked.walk().is_at_start() {
                asked.gaps_mut().looks_again();
            }
            let query = Query::Unmet { topic, after, count: HOLES_A_LOOK };
            if !self.looks_up(LookFor::Holes { topic }, query) {
                self.on_holes_found(topic, &Err(StoreTrouble::NotOpen));
            }
            return;
        }
        let next = asked.walk().next_due(more);
        self.set_due(topic, Due::Hole, next.filter(|at| *at > now));
    }

    /// The store has given some of its holes.
    pub(super) fn on_holes_found(&mut self, topic: TopicId, found: &Result<Found, StoreTrouble>) {
        let now = self.cx.now;
        let Some(low) = self.repair.topic(&topic).map(|kept| kept.low()) else { return };
        let window = self.relay_window_begins(&topic);
        let Some(asked) = self.asker.topic_mut(&topic) else { return };
        let Ok(Found::Unmet(holes)) = found else { return asked.walk_mut().has_failed(now.mono) };
        for hole in holes {
            if hole.position.tick < low || self.evidence.is_convicted(&hole.author) {
                continue;
            }
            let rest = asked.walk().rest_of(hole, now.unix_ms);
            if rest == Rest::Lasts {
                asked.gaps_mut().leaves_beyond();
                continue;
            }
            let age = Duration::from_millis(now.unix_ms.saturating_sub(hole.since_ms));
            let waits =
                if hole.position.tick < window { Duration::ZERO } else { HOLE_PATIENCE.saturating_sub(age) };
            asked.gaps_mut().add_hole(*hole, now.mono.plus(waits), hole.below, now.mono);
            if let Rest::OverFor(links) = rest {
                let mut others = asked.turns().keepers();
                others.remove_all(&links);
                asked.gaps_mut().is_not_asked_of(&Missing::of_hole(hole), &others);
            }
        }
        let skips = holes.last().is_some_and(|last| !asked.gaps().has_room_for(&last.author));
        asked.walk_mut().has_come_to(holes.last().copied(), holes.len(), skips, now.mono);
        self.asker.stir(topic);
    }
}
