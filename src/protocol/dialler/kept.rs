//! One peer that is kept: where it is, whether it is linked, waited for or dialled, and how long the next pause is.

use std::fmt;
use std::time::Duration;

use super::super::limits::MAX_ERROR_LEN;
use super::addresses::Addresses;
use super::{FIRST_PAUSE, LONGEST_PAUSE, STABLE};
use crate::key::PublicKey;
use crate::protocol::Mono;

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

/// Where the one dial of a peer stands.
#[derive(Debug)]
enum Dial<A> {
    /// There is a link, or there will be a pause in a moment.
    Idle,
    Waiting(Mono),
    UnderWay(A),
}

#[derive(Debug)]
pub(super) struct Kept<A> {
    addresses: Addresses<A>,
    dial: Dial<A>,
    /// Links that there are, refused ones that are being closed included.
    links: usize,
    /// The next pause.
    pause: Duration,
    /// A new address came while a dial was under way: if that fails, there is no pause.
    fresh: bool,
    /// It is not kept any more, and its dial is still under way.
    forgotten: bool,
    dials: u64,
    last_error: Option<String>,
}

impl<A: Clone + PartialEq> Kept<A> {
    pub(super) fn new(addr: A, links: usize) -> Self {
        Self {
            addresses: Addresses::new(addr),
            dial: Dial::Idle,
            links,
            pause: FIRST_PAUSE,
            fresh: false,
            forgotten: false,
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

    pub(super) const fn is_waiting(&self) -> Option<Mono> {
        match self.dial {
            Dial::Waiting(until) => Some(until),
            Dial::Idle | Dial::UnderWay(_) => None,
        }
    }

    pub(super) const fn is_under_way(&self) -> bool {
        matches!(self.dial, Dial::UnderWay(_))
    }

    pub(super) const fn is_forgotten(&self) -> bool {
        self.forgotten
    }

    pub(super) const fn is_idle_without_link(&self) -> bool {
        matches!(self.dial, Dial::Idle) && self.links == 0
    }

    /// Lets it wait until then, if it is neither linked nor dialled; with `None`, or if it is, it waits no more. Gives until when
    /// it waits.
    pub(super) fn wait_until(&mut self, until: Option<Mono>) -> Option<Mono> {
        if self.is_under_way() {
            return None;
        }
        let until = until.filter(|_| self.links == 0);
        self.dial = until.map_or(Dial::Idle, Dial::Waiting);
        until
    }

    /// The pause before the next dial.
    pub(super) fn next_pause(&mut self) -> Duration {
        if std::mem::take(&mut self.fresh) {
            return Duration::ZERO;
        }
        let pause = self.pause;
        self.pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
        pause
    }

    /// Its pause is over: gives where it is dialled.
    pub(super) fn begin(&mut self) -> Option<A> {
        debug_assert!(self.links == 0 && !self.is_under_way(), "one dial, and only where there is no link");
        let addr = self.addresses.next()?;
        self.dial = Dial::UnderWay(addr.clone());
        self.fresh = false;
        self.dials += 1;
        Some(addr)
    }

    /// Its pause is over, and it is not dialled all the same.
    pub(super) fn pass_over(&mut self, why: &dyn fmt::Display) {
        self.note(why);
    }

    /// True if there is no link either.
    pub(super) fn dial_failed(&mut self, why: &dyn fmt::Display) -> bool {
        if let Dial::UnderWay(addr) = std::mem::replace(&mut self.dial, Dial::Idle)
            && !self.fresh
        {
            self.addresses.failed(&addr);
        }
        self.note(why);
        self.links == 0
    }

    /// Gives where it was reached.
    pub(super) fn dial_connected(&mut self) -> Option<A> {
        self.links += 1;
        self.fresh = false;
        match std::mem::replace(&mut self.dial, Dial::Idle) {
            Dial::UnderWay(addr) => Some(addr),
            Dial::Idle | Dial::Waiting(_) => None,
        }
    }

    pub(super) fn link_up(&mut self) {
        self.links += 1;
        if self.is_waiting().is_some() {
            self.dial = Dial::Idle;
        }
    }

    pub(super) fn link_down(&mut self, live_for: Option<Duration>, addr: Option<&A>, why: &dyn fmt::Display) {
        debug_assert!(self.links > 0, "a link is counted once");
        self.links = self.links.saturating_sub(1);
        if live_for.is_some_and(|lived| lived >= STABLE) {
            self.pause = FIRST_PAUSE;
        }
        match addr {
            Some(addr) if live_for.is_some() => self.addresses.worked(addr),
            Some(addr) => self.addresses.failed(addr),
            None => {}
        }
        if self.links == 0 {
            self.note(why);
        }
    }

    /// Not kept any more; true if it can be dropped now.
    pub(super) const fn forget(&mut self) -> bool {
        self.forgotten = true;
        !self.is_under_way()
    }

    fn note(&mut self, why: &dyn fmt::Display) {
        let mut text = why.to_string();
        let end = (0..=MAX_ERROR_LEN).rev().find(|&at| text.is_char_boundary(at));
        text.truncate(end.unwrap_or(0));
        self.last_error = Some(text);
    }

    pub(super) fn show(&self, peer: PublicKey, now: Mono) -> Option<KeptPeer<A>> {
        let state = match self.dial {
            _ if self.links > 0 => DialState::Linked,
            Dial::Waiting(until) => DialState::Waiting { remaining: until.since(now) },
            Dial::UnderWay(_) => DialState::Dialling,
            Dial::Idle => DialState::Waiting { remaining: Duration::ZERO },
        };
        let shown = KeptPeer {
            peer,
            addresses: self.addresses.all().to_vec(),
            state,
            dials: self.dials,
            last_error: self.last_error.clone(),
        };
        (!self.forgotten).then_some(shown)
    }
}
