//! What found no room, or no validator in time: debts, not facts. Each is asked for again when there is room for it.
//!
//! A debt names the links that had the bundle, so nothing is asked for in vain and nobody need announce it again. Links leave
//! each other places in the list as authors do in the index; what finds none is made up for by asking its link to announce
//! everything once more.

use crate::protocol::links::Sender;
use std::collections::VecDeque;

use crate::key::PublicKey;
use crate::protocol::LinkId;
use crate::protocol::limits::{LATE_PAUSE, MAX_DEBTS};
use crate::protocol::linkset::{LinkSet, Slot};
use crate::protocol::random::{Keyed, KeyedMap};
use crate::protocol::shrink::Shrink as _;
use crate::protocol::time::Mono;
use crate::protocol::total::Total as _;
use crate::rumor::{BundleId, Header};

/// How many times what is free in the list one link may have of it: seven links that bring nothing else leave an eighth.
const DEBT_SHARE: usize = 1;
/// Debts that are looked at in a round of a second. (What is measured for a look-up, 100 ns, makes it 0.1 ms.)
const LOOKS: usize = 1_024;
/// Pauses do not grow beyond 32 s: half of the time in which a word can still be delivered.
const MOST_DOUBLINGS: u8 = 4;

/// A bundle that was refused for now.
#[derive(Debug, Clone, Copy)]
pub(in crate::protocol) struct Debt {
    pub(in crate::protocol) header: Header,
    /// Links that had it. They need not have it any more.
    pub(in crate::protocol) links: LinkSet,
    /// When one of them last said so.
    pub(in crate::protocol) said: Mono,
    /// On whose account it stands in the list.
    payer: Slot,
    /// The link that brought it: its place in the index would be on that one's account.
    pub(in crate::protocol) link: LinkId,
    pub(in crate::protocol) peer: PublicKey,
    /// Not asked for before this.
    rests_until: Mono,
    /// Which of the places in the order is its own.
    number: u64,
}

/// The debts of a topic, oldest first.
#[derive(Debug)]
pub(in crate::protocol) struct Debts {
    debts: KeyedMap<BundleId, Debt>,
    /// In the order in which they are looked at. May name some that are paid.
    order: VecDeque<(u64, BundleId)>,
    of_link: KeyedMap<Slot, usize>,
    count: u64,
}

impl Debts {
    pub(in crate::protocol) fn new(keyed: Keyed) -> Self {
        Self { debts: keyed.map(), order: VecDeque::new(), of_link: keyed.map(), count: 0 }
    }

    /// Notes that a link has a bundle that was refused for now. False if the list has no place for it.
    pub(in crate::protocol) fn add(&mut self, id: BundleId, header: &Header, by: Sender, now: Mono) -> bool {
        let slot = by.slot;
        if self.note(&id, slot, now) {
            return true;
        }
        let of_link = self.of_link.get(&slot).copied().unwrap_or(0);
        if of_link >= MAX_DEBTS.saturating_sub(self.debts.len()).saturating_mul(DEBT_SHARE) {
            return false;
        }
        let mut links = LinkSet::default();
        links.insert(slot);
        let (rests_until, number) = (Mono::default(), self.count);
        self.count += 1;
        let debt = Debt {
            header: *header,
            links,
            said: now,
            payer: slot,
            link: by.link,
            peer: by.peer,
            rests_until,
            number,
        };
        self.debts.insert(id, debt);
        if self.order.len() >= 2 * MAX_DEBTS {
            // What was paid is still in the order. Once in so many times it is cleared out.
            let debts = &self.debts;
            self.order.retain(|(number, id)| debts.get(id).is_some_and(|debt| debt.number == *number));
        }
        self.order.push_back((number, id));
        self.of_link.entry(slot).or_default().gains(1);
        true
    }

    /// Notes another link that has it, or the same one again. False if it is no debt.
    pub(in crate::protocol) fn note(&mut self, id: &BundleId, slot: Slot, now: Mono) -> bool {
        if self.debts.is_empty() {
            return false;
        }
        let Some(debt) = self.debts.get_mut(id) else { return false };
        debt.links.insert(slot);
        debt.said = now;
        true
    }

    /// Leaves a debt alone for a while: the longer, the more often it was tried.
    pub(in crate::protocol) fn rest(&mut self, id: &BundleId, tries: u8, now: Mono) {
        if let Some(debt) = self.debts.get_mut(id) {
            debt.rests_until = now.plus(LATE_PAUSE.saturating_mul(1 << tries.min(MOST_DOUBLINGS)));
        }
    }

    /// Whether it is left alone for a while, whoever brings it.
    pub(in crate::protocol) fn rests(&self, id: &BundleId, now: Mono) -> bool {
        !self.debts.is_empty() && self.debts.get(id).is_some_and(|debt| debt.rests_until > now)
    }

    /// It is paid, or worth nothing any more.
    pub(in crate::protocol) fn remove(&mut self, id: &BundleId) -> Option<Debt> {
        if self.debts.is_empty() {
            return None;
        }
        let debt = self.debts.remove(id)?;
        if let Some(of_link) = self.of_link.get_mut(&debt.payer) {
            of_link.loses(1);
            if *of_link == 0 {
                self.of_link.remove(&debt.payer);
            }
        }
        Some(debt)
    }

