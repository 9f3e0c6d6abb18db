//! Running a network: one happening after the other, and whatever the machines then want done.

use std::time::Duration;

use super::liars::Outgoing;
use super::network::{Network, unix_ms};
use super::queue::{Happening, NodeIndex, Planned};
use crate::protocol::{Action, Event, FRAME_OVERHEAD, Input, LinkId, Mono, Now, VerifyJob};
use crate::rumor::SignedHeader;
use crate::verify::verify_single;

impl Network {
    pub(super) fn now_of(&self, node: NodeIndex) -> Now {
        let skew = self.nodes.get(node as usize).map_or(0, |node| node.skew_ms);
        Now { mono: Mono::from_nanos(self.now), unix_ms: unix_ms(self.now, skew) }
    }

    pub(super) fn input(&mut self, node: NodeIndex, input: Input) {
        let now = self.now_of(node);
        if let Some(node) = self.nodes.get_mut(node as usize) {
            node.machine.handle(now, input);
        }
    }

    pub(super) fn happen(&mut self, planned: Planned) {
        let Planned { at, node, what, .. } = planned;
        self.trace.update(&at.to_le_bytes());
        self.trace.update(&node.to_le_bytes());
        match what {
            Happening::Arrive { link, lane, payload } => {
                if self.nodes.get(node as usize).and_then(|node| node.end(link)).is_none() {
                    return;
                }
                self.trace.update(&(payload.len() as u64).to_le_bytes());
                self.hear(node, link, lane, &payload);
                self.input(node, Input::Frame { link, lane, payload });
            }
            Happening::Sent { link, lane, bytes } => self.input(node, Input::Written { link, lane, bytes }),
            Happening::Down { link } => {
                if let Some(this) = self.nodes.get_mut(node as usize) {
                    this.shut(link);
                }
                self.input(node, Input::LinkDown { link, offence: None, why: "closed".into() });
            }
            Happening::Wake => {
                let Some(this) = self.nodes.get_mut(node as usize) else { return };
                // A later plan has replaced it, or an earlier input has done its work.
                if this.wake != at {
                    return;
                }
                this.wake = u64::MAX;
                self.stir(node);
                self.input(node, Input::Tick);
            }
        }
        self.drive(node);
    }

    /// Does what a node's engine wants done, and plans its next wake.
    pub(super) fn drive(&mut self, index: NodeIndex) {
        let now = self.now_of(index);
        loop {
            let Some(node) = self.nodes.get_mut(index as usize) else { return };
            let Some(action) = node.machine.poll() else { break };
            match action {
                Action::Send { link, lane, frame } => {
                    let bytes = frame.len() + FRAME_OVERHEAD;
                    let queued_until = node.uplink_free;
                    match &mut node.twist {
                        None => self.transmit(index, Outgoing::now(link, lane, frame)),
                        Some(twist) => {
                            for out in twist.outgoing(now, link, lane, frame) {
                                self.transmit(index, out);
                            }
                        }
                    }
                    // The engine learns that its bytes are gone when the uplink has sent them.
                    if self.scenario.uplink.is_some() && queued_until > self.now {
                        self.queue.plan(queued_until, index, Happening::Sent { link, lane, bytes });
                    } else {
                        self.input(index, Input::Written { link, lane, bytes });
                    }
                }
                Action::Verify { batch, jobs } => {
                    let verdicts = jobs.iter().map(|job| self.judge(job)).collect();
                    self.input(index, Input::Verdicts { batch, verdicts });
                }
                Action::Deliver { bundle, from } => {
                    let from = from.and_then(|from| self.by_key.get(&from).copied());
                    self.ledger.delivered(index, &bundle, from, self.now);
                }
                Action::Close { link, .. } => self.close(index, link),
                Action::Event(Event::Offence { peer, .. }) => {
                    let peer = self.by_key.get(&peer).copied();
                    self.ledger.offence(index, peer);
                }
                Action::Event(Event::Convicted { .. }) => self.ledger.convicted(index, self.now),
                Action::Record { until_ms } => self.input(index, Input::Recorded { until_ms }),
                _ => {}
            }
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

    fn judge(&mut self, job: &VerifyJob) -> bool {
        let message = SignedHeader::message(&job.id);
        let judge = || verify_single(&job.author, &message, &job.signature);
        *self.verdicts.entry((job.id, job.author, job.signature)).or_insert_with(judge)
    }

    pub(super) fn transmit(&mut self, from: NodeIndex, out: Outgoing) {
        let jitter = self.scenario.jitter.mul_f64(self.dice.unit());
        let lost = self.scenario.loss > 0.0 && self.dice.unit() < self.scenario.loss;
        let Some(node) = self.nodes.get_mut(from as usize) else { return };
        let bytes = (out.payload.len() + FRAME_OVERHEAD) as u64;
        let ready = self.now + nanos(out.delay);
        let mut leaves = ready;
        if let Some(rate) = self.scenario.uplink {
            leaves = node.uplink_free.max(ready) + bytes.saturating_mul(1_000_000_000) / rate.max(1);
            node.uplink_free = leaves;
        }
        let Some(end) = node.end_mut(out.link) else { return };
        let again = if lost { end.delay * 2 + Duration::from_millis(25) } else { Duration::ZERO };
        let arrives = leaves + nanos(end.delay + jitter + again);
        let Some(last) = end.last.get_mut(out.lane.index()) else { return };
        *last = arrives.max(*last);
        let (at, peer, there) = (*last, end.peer, end.there);
        node.bytes_out += bytes;
        self.queue.plan(at, peer, Happening::Arrive { link: there, lane: out.lane, payload: out.payload });
    }

    fn close(&mut self, index: NodeIndex, link: LinkId) {
        let Some(end) = self.nodes.get_mut(index as usize).and_then(|node| node.shut(link)) else {
            return;
        };
        // After whatever was sent before it.
        let after = end.last.iter().copied().max().unwrap_or(0).max(self.now + nanos(end.delay));
        self.queue.plan(after, end.peer, Happening::Down { link: end.there });
        self.input(index, Input::LinkDown { link, offence: None, why: "closed".into() });
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
