//! What runs at a node.

use std::fmt::Debug;

use crate::key::PublicKey;
use crate::protocol::{Action, Engine, Input, Mono, Now};
use crate::wire::Reason;

/// The production [`Engine`], or a simpler protocol to compare it with: the same inputs, the same actions, the same frames.
pub trait Machine: Debug {
    /// Takes in what happened at `now`.
    fn handle(&mut self, now: Now, input: Input);

    /// The next thing to do, or `None` when there is nothing more before the next input or deadline.
    fn poll(&mut self) -> Option<Action>;

    /// When to call [`Machine::handle`] again at the latest.
    fn next_deadline(&self) -> Option<Mono>;

    /// Why a node with this key may not link to it now, if it may not.
    fn would_refuse(&self, peer: &PublicKey) -> Option<Reason> {
        let _ = peer;
        None
    }

    /// The engine, if it is one, to let it say something.
    #[cfg(test)]
    fn engine_mut(&mut self) -> Option<&mut Engine> {
        None
    }

    /// The engine, if it is one: its counters and gauges are what simulations look at.
    fn engine(&self) -> Option<&Engine> {
        None
    }
}

impl Machine for Engine {
    fn handle(&mut self, now: Now, input: Input) {
        Engine::handle(self, now, input);
    }

    fn poll(&mut self) -> Option<Action> {
        Engine::poll(self)
    }

    fn next_deadline(&self) -> Option<Mono> {
        Engine::next_deadline(self)
    }

    fn would_refuse(&self, peer: &PublicKey) -> Option<Reason> {
        Engine::would_refuse(self, peer)
    }

    fn engine(&self) -> Option<&Engine> {
        Some(self)
    }

    #[cfg(test)]
    fn engine_mut(&mut self) -> Option<&mut Engine> {
        Some(self)
    }
}
