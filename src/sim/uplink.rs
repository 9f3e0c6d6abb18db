//! How the frames of a node leave it, when what it can send is limited.
//!
//! What is modelled: one line out, shared by the QUIC connections of the node. quinn sends for one connection after the
//! other, up to ten datagrams each time; inside a connection the system lane goes first, then the control lane, and those of rumors and replies take turns
//! (see `net/writer.rs`). A connection takes what is written to it into a buffer (`net/limits.rs`: 1 MiB) and tells
//! the engine at once; only what does not fit makes the engine wait. So an engine sees the queue of its uplink through
//! that buffer, as it does in production. Bytes that have left and are not acknowledged also fill it in production;
//! over one round trip they are few beside it, and are left out here. A lane that the peer does not read is held up
//! (`reading.rs`).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;

use crate::protocol::{FRAME_OVERHEAD, LinkId};
use crate::wire::Lane;

/// Bytes that one connection sends before the next has its turn: ten datagrams of 1 200 bytes, quinn's
/// `MAX_TRANSMIT_SEGMENTS`.
const TURN: usize = 12_000;

/// The line out of a node.
#[derive(Debug, Default)]
pub(super) struct Uplink {
    links: BTreeMap<LinkId, Backlog>,
    /// Links with something to send, in the order of their turns.
    ring: VecDeque<LinkId>,
    under_way: Option<Turn>,
    /// Lanes whose window at the peer is full.
    held_up: BTreeSet<(LinkId, usize)>,
}

/// What waits in one connection.
#[derive(Debug, Default)]
struct Backlog {
    lanes: [VecDeque<Waiting>; Lane::COUNT],
    bytes: usize,
    /// Written by the engine and not yet taken into the buffer, in order.
    untaken: VecDeque<(Lane, usize)>,
    untaken_bytes: usize,
    replies_next: bool,
    /// Closed: only what is left of its control lane is still written.
    closing: bool,
}

#[derive(Debug)]
struct Waiting {
    payload: Bytes,
    left: usize,
}

/// One turn of one connection.
#[derive(Debug, Default)]
pub(super) struct Turn {
    pub(super) link: Option<LinkId>,
    pub(super) bytes: usize,
    /// Frames whose last byte leaves with it.
    pub(super) frames: Vec<(Lane, Bytes)>,
    /// What the buffer has taken by the end of it.
    pub(super) taken: Vec<(Lane, usize)>,
}

impl Uplink {
    /// Queues a frame. True if the buffer of `room` bytes takes it at once; else the engine is told later, of `owed`
    /// bytes (none, where a liar sends what its engine does not know of).
    pub(super) fn push(
        &mut self,
        link: LinkId,
        lane: Lane,
        payload: Bytes,
        owed: Option<usize>,
        room: usize,
    ) -> bool {
        let backlog = self.links.entry(link).or_default();
        if backlog.closing {
            return true;
        }
        let len = payload.len() + FRAME_OVERHEAD;
        backlog.bytes += len;
        let Some(waiting) = backlog.lanes.get_mut(lane.index()) else { return true };
        waiting.push_back(Waiting { payload, left: len });
        if !self.ring.contains(&link) && !self.held_up.contains(&(link, lane.index())) {
            self.ring.push_back(link);
        }
        let Some(owed) = owed else { return true };
        let taken = backlog.untaken.is_empty() && backlog.bytes <= room.max(len);
        if !taken {
            backlog.untaken.push_back((lane, owed));
            backlog.untaken_bytes += owed;
        }
        taken
    }

