//! What a link is still owed.

use super::Outbox;

impl Outbox {
    /// Whether the link has all that it is owed: no bundle, announcement, header, proof or greeting waits, and nothing is with the
    /// transport. Pulls and cancels of ours do not count, nor does what says that we lack a bundle: nobody gets less for want of
    /// them, and they go on for as long as others speak. Nor does what is said of the past, which others can say as well, nor a sign of
    /// life, after which the next one comes.
    pub(in crate::protocol) fn owes_nothing(&self) -> bool {
        let living = self.queued_bytes().saturating_sub(self.past_bytes());
        let frames = self.frames.is_empty() && self.evidence.is_empty();
        living == 0 && frames && self.told.is_empty() && self.system.told_all()
    }

    /// Bytes queued and in flight, for statistics.
    pub(in crate::protocol) fn queued_bytes(&self) -> usize {
        let waiting = self.own.bytes() + self.relayed.bytes() + self.replies.bytes() + self.past.bytes();
        self.in_flight.iter().sum::<usize>() + waiting + self.system.bundle_bytes()
    }
}
