//! What is said of the past: small frames before pages, and both behind the living.

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use super::Outbox;
use crate::key::PublicKey;
use crate::protocol::limits::{HISTORY_QUEUE, LANE_CREDIT, LIVING_WAIT, PAGES_AHEAD};
use crate::protocol::time::Mono;
use crate::protocol::total::Total as _;
use crate::rumor::Bundle;
use crate::wire::{self, FrameWriter, Lane, MAX_BUNDLES_PER_FRAME, MAX_FRAME_LEN};

/// Bytes of bundles in one frame of a page, unless one bundle has more: what a slow line shows in the time that an asker waits.
const PAGE_FRAME: usize = 64 * 1024;

/// What belongs to no session.
const NO_SESSION: u32 = u32::MAX;

/// Frames of the lane [`History`](Lane::History) that wait.
#[derive(Debug, Default)]
pub(super) struct Past {
    small: VecDeque<Bytes>,
    pages: VecDeque<Piece>,
    /// Bytes of those.
    bytes: usize,
    /// A lane of the living has waited since that was last asked.
    living_waited: bool,
}

/// A frame of a page.
#[derive(Debug)]
struct Piece {
    /// The session that asked for it.
    session: u32,
    bytes: usize,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Bundles(Vec<Arc<Bundle>>),
    End(Bytes),
}

impl Past {
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    fn push(&mut self, session: u32, bytes: usize, content: Content) {
        self.bytes.gains(bytes);
        self.pages.push_back(Piece { session, bytes, content });
    }
}

impl Outbox {
    /// Queues a small frame of the history. False if there is no room.
    pub(in crate::protocol) fn history(&mut self, frame: Bytes) -> bool {
        let room = self.past.small.len() < HISTORY_QUEUE;
        if room {
            self.past.small.push_back(frame);
        }
        room
    }

    /// Queues a page: bundles, and the frame that ends it. It was read because there was room: see [`Outbox::reads_history`]. Gives how
    /// many bytes it has.
    pub(in crate::protocol) fn page(
        &mut self,
        session: u32,
        bundles: impl IntoIterator<Item = Arc<Bundle>>,
        end: Bytes,
    ) -> usize {
        let before = self.past.bytes;
        self.queue_bundles(session, bundles);
        self.past.push(session, end.len(), Content::End(end));
        self.past.bytes.saturating_sub(before)
    }

    fn queue_bundles(&mut self, session: u32, bundles: impl IntoIterator<Item = Arc<Bundle>>) {
        let mut frame = Vec::new();
        let mut bytes = 0usize;
        for bundle in bundles {
            let len = wire::bundle_item_len(&bundle);
            let full = bytes.saturating_add(len) > PAGE_FRAME || frame.len() >= MAX_BUNDLES_PER_FRAME;
            if full && !frame.is_empty() {
                self.past.push(session, bytes, Content::Bundles(std::mem::take(&mut frame)));
                bytes = 0;
            }
            bytes = bytes.saturating_add(len);
            frame.push(bundle);
        }
        if !frame.is_empty() {
            self.past.push(session, bytes, Content::Bundles(frame));
        }
    }

    /// Queues bundles that no page ends: what answers a question about members. Gives how many bytes they have.
    pub(in crate::protocol) fn records(&mut self, bundles: impl IntoIterator<Item = Arc<Bundle>>) -> usize {
        let before = self.past.bytes;
        self.queue_bundles(NO_SESSION, bundles);
        self.past.bytes.saturating_sub(before)
    }

    /// Drops what waits of the pages of a session.
    pub(in crate::protocol) fn drop_pages(&mut self, session: u32) {
        self.past.pages.retain(|piece| piece.session != session);
        self.past.bytes = self.past.pages.iter().map(|piece| piece.bytes).sum();
    }

    /// Whether a page may be read for this link: none waits, and nothing of the living does. So a link that does not read holds up its
    /// own pages and no more.
    pub(in crate::protocol) fn reads_history(&self, now: Mono) -> bool {
        self.past.pages.is_empty() && !self.living_wait(now)
    }

