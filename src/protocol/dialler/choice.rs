//! Which candidate a node dials next, and for whom it gives a link up.
//!
//! The links that a node dials are *slots*. Each has a secret seed, and of the candidates that strangers could have named it takes the one
//! whose key has the least hash with that seed. Nobody can know that order, so a slot leads to a liar with the chance that a candidate
//! is one, whatever came first:
//!
//! ```text
//!   every 10 s, one slot by chance:   a candidate comes before the occupant?
//!       └──yes──> dial it ──> both hellos said ──> hang up the occupant, the slot is the new link's
//!                    └──> failed: it rests, the occupant stays
//! ```
//!
//! Occupants that are kept until they fail would leave a node that began among liars with them (simulated: of 1 000 nodes that begin with
//! two thirds of liars' links, .645 are after two hours, and .331 after ten minutes with this).

use std::collections::BTreeMap;
use std::time::Duration;

use super::candidate::{Candidate, Origin};
use super::groups::Beside;
use super::peer::{Errand, Peer, Queued};
use super::{Dialler, FULL_FOR, Kind, MAX_DIALS, Order, View};
use crate::key::PublicKey;
use crate::protocol::random::Random;
use crate::protocol::{LinkId, Mono};
use crate::wire::Reason;

/// How often a slot is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How often a node looks whether the link that is to take another's place is live, if nothing else happens.
const LIVE_YET: Duration = Duration::from_secs(1);

/// The order in which candidates are tried for a slot.
type Preference = (u8, bool, bool, Origin, u64, PublicKey);

/// A candidate that is to take an occupant's place.
#[derive(Debug)]
struct Challenge {
    slot: usize,
    /// The occupant's group has too many slots.
    for_group: bool,
    /// `None` while it is dialled.
    link: Option<LinkId>,
    look_at: Mono,
}

/// The slots of one node.
#[derive(Debug)]
pub(super) struct Choice {
    /// One for each slot. Nobody else knows them.
    seeds: Vec<[u8; 32]>,
    /// Peers that are dialled for a slot.
    dialled: BTreeMap<usize, PublicKey>,
    /// When a slot is looked at next.
    look_at: Option<Mono>,
    challenge: Option<Challenge>,
    /// Until when no candidate can be dialled: all that there are would be strangers beyond the pace.
    paced_until: Option<Mono>,
    /// Candidates in the queue of open ones that strangers could have named.
    open: usize,
}

impl Choice {
    pub(super) fn new(slots: usize, random: &mut Random) -> Self {
        let mut seed = || {
            let mut seed = [0; 32];
            for part in seed.chunks_exact_mut(8) {
                part.copy_from_slice(&random.next_u64().to_le_bytes());
            }
            seed
        };
        Self {
            seeds: (0..slots).map(|_| seed()).collect(),
            dialled: BTreeMap::new(),
            look_at: None,
            challenge: None,
            paced_until: None,
            open: 0,
        }
    }

    /// `crowds` says that it is one of a group which has its slots already.
    fn preference(&self, slot: usize, peer: PublicKey, candidate: &Candidate, crowds: bool) -> Preference {
        if candidate.origin == Origin::Told {
            let (vain, aimed, origin, rank, peer) = candidate.turn(peer);
            return (vain, false, aimed, origin, rank, peer);
        }
        // How often it was tried in vain says nothing here: it has rested for that.
        (0, crowds, candidate.is_aimed(), candidate.origin, self.rank(slot, &peer), peer)
    }

    fn rank(&self, slot: usize, peer: &PublicKey) -> u64 {
        let hash = self.seeds.get(slot).map(|seed| blake3::keyed_hash(seed, peer.as_bytes()));
        hash.as_ref()
            .and_then(|hash| hash.as_bytes().first_chunk())
            .map_or(0, |word| u64::from_le_bytes(*word))
    }

    /// A candidate has come into the queue of open ones.
    pub(super) fn opened(&mut self, origin: Origin) {
        self.open += usize::from(origin == Origin::Found);
        self.paced_until = None;
    }

    pub(super) fn closed(&mut self, origin: Origin) {
        self.open = self.open.saturating_sub(usize::from(origin == Origin::Found));
    }

