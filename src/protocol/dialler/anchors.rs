//! Peers by which a node that starts again finds its network, though nobody of those that it was told of is left.
//!
//! They are the oldest links of its own choice that have brought something genuine, rumors or signs of life of others: whoever has stayed
//! for long is likely to be there after a restart, and liars among the newest are none of them. They are no slots, only addresses that are dialled first.

use std::time::Duration;

use super::peer::Peer;
use super::{Dialler, Kind, Linked, Order, View};
use crate::key::PublicKey;
use crate::protocol::limits::MAX_ANCHORS;
use crate::protocol::{LinkId, Mono};

/// A node looks for the first time after so long: what it finds is better than nothing.
const FIRST_LOOK: Duration = Duration::from_secs(1);
/// How often it looks then: at the most so often a file is written.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// The anchors of one node.
#[derive(Debug)]
pub(super) struct Anchors<A> {
    /// What was ordered to be kept, or was kept by an earlier life.
    kept: Vec<(PublicKey, A)>,
    look_at: Option<Mono>,
}

impl<A> Anchors<A> {
    pub(super) const fn next_deadline(&self) -> Option<Mono> {
        self.look_at
    }
}

impl<A: Clone + Ord> Dialler<A> {
    /// Tells from now on which peers to keep for the next start ([`Order::KeepAnchors`]), and dials those that an earlier life has kept:
    /// until the node has enough links of its own choice, and whenever it has few. Call it before other peers are named, so that
    /// these are dialled first. More than four are left out.
    pub fn keep_anchors(&mut self, now: Mono, earlier: Vec<(PublicKey, A)>) {
        let mut kept = earlier;
        kept.truncate(MAX_ANCHORS);
        for (peer, addr) in &kept {
            // Our own key, in a file that was copied: nobody to dial.
            let _ = self.enter(now, *peer, addr.clone());
        }
        self.anchors = Some(Anchors { kept, look_at: None });
    }

    /// Whether others are to be kept than before.
    pub(super) fn judge_anchors(&mut self, now: Mono, view: &impl View) -> Option<Order<A>> {
        let anchors = self.anchors.as_mut()?;
        if *anchors.look_at.get_or_insert(now.plus(FIRST_LOOK)) > now {
            return None;
        }
        anchors.look_at = Some(now.plus(LOOK_EVERY));
        let kept = &self.anchors.as_ref()?.kept;
        // Links are in the order in which they were made.
        let present = self.links.iter().filter_map(|(link, linked)| self.anchor(*link, linked, view));
        let mut all: Vec<(PublicKey, A)> = Vec::new();
        for (peer, addr) in present.chain(kept.iter().cloned()) {
            if all.len() < MAX_ANCHORS && all.iter().all(|(known, _)| *known != peer) {
                all.push((peer, addr));
            }
        }
        if all == *kept {
            return None;
        }
        self.anchors.as_mut()?.kept.clone_from(&all);
        Some(Order::KeepAnchors { anchors: all })
    }

    /// What a link is worth at the next start. A peer that the application names is named again then.
    fn anchor(&self, link: LinkId, linked: &Linked<A>, view: &impl View) -> Option<(PublicKey, A)> {
        let peer = linked.peer;
        let kept =
            self.anchors.as_ref().is_some_and(|anchors| anchors.kept.iter().any(|(key, _)| *key == peer));
        let named = self.entries.has(&peer) || self.peers.get(&peer).is_none_or(Peer::is_kept);
        let brings = view.is_proven(link) || view.brings_signs(link);
        let good = linked.kind == Kind::Chosen && view.is_live(link) && brings;
        linked.addr.clone().filter(|_| good && (kept || !named)).map(|addr| (peer, addr))
    }
}
