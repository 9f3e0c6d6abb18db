//! Liars that promise and serve late, badly or never.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;

use crate::adversary::{Adversary, Me, Outgoing, frames};
use crate::protocol::{LinkId, Mono};
use crate::rumor::BundleId;
use crate::wire::{self, Frame, Kind, Lane};

/// The size class that a liar gives to bundles it knows nothing of: 512 bytes.
const SMALL: u8 = 9;

/// B4: announces whatever it hears of to every honest node, at once and once, and never serves a body.
#[derive(Debug, Default)]
pub(super) struct AnnounceLiar {
    announced: HashSet<BundleId>,
}

impl Adversary for AnnounceLiar {
    fn outgoing(&mut self, me: &mut Me, frame: Outgoing) {
        let helps = matches!(
            Kind::of(&frame.payload),
            Some(Kind::Bundles | Kind::Gone | Kind::Cancel | Kind::Evidence)
        );
        if !helps {
            me.send(frame);
        }
    }

    fn incoming(&mut self, me: &mut Me, from: LinkId, _: Lane, payload: &Bytes) {
        let mut heard: Vec<_> = match Kind::of(payload) {
            Some(Kind::Announce) => match Frame::decode(payload.clone()) {
                Ok(Frame::Announce(announced)) => announced.items,
                _ => return,
            },
            Some(Kind::Bundles) => frames::bundles(payload).map(|raw| (raw.id, SMALL)).collect(),
            Some(Kind::Headers) => match Frame::decode(payload.clone()) {
                Ok(Frame::Headers(headers)) => {
                    headers.iter().map(|signed| (signed.header.id(), SMALL)).collect()
                }
                _ => return,
            },
            _ => return,
        };
        heard.retain(|(id, _)| self.announced.insert(*id));
        if !heard.is_empty() {
            let mut others = me.targets();
            others.retain(|link| *link != from);
            let lie = wire::announce(&me.rules().id(), &heard);
            me.say(&others, &lie);
        }
    }
}

/// Between two copies that a [`Parrot`] repeats: less than any time-out of a pull.
const REPEAT_EVERY: Duration = Duration::from_millis(50);
/// How long ago it must have heard a bundle for its neighbours to have it, too.
const OLD: Duration = Duration::from_secs(1);

/// R4: announces and never serves, as B4, and all the while sends copies of something old where replies are due, so that it looks
/// busy rather than silent.
#[derive(Debug)]
pub(super) struct Parrot {
    announces: AnnounceLiar,
    /// What it repeats.
    old: Option<Bytes>,
    /// What it will repeat, and since when it has it.
    heard: Option<(Mono, Bytes)>,
    next: Mono,
}

impl Parrot {
    /// Begins at a moment of its own.
    pub(super) fn new(me: &mut Me) -> Self {
        Self { announces: AnnounceLiar::default(), old: None, heard: None, next: me.about(0) }
    }
}

impl Adversary for Parrot {
    fn outgoing(&mut self, me: &mut Me, frame: Outgoing) {
        self.announces.outgoing(me, frame);
    }

    fn incoming(&mut self, me: &mut Me, from: LinkId, lane: Lane, payload: &Bytes) {
        if self.heard.is_none() {
            let now = me.now().mono;
            let copy = frames::bundles(payload).take(1).map(|raw| (0, raw.encoded));
            self.heard = frames::rewritten(copy).map(|frame| (now, frame));
        }
        self.announces.incoming(me, from, lane, payload);
    }

    fn next_wake(&self) -> Option<Mono> {
        Some(self.next)
    }

    fn wake(&mut self, me: &mut Me) {
        let now = me.now().mono;
        self.next = now.plus(REPEAT_EVERY);
        if self.heard.as_ref().is_some_and(|(at, _)| now.since(*at) > OLD) {
            self.old = self.heard.take().map(|(_, frame)| frame);
        }
        let Some(frame) = &self.old else { return };
        for link in me.targets() {
            me.send(Outgoing::now(link, Lane::Replies, frame.clone()));
        }
    }
}

/// How much short of the time-out a [`SlowServer`] stays: what jitter and its own clock may cost it.
const MARGIN: Duration = Duration::from_millis(5);

/// B3: forwards and serves everything, but only just before whoever asked would ask somebody else: it knows that the
/// time-out is twice the round trip and 50 ms, and at least 60 ms.
#[derive(Debug)]
pub(super) struct SlowServer;

impl SlowServer {
    fn delay(me: &Me, link: LinkId) -> Duration {
        let rtt = me.link(link).map_or(Duration::ZERO, |known| known.rtt);
        let patience = (rtt * 2 + Duration::from_millis(50)).max(Duration::from_millis(60));
        patience.saturating_sub(rtt + MARGIN)
    }
}

impl Adversary for SlowServer {
    fn outgoing(&mut self, me: &mut Me, frame: Outgoing) {
        let delay = if frame.lane == Lane::Control { Duration::ZERO } else { Self::delay(me, frame.link) };
        me.send(Outgoing { delay, ..frame });
    }
}

/// Longer than any time-out of a pull (2 s).
const TOO_LATE: Duration = Duration::from_secs(3);

/// B5: of any two replies, one stops on its way and comes after the time-out; on a stream it holds up what follows.
#[derive(Debug, Default)]
pub(super) struct Staller {
    replies: u64,
}

impl Adversary for Staller {
    fn outgoing(&mut self, me: &mut Me, frame: Outgoing) {
        let mut delay = Duration::ZERO;
        if frame.lane == Lane::Replies {
            self.replies += 1;
            if self.replies % 2 == 1 {
                delay = TOO_LATE;
            }
        }
        me.send(Outgoing { delay, ..frame });
    }
}

/// One turn of a [`StopAndGo`]: as long as the longest silence that can count as two.
const TURN: Duration = Duration::from_millis(1_500);

/// B38: sends only every other while, and then all that it owes, so that its neighbours look slow to each other. (It hears all
/// the time: a liar that does not read at all is B25, a matter of real links.)
#[derive(Debug)]
pub(super) struct StopAndGo;

impl Adversary for StopAndGo {
    fn outgoing(&mut self, me: &mut Me, frame: Outgoing) {
        let turn = TURN.as_nanos() as u64;
        let now = me.now().mono.as_nanos();
        let stopped = (now / turn) % 2 == 1 && Kind::of(&frame.payload) != Some(Kind::Hello);
        let delay = if stopped { Duration::from_nanos(turn - now % turn) } else { Duration::ZERO };
        me.send(Outgoing { delay, ..frame });
    }
}
