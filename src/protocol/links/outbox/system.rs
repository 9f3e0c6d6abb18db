//! What waits for the system lane: signs of life, questions and answers about members, and all that is said in the topic of members.

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use super::lists::{IdList, TopicLists, take_run};
use super::next::{Replies, Turns};
use super::{Outbox, Push};
use crate::key::PublicKey;
use crate::protocol::limits::{LANE_CREDIT, SYSTEM_AHEAD, SYSTEM_QUEUE};
use crate::protocol::links::announcements::{Announcements, Item, Told};
use crate::protocol::links::fair::TopicQueue;
use crate::protocol::random::{Keyed, KeyedMap};
use crate::protocol::total::Total as _;
use crate::rumor::{Bundle, BundleId, TopicId};
use crate::wire::{
    self, KeyPrefix, Lane, MAX_PULSES, MAX_SYSTEM_FRAME, PULSE_ITEM_LEN, Pulse, PulsePage, Pulses,
};

/// Bytes that an id takes in a list, with its size.
const ID: usize = 33;

/// Frames of the lane [`System`](Lane::System) that wait, and what they will be made of.
#[derive(Debug)]
pub(super) struct System {
    /// The topic of members.
    topic: TopicId,
    /// Whose pulses wait, in order, and what they are.
    turns: VecDeque<KeyPrefix>,
    pulses: KeyedMap<KeyPrefix, Pulse>,
    /// Questions and answers.
    frames: VecDeque<Bytes>,
    frame_bytes: usize,
    told: Announcements,
    pulls: TopicLists,
    gone: IdList,
    cancel: IdList,
    own: TopicQueue<Push>,
    relayed: TopicQueue<Push>,
    own_ahead: isize,
    replies: TopicQueue<Arc<Bundle>>,
    reply_bytes: usize,
    replying: KeyedMap<BundleId, usize>,
}

impl System {
    pub(super) fn new(keyed: Keyed, topic: TopicId) -> Self {
        Self {
            topic,
            turns: VecDeque::new(),
            pulses: keyed.map(),
            frames: VecDeque::new(),
            frame_bytes: 0,
            told: Announcements::new(keyed),
            pulls: TopicLists::default(),
            gone: IdList::new(),
            cancel: IdList::new(),
            own: TopicQueue::new(keyed),
            relayed: TopicQueue::new(keyed),
            own_ahead: 0,
            replies: TopicQueue::new(keyed),
            reply_bytes: 0,
            replying: keyed.map(),
        }
    }

    /// Bytes of bundles that wait, those of cancelled replies among them.
    pub(super) fn bundle_bytes(&self) -> usize {
        self.own.bytes().saturating_add(self.relayed.bytes()).saturating_add(self.replies.bytes())
    }

    /// Bytes of all that waits, but for pulls of ours: those have a bound of their own.
    fn bytes(&self) -> usize {
        let ids = self.told.len().saturating_add(self.gone.len()).saturating_add(self.cancel.len());
        let pulses = self.turns.len().saturating_mul(PULSE_ITEM_LEN);
        let small = ids.saturating_mul(ID).saturating_add(pulses);
        self.bundle_bytes().saturating_add(self.frame_bytes).saturating_add(small)
    }

    /// Whether so many bytes more may wait.
    fn takes(&self, bytes: usize) -> bool {
        self.bytes().saturating_add(bytes) <= SYSTEM_QUEUE
    }

    /// Whether half of the queue is free.
    pub(super) fn has_room(&self) -> bool {
        self.takes(SYSTEM_QUEUE / 2)
    }

    /// Whether no announcement waits.
    pub(super) fn told_all(&self) -> bool {
        self.told.is_empty()
    }

    pub(super) fn announcements_room(&self) -> usize {
        SYSTEM_QUEUE.saturating_sub(self.bytes()) / ID
    }

    pub(super) fn announce(&mut self, turn: PublicKey, item: Item) -> bool {
        self.takes(ID) && self.told.announce(self.topic, turn, item, SYSTEM_QUEUE / ID)
    }

    /// An own record, or one that is relayed and takes the turn of somebody. A bundle that no frame of the lane holds has no room.
    pub(super) fn push(&mut self, turn: Option<PublicKey>, push: Push) -> bool {
        let len = wire::bundle_item_len(&push.bundle);
        let room = len < MAX_SYSTEM_FRAME && self.takes(len);
        if room {
            match turn {
                Some(turn) => self.relayed.push(self.topic, turn, len, push),
                None => self.own.push(self.topic, push.bundle.header().author, len, push),
            }
        }
        room
    }

