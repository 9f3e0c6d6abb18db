//! Liars that run the real engine and lie in what they send.
//!
//! Whatever an honest node would do, a liar can do too, up to the moment of sending; so most strategies are an honest
//! engine behind a filter. The filter sees each frame on its way out and says what goes instead.

use std::collections::HashSet;
use std::fmt::Debug;
use std::time::Duration;

use bytes::Bytes;

use crate::key::PublicKey;
use crate::protocol::{LinkId, Now};
use crate::rumor::BundleId;
use crate::wire::{Frame, FrameWriter, Lane, MAX_HOPS};

/// A frame that a liar wants to send, and how much later than now.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// On which stream.
    pub lane: Lane,
    /// Kind and content.
    pub payload: Bytes,
    /// How much later.
    pub delay: Duration,
}

impl Outgoing {
    fn now(lane: Lane, payload: Bytes) -> Self {
        Self { lane, payload, delay: Duration::ZERO }
    }
}

/// What a liar makes of its engine's frames.
pub trait Twist: Debug {
    /// Called for each frame that the engine wants to send on `link`; gives what is sent instead.
    fn outgoing(&mut self, now: Now, link: LinkId, lane: Lane, payload: Bytes) -> Vec<Outgoing>;

    /// Called for each frame that comes in, before the engine sees it; gives what is sent back at once. `links` are all
    /// links of the liar.
    fn incoming(
        &mut self,
        now: Now,
        links: &[LinkId],
        from: LinkId,
        payload: &Bytes,
    ) -> Vec<(LinkId, Outgoing)> {
        let _ = (now, links, from, payload);
        Vec::new()
    }
}

/// The size class that a liar gives to bundles it knows nothing of: 512 bytes.
const SMALL: u8 = 9;

/// The strategies by name, for scenarios and command lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Liar {
    /// [`Silent`]
    Silent,
    /// [`AnnounceLiar`]
    Announce,
    /// [`HopResetter`]
    Hops,
    /// [`SlowServer`]
    Slow,
    /// [`Silent`] from a moment on ([`WakesUp`]).
    Flash(Duration),
}

impl Liar {
    /// A new liar of this kind.
    pub fn twist(self) -> Box<dyn Twist> {
        match self {
            Self::Silent => Box::new(Silent),
            Self::Announce => Box::new(AnnounceLiar::default()),
            Self::Hops => Box::new(HopResetter),
            Self::Slow => Box::new(SlowServer(Duration::from_millis(50))),
            Self::Flash(after) => Box::new(WakesUp { after, then: Box::new(Silent) }),
        }
    }
}

/// B1: takes everything, says hello, forwards nothing, serves nothing.
#[derive(Debug)]
pub struct Silent;

impl Twist for Silent {
    fn outgoing(&mut self, _: Now, _: LinkId, lane: Lane, payload: Bytes) -> Vec<Outgoing> {
        match Frame::decode(payload.clone()) {
            Ok(Frame::Hello(_) | Frame::Topics(_)) => vec![Outgoing::now(lane, payload)],
            _ => Vec::new(),
        }
    }
}

/// B4: announces whatever it hears of to everybody, at once and once, and never serves a body.
#[derive(Debug, Default)]
pub struct AnnounceLiar {
    announced: HashSet<BundleId>,
}

impl Twist for AnnounceLiar {
    fn outgoing(&mut self, _: Now, _: LinkId, lane: Lane, payload: Bytes) -> Vec<Outgoing> {
        match Frame::decode(payload.clone()) {
            Ok(Frame::Bundles(_) | Frame::Gone(_) | Frame::Cancel(_) | Frame::Evidence(_)) => Vec::new(),
            _ => vec![Outgoing::now(lane, payload)],
        }
    }

    fn incoming(
        &mut self,
        _: Now,
        links: &[LinkId],
        from: LinkId,
        payload: &Bytes,
    ) -> Vec<(LinkId, Outgoing)> {
        let heard: Vec<_> = match Frame::decode(payload.clone()) {
            Ok(Frame::Announce(announced)) => {
                announced.items.into_iter().map(|(id, size)| (announced.topic, id, size)).collect()
            }
            Ok(Frame::Bundles(bundles)) => {
                bundles.flatten().map(|raw| (raw.signed.header.topic, raw.id, SMALL)).collect()
            }
            _ => return Vec::new(),
        };
        let new = heard.into_iter().filter(|(_, id, _)| self.announced.insert(*id));
        let lies: Vec<_> =
            new.map(|(topic, id, size)| crate::wire::announce(&topic, &[(id, size)])).collect();
        let others = links.iter().filter(|link| **link != from);
        others
            .flat_map(|link| lies.iter().map(|lie| (*link, Outgoing::now(Lane::Control, lie.clone()))))
            .collect()
    }
}

