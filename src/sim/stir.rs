//! When liars hear, act and send.

use std::time::Duration;

use bytes::Bytes;

use super::network::Network;
use super::queue::{Happening, NodeIndex};
use super::time::nanos;
use crate::adversary::Outgoing;
use crate::protocol::LinkId;
use crate::wire::Lane;

impl Network {
    /// A liar hears a frame and may answer at once.
    pub(super) fn hear(&mut self, node: NodeIndex, link: LinkId, lane: Lane, payload: &Bytes) {
        let now = self.now_of(node);
        let liar = self.nodes.get_mut(node as usize).and_then(|node| node.twist.as_mut());
        let Some(liar) = liar else { return };
        for lie in liar.incoming(now, link, lane, payload) {
            self.transmit(node, lie);
        }
    }

    /// A liar acts, if its moment has come.
    pub(super) fn stir(&mut self, node: NodeIndex) {
        let now = self.now_of(node);
        let liar = self.nodes.get_mut(node as usize).and_then(|node| node.twist.as_mut());
        let Some(liar) = liar else { return };
        let (lies, dials) = liar.wake(now);
        for lie in lies {
            self.transmit(node, lie);
        }
        for peer in dials {
            if let Some(peer) = self.by_key.get(&peer).copied() {
                self.dial(node as usize, peer as usize);
            }
        }
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
}
