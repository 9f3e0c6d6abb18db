//! Frames that had come in from a link when the engine stopped reading it. They wait, or a flood would come in lumps of what
//! the readers had at hand.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;

use crate::net::FramePermit;
use crate::protocol::LinkId;
use crate::wire::Lane;

/// By link, what is said of the past and of members apart, each in the order in which it came. Bounded by the permits that they hold: 128 KiB for each
/// lane of a link (`net/reader.rs`, `LANE_INBOX`).
#[derive(Debug, Default)]
pub(super) struct Unread {
    links: HashMap<(LinkId, Paused), VecDeque<Reading>>,
}

/// Lanes that are paused together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Paused {
    Living,
    History,
    System,
}

impl Paused {
    const fn with(lane: Lane) -> Self {
        match lane {
            Lane::Control | Lane::Rumors | Lane::Replies => Self::Living,
            Lane::History => Self::History,
            Lane::System => Self::System,
        }
    }
}

/// Frames of one read, until the last of them is handled.
#[derive(Debug)]
struct Reading {
    lane: Lane,
    frames: std::vec::IntoIter<Bytes>,
    _permit: FramePermit,
}

impl Unread {
    /// Whether nothing waits of a lane, or of those that are paused with it.
    pub(super) fn is_empty(&self, link: LinkId, lane: Lane) -> bool {
        !self.links.contains_key(&(link, Paused::with(lane)))
    }

    pub(super) fn add(
        &mut self,
        link: LinkId,
        lane: Lane,
        frames: std::vec::IntoIter<Bytes>,
        permit: FramePermit,
    ) {
        self.links.entry((link, Paused::with(lane))).or_default().push_back(Reading {
            lane,
            frames,
            _permit: permit,
        });
    }

    /// The next frame of a lane, or of those that are paused with it.
    pub(super) fn next(&mut self, link: LinkId, lane: Lane) -> Option<(Lane, Bytes)> {
        let place = (link, Paused::with(lane));
        let waiting = self.links.get_mut(&place)?;
        while let Some(first) = waiting.front_mut() {
            if let Some(frame) = first.frames.next() {
                return Some((first.lane, frame));
            }
            waiting.pop_front();
        }
        self.links.remove(&place);
        None
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::key::SecretKey;
    use crate::net::{LinkClosed, LinkEvent};
    use crate::node::Node;
    use crate::protocol::{Config, Input};
    use crate::rumor::{NetworkId, Position, Topic, seal};
    use crate::wire::{self, FrameWriter, Hello};

    #[tokio::test]
    async fn what_came_in_before_a_pause_waits_and_is_not_lost() {
        // Given a node that lets a link cost it a millisecond, and a link with a hundred bundles, all read already.
        let mut config = Config::default();
        (config.budget.cpu_per_s, config.budget.cpu_burst) =
            (Duration::from_millis(1), Duration::from_millis(1));
        let topic = Topic::named("t").slots_per_tick(100);
        let builder = Node::builder(SecretKey::generate()).network("n").listen("127.0.0.1:0").config(config);
        let (mut actor, _node) = builder.topic(topic.clone()).assemble().await.unwrap();
        let (peer, link) = (SecretKey::generate(), LinkId(7));
        let rules = topic.bind(NetworkId::of("n")).unwrap();
        let clock_ms = crate::node::outside::Outside::default().unix_ms();
        let hello = Hello {
            network: *rules.network().as_bytes(),
            clock_ms,
            topics: vec![*rules.id().as_bytes()],
            ..Hello::default()
        };
        let tick = rules.tick_len().tick_at(clock_ms);
        let said = (0..100).map(|slot| {
            let mut frame = FrameWriter::with_capacity(0);
            frame.push(
                0,
                &seal(&peer, rules.id(), Position { tick, slot }, &[Bytes::from_static(b"a")]).unwrap(),
            );
            frame.finish()
        });
        let frames =
            |lane, frames| LinkEvent::Frames { link, lane, frames, permit: FramePermit::of_nothing() };
        let copies = |actor: &super::super::actor::Actor| actor.parts.engine.stats().counters.copies_in;
        let began = std::time::Instant::now();
        actor.handle(Input::LinkUp { link, peer: peer.public(), dialled: true, remote: None });
        // When all of it is handed over,
        actor.on_link_events(&mut vec![
            frames(Lane::Control, vec![wire::hello(&hello)]),
            frames(Lane::Rumors, said.collect()),
        ]);
        actor.act();
        // Then what the budget allows is taken, and the rest when the link ends.
        // (As much again for each second that a busy machine has taken for it.)
        let most = 30.0 * (1.0 + began.elapsed().as_secs_f64());
        let taken = copies(&actor);
        assert!(taken >= 10 && (taken as f64) < most, "{taken} taken, where {most} may be");
        actor.on_link_events(&mut vec![LinkEvent::Closed { link, why: LinkClosed::ByUs }]);
        assert_eq!(copies(&actor), 100);
        assert!(actor.unread.links.is_empty());
    }
}
