//! One peer: where it is, whether it is linked, waited for or dialled, and how long the next pause is.

use std::fmt;
use std::time::Duration;

use super::super::limits::MAX_ERROR_LEN;
use super::addresses::Addresses;
use super::candidate::{Candidate, Origin, Turn};
use super::{Ending, FIRST_PAUSE, LONGEST_PAUSE, STABLE};
use crate::key::PublicKey;
use crate::protocol::{LinkId, Mono};

/// What a dialler is doing about a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum DialState {
    /// There is a link, whoever dialled.
    Linked,
    /// There is none, and the next dial is so far off.
    Waiting {
        /// Until the next dial.
        remaining: Duration,
    },
    /// A dial is under way.
    Dialling,
}

/// A peer that a node keeps a link to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct KeptPeer<A> {
    /// Its node key.
    pub peer: PublicKey,
    /// Where it is dialled, at most 8 addresses, the first of which worked or was named last.
    pub addresses: Vec<A>,
    /// Whether it is linked, waited for or dialled.
    pub state: DialState,
    /// Dials begun so far.
    pub dials: u64,
    /// Why the last dial came to nothing or the last link ended, in words: at most 256 bytes.
    pub last_error: Option<String>,
}

/// Why a peer is dialled.
#[derive(Debug)]
pub(super) enum Role {
    /// The application keeps it: whenever there is no link.
    Kept,
    /// It was named: when the node lacks links, or hears nothing.
    Candidate(Candidate),
}

/// Where the one dial of a peer stands.
#[derive(Debug)]
enum Dial<A> {
    /// There is a link, or there will be a pause in a moment.
    Idle,
    /// In a pause.
    Waiting(Mono),
    /// A candidate whose pause is over.
    Open(Turn),
    UnderWay {
        addr: A,
        errand: Errand,
    },
}

/// What a peer is dialled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Errand {
    /// For its own sake.
    Wanted,
    /// For a slot that has no link.
    Slot(usize),
    /// For a slot that has one, which is given up if this one answers.
    Challenge(usize),
    /// To find out whether it brings something.
    Feeler,
    /// It has failed as a member: to find out whether it is there.
    Visit,
    /// Nothing comes over its link.
    Afresh(LinkId),
}

/// How a dial failed.
#[derive(Debug)]
pub(super) struct FailedDial<A> {
    pub(super) addr: Option<A>,
    /// The peer has answered there before.
    pub(super) answered: bool,
    /// All of its addresses were tried.
    pub(super) all_tried: bool,
    /// There is no link either.
    pub(super) lacks_link: bool,
}

/// Where a peer waits, for whoever keeps the order of those that do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Queued {
    Until(Mono),
    Open(Turn),
}

#[derive(Debug)]
pub(super) struct Peer<A> {
    role: Role,
    addresses: Addresses<A>,
    dial: Dial<A>,
    /// Links that there are, refused ones that are being closed included.
    links: usize,
    /// The next pause.
    pause: Duration,
    /// A new address came while a dial was under way: if that fails, there is no pause.
    fresh: bool,
    /// It is not wanted any more, and its dial is still under way.
    forgotten: bool,
    /// Its link is being closed, since it has brought nothing or a better one is there.
    dismissed: bool,
    /// It has failed as a member.
    gone: bool,
    dials: u64,
    last_error: Option<String>,
}

impl<A: Clone + PartialEq> Peer<A> {
    pub(super) fn new(role: Role, addr: A, links: usize) -> Self {
        Self {
            role,
            addresses: Addresses::new(addr),
            dial: Dial::Idle,
            links,
            pause: FIRST_PAUSE,
            fresh: false,
            forgotten: false,
            dismissed: false,
            gone: false,
            dials: 0,
            last_error: None,
        }
    }

    /// True if it is to be dialled at once, should there be no link: the address is new, or it had been forgotten.
    pub(super) fn add_address(&mut self, addr: A) -> bool {
        let revived = std::mem::take(&mut self.forgotten);
        // A list is tried in its order; what comes after the first dial is news.
        let new = self.addresses.add(addr, self.dials == 0);
        self.fresh |= new && self.is_under_way();
        if new || revived {
            self.pause = FIRST_PAUSE;
        }
        new || revived
    }

    /// Adds an address behind all others, if there is room.
    pub(super) fn add_spare_address(&mut self, addr: A) {
        self.addresses.add_spare(addr);
    }

    pub(super) fn all_addresses(&self) -> Vec<A> {
        self.addresses.all()
    }

