//! Frames that had come in from a link when the engine stopped reading it. They wait, or a flood would come in lumps of what
//! the readers had at hand.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;

use crate::net::FramePermit;
use crate::protocol::LinkId;
use crate::wire::Lane;

/// By link, in the order they came. Bounded by the permits that they hold: 128 KiB for each lane of a link
/// (`net/reader.rs`, `LANE_INBOX`).
#[derive(Debug, Default)]
pub(super) struct Unread {
    links: HashMap<LinkId, VecDeque<Reading>>,
}

/// Frames of one read, until the last of them is handled.
#[derive(Debug)]
struct Reading {
    lane: Lane,
    frames: std::vec::IntoIter<Bytes>,
    _permit: FramePermit,
}

impl Unread {
    pub(super) fn is_empty(&self, link: LinkId) -> bool {
        !self.links.contains_key(&link)
    }

    pub(super) fn add(
        &mut self,
        link: LinkId,
        lane: Lane,
        frames: std::vec::IntoIter<Bytes>,
        permit: FramePermit,
    ) {
        self.links.entry(link).or_default().push_back(Reading { lane, frames, _permit: permit });
    }

    /// The next frame of a link.
    pub(super) fn next(&mut self, link: LinkId) -> Option<(Lane, Bytes)> {
        let waiting = self.links.get_mut(&link)?;
        while let Some(first) = waiting.front_mut() {
            if let Some(frame) = first.frames.next() {
                return Some((first.lane, frame));
            }
            waiting.pop_front();
        }
        self.links.remove(&link);
        None
    }
}
