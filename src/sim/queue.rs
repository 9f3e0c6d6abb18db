//! What is still to happen, in the order of time; at the same time, in the order it was planned.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use bytes::Bytes;

use crate::protocol::LinkId;
use crate::wire::Lane;

/// A node's number in its network.
pub(super) type NodeIndex = u32;

#[derive(Debug)]
pub(super) enum Happening {
    /// A frame reaches a node.
    Arrive { link: LinkId, lane: Lane, payload: Bytes },
    /// A node's uplink has sent bytes of a lane.
    Sent { link: LinkId, lane: Lane, bytes: usize },
    /// The other end has closed a link.
    Down { link: LinkId },
    /// A deadline of a node may be due.
    Wake,
}

#[derive(Debug)]
pub(super) struct Planned {
    /// Nanoseconds.
    pub(super) at: u64,
    order: u64,
    pub(super) node: NodeIndex,
    pub(super) what: Happening,
}

impl PartialEq for Planned {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}

impl Eq for Planned {}

impl PartialOrd for Planned {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Planned {
    fn cmp(&self, other: &Self) -> Ordering {
        // The heap gives the greatest first.
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    heap: BinaryHeap<Planned>,
    count: u64,
}

impl Queue {
    pub(super) fn plan(&mut self, at: u64, node: NodeIndex, what: Happening) {
        self.heap.push(Planned { at, order: self.count, node, what });
        self.count += 1;
    }

    /// The next thing that happens no later than `until`.
    pub(super) fn next(&mut self, until: u64) -> Option<Planned> {
        if self.heap.peek()?.at > until { None } else { self.heap.pop() }
    }
}