    /// Starts the next turn, if the line is free and somebody has something to send; gives its bytes.
    pub(super) fn start(&mut self, room: usize) -> Option<usize> {
        if self.under_way.is_some() {
            return None;
        }
        let link = self.ring.pop_front()?;
        let (backlog, held_up) = (self.links.get_mut(&link)?, &self.held_up);
        let mut turn = Turn { link: Some(link), ..Turn::default() };
        while turn.bytes < TURN && backlog.bytes > 0 {
            let Some(lane) = backlog.next_lane(|lane| held_up.contains(&(link, lane.index()))) else { break };
            let Some(queue) = backlog.lanes.get_mut(lane.index()) else { break };
            let Some(first) = queue.front_mut() else { break };
            let part = first.left.min(TURN - turn.bytes);
            first.left -= part;
            turn.bytes += part;
            backlog.bytes -= part;
            if first.left == 0
                && let Some(whole) = queue.pop_front()
            {
                turn.frames.push((lane, whole.payload));
            }
        }
        while let Some((lane, bytes)) = backlog.untaken.front().copied() {
            let in_buffer = backlog.bytes.saturating_sub(backlog.untaken_bytes);
            if in_buffer + bytes > room.max(bytes) {
                break;
            }
            backlog.untaken.pop_front();
            backlog.untaken_bytes -= bytes;
            turn.taken.push((lane, bytes));
        }
        if backlog.bytes > 0 {
            if backlog.next_lane(|lane| held_up.contains(&(link, lane.index()))).is_some() {
                self.ring.push_back(link);
            }
        } else {
            turn.taken.extend(backlog.untaken.drain(..));
            self.links.remove(&link);
        }
        let bytes = turn.bytes;
        self.under_way = Some(turn);
        Some(bytes)
    }

    /// The turn that is under way is over.
    pub(super) fn finish(&mut self) -> Turn {
        self.under_way.take().unwrap_or_default()
    }

    /// A lane may not send: the peer does not read it.
    pub(super) fn hold_up(&mut self, link: LinkId, lane: Lane) {
        self.held_up.insert((link, lane.index()));
    }

    /// A lane may send again.
    pub(super) fn go_on(&mut self, link: LinkId, lane: Lane) {
        self.held_up.remove(&(link, lane.index()));
        if self.links.contains_key(&link) && !self.ring.contains(&link) {
            self.ring.push_back(link);
        }
    }

    /// A link is closed: of what waits, only its control lane is still written. False if there is nothing of it.
    pub(super) fn says_goodbye(&mut self, link: LinkId) -> bool {
        let under_way = self.under_way.as_ref().is_some_and(|turn| turn.link == Some(link));
        let Some(backlog) = self.links.get_mut(&link) else { return under_way };
        for lane in [Lane::Rumors, Lane::Replies, Lane::History, Lane::System] {
            if let Some(queue) = backlog.lanes.get_mut(lane.index()) {
                queue.clear();
            }
        }
        backlog.closing = true;
        backlog.untaken.clear();
        backlog.untaken_bytes = 0;
        let control = backlog.lanes.get(Lane::Control.index());
        backlog.bytes = control.into_iter().flatten().map(|waiting| waiting.left).sum();
        if backlog.bytes == 0 {
            self.drop_link(link);
            return under_way;
        }
        true
    }

    /// Whether a link still has something to send, or is sending.
    pub(super) fn has(&self, link: LinkId) -> bool {
        self.links.contains_key(&link) || self.under_way.as_ref().is_some_and(|turn| turn.link == Some(link))
    }

    /// A link is down: nothing of it is written any more, unless it says goodbye.
    pub(super) fn close(&mut self, link: LinkId) {
        if self.links.get(&link).is_none_or(|backlog| !backlog.closing) {
            self.drop_link(link);
        }
    }

    pub(super) fn drop_link(&mut self, link: LinkId) {
        self.ring.retain(|other| *other != link);
        self.links.remove(&link);
        self.held_up.retain(|(other, _)| *other != link);
    }
}

