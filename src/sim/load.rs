//! Load without an attacker: many rumors, from everybody.

use std::time::Duration;

use super::network::Network;
use super::time::nanos;

/// Rumors published by random honest nodes, at random moments.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    /// Rumors per second, in the whole network.
    pub per_second: f64,
    /// Bytes of each.
    pub size: usize,
    /// For how long.
    pub time: Duration,
}

impl Load {
    /// So much load that a network in which each node can send `uplink` bytes per second is busy to this part (0 to 1)
    /// with copies that are needed: each rumor must come to each node once, and all nodes together send those copies. What
    /// the protocol adds comes on top.
    pub fn of_uplink(part: f64, uplink: u64, size: usize, time: Duration) -> Self {
        Self { per_second: part * uplink as f64 / size.max(1) as f64, size, time }
    }
}

impl Network {
    /// Publishes as the load says while its time passes. Gives the number of rumors.
    pub fn load(&mut self, load: Load) -> usize {
        self.load_while(load, &mut Self::run_for)
    }

    /// As [`Network::load`]; `pass` lets time pass.
    pub(super) fn load_while(&mut self, load: Load, pass: &mut dyn FnMut(&mut Self, Duration)) -> usize {
        let end = self.now.saturating_add(nanos(load.time));
        let mut count = 0usize;
        loop {
            let gap = self.dice.gap(load.per_second);
            if self.now.saturating_add(nanos(gap)) >= end {
                pass(self, Duration::from_nanos(end - self.now));
                return count;
            }
            pass(self, gap);
            let node = self.random_honest();
            let mut body = vec![0; load.size];
            body.iter_mut().zip((count as u64).to_le_bytes()).for_each(|(byte, number)| *byte = number);
            self.publish(node, body);
            count += 1;
        }
    }
}