    /// Where it is dialled next, of where it may be. `may` is told whether it has answered there.
    pub(super) fn next_address(&self, may: impl Fn(&A, bool) -> bool) -> Option<A> {
        self.addresses.next(may)
    }

    pub(super) fn has_answered(&self, addr: &A) -> bool {
        self.addresses.has_answered(addr)
    }

    pub(super) const fn is_kept(&self) -> bool {
        matches!(self.role, Role::Kept)
    }

    /// A candidate that nobody has named but strangers.
    pub(super) fn is_found(&self) -> bool {
        self.candidate().is_some_and(|candidate| candidate.origin == Origin::Found)
    }

    pub(super) fn is_aimed(&self) -> bool {
        self.candidate().is_some_and(Candidate::is_aimed)
    }

    pub(super) const fn is_gone(&self) -> bool {
        self.gone
    }

    /// It has failed as a member, or is back. Who has failed is no missed one: it is dialled as one that failed.
    pub(super) fn is_gone_now(&mut self, gone: bool) {
        self.gone = gone;
        self.is_not_missed();
    }

    pub(super) const fn candidate(&self) -> Option<&Candidate> {
        match &self.role {
            Role::Kept => None,
            Role::Candidate(candidate) => Some(candidate),
        }
    }

    pub(super) const fn candidate_mut(&mut self) -> Option<&mut Candidate> {
        match &mut self.role {
            Role::Kept => None,
            Role::Candidate(candidate) => Some(candidate),
        }
    }

    pub(super) fn set_role(&mut self, role: Role) {
        self.role = role;
        // Whoever is kept is dialled again soon, though its link was just given up.
        self.dismissed &= !self.is_kept();
    }

    /// Whether it is dialled for its own sake when its pause is over, however many links there are.
    pub(super) fn is_wanted(&self) -> bool {
        self.candidate().is_none_or(|candidate| candidate.missed)
    }

    /// Where it waits, if it does.
    pub(super) const fn queued(&self) -> Option<Queued> {
        match self.dial {
            Dial::Waiting(until) => Some(Queued::Until(until)),
            Dial::Open(turn) => Some(Queued::Open(turn)),
            Dial::Idle | Dial::UnderWay { .. } => None,
        }
    }

    pub(super) const fn is_under_way(&self) -> bool {
        matches!(self.dial, Dial::UnderWay { .. })
    }

    /// What it is dialled for, if it is.
    pub(super) const fn errand(&self) -> Option<Errand> {
        match self.dial {
            Dial::UnderWay { errand, .. } => Some(errand),
            Dial::Idle | Dial::Waiting(_) | Dial::Open(_) => None,
        }
    }

    pub(super) const fn is_forgotten(&self) -> bool {
        self.forgotten
    }

    pub(super) const fn has_link(&self) -> bool {
        self.links > 0
    }

    pub(super) const fn is_idle_without_link(&self) -> bool {
        matches!(self.dial, Dial::Idle) && self.links == 0
    }

    /// A candidate that was tried in vain, of which nothing is left that others would miss.
    pub(super) fn is_in_vain(&self) -> bool {
        self.is_unused() && self.candidate().is_some_and(|candidate| candidate.vain > 0)
    }

    /// A candidate of which nothing is there that others would miss, tried or not.
    pub(super) fn is_unused(&self) -> bool {
        let candidate = self.candidate().is_some_and(|candidate| !candidate.missed);
        candidate && self.links == 0 && !self.is_under_way()
    }

    /// Lets it wait, if it is neither linked nor dialled; with `None`, or if it is, it waits no more. Gives where it waits.
    pub(super) fn queue(&mut self, at: Option<Queued>) -> Option<Queued> {
        if self.is_under_way() {
            return None;
        }
        let at = at.filter(|_| self.links == 0);
        self.dial = match at {
            None => Dial::Idle,
            Some(Queued::Until(until)) => Dial::Waiting(until),
            Some(Queued::Open(turn)) => Dial::Open(turn),
        };
        at
    }

    /// The pause before the next dial.
    pub(super) fn next_pause(&mut self) -> Duration {
        if std::mem::take(&mut self.dismissed) {
            self.pause = LONGEST_PAUSE;
        }
        if std::mem::take(&mut self.fresh) {
            return Duration::ZERO;
        }
        let pause = self.pause;
        self.pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
        pause
    }

    /// Its turn has come, and it is dialled there.
    pub(super) fn begin(&mut self, errand: Errand, addr: A) {
        let may = self.links == 0 || matches!(errand, Errand::Afresh(_));
        debug_assert!(may && !self.is_under_way(), "one dial, and only where there is no link that works");
        self.dial = Dial::UnderWay { addr, errand };
        self.fresh = false;
        self.dials += 1;
    }

