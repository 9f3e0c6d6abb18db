//! Room: for a place in the index, for a body, for our own authors; and the debts that there is room for.

use super::{DELIVER_FUTURE, Unfit, Window, millis_from};
use crate::key::PublicKey;
use crate::protocol::limits::{
    AHEAD_SHARE, DEBT_ACCOUNTS, DEBTS_A_ROUND, LINK_SHARE, SERVES_FOR, SHARE_OF_FREE,
};
use crate::protocol::linkset::{LinkSet, Slot};
use crate::protocol::meter::Meter;
use crate::protocol::time::{Mono, Now};
use crate::protocol::topics::bodies::Caps;
use crate::protocol::topics::debts::{Debt, Debts, Verdict};
use crate::protocol::topics::entry::{Entry, Stage};
use crate::protocol::{Config, LinkId};
use crate::rumor::{BundleId, Header};

/// Newcomers are refused from this part of a cap on (numerator of a fraction of 16).
const NEWCOMER_SHARE: usize = 14;

impl Window {
    /// Row 10: asked again when the body is to be kept, since others may have taken the room while it was in flight.
    pub(in crate::protocol) fn has_room_for_body(
        &mut self,
        header: &Header,
        now: Mono,
        config: &Config,
    ) -> bool {
        let bytes = header.bytes as usize;
        self.bodies.has_room(&header.author, None, bytes, caps(config, false), SHARE_OF_FREE, now)
    }

    /// Whether there is room for an own bundle of `bytes`: if not, the author waits, well short of where others with the same
    /// configuration would refuse the bundle, since they may hold more than we do (their clocks may be behind): of the index at a
    /// quarter as much, of the young bodies at half as much, and by [`pace`].
    pub(in crate::protocol) fn has_room(
        &mut self,
        author: &PublicKey,
        bytes: usize,
        now: Mono,
        config: &Config,
    ) -> bool {
        let (of_author, newcomer) = self.authors.usage(author, now);
        let pace = if newcomer { &self.pace } else { &self.known_pace };
        let free = share_of(config.topics.bundles, newcomer).saturating_sub(self.claimed());
        let place = of_author < config.topics.bundles.div_ceil(4) && of_author < free.div_ceil(2);
        place
            && self.bodies.has_room(author, None, bytes, caps(config, newcomer), SHARE_OF_FREE / 2, now)
            && pace.overdrawn_until(now).is_none()
            && self.own_pace.overdrawn_until(now).is_none()
    }

    /// Whether a debt that stands in the list on one link's account has room on that of another, which announces it as well.
    /// Or whoever brings something first while its own places are taken would keep it from being asked of anybody.
    pub(in crate::protocol) fn has_room_over(
        &mut self,
        id: &BundleId,
        by: (LinkId, PublicKey),
        now: Now,
        config: &Config,
    ) -> bool {
        let header = self.debts.unrested(id, now.mono).copied();
        let header = header.filter(|_| !self.entries.contains_key(id));
        header.is_some_and(|header| self.admit(&header, by, now, config).is_ok())
    }

    /// The debts that there is room for now, no more than there are places.
    /// `peer` tells who is at the other end of a link. Each debt names the links that have a place for it, if any has.
    pub(in crate::protocol) fn payable(
        &mut self,
        now: Now,
        config: &Config,
        peer: impl Fn(Slot) -> Option<(LinkId, PublicKey)>,
    ) -> Vec<(BundleId, Debt)> {
        if self.debts.is_empty() {
            return Vec::new();
        }
        let mut debts = std::mem::replace(&mut self.debts, Debts::new(self.keyed));
        let most = config.topics.bundles.saturating_sub(self.claimed()).min(DEBTS_A_ROUND);
        let mut taken = debts.take(most, now.mono, |id, debt| self.verdict(id, debt, now, config, &peer));
        self.debts = debts;
        for (id, debt) in &mut taken {
            let room = self.accounts(debt, now, config, &peer);
            if !self.entries.contains_key(id) && !room.is_empty() {
                debt.links = room;
            }
        }
        taken
    }

