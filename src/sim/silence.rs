//! Links over which nothing comes: what `node` reads from its transport, planned here from what cuts and crashes do.

use std::time::Duration;

use super::network::Network;
use super::queue::{Happening, NodeIndex};
use super::time::nanos;
use crate::protocol::{Input, LinkId};

/// After which silences a node is told of it: when its dialler would act, and when its engine would.
const TOLD_AFTER: [Duration; 2] = [Duration::from_secs(4), Duration::from_millis(6_500)];

impl Network {
    /// Nothing comes over a link any more, from now on.
    pub(super) fn falls_silent(&mut self, node: NodeIndex, link: LinkId) {
        for silence in TOLD_AFTER {
            self.queue.plan(self.now + nanos(silence), node, Happening::Silent { link, silence });
        }
    }

    /// Nothing comes over a link for so long, from now on.
    pub(super) fn falls_silent_for(&mut self, node: NodeIndex, link: LinkId, time: Duration) {
        for silence in TOLD_AFTER.into_iter().filter(|silence| *silence < time) {
            self.queue.plan(self.now + nanos(silence), node, Happening::Silent { link, silence });
        }
        self.queue.plan(self.after(time), node, Happening::Heard { link });
    }

    /// Nothing comes over links of this cut any more, from now on.
    pub(super) fn cut_falls_silent(&mut self) {
        for silence in TOLD_AFTER {
            let cut = Happening::CutSilent { cut: self.cuts, silence };
            self.queue.plan(self.now + nanos(silence), 0, cut);
        }
    }

    pub(super) fn on_cut_silent(&mut self, cut: u64, silence: Duration) {
        if self.cuts != cut {
            return;
        }
        for (node, link) in self.cut_links() {
            self.on_silent(node, link, silence);
            self.drive(node);
        }
    }

    /// The ends of running nodes that a cut parts from their peers.
    fn cut_links(&self) -> Vec<(NodeIndex, LinkId)> {
        let mut cut = Vec::new();
        for (index, node) in self.nodes.iter().enumerate().filter(|(_, node)| node.alive) {
            let index = index as NodeIndex;
            let of = |link: &LinkId| node.end(*link).is_some_and(|end| self.is_cut(index, end.peer));
            cut.extend(node.links().into_iter().filter(of).map(|link| (index, link)));
        }
        cut
    }

    /// The cut ends: the next probe of each link gets through.
    pub(super) fn cut_is_heard(&mut self) {
        for (node, link) in self.cut_links() {
            let delay = self.nodes.get(node as usize).and_then(|node| node.end(link)).map(|end| end.delay);
            let at = self.now + nanos(delay.unwrap_or_default() * 2);
            self.queue.plan(at, node, Happening::Heard { link });
        }
    }

    pub(super) fn on_silent(&mut self, node: NodeIndex, link: LinkId, silence: Duration) {
        if self.nodes.get(node as usize).and_then(|this| this.end(link)).is_none() {
            return;
        }
        self.input(node, Input::Silent { link, silence });
        if let Some(this) = self.nodes.get_mut(node as usize) {
            this.dialling.dialler.is_silent(link, silence);
        }
        self.dial_due(node);
    }

    pub(super) fn on_heard(&mut self, node: NodeIndex, link: LinkId) {
        if self.nodes.get(node as usize).and_then(|this| this.end(link)).is_none() {
            return;
        }
        self.input(node, Input::Heard { link });
        if let Some(this) = self.nodes.get_mut(node as usize) {
            this.dialling.dialler.is_heard(link);
        }
    }
}
