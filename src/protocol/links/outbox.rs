//! What waits to be sent on one link: bounded, in classes, fair to authors inside a class.
//!
//! ```text
//!   Control:  hello, topics, goodbye > evidence > cancel, pulls, gone > headers and announcements (after a linger) in turn
//!   Rumors:   own and relayed in turn, by bytes
//!   Replies:  one queue
//!   History:  small frames > pages of bundles
//!   System:   pulses > questions and answers about members > the same classes as above, of the topic of members
//! ```
//! Pushes, replies, headers and announcements are fair over topics, and in each topic over authors; pulls over topics.
//!
//! ```text
//!   a push that waits too long or finds no room  ->  an announcement  ->  a resync of the whole link
//! ```
//! So nothing is lost and nothing waits for a link that does not read.

mod behind;
mod lists;
mod next;
mod owed;
mod past;
mod system;
mod transport;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use behind::Behind;
use lists::{IdList, TopicLists};
use past::Past;
use system::System;

use crate::key::PublicKey;
use crate::protocol::limits::{
    EVIDENCE_QUEUE, MAX_LISTED_IDS, PUSH_PATIENCE, PUSH_QUEUE, REPLIES_AND_CANCELLED, REPLY_QUEUE,
};
use crate::protocol::links::announcements::Announcements;
use crate::protocol::links::fair::TopicQueue;
use crate::protocol::random::{Keyed, KeyedMap};
use crate::protocol::time::Mono;
use crate::protocol::total::Total as _;
use crate::rumor::{Bundle, BundleId, SignedHeader, TopicId};
use crate::wire::{self, Lane};

/// Bytes that each frame costs beyond its payload: the length before it.
pub const FRAME_OVERHEAD: usize = 4;
/// A frame of several bundles is closed when it has so many bytes: on a slow link a larger one would keep the other side
/// from seeing that it is being served. (32 KiB are 130 ms at 2 Mbit/s, which pulls wait for.)
pub(in crate::protocol) const FRAME_TARGET: usize = 32 * 1024;
/// Bytes of own pushes that wait on a link from which on its author takes it for busy: `publish` waits while more than
/// half of the topic's links are.
const OWN_BUSY: usize = 256 * 1024;
/// How often what waits is looked through for it, while the link takes bytes; else once a second.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A bundle on its way, with the hop budget it carries.
#[derive(Debug, Clone)]
pub(in crate::protocol) struct Push {
    pub(in crate::protocol) hops: u8,
    pub(in crate::protocol) bundle: Arc<Bundle>,
    /// Since when it waits.
    pub(in crate::protocol) since: Mono,
}

#[derive(Debug)]
pub(in crate::protocol) struct Outbox {
    /// Bytes with the transport, per lane.
    in_flight: [usize; Lane::COUNT],
    /// When the transport last took a byte of each lane, or had none to take. By lane, or a peer that reads only one of
    /// them would hold the others' queues, and with them what authors wait for, for ever.
    progress: [Mono; Lane::COUNT],
    /// Finished frames of the control lane.
    frames: VecDeque<Bytes>,
    evidence: VecDeque<Bytes>,
    told: Announcements,
    /// When the waiting announcements go out.
    announce_due: Option<Mono>,
    pulls: TopicLists,
    gone: IdList,
    cancel: IdList,
    own: TopicQueue<Push>,
    relayed: TopicQueue<Push>,
    /// By how many bytes own pushes have gone ahead of relayed ones since both have been waiting.
    own_ahead: isize,
    /// When relayed pushes are next looked through for those that have waited too long.
    look_at: Mono,
    /// What is said of the past.
    past: Past,
    /// What waits for the system lane, whatever it is.
    system: System,
    replies: TopicQueue<Arc<Bundle>>,
    reply_bytes: usize,
    /// Ids in `replies` that are still to be sent, with their bytes: an id pulled twice is sent once.
    replying: KeyedMap<BundleId, usize>,
    /// What was left out for want of room.
    behind: Behind,
    /// The same of proofs.
    evidence_behind: bool,
}

