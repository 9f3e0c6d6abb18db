//! One join of a topic: what its handles and subscriptions share, and how the node learns that the last of them is gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::{mpsc, watch};

use crate::protocol::RepairProgress;
use crate::rumor::TopicId;

/// What handles and subscriptions tell the node without waiting: a join ends once, and a topic is subscribed to once between
/// two looks of the node, so these are few.
#[derive(Debug)]
pub(super) enum Notice {
    /// The last handle and subscription of a join are gone.
    Dropped { topic: TopicId, join: JoinId },
    /// Somebody subscribes to a topic that nobody may have read before.
    Subscribed { topic: TopicId },
}

/// Names one join of this node. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct JoinId(pub(super) u64);

/// Rumors of the topic delivered before a join ended; `u64::MAX` while it goes on.
#[derive(Clone, Debug)]
pub(super) struct End(Arc<AtomicU64>);

impl End {
    fn open() -> Self {
        Self(Arc::new(AtomicU64::new(u64::MAX)))
    }

    /// Whether a join has ended, or the next of its topic's rumors, which has so many `before` it, came after its end.
    pub(super) fn is_before(&self, before: u64) -> bool {
        self.0.load(Ordering::Acquire) <= before
    }

    pub(super) fn is_set(&self) -> bool {
        self.is_before(u64::MAX - 1)
    }
}

/// Shared by all handles and subscriptions of one join. Dropping the last of them ends it.
#[derive(Debug)]
pub(super) struct Membership {
    pub(super) topic: TopicId,
    pub(super) join: JoinId,
    pub(super) end: End,
    /// Links that relay the topic. Its other end goes when the join ends.
    pub(super) links: watch::Receiver<usize>,
    /// How far repair is. Its other end goes when the join ends.
    pub(super) repair: watch::Receiver<RepairProgress>,
    subscribed: Arc<AtomicBool>,
    notices: mpsc::UnboundedSender<Notice>,
}

impl Membership {
    /// Tells the node that there is somebody to deliver to.
    pub(super) fn subscribe(&self) {
        if !self.subscribed.swap(true, Ordering::AcqRel) {
            // An error means that the node is gone.
            let _ = self.notices.send(Notice::Subscribed { topic: self.topic });
        }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        // An error means that the node is gone.
        let _ = self.notices.send(Notice::Dropped { topic: self.topic, join: self.join });
    }
}

/// The node's side of one join.
#[derive(Debug)]
pub(super) struct Member {
    end: End,
    pub(super) links: watch::Sender<usize>,
    repair: watch::Sender<RepairProgress>,
}

impl Member {
    /// Both sides of a new join.
    pub(super) fn begin(
        topic: TopicId,
        join: JoinId,
        (links, repair): (usize, RepairProgress),
        subscribed: &Arc<AtomicBool>,
        notices: mpsc::UnboundedSender<Notice>,
    ) -> (Self, Arc<Membership>) {
        let (links_in, links) = watch::channel(links);
        let (repair_in, repair) = watch::channel(repair);
        let (end, subscribed) = (End::open(), Arc::clone(subscribed));
        let membership = Membership { topic, join, end: end.clone(), links, repair, subscribed, notices };
        (Self { end, links: links_in, repair: repair_in }, Arc::new(membership))
    }

    /// Repair is so far. Those who wait are told if it was elsewhere before.
    pub(super) fn repairs(&self, progress: RepairProgress) {
        self.repair.send_if_modified(|known| std::mem::replace(known, progress) != progress);
    }

    /// The join ends when `before` rumors of the topic have been delivered.
    pub(super) fn end(self, before: u64) {
        self.end.0.store(before, Ordering::Release);
    }
}