    /// Whether a link has so little in the list that it may fill it again by announcing everything once more. By link, or one
    /// whose unsigned headers fill half of the list would keep all others from being asked.
    pub(in crate::protocol) fn has_room(&self, slot: Slot) -> bool {
        let of_link = self.of_link.get(&slot).copied().unwrap_or(0);
        of_link < MAX_DEBTS.saturating_sub(self.debts.len()) / 2
    }

    /// The header of a debt that may be paid as soon as there is room for it.
    pub(in crate::protocol) fn unrested(&self, id: &BundleId, now: Mono) -> Option<&Header> {
        self.debts.get(id).filter(|debt| debt.rests_until <= now).map(|debt| &debt.header)
    }

    pub(in crate::protocol) fn is_empty(&self) -> bool {
        self.debts.is_empty()
    }

    /// Takes up to `most` debts that `verdict` has pay now, and drops those that it has forgotten. In turn, so that each is
    /// looked at again and again.
    pub(in crate::protocol) fn take(
        &mut self,
        most: usize,
        now: Mono,
        mut verdict: impl FnMut(&BundleId, &Debt) -> Verdict,
    ) -> Vec<(BundleId, Debt)> {
        let mut taken = Vec::new();
        for _ in 0..self.order.len().min(LOOKS) {
            if taken.len() >= most {
                break;
            }
            let Some((number, id)) = self.order.pop_front() else { break };
            let Some(debt) = self.debts.get(&id).filter(|debt| debt.number == number) else { continue };
            match if debt.rests_until > now { Verdict::Wait } else { verdict(&id, debt) } {
                Verdict::Wait => self.order.push_back((number, id)),
                Verdict::Forget => drop(self.remove(&id)),
                Verdict::Pay => taken.extend(self.remove(&id).map(|debt| (id, debt))),
            }
        }
        taken
    }

    /// Places in the table of links will have new owners.
    pub(in crate::protocol) fn forget_links(&mut self, gone: &LinkSet) {
        self.debts.values_mut().for_each(|debt| debt.links.remove_all(gone));
    }

    /// After a flood.
    pub(in crate::protocol) fn shrink(&mut self) {
        self.debts.shrink();
        self.order.shrink();
    }
}

/// What becomes of a debt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::protocol) enum Verdict {
    /// There is room for it.
    Pay,
    /// There is none yet.
    Wait,
    /// It is too late for it.
    Forget,
}

#[cfg(any(test, feature = "sim"))]
impl Debts {
    pub(in crate::protocol) fn check(&self, recount: &mut crate::protocol::check::Recount) {
        recount.same("debts by their links", self.of_link.values().sum(), self.debts.len());
        let in_order =
            |(number, id): &&(u64, BundleId)| self.debts.get(id).is_some_and(|debt| debt.number == *number);
        recount.same("debts in the order", self.order.iter().filter(in_order).count(), self.debts.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rumor::TopicId;

    fn id(n: usize) -> BundleId {
        BundleId::from_bytes(*blake3::hash(&n.to_le_bytes()).as_bytes())
    }

    fn by(slot: u8) -> Sender {
        Sender { link: LinkId(slot.into()), slot: Slot(slot), peer: PublicKey::from_bytes([slot; 32]) }
    }

    fn header() -> Header {
        Header {
            topic: TopicId::from_bytes([1; 32]),
            author: PublicKey::from_bytes([1; 32]),
            tick: 1,
            first_slot: 0,
            count: 1,
            bytes: 1,
            manifest: [0; 32],
            prev: None,
        }
    }

    #[test]
    fn links_that_fill_the_list_of_debts_leave_room_for_another() {
        let mut debts = Debts::new(Keyed::default());
        let now = Mono::default();
        let mut count = 0;
        for slot in 0..7 {
            for _ in 0..MAX_DEBTS {
                count += 1;
                debts.add(id(count), &header(), by(slot), now);
            }
        }
        assert!(debts.debts.len() < MAX_DEBTS, "the list has its cap");
        assert!(!debts.has_room(Slot(0)) && debts.has_room(Slot(200)));
        assert!(debts.add(id(0), &header(), by(200), now), "who comes last finds a place");
    }

    #[test]
    fn what_is_paid_or_forgotten_leaves_nothing_behind() {
        let mut debts = Debts::new(Keyed::default());
        let now = Mono::default();
        (0..3).for_each(|n| assert!(debts.add(id(n), &header(), by(1), now)));
        debts.rest(&id(2), 0, now);
        // Each is looked at in turn: one is paid, one is too old, one rests.
        let of = |n: usize| if n == 0 { Verdict::Pay } else { Verdict::Forget };
        let verdict = |other: &BundleId, _: &Debt| of(usize::from(*other != id(0)));
        let paid: Vec<_> = debts.take(8, now, verdict).into_iter().map(|(id, _)| id).collect();
        assert_eq!(paid, [id(0)]);
        let rested = now.plus(LATE_PAUSE);
        assert_eq!(debts.take(8, rested, |_, _| Verdict::Pay).len(), 1);
        assert!(debts.is_empty() && debts.order.is_empty() && debts.of_link.is_empty());
    }
}