impl Outbox {
    pub(in crate::protocol) fn new(keyed: Keyed, now: Mono, members: TopicId) -> Self {
        Self {
            in_flight: [0; Lane::COUNT],
            progress: [now; Lane::COUNT],
            frames: VecDeque::new(),
            evidence: VecDeque::new(),
            told: Announcements::new(keyed),
            announce_due: None,
            pulls: TopicLists::default(),
            gone: IdList::new(),
            cancel: IdList::new(),
            own: TopicQueue::new(keyed),
            relayed: TopicQueue::new(keyed),
            own_ahead: 0,
            look_at: now,
            past: Past::default(),
            system: System::new(keyed, members),
            replies: TopicQueue::new(keyed),
            reply_bytes: 0,
            replying: keyed.map(),
            behind: Behind::default(),
            evidence_behind: false,
        }
    }

    /// A rare frame (hello, topics, goodbye). Few are ever queued: one per change on our own side.
    pub(in crate::protocol) fn frame(&mut self, frame: Bytes) {
        self.frames.push_back(frame);
    }

    /// False if there is no room.
    pub(in crate::protocol) fn evidence(&mut self, frame: Bytes) -> bool {
        let room = self.evidence.len() < EVIDENCE_QUEUE;
        if room {
            self.evidence.push_back(frame);
        }
        self.evidence_behind |= !room;
        room
    }

    /// False if there is no room. `turn` is as for pushes.
    pub(in crate::protocol) fn announce(
        &mut self,
        topic: TopicId,
        turn: PublicKey,
        id: BundleId,
        size: u8,
    ) -> bool {
        if self.is_of_system(&topic) {
            return self.system.announce(turn, (id, size));
        }
        self.told.announce(topic, turn, (id, size), MAX_LISTED_IDS)
    }

    /// Announcements linger until then; false if a time is set already.
    pub(in crate::protocol) const fn is_due(&mut self, due: Mono) -> bool {
        let newly = self.announce_due.is_none();
        if newly {
            self.announce_due = Some(due);
        }
        newly
    }

    /// How many more announcements of a topic there is room for.
    pub(in crate::protocol) fn announcements_room(&self, topic: &TopicId) -> usize {
        if self.is_of_system(topic) {
            return self.system.announcements_room();
        }
        MAX_LISTED_IDS.saturating_sub(self.told.ids_of(topic))
    }

    /// False if there is no room. `turn` is as for pushes.
    pub(in crate::protocol) fn header(&mut self, turn: PublicKey, header: SignedHeader) -> bool {
        self.told.header(turn, header, MAX_LISTED_IDS)
    }

    /// There are proofs that the link has not been told of, and may be told of later.
    pub(in crate::protocol) const fn owe_evidence(&mut self) {
        self.evidence_behind = true;
    }

    /// Whether proofs were left out and there is room to make up for them. Asked once for each round.
    pub(in crate::protocol) fn may_tell_evidence_again(&mut self) -> bool {
        let may = self.evidence_behind && self.evidence.len() < EVIDENCE_QUEUE / 2;
        self.evidence_behind &= !may;
        may
    }

    /// Whether a push of ours fits. An author's `publish` waits for it.
    pub(in crate::protocol) fn has_room_for_own(&self) -> bool {
        self.own.bytes() < OWN_BUSY
    }

    /// False if there is no room.
    pub(in crate::protocol) fn push_own(&mut self, push: Push) -> bool {
        if self.is_of_system(&push.bundle.header().topic) {
            return self.system.push(None, push);
        }
        let room = self.own.bytes() < PUSH_QUEUE;
        if room {
            let header = push.bundle.header();
            self.own.push(header.topic, header.author, wire::bundle_item_len(&push.bundle), push);
        }
        room
    }

    /// False if there is no room. `turn` is whose turn it takes: the author, or what newcomers share.
    pub(in crate::protocol) fn push_relayed(&mut self, turn: PublicKey, push: Push) -> bool {
        let topic = push.bundle.header().topic;
        if self.is_of_system(&topic) {
            return self.system.push(Some(turn), push);
        }
        let room = self.relayed.has_room(&topic, &turn, PUSH_QUEUE);
        if room {
            self.relayed.push(topic, turn, wire::bundle_item_len(&push.bundle), push);
        }
        room
    }

    /// Relayed pushes that have waited for so long that announcing them is better.
    pub(in crate::protocol) fn take_overdue(&mut self, now: Mono) -> Vec<Arc<Bundle>> {
        if self.relayed.is_empty() || now < self.look_at {
            return Vec::new();
        }
        self.look_at = now.plus(LOOK_EVERY);
        let overdue = self.relayed.take_overdue(|push| now.since(push.since) > PUSH_PATIENCE);
        overdue.into_iter().map(|push| push.bundle).collect()
    }

