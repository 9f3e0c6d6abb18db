//! Late bundles of hold-back topics: they are kept, and shown when enough has gone by in which a second version could have come.

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use super::missing::Missing;
use crate::key::PublicKey;
use crate::protocol::Mono;
use crate::protocol::limits::MAX_HELD_LATE;
use crate::protocol::linkset::{LinkSet, Slot};
use crate::rumor::Position;

/// Sessions with other links than the one that brought it, after which a late bundle is shown.
const FURTHER_SESSIONS: usize = 2;
/// Where too few links keep the topic, or finish what they are asked, it is shown after so many times the delay.
const ALONE_DELAYS: u32 = 3;
/// And after so long in any case: by then each link has had its turn, if it rests for as long as any may. (Guess.)
const LONGEST_HELD: Duration = Duration::from_secs(1_200);

#[derive(Debug)]
struct Held {
    missing: Missing,
    since: Mono,
    /// The link that brought it, if one did.
    by: Option<Slot>,
    /// Links that were asked about all since then.
    asked: LinkSet,
    /// Links that were asked at all since then, whatever they said to it.
    tried: LinkSet,
}

/// Those of one topic, in the order in which they came.
#[derive(Debug, Default)]
pub(in crate::protocol) struct HeldLate {
    held: VecDeque<Held>,
    /// The store has some that found no place here.
    beyond: bool,
}

impl HeldLate {
    /// Whether there is room for more. Without, nothing more is asked for.
    pub(in crate::protocol) fn has_room(&self) -> bool {
        self.has_room_for(1)
    }

    /// Whether there is room for so many more.
    pub(in crate::protocol) fn has_room_for(&self, more: usize) -> bool {
        self.held.len().saturating_add(more) <= MAX_HELD_LATE
    }

    /// One was kept and is not shown.
    pub(in crate::protocol) fn add(&mut self, missing: Missing, by: Option<Slot>, now: Mono) {
        self.held.push_back(Held { missing, since: now, by, asked: LinkSet::EMPTY, tried: LinkSet::EMPTY });
    }

    /// The store has said what it holds and does not show: what is not known here is held from now on. What finds no place is asked for
    /// when there is some.
    pub(in crate::protocol) fn takes_up(&mut self, all: impl Iterator<Item = Missing>, now: Mono) {
        let known: BTreeSet<_> = self.held.iter().map(|held| held.missing).collect();
        self.beyond = false;
        for missing in all.filter(|missing| !known.contains(missing)) {
            if !self.has_room() {
                self.beyond = true;
                return;
            }
            self.add(missing, None, now);
        }
    }

    /// Whether the store is to say again what it holds and does not show: there is room for what found no place. True once.
    pub(in crate::protocol) fn wants_more(&mut self) -> bool {
        let has_room = self.has_room_for(MAX_HELD_LATE / 2);
        has_room && std::mem::take(&mut self.beyond)
    }

    /// A session with a link is over: it was asked about all, or has said no, was cut, or was asked about a part.
    pub(in crate::protocol) fn asked(&mut self, slot: Slot, about_all: bool) {
        for held in &mut self.held {
            held.tried.insert(slot);
            if about_all && held.by != Some(slot) {
                held.asked.insert(slot);
            }
        }
    }

    /// A link is gone: whoever has its place next has brought nothing, and was not asked.
    pub(in crate::protocol) fn forget_link(&mut self, slot: Slot) {
        for held in &mut self.held {
            held.tried.remove(slot);
            held.by = held.by.filter(|by| *by != slot);
        }
    }

    /// What is shown from now on, where these links keep the topic and `delay` is its hold-back.
    ///
    /// The delay and the sessions are the time in which a second version could have come, from a link that has it and wants to bring it. One
    /// that says no, is cut or never answers brings nothing, however long it is waited for: it counts as one that does not keep the topic.
    /// If it were waited for without an end, one such link among three would hide all that comes late.
    pub(in crate::protocol) fn take_over(
        &mut self,
        delay: Duration,
        keepers: &LinkSet,
        now: Mono,
    ) -> Vec<(PublicKey, Position)> {
        let is_alone = keepers.len() <= FURTHER_SESSIONS;
        let is_over = |held: &Held| {
            let since = now.since(held.since);
            let asked = held.asked.len() >= FURTHER_SESSIONS;
            let mut others = *keepers;
            others.remove_all(&held.tried);
            held.by.into_iter().for_each(|by| others.remove(by));
            let nobody_is_left = is_alone || others.is_empty() || since >= LONGEST_HELD;
            (asked && since >= delay) || (nobody_is_left && since >= delay.saturating_mul(ALONE_DELAYS))
        };
        let over = self.held.iter().filter(|held| is_over(held));
        let over: Vec<_> = over.map(|held| (held.missing.author(), held.missing.position())).collect();
        self.held.retain(|held| !is_over(held));
        over
    }

