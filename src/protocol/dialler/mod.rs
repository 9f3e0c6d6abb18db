//! Whom to dial and when: at any time at most one dial, waiting or under way, for each peer.
//!
//! ```text
//!             keep                    poll                    failed, or forgotten meanwhile
//!   (unknown) ────> Waiting until ──────────> UnderWay ──────────────────────────────┐
//!      │              ^   ^     │                ^│ connected                        │
//!      │ suggest      │   │     └── link up ──┐  ││                                  │
//!      v              │   │                   v  │v                                  │
//!    Open ──poll──────│───│── last link down ─ Linked                                │
//!      ^              │   │  (to UnderWay)                                           │
//!      └── pause over ┴───┴──────── after a pause that doubles ──────────────────────┘
//! ```
//!
//! There are two kinds of peers:
//!
//! * A **kept** peer is dialled whenever it has no link, after pauses that double.
//! * A **candidate** is dialled where the node lacks a link ([`DialConfig::outbound`]). Hash-selected ones are first: they keep inbound
//!   places for us ([`Config::is_hash_selected`]). One that refuses or hangs up is replaced by the next. One that was lost in silence is
//!   dialled again beside that, since it may be behind a partition.
//!
//! All links may lead to liars. So a node that has heard nothing new for a while dials *feelers*, candidates beyond its links, for
//! a short time ([`feelers`](self) has its own file). One that brings something stays; only then is a link hung up that brought
//! nothing.
//!
//! Sans-I/O: time goes in, orders come out, and the driver looks names up, dials, hangs up and reports. `A` is whatever the driver
//! dials: an address, a name, a number. How often a peer is dialled depends on nothing but time and on how long links were live:
//! neither closed links nor refused ones, whoever made them, add a dial.

mod addresses;
mod afresh;
mod anchors;
mod candidate;
mod choice;
mod draws;
mod entries;
mod feelers;
mod gauges;
mod gone;
mod groups;
mod hosts;
mod orders;
mod peer;
mod reports;
mod rests;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub use super::config::DialConfig;
pub use super::limits::{MAX_ADDRESSES, MAX_DIALS, MAX_FEELERS, MAX_KEPT, MAX_SUGGESTED};
use super::random::Random;
use super::{Config, LinkId, Mono, Now};
use crate::key::PublicKey;
use crate::rumor::NetworkId;
use crate::wire::Reason;
use afresh::Afresh;
use anchors::Anchors;
pub use candidate::Origin;
use candidate::Turn;
use choice::Choice;
use draws::Draws;
use entries::Entries;
use feelers::Feelers;
use gone::Gone;
pub use groups::GroupOf;
use groups::Groups;
use hosts::Hosts;
pub use orders::{Ending, KeepError, Order};
pub use peer::{DialState, KeptPeer};
use peer::{Errand, Peer, Queued, Role};
use rests::Rests;
pub use view::View;

/// The first pause after a failed dial or a lost link; each further one doubles it. (Guess.)
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The longest pause: a peer that comes back is found again within it, and one that never does costs a dial in each.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The longest pause between dials of a kept peer while the node has no link at all: it waits for a guest's turn, where many others do.
const LONGEST_ALONE: Duration = Duration::from_secs(8);
/// A link that was live, both hellos said, for this long ends the doubling. (Guess: longer than a peer needs to find fault with us.)
const STABLE: Duration = Duration::from_secs(10);
/// A node without a place for a further link looks again after so long. (Guess.)
const FULL_FOR: Duration = Duration::from_secs(1);

/// What a link is to the dialler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The peer dialled, or the driver did without being told to.
    Foreign,
    /// It was dialled here and is one of those that the node wants.
    Chosen,
    /// It was dialled here to find out whether it brings something.
    Feeler,
    /// It was dialled here to take the place of a chosen one, as soon as both have said hello.
    Challenger,
    /// It was dialled here since its peer had failed, and is one more than the node wants.
    Visit,
    /// It was dialled here since nothing comes over another link to its peer, which it is to take the place of.
    Successor,
    /// It was dialled here, and its peer has no place for this node: it will close it.
    Guest,
    /// It was dialled here and is being hung up.
    Leaving,
}