    /// Whether relayed pushes wait.
    pub(in crate::protocol) const fn holds_pushes(&self) -> bool {
        !self.relayed.is_empty()
    }

    /// Queues a reply to a pull. False if there is no room; a second request for what is queued changes nothing.
    /// `turn` is as for pushes.
    pub(in crate::protocol) fn reply(&mut self, turn: PublicKey, bundle: Arc<Bundle>) -> bool {
        let len = wire::bundle_item_len(&bundle);
        if self.is_of_system(&bundle.header().topic) {
            return self.system.reply(turn, bundle);
        }
        if self.replying.contains_key(&bundle.id()) {
            return true;
        }
        let room = self.reply_bytes.saturating_add(len) <= REPLY_QUEUE
            && self.replies.bytes().saturating_add(len) <= REPLIES_AND_CANCELLED;
        if room {
            self.replying.insert(bundle.id(), len);
            self.reply_bytes.gains(len);
            self.replies.push(bundle.header().topic, turn, len, bundle);
        }
        room
    }

    /// Drops a queued reply; true if there was one.
    pub(in crate::protocol) fn drop_reply(&mut self, id: &BundleId) -> bool {
        // The bundle itself leaves when its turn comes: it is no longer in `replying` then.
        let len = self.replying.remove(id);
        self.reply_bytes.loses(len.unwrap_or(0));
        len.is_some() || self.system.drop_reply(id)
    }

    /// Whether so many pulls have not even left yet. A peer that hardly reads would make them pile up.
    pub(in crate::protocol) fn has_pulls(&self, count: usize) -> bool {
        self.pulls.len >= count || self.system.has_pulls(count)
    }

    #[cfg(test)]
    pub(in crate::protocol) fn lists_len(&self) -> usize {
        self.frames.len() + self.pulls.len + self.gone.len() + self.cancel.len() + self.evidence.len()
    }

    /// Whether rare frames wait.
    pub(in crate::protocol) fn has_frames(&self) -> bool {
        !self.frames.is_empty()
    }

    pub(in crate::protocol) fn pull(&mut self, topic: TopicId, id: BundleId) {
        // Bounded by who asks: see `has_pulls`.
        if self.is_of_system(&topic) {
            return self.system.pull(id);
        }
        self.pulls.push(topic, id);
    }

    /// Beyond the bound the puller learns by its time-out what it would have learned at once.
    pub(in crate::protocol) fn gone(&mut self, topic: TopicId, id: BundleId) {
        if self.is_of_system(&topic) {
            return self.system.gone(id);
        }
        if self.gone.len() < MAX_LISTED_IDS {
            self.gone.push_back((topic, id));
        }
    }

    /// Beyond the bound a copy comes that nobody needs.
    pub(in crate::protocol) fn cancel(&mut self, topic: TopicId, id: BundleId) {
        if self.is_of_system(&topic) {
            return self.system.cancel(id);
        }
        if self.cancel.len() < MAX_LISTED_IDS {
            self.cancel.push_back((topic, id));
        }
    }
}

#[cfg(any(test, feature = "sim"))]
impl Outbox {
    pub(in crate::protocol) fn check(&self, recount: &mut crate::protocol::check::Recount) {
        recount.same("bytes of replies", self.reply_bytes, self.replying.values().sum());
        recount.holds(self.reply_bytes <= self.replies.bytes(), "replies that are not in their queue");
        self.own.check("bytes of own pushes", recount);
        self.relayed.check("bytes of relayed pushes", recount);
        self.replies.check("bytes in the queue of replies", recount);
        self.check_past(recount);
        self.system.check(recount);
    }
}

#[cfg(test)]
mod tests {
    use super::lists::take_run;
    use super::*;
    use crate::wire::MAX_IDS_PER_FRAME;

    #[test]
    fn ids_leave_in_order_and_only_with_their_topic() {
        let topic = |n| TopicId::from_bytes([n; 32]);
        let id = |n: usize| BundleId::from_bytes(std::array::from_fn(|at| n.to_le_bytes()[at % 8]));
        let mut list = IdList::new();
        list.extend([(topic(1), id(0)), (topic(1), id(1)), (topic(2), id(2)), (topic(1), id(3))]);
        list.extend((4..5 + MAX_IDS_PER_FRAME).map(|n| (topic(2), id(n))));
        assert_eq!(take_run(&mut list), Some((topic(1), vec![id(0), id(1)])));
        assert_eq!(take_run(&mut list), Some((topic(2), vec![id(2)])));
        assert_eq!(take_run(&mut list), Some((topic(1), vec![id(3)])));
        assert_eq!(
            take_run(&mut list),
            Some((topic(2), (4..4 + MAX_IDS_PER_FRAME).map(id).collect())),
            "a frame"
        );
        assert_eq!(take_run(&mut list), Some((topic(2), vec![id(4 + MAX_IDS_PER_FRAME)])));
        assert_eq!(take_run(&mut list), None);
    }