    /// Its pause is over, and it is not dialled all the same.
    pub(super) fn pass_over(&mut self, why: &dyn fmt::Display) {
        self.was_in_vain();
        self.note(why);
    }

    pub(super) fn dial_failed(&mut self, how: Ending, why: &dyn fmt::Display) -> FailedDial<A> {
        let addr = match std::mem::replace(&mut self.dial, Dial::Idle) {
            Dial::UnderWay { addr, .. } => Some(addr),
            Dial::Idle | Dial::Waiting(_) | Dial::Open(_) => None,
        };
        let fresh = self.fresh;
        let all_tried = addr.as_ref().filter(|_| !fresh).is_none_or(|addr| self.addresses.failed(addr));
        let answered = addr.as_ref().is_some_and(|addr| self.addresses.has_answered(addr));
        self.was_in_vain();
        if how != Ending::Silent {
            self.is_not_missed();
        }
        self.note(why);
        FailedDial { addr, answered, all_tried, lacks_link: self.links == 0 }
    }

    /// Gives where it was reached, and whether it was never reached there before.
    pub(super) fn dial_connected(&mut self) -> (Option<A>, bool) {
        self.links += 1;
        self.fresh = false;
        self.is_not_missed();
        match std::mem::replace(&mut self.dial, Dial::Idle) {
            Dial::UnderWay { addr, .. } => {
                let first = !self.addresses.has_answered(&addr);
                self.addresses.answered(&addr);
                (Some(addr), first)
            }
            Dial::Idle | Dial::Waiting(_) | Dial::Open(_) => (None, false),
        }
    }

    pub(super) fn link_up(&mut self) {
        self.links += 1;
        self.is_not_missed();
        if self.queued().is_some() {
            self.dial = Dial::Idle;
        }
    }

    pub(super) fn link_down(&mut self, live_for: Option<Duration>, addr: Option<&A>, why: &dyn fmt::Display) {
        debug_assert!(self.links > 0, "a link is counted once");
        self.links = self.links.saturating_sub(1);
        let (dismissed, vain) = (self.dismissed, u8::from(self.dismissed));
        if live_for.is_some_and(|lived| lived >= STABLE) {
            self.pause = FIRST_PAUSE;
            self.candidate_mut().into_iter().for_each(|candidate| candidate.vain = vain);
        } else if dismissed || addr.is_some() {
            self.was_in_vain();
        }
        match addr {
            Some(addr) if live_for.is_some() => self.addresses.worked(addr),
            Some(addr) => _ = self.addresses.failed(addr),
            None => {}
        }
        if self.links == 0 {
            self.note(why);
        }
    }

    /// Its link is given up: others come first from now on.
    pub(super) const fn dismiss(&mut self) {
        self.dismissed = true;
    }

    /// Not wanted any more; true if it can be dropped now.
    pub(super) const fn forget(&mut self) -> bool {
        self.forgotten = true;
        !self.is_under_way()
    }

    fn was_in_vain(&mut self) {
        self.candidate_mut()
            .into_iter()
            .for_each(|candidate| candidate.vain = candidate.vain.saturating_add(1));
    }

    fn is_not_missed(&mut self) {
        self.candidate_mut().into_iter().for_each(|candidate| candidate.missed = false);
    }

    fn note(&mut self, why: &dyn fmt::Display) {
        let mut text = why.to_string();
        let end = (0..=MAX_ERROR_LEN).rev().find(|&at| text.is_char_boundary(at));
        text.truncate(end.unwrap_or(0));
        self.last_error = Some(text);
    }

    /// Where it may be dialled.
    pub(super) fn addresses(&self) -> Vec<A> {
        self.addresses.all()
    }

    pub(super) fn show(&self, peer: PublicKey, now: Mono) -> Option<KeptPeer<A>> {
        let state = match self.dial {
            _ if self.links > 0 => DialState::Linked,
            Dial::Waiting(until) => DialState::Waiting { remaining: until.since(now) },
            Dial::UnderWay { .. } => DialState::Dialling,
            Dial::Idle | Dial::Open(_) => DialState::Waiting { remaining: Duration::ZERO },
        };
        let shown = KeptPeer {
            peer,
            addresses: self.addresses.all(),
            state,
            dials: self.dials,
            last_error: self.last_error.clone(),
        };
        (self.is_kept() && !self.forgotten).then_some(shown)
    }
}
