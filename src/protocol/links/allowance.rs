//! What a signature costs the link it came over: more, while others wait, for authors that sign more often than they need to.
//!
//! A rumor within its author's quota is genuine, so everybody checks it and passes it on. But a quota counts rumors, and what
//! costs is signatures, of which up to 64 rumors need one. An honest author that says a lot gathers ([`Config::publishing.seal_every`]).
//! One that does not could have a whole network check rumor by rumor, as fast as one link is read.
//!
//! [`Config::publishing.seal_every`]: crate::protocol::Config::publishing

use crate::protocol::limits::LONE_PER_S;
use crate::protocol::meter::Meter;
use crate::protocol::time::Mono;
use crate::rumor::{Header, MAX_RUMORS};

/// Those ahead of that rate: half a second of it, so that what comes at once after a slow line or a cut costs no more.
const LONE_BURST: u64 = LONE_PER_S / 2;

/// How much an author, or all the newcomers of a link, may sign at the usual price.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct Allowance(Meter);

impl Allowance {
    pub(in crate::protocol) fn new() -> Self {
        let full = MAX_RUMORS as u64;
        Self(Meter::new(LONE_PER_S * full, LONE_BURST * full))
    }

    /// Whether the signature of this bundle has the usual price, with `unjudged` others of the same link as if they were all of this
    /// author's, one rumor each.
    pub(in crate::protocol) fn has_room(&self, header: &Header, unjudged: usize, now: Mono) -> bool {
        self.0.allows(now, units(header).saturating_add(unjudged.saturating_mul(MAX_RUMORS) as u64))
    }

    /// A bundle is genuine: its signature counts.
    pub(in crate::protocol) fn take(&mut self, header: &Header, now: Mono) {
        self.take_units(units(header), now);
    }

    /// Whoever goes on beyond it does not run into debt: it pays otherwise.
    fn take_units(&mut self, units: u64, now: Mono) {
        if self.0.allows(now, units) {
            self.0.charge(now, units);
        }
    }
}

/// What a bundle takes of an allowance: as much as its rumors can't share.
fn units(header: &Header) -> u64 {
    (MAX_RUMORS as u64).div_ceil(u64::from(header.count.max(1)))
}
