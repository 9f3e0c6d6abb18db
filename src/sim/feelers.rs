//! What a node does that hears nothing: it feels for others.
//!
//! All of a node's links may lead to liars, or to nodes that are cut off as well. It can't tell that from a quiet network by
//! looking at its links, but it can find out: by dialling a few more nodes, for a short while.
//!
//! ```text
//!   heard nothing for 2 s ──> a few feelers ──1 s──> brought nothing: closed, others are tried, after twice the pause
//!                                                └──> brought something genuine: stays, in place of a link that never did
//! ```
//!
//! No link is given up before a better one is there, so a quiet network keeps its links. Bitcoin's nodes dial one more peer
//! when their chain has not grown for long, for the same reason.

use std::time::Duration;

use super::dial::Dialler;
use super::drive::nanos;
use super::network::Network;
use super::node::Node;
use super::queue::{Happening, NodeIndex};
use super::scenario::Start;
use super::topology::Topology;
use crate::protocol::{LinkId, Mono};
use crate::wire::Reason;

/// A node that has heard nothing for so long feels for others. (Guess: some ten round trips.)
const QUIET: Duration = Duration::from_secs(2);
/// Feelers at a time: a handshake costs both sides about a millisecond of CPU. (Guess.)
const FEELERS: usize = 4;
/// A feeler that has brought nothing for so long is closed: time for a handshake, hellos, what is recent to be announced
/// and pulled, with a tenth of a second for each way.
const FEELER_LIVES: Duration = Duration::from_secs(1);
/// The pause after the first feelers is as long as they live; it doubles, up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Draws for nodes to feel for, beyond those that keep a place for us.
const DRAWS: usize = 32;

/// The feelers of one node.
#[derive(Debug, Default)]
pub(super) struct Feelers {
    out: Vec<NodeIndex>,
    /// Rounds since it last heard anything.
    rounds: u32,
    /// When the node looks next, nanoseconds. What was planned for another time is void.
    due: u64,
}

impl Feelers {
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}

/// Links that a node dialled and that never brought anything, but for those to `except`; oldest first.
fn unproven(node: &Node, except: &[NodeIndex]) -> Vec<LinkId> {
    let Some(engine) = node.machine.engine() else { return Vec::new() };
    let dialled = |link: &LinkId| {
        node.end(*link).is_some_and(|end| end.dialled && !except.contains(&end.peer))
            && !engine.is_proven(*link)
    };
    node.links().into_iter().filter(dialled).collect()
}

impl Network {
    /// From now on a node looks whether it hears anything.
    ///
    /// In networks that come up from nothing, that is: elsewhere a node's links are what is given and looked at.
    pub(super) fn feel_from_now(&mut self, node: NodeIndex) {
        if self.scenario.start != Start::Cold || !self.is_honest(node as usize) {
            return;
        }
        self.feel_after(node, QUIET);
    }

    fn feel_after(&mut self, index: NodeIndex, pause: Duration) {
        let due = self.now + nanos(pause);
        if let Some(node) = self.nodes.get_mut(index as usize) {
            node.dialler.feelers.due = due;
            self.queue.plan(due, index, Happening::Feel);
        }
    }

    pub(super) fn feel(&mut self, index: NodeIndex) {
        let now = self.now;
        let due = |node: &&mut Node| node.alive && node.dialler.feelers.due == now;
        let Some(node) = self.nodes.get_mut(index as usize).filter(due) else { return };
        let Some(engine) = node.machine.engine() else { return };
        let heard = engine.heard_at().unwrap_or(Mono::default());
        let is_quiet = Mono::from_nanos(now).since(heard) >= QUIET;
        let felt = std::mem::take(&mut node.dialler.feelers.out);
        self.judge_feelers(index, &felt);
        let Some(node) = self.nodes.get_mut(index as usize) else { return };
        if node.dialler.wanted == 0 {
            return;
        }
        let mut pause = QUIET;
        if is_quiet {
            pause = FEELER_LIVES.saturating_mul(1 << node.dialler.feelers.rounds.min(8)).min(LONGEST_PAUSE);
            node.dialler.feelers.rounds += 1;
            self.send_feelers(index);
        } else {
            node.dialler.feelers.rounds = 0;
        }
        // Feelers are looked at when their time is over, however long the pause.
        let Some(node) = self.nodes.get_mut(index as usize) else { return };
        if pause > FEELER_LIVES && !node.dialler.feelers.out.is_empty() {
            self.queue.plan(self.now + nanos(FEELER_LIVES), index, Happening::FeelersDue);
        }
        self.feel_after(index, pause);
    }

    pub(super) fn feelers_due(&mut self, index: NodeIndex) {
        let Some(node) = self.nodes.get_mut(index as usize).filter(|node| node.alive) else { return };
        let felt = std::mem::take(&mut node.dialler.feelers.out);
        self.judge_feelers(index, &felt);
    }

    /// Those that brought something stay, in place of links that never did; the others go.
    fn judge_feelers(&mut self, index: NodeIndex, felt: &[NodeIndex]) {
        let now = self.now;
        for peer in felt {
            let Some(node) = self.nodes.get_mut(index as usize) else { return };
            let to_peer = |link: &LinkId| node.end(*link).is_some_and(|end| end.peer == *peer && end.dialled);
            let Some(link) = node.links().into_iter().find(to_peer) else { continue };
            let proven = node.machine.engine().is_some_and(|engine| engine.is_proven(link));
            let goes = if proven { unproven(node, felt).first().copied() } else { Some(link) };
            if let Some(goes) = goes {
                if let Some(end) = node.end(goes) {
                    let peer = end.peer;
                    node.dialler.rest(peer, now + nanos(LONGEST_PAUSE));
                }
                self.close(index, goes, Reason::Shutdown);
            }
        }
    }

    fn send_feelers(&mut self, index: NodeIndex) {
        let Some(node) = self.nodes.get(index as usize) else { return };
        let mut candidates = node.dialler.listed.clone();
        if !matches!(self.scenario.topology, Topology::Edges(_)) {
            for _ in 0..DRAWS {
                candidates.push(self.dice.below(self.nodes.len()) as NodeIndex);
            }
        }
        let mut out = Vec::new();
        for peer in candidates {
            if out.len() < FEELERS && !self.ledger.is_gone(peer) && self.is_free(index, peer) {
                self.dial(index as usize, peer as usize);
                out.push(peer);
            }
        }
        if let Some(node) = self.nodes.get_mut(index as usize) {
            node.dialler.feelers.out = out;
        }
    }
}

impl Dialler {
    /// Whether a dial to `peer` is a feeler, which counts as no link until it has brought something.
    pub(super) fn is_feeler(&self, peer: NodeIndex) -> bool {
        self.feelers.out.contains(&peer)
    }
}
