//! What this node says of itself: its beacon, the chain that its pulses come from, and its leave.

use core::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;

use super::{MemberSetup, period};
use crate::key::PublicKey;
use crate::protocol::random::Random;
use crate::protocol::{Mono, Now};
use crate::rumor::{
    Beacon, ChainTerms, LONGEST_CHAIN, MAX_CHAIN, MAX_MEMBER_ADDRESSES, MAX_METADATA, MemberRecord,
    PULSE_LEN, PulseChain,
};
use crate::wire::{KeyPrefix, Pulse};

/// A record that could not be published is tried again after so long. (Guess.)
const TRY_AGAIN: Duration = Duration::from_secs(5);
/// The same where the node is about to end.
const LEAVE_AGAIN: Duration = Duration::from_millis(100);
/// After a clock was set back a chain goes on while its pulses are no farther ahead than this, seconds: others take them up to a minute ahead.
const AHEAD_S: u64 = 45;
/// A period that is far off is stated anew at a random time within this, or all would do so at once.
const RESTATE_WITHIN_S: usize = 600;

/// What is being said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Saying {
    /// The newest record is said.
    Nothing,
    /// A record is to be said, not before then.
    Record(Mono),
    /// A record is with the publisher.
    UnderWay,
}

/// A chain, and what its beacon says of it.
#[derive(Debug)]
struct OwnChain {
    terms: ChainTerms,
    chain: PulseChain,
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Own {
    key: PublicKey,
    boot_ms: u64,
    /// It says nothing.
    observes: bool,
    /// A record of this life was said.
    spoke: bool,
    addresses: Vec<SocketAddr>,
    metadata: Bytes,
    chain: Option<OwnChain>,
    /// The chain before it, for those who have not seen the new beacon, and until when.
    before: Option<(OwnChain, Mono)>,
    /// When the next chain begins.
    renew: Mono,
    /// When another period is stated, if this one is far off.
    restate: Option<Mono>,
    saying: Saying,
    /// The next record is not the one that is under way.
    again: bool,
    leaving: bool,
    /// The epoch of the last pulse of the present chain.
    revealed: u64,
    revealed_at: Mono,
    /// When the next epoch's pulse is due.
    next: Mono,
}

impl Own {
    pub(super) fn new(key: PublicKey, boot_ms: u64, setup: MemberSetup, now: Mono) -> Self {
        Self {
            key,
            boot_ms,
            observes: setup.observes,
            spoke: false,
            addresses: some(setup.addresses),
            metadata: setup.metadata,
            chain: None,
            before: None,
            renew: now,
            restate: None,
            saying: Saying::Record(now),
            again: false,
            leaving: false,
            revealed: 0,
            revealed_at: now,
            next: now,
        }
    }

    /// It has other metadata from now on. False if they are too long.
    pub(super) fn describe(&mut self, metadata: Bytes, now: Mono) -> bool {
        if metadata.len() > MAX_METADATA {
            return false;
        }
        if metadata != self.metadata {
            self.metadata = metadata;
            self.say(now);
        }
        true
    }

    /// It can be dialled there from now on.
    pub(super) fn advertise(&mut self, addresses: Vec<SocketAddr>, now: Mono) {
        let addresses = some(addresses);
        if addresses != self.addresses {
            self.addresses = addresses;
            self.say(now);
        }
    }

    /// It leaves: that is the last thing that it says.
    pub(super) fn leave(&mut self, now: Mono) {
        if !self.spoke {
            // Nobody knows that it was here.
            self.observes = true;
        } else if !self.observes {
            self.leaving = true;
            self.say(now);
        }
    }

    pub(super) const fn is_leaving(&self) -> bool {
        self.leaving
    }

    /// Whether it is here, and has not said so in this life.
    pub(super) const fn is_unsaid(&self) -> bool {
        !self.observes && !self.leaving && !self.spoke
    }

    pub(super) const fn boot_ms(&self) -> u64 {
        self.boot_ms
    }

    pub(super) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    pub(super) const fn metadata(&self) -> &Bytes {
        &self.metadata
    }

    /// Whether its last record is said, or nothing is to be said.
    pub(super) const fn is_said(&self) -> bool {
        matches!(self.saying, Saying::Nothing)
    }

    /// Whether it has said something in this life, and that one began before.
    pub(super) const fn spoke_after(&self, boot_ms: u64) -> bool {
        self.spoke && boot_ms < self.boot_ms
    }

