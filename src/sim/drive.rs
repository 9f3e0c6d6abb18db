//! Running a network: one happening after the other, and whatever the machines then want done.

use std::time::Duration;

use super::liars::Outgoing;
use super::network::{Network, unix_ms};
use super::queue::{Happening, NodeIndex, Planned};
use crate::protocol::{Action, Event, FRAME_OVERHEAD, Failpoint, Input, LinkId, Mono, Now, VerifyJob};
use crate::rumor::SignedHeader;
use crate::verify::verify_single;
use crate::wire::{Lane, Reason};

/// How long a closed link may take to write its control lane: `CLOSE_FLUSH` of `net/link.rs`.
const FLUSH: Duration = Duration::from_secs(1);

impl Network {
    pub(super) fn now_of(&self, node: NodeIndex) -> Now {
        let skew = self.nodes.get(node as usize).map_or(0, |node| node.skew_ms);
        Now { mono: Mono::from_nanos(self.now), unix_ms: unix_ms(self.now, skew) }
    }

    pub(super) fn input(&mut self, node: NodeIndex, input: Input) {
        let now = self.now_of(node);
        if let Some(node) = self.nodes.get_mut(node as usize) {
            node.report_written(now);
            node.machine.handle(now, input);
        }
    }

    /// Folds something that happened into the trace. What a machine wants done begins with a number of its own: `act` has them.
    pub(super) fn note(&mut self, what: &[u8]) {
        self.trace.update(what);
    }