    pub(super) fn reply(&mut self, turn: PublicKey, bundle: Arc<Bundle>) -> bool {
        let len = wire::bundle_item_len(&bundle);
        if self.replying.contains_key(&bundle.id()) {
            return true;
        }
        let room = len < MAX_SYSTEM_FRAME && self.takes(len);
        if room {
            self.replying.insert(bundle.id(), len);
            self.reply_bytes.gains(len);
            self.replies.push(self.topic, turn, len, bundle);
        }
        room
    }

    pub(super) fn drop_reply(&mut self, id: &BundleId) -> bool {
        let len = self.replying.remove(id);
        self.reply_bytes.loses(len.unwrap_or(0));
        len.is_some()
    }

    pub(super) const fn has_pulls(&self, count: usize) -> bool {
        self.pulls.len >= count
    }

    pub(super) fn pull(&mut self, id: BundleId) {
        self.pulls.push(self.topic, id);
    }

    pub(super) fn gone(&mut self, id: BundleId) {
        if self.takes(ID) {
            self.gone.push_back((self.topic, id));
        }
    }

    pub(super) fn cancel(&mut self, id: BundleId) {
        if self.takes(ID) {
            self.cancel.push_back((self.topic, id));
        }
    }

    fn pulse(&mut self, pulse: Pulse) -> bool {
        if let Some(waiting) = self.pulses.get_mut(&pulse.member) {
            *waiting = pulse;
            return true;
        }
        let room = self.takes(PULSE_ITEM_LEN);
        if room {
            self.turns.push_back(pulse.member);
            self.pulses.insert(pulse.member, pulse);
        }
        room
    }

    fn frame(&mut self, frame: Bytes) -> bool {
        let room = frame.len() <= MAX_SYSTEM_FRAME && self.takes(frame.len());
        if room {
            self.frame_bytes.gains(frame.len());
            self.frames.push_back(frame);
        }
        room
    }

    fn next_pulses(&mut self) -> Option<Bytes> {
        let some = self.turns.len().min(MAX_PULSES);
        let pulses: Vec<_> =
            self.turns.drain(..some).filter_map(|member| self.pulses.remove(&member)).collect();
        (!pulses.is_empty()).then(|| wire::pulses(&Pulses { page: PulsePage::Pushed, pulses }))
    }

    fn next_ids(&mut self, wanted: &mut impl FnMut(&TopicId, &BundleId) -> bool) -> Option<Bytes> {
        if let Some((topic, ids)) = take_run(&mut self.cancel) {
            return Some(wire::cancel(&topic, &ids));
        }
        if let Some((topic, ids)) = self.pulls.take() {
            return Some(wire::pull(&topic, &ids));
        }
        if let Some((topic, ids)) = take_run(&mut self.gone) {
            return Some(wire::gone(&topic, &ids));
        }
        // Whoever announces has waited for company before.
        while let Some(told) = self.told.next(true) {
            match told {
                // Nothing is held back in the topic of members.
                Told::Headers(_) => {}
                Told::Ids(topic, mut items) => {
                    items.retain(|(id, _)| wanted(&topic, id));
                    if !items.is_empty() {
                        return Some(wire::announce(&topic, &items));
                    }
                }
            }
        }
        None
    }

    fn next(
        &mut self,
        wanted: &mut impl FnMut(&TopicId, &BundleId) -> bool,
        convicted: &mut impl FnMut(&PublicKey) -> bool,
        dropped: &mut u64,
    ) -> Option<Bytes> {
        if let Some(frame) = self.next_pulses() {
            return Some(frame);
        }
        if let Some(frame) = self.frames.pop_front() {
            self.frame_bytes.loses(frame.len());
            return Some(frame);
        }
        if let Some(frame) = self.next_ids(wanted) {
            return Some(frame);
        }
        let mut turns = Turns { own: &mut self.own, relayed: &mut self.relayed, ahead: &mut self.own_ahead };
        // A kind comes before the bundles.
        if let Some(frame) = turns.frame(MAX_SYSTEM_FRAME - 1, convicted, dropped) {
            return Some(frame);
        }
        let (queue, wanted, bytes) = (&mut self.replies, &mut self.replying, &mut self.reply_bytes);
        Replies { queue, wanted, bytes }.frame(MAX_SYSTEM_FRAME - 1, convicted, dropped)
    }

    #[cfg(any(test, feature = "sim"))]
    pub(super) fn check(&self, recount: &mut crate::protocol::check::Recount) {
        recount.same("pulses waiting", self.turns.len(), self.pulses.len());
        let frames = self.frames.iter().map(Bytes::len).sum();
        recount.same("bytes of frames about members", self.frame_bytes, frames);
        recount.same("bytes of replies about members", self.reply_bytes, self.replying.values().sum());
        recount.holds(self.bytes() <= SYSTEM_QUEUE, "more waits for a system lane than may");
        self.own.check("bytes of own records", recount);
        self.relayed.check("bytes of relayed records", recount);
        self.replies.check("bytes in the queue of replies about members", recount);
    }
}