    /// What it says of itself is said again.
    pub(super) fn says_again(&mut self, now: Mono) {
        if self.spoke && !self.leaving {
            self.say(now);
        }
    }

    fn say(&mut self, now: Mono) {
        if self.saying == Saying::UnderWay {
            self.again = true;
        } else {
            self.saying = Saying::Record(now);
        }
    }

    /// The publisher has answered.
    pub(super) fn said(&mut self, published: bool, now: Mono) {
        self.spoke |= published;
        let again = std::mem::take(&mut self.again);
        self.saying = match (published, again) {
            (true, false) => Saying::Nothing,
            (true, true) => Saying::Record(now),
            // It has little time to say so.
            (false, _) if self.leaving => Saying::Record(now.plus(LEAVE_AGAIN)),
            (false, _) => Saying::Record(now.plus(TRY_AGAIN)),
        };
    }

    /// The record that is to be said now, if one is. A chain whose time has come begins with it.
    pub(super) fn takes_record(
        &mut self,
        would_state: u16,
        random: &mut Random,
        now: Now,
    ) -> Option<MemberRecord> {
        if self.observes {
            return None;
        }
        if self.leaving {
            return self.is_due(now.mono).then(|| {
                self.saying = Saying::UnderWay;
                MemberRecord::Leave { boot_ms: self.boot_ms }
            });
        }
        self.restates(would_state, random, now.mono);
        let renews =
            now.mono >= self.renew || self.restate.is_some_and(|at| now.mono >= at) || self.is_over(now);
        if renews && self.saying == Saying::Nothing {
            self.saying = Saying::Record(now.mono);
        }
        if !self.is_due(now.mono) {
            return None;
        }
        if renews || self.chain.is_none() {
            self.begins_chain(would_state, random, now);
        }
        let chain = self.chain.as_ref()?.terms;
        self.saying = Saying::UnderWay;
        Some(MemberRecord::Beacon(Beacon {
            boot_ms: self.boot_ms,
            chain,
            addresses: self.addresses.clone(),
            metadata: self.metadata.clone(),
        }))
    }

    fn is_due(&self, now: Mono) -> bool {
        matches!(self.saying, Saying::Record(at) if at <= now)
    }

    /// Whether the chain is over, or begins so far from now that others refuse a record with it: the clock was set, or
    /// the monotonic one stood still with the machine.
    fn is_over(&self, now: Now) -> bool {
        self.chain.as_ref().is_some_and(|own| {
            let (now_s, starts) = (now.unix_ms / 1000, own.terms.starts(own.terms.start.into()));
            own.terms.epoch_at(now_s) > own.terms.epoch_of(own.terms.len)
                || starts > now_s.saturating_add(AHEAD_S)
        })
    }

    fn restates(&mut self, would_state: u16, random: &mut Random, now: Mono) {
        let off = self.chain.as_ref().is_some_and(|own| period::is_off(own.terms.epoch_s, would_state));
        match self.restate {
            None if off => {
                let wait = random.below(RESTATE_WITHIN_S.saturating_mul(1000));
                self.restate = Some(now.plus(Duration::from_millis(wait as u64)));
            }
            Some(_) if !off => self.restate = None,
            _ => {}
        }
    }

    fn begins_chain(&mut self, epoch_s: u16, random: &mut Random, now: Now) {
        let mut seed = [0; PULSE_LEN];
        for part in seed.chunks_mut(8) {
            part.copy_from_slice(random.next_u64().to_le_bytes().get(..part.len()).unwrap_or_default());
        }
        let most = LONGEST_CHAIN / u64::from(epoch_s.max(1));
        let len = u16::try_from(most).unwrap_or(MAX_CHAIN).min(MAX_CHAIN);
        let chain = PulseChain::new(&self.key, len, seed);
        let mut terms = ChainTerms { epoch_s, start: 0, len, anchor: chain.anchor() };
        let epoch = terms.epoch_at(now.unix_ms / 1000);
        // (Unix time fits u32 in epochs of five seconds until the year 2650.)
        terms.start = u32::try_from(epoch).unwrap_or(u32::MAX);
        (self.revealed, self.revealed_at) = (u64::from(terms.start), now.mono);
        let lasts = u64::from(len).saturating_mul(epoch_s.into());
        // At a random 75 to 90 % of it, so that those who started together do not renew together.
        let share = 750 + random.below(151) as u64;
        self.renew = now.mono.plus(Duration::from_millis(lasts.saturating_mul(share)));
        self.restate = None;
        let both = period::lease(Duration::from_secs(epoch_s.into())).max(Duration::from_secs(60));
        if let Some(old) = self.chain.replace(OwnChain { terms, chain }) {
            let both = both.max(period::lease(Duration::from_secs(old.terms.epoch_s.into())));
            self.before = Some((old, now.mono.plus(both)));
        }
        self.next = now.mono;
    }

