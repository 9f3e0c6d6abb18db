//! Guests: diallers for which a node has no place, and which it hears for a moment all the same.
//!
//! All nodes of a network may know one address. Its places are soon full, with liars or not, and whoever comes later would never be
//! known. So a few links are taken beyond all places, for long enough to say one record and to read one page of members:
//!
//! ```text
//!   no place ──> guest ──30 s──> goodbye: full         A key is a guest once in ten minutes, so who always comes again
//!                  └── the next one comes after 2 s ──> leaves the places to others.
//! ```
//!
//! A guest is told so in the hello. It is no link that the dialler wanted.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::limits::{MAX_GUEST_LINKS, MAX_GUESTS, MAX_GUESTS_REMEMBERED};
use super::{LinkId, Mono};
use crate::key::PublicKey;

/// A guest that has been here for so long gives way to the next: a record and a page take a round trip or two.
const GIVES_WAY_AFTER: Duration = Duration::from_secs(2);
/// How long a guest stays at the most.
pub(super) const GUEST_FOR: Duration = Duration::from_secs(30);
/// A key is a guest once in so long.
const AGAIN_AFTER: Duration = Duration::from_secs(600);

#[derive(Clone, Copy, Debug)]
struct Guest {
    since: Mono,
    /// It was told to go.
    leaves: bool,
}

/// The guests of one node, and where it is one.
#[derive(Debug, Default)]
pub(super) struct Guests {
    here: BTreeMap<LinkId, Guest>,
    /// Keys that were guests lately, with when: the oldest first.
    been: BTreeMap<PublicKey, Mono>,
    order: VecDeque<PublicKey>,
    /// Links whose peers have said that we are a guest there. As many as links.
    hosts: BTreeSet<LinkId>,
}

impl Guests {
    /// Links of guests, those included that were told to go.
    pub(super) fn len(&self) -> usize {
        self.here.len()
    }

    /// Whether a link is a guest's.
    pub(super) fn has(&self, link: LinkId) -> bool {
        self.here.contains_key(&link)
    }

    /// Whether a link is a guest's, or this node is a guest at its other end.
    pub(super) fn is_passing(&self, link: LinkId) -> bool {
        self.has(link) || self.hosts.contains(&link)
    }

    /// Whether somebody may be a guest now, where there is room for so many links of guests.
    pub(super) fn admits(&self, peer: &PublicKey, room: usize, now: Mono) -> bool {
        let lately = self.been.get(peer).is_some_and(|at| now.since(*at) < AGAIN_AFTER);
        let free = self.open() < MAX_GUESTS || self.first(GIVES_WAY_AFTER, now).is_some();
        !lately && free && self.here.len() < room.min(MAX_GUEST_LINKS)
    }

    /// A guest that is admitted has come. Gives the one that gives way to it.
    pub(super) fn enters(&mut self, link: LinkId, peer: PublicKey, now: Mono) -> Option<LinkId> {
        self.remember(peer, now);
        let full = self.open() >= MAX_GUESTS;
        let first = self.first(GIVES_WAY_AFTER, now).filter(|_| full);
        if let Some(guest) = first.and_then(|first| self.here.get_mut(&first)) {
            guest.leaves = true;
        }
        self.here.insert(link, Guest { since: now, leaves: false });
        first
    }

    /// A link is gone.
    pub(super) fn leaves(&mut self, link: LinkId) {
        self.here.remove(&link);
        self.hosts.remove(&link);
    }

    /// The peer has said that we are a guest.
    pub(super) fn is_hosted(&mut self, link: LinkId) {
        self.hosts.insert(link);
    }

    /// Whether this node is a guest at the other end of a link.
    pub(super) fn hosts(&self, link: LinkId) -> bool {
        self.hosts.contains(&link)
    }

    fn open(&self) -> usize {
        self.here.values().filter(|guest| !guest.leaves).count()
    }

    /// The guest that has been here longest, if it has for so long.
    fn first(&self, least: Duration, now: Mono) -> Option<LinkId> {
        let open = self.here.iter().filter(|(_, guest)| !guest.leaves);
        let (link, guest) = open.min_by_key(|(link, guest)| (guest.since, **link))?;
        (now.since(guest.since) >= least).then_some(*link)
    }

    fn remember(&mut self, peer: PublicKey, now: Mono) {
        let over = |at: Mono| now.since(at) >= AGAIN_AFTER;
        while let Some(oldest) = self.order.front().copied() {
            let goes = self.been.get(&oldest).is_none_or(|at| over(*at))
                || self.order.len() >= MAX_GUESTS_REMEMBERED;
            if !goes {
                break;
            }
            self.order.pop_front();
            self.been.remove(&oldest);
        }
        if self.been.insert(peer, now).is_none() {
            self.order.push_back(peer);
        }
    }

    #[cfg(any(test, feature = "sim"))]
    pub(super) fn check(&self, recount: &mut super::check::Recount, links: impl Fn(LinkId) -> bool) {
        recount.holds(self.open() <= MAX_GUESTS, format_args!("{} guests", self.open()));
        recount.holds(self.len() <= MAX_GUEST_LINKS, format_args!("{} links of guests", self.len()));
        recount.same("keys that were guests", self.been.len(), self.order.len());
        recount.holds(self.been.len() <= MAX_GUESTS_REMEMBERED, "more guests are remembered than may be");
        let all = self.here.keys().chain(&self.hosts);
        recount.same("guests without a link", all.filter(|link| !links(**link)).count(), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u64) -> PublicKey {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        PublicKey::from_bytes(bytes)
    }

    fn at(seconds: u64) -> Mono {
        Mono::default().plus(Duration::from_secs(seconds))
    }

    #[test]
    fn keys_that_were_guests_are_remembered_for_ten_minutes_and_so_many() {
        let mut guests = Guests::default();
        let many = MAX_GUESTS_REMEMBERED as u64;
        for number in 0..many {
            assert!(guests.admits(&key(number), MAX_GUEST_LINKS, at(1)));
            guests.enters(LinkId(number), key(number), at(1));
            guests.leaves(LinkId(number));
        }
        assert!(!guests.admits(&key(0), MAX_GUEST_LINKS, at(600)));
        // At the cap the oldest is forgotten.
        guests.enters(LinkId(many), key(many), at(600));
        guests.leaves(LinkId(many));
        assert!(guests.admits(&key(0), MAX_GUEST_LINKS, at(600)));
        assert!(!guests.admits(&key(1), MAX_GUEST_LINKS, at(600)));
        assert_eq!((guests.been.len(), guests.order.len()), (many as usize, many as usize));
        assert!(guests.admits(&key(1), MAX_GUEST_LINKS, at(601)), "ten minutes are over");
    }

    #[test]
    fn links_of_guests_that_do_not_go_are_bounded() {
        let mut guests = Guests::default();
        let mut came = 0;
        // None of those that were told to go does.
        for number in 0..100 {
            let now = at(number * 3);
            if guests.admits(&key(number), MAX_GUEST_LINKS, now) {
                guests.enters(LinkId(number), key(number), now);
                came += 1;
            }
        }
        assert_eq!((came, guests.len(), guests.open()), (MAX_GUEST_LINKS, MAX_GUEST_LINKS, MAX_GUESTS));
    }
}
