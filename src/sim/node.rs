//! One simulated node: a machine, what may twist its words, and the ends of its links.

use std::collections::HashMap;
use std::time::Duration;

use super::liars::Twist;
use super::machine::Machine;
use super::queue::NodeIndex;
use crate::key::PublicKey;
use crate::protocol::{Input, LinkId, Now};
use crate::wire::Lane;

#[derive(Debug)]
pub(super) struct Node {
    pub(super) machine: Box<dyn Machine>,
    pub(super) key: PublicKey,
    /// `None` for honest nodes.
    pub(super) twist: Option<Box<dyn Twist>>,
    /// Ends of its links, by their number at this node (from 0, never reused).
    pub(super) ends: Vec<End>,
    pub(super) by_peer: HashMap<NodeIndex, LinkId>,
    /// Its clock ahead of true time, milliseconds.
    pub(super) skew_ms: i64,
    /// When its uplink is free again, nanoseconds.
    pub(super) uplink_free: u64,
    /// The earliest wake that is planned for it, nanoseconds.
    pub(super) wake: u64,
    pub(super) bytes_out: u64,
    /// What its transport has taken and its machine has not been told of.
    pub(super) written: Vec<(LinkId, Lane, usize)>,
    pub(super) written_bytes: usize,
}

/// A machine is told what its transport has taken with its next input, or when it is so much: telling it after each
/// frame would double the calls that a frame costs. Far less than the credit of a lane, which would hold it up.
const TELL_WRITTEN: usize = 32 * 1024;

/// One end of a link.
#[derive(Debug)]
pub(super) struct End {
    pub(super) peer: NodeIndex,
    /// The number of the other end at the peer.
    pub(super) there: LinkId,
    pub(super) delay: Duration,
    pub(super) up: bool,
    /// When the last frame of each lane arrives: streams keep their order.
    pub(super) last: [u64; Lane::COUNT],
}

impl Node {
    /// Whether so much is written that the machine may be waiting to hear of it.
    pub(super) const fn owes_room(&self) -> bool {
        self.written_bytes >= TELL_WRITTEN
    }

    /// Tells the machine what its transport has taken.
    pub(super) fn report_written(&mut self, now: Now) {
        self.written_bytes = 0;
        for (link, lane, bytes) in self.written.drain(..) {
            self.machine.handle(now, Input::Written { link, lane, bytes });
        }
    }

    pub(super) fn end(&self, link: LinkId) -> Option<&End> {
        self.ends.get(usize::try_from(link.0).ok()?).filter(|end| end.up)
    }

    pub(super) fn end_mut(&mut self, link: LinkId) -> Option<&mut End> {
        self.ends.get_mut(usize::try_from(link.0).ok()?).filter(|end| end.up)
    }

    pub(super) fn links(&self) -> Vec<LinkId> {
        let up = self.ends.iter().enumerate().filter(|(_, end)| end.up);
        up.map(|(at, _)| LinkId(at as u64)).collect()
    }
}
