//! What a node does that hears nothing: it feels for others.
//!
//! All of a node's links may lead to liars, or to nodes that are cut off as well. It can't tell that from a quiet network by
//! looking at its links, but it can find out: by dialling a few more nodes, for a short while.
//!
//! ```text
//!   heard nothing for 2 s ──> a few feelers ──1 s──> brought nothing: hung up, others are tried, after twice the pause
//!                                 └──> brought something genuine: stays, in place of a link that never did
//! ```
//!
//! No link is given up before a better one is there, so a quiet network keeps its links. Bitcoin's nodes dial one more peer
//! when their chain has not grown for long, for the same reason.
//!
//! Signs of life of members tell a quiet network from a cut one, but not from liars who keep rumors back and pass signs on. So while they
//! come a node feels for others as soon as ever, and then ever more rarely, and a rumor now and then does not begin that anew: each feeler
//! is told of all members, which among a thousand costs more than all their signs of life.

use std::collections::BTreeMap;
use std::time::Duration;

use super::peer::Peer;
use super::{Dialler, Kind, LONGEST_PAUSE, Linked, View};
use crate::key::PublicKey;
use crate::protocol::{LinkId, Mono};

/// Doublings of the pause between feelers; the longest pause comes first.
const DOUBLINGS: u32 = 16;
/// The longest pause between feelers while signs of life of members come. (A guess.)
const LONGEST_AMONG_MEMBERS: Duration = Duration::from_secs(600);

/// The feelers of one node.
#[derive(Debug, Default)]
pub(super) struct Feelers {
    /// Since when there have been candidates to feel for.
    since: Option<Mono>,
    /// When the node looks next whether it has heard anything.
    look_at: Option<Mono>,
    /// Rounds since it last had.
    rounds: u32,
    /// Signs of life of members came at the last look.
    among_members: bool,
    /// When it is looked at the latest whether they still come.
    come_yet: Option<Mono>,
    /// Feelers of this round that are still to be dialled.
    wanted: usize,
    under_way: usize,
    /// Those that are linked, with when their time is over. As many as are configured.
    linked: BTreeMap<LinkId, Mono>,
    begun: u64,
}

impl Feelers {
    pub(super) const fn wants_more(&self) -> bool {
        self.wanted > 0
    }

    pub(super) const fn under_way(&self) -> usize {
        self.under_way
    }

    pub(super) const fn begun_so_far(&self) -> u64 {
        self.begun
    }

    pub(super) const fn begun(&mut self) {
        self.wanted = self.wanted.saturating_sub(1);
        self.under_way += 1;
        self.begun += 1;
    }

    pub(super) const fn dial_over(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }

    pub(super) fn linked(&mut self, link: LinkId, until: Mono) {
        self.linked.insert(link, until);
    }

    pub(super) fn ended(&mut self, link: LinkId) {
        self.linked.remove(&link);
    }

    pub(super) fn next_deadline(&self) -> Option<Mono> {
        self.linked.values().copied().chain(self.look_at).chain(self.come_yet).min()
    }
}

impl<A: Clone + Ord> Dialler<A> {
    /// Whether the node would feel for anybody.
    pub(super) const fn feels(&self) -> bool {
        self.config.dialling.feelers > 0 && self.candidates > 0
    }