    fn outbox() -> Outbox {
        Outbox::new(Keyed::default(), Mono::default(), TopicId::from_bytes([9; 32]))
    }

    fn id(number: usize) -> BundleId {
        BundleId::from_bytes(*blake3::hash(&number.to_le_bytes()).as_bytes())
    }

    #[test]
    fn what_we_ask_of_others_is_not_owed_to_them() {
        let topic = TopicId::from_bytes([1; 32]);
        let mut outbox = outbox();
        assert!(outbox.owes_nothing());
        outbox.pull(topic, id(1));
        outbox.cancel(topic, id(2));
        outbox.gone(topic, id(3));
        assert!(outbox.owes_nothing(), "a node that ends does not wait for what it would ask");
        assert!(outbox.announce(topic, PublicKey::from_bytes([0; 32]), id(4), 0));
        assert!(!outbox.owes_nothing());
    }

    #[test]
    fn every_list_has_its_bound() {
        let (mut outbox, topic) = (outbox(), TopicId::from_bytes([1; 32]));
        let header = *bundle(0, 1).signed_header();
        let mut taken = [0; 2];
        for number in 0..2 * MAX_LISTED_IDS {
            outbox.gone(topic, id(number));
            outbox.cancel(topic, id(number));
            let turn = PublicKey::from_bytes(*id(number).as_bytes());
            taken[0] += usize::from(outbox.announce(topic, turn, id(number), 9));
            taken[1] += usize::from(outbox.header(turn, header));
        }
        // (One topic may have three quarters of the headers.)
        let most = [MAX_LISTED_IDS, MAX_LISTED_IDS / 4 * 3];
        assert_eq!((outbox.gone.len(), outbox.cancel.len(), taken), (MAX_LISTED_IDS, MAX_LISTED_IDS, most));
        assert_eq!(
            (outbox.told.len(), outbox.announcements_room(&topic)),
            (MAX_LISTED_IDS + MAX_LISTED_IDS / 4 * 3, 0)
        );
    }

    /// A bundle of one body of `len` bytes.
    fn bundle(number: u64, len: usize) -> Arc<Bundle> {
        let key = crate::key::SecretKey::from_seed(&[1; 32]);
        let position = crate::rumor::Position { tick: number, slot: 0 };
        let topic = TopicId::from_bytes([1; 32]);
        Arc::new(crate::rumor::seal(&key, topic, position, &[vec![0; len].into()]).unwrap())
    }

    #[test]
    fn replies_that_wait_are_bounded_and_so_are_those_that_were_cancelled() {
        let (mut outbox, turn) = (outbox(), PublicKey::from_bytes([0; 32]));
        let replies: Vec<_> = (0..100).map(|number| bundle(number, 60_000)).collect();
        let room = replies.iter().take_while(|reply| outbox.reply(turn, Arc::clone(reply))).count();
        assert_eq!(room, REPLY_QUEUE / wire::bundle_item_len(&replies[0]));
        // Cancelled ones leave when their turn comes, so they are bounded too.
        for reply in &replies {
            outbox.reply(turn, Arc::clone(reply));
            outbox.drop_reply(&reply.id());
        }
        let waiting = outbox.replies.bytes();
        assert!((REPLIES_AND_CANCELLED - 61_000..=REPLIES_AND_CANCELLED).contains(&waiting), "{waiting}");
    }

    #[test]
    fn pushes_that_wait_are_bounded_own_and_relayed_apart() {
        let (mut outbox, turn) = (outbox(), PublicKey::from_bytes([0; 32]));
        let push = Push { hops: 0, bundle: bundle(0, 15_000), since: Mono::default() };
        for _ in 0..1_000 {
            outbox.push_own(push.clone());
            outbox.push_relayed(turn, push.clone());
        }
        for bytes in [outbox.own.bytes(), outbox.relayed.bytes()] {
            assert!((PUSH_QUEUE / 2..PUSH_QUEUE + 16_000).contains(&bytes), "{bytes}");
        }
    }
}
