//! What is wanted of a link, and what it has announced beyond that.

use super::Link;
use crate::protocol::time::Mono;
use crate::protocol::total::Total as _;
use crate::rumor::TopicId;

impl Link {
    /// Wanted ids that list it as a source.
    pub(in crate::protocol) const fn wanted_from(&self) -> usize {
        self.wanted_from
    }

    /// Whether more wanted ids list it than may, since it has stopped serving.
    pub(in crate::protocol) const fn is_listed_too_often(&self) -> bool {
        self.wanted_from > self.service.most_wants()
    }

    /// How many wanted ids list it as a source, and how many of them in this topic.
    pub(in crate::protocol) fn listed(&self, topic: &TopicId) -> (usize, usize) {
        let of_topic = self.wanted_in.iter().find(|(other, _)| other == topic);
        (self.wanted_from, of_topic.map_or(0, |(_, listed)| *listed))
    }

    /// One more lists it.
    pub(in crate::protocol) fn is_listed(&mut self, topic: TopicId) {
        self.wanted_from.gains(1);
        match self.wanted_in.iter_mut().find(|(other, _)| *other == topic) {
            Some((_, listed)) => listed.gains(1),
            None => self.wanted_in.push((topic, 1)),
        }
    }

    /// One that listed it does not any more.
    pub(in crate::protocol) fn is_delisted(&mut self, topic: &TopicId) {
        self.wanted_from.loses(1);
        if let Some(at) = self.wanted_in.iter().position(|(other, _)| other == topic)
            && let Some((_, listed)) = self.wanted_in.get_mut(at)
        {
            listed.loses(1);
            if *listed == 0 {
                self.wanted_in.swap_remove(at);
            }
        }
    }

    /// Nothing more may be pulled from it for a while: gives until when, unless it waits already.
    pub(in crate::protocol) fn waits_to_pull(&mut self, now: Mono) -> Option<Mono> {
        let until = self.budget.pulls_overdrawn_until(now).filter(|_| !self.waits_to_pull)?;
        self.waits_to_pull = true;
        Some(until)
    }

    /// That while is over.
    pub(in crate::protocol) const fn may_be_pulled_from(&mut self) {
        self.waits_to_pull = false;
    }

    /// Something that it announced in `topic` was not noted, or could not be had.
    pub(in crate::protocol) fn has_more(&mut self, topic: TopicId) {
        if !self.missed.contains(&topic) {
            self.missed.push(topic);
        }
    }

    /// Whether it is to be asked to say again what it has announced: there was more than we had room for, we have room now, and the
    /// last time that it was asked has left. (This comes round every second.)
    pub(in crate::protocol) fn has_more_to_say(&self) -> bool {
        !self.missed.is_empty()
            && !self.outbox.has_frames()
            && self.wanted_from < self.service.most_wants() / 2
    }

    /// The topics in which it is to say it again: of those that are `relayed`, the ones with `room` for it.
    pub(in crate::protocol) fn take_missed(
        &mut self,
        relayed: impl Fn(&TopicId) -> bool,
        room: impl Fn(&TopicId) -> bool,
    ) -> Vec<TopicId> {
        self.missed.retain(relayed);
        self.missed.extract_if(.., |topic| room(topic)).collect()
    }
}
