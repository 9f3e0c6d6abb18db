//! Liars whose numbers are the largest that the wire can say.

use std::collections::HashSet;

use bytes::Bytes;

use crate::adversary::{Adversary, Me, Outgoing, frames};
use crate::protocol::LinkId;
use crate::rumor::{BundleId, Position};
use crate::wire::{self, Frame, Kind, Lane, MAX_HOPS};

fn with_hops(payload: &Bytes, hops: u8) -> Option<Bytes> {
    frames::rewritten(frames::bundles(payload).map(|raw| (hops, raw.encoded)))
}

/// Links that a [`HopResetter`] pushes to: as many as an honest node does that has a budget left.
const EAGER: usize = 8;

/// B6: acts as if every bundle that reaches it had the largest hop budget there is, and passes it on with that.
#[derive(Debug, Default)]
pub(super) struct HopResetter {
    seen: HashSet<BundleId>,
}

impl Adversary for HopResetter {
    fn outgoing(&mut self, me: &mut Me, frame: Outgoing) {
        if Kind::of(&frame.payload) != Some(Kind::Bundles) {
            return me.send(frame);
        }
        // On the lane of pushes, since a reply's budget is not looked at.
        if let Some(payload) = with_hops(&frame.payload, MAX_HOPS) {
            me.send(Outgoing { lane: Lane::Rumors, payload, ..frame });
        }
    }

    fn incoming(&mut self, me: &mut Me, from: LinkId, _: Lane, payload: &Bytes) {
        let new: Vec<_> = frames::bundles(payload).filter(|raw| self.seen.insert(raw.id)).collect();
        let all = new.into_iter().map(|raw| (MAX_HOPS, raw.encoded));
        let Some(payload) = frames::rewritten(all) else { return };
        let mut links = me.targets();
        links.retain(|link| *link != from);
        for _ in 0..EAGER.min(links.len()) {
            let link = links.swap_remove(me.below(links.len()));
            me.send(Outgoing::now(link, Lane::Rumors, payload.clone()));
        }
    }
}

/// B28: every number that it may choose is at its maximum: the clock of its hello, hop budgets, sizes that it announces, the
/// tick of what it says itself.
#[derive(Debug, Default)]
pub(super) struct Maxima {
    spoken: bool,
}

impl Adversary for Maxima {
    fn outgoing(&mut self, me: &mut Me, frame: Outgoing) {
        let payload = match Kind::of(&frame.payload) {
            Some(Kind::Bundles) => with_hops(&frame.payload, u8::MAX),
            Some(Kind::Hello) => match Frame::decode(frame.payload) {
                Ok(Frame::Hello(hello)) => Some(wire::hello(&wire::Hello { clock_ms: u64::MAX, ..hello })),
                _ => None,
            },
            Some(Kind::Announce) => match Frame::decode(frame.payload) {
                Ok(Frame::Announce(mut announced)) => {
                    announced.items.iter_mut().for_each(|(_, size)| *size = u8::MAX);
                    Some(wire::announce(&announced.topic, &announced.items))
                }
                _ => None,
            },
            _ => Some(frame.payload),
        };
        if let Some(payload) = payload {
            me.send(Outgoing { payload, ..frame });
        }
        if !self.spoken && frame.lane != Lane::Control {
            self.spoken = true;
            let slot = me.rules().slots_per_tick().saturating_sub(1);
            let last = me.seal(Position { tick: u64::MAX, slot }, 1, 1);
            let links = me.targets();
            me.push(&links, last.as_slice());
        }
    }
}