    /// Looks what the feelers have brought, and whether there is reason for more.
    pub(super) fn feel(&mut self, now: Mono, view: &impl View) {
        if !self.feels() {
            return;
        }
        self.judge_feelers(now, view);
        let dialling = self.config.dialling;
        let feelers = &mut self.feelers;
        let since = *feelers.since.get_or_insert(now);
        let look_at = *feelers.look_at.get_or_insert(now.plus(dialling.feel_after));
        let heard = view.heard_at().map_or(since, |at| at.max(since));
        let among_members = view.hears_members(now);
        let begins_anew = std::mem::replace(&mut feelers.among_members, among_members) && !among_members;
        feelers.come_yet = among_members.then(|| now.plus(LONGEST_PAUSE));
        if now.since(heard) < dialling.feel_after {
            feelers.wanted = 0;
            let again = heard.plus(dialling.feel_after);
            if among_members && look_at > now {
                feelers.look_at = Some(look_at.max(again));
            } else {
                (feelers.rounds, feelers.look_at) = (0, Some(again));
            }
            return;
        }
        if begins_anew {
            feelers.rounds = 0;
        } else if look_at > now {
            return;
        }
        let out = feelers.under_way + feelers.linked.len();
        feelers.wanted = dialling.feelers.saturating_sub(out);
        let pause = dialling.feeler_life.saturating_mul(1 << feelers.rounds.min(DOUBLINGS));
        feelers.rounds = feelers.rounds.saturating_add(1);
        let longest = if among_members { LONGEST_AMONG_MEMBERS } else { LONGEST_PAUSE };
        feelers.look_at = Some(now.plus(pause.min(longest.max(dialling.feeler_life))));
    }

    /// Those that brought something stay; those that did not in their time go.
    fn judge_feelers(&mut self, now: Mono, view: &impl View) {
        let all: Vec<_> = self.feelers.linked.iter().map(|(link, until)| (*link, *until)).collect();
        for (link, until) in all {
            if view.is_proven(link) {
                self.settle(link, None);
                if let Some(worst) = self.surplus(link, view) {
                    self.give_up(now, worst, view);
                }
            } else if until <= now {
                self.hang_up(link);
            }
        }
    }

    /// Hangs up a link for one that has brought something. If strangers named its peer and it never brought anything, it rests, or it would
    /// come first for its slot again.
    fn give_up(&mut self, now: Mono, worst: LinkId, view: &impl View) {
        self.hang_up(worst);
        let peer = self.peer_of(worst).filter(|_| !view.is_proven(worst));
        if let Some(peer) = peer.filter(|peer| self.peers.get(peer).is_some_and(Peer::is_found)) {
            self.rests.peer_failed(now, &peer);
        }
    }

    /// `peer` is kept from now on, so a link to it that is there for a while stays.
    pub(super) fn is_chosen(&mut self, peer: &PublicKey) {
        let passing = |(_, linked): &(&LinkId, &Linked<A>)| linked.peer == *peer && linked.kind.is_for_now();
        if let Some(link) = self.links.iter().find(passing).map(|(link, _)| *link) {
            self.settle(link, None);
        }
    }

    /// What goes for `newest`, if there are more links than the node wants: the oldest that never brought anything. Where all have,
    /// there may be twice as many; then the oldest goes. Links to kept peers stay.
    fn surplus(&self, newest: LinkId, view: &impl View) -> Option<LinkId> {
        let wanted = self.config.dialling.outbound;
        if self.chosen <= wanted {
            return None;
        }
        let is_candidate =
            |peer: &PublicKey| self.peers.get(peer).is_some_and(|known| known.candidate().is_some());
        let may_go = |linked: &Linked<A>| linked.kind == Kind::Chosen && is_candidate(&linked.peer);
        let all = || {
            let others = self.links.iter().filter(|(link, linked)| **link != newest && may_go(linked));
            others.map(|(link, _)| *link)
        };
        let silent = all().find(|link| !view.is_proven(*link));
        silent.or_else(|| all().next().filter(|_| self.chosen > 2 * wanted.max(1)))
    }

    pub(super) fn hang_up(&mut self, link: LinkId) {
        let Some(linked) = self.links.get_mut(&link) else { return };
        self.chosen -= usize::from(linked.kind == Kind::Chosen);
        (linked.kind, linked.slot) = (Kind::Leaving, None);
        self.feelers.ended(link);
        self.gone.link_ended(link);
        self.choice.link_ended(link);
        self.afresh.link_ended(link);
        self.goodbyes.insert(link);
        if let Some(known) = self.peers.get_mut(&linked.peer) {
            known.dismiss();
        }
    }
}