    pub(super) fn happen(&mut self, planned: Planned) {
        let Planned { at, node, what, .. } = planned;
        self.last = node;
        self.note(&at.to_le_bytes());
        self.note(&node.to_le_bytes());
        let alive = self.nodes.get(node as usize).is_some_and(|node| node.alive);
        match what {
            Happening::Arrive { .. } | Happening::Down { .. } if !alive => return,
            Happening::Arrive { link, lane, payload } => {
                let Some(end) = self.nodes.get(node as usize).and_then(|node| node.end(link)) else { return };
                let (peer, late) = (end.peer, end.late);
                let what = Happening::Arrive { link, lane, payload: payload.clone() };
                if self.is_cut(node, peer) {
                    return self.lost.push((node, what));
                }
                if at < late {
                    return self.queue.plan(late, node, what);
                }
                self.note(&(payload.len() as u64).to_le_bytes());
                if self.waits_unread(node, link, lane, &payload) {
                    return;
                }
                self.take(node, link, lane, payload);
            }
            Happening::Read { .. } | Happening::Room { .. } if !alive => return,
            Happening::Read { link } => self.read_on(node, link),
            Happening::Room { link, lane } => return self.on_room(node, link, lane),
            Happening::Down { link, reason } => {
                let Some(end) = self.nodes.get(node as usize).and_then(|node| node.end(link)) else { return };
                let (peer, late) = (end.peer, end.late);
                let what = Happening::Down { link, reason };
                if self.is_cut(node, peer) {
                    return self.lost.push((node, what));
                }
                let reads = |end: &super::node::End| !end.paused && !end.unread.is_empty();
                if self.nodes.get(node as usize).and_then(|node| node.end(link)).is_some_and(reads) {
                    // What had come is still handed over, unless it is not read.
                    return self.queue.plan(at + 1, node, what);
                }
                if at < late {
                    return self.queue.plan(late, node, what);
                }
                self.link_down(node, link, reason);
            }
            Happening::Judged { .. } | Happening::Recorded { .. } | Happening::Validated { .. } if !alive => {
                return;
            }
            Happening::Recorded { life, from_ms, until_ms, fails } => {
                self.on_recorded(node, life, (from_ms, until_ms), fails);
            }
            Happening::Validated { life, question } => self.on_validated(node, life, question),
            Happening::Judged { batch, verdicts } => self.input(node, Input::Verdicts { batch, verdicts }),
            Happening::TurnOver => return self.on_turn_over(node),
            Happening::Flushed { link } => return self.closed(node, link),
            Happening::Leaves { link, lane, payload } => self.enqueue(node, link, lane, payload, None),
            Happening::Knock { from, ordered } => self.on_knock(node, from, ordered),
            Happening::Connected { link } if !alive => {
                // It crashed while it dialled: the peer finds out as it does with links.
                let end = self.nodes.get_mut(node as usize).and_then(|node| node.any_end_mut(link));
                let Some((peer, there)) = end.map(|end| (end.peer, end.there)) else { return };
                let after = self.now + 30_000_000_000;
                return self.queue.plan(after, peer, Happening::Down { link: there, reason: None });
            }
            Happening::Connected { link } => self.link_up(node, link),
            Happening::Refused { peer, ordered, reason } => self.on_refused(node, peer, ordered, reason),
            Happening::Seek => self.dial_due(node),
            Happening::Grasp => self.grasp(node),
            Happening::CutForLong { cut } => self.on_cut_for_long(cut),
            Happening::Gone => self.on_gone(node),
            Happening::Leave => self.on_churn(false),
            Happening::Join => self.on_churn(true),
            Happening::Wake => {
                let Some(this) = self.nodes.get_mut(node as usize) else { return };
                // A later plan has replaced it, or an earlier input has done its work.
                if this.wake != at || !alive {
                    return;
                }
                this.wake = u64::MAX;
                self.stir(node);
                self.input(node, Input::Tick);
            }
        }
        self.drive(node);
    }

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
            Action::Send { link, lane, frame } => {
                self.note(&[1, link.0 as u8, lane as u8, frame.len() as u8, (frame.len() >> 8) as u8]);
                let bytes = frame.len() + FRAME_OVERHEAD;
                let Some(node) = self.nodes.get_mut(index as usize) else { return };
                match &mut node.twist {
                    None => return self.enqueue(index, link, lane, frame, Some(bytes)),
                    Some(twist) => {
                        for out in twist.outgoing(now, link, lane, frame) {
                            self.transmit(index, out);
                        }
                    }
                }
                self.wrote(index, link, lane, bytes);
            }
            Action::Verify { batch, jobs } => {
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
            Action::Event(Event::Offence { peer, offence }) => {
                self.note(&[4, offence as u8]);
                let against = self.by_key.get(&peer).copied();
                self.check_offence(index, against, offence);
                self.record.offence(index, against);
            }
            Action::Event(Event::Convicted { evidence }) => {
                self.note(&[5]);
                self.note(evidence.author().as_bytes());
                self.check_conviction(index, &evidence);
                self.record.convicted(index, evidence.author(), self.now);
            }
            Action::PauseReading(link) => {
                self.note(&[9, link.0 as u8]);
                self.pause(index, link);
            }
            Action::ResumeReading(link) => {
                self.note(&[10, link.0 as u8]);
                self.resume(index, link);
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
            Action::Published { publish_id, result } => {
                self.note(&[6, u8::from(result.is_ok())]);
                self.record.answered(index, publish_id, result, self.now);
            }
            Action::Event(event) => {
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

    /// Sends what a liar wants sent, when it wants.
    pub(super) fn transmit(&mut self, from: NodeIndex, out: Outgoing) {
        self.record.said(&out.payload, self.now);
        let Outgoing { link, lane, payload, delay } = out;
        if delay > Duration::ZERO {
            self.queue.plan(self.now + nanos(delay), from, Happening::Leaves { link, lane, payload });
        } else {
            self.enqueue(from, link, lane, payload, None);
        }
    }

    /// The transport has taken bytes of the engine's.
    fn wrote(&mut self, index: NodeIndex, link: LinkId, lane: Lane, bytes: usize) {
        if let Some(node) = self.nodes.get_mut(index as usize) {
            node.written.push((link, lane, bytes));
            node.written_bytes += bytes;
        }
    }

    /// Gives a frame to the transport: to the line, if that has a limit, or straight to the peer. `owed` is what the
    /// engine is to be told of.
    fn enqueue(
        &mut self,
        from: NodeIndex,
        link: LinkId,
        lane: Lane,
        payload: bytes::Bytes,
        owed: Option<usize>,
    ) {
        if self.scenario.uplink.is_none() {
            self.depart(from, link, lane, payload);
            if let Some(bytes) = owed {
                self.wrote(from, link, lane, bytes);
            }
            return;
        }
        let room = self.scenario.send_buffer;
        let Some(node) = self.nodes.get_mut(from as usize) else { return };
        if node.end(link).is_none() {
            return;
        }
        let taken = node.uplink.push(link, lane, payload, owed, room);
        if let Some(bytes) = owed.filter(|_| taken) {
            self.wrote(from, link, lane, bytes);
        }
        self.next_turn(from);
    }

    pub(super) fn next_turn(&mut self, node: NodeIndex) {
        let (room, rate) = (self.scenario.send_buffer, self.scenario.uplink.unwrap_or(u64::MAX).max(1));
        let started = self.nodes.get_mut(node as usize).and_then(|node| node.uplink.start(room));
        if let Some(bytes) = started {
            let takes = (bytes as u64).saturating_mul(1_000_000_000) / rate;
            self.queue.plan(self.now + takes, node, Happening::TurnOver);
        }
    }

    fn on_turn_over(&mut self, node: NodeIndex) {
        let Some(this) = self.nodes.get_mut(node as usize) else { return };
        let turn = this.uplink.finish();
        let Some(link) = turn.link else { return };
        for (lane, payload) in turn.frames {
            self.depart(node, link, lane, payload);
        }
        self.closed_if_written(node, link);
        self.next_turn(node);
        // Nothing of it to the engine unless that waits for room: the line takes a turn every few milliseconds.
        if !turn.taken.is_empty() {
            for (lane, bytes) in turn.taken {
                self.input(node, Input::Written { link, lane, bytes });
            }
            self.drive(node);
        }
    }

    /// A frame is on its way.
    fn depart(&mut self, from: NodeIndex, link: LinkId, lane: Lane, payload: bytes::Bytes) {
        let jitter = self.scenario.jitter.mul_f64(self.dice.unit());
        let lost = self.scenario.loss > 0.0 && self.dice.unit() < self.scenario.loss;
        let now = self.now;
        let Some(node) = self.nodes.get_mut(from as usize) else { return };
        let Some(end) = node.any_end_mut(link).filter(|end| end.up || end.closing.is_some()) else { return };
        let again = if lost { end.delay * 2 + Duration::from_millis(25) } else { Duration::ZERO };
        let arrives = now + nanos(end.delay + jitter + again);
        let Some(last) = end.last.get_mut(lane.index()) else { return };
        *last = arrives.max(*last);
        let (at, peer, there) = (*last, end.peer, end.there);
        node.bytes_out += (payload.len() + FRAME_OVERHEAD) as u64;
        self.queue.plan(at, peer, Happening::Arrive { link: there, lane, payload });
    }

    /// Closes a link once its control lane is written: the goodbye, and the proof before it, wait for their turns on the
    /// line, as long as `net/link.rs` lets them.
    pub(super) fn close(&mut self, index: NodeIndex, link: LinkId, reason: Reason) {
        let Some(node) = self.nodes.get_mut(index as usize) else { return };
        let written = !node.uplink.says_goodbye(link);
        let Some(end) = node.end_mut(link) else { return };
        end.closing = Some(reason);
        if written {
            self.closed(index, link);
        } else {
            self.queue.plan(self.now + nanos(FLUSH), index, Happening::Flushed { link });
        }
        self.link_down(index, link, Some(reason));
    }

    pub(super) fn closed_if_written(&mut self, index: NodeIndex, link: LinkId) {
        let Some(node) = self.nodes.get(index as usize) else { return };
        if !node.uplink.has(link) {
            self.closed(index, link);
        }
    }

    /// A link that was closed is gone from here on, if that was not so before; the peer hears of it after all that was sent.
    pub(super) fn closed(&mut self, index: NodeIndex, link: LinkId) {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(index as usize) else { return };
        let Some(end) = node.any_end_mut(link) else { return };
        let Some(reason) = end.closing.take() else { return };
        let after = end.last.iter().copied().max().unwrap_or(0).max(now + nanos(end.delay));
        let (peer, there) = (end.peer, end.there);
        node.uplink.drop_link(link);
        self.queue.plan(after, peer, Happening::Down { link: there, reason: Some(reason) });
    }
}

pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The rule that other implementations have, for tests of what two rules in one network lead to.
fn is_cofactorless(job: &VerifyJob, message: &[u8]) -> bool {
    let key = ed25519_dalek::VerifyingKey::from_bytes(job.author.as_bytes());
    let signature = ed25519_dalek::Signature::from_bytes(job.signature.as_bytes());
    key.is_ok_and(|key| ed25519_dalek::Verifier::verify(&key, message, &signature).is_ok())
}
