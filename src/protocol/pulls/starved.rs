//! Wanted ids that wait until a link may be asked for more: topics take turns, and in each topic what came together stays in
//! order.

use std::collections::VecDeque;
use std::time::Duration;

use crate::protocol::time::{Mono, nanos};
use crate::protocol::timers::WantId;
use crate::protocol::total::Total as _;
use crate::rumor::{BundleId, TopicId};

/// Ids that begin to wait within so long of each other are asked for in the order in which they were announced: what a link
/// announces when it comes up is then delivered in order. (Guess: longer than a frame takes after another.)
const TOGETHER: Duration = Duration::from_millis(100);

/// The starved ids of one link.
#[derive(Debug, Default)]
pub(in crate::protocol) struct Starved {
    /// Topics that have some, in the order of their turns.
    turns: VecDeque<OfTopic>,
    len: usize,
}

#[derive(Debug)]
struct OfTopic {
    topic: TopicId,
    /// With the time since when they wait, in steps of [`TOGETHER`].
    ids: VecDeque<(u64, BundleId)>,
    newest_next: bool,
}

impl Starved {
    #[cfg(test)]
    pub(in crate::protocol) const fn len(&self) -> usize {
        self.len
    }

    /// Adds an id; gives how many there are.
    pub(in crate::protocol) fn push(&mut self, (topic, id): WantId, now: Mono) -> usize {
        let step = now.as_nanos() / nanos(TOGETHER).max(1);
        self.len.gains(1);
        match self.turns.iter_mut().find(|turn| turn.topic == topic) {
            Some(turn) => turn.ids.push_back((step, id)),
            None => {
                self.turns.push_back(OfTopic { topic, ids: VecDeque::from([(step, id)]), newest_next: false })
            }
        }
        self.len
    }

    /// The next id: of the topic whose turn it is, the first of the oldest and of the newest that came together, in turn. Ids
    /// don't tell whose they are, so one author that says a lot holds up all others of its topic; those that are said now and
    /// then are at least not behind all of it.
    pub(in crate::protocol) fn pop(&mut self) -> Option<WantId> {
        let mut turn = self.turns.pop_front()?;
        let newest = turn.ids.back().map_or(0, |(step, _)| *step);
        let at = if turn.newest_next { turn.ids.partition_point(|(step, _)| *step < newest) } else { 0 };
        turn.newest_next = !turn.newest_next;
        let (topic, next) = (turn.topic, turn.ids.remove(at));
        if !turn.ids.is_empty() {
            self.turns.push_back(turn);
        }
        self.len.loses(1);
        next.map(|(_, id)| (topic, id))
    }

    #[cfg(any(test, feature = "sim"))]
    pub(in crate::protocol) fn ids(&self) -> impl Iterator<Item = WantId> {
        self.turns.iter().flat_map(|turn| turn.ids.iter().map(|(_, id)| (turn.topic, *id)))
    }

    pub(in crate::protocol) fn retain(&mut self, wanted: impl Fn(&WantId) -> bool) {
        for turn in &mut self.turns {
            turn.ids.retain(|(_, id)| wanted(&(turn.topic, *id)));
        }
        self.turns.retain(|turn| !turn.ids.is_empty());
        self.len = self.turns.iter().map(|turn| turn.ids.len()).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn want(topic: u8, id: u8) -> WantId {
        (TopicId::from_bytes([topic; 32]), BundleId::from_bytes([id; 32]))
    }

    fn all(starved: &mut Starved) -> Vec<WantId> {
        std::iter::from_fn(|| starved.pop()).collect()
    }

    #[test]
    fn what_came_together_leaves_in_order() {
        let mut starved = Starved::default();
        (0..200).for_each(|id| {
            starved.push(want(1, id), Mono::default());
        });
        assert_eq!(all(&mut starved), (0..200).map(|id| want(1, id)).collect::<Vec<_>>());
        assert_eq!(starved.len(), 0);
    }

    #[test]
    fn what_came_last_is_not_behind_all_that_waits() {
        let mut starved = Starved::default();
        (0..100).for_each(|id| {
            starved.push(want(1, id), Mono::default());
        });
        starved.push(want(1, 200), Mono::default().plus(Duration::from_secs(1)));
        assert_eq!(all(&mut starved)[..3], [want(1, 0), want(1, 200), want(1, 1)]);
    }

    #[test]
    fn topics_take_turns() {
        let mut starved = Starved::default();
        (0..100).for_each(|id| {
            starved.push(want(1, id), Mono::default());
        });
        (0..2).for_each(|id| {
            starved.push(want(2, id), Mono::default());
        });
        starved.retain(|(_, id)| *id != want(0, 1).1);
        assert_eq!(all(&mut starved)[..4], [want(1, 0), want(2, 0), want(1, 2), want(1, 3)]);
    }
}
