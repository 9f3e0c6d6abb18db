//! What a link is told about bundles, in announcements and in whole headers: topics take turns, and in each topic authors.

use std::collections::VecDeque;

use crate::key::PublicKey;
use crate::protocol::links::fair::FairQueue;
use crate::protocol::random::Keyed;
use crate::protocol::total::Total as _;
use crate::rumor::{BundleId, SignedHeader, TopicId};
use crate::wire::{MAX_HEADERS_PER_FRAME, MAX_IDS_PER_FRAME};

/// Ids that an author may have announced in one turn, where more wait than a frame holds.
const IDS_A_TURN: usize = 32;
/// The same of headers.
const HEADERS_A_TURN: usize = 8;

/// An announced id, with its size class.
pub(in crate::protocol) type Item = (BundleId, u8);

/// What waits to be told on one link.
#[derive(Debug)]
pub(in crate::protocol) struct Announcements {
    keyed: Keyed,
    /// Topics of which something waits, in the order of their turns.
    turns: VecDeque<OfTopic>,
    ids: usize,
    headers: usize,
}

#[derive(Debug)]
struct OfTopic {
    topic: TopicId,
    ids: List<Item>,
    headers: List<SignedHeader>,
    /// Headers went last, so that ids go next if they are due.
    ids_next: bool,
}

/// Items of one topic: the next frame in the order in which they came, and what does not fit it, fair over authors. Where no
/// more waits than a frame holds, the order decides nothing and costs nothing.
#[derive(Debug)]
struct List<T> {
    frame: Vec<T>,
    rest: FairQueue<PublicKey, T>,
    per_frame: usize,
}

impl<T> List<T> {
    fn new(keyed: Keyed, per_frame: usize, per_turn: usize) -> Self {
        Self { frame: Vec::new(), rest: FairQueue::with_quantum(keyed, per_turn), per_frame }
    }

    fn len(&self) -> usize {
        self.frame.len() + self.rest.bytes()
    }

    /// False if there is no room: for anybody, or for an author that has a turn's worth waiting in a list that is half full.
    fn push(&mut self, turn: PublicKey, item: T, cap: usize) -> bool {
        if self.rest.is_empty() && self.frame.len() < self.per_frame {
            self.frame.push(item);
            return true;
        }
        let room = self.rest.has_room(&turn, cap.saturating_sub(self.frame.len()));
        if room {
            self.rest.push(turn, 1, item);
        }
        room
    }

    fn take(&mut self) -> Vec<T> {
        let next = std::iter::from_fn(|| self.rest.pop()).take(self.per_frame).collect();
        std::mem::replace(&mut self.frame, next)
    }
}

/// One frame's worth.
#[derive(Debug)]
pub(in crate::protocol) enum Told {
    Ids(TopicId, Vec<Item>),
    Headers(Vec<SignedHeader>),
}

impl Announcements {
    pub(in crate::protocol) const fn new(keyed: Keyed) -> Self {
        Self { keyed, turns: VecDeque::new(), ids: 0, headers: 0 }
    }

    pub(in crate::protocol) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many ids and headers wait.
    pub(in crate::protocol) const fn len(&self) -> usize {
        self.ids.saturating_add(self.headers)
    }

    fn of(&mut self, topic: TopicId) -> Option<&mut OfTopic> {
        let at = match self.turns.iter().position(|turn| turn.topic == topic) {
            Some(at) => at,
            None => {
                let ids = List::new(self.keyed, MAX_IDS_PER_FRAME, IDS_A_TURN);
                let headers = List::new(self.keyed, MAX_HEADERS_PER_FRAME, HEADERS_A_TURN);
                self.turns.push_back(OfTopic { topic, ids, headers, ids_next: false });
                self.turns.len() - 1
            }
        };
        self.turns.get_mut(at)
    }

    /// How many ids of a topic wait.
    pub(in crate::protocol) fn ids_of(&self, topic: &TopicId) -> usize {
        self.turns.iter().find(|turn| turn.topic == *topic).map_or(0, |turn| turn.ids.len())
    }

    /// False if there is no room among `cap` ids of a topic. `turn` is whose turn it takes: the author, or what newcomers share.
    pub(in crate::protocol) fn announce(
        &mut self,
        topic: TopicId,
        turn: PublicKey,
        item: Item,
        cap: usize,
    ) -> bool {
        let room = self.of(topic).is_some_and(|of_topic| of_topic.ids.push(turn, item, cap));
        self.ids.gains(usize::from(room));
        room
    }

    /// False if there is no room among `cap` headers, of which a topic may have three quarters.
    pub(in crate::protocol) fn header(&mut self, turn: PublicKey, header: SignedHeader, cap: usize) -> bool {
        let full = self.headers >= cap;
        let of_topic = self.of(header.header.topic);
        let room = !full && of_topic.is_some_and(|of_topic| of_topic.headers.push(turn, header, cap / 4 * 3));
        self.headers.gains(usize::from(room));
        room
    }

    /// The next frame: headers at once, and ids if they are `due`. In a topic where both wait they take turns.
    pub(in crate::protocol) fn next(&mut self, due: bool) -> Option<Told> {
        let may_go = |turn: &OfTopic| turn.headers.len() > 0 || (due && turn.ids.len() > 0);
        let at = self.turns.iter().position(may_go)?;
        let mut turn = self.turns.remove(at)?;
        let ids = due && turn.ids.len() > 0 && (turn.ids_next || turn.headers.len() == 0);
        turn.ids_next = !ids;
        let told = if ids {
            let items = turn.ids.take();
            self.ids.loses(items.len());
            Told::Ids(turn.topic, items)
        } else {
            let headers = turn.headers.take();
            self.headers.loses(headers.len());
            Told::Headers(headers)
        };
        // The last one stays, with what it has allocated: the next is of the same topic as a rule.
        if turn.ids.len() + turn.headers.len() > 0 || self.turns.is_empty() {
            self.turns.push_back(turn);
        }
        Some(told)
    }
}
