//! What the engine waits for.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::linkset::Slot;
use super::shrink::Shrink as _;
use super::time::Mono;
use super::{LinkId, ValidationId};
use crate::rumor::{BundleId, TopicId};

/// What is wanted. The topic belongs to it: an id announced under a wrong topic is another want, or the lie would have the
/// right ones asked for what they don't hold.
pub(super) type WantId = (TopicId, BundleId);

/// A moment that matters. Each variant completes the sentence "it is time when ...". Timers are not cancelled: whoever
/// handles one checks that it still means something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// a round of the repair cycle and of the checks on links is due.
    CycleDue,
    /// bodies and generations may have left their windows.
    SomethingExpires,
    /// more links are told what they were not told for want of room.
    CatchUpDue,
    /// announcements to a link have waited long enough for company.
    AnnouncementsDue(LinkId),
    /// a link may be read again, its budget having refilled.
    BudgetRefilled(LinkId),
    /// the system lane of a link may be read again, its budget having refilled.
    SystemRefilled(LinkId),
    /// the lane of the past of a link may be read again, which was refused too much.
    RefusalsOver(LinkId),
    /// a pulled copy should have come.
    PullOverdue { wanted: WantId, slot: Slot, asked: Mono },
    /// a link that has brought more of what we pulled than it may is asked again.
    PullsAllowed(LinkId),
    /// a wanted id, which every source failed to serve, is worth another try.
    RestOver(WantId),
    /// a bundle has been held back for long enough.
    HoldBackOver { topic: TopicId, id: BundleId },
    /// the application should have judged a bundle.
    ValidatorOverdue(ValidationId),
    /// an author has slots again.
    SlotsFree(TopicId),
    /// peers that ask about the past may be answered again.
    HistoryDue,
    /// somebody may be asked what it has of a topic.
    TurnDue(TopicId),
    /// something that a topic lacks may be asked for.
    HoleDue(TopicId),
    /// links are told that there is more of a topic.
    HintDue(TopicId),
    /// a link should have answered what it has of a topic.
    AnswerOverdue { topic: TopicId, slot: Slot, number: u32 },
    /// a link should have brought what it was asked for.
    PageOverdue(LinkId),
    /// a member's life is to be looked at, or a pulse or a record is due.
    MembersDue,
    /// a key is expelled no longer.
    ExpulsionOver,
    /// a guest has been here for long enough.
    GuestOver(LinkId),
    /// a link that yielded to another of the same peer may be closed.
    LinkSettled(LinkId),
}

/// All timers. Their number is bounded by what they are about: links, pulls, held bundles, questions.
#[derive(Debug, Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<(Mono, u64, Timer)>>,
    count: u64,
}

impl Timers {
    pub(super) fn set(&mut self, at: Mono, timer: Timer) {
        self.heap.push(Reverse((at, self.count, timer)));
        self.count += 1;
    }

    pub(super) fn next(&self) -> Option<Mono> {
        self.heap.peek().map(|Reverse((at, _, _))| *at)
    }

    /// After a flood.
    pub(super) fn shrink(&mut self) {
        self.heap.shrink();
    }

    /// What is waited for.
    #[cfg(any(test, feature = "sim"))]
    pub(super) fn iter(&self) -> impl Iterator<Item = &Timer> {
        self.heap.iter().map(|Reverse((_, _, timer))| timer)
    }

    #[cfg(any(test, feature = "sim"))]
    pub(super) fn len(&self) -> usize {
        self.heap.len()
    }

    /// Places that it has room for.
    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.heap.capacity()
    }

    pub(super) fn pop_due(&mut self, now: Mono) -> Option<Timer> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse((_, _, timer))| timer)
    }
}