impl Kind {
    /// Whether it ends by itself unless something comes of it.
    const fn is_for_now(self) -> bool {
        matches!(self, Self::Feeler | Self::Challenger | Self::Visit | Self::Successor)
    }

    /// Whether it was dialled here for something, and is not being hung up.
    const fn is_own(self) -> bool {
        self.is_for_now() || matches!(self, Self::Chosen)
    }
}

#[derive(Debug)]
struct Linked<A> {
    peer: PublicKey,
    /// Where it was dialled, if it was.
    addr: Option<A>,
    kind: Kind,
    /// Which of the places that the node fills by its own choice it has.
    slot: Option<usize>,
}

/// The peers that a node wants links to, and those that it may link to. See the [module](self).
#[derive(Debug)]
pub struct Dialler<A> {
    own: PublicKey,
    network: NetworkId,
    config: Config,
    peers: BTreeMap<PublicKey, Peer<A>>,
    /// How many of them are candidates.
    candidates: usize,
    /// When the pause of each peer that waits is over.
    due: BTreeSet<(Mono, PublicKey)>,
    /// Candidates whose pause is over.
    open: BTreeSet<Turn>,
    /// Every link that there is, to any peer. As many as the driver has.
    links: BTreeMap<LinkId, Linked<A>>,
    /// How many of them are chosen.
    chosen: usize,
    /// Links to hang up.
    goodbyes: BTreeSet<LinkId>,
    feelers: Feelers,
    choice: Choice,
    draws: Draws,
    rests: Rests<A>,
    gone: Gone,
    afresh: Afresh,
    hosts: Hosts,
    entries: Entries<A>,
    /// What is kept for the next start, if anything is.
    anchors: Option<Anchors<A>>,
    /// Until when no candidate is dialled, since the node itself has no place.
    full_until: Option<Mono>,
    random: Random,
    dials: u64,
    under_way: usize,
    groups: Groups<A>,
}

impl<A: Clone + Ord> Dialler<A> {
    /// A dialler that knows nobody, for the node with the key `own`. It heeds [`Config::dialling`], and what decides
    /// [`Config::is_hash_selected`]. `seed` decides jitter and the order of candidates.
    pub fn new(own: PublicKey, network: NetworkId, config: &Config, seed: &[u8; 32]) -> Self {
        let mut random = Random::new(seed);
        Self {
            own,
            network,
            // The engine heeds the allow-list, which may be long.
            config: Config { allow: None, ..config.clone() },
            peers: BTreeMap::new(),
            candidates: 0,
            due: BTreeSet::new(),
            open: BTreeSet::new(),
            links: BTreeMap::new(),
            chosen: 0,
            goodbyes: BTreeSet::new(),
            feelers: Feelers::default(),
            choice: Choice::new(config.dialling.outbound, &mut random),
            draws: Draws::new(seed),
            rests: Rests::new(),
            gone: Gone::default(),
            afresh: Afresh::default(),
            hosts: Hosts::default(),
            entries: Entries::new(),
            anchors: None,
            full_until: None,
            random,
            dials: 0,
            under_way: 0,
            groups: Groups::none(),
        }
    }

    /// Keeps a link to `peer` from now on. An address that is new for it is dialled at once, unless there is a link, and its pauses
    /// start anew; one that is known changes nothing.
    ///
    /// # Errors
    /// [`KeepError`] says why it is not kept.
    pub fn keep(&mut self, now: Mono, peer: PublicKey, addr: A) -> Result<(), KeepError> {
        self.keep_now(now, peer, addr)?;
        self.entries.remove(&peer);
        Ok(())
    }

    fn keep_now(&mut self, now: Mono, peer: PublicKey, addr: A) -> Result<(), KeepError> {
        if peer == self.own {
            return Err(KeepError::OwnKey);
        }
        let is_kept = self.peers.get(&peer).is_some_and(Peer::is_kept);
        if !is_kept && self.peers.len() - self.candidates >= MAX_KEPT {
            return Err(KeepError::TooMany);
        }
        self.is_not_gone(&peer);
        let is_new = self.know(peer, addr, Role::Kept);
        if !is_kept {
            self.is_chosen(&peer);
        }
        if is_new || !is_kept {
            self.queue(peer, Some(Queued::Until(now)));
        }
        Ok(())
    }

