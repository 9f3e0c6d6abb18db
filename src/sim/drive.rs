//! What the machines want done, done.

use bytes::Bytes;

use super::network::Network;
use super::queue::{Happening, NodeIndex};
use super::time::nanos;
use crate::protocol::{
    Action, BatchId, Event, FRAME_OVERHEAD, Failpoint, Input, JoinRefusal, LinkId, Now, VerifyJob,
};
use crate::rumor::SignedHeader;
use crate::verify::verify_single;
use crate::wire::Lane;

impl Network {
    /// Does what a node's machine wants done, and plans its next wake.
    pub(super) fn drive(&mut self, index: NodeIndex) {
        let now = self.now_of(index);
        loop {
            let Some(node) = self.nodes.get_mut(index as usize).filter(|node| node.alive) else { return };
            let Some(action) = node.machine.poll() else {
                if !node.owes_room() {
                    break;
                }
                node.report_written(now);
                continue;
            };
            self.act(index, now, action);
        }
        let Some(node) = self.nodes.get_mut(index as usize) else { return };
        let acts = node.twist.as_ref().and_then(|twist| twist.next_wake());
        if let Some(deadline) = node.machine.next_deadline().into_iter().chain(acts).min() {
            let at = deadline.as_nanos().max(self.now + 1);
            if at < node.wake {
                node.wake = at;
                self.queue.plan(at, index, Happening::Wake);
            }
        }
    }

    pub(super) fn act(&mut self, index: NodeIndex, now: Now, action: Action) {
        match action {
            Action::Send { link, lane, frame } => self.send(index, now, link, lane, frame),
            Action::Verify { batch, jobs } => self.verify(index, batch, &jobs),
            Action::Deliver { bundle, from } => {
                self.note(&[2]);
                self.note(bundle.id().as_bytes());
                let from = from.and_then(|from| self.by_key.get(&from).copied());
                self.check_delivery(index, &bundle);
                if !self.record.delivered(index, &bundle, from, self.now) {
                    self.check_repeated(index);
                }
            }
            Action::Close { link, reason } => {
                self.note(&[3, link.0 as u8, reason.code() as u8]);
                self.close(index, link, reason);
            }
            Action::PauseReading(link, lane) => {
                self.note(&[9, link.0 as u8, lane as u8]);
                self.pause(index, link, lane);
            }
            Action::ResumeReading(link, lane) => {
                self.note(&[10, link.0 as u8, lane as u8]);
                self.resume(index, link, lane);
            }
            Action::Record { from_ms, until_ms } => {
                self.note(&[11]);
                self.note(&from_ms.to_le_bytes());
                self.note(&until_ms.to_le_bytes());
                self.record(index, from_ms, until_ms);
            }
            Action::Missed { from_ms, to_ms, .. } => {
                self.note(&[15]);
                self.note(&from_ms.to_le_bytes());
                self.note(&to_ms.to_le_bytes());
            }
            Action::Validate { question, bundle } => {
                self.note(&[8]);
                self.note(bundle.id().as_bytes());
                self.validate(index, question);
            }
            Action::Store(job) => self.store(index, job),
            // (What a join leads to is in the trace: the peers are told. In no scenario a node is told whom to admit.)
            Action::Joined { result: Ok(()), .. } | Action::AdmissionChanged { .. } => {}
            Action::Joined { result: Err(why), .. } => {
                self.note(&[16, refusal_code(why)]);
                self.check_join(index, why);
            }
            Action::Published { publish_id, result } => {
                self.note(&[6, u8::from(result.is_ok())]);
                let result = result.map(|rumor| rumor.id());
                self.record.answered(index, publish_id, result, self.now);
            }
            Action::Event(event) => self.on_event(index, event),
            Action::Member(event) => self.on_member(index, event),
        }
    }

    /// Sends a frame of the machine's, or what its liar makes of it.
    fn send(&mut self, index: NodeIndex, now: Now, link: LinkId, lane: Lane, frame: Bytes) {
        self.note(&[1, link.0 as u8, lane as u8, frame.len() as u8, (frame.len() >> 8) as u8]);
        let bytes = frame.len() + FRAME_OVERHEAD;
        let Some(node) = self.nodes.get_mut(index as usize) else { return };
        match &mut node.twist {
            None => {
                self.records.says(index, lane, &frame);
                return self.enqueue(index, link, lane, frame, Some(bytes));
            }
            Some(twist) => {
                for out in twist.outgoing(now, link, lane, frame) {
                    self.transmit(index, out);
                }
            }
        }
        self.wrote(index, link, lane, bytes);
    }

    fn verify(&mut self, index: NodeIndex, batch: BatchId, jobs: &[VerifyJob]) {
        self.note(&[7]);
        self.note(&(jobs.len() as u64).to_le_bytes());
        let verdicts: Vec<_> = jobs.iter().map(|job| self.judge(index, job)).collect();
        self.record.verified(index, &verdicts);
        if self.scenario.verify_takes.is_zero() {
            return self.input(index, Input::Verdicts { batch, verdicts });
        }
        let takes = nanos(self.scenario.verify_takes);
        self.queue.plan(self.now + takes, index, Happening::Judged { batch, verdicts });
    }

    fn on_event(&mut self, index: NodeIndex, event: Event) {
        match event {
            Event::Offence { peer, offence } => {
                self.note(&[4, offence as u8]);
                let against = self.by_key.get(&peer).copied();
                self.check_offence(index, against, offence);
                self.record.offence(index, against);
            }
            Event::Convicted { evidence } => {
                self.note(&[5]);
                self.note(evidence.author().as_bytes());
                self.check_conviction(index, &evidence);
                self.record.convicted(index, evidence.author(), self.now);
            }
            event => {
                self.note(&[12]);
                self.note(format!("{event:?}").as_bytes());
            }
        }
    }

    pub(super) fn judge(&mut self, node: NodeIndex, job: &VerifyJob) -> bool {
        let message = SignedHeader::message(&job.id);
        if node % 2 == 1 && self.scenario.config.lacks(Failpoint::TwoRules) {
            return is_cofactorless(job, &message);
        }
        let judge = || verify_single(&job.author, &message, &job.signature);
        *self.verdicts.entry((job.id, job.author, job.signature)).or_insert_with(judge)
    }
}

/// The rule that other implementations have, for tests of what two rules in one network lead to.
fn is_cofactorless(job: &VerifyJob, message: &[u8]) -> bool {
    let key = ed25519_dalek::VerifyingKey::from_bytes(job.author.as_bytes());
    let signature = ed25519_dalek::Signature::from_bytes(job.signature.as_bytes());
    key.is_ok_and(|key| ed25519_dalek::Verifier::verify(&key, message, &signature).is_ok())
}

/// In a trace.
const fn refusal_code(why: JoinRefusal) -> u8 {
    match why {
        JoinRefusal::TooMany => 0,
        JoinRefusal::TooManyLeft => 1,
        JoinRefusal::OtherNetwork => 2,
        JoinRefusal::TooManyKeys { .. } => 3,
        JoinRefusal::System => 4,
    }
}