impl Backlog {
    fn next_lane(&mut self, held_up: impl Fn(Lane) -> bool) -> Option<Lane> {
        let waits = |lane: Lane| {
            self.lanes.get(lane.index()).is_some_and(|queue| !queue.is_empty()) && !held_up(lane)
        };
        let (rumors, replies) = (waits(Lane::Rumors), waits(Lane::Replies));
        if waits(Lane::System) {
            return Some(Lane::System);
        }
        if waits(Lane::Control) {
            return Some(Lane::Control);
        }
        let lane = match (rumors, replies) {
            (true, true) if self.replies_next => Lane::Replies,
            (true, _) => Lane::Rumors,
            (false, true) => Lane::Replies,
            (false, false) => return waits(Lane::History).then_some(Lane::History),
        };
        self.replies_next = lane == Lane::Rumors;
        Some(lane)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: usize = 50_000;

    fn frame(bytes: usize) -> Bytes {
        Bytes::from(vec![0; bytes - FRAME_OVERHEAD])
    }

    fn push(uplink: &mut Uplink, link: u64, lane: Lane, bytes: usize) -> bool {
        uplink.push(LinkId(link), lane, frame(bytes), Some(bytes), ROOM)
    }

    /// The order in which frames leave, as (link, lane), and after how many bytes.
    fn drain(uplink: &mut Uplink) -> Vec<(u64, Lane, usize)> {
        let (mut order, mut sent) = (Vec::new(), 0);
        while let Some(bytes) = uplink.start(ROOM) {
            sent += bytes;
            let turn = uplink.finish();
            let link = turn.link.map_or(0, |link| link.0);
            order.extend(turn.frames.into_iter().map(|(lane, _)| (link, lane, sent)));
        }
        order
    }

    #[test]
    fn links_take_turns_and_control_goes_first() {
        let mut uplink = Uplink::default();
        push(&mut uplink, 1, Lane::Rumors, 100_000);
        push(&mut uplink, 2, Lane::Rumors, 10_000);
        push(&mut uplink, 2, Lane::Control, 100);
        let order = drain(&mut uplink);
        assert_eq!(
            order,
            [(2, Lane::Control, 22_100), (2, Lane::Rumors, 22_100), (1, Lane::Rumors, 110_100)]
        );
        assert!(uplink.links.is_empty() && uplink.ring.is_empty());
    }

    #[test]
    fn the_engine_waits_for_what_the_buffer_does_not_take() {
        let mut uplink = Uplink::default();
        assert!(push(&mut uplink, 1, Lane::Rumors, 40_000));
        assert!(!push(&mut uplink, 1, Lane::Rumors, 20_000));
        let mut taken = Vec::new();
        while uplink.start(ROOM).is_some() {
            taken.extend(uplink.finish().taken);
        }
        assert_eq!(taken, [(Lane::Rumors, 20_000)]);
    }

    #[test]
    fn closed_links_write_their_control_lane_only_and_in_turn() {
        let mut uplink = Uplink::default();
        push(&mut uplink, 2, Lane::Rumors, 30_000);
        push(&mut uplink, 1, Lane::Rumors, 40_000);
        push(&mut uplink, 1, Lane::Control, 10);
        assert!(uplink.says_goodbye(LinkId(1)) && uplink.has(LinkId(1)));
        uplink.close(LinkId(1));
        let order = drain(&mut uplink);
        assert_eq!(order, [(1, Lane::Control, 12_010), (2, Lane::Rumors, 30_010)]);
        assert!(!uplink.has(LinkId(1)) && !uplink.says_goodbye(LinkId(1)));
    }

    #[test]
    fn a_lane_that_is_not_read_waits_and_the_others_go_on() {
        let mut uplink = Uplink::default();
        uplink.hold_up(LinkId(1), Lane::Rumors);
        push(&mut uplink, 1, Lane::Rumors, 1_000);
        assert!(uplink.start(ROOM).is_none());
        push(&mut uplink, 1, Lane::Replies, 500);
        assert_eq!(drain(&mut uplink), [(1, Lane::Replies, 500)]);
        uplink.go_on(LinkId(1), Lane::Rumors);
        assert_eq!(drain(&mut uplink), [(1, Lane::Rumors, 1_000)]);
        assert!(uplink.links.is_empty() && uplink.ring.is_empty());
    }
}
