//! What the driver reports: how dials ended, and which links there are.

use std::fmt;
use std::time::Duration;

use super::peer::{Errand, FailedDial, Peer};
use super::rests::FIRST_REST;
use super::{Dialler, Ending, Kind, Linked, STABLE};
use crate::key::PublicKey;
use crate::protocol::{LinkId, Mono};

impl<A: Clone + Ord> Dialler<A> {
    /// The dial of `peer` came to nothing. True if somebody should know: a link is wanted and there is none.
    pub fn failed(&mut self, now: Mono, peer: &PublicKey, how: Ending, why: &dyn fmt::Display) -> bool {
        let Some((known, errand)) = self.end_dial(peer) else { return false };
        let for_itself = known.is_wanted() || known.is_gone();
        let found = known.is_found();
        let failed = known.dial_failed(how, why);
        let lacks_link = failed.lacks_link;
        if found && !matches!(errand, Errand::Afresh(_)) {
            self.rest_after(now, peer, how, failed, for_itself);
        }
        self.wait(now, *peer);
        lacks_link
    }

    /// A candidate that strangers named was dialled in vain.
    fn rest_after(
        &mut self,
        now: Mono,
        peer: &PublicKey,
        how: Ending,
        dial: FailedDial<A>,
        for_itself: bool,
    ) {
        match (dial.addr, how) {
            (Some(addr), Ending::Silent) if !(dial.answered && for_itself) => {
                self.rests.address_failed(now, &addr);
            }
            (Some(addr), Ending::WrongKey(by)) => self.rests.address_taken(now, &addr, by),
            _ => {}
        }
        let rests = how == Ending::Closed || dial.all_tried && !for_itself;
        if rests && dial.lacks_link {
            self.rests.peer_failed(now, peer);
        }
        if how == Ending::Closed && !dial.answered {
            self.rests.stranger_answered();
        }
    }

    /// The dial of `peer` has become `link`. False if it is no longer wanted: close it then, it does not count as a link.
    pub fn connected(&mut self, now: Mono, peer: &PublicKey, link: LinkId) -> bool {
        let for_group = self.choice.is_for_group();
        let Some((known, errand)) = self.end_dial(peer) else { return false };
        let (addr, first) = known.dial_connected();
        let kept = known.is_kept();
        if known.is_found() && first {
            self.rests.stranger_answered();
        }
        if let Some(addr) = &addr {
            self.rests.address_answered(addr, peer);
        }
        let errand = match errand {
            Errand::Afresh(old) if self.may_succeed(old) => errand,
            // The silent link has ended meanwhile, and another has its place.
            Errand::Afresh(_) if !kept => Errand::Visit,
            errand => {
                if kept {
                    Errand::Wanted
                } else {
                    errand
                }
            }
        };
        let kind = match errand {
            Errand::Feeler => Kind::Feeler,
            Errand::Challenge(_) => Kind::Challenger,
            Errand::Visit if self.missing() == 0 => Kind::Visit,
            Errand::Afresh(_) => Kind::Successor,
            Errand::Wanted | Errand::Slot(_) | Errand::Visit => Kind::Chosen,
        };
        let slot = match errand {
            Errand::Slot(slot) => Some(slot),
            _ => self.free_slot().filter(|_| kind == Kind::Chosen),
        };
        self.links.insert(link, Linked { peer: *peer, addr, kind, slot });
        self.hosts.linked(now, link);
        match (kind, errand) {
            (Kind::Feeler, _) => self.feelers.linked(link, now.plus(self.config.dialling.feeler_life)),
            (_, Errand::Challenge(slot)) => self.challenges(now, slot, link, for_group),
            (Kind::Visit, _) => self.gone.linked(now, link),
            (_, Errand::Afresh(old)) => self.succeeds(now, old, link),
            _ => self.chosen += 1,
        }
        true
    }

