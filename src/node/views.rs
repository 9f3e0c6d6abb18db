//! What the store has told, on its way to those who read topics of state.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::actor::Actor;
use super::membership::JoinId;
use super::state::{Fact, View};
use crate::protocol::keeping::{Forget, Kept, Show, StoreAnswer, StoreJob};
use crate::rumor::RuleSet;

impl Actor {
    /// Somebody reads the values of a topic. `None` if the topic was left over that join.
    pub(super) fn on_kv(
        &mut self,
        rules: Arc<RuleSet>,
        join: JoinId,
        answer: oneshot::Sender<Option<Arc<View>>>,
    ) {
        let (library, convicted, outside) =
            (self.keeper.library(), self.convicted.clone(), self.parts.outside.clone());
        let author = self.parts.engine.author();
        let port = self.topics.get_mut(&rules.id()).filter(|port| port.has(join));
        let view = port.map(|port| port.view(|| View::begin(rules, author, library, convicted, outside)));
        // Whoever asked may have gone.
        let _ = answer.send(view);
    }

    /// What is committed is shown.
    pub(super) fn tell_views(&mut self, answer: &StoreAnswer) {
        let (topic, fact) = match answer {
            StoreAnswer::Kept { keep, kept: Ok(Kept::New { .. }) } => {
                let (bundle, is_shown) = (Arc::clone(&keep.bundle), keep.show == Show::Now);
                (bundle.header().topic, Fact::Kept { bundle, is_shown })
            }
            StoreAnswer::Forgot { topic, what: Forget::Author(author), .. } => {
                (*topic, Fact::Convicted(*author))
            }
            StoreAnswer::Forgot { topic, left: Ok(left), .. } => (*topic, Fact::Floor(left.floor)),
            _ => return,
        };
        if let Some(port) = self.topics.get_mut(&topic) {
            port.tell_view(fact);
        }
    }

    /// What was held back or rejected is committed by now, and is about to be shown.
    pub(super) fn tell_views_of(&mut self, job: &StoreJob) {
        let StoreJob::Release { topic, at } = job else { return };
        let Some(port) = self.topics.get_mut(topic) else { return };
        for (author, first) in at {
            port.tell_view(Fact::Shown { author: *author, first: *first });
        }
    }
}
