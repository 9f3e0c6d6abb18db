//! The classic cycle: once a second, whoever has a rumor tells `fanout` random links, whether they have it or not.

use std::collections::BTreeMap;

use super::publisher::Publisher;
use crate::key::SecretKey;
use crate::protocol::{Action, Input, Mono, Now};
use crate::rumor::BundleId;
use crate::sim::Machine;
use crate::wire::Frame;

/// Cycles beyond what the theory asks for. (Guess: the theory is about the expected number.)
const MORE_CYCLES: f64 = 2.0;

#[derive(Debug)]
pub(in crate::sim) struct Cycle {
    publisher: Publisher,
    fanout: usize,
    /// For how many cycles a node repeats a rumor.
    cycles: u32,
    /// What it still repeats, and how often.
    hot: BTreeMap<BundleId, u32>,
    next: Mono,
}

impl Cycle {
    pub(in crate::sim) fn new(
        fanout: usize,
        nodes: usize,
        key: SecretKey,
        seed: &[u8; 32],
        now: Now,
    ) -> Self {
        let mut publisher = Publisher::new(key, seed, now);
        let next = publisher.about_a_second();
        Self { publisher, fanout, cycles: cycles(nodes, fanout), hot: BTreeMap::new(), next }
    }

    fn cycle(&mut self) {
        self.next = self.publisher.about_a_second();
        let hot: Vec<_> = self.hot.keys().copied().collect();
        for id in hot {
            if let Some(bundle) = self.publisher.held.get(&id).cloned() {
                let links = self.publisher.some_but(None, self.fanout);
                self.publisher.tell(&links, &bundle);
            }
            if let Some(left) = self.hot.get_mut(&id) {
                *left = left.saturating_sub(1);
            }
        }
        self.hot.retain(|_, left| *left > 0);
    }
}

/// How many cycles a rumor is repeated for: log to the base fanout + 1 of n to reach most, ln n / fanout for the rest
/// (Pittel, "On spreading a rumor", 1987, for a fanout of one), and a few more.
fn cycles(nodes: usize, fanout: usize) -> u32 {
    let (nodes, fanout) = (nodes.max(2) as f64, fanout.max(1) as f64);
    (nodes.log(fanout + 1.0) + nodes.ln() / fanout + MORE_CYCLES).ceil() as u32
}

impl Machine for Cycle {
    fn handle(&mut self, now: Now, input: Input) {
        let new = match (self.publisher.handle(now, &input), input) {
            (Some(own), _) => vec![own],
            (None, Input::Frame { link, payload, .. }) => match Frame::decode(payload) {
                Ok(Frame::Bundles(bundles)) => self.publisher.take(link, bundles),
                _ => Vec::new(),
            },
            _ => Vec::new(),
        };
        if self.hot.is_empty() {
            self.next = self.publisher.in_step(self.next);
        }
        self.hot.extend(new.iter().map(|bundle| (bundle.id(), self.cycles)));
        if self.next <= now.mono {
            self.cycle();
        }
    }

    fn poll(&mut self) -> Option<Action> {
        self.publisher.poll()
    }

    fn next_deadline(&self) -> Option<Mono> {
        // A node with nothing to tell needs no cycle of its own; the one after it hears something comes late at most.
        (!self.hot.is_empty()).then_some(self.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cycles_grow_with_the_logarithm() {
        assert_eq!((cycles(40, 4), cycles(1_000, 4), cycles(1_000_000, 4)), (6, 9, 15));
    }
}