/// B6: sets the hop budget of everything it sends to the largest there is.
#[derive(Debug)]
pub struct HopResetter;

impl Twist for HopResetter {
    fn outgoing(&mut self, _: Now, _: LinkId, lane: Lane, payload: Bytes) -> Vec<Outgoing> {
        let Ok(Frame::Bundles(bundles)) = Frame::decode(payload.clone()) else {
            return vec![Outgoing::now(lane, payload)];
        };
        let mut writer = FrameWriter::with_capacity(payload.len());
        for raw in bundles.flatten() {
            if let Ok(bundle) = raw.check() {
                writer.push(MAX_HOPS, &bundle);
            }
        }
        // On the lane of pushes, since a pulled copy's budget is not looked at.
        vec![Outgoing::now(Lane::Rumors, writer.finish())]
    }
}

/// B3: serves and forwards everything, this much later.
#[derive(Debug)]
pub struct SlowServer(pub Duration);

impl Twist for SlowServer {
    fn outgoing(&mut self, _: Now, _: LinkId, lane: Lane, payload: Bytes) -> Vec<Outgoing> {
        vec![Outgoing { lane, payload, delay: self.0 }]
    }
}

/// B2: forwards everything but what one author said.
#[derive(Debug)]
pub struct Censor(pub PublicKey);

impl Twist for Censor {
    fn outgoing(&mut self, _: Now, _: LinkId, lane: Lane, payload: Bytes) -> Vec<Outgoing> {
        let Ok(Frame::Bundles(bundles)) = Frame::decode(payload.clone()) else {
            return vec![Outgoing::now(lane, payload)];
        };
        let mut writer = FrameWriter::with_capacity(payload.len());
        for raw in bundles.flatten().filter(|raw| raw.signed.header.author != self.0) {
            let hops = raw.hops;
            if let Ok(bundle) = raw.check() {
                writer.push(hops, &bundle);
            }
        }
        if writer.is_empty() { Vec::new() } else { vec![Outgoing::now(lane, writer.finish())] }
    }
}

/// B31: behaves until a moment (time since the origin of the monotonic clock), then lies.
#[derive(Debug)]
pub struct WakesUp {
    /// When it starts to lie.
    pub after: Duration,
    /// How.
    pub then: Box<dyn Twist>,
}

impl Twist for WakesUp {
    fn outgoing(&mut self, now: Now, link: LinkId, lane: Lane, payload: Bytes) -> Vec<Outgoing> {
        if Duration::from_nanos(now.mono.as_nanos()) < self.after {
            return vec![Outgoing::now(lane, payload)];
        }
        self.then.outgoing(now, link, lane, payload)
    }

    fn incoming(
        &mut self,
        now: Now,
        links: &[LinkId],
        from: LinkId,
        payload: &Bytes,
    ) -> Vec<(LinkId, Outgoing)> {
        if Duration::from_nanos(now.mono.as_nanos()) < self.after {
            return Vec::new();
        }
        self.then.incoming(now, links, from, payload)
    }
}

/// Two lies at once: the second sees what the first sends.
#[derive(Debug)]
pub struct Both(pub Box<dyn Twist>, pub Box<dyn Twist>);

impl Twist for Both {
    fn outgoing(&mut self, now: Now, link: LinkId, lane: Lane, payload: Bytes) -> Vec<Outgoing> {
        let first = self.0.outgoing(now, link, lane, payload);
        let second = first.into_iter().flat_map(|first| {
            let then = self.1.outgoing(now, link, first.lane, first.payload);
            then.into_iter().map(move |second| Outgoing { delay: first.delay + second.delay, ..second })
        });
        second.collect()
    }

    fn incoming(
        &mut self,
        now: Now,
        links: &[LinkId],
        from: LinkId,
        payload: &Bytes,
    ) -> Vec<(LinkId, Outgoing)> {
        let mut all = self.0.incoming(now, links, from, payload);
        all.extend(self.1.incoming(now, links, from, payload));
        all
    }
}