impl Outbox {
    /// Whether a topic is spoken of on the system lane.
    pub(in crate::protocol) fn is_of_system(&self, topic: &TopicId) -> bool {
        self.system.topic == *topic
    }

    /// Queues a sign of life, in the place of an older one of that member. False if there is no room.
    pub(in crate::protocol) fn pulse(&mut self, pulse: Pulse) -> bool {
        self.system.pulse(pulse)
    }

    /// Queues a question about members, or part of an answer. False if there is no room, or it is longer than a frame of the lane is.
    pub(in crate::protocol) fn members_frame(&mut self, frame: Bytes) -> bool {
        self.system.frame(frame)
    }

    /// The next frame of the system lane.
    pub(super) fn next_system(
        &mut self,
        wanted: &mut impl FnMut(&TopicId, &BundleId) -> bool,
        convicted: &mut impl FnMut(&PublicKey) -> bool,
        dropped: &mut u64,
    ) -> Option<Bytes> {
        if LANE_CREDIT.saturating_sub(self.credit(Lane::System)) >= SYSTEM_AHEAD {
            return None;
        }
        self.system.next(wanted, convicted, dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SecretKey;
    use crate::protocol::time::Mono;
    use crate::rumor::{Position, seal};
    use crate::wire::Frame;

    const MEMBERS: TopicId = TopicId::from_bytes([9; 32]);

    fn outbox() -> Outbox {
        Outbox::new(Keyed::default(), Mono::default(), MEMBERS)
    }

    fn pulse(member: usize, index: u32) -> Pulse {
        let member = KeyPrefix((member as u64).to_le_bytes());
        Pulse { member, index, value: [1; 16], failed_here: false }
    }

    /// A record of so many bytes in a frame.
    fn record(author: u8, tick: u64, len: usize) -> Arc<Bundle> {
        let body = vec![0; len - wire::bundle_item_len(&seal_of(author, tick, 0))];
        Arc::new(seal_of(author, tick, body.len()))
    }

    fn seal_of(author: u8, tick: u64, len: usize) -> Bundle {
        let key = SecretKey::from_seed(&[author; 32]);
        seal(&key, MEMBERS, Position { tick, slot: 0 }, &[vec![0; len].into()]).unwrap()
    }

    fn push(bundle: &Arc<Bundle>) -> Push {
        Push { hops: 1, bundle: Arc::clone(bundle), since: Mono::default() }
    }

    fn next(outbox: &mut Outbox) -> Option<(Lane, Frame)> {
        let (lane, frame) = outbox.next(Mono::default(), |_, _| true, |_| false, &mut 0)?;
        assert!(lane != Lane::System || frame.len() <= MAX_SYSTEM_FRAME, "{} bytes", frame.len());
        outbox.written(lane, frame.len() + super::super::FRAME_OVERHEAD, Mono::default());
        Some((lane, Frame::decode(frame).unwrap()))
    }

    fn check(outbox: &Outbox) {
        let mut recount = crate::protocol::check::Recount::default();
        outbox.check(&mut recount);
        assert_eq!(recount.complaints(), Vec::<String>::new());
    }

    fn id(number: u64) -> BundleId {
        BundleId::from_bytes(*blake3::hash(&number.to_le_bytes()).as_bytes())
    }

    #[test]
    fn pulses_go_first_then_questions_then_records_and_all_before_what_is_on_other_lanes() {
        let (mut outbox, turn) = (outbox(), PublicKey::from_bytes([0; 32]));
        outbox.frame(wire::goodbye(wire::Reason::Full));
        let (own, relayed) = (record(1, 1, 400), record(2, 1, 400));
        assert!(outbox.reply(turn, record(3, 1, 400)) && outbox.push_own(push(&own)));
        assert!(outbox.push_relayed(turn, push(&relayed)) && outbox.announce(MEMBERS, turn, id(1), 9));
        outbox.pull(MEMBERS, id(2));
        assert!(outbox.members_frame(wire::members_ask(&wire::MembersAsk::First)));
        assert!(outbox.pulse(pulse(1, 5)));
        check(&outbox);
        let order: Vec<_> = std::iter::from_fn(|| next(&mut outbox)).collect();
        let lanes: Vec<_> = order.iter().map(|(lane, _)| *lane).collect();
        assert_eq!(lanes[..6], [Lane::System; 6]);
        assert_eq!(lanes[6..], [Lane::Control]);
        assert!(matches!(order[0].1, Frame::Pulses(_)) && matches!(order[1].1, Frame::MembersAsk(_)));
        assert!(matches!(order[2].1, Frame::Pull(_)) && matches!(order[3].1, Frame::Announce(_)));
        let Frame::Bundles(records) = &order[4].1 else { panic!("{:?}", order[4]) };
        let ids: Vec<_> = records.clone().map(|raw| raw.unwrap().id).collect();
        assert_eq!(ids, [own.id(), relayed.id()], "in one frame");
        assert!(matches!(order[5].1, Frame::Bundles(_)));
        check(&outbox);
    }

    #[test]
    fn a_newer_pulse_takes_the_place_of_the_older_one() {
        let mut outbox = outbox();
        for index in 1..=10 {
            for member in 0..300 {
                assert!(outbox.pulse(pulse(member, index)));
            }
        }
        check(&outbox);
        let mut said = Vec::new();
        while let Some((_, Frame::Pulses(pulses))) = next(&mut outbox) {
            assert!(pulses.page == PulsePage::Pushed && pulses.pulses.len() <= MAX_PULSES);
            said.extend(pulses.pulses);
        }
        assert_eq!(said, (0..300).map(|member| pulse(member, 10)).collect::<Vec<_>>());
    }

    #[test]
    fn what_waits_is_bounded_and_a_newer_pulse_still_has_its_place() {
        let (mut outbox, turn) = (outbox(), PublicKey::from_bytes([0; 32]));
        let taken = (0..10_000).filter(|member| outbox.pulse(pulse(*member, 1))).count();
        assert_eq!(taken, SYSTEM_QUEUE / PULSE_ITEM_LEN);
        check(&outbox);
        // Full: nothing more has room, but for what is newer.
        assert!(outbox.pulse(pulse(7, 2)) && !outbox.pulse(pulse(20_000, 1)));
        let bundle = record(1, 1, 400);
        assert!(!outbox.push_own(push(&bundle)) && !outbox.push_relayed(turn, push(&bundle)));
        assert!(!outbox.reply(turn, bundle) && !outbox.announce(MEMBERS, turn, id(1), 9));
        assert!(!outbox.members_frame(vec![16; 100].into()));
        assert_eq!(outbox.announcements_room(&MEMBERS), 0);
        for number in 0..100 {
            outbox.gone(MEMBERS, id(number));
            outbox.cancel(MEMBERS, id(number));
        }
        check(&outbox);
        outbox.falls_behind(MEMBERS);
        assert!(!outbox.may_catch_up(), "not while it is full");
        while next(&mut outbox).is_some() {}
        assert!(outbox.may_catch_up());
        // Other topics have queues of their own.
        assert!(outbox.announce(TopicId::from_bytes([1; 32]), turn, id(1), 9));
    }

    #[test]
    fn records_are_bounded_too_and_one_that_no_frame_holds_has_no_room() {
        let (mut outbox, turn) = (outbox(), PublicKey::from_bytes([0; 32]));
        assert!(!outbox.push_own(push(&record(1, 1, MAX_SYSTEM_FRAME))), "with its kind it is too long");
        assert!(!outbox.reply(turn, record(1, 1, MAX_SYSTEM_FRAME)));
        assert!(outbox.push_own(push(&record(1, 1, MAX_SYSTEM_FRAME - 1))));
        let room =
            (0..1_000).filter(|tick| outbox.push_relayed(turn, push(&record(2, *tick, 1_000)))).count();
        assert_eq!(room, (SYSTEM_QUEUE - MAX_SYSTEM_FRAME + 1) / 1_000);
        check(&outbox);
        assert!(!outbox.owes_nothing());
        while next(&mut outbox).is_some() {}
        assert!(outbox.owes_nothing());
    }

    #[test]
    fn no_more_is_with_the_transport_than_may_go_ahead_of_what_is_newer() {
        let mut outbox = outbox();
        assert!((0..4_000).all(|member| outbox.pulse(pulse(member, 1))));
        let mut with_transport = 0;
        while let Some((_, frame)) = outbox.next(Mono::default(), |_, _| true, |_| false, &mut 0) {
            with_transport += frame.len();
        }
        assert!(
            (SYSTEM_AHEAD..SYSTEM_AHEAD + MAX_SYSTEM_FRAME).contains(&with_transport),
            "{with_transport}"
        );
        // What waits is no bundle that the link is owed, and what is with the transport is.
        assert!(!outbox.owes_nothing());
        outbox.written(Lane::System, 1 << 20, Mono::default());
        assert!(outbox.owes_nothing());
    }
}
