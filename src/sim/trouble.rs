//! What goes wrong with one node, and how the network is set right again: then every honest node must hear and be heard.

use std::time::Duration;

use super::broken::Broken;
use super::network::Network;
use super::node::Troubles;
use super::queue::{Happening, NodeIndex};
use super::time::nanos;
use crate::protocol::{Input, Validation, ValidationId};
use crate::wire::Reason;

/// What was said after a recovery is delivered everywhere within this.
const HEARD_WITHIN: Duration = Duration::from_secs(15);
/// Then nobody says anything, and what is left to do is done within this: announcements, pulls and their time-outs.
const RESTS_AFTER: Duration = Duration::from_secs(15);

impl Network {
    /// A node's clock steps by so many milliseconds. Its monotonic clock does not.
    pub fn step_clock(&mut self, node: usize, by_ms: i64) {
        if let Some(node) = self.nodes.get_mut(node) {
            node.skew_ms = node.skew_ms.saturating_add(by_ms);
            node.troubles.stepped_ms = node.troubles.stepped_ms.saturating_add(by_ms);
        }
    }

    /// A node's process stands still for so long: nothing that comes is read, and no deadline is kept, until it goes on.
    pub fn stand_still(&mut self, node: usize, time: Duration) {
        let until = self.after(time);
        if let Some(node) = self.nodes.get_mut(node) {
            node.still_until = node.still_until.max(until);
        }
    }

    /// Until when something waits that would happen at a node now, if that stands still.
    pub(super) fn stands_still(&mut self, node: NodeIndex, what: &Happening) -> Option<u64> {
        let now = self.now;
        let this = self.nodes.get_mut(node as usize).filter(|this| this.alive && this.still_until > now)?;
        let until = this.still_until;
        match what {
            // These are of the network, whichever node they name.
            Happening::CutForLong { .. } | Happening::Gone | Happening::Leave | Happening::Join => {
                return None;
            }
            // (Of the wakes that were planned, only this one counts.)
            Happening::Wake if this.wake != now => return None,
            Happening::Wake => this.wake = until,
            _ => {}
        }
        Some(until)
    }

    /// From now on a node's records take so long, and then fail if `fails`.
    pub fn set_disk(&mut self, node: usize, takes: Duration, fails: bool) {
        if let Some(node) = self.nodes.get_mut(node) {
            (node.troubles.record_takes, node.troubles.record_fails) = (takes, fails);
        }
    }

    /// From now on a node asks its validators about each bundle, and they think for so long before they accept it.
    pub fn set_validators(&mut self, node: usize, think: Duration) {
        let Some(this) = self.nodes.get_mut(node) else { return };
        if this.troubles.thinks.replace(think).is_none() && !this.troubles.left {
            self.join_topic(node as NodeIndex);
            self.drive(node as NodeIndex);
        }
    }

    /// A node leaves the topic, and relays it no more.
    pub fn leave_topic(&mut self, node: usize) {
        let topic = self.rules.id();
        if let Some(this) = self.nodes.get_mut(node)
            && !std::mem::replace(&mut this.troubles.left, true)
        {
            self.input(node as NodeIndex, Input::Leave { topic });
            self.drive(node as NodeIndex);
        }
    }

    /// A node that has left the topic joins it again.
    pub fn rejoin_topic(&mut self, node: usize) {
        if let Some(this) = self.nodes.get_mut(node)
            && std::mem::take(&mut this.troubles.left)
        {
            self.join_topic(node as NodeIndex);
            self.drive(node as NodeIndex);
        }
    }

    /// A node closes all its links, as a peer does that is full.
    pub fn hang_up(&mut self, node: usize) {
        let links = self.nodes.get(node).map(|node| node.links()).unwrap_or_default();
        for link in links {
            self.close(node as NodeIndex, link, Reason::Full);
        }
        self.drive(node as NodeIndex);
    }

    /// Everything that can be set right is: clocks, disks, validators, the partition; who crashed is back with its position log,
    /// and who left the topic has joined it again.
    pub fn set_right(&mut self) {
        self.heal();
        for node in 0..self.nodes.len() {
            let Some(this) = self.nodes.get_mut(node) else { continue };
            let left = this.troubles.left;
            this.skew_ms = this.skew_ms.saturating_sub(this.troubles.stepped_ms);
            this.troubles = Troubles {
                thinks: this.troubles.thinks.map(|_| Duration::ZERO),
                left,
                ..Troubles::default()
            };
            self.rejoin_topic(node);
            self.restart(node, true);
        }
    }