    /// The pulses that are due now: one of the present chain, and for a while one of that before it.
    pub(super) fn takes_pulses(&mut self, now: Now) -> Vec<(ChainTerms, Pulse)> {
        if self.leaving || now.mono < self.next {
            return Vec::new();
        }
        self.before.take_if(|(_, until)| now.mono >= *until);
        let Some(own) = &self.chain else { return Vec::new() };
        let point = point_of(&self.key, own.terms.epoch_s);
        let at_s = now.unix_ms.saturating_sub(point) / 1000;
        let mut epoch = own.terms.epoch_at(at_s);
        self.next = now.mono.plus(Duration::from_millis(next_in(own.terms, epoch, point, now.unix_ms)));
        if epoch <= self.revealed {
            // The clock was set back, or the chain has begun in an epoch whose own point is still to come. Others take a pulse that is a little
            // ahead, and would else hear nothing for as long.
            if now.mono.since(self.revealed_at) < Duration::from_secs(own.terms.epoch_s.into()) {
                return Vec::new();
            }
            epoch = self.revealed.saturating_add(1);
            if own.terms.starts(epoch).saturating_sub(now.unix_ms / 1000) > AHEAD_S {
                // So far ahead they would refuse it, and each after it.
                self.renew = now.mono;
                return Vec::new();
            }
        }
        if own.terms.index_of(epoch).is_some() {
            (self.revealed, self.revealed_at) = (epoch, now.mono);
        }
        let at_s = own.terms.starts(epoch);
        let chains = [Some(own), self.before.as_ref().map(|(own, _)| own)];
        let pulse = |own: &OwnChain| {
            let index = own.terms.index_of(own.terms.epoch_at(at_s))?;
            let value = own.chain.reveal(index)?;
            let member = KeyPrefix::of(&self.key);
            Some((own.terms, Pulse { member, index: index.into(), value, failed_here: false }))
        };
        chains.into_iter().flatten().filter_map(pulse).collect()
    }

    /// Whether this value is one of ours that we have not revealed: then somebody else runs with our key and our memory.
    pub(super) fn foresees(&self, pulse: &Pulse) -> bool {
        let Ok(index) = u16::try_from(pulse.index) else { return false };
        let Some(own) = &self.chain else { return false };
        own.terms.epoch_of(index) > self.revealed && own.chain.reveal(index) == Some(pulse.value)
    }

    /// When to look again.
    pub(super) fn due(&self) -> Mono {
        if self.observes {
            return Mono::from_nanos(u64::MAX);
        }
        let record = match self.saying {
            Saying::Record(at) => Some(at),
            Saying::UnderWay => None,
            Saying::Nothing if self.leaving => None,
            Saying::Nothing => Some(self.restate.map_or(self.renew, |restate| self.renew.min(restate))),
        };
        let pulse = (self.chain.is_some() && !self.leaving).then_some(self.next);
        record.into_iter().chain(pulse).min().unwrap_or(Mono::from_nanos(u64::MAX))
    }

    /// The period that the present beacon states; `None` before the first.
    pub(super) fn period(&self) -> Option<Duration> {
        self.chain.as_ref().map(|own| Duration::from_secs(own.terms.epoch_s.into()))
    }
}

fn some(mut addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    for address in &mut addresses {
        address.set_ip(address.ip().to_canonical());
    }
    addresses.truncate(MAX_MEMBER_ADDRESSES);
    addresses
}

/// How long after the beginning of each epoch a member reveals its pulse, milliseconds: its key decides, or all would in one second.
fn point_of(key: &PublicKey, epoch_s: u16) -> u64 {
    let first = key.as_bytes().first_chunk::<8>().copied().map_or(0, u64::from_le_bytes);
    first % u64::from(epoch_s).saturating_mul(1000).max(1)
}

/// In how many milliseconds the pulse of the epoch after this one is due.
fn next_in(terms: ChainTerms, epoch: u64, point: u64, now_ms: u64) -> u64 {
    let at_ms = terms.starts(epoch.saturating_add(1)).saturating_mul(1000).saturating_add(point);
    at_ms.saturating_sub(now_ms).clamp(1, u64::from(terms.epoch_s).saturating_mul(1000).max(1))
}