    /// A dial is over.
    pub(super) fn dial_over(&mut self, errand: Errand) {
        match errand {
            Errand::Slot(slot) => _ = self.dialled.remove(&slot),
            Errand::Challenge(_) => self.challenge = None,
            Errand::Wanted | Errand::Feeler | Errand::Visit | Errand::Afresh(_) => {}
        }
    }

    pub(super) fn link_ended(&mut self, link: LinkId) {
        self.challenge = self.challenge.take().filter(|challenge| challenge.link != Some(link));
    }

    /// Whether somebody is dialled to take the place of one whose group has too many slots.
    pub(super) fn is_for_group(&self) -> bool {
        self.challenge.as_ref().is_some_and(|challenge| challenge.for_group)
    }

    /// Dials that are under way for no missing link.
    pub(super) fn dials_aside(&self) -> usize {
        usize::from(self.challenge.as_ref().is_some_and(|challenge| challenge.link.is_none()))
    }

    #[cfg(test)]
    pub(super) const fn open_found(&self) -> usize {
        self.open
    }
}

impl<A: Clone + Ord> Dialler<A> {
    /// Dials the candidate whose turn it is, where a link is missing, there are feelers to send, or one is to take another's place.
    pub(super) fn dial_candidate(&mut self, now: Mono, view: &impl View) -> Option<Order<A>> {
        let errand = self.errand(now)?;
        let waits = |until: Option<Mono>| until.is_some_and(|until| until > now);
        if waits(self.full_until) || waits(self.choice.paced_until) {
            return None;
        }
        let peer = match errand {
            Errand::Slot(slot) => self.best(now, slot, None, &Beside::none())?.5,
            Errand::Challenge(slot) => self.challenger(now, slot)?,
            Errand::Feeler | Errand::Wanted | Errand::Visit | Errand::Afresh(_) => self.next_feeler(now)?,
        };
        let refused = view.refuses(&peer);
        if refused == Some(Reason::Full) {
            self.choice.dial_over(errand);
            self.full_until = Some(now.plus(FULL_FOR));
            return None;
        }
        self.queue(peer, None);
        if refused.is_none()
            && let Errand::Slot(slot) = errand
        {
            self.choice.dialled.insert(slot, peer);
        } else if refused.is_some() {
            self.choice.dial_over(errand);
        }
        self.begin(now, peer, errand, refused)
    }

    /// What a candidate would be dialled for now, if for anything.
    fn errand(&mut self, now: Mono) -> Option<Errand> {
        if self.missing() > 0 {
            return Some(Errand::Slot(self.free_slot().unwrap_or(0)));
        }
        if self.feelers.wants_more() {
            return Some(Errand::Feeler);
        }
        if !self.looks() {
            return None;
        }
        let look_at = *self.choice.look_at.get_or_insert(now.plus(LOOK_EVERY));
        if look_at > now {
            return None;
        }
        self.choice.look_at = Some(now.plus(LOOK_EVERY));
        Some(Errand::Challenge(self.random.below(self.choice.seeds.len())))
    }

    /// Whether there is anybody who could take the place of another.
    fn looks(&self) -> bool {
        self.choice.challenge.is_none()
            && self.choice.open > 0
            && self.chosen > 0
            && !self.choice.seeds.is_empty()
    }

    /// The candidate that comes first for a slot, of those that may be dialled; before `occupant`, if that is given.
    fn best(
        &mut self,
        now: Mono,
        slot: usize,
        occupant: Option<Preference>,
        beside: &Beside<A>,
    ) -> Option<Preference> {
        let (mut best, mut resting, mut paced) = (occupant, Vec::new(), false);
        let challenges = occupant.is_some();
        let mut found = None;
        for (.., peer) in &self.open {
            let Some(known) = self.peers.get(peer) else { continue };
            let Some(candidate) =
                known.candidate().filter(|known| !challenges || known.origin == Origin::Found)
            else {
                continue;
            };
            // Its class is compared first: it costs no hash.
            let vain = if candidate.origin == Origin::Told { candidate.vain } else { 0 };
            let class = (vain, false, candidate.is_aimed());
            if best.is_some_and(|(vain, crowds, aimed, ..)| class > (vain, crowds, aimed)) {
                continue;
            }
            let mut preference = self.choice.preference(slot, *peer, candidate, false);
            if best.is_some_and(|best| best <= preference) {
                continue;
            }
            preference.1 = self.would_crowd(beside, peer, known, now);
            if best.is_some_and(|best| best <= preference) {
                continue;
            }
            match self.may_dial(peer, known, now) {
                Ok(()) => (best, found) = (Some(preference), Some(preference)),
                Err(Some(until)) => resting.push((*peer, until)),
                Err(None) => paced = true,
            }
        }
        resting.into_iter().for_each(|(peer, until)| self.queue(peer, Some(Queued::Until(until))));
        if found.is_none() && paced && !challenges {
            self.choice.paced_until = self.rests.strangers_from(now);
        }
        found
    }

