//! What is still to happen, in the order of time; at the same time, in the order it was planned.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use bytes::Bytes;

use crate::protocol::keeping::StoreAnswer;
use crate::protocol::{BatchId, LinkId, ValidationId};
use crate::wire::{Lane, Reason};

/// A node's number in its network.
pub(super) type NodeIndex = u32;

#[derive(Debug)]
pub(super) enum Happening {
    /// A frame reaches a node.
    Arrive { link: LinkId, lane: Lane, payload: Bytes },
    /// The other end has closed a link, or it was silent for too long.
    Down { link: LinkId, reason: Option<Reason> },
    /// A batch of signatures has been checked.
    Judged { batch: BatchId, verdicts: Vec<bool> },
    /// A record is written, or has failed.
    Recorded { life: u32, from_ms: u64, until_ms: u64, fails: bool },
    /// The store has answered.
    Stored { life: u32, answer: Box<StoreAnswer> },
    /// The application has judged a bundle.
    Validated { life: u32, question: ValidationId },
    /// A link that was not read is read again: its next frame.
    Read { link: LinkId, lane: Lane },
    /// The sender hears that there is room again in the window of a lane.
    Room { link: LinkId, lane: Lane },
    /// A closed link has had its time to write its goodbye.
    Flushed { link: LinkId },
    /// The turn of a link on a node's uplink is over.
    TurnOver,
    /// A frame that was held back by its liar wants to leave.
    Leaves { link: LinkId, lane: Lane, payload: Bytes },
    /// A handshake arrives.
    Knock { from: NodeIndex, ordered: bool },
    /// A handshake was answered: the link is up.
    Connected { link: LinkId },
    /// A handshake was refused, or not answered.
    Refused { peer: NodeIndex, ordered: bool, reason: Option<Reason> },
    /// A node asks its dialler.
    Seek,
    /// A liar dials whomever it can.
    Grasp,
    /// A partition has lasted so long that links go down.
    CutForLong { cut: u64 },
    /// It has lasted so long that what keeps links open is missed.
    CutSilent { cut: u64, silence: Duration },
    /// Nothing has come over a link for so long.
    Silent { link: LinkId, silence: Duration },
    /// Something has come over it again.
    Heard { link: LinkId },
    /// A node that said goodbye is gone.
    Gone,
    /// Somebody leaves.
    Leave,
    /// Somebody comes.
    Join,
    /// A deadline of a node may be due.
    Wake,
}

impl Happening {
    /// Whether it is nothing to a node that is down.
    pub(super) const fn needs_a_running_node(&self) -> bool {
        matches!(
            self,
            Self::Arrive { .. }
                | Self::Down { .. }
                | Self::Silent { .. }
                | Self::Heard { .. }
                | Self::Read { .. }
                | Self::Room { .. }
                | Self::Judged { .. }
                | Self::Recorded { .. }
                | Self::Stored { .. }
                | Self::Validated { .. }
                | Self::Wake
        )
    }
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

/// What is planned is kept by spans of so many nanoseconds (a quarter of a millisecond), and only the span that is being
/// lived through is kept in order. One heap of all, some millions large in a wide network, misses the cache at each step.
const SPAN: u64 = 1 << 18;

#[derive(Debug, Default)]
pub(super) struct Queue {
    /// The span that is being lived through, and whatever is planned for before its end.
    current: BinaryHeap<Planned>,
    span: u64,
    later: BTreeMap<u64, Vec<Planned>>,
    count: u64,
}

impl Queue {
    pub(super) fn plan(&mut self, at: u64, node: NodeIndex, what: Happening) {
        let planned = Planned { at, order: self.count, node, what };
        self.count += 1;
        let span = at / SPAN;
        if span <= self.span {
            self.current.push(planned);
        } else {
            self.later.entry(span).or_default().push(planned);
        }
    }

    /// The next thing that happens no later than `until`.
    pub(super) fn next(&mut self, until: u64) -> Option<Planned> {
        while self.current.is_empty() {
            let (span, _) = self.later.first_key_value()?;
            if span.saturating_mul(SPAN) > until {
                return None;
            }
            let (span, planned) = self.later.pop_first()?;
            self.span = span;
            self.current = BinaryHeap::from(planned);
        }
        if self.current.peek()?.at > until { None } else { self.current.pop() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_first_and_then_the_order_of_planning() {
        let mut queue = Queue::default();
        for (node, at) in [(0, 5 * SPAN), (1, 3), (2, 5 * SPAN), (3, SPAN), (4, 3)] {
            queue.plan(at, node, Happening::Wake);
        }
        let mut order = Vec::new();
        assert!(queue.next(2).is_none());
        while let Some(planned) = queue.next(SPAN) {
            order.push(planned.node);
        }
        assert_eq!(order, [1, 4, 3]);
        queue.plan(2 * SPAN, 5, Happening::Wake);
        while let Some(planned) = queue.next(u64::MAX) {
            order.push(planned.node);
        }
        assert_eq!(order, [1, 4, 3, 5, 0, 2]);
    }
}