    /// The next frame of the history. Nothing of authors that were convicted since it was read is in it.
    pub(super) fn next_past(
        &mut self,
        convicted: &mut impl FnMut(&PublicKey) -> bool,
        dropped: &mut u64,
    ) -> Option<Bytes> {
        let credit = self.credit(Lane::History);
        if credit < MAX_FRAME_LEN {
            return None;
        }
        if let Some(frame) = self.past.small.pop_front() {
            return Some(frame);
        }
        if LANE_CREDIT.saturating_sub(credit) >= PAGES_AHEAD {
            return None;
        }
        loop {
            let piece = self.past.pages.pop_front()?;
            self.past.bytes.loses(piece.bytes);
            let bundles = match piece.content {
                Content::End(frame) => return Some(frame),
                Content::Bundles(bundles) => bundles,
            };
            let mut writer = FrameWriter::with_capacity(piece.bytes);
            for bundle in bundles {
                if convicted(&bundle.header().author) {
                    *dropped = dropped.saturating_add(1);
                } else {
                    // A link that has fetched it passes it on by its own rules, not as news.
                    writer.push(0, &bundle);
                }
            }
            if !writer.is_empty() {
                return Some(writer.finish());
            }
        }
    }

    /// Bytes of the history that wait or are with the transport.
    pub(super) fn past_bytes(&self) -> usize {
        let in_flight = self.in_flight.get(Lane::History.index()).copied().unwrap_or(0);
        in_flight.saturating_add(self.past.bytes)
    }

    /// Whether a lane of the living has bytes with the transport that did not move for a while.
    fn living_wait(&self, now: Mono) -> bool {
        let lanes = self.in_flight.iter().zip(&self.progress).enumerate();
        let mut living = lanes.filter(|(lane, _)| *lane != Lane::History.index());
        living.any(|(_, (bytes, progress))| *bytes > 0 && now.since(*progress) > LIVING_WAIT)
    }

    /// A lane is about to move: if one of the living has waited until now, that is remembered.
    pub(super) fn notes_wait(&mut self, now: Mono) {
        self.past.living_waited |= self.living_wait(now);
    }

    /// Whether a lane of the living waits, or has waited since this was asked last.
    pub(in crate::protocol) fn has_living_waited(&mut self, now: Mono) -> bool {
        let waits = self.living_wait(now);
        std::mem::take(&mut self.past.living_waited) || waits
    }