    /// Whether every honest node hears, is heard and has come to rest: each says one thing, which each must be given once; no
    /// publish request of all there ever were is without an answer; and then the tables are as small as what is in use. Call
    /// it 60 s after [`Network::set_right`], where nobody lies or all liars are gone.
    ///
    /// # Errors
    /// All that did not hold.
    pub fn check_recovered(&mut self) -> Result<(), Vec<Broken>> {
        let began = self.now;
        let all: Vec<_> =
            (0..self.len()).filter(|node| self.is_honest(*node) && self.is_alive(*node)).collect();
        let refused = self.record.refused.len();
        for node in &all {
            self.publish(*node, format!("node {node} is well at {began}"));
        }
        let mut broken: Vec<_> = self.run_checked(HEARD_WITHIN).err().into_iter().collect();
        let mut wrong = |node: usize, what: String| broken.push(Broken { at: self.elapsed(), node, what });
        for refused in self.record.refused.iter().skip(refused) {
            wrong(refused.node, format!("can't publish after its recovery: {}", refused.error));
        }
        for (publish_id, node) in self.record.unanswered() {
            wrong(node as usize, format!("has never answered publish request {}", publish_id.0));
        }
        let authors =
            self.record.rumors.iter().filter(|told| told.published >= began).map(|told| told.author);
        let authors: std::collections::BTreeSet<_> = authors.collect();
        for node in &all {
            let Some(key) = self.nodes.get(*node).map(|node| node.key) else { continue };
            if !authors.contains(&key) {
                wrong(*node, "is not heard after its recovery".to_owned());
            }
        }
        for told in self.record.rumors.iter().filter(|told| told.published >= began) {
            for node in &all {
                if told.at.get(*node).is_none_or(|at| *at == super::record::NEVER) {
                    wrong(*node, format!("does not hear author {} after its recovery", told.author.short()));
                }
            }
        }
        broken.extend(self.run_checked(RESTS_AFTER).err());
        for node in all {
            let restless = self.engine(node).map(|engine| [engine.check(), engine.check_at_rest()].concat());
            let what = restless.into_iter().flatten();
            broken.extend(what.map(|what| Broken { at: self.elapsed(), node, what }));
        }
        if broken.is_empty() { Ok(()) } else { Err(broken) }
    }

    /// A node's disk is asked to record.
    pub(super) fn record(&mut self, node: NodeIndex, from_ms: u64, until_ms: u64) {
        let Some(this) = self.nodes.get(node as usize) else { return };
        let Troubles { record_takes, record_fails, .. } = this.troubles;
        if record_takes.is_zero() && !record_fails {
            return self.on_recorded(node, this.life, (from_ms, until_ms), false);
        }
        let (life, fails) = (this.life, record_fails);
        let what = Happening::Recorded { life, from_ms, until_ms, fails };
        // (A disk that fails says so after a moment: at once, its engine would ask again at once.)
        self.queue.plan(self.now + nanos(record_takes.max(Duration::from_millis(1))), node, what);
    }

    pub(super) fn on_recorded(
        &mut self,
        node: NodeIndex,
        life: u32,
        (from_ms, until_ms): (u64, u64),
        fails: bool,
    ) {
        let Some(this) = self.nodes.get_mut(node as usize).filter(|this| this.life == life) else { return };
        if fails {
            return self.input(node, Input::RecordFailed { why: "no room".to_owned() });
        }
        this.recorded.add(from_ms, until_ms);
        self.input(node, Input::Recorded { from_ms, until_ms });
    }

    /// A node's validators are asked.
    pub(super) fn validate(&mut self, node: NodeIndex, question: ValidationId) {
        let Some(this) = self.nodes.get(node as usize) else { return };
        let thinks = this.troubles.thinks.unwrap_or_default();
        let what = Happening::Validated { life: this.life, question };
        self.queue.plan(self.now + nanos(thinks), node, what);
    }

    pub(super) fn on_validated(&mut self, node: NodeIndex, life: u32, question: ValidationId) {
        if self.nodes.get(node as usize).is_some_and(|this| this.life == life) {
            self.input(node, Input::Validated { question, verdict: Validation::Accept });
        }
    }

    /// Whether a node's links ask validators.
    pub(super) fn validates(&self, node: NodeIndex) -> bool {
        self.nodes.get(node as usize).is_some_and(|node| node.troubles.thinks.is_some())
    }

    /// Whether a node has left the topic.
    pub(super) fn has_left(&self, node: NodeIndex) -> bool {
        self.nodes.get(node as usize).is_some_and(|node| node.troubles.left)
    }
}