    /// An author was convicted: nothing of it that is held back is ever shown.
    pub(in crate::protocol) fn silence(&mut self, author: &PublicKey) {
        self.held.retain(|held| held.missing.author() != *author);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rumor::BundleId;
    use crate::wire::Head;

    fn now(secs: u64) -> Mono {
        Mono::from_nanos(1_000_000_000_000 + secs * 1_000_000_000)
    }

    fn missing(tick: u64) -> Missing {
        let (author, id) = (PublicKey::from_bytes([tick as u8; 32]), BundleId::from_bytes([2; 32]));
        Missing::of_head(&Head { tick, slot: 0, author, id })
    }

    const DELAY: Duration = Duration::from_secs(10);

    /// Where so many links keep the topic.
    fn over(held: &mut HeldLate, keepers: u8, at: u64) -> Vec<u64> {
        let mut all = LinkSet::EMPTY;
        (1..=keepers).for_each(|slot| all.insert(Slot(slot)));
        held.take_over(DELAY, &all, now(at)).into_iter().map(|(_, position)| position.tick).collect()
    }

    #[test]
    fn a_late_bundle_is_shown_after_the_delay_and_two_sessions_with_others() {
        let mut held = HeldLate::default();
        held.add(missing(1), Some(Slot(1)), now(0));
        held.asked(Slot(1), true);
        held.asked(Slot(2), true);
        held.add(missing(2), Some(Slot(2)), now(5));
        held.asked(Slot(2), true);
        assert!(over(&mut held, 9, 1_000).is_empty(), "the links that brought them say nothing new");
        held.asked(Slot(3), true);
        assert!(over(&mut held, 9, 9).is_empty());
        assert_eq!(over(&mut held, 9, 10), [1]);
        held.asked(Slot(4), true);
        assert_eq!((over(&mut held, 9, 14), over(&mut held, 9, 15)), (vec![], vec![2]));
    }

    #[test]
    fn where_few_links_keep_the_topic_it_takes_three_delays() {
        let mut held = HeldLate::default();
        held.add(missing(1), Some(Slot(1)), now(0));
        assert_eq!((over(&mut held, 2, 29), over(&mut held, 3, 30)), (vec![], vec![]));
        assert_eq!(over(&mut held, 2, 30), [1]);
    }

    #[test]
    fn links_that_finish_nothing_hide_nothing_for_good() {
        let mut held = HeldLate::default();
        held.add(missing(1), Some(Slot(1)), now(0));
        held.asked(Slot(2), true);
        assert!(over(&mut held, 3, 31).is_empty(), "the third may have another version");
        held.asked(Slot(3), false);
        assert!(over(&mut held, 4, 31).is_empty(), "so may the fourth");
        assert_eq!(over(&mut held, 3, 31), vec![1], "each was asked, and one has finished");
        held.add(missing(2), Some(Slot(1)), now(100));
        held.asked(Slot(2), false);
        held.asked(Slot(3), false);
        assert_eq!((over(&mut held, 3, 129), over(&mut held, 3, 130)), (vec![], vec![2]));
        // Who has the place of one that was asked was not.
        held.add(missing(4), Some(Slot(1)), now(140));
        held.asked(Slot(2), false);
        held.asked(Slot(3), false);
        held.forget_link(Slot(3));
        assert!(over(&mut held, 3, 171).is_empty());
        held.asked(Slot(3), false);
        assert_eq!(over(&mut held, 3, 171), vec![4]);
        // Nor does one whose turn never comes.
        held.add(missing(3), Some(Slot(1)), now(200));
        assert_eq!((over(&mut held, 3, 1_399), over(&mut held, 3, 1_400)), (vec![], vec![3]));
    }

    #[test]
    fn what_the_store_holds_is_taken_up_once_and_as_far_as_there_is_room() {
        let mut held = HeldLate::default();
        held.add(missing(1), Some(Slot(1)), now(0));
        held.takes_up((1..4).map(missing), now(5));
        assert_eq!((held.held.len(), held.wants_more()), (3, false));
        held.takes_up((0..MAX_HELD_LATE as u64 + 9).map(missing), now(5));
        assert_eq!((held.held.len(), held.wants_more()), (MAX_HELD_LATE, false), "there is no room for more");
        assert_eq!(over(&mut held, 0, 30), [1], "it is held for as long as ever");
        assert_eq!(over(&mut held, 0, 35).len(), MAX_HELD_LATE - 1);
        assert!(held.wants_more() && !held.wants_more());
    }

    #[test]
    fn what_is_held_back_is_bounded_and_the_convicted_are_not_shown() {
        let mut held = HeldLate::default();
        for tick in 0..MAX_HELD_LATE as u64 {
            assert!(held.has_room());
            held.add(missing(tick), Some(Slot(1)), now(0));
        }
        assert!(!held.has_room());
        held.silence(&missing(7).author());
        assert!(held.has_room());
        assert!(!over(&mut held, 1, 100).contains(&7));
    }
}
