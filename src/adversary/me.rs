//! What an adversary knows at one moment, and how it sends.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::dice::Dice;
use crate::key::{PublicKey, SecretKey};
use crate::protocol::{LinkId, Mono, Now};
use crate::rumor::{Bundle, Position, RuleSet, seal};
use crate::wire::{FrameWriter, Lane, MAX_HOPS};

/// A frame that a liar sends, or that its engine wants to send.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// To where.
    pub link: LinkId,
    /// On which stream.
    pub lane: Lane,
    /// Kind and content.
    pub payload: Bytes,
    /// How much later than now. What follows on the same stream follows after it.
    pub delay: Duration,
}

impl Outgoing {
    /// At once.
    pub const fn now(link: LinkId, lane: Lane, payload: Bytes) -> Self {
        Self { link, lane, payload, delay: Duration::ZERO }
    }
}

/// The other end of one of a liar's links.
#[derive(Clone, Copy, Debug)]
pub struct Acquaintance {
    /// The link.
    pub link: LinkId,
    /// Its node key.
    pub peer: PublicKey,
    /// Round trip of the link.
    pub rtt: Duration,
    /// Whether it is a liar too. Liars know each other.
    pub accomplice: bool,
}

/// A liar's own view: its clocks, its keys, its links, its luck, and the way out for its frames.
#[derive(Debug)]
pub struct Me {
    now: Now,
    key: SecretKey,
    rules: Arc<RuleSet>,
    victim: PublicKey,
    everybody: Arc<[PublicKey]>,
    /// By link number.
    links: Vec<Acquaintance>,
    dice: Dice,
    out: Vec<Outgoing>,
}

/// What all liars of a network share.
#[derive(Clone, Debug)]
pub struct Plot {
    /// The topic that they lie in.
    pub rules: Arc<RuleSet>,
    /// The honest node that liars with a victim are after.
    pub victim: PublicKey,
    /// Every node key of the network.
    pub everybody: Arc<[PublicKey]>,
}

impl Me {
    pub(super) fn new(key: SecretKey, plot: Plot, now: Now, seed: u64) -> Self {
        let Plot { rules, victim, everybody } = plot;
        Self { now, key, rules, victim, everybody, links: Vec::new(), dice: Dice::new(seed), out: Vec::new() }
    }

    pub(super) const fn at(&mut self, now: Now) -> &mut Self {
        self.now = now;
        self
    }

    pub(super) fn meet(&mut self, other: Acquaintance) {
        let at = self.links.partition_point(|known| known.link < other.link);
        self.links.insert(at, other);
    }

    pub(super) fn part(&mut self, link: LinkId) {
        self.links.retain(|known| known.link != link);
    }

    pub(super) fn take_out(&mut self) -> Vec<Outgoing> {
        std::mem::take(&mut self.out)
    }

    /// Where the frames begin that are sent from here on; for adversaries made of others.
    pub(super) const fn mark(&self) -> usize {
        self.out.len()
    }

    /// Takes back the frames that were sent since.
    pub(super) fn since(&mut self, mark: usize) -> Vec<Outgoing> {
        self.out.split_off(mark.min(self.out.len()))
    }

    /// Both its clocks.
    pub const fn now(&self) -> Now {
        self.now
    }

    /// Its node and author key.
    pub const fn key(&self) -> &SecretKey {
        &self.key
    }

    /// The rules of the topic.
    pub fn rules(&self) -> &RuleSet {
        &self.rules
    }

    /// The honest node that liars with a victim are after.
    pub const fn victim(&self) -> PublicKey {
        self.victim
    }

    /// Every node key of the network.
    pub fn everybody(&self) -> &[PublicKey] {
        &self.everybody
    }

    /// Its links that are up.
    pub fn links(&self) -> &[Acquaintance] {
        &self.links
    }

    /// One of them.
    pub fn link(&self, link: LinkId) -> Option<&Acquaintance> {
        let at = self.links.partition_point(|known| known.link < link);
        self.links.get(at).filter(|known| known.link == link)
    }

    /// Its links to honest nodes: whom lies are for.
    pub fn targets(&self) -> Vec<LinkId> {
        self.links.iter().filter(|known| !known.accomplice).map(|known| known.link).collect()
    }

    /// The tick that its clock shows.
    pub fn tick(&self) -> u64 {
        self.rules.tick_len().tick_at(self.now.unix_ms)
    }

    /// A number below `bound`, as the scenario's seed decides.
    pub fn below(&mut self, bound: usize) -> usize {
        self.dice.below(bound)
    }

    /// 32 bytes, as the scenario's seed decides.
    pub fn bytes(&mut self) -> [u8; 32] {
        self.dice.bytes()
    }

    /// A moment some whole seconds from the beginning, later by up to a second, so that liars are not in step.
    pub fn about(&mut self, seconds: u64) -> Mono {
        let within = Duration::from_micros(self.below(1_000_000) as u64);
        Mono::from_nanos(0).plus(Duration::from_secs(seconds) + within)
    }

    /// Signs `count` rumors of `bytes` random bytes each, under `key`.
    pub fn seal_as(
        &mut self,
        key: &SecretKey,
        position: Position,
        count: usize,
        bytes: usize,
    ) -> Option<Bundle> {
        let body = |_| {
            let mut body = vec![0; bytes];
            body.chunks_mut(32).zip(std::iter::repeat_with(|| self.dice.bytes())).for_each(|(part, fill)| {
                part.iter_mut().zip(fill).for_each(|(byte, fill)| *byte = fill);
            });
            Bytes::from(body)
        };
        let bodies: Vec<_> = (0..count).map(body).collect();
        seal(key, self.rules.id(), position, &bodies).ok()
    }

    /// As [`Me::seal_as`], under its own key.
    pub fn seal(&mut self, position: Position, count: usize, bytes: usize) -> Option<Bundle> {
        let key = self.key.clone();
        self.seal_as(&key, position, count, bytes)
    }

    /// Sends a frame.
    pub fn send(&mut self, frame: Outgoing) {
        self.out.push(frame);
    }

    /// Pushes bundles, with the largest hop budget, over each of these links.
    pub fn push(&mut self, links: &[LinkId], bundles: &[Bundle]) {
        let mut rest = bundles;
        while !rest.is_empty() {
            let mut writer = FrameWriter::with_capacity(rest.iter().map(|one| 1 + one.encoded().len()).sum());
            let fitting = rest.iter().take_while(|one| {
                let fits = writer.fits(one);
                if fits {
                    writer.push(MAX_HOPS, one);
                }
                fits
            });
            let taken = fitting.count().max(1);
            let frame = writer.finish();
            for link in links {
                self.send(Outgoing::now(*link, Lane::Rumors, frame.clone()));
            }
            rest = rest.get(taken..).unwrap_or_default();
        }
    }

    /// Sends the same control frame over each of these links.
    pub fn say(&mut self, links: &[LinkId], frame: &Bytes) {
        for link in links {
            self.send(Outgoing::now(*link, Lane::Control, frame.clone()));
        }
    }
}