    /// Names a peer that the node may link to. It is dialled when the node lacks a link or hears nothing. A new address
    /// that the application names is tried first, and its pauses start anew; of a kept peer, and where it was found, it is tried
    /// last, if there is room for it.
    ///
    /// # Errors
    /// [`KeepError`] says why it is not remembered.
    pub fn suggest(&mut self, now: Mono, peer: PublicKey, addr: A, origin: Origin) -> Result<(), KeepError> {
        if peer == self.own {
            return Err(KeepError::OwnKey);
        }
        if let Some(known) = self.peers.get_mut(&peer).filter(|known| !known.is_forgotten()) {
            // Or strangers could have one dialled whenever they like, or name so many addresses that the right one is forgotten.
            if known.is_kept() || origin == Origin::Found {
                known.add_spare_address(addr);
                return Ok(());
            }
        } else {
            self.make_room(origin, &peer)?;
        }
        let before = self.peers.get(&peer).and_then(Peer::candidate).copied();
        let candidate = match before {
            Some(candidate) => candidate.named_by(origin),
            None => self.new_candidate(origin, &peer),
        };
        let was_gone = self.is_not_gone(&peer);
        if self.know(peer, addr, Role::Candidate(candidate)) || was_gone {
            let rests = self.rests.peer_until(&peer, now).filter(|_| origin == Origin::Found);
            self.queue(peer, Some(Queued::Until(rests.unwrap_or(now))));
        }
        Ok(())
    }

    /// Remembers a peer, in this role, with this address; true if it is to be dialled at once.
    fn know(&mut self, peer: PublicKey, addr: A, role: Role) -> bool {
        let is_candidate = matches!(role, Role::Candidate(_));
        let Some(known) = self.peers.get_mut(&peer) else {
            let links = self.links.values().filter(|link| link.peer == peer).count();
            self.peers.insert(peer, Peer::new(role, addr, links));
            self.candidates += usize::from(is_candidate);
            return true;
        };
        self.candidates += usize::from(is_candidate);
        self.candidates -= usize::from(!known.is_kept());
        known.set_role(role);
        known.add_address(addr)
    }

    /// No longer keeps a link to `peer`, and does not try it as a candidate. A dial that is under way is not taken back; its
    /// connection will not be wanted.
    pub fn forget(&mut self, peer: &PublicKey) {
        self.entries.remove(peer);
        self.let_go(peer);
    }

    fn let_go(&mut self, peer: &PublicKey) {
        self.queue(*peer, None);
        self.is_not_gone(peer);
        if self.peers.get_mut(peer).is_some_and(Peer::forget) {
            self.drop_peer(peer);
        }
    }

    fn drop_peer(&mut self, peer: &PublicKey) {
        if let Some(gone) = self.peers.remove(peer) {
            self.candidates -= usize::from(!gone.is_kept());
        }
    }

    /// Knows nobody any more.
    pub fn forget_all(&mut self) {
        let all: Vec<_> = self.peers.keys().copied().collect();
        all.iter().for_each(|peer| self.forget(peer));
        self.entries.clear();
    }

    /// The next thing to do, or `None` when there is nothing before [`Dialler::next_deadline`] or the next report.
    pub fn poll(&mut self, now: Now, view: &impl View) -> Option<Order<A>> {
        self.draw(now, view);
        let now = now.mono;
        self.judge_hosts(now, view);
        self.judge_successors(now, view);
        self.feel(now, view);
        self.judge_challenge(now, view);
        self.end_visits(now);
        self.judge_entries(now, view);
        if let Some(link) = self.goodbyes.pop_first() {
            return Some(Order::HangUp { link });
        }
        if let Some(order) = self.judge_anchors(now, view) {
            return Some(order);
        }
        if self.under_way >= MAX_DIALS {
            return None;
        }
        let wanted = self.dial_due(now, view).or_else(|| self.dial_afresh(now, view));
        let wanted = wanted.or_else(|| self.dial_candidate(now, view));
        wanted.or_else(|| self.dial_gone(now, view))
    }

