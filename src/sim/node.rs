//! One simulated node: a machine, what may twist its words, and the ends of its links.

use std::collections::HashMap;
use std::time::Duration;

use super::lying::Lying;
use super::machine::Machine;
use super::queue::NodeIndex;
use crate::key::PublicKey;
use crate::protocol::LinkId;
use crate::wire::Lane;

#[derive(Debug)]
pub(super) struct Node {
    pub(super) machine: Box<dyn Machine>,
    pub(super) key: PublicKey,
    /// `None` for honest nodes.
    pub(super) twist: Option<Box<Lying>>,
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
}

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
    pub(super) fn end(&self, link: LinkId) -> Option<&End> {
        self.ends.get(usize::try_from(link.0).ok()?).filter(|end| end.up)
    }

    /// Takes a link down at this end; `None` if it was.
    pub(super) fn shut(&mut self, link: LinkId) -> Option<&End> {
        if let Some(twist) = &mut self.twist {
            twist.part(link);
        }
        let end = self.end_mut(link)?;
        end.up = false;
        Some(end)
    }

    pub(super) fn end_mut(&mut self, link: LinkId) -> Option<&mut End> {
        self.ends.get_mut(usize::try_from(link.0).ok()?).filter(|end| end.up)
    }
}
