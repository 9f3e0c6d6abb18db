//! Ids that wait for a frame.

use std::collections::VecDeque;

use crate::protocol::total::Total as _;
use crate::rumor::{BundleId, TopicId};
use crate::wire::MAX_IDS_PER_FRAME;

/// Ids that wait for a frame, each with its topic, in order.
pub(super) type IdList = VecDeque<(TopicId, BundleId)>;

/// Takes the first ids while they are of one topic and fit a frame. What lies behind is not looked at: a peer that pulls
/// ids of ever other topics would have all of it looked at for each.
pub(super) fn take_run(list: &mut IdList) -> Option<(TopicId, Vec<BundleId>)> {
    let (topic, _) = *list.front()?;
    let run = list.iter().take(MAX_IDS_PER_FRAME).take_while(|(other, _)| *other == topic).count();
    Some((topic, list.drain(..run).map(|(_, id)| id).collect()))
}

/// Ids that wait for a frame: topics take turns by frames, and in each topic ids leave in order. (For topics that we have joined.)
#[derive(Debug, Default)]
pub(super) struct TopicLists {
    turns: VecDeque<(TopicId, VecDeque<BundleId>)>,
    pub(super) len: usize,
}

impl TopicLists {
    pub(super) fn push(&mut self, topic: TopicId, id: BundleId) {
        self.len.gains(1);
        match self.turns.iter_mut().find(|(other, _)| *other == topic) {
            Some((_, ids)) => ids.push_back(id),
            None => self.turns.push_back((topic, VecDeque::from([id]))),
        }
    }

    pub(super) fn take(&mut self) -> Option<(TopicId, Vec<BundleId>)> {
        let (topic, mut ids) = self.turns.pop_front()?;
        let frame: Vec<_> = ids.drain(..ids.len().min(MAX_IDS_PER_FRAME)).collect();
        self.len.loses(frame.len());
        if !ids.is_empty() {
            self.turns.push_back((topic, ids));
        }
        Some((topic, frame))
    }
}