    /// Dials a peer whose pause is over, if it is wanted for its own sake; else its turn will come.
    fn dial_due(&mut self, now: Mono, view: &impl View) -> Option<Order<A>> {
        while let Some((_, peer)) = self.due.first().copied().filter(|(until, _)| *until <= now) {
            let known = self.peers.get(&peer).filter(|known| !known.is_wanted());
            if let Some(candidate) = known.and_then(Peer::candidate) {
                let turn = candidate.turn(peer);
                self.queue(peer, Some(Queued::Open(turn)));
                continue;
            }
            self.queue(peer, None);
            let order = self.begin(now, peer, Errand::Wanted, view.refuses(&peer));
            if order.is_some() {
                return order;
            }
        }
        None
    }

    fn begin(
        &mut self,
        now: Mono,
        peer: PublicKey,
        errand: Errand,
        refused: Option<Reason>,
    ) -> Option<Order<A>> {
        let known = self.peers.get(&peer)?;
        let Some(addr) =
            known.next_address(|addr, answered| self.may_dial_at(&peer, known, addr, answered, now))
        else {
            self.is_over(errand);
            self.wait(now, peer);
            return None;
        };
        let stranger = known.is_found() && !known.has_answered(&addr);
        let known = self.peers.get_mut(&peer)?;
        if let Some(reason) = refused {
            known.pass_over(&reason);
            self.wait(now, peer);
            return Some(Order::Refused { peer, reason });
        }
        known.begin(errand, addr.clone());
        if stranger {
            self.rests.stranger_dialled(now);
        }
        self.dials += 1;
        self.under_way += 1;
        if errand == Errand::Feeler {
            self.feelers.begun();
        }
        Some(Order::Dial { peer, addr })
    }

    /// When to call [`Dialler::poll`] again at the latest.
    pub fn next_deadline(&self) -> Option<Mono> {
        let dials = self.due.first().map(|(until, _)| *until).filter(|_| self.under_way < MAX_DIALS);
        let feels = self.feelers.next_deadline().filter(|_| self.feels());
        let gone = self.gone.next_deadline(self.under_way < MAX_DIALS);
        dials
            .into_iter()
            .chain(self.next_choice())
            .chain(feels)
            .chain(gone)
            .chain(self.afresh.next_deadline().filter(|_| self.under_way < MAX_DIALS))
            .chain(self.next_look_at_entries())
            .chain(self.hosts.next_deadline())
            .chain(self.anchors.as_ref().and_then(Anchors::next_deadline))
            .min()
    }

    /// Lets a peer that is neither linked nor dialled wait: for its pause, or not at all where a new address has come meanwhile.
    fn wait(&mut self, now: Mono, peer: PublicKey) {
        let Some(known) = self.peers.get_mut(&peer).filter(|known| known.is_idle_without_link()) else {
            return;
        };
        if known.is_gone() {
            return;
        }
        let rests = known.is_found() && !known.is_wanted();
        let pause = known.next_pause();
        // Nodes that all wait for one peer come one by one: a peer that turns away a crowd would turn away the same crowd again.
        let alone = known.is_kept() && self.links.is_empty();
        let pause = if alone { pause.min(LONGEST_ALONE) } else { pause };
        // Up to a fifth of jitter, so that two nodes that lost each other do not dial at the same moment for ever.
        let fifths = if alone { 5.0 } else { 1.0 };
        let jitter = pause.mul_f64(self.random.below(1000) as f64 / 5000.0 * fifths);
        let rest = self.rests.peer_until(&peer, now).filter(|_| rests).unwrap_or_default();
        self.queue(peer, Some(Queued::Until(now.plus(pause).plus(jitter).max(rest))));
    }

    /// Moves a peer to where it waits; with `None`, or if it is linked or dialled, it does not.
    fn queue(&mut self, peer: PublicKey, at: Option<Queued>) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        match known.queued() {
            Some(Queued::Until(before)) => _ = self.due.remove(&(before, peer)),
            Some(Queued::Open(turn)) => {
                self.open.remove(&turn);
                self.choice.closed(turn.2);
            }
            None => {}
        }
        match known.queue(at) {
            Some(Queued::Until(until)) => _ = self.due.insert((until, peer)),
            Some(Queued::Open(turn)) => {
                self.open.insert(turn);
                self.choice.opened(turn.2);
            }
            None => {}
        }
    }
}

#[cfg(test)]
mod tests;
