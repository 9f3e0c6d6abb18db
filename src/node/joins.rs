//! Joins of topics: begun by handles, answered by the engine, ended by whoever has them last.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::actor::Actor;
use super::error::{Closed, ForgetError, JoinError};
use super::membership::{JoinId, Notice};
use super::message::{Joined, Joining, Validator};
use super::port::Port;
use crate::protocol::keeping::KeepOptions;
use crate::protocol::{Input, JoinRefusal};
use crate::rumor::{RuleSet, TopicId};
use crate::store::StoreError;

impl Actor {
    pub(super) fn on_join(&mut self, joining: Joining) {
        // Handles that were dropped before this was asked make room for it.
        while let Ok(notice) = self.notices.try_recv() {
            self.on_notice(notice);
        }
        let (rules, validate, keep) = (Arc::clone(&joining.rules), joining.validator.is_some(), joining.keep);
        self.joining.push_back(Some(joining));
        // It is delivered from the first subscription on.
        self.handle(Input::Join { rules, deliver: false, validate, keep });
        // The next message may end another join of the topic, which must not take this one with it.
        self.act();
    }

    /// Relays a topic that the application has not joined.
    pub(super) fn relay(&mut self, rules: Arc<RuleSet>) -> Result<(), JoinError> {
        if let Some(refusal) = self.parts.engine.join_refusal(&rules) {
            return Err(JoinError::of(refusal));
        }
        self.relayed.insert(rules.id());
        self.joining.push_back(None);
        self.handle(Input::Join { rules, deliver: false, validate: false, keep: KeepOptions::default() });
        Ok(())
    }

    /// The engine has answered the first of the joins that wait.
    pub(super) fn on_joined(&mut self, result: Result<(), JoinRefusal>) {
        let Some(Joining { rules, validator, answer, .. }) = self.joining.pop_front().flatten() else {
            return;
        };
        let joined = match result {
            Ok(()) => Ok(self.joined(rules, validator)),
            Err(refusal) => Err(JoinError::of(refusal)),
        };
        // Whoever asked may have gone: then the join goes with its answer.
        let _ = answer.send(joined);
    }

    fn joined(&mut self, rules: Arc<RuleSet>, validator: Option<Validator>) -> Joined {
        let (topic, join) = (rules.id(), JoinId(self.next_join));
        self.next_join += 1;
        let engine = &self.parts.engine;
        let now = (engine.links_of(&topic), engine.repairing(&topic).unwrap_or_default());
        let port = self.topics.entry(topic).or_insert_with(|| Port::new(self.parts.capacity));
        port.validator = validator.or(port.validator.take());
        let (rumors, delivered) = (port.rumors.downgrade(), port.delivered.clone());
        let membership = port.join(topic, join, now, self.notices_in.clone());
        let taken_back = self.taken_back_in.clone();
        let (library, convicted) = (self.keeper.library(), self.convicted.clone());
        Joined { rules, rumors, delivered, membership, taken_back, library, convicted }
    }

    pub(super) fn on_notice(&mut self, notice: Notice) {
        match notice {
            Notice::Dropped { topic, join } => self.leave(topic, join),
            Notice::Subscribed { topic } => {
                if self.topics.get_mut(&topic).is_some_and(Port::begins_to_read) {
                    self.handle(Input::Read { topic });
                }
            }
        }
    }

    /// Ends a join, and leaves the topic with the last one.
    pub(super) fn leave(&mut self, topic: TopicId, join: JoinId) {
        let is_last = self.topics.get_mut(&topic).is_some_and(|port| port.leave(join));
        // Those that replay it over this join are over at its end.
        self.keeper.wake_readers(&topic);
        if !is_last {
            return;
        }
        self.topics.remove(&topic);
        let stays = self.relayed.contains(&topic);
        self.handle(if stays { Input::StopReading { topic } } else { Input::Leave { topic } });
    }

    /// Removes what is kept of a topic that is not joined.
    pub(super) fn forget_topic(&mut self, topic: TopicId, answer: oneshot::Sender<Result<(), ForgetError>>) {
        // The engine has joined more than the application has: lists of owners, and the members.
        if self.relayed.contains(&topic) || self.parts.engine.rules(&topic).is_some() {
            // Whoever asked may have gone.
            let _ = answer.send(Err(ForgetError::Joined(topic)));
            return;
        }
        let (removed, done) = oneshot::channel();
        self.keeper.forget_topic(topic, removed);
        tokio::spawn(async move {
            let result = match done.await {
                // What was never kept is forgotten.
                Ok(Ok(()) | Err(StoreError::NotOpen)) => Ok(()),
                Ok(Err(error)) => Err(ForgetError::Store(error.to_string())),
                Err(_) => Err(Closed.into()),
            };
            // Whoever asked may have gone.
            let _ = answer.send(result);
        });
    }
}
