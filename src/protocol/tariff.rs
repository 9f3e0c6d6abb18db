//! What a signature costs the link it came over: more, while others wait, for authors that sign more often than they need to.
//!
//! A rumor within its author's quota is genuine, so everybody checks it and passes it on. But a quota counts rumors, and what
//! costs is signatures, of which up to 64 rumors need one. An honest author that says a lot gathers ([`Config::publishing.seal_every`]).
//! One that does not could have a whole network check rumor by rumor, as fast as one link is read.
//!
//! [`Config::publishing.seal_every`]: super::Config::publishing

use std::time::Duration;

use super::LinkId;
use super::budget::Meter;
use super::engine::Engine;
use super::intake::Sender;
use super::limits::{LONE_PER_S, SURCHARGE};
use super::linkset::Slot;
use super::time::Mono;
use crate::rumor::{Header, MAX_RUMORS};

/// What one signature costs when it is checked alone, the worst case.
const SIGNATURE_COST: Duration = Duration::from_micros(60);
/// Those ahead of that rate: half a second of it, so that what comes at once after a slow line or a cut costs no more.
const LONE_BURST: u64 = LONE_PER_S / 2;

/// How much an author, or all the newcomers of a link, may sign at the usual price.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance(Meter);

impl Allowance {
    pub(super) fn new() -> Self {
        let full = MAX_RUMORS as u64;
        Self(Meter::new(LONE_PER_S * full, LONE_BURST * full))
    }

    /// Whoever goes on beyond it does not run into debt: it pays otherwise.
    fn take(&mut self, units: u64, now: Mono) {
        if self.0.allows(now, units) {
            self.0.charge(now, units);
        }
    }
}

/// What a bundle takes of an allowance: as much as its rumors can't share.
fn units(header: &Header) -> u64 {
    (MAX_RUMORS as u64).div_ceil(u64::from(header.count.max(1)))
}

impl Engine {
    /// Whether a bundle's signature costs its link more. Authors have an allowance each, and newcomers of an open topic one for
    /// each link that brings them, since keys cost nothing.
    pub(super) fn is_surcharged(&mut self, sender: Sender, header: &Header) -> bool {
        let (own, others) = self.verifying.unjudged(sender.link);
        if !others {
            return false;
        }
        // What is not judged yet has taken nothing: as if it were all of this author's, one rumor each.
        let units = units(header).saturating_add(own.saturating_mul(MAX_RUMORS) as u64);
        let allowance = self.allowance(sender.slot, header);
        allowance.is_some_and(|(allowance, now)| !allowance.0.allows(now, units))
    }

    /// A bundle is genuine, so it is its author who said it: only then does it count.
    pub(super) fn take_allowance(&mut self, link: LinkId, header: &Header) {
        let slot = self.links.slot_of(link);
        if let Some((allowance, now)) = slot.and_then(|slot| self.allowance(slot, header)) {
            allowance.take(units(header), now);
        }
    }

    fn allowance(&mut self, slot: Slot, header: &Header) -> Option<(&mut Allowance, Mono)> {
        let (link, window) = (self.links.at_mut(slot)?, self.topics.get_mut(&header.topic)?);
        let now = self.now.mono;
        Some((window.authors.allowance(&header.author, &mut link.newcomers, now), now))
    }

    /// Puts a signature on a link's bill.
    pub(super) fn charge_signature(&mut self, link: LinkId, surcharged: bool) {
        let now = self.now.mono;
        if let Some(link) = self.links.get_mut(link) {
            let factor = if surcharged { SURCHARGE } else { 1 };
            link.budget.charge_cpu(now, SIGNATURE_COST.saturating_mul(factor));
        }
    }
}