    /// There is a link that the dialler did not order, whether or not it will be refused: in most cases a peer has dialled us.
    pub fn link_up(&mut self, peer: &PublicKey, link: LinkId) {
        self.links.insert(link, Linked { peer: *peer, addr: None, kind: Kind::Foreign, slot: None });
        if self.peers.contains_key(peer) {
            self.queue(*peer, None);
        }
        if let Some(known) = self.peers.get_mut(peer) {
            known.link_up();
        }
    }

    /// A link of which [`Dialler::link_up`] has told was dialled to a candidate before there was a dialler: it counts as ordered.
    #[cfg(feature = "sim")]
    pub(crate) fn adopt(&mut self, link: LinkId, addr: A) {
        let slot = self.free_slot();
        if let Some(linked) = self.links.get_mut(&link) {
            *linked = Linked { peer: linked.peer, addr: Some(addr), kind: Kind::Chosen, slot };
            self.chosen += 1;
        }
    }

    /// A link is gone. `live_for` is how long both hellos had been said, if they ever were. Gives whose link it was.
    pub fn link_down(
        &mut self,
        now: Mono,
        link: LinkId,
        live_for: Option<Duration>,
        how: Ending,
        why: &dyn fmt::Display,
    ) -> Option<PublicKey> {
        let Linked { peer, addr, kind, .. } = self.links.remove(&link)?;
        self.chosen -= usize::from(kind == Kind::Chosen);
        if kind == Kind::Chosen {
            self.entries.link_ended(now);
        }
        self.feelers.ended(link);
        self.goodbyes.remove(&link);
        self.gone.link_ended(link);
        self.afresh.link_ended(link);
        self.hosts.link_ended(link);
        self.choice.link_ended(link);
        let lost = how == Ending::Silent && live_for.is_some_and(|lived| lived >= STABLE);
        let is_missed = lost && kind == Kind::Chosen && self.missed() < self.config.dialling.outbound;
        if let Some(known) = self.peers.get_mut(&peer) {
            // Whoever had no place has refused, however long it has listened.
            let stayed_for = live_for.filter(|_| kind != Kind::Guest);
            known.link_down(stayed_for, addr.as_ref(), why);
            let gone = known.is_gone();
            if let Some(candidate) = known.candidate_mut() {
                candidate.missed |= is_missed && !gone;
            }
            let (found, linked) = (known.is_found() && addr.is_some(), known.has_link());
            let stayed = live_for.is_some_and(|lived| lived >= FIRST_REST);
            if found && stayed {
                self.rests.peer_stayed(&peer);
            } else if found && !linked && kind != Kind::Leaving {
                // It has cost this node a link of its choice, and it should cost it few.
                self.rests.peer_failed(now, &peer);
            }
            self.wait(now, peer);
        }
        Some(peer)
    }

    /// Candidates that were lost in silence and are dialled again. As many as links that the node wants, at the most.
    pub(super) fn missed(&self) -> usize {
        self.peers.values().filter_map(Peer::candidate).filter(|candidate| candidate.missed).count()
    }

    /// The dial of `peer` is over, and what it was for; `None` if the peer was forgotten meanwhile.
    fn end_dial(&mut self, peer: &PublicKey) -> Option<(&mut Peer<A>, Errand)> {
        let known = self.peers.get(peer)?;
        let (errand, forgotten) = (known.errand()?, known.is_forgotten());
        self.under_way = self.under_way.saturating_sub(1);
        self.is_over(errand);
        if forgotten {
            self.drop_peer(peer);
            return None;
        }
        self.peers.get_mut(peer).map(|known| (known, errand))
    }

    /// A dial is over, or comes to none.
    pub(super) fn is_over(&mut self, errand: Errand) {
        match errand {
            Errand::Feeler => self.feelers.dial_over(),
            Errand::Visit => self.gone.dial_over(),
            Errand::Afresh(_) => self.afresh.dial_over(),
            Errand::Wanted | Errand::Slot(_) | Errand::Challenge(_) => self.choice.dial_over(errand),
        }
    }
}