    /// The feeler whose turn it is: those felt for most rarely come first, or the same ones would be felt for again and again.
    fn next_feeler(&mut self, now: Mono) -> Option<PublicKey> {
        let may = |turn: &super::candidate::Turn| {
            self.peers.get(&turn.4).is_some_and(|known| self.may_dial(&turn.4, known, now).is_ok())
        };
        let next = self.open.iter().find(|turn| may(turn)).map(|turn| turn.4);
        if next.is_none() && !self.open.is_empty() {
            self.choice.paced_until = Some(self.rests.strangers_from(now).unwrap_or(now.plus(LIVE_YET)));
        }
        next
    }

    /// Whether a candidate may be dialled now. If not, until when all of its addresses rest; `None` where only strangers' pace is
    /// in the way.
    fn may_dial(&self, peer: &PublicKey, known: &Peer<A>, now: Mono) -> Result<(), Option<Mono>> {
        let may = |addr: &A, answered| self.may_dial_at(peer, known, addr, answered, now);
        if known.next_address(may).is_some() {
            return Ok(());
        }
        let until: Vec<_> =
            known.all_addresses().iter().map(|addr| self.rests.address_until(addr, peer, now)).collect();
        Err(until.into_iter().min().flatten())
    }

    /// Whether a peer may be dialled there. What the application named always may.
    pub(super) fn may_dial_at(
        &self,
        peer: &PublicKey,
        known: &Peer<A>,
        addr: &A,
        answered: bool,
        now: Mono,
    ) -> bool {
        if !known.is_found() {
            return true;
        }
        // Whoever is dialled again for its own sake is dialled where it was, however silent that is now.
        let for_itself = known.is_wanted() || known.is_gone();
        let rests = self.rests.address_until(addr, peer, now).is_some() && !(answered && for_itself);
        !rests && (answered || self.rests.strangers_from(now).is_none())
    }

    /// Somebody for the slot that is looked at, who comes before its occupant. Occupants that the application named stay.
    fn challenger(&mut self, now: Mono, slot: usize) -> Option<PublicKey> {
        self.give_slot(slot);
        let (_, linked) = self.occupant(slot)?;
        let peer = linked.peer;
        let candidate = self.peers.get(&peer).and_then(Peer::candidate)?;
        if candidate.origin != Origin::Found {
            return None;
        }
        let (beside, crowds) = self.groups_for(slot, linked.addr.as_ref(), now);
        let occupant = self.choice.preference(slot, peer, candidate, crowds);
        let better = self.best(now, slot, Some(occupant), &beside)?;
        let for_group = crowds && !better.1;
        if for_group {
            self.groups.dials(now);
        }
        self.choice.challenge = Some(Challenge { slot, link: None, for_group, look_at: now });
        Some(better.5)
    }

    fn occupant(&self, slot: usize) -> Option<(LinkId, &super::Linked<A>)> {
        let in_slot = |linked: &super::Linked<A>| linked.kind == Kind::Chosen && linked.slot == Some(slot);
        self.links.iter().find(|(_, linked)| in_slot(linked)).map(|(link, linked)| (*link, linked))
    }

    /// A slot without an occupant takes a link that has none.
    fn give_slot(&mut self, slot: usize) {
        if self.occupant(slot).is_some() || self.choice.dialled.contains_key(&slot) {
            return;
        }
        let idle = |linked: &&mut super::Linked<A>| linked.kind == Kind::Chosen && linked.slot.is_none();
        if let Some(linked) = self.links.values_mut().find(idle) {
            linked.slot = Some(slot);
        }
    }

