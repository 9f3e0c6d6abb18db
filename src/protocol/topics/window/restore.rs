//! What the store kept of the last minutes, known again after a restart.

use std::sync::Arc;

use super::capacity::caps;
use super::{Taker, Window};
use crate::protocol::Config;
use crate::protocol::time::{Mono, Now};
use crate::protocol::topics::entry::Entry;
use crate::rumor::{Bundle, SignedHeader};

impl Window {
    /// A bundle that the store holds: it is known, and neither fetched nor delivered again. Older than the relay window, or beyond the
    /// cap of the index, it is left out: then the store's answer says that it is held.
    pub(in crate::protocol) fn restore(&mut self, signed: &SignedHeader, now: Now, config: &Config) {
        let (header, id) = (&signed.header, signed.header.id());
        let room = self.claimed() < config.topics.bundles;
        if !room || !self.is_relayable(header.tick, now) || self.entries.contains_key(&id) {
            return;
        }
        self.insert(id, Entry::restored(*signed), now);
        if self.claim(id, signed, Taker::Us, now, config).is_err() {
            self.forget(&id);
        }
    }

    /// A bundle whose hold-back was under way is held for the whole delay once more. False if it is not known.
    pub(in crate::protocol) fn hold_restored(
        &mut self,
        bundle: &Arc<Bundle>,
        until: Mono,
        now: Mono,
        config: &Config,
    ) -> bool {
        let (id, header) = (bundle.id(), bundle.header());
        let Some(entry) = self.entries.get_mut(&id).filter(|entry| entry.is_accepted()) else { return false };
        entry.holds_restored(Arc::clone(bundle), until);
        let evicted =
            self.bodies.keep(id, header.author, None, header.bytes as usize, caps(config, false), now);
        self.drop_bodies(&evicted);
        true
    }
}