    /// Links that have a debt and a place for it on their own account: of a few, others with each second. Whoever brings something
    /// first while its places are taken would keep it from being asked of anybody.
    fn accounts(
        &mut self,
        debt: &Debt,
        now: Now,
        config: &Config,
        peer: &impl Fn(Slot) -> Option<(LinkId, PublicKey)>,
    ) -> LinkSet {
        let mut links: Vec<_> = debt.links.iter().collect();
        let second = usize::try_from(now.unix_ms / 1_000).unwrap_or(0);
        let turn = second.checked_rem(links.len()).unwrap_or(0);
        links.rotate_left(turn);
        let mut room = LinkSet::default();
        for slot in links.into_iter().take(DEBT_ACCOUNTS) {
            if let Some(by) = peer(slot)
                && self.admit(&debt.header, by, now, config).is_ok()
            {
                room.insert(slot);
            }
        }
        room
    }

    fn verdict(
        &mut self,
        id: &BundleId,
        debt: &Debt,
        now: Now,
        config: &Config,
        peer: &impl Fn(Slot) -> Option<(LinkId, PublicKey)>,
    ) -> Verdict {
        let room = match self.entries.get(id).map(Entry::stage) {
            // It was claimed before there was no room for its body.
            Some(Stage::Fetching) => self.has_room_for_body(&debt.header, now.mono, config),
            Some(_) => return Verdict::Forget,
            None => match self.admit(&debt.header, (debt.link, debt.peer), now, config) {
                Ok(()) => true,
                Err(Unfit::OutsideWindow | Unfit::Spent) => return Verdict::Forget,
                Err(Unfit::Early) => false,
                Err(Unfit::OverCap) => !self.accounts(debt, now, config, peer).is_empty(),
            },
        };
        if room { Verdict::Pay } else { Verdict::Wait }
    }

    /// Whether the index has a place for one more bundle of an author, and who pays for it: for a newcomer's the link.
    ///
    /// An author may have a quarter of the index, since its quota alone may allow for more than all of it, and [`SHARE_OF_FREE`]
    /// times what is free for it (a dynamic threshold, Choudhury and Hahne, 1998); a link's newcomers may have [`LINK_SHARE`] times
    /// that. So however many authors and links fill the index, each leaves something for who comes after them.
    pub(super) fn place(
        &self,
        header: &Header,
        link: LinkId,
        now: Now,
        config: &Config,
    ) -> Option<Option<LinkId>> {
        let (of_author, newcomer) = self.authors.usage(&header.author, now.mono);
        let mut share = share_of(config.topics.bundles, newcomer);
        if newcomer && self.rules.tick_len().start_of(header.tick) >= millis_from(now, DELIVER_FUTURE) {
            share = config.topics.bundles / 16 * AHEAD_SHARE;
        }
        let free = share.saturating_sub(self.claimed());
        // Of what is free to a link's newcomers each may have its part, so they leave room for those that come after them as well.
        let open = match self.newcomers.get(&link) {
            Some(of_link) if newcomer => free.saturating_mul(LINK_SHARE).saturating_sub(*of_link).min(free),
            _ => free,
        };
        let place =
            of_author < config.topics.bundles.div_ceil(4) && of_author < open.saturating_mul(SHARE_OF_FREE);
        place.then_some(newcomer.then_some(link))
    }
}

/// How fast a cap on young bodies may be filled by whoever waits: half of it in the ten seconds that they stay, an eighth
/// of it at once. A node that was busy for a while may take in twice as much in that time as its authors say in it; and with
/// a mark instead of a pace, authors fill the half in a burst and then stand still until it has aged.
pub(super) fn pace(cap: usize) -> Meter {
    let cap = cap as u64;
    Meter::new((cap / 2 / SERVES_FOR.as_secs()).max(1), cap / 8)
}

pub(super) fn caps(config: &Config, newcomer: bool) -> Caps {
    Caps { topic: share_of(config.topics.bytes, newcomer), author: config.topics.author_bytes }
}

/// The part of a cap that an author may use: newcomers are refused before the known are.
pub(super) fn share_of(cap: usize, newcomer: bool) -> usize {
    if newcomer { cap / 16 * NEWCOMER_SHARE } else { cap }
}
