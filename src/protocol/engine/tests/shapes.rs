//! Shapes of networks, and what a test may ask of the world.

use super::world::{Side, World};
use crate::protocol::{Engine, Now};
use crate::rumor::RuleSet;

impl World {
    pub(super) fn connect(&mut self, dialler: usize, other: usize) -> usize {
        self.wire(Side::Node(dialler), Side::Node(other))
    }

    /// Everybody with everybody.
    pub(super) fn mesh(&mut self) {
        for a in 0..self.nodes.len() {
            for b in 0..a {
                self.connect(a, b);
            }
        }
        self.run(300);
    }

    /// Each with the next.
    pub(super) fn chain(&mut self) {
        for node in 1..self.nodes.len() {
            self.connect(node - 1, node);
        }
        self.run(300);
    }

    /// A ring, so that it is connected, and `extra` random links.
    pub(super) fn graph(&mut self, extra: usize) {
        let count = self.nodes.len();
        let mut linked: Vec<_> = (0..count).map(|node| (node, (node + 1) % count)).collect();
        while linked.len() < count + extra {
            let (a, b) = (self.random.below(count), self.random.below(count));
            if a != b && !linked.contains(&(a, b)) && !linked.contains(&(b, a)) {
                linked.push((a, b));
            }
        }
        for (a, b) in linked {
            self.connect(a, b);
        }
        self.run(300);
    }

    /// So many nodes.
    pub(super) fn nodes(&mut self, count: usize) {
        for _ in 0..count {
            self.node();
        }
    }

    /// Both clocks of a node.
    pub(super) fn now(&self, node: usize) -> Now {
        self.now_with(self.nodes[node].skew_ms)
    }

    pub(super) fn engine(&self, node: usize) -> &Engine {
        &self.nodes[node].engine
    }

    /// The tick that it is, by a clock without skew.
    pub(super) fn tick(&self, rules: &RuleSet) -> u64 {
        rules.tick_len().tick_at(self.now_with(0).unix_ms)
    }

    /// Milliseconds since the world began.
    pub(super) const fn millis(&self) -> u64 {
        self.at / 1_000_000
    }
}
