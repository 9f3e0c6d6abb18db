//! Infect and die: whoever hears a rumor for the first time tells `fanout` random links, once.

use super::publisher::Publisher;
use crate::key::SecretKey;
use crate::protocol::{Action, Input, Mono, Now};
use crate::sim::Machine;
use crate::wire::Frame;

/// Eager push, once. Of a random graph it reaches the part that the fanout makes likely, and no more: with 4, some 98 %.
#[derive(Debug)]
pub(in crate::sim) struct InfectAndDie {
    publisher: Publisher,
    fanout: usize,
}

impl InfectAndDie {
    pub(in crate::sim) fn new(fanout: usize, key: SecretKey, seed: &[u8; 32], now: Now) -> Self {
        Self { publisher: Publisher::new(key, seed, now), fanout }
    }
}

impl Machine for InfectAndDie {
    fn handle(&mut self, now: Now, input: Input) {
        let (from, new) = match (self.publisher.handle(now, &input), input) {
            (Some(own), _) => (None, vec![own]),
            (None, Input::Frame { link, payload, .. }) => match Frame::decode(payload) {
                Ok(Frame::Bundles(bundles)) => (Some(link), self.publisher.take(link, bundles)),
                _ => return,
            },
            _ => return,
        };
        for bundle in new {
            let links = self.publisher.some_but(from, self.fanout);
            self.publisher.tell(&links, &bundle);
        }
    }

    fn poll(&mut self) -> Option<Action> {
        self.publisher.poll()
    }

    fn next_deadline(&self) -> Option<Mono> {
        None
    }
}