    /// A slot that nobody has or is dialled for.
    pub(super) fn free_slot(&self) -> Option<usize> {
        let taken: Vec<_> = self.links.values().filter_map(|linked| linked.slot).collect();
        let is_free = |slot: &usize| !taken.contains(slot) && !self.choice.dialled.contains_key(slot);
        (0..self.choice.seeds.len()).find(is_free)
    }

    /// The candidate that is to take another's place has answered.
    pub(super) fn challenges(&mut self, now: Mono, slot: usize, link: LinkId, for_group: bool) {
        self.choice.challenge =
            Some(Challenge { slot, link: Some(link), for_group, look_at: now.plus(LIVE_YET) });
    }

    /// Gives the slot to the candidate that was dialled for it, as soon as both have said hello.
    pub(super) fn judge_challenge(&mut self, now: Mono, view: &impl View) {
        let Some(challenge) = &mut self.choice.challenge else { return };
        let (slot, Some(link)) = (challenge.slot, challenge.link) else { return };
        if !view.is_live(link) {
            if challenge.look_at <= now {
                challenge.look_at = now.plus(LIVE_YET);
            }
            return;
        }
        let for_group = challenge.for_group;
        self.choice.challenge = None;
        if for_group && self.crowds_by_now(slot, link) {
            // Others of its group came meanwhile, or it was reached elsewhere than it was to be.
            return self.hang_up(link);
        }
        match self.occupant(slot).map(|(link, linked)| (link, linked.peer)) {
            // (It may have become one that the application wants, meanwhile.)
            Some((_, peer)) if !self.peers.get(&peer).is_none_or(Peer::is_found) => self.hang_up(link),
            Some((old, _)) => {
                self.hang_up(old);
                self.settle(link, Some(slot));
            }
            None if self.missing() > 0 => self.settle(link, Some(slot)),
            None => self.hang_up(link),
        }
    }

    /// A link that was made for a while, or to see how it does, becomes one of those that the node wants.
    pub(super) fn settle(&mut self, link: LinkId, slot: Option<usize>) {
        let slot = slot.or_else(|| self.free_slot());
        if let Some(linked) = self.links.get_mut(&link).filter(|linked| linked.kind.is_for_now()) {
            (linked.kind, linked.slot) = (Kind::Chosen, slot);
            self.chosen += 1;
            self.feelers.ended(link);
            self.gone.link_ended(link);
            self.choice.link_ended(link);
            self.afresh.link_ended(link);
        }
    }

    /// Links that are to be dialled beyond those that are dialled already.
    pub(super) fn missing(&self) -> usize {
        let aside = self.feelers.under_way() + self.choice.dials_aside() + self.gone.dials_aside();
        let aside = aside + self.afresh.dials_aside();
        let under_way = self.under_way.saturating_sub(aside);
        self.config.dialling.outbound.saturating_sub(self.chosen + under_way)
    }

    /// Whether it would dial another candidate if it knew one: the time to name some.
    pub fn is_short(&self, now: Mono) -> bool {
        let wants = self.missing() > 0 || self.feelers.wants_more();
        let full = self.full_until.is_some_and(|until| until > now);
        wants && self.open.is_empty() && self.under_way < MAX_DIALS && !full
    }

    /// When a candidate may be dialled that is not dialled now, and when a slot is looked at.
    pub(super) fn next_choice(&self) -> Option<Mono> {
        let room = self.under_way < MAX_DIALS;
        let waits = (self.missing() > 0 || self.feelers.wants_more()) && !self.open.is_empty();
        let held = self.full_until.max(self.choice.paced_until).filter(|_| waits && room);
        let look = self.choice.look_at.filter(|_| room && !waits && self.looks());
        let look = look.map(|look| look.max(self.full_until.unwrap_or_default()));
        let live = self.choice.challenge.as_ref().filter(|challenge| challenge.link.is_some());
        held.into_iter().chain(look).chain(live.map(|challenge| challenge.look_at)).min()
    }
}