    #[cfg(any(test, feature = "sim"))]
    pub(super) fn check_past(&self, recount: &mut crate::protocol::check::Recount) {
        let bytes = self.past.pages.iter().map(|piece| piece.bytes).sum();
        recount.same("bytes of pages", self.past.bytes, bytes);
        recount
            .holds(self.past.small.len() <= HISTORY_QUEUE, "more small frames of the history than may wait");
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::key::SecretKey;
    use crate::protocol::random::Keyed;
    use crate::rumor::{BundleId, Position, TopicId, seal};

    const TOPIC: TopicId = TopicId::from_bytes([1; 32]);

    fn outbox(now: Mono) -> Outbox {
        Outbox::new(Keyed::default(), now, TopicId::from_bytes([9; 32]))
    }

    /// The lane and length of the next frame.
    fn next(outbox: &mut Outbox, now: Mono) -> Option<(Lane, usize)> {
        let sent = outbox.next(now, |_, _| true, |_| false, &mut 0);
        sent.map(|(lane, frame)| (lane, frame.len()))
    }

    fn all(outbox: &mut Outbox, now: Mono) -> Vec<(Lane, usize)> {
        std::iter::from_fn(|| next(outbox, now)).collect()
    }

    fn frame(len: usize) -> Bytes {
        vec![0; len].into()
    }

    /// A bundle that takes about so many bytes in a frame.
    fn bundle(author: u8, slot: u16, len: usize) -> Arc<Bundle> {
        let (key, at) = (SecretKey::from_seed(&[author; 32]), Position { tick: 1, slot });
        Arc::new(seal(&key, TOPIC, at, &[vec![0; len - 300].into()]).unwrap())
    }

    fn check(outbox: &Outbox) {
        let mut recount = crate::protocol::check::Recount::default();
        outbox.check(&mut recount);
        assert_eq!(recount.complaints(), Vec::<String>::new());
    }

    #[test]
    fn what_is_said_of_the_past_goes_behind_the_living_and_small_frames_first() {
        let now = Mono::default();
        let mut outbox = outbox(now);
        let page = [40_000, 40_000, 40_000].map(|len| bundle(1, 0, len));
        let bytes = outbox.page(1, page, frame(60));
        assert!(bytes == outbox.past.bytes() && (119_000..121_000).contains(&bytes), "{bytes}");
        outbox.page(2, [bundle(1, 1, 30_000), bundle(1, 2, 30_000), bundle(1, 3, 10_000)], frame(61));
        check(&outbox);
        assert!(!outbox.reads_history(now), "one page waits");
        assert!(outbox.history(frame(50)));
        outbox.pull(TOPIC, BundleId::from_bytes([2; 32]));
        let order = all(&mut outbox, now);
        assert_eq!((order[0].0, order[1]), (Lane::Control, (Lane::History, 50)));
        // A page goes as far as it may go ahead: one frame more than that.
        assert_eq!(order.len(), 4, "{order:?}");
        assert!(
            order[2..].iter().all(|(lane, len)| *lane == Lane::History && (39_000..41_000).contains(len))
        );
        // Small frames go before what waits of it, and what was taken back goes not at all.
        outbox.history(frame(51));
        assert_eq!(next(&mut outbox, now), Some((Lane::History, 51)));
        outbox.drop_pages(1);
        check(&outbox);
        outbox.written(Lane::History, 100_000, now);
        let order = all(&mut outbox, now);
        assert!(order.len() == 2 && order[0].1 > order[1].1, "as many as fit a frame: {order:?}");
        outbox.written(Lane::History, 100_000, now);
        assert_eq!(all(&mut outbox, now), [(Lane::History, 61)]);
        assert!(outbox.reads_history(now) && outbox.past.bytes() == 0);
        assert_eq!((0..20).filter(|_| outbox.history(frame(9))).count(), HISTORY_QUEUE);
    }

    #[test]
    fn what_was_read_of_an_author_before_it_was_convicted_does_not_leave() {
        let now = Mono::default();
        let mut outbox = outbox(now);
        outbox.page(1, (0..100).map(|slot| bundle(1 + slot as u8 % 2, slot, 400)), frame(60));
        let guilty = SecretKey::from_seed(&[1; 32]).public();
        let (mut dropped, mut left) = (0, Vec::new());
        while let Some((_, frame)) = outbox.next(now, |_, _| true, |author| *author == guilty, &mut dropped) {
            if let Ok(wire::Frame::Bundles(bundles)) = wire::Frame::decode(frame) {
                left.extend(bundles.map(|raw| raw.unwrap().signed.header.author));
            }
        }
        assert_eq!((left.len(), dropped), (50, 50));
        assert!(!left.contains(&guilty));
        check(&outbox);
    }

    #[test]
    fn no_page_is_read_while_the_living_wait() {
        let now = Mono::from_nanos(1_000_000_000);
        let mut outbox = outbox(now);
        outbox.frame(frame(100));
        assert_eq!(next(&mut outbox, now), Some((Lane::Control, 100)));
        let later = now.plus(LIVING_WAIT + Duration::from_millis(1));
        assert!(outbox.reads_history(now.plus(LIVING_WAIT)) && !outbox.reads_history(later));
        // What waits of the past is nothing that is owed, and holds up no page.
        outbox.history(frame(50));
        assert_eq!(next(&mut outbox, now), Some((Lane::History, 50)));
        assert!(!outbox.owes_nothing());
        outbox.written(Lane::Control, 104, later);
        assert!(outbox.owes_nothing() && outbox.reads_history(later.plus(Duration::from_secs(9))));
        assert!(outbox.has_living_waited(later), "it is remembered");
        assert!(!outbox.has_living_waited(later), "once");
    }
}
