//! What the engine wants done, done. Nothing here waits for a peer or the application.

use std::sync::Arc;
use std::time::Instant;

use super::actor::Actor;
use super::message::Message;
use crate::key::PublicKey;
use crate::protocol::{Action, Event, Input, Validation, ValidationId};
use crate::rumor::Bundle;
use crate::wire::Reason;

impl Actor {
    /// Does whatever the engine wants done. Nothing here waits.
    pub(super) fn act(&mut self) {
        while let Some(action) = self.parts.engine.poll() {
            match action {
                Action::Send { link, lane, frame } => {
                    if let Some(link) = self.links.get(&link) {
                        // Refused only by a link that has ended, whose last event is on its way.
                        link.send(lane, frame);
                    }
                }
                Action::Verify { batch, jobs } => {
                    let idle = self.is_idle();
                    if let Some(verdict) = self.inline.verify(&jobs, idle, Instant::now()) {
                        self.handle(Input::Verdicts { batch, verdicts: vec![verdict] });
                        continue;
                    }
                    let Some(inbox) = self.parts.inbox_in.upgrade() else { continue };
                    let held = self.parts.outside.holds_clock();
                    let answer = move |verdicts| {
                        // An error means that the node is gone.
                        let _ = inbox.blocking_send(Message::Verdicts { batch, verdicts });
                        drop(held);
                    };
                    self.parts.verifiers.submit(jobs, Box::new(answer));
                }
                Action::Validate { question, bundle } => self.validate(question, bundle),
                Action::Deliver { bundle, from } => {
                    self.deliver(bundle, from);
                }
                Action::Missed { topic, from_ms, to_ms } => {
                    if let Some(port) = self.topics.get(&topic) {
                        port.missed(from_ms, to_ms);
                    }
                }
                Action::PauseReading(link, lane) => {
                    self.links.get(&link).into_iter().for_each(|link| link.pause_reading(lane));
                }
                Action::ResumeReading(link, lane) => {
                    self.links.get(&link).into_iter().for_each(|link| link.resume_reading(lane));
                    self.read_on(link, lane);
                }
                Action::Close { link, reason } => {
                    if let Some(link) = self.links.get(&link) {
                        link.close(reason.code(), &reason.to_string());
                    }
                }
                Action::Record { from_ms, until_ms } => self.record(from_ms, until_ms),
                Action::Store(job) => {
                    self.tell_views_of(&job);
                    let now_ms = self.now().unix_ms;
                    self.keeper.give(job, now_ms);
                }
                Action::Joined { result, .. } => self.on_joined(result),
                Action::AdmissionChanged { result } => self.on_admission_changed(result),
                Action::Published { publish_id, result } => self.requests.settle(publish_id, result),
                Action::Event(event) => {
                    self.note_conviction(&event);
                    self.end_streams(&event);
                    self.tell(event);
                }
                Action::Member(event) => self.on_member(event),
            }
        }
        self.publish_counts();
        self.publish_repairs();
        self.publish_members();
    }

    /// With a key that was banned no streams of applications go on.
    fn end_streams(&self, event: &Event) {
        if let Event::Offence { peer, .. } = event {
            let reason = Reason::Banned;
            self.parts.endpoint.streams().hang_up(peer, reason.code(), &reason.to_string());
        }
    }

    /// What finds no reader waits in the engine for the next.
    fn deliver(&mut self, bundle: Arc<Bundle>, from: Option<PublicKey>) {
        let (topic, id) = (bundle.header().topic, bundle.id());
        let taken = self.topics.get_mut(&topic).is_some_and(|port| port.deliver(bundle, from));
        if !taken {
            self.handle(Input::Undelivered { topic, id });
        }
    }

    fn validate(&self, question: ValidationId, bundle: Arc<Bundle>) {
        let validator = self.topics.get(&bundle.header().topic).and_then(|port| port.validator.clone());
        let Some(validator) = validator else { return };
        let inbox = self.parts.inbox_in.clone();
        let patience = self.parts.engine.validator_patience_for(&bundle);
        tokio::spawn(async move {
            let judge = async {
                for rumor in bundle.rumors() {
                    let verdict = validator(rumor).await;
                    if verdict != Validation::Accept {
                        return verdict;
                    }
                }
                Validation::Accept
            };
            // The engine stops waiting at the same time and counts it; this only ends the task.
            let Ok(verdict) = tokio::time::timeout(patience, judge).await else { return };
            if let Some(inbox) = inbox.upgrade() {
                let _ = inbox.send(Message::Validated { question, verdict }).await;
            }
        });
    }

    fn publish_counts(&mut self) {
        let topology = self.parts.engine.topology();
        if std::mem::replace(&mut self.topology, topology) == topology {
            return;
        }
        self.parts.links.send_replace(self.parts.engine.live_links());
        for (topic, port) in &self.topics {
            port.links(self.parts.engine.links_of(topic));
        }
    }

    /// Tells those who wait for it how many members are here.
    fn publish_members(&self) {
        let here = self.parts.engine.members_here();
        self.parts.members.here.send_if_modified(|count| std::mem::replace(count, here) != here);
    }

    /// Tells those who wait for it how far repair is.
    fn publish_repairs(&mut self) {
        for topic in self.parts.engine.take_repairing() {
            if let Some(port) = self.topics.get(&topic) {
                port.repairs(self.parts.engine.repairing(&topic).unwrap_or_default());
            }
        }
    }
}
