//! Who is shown as here, and as failed, held against who is.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use vouchsafe::{MemberState, PublicKey};
use vouchsafe_cli::exit::Failure;

use super::run::Soak;

/// Nodes that were undisturbed for so long know who lives: a cut, a lease of 17.5 s, a minute until a node judges again.
const KNOWN_AFTER: Duration = Duration::from_secs(120);
/// For all to know all at the end.
const PATIENCE: Duration = Duration::from_secs(90);

impl Soak {
    /// Whether nothing has disturbed a node, nor the network, for long enough.
    fn is_steady(&self, slot: usize, at: Instant) -> bool {
        let place = &self.places[slot];
        let disturbed = place.began.max(place.hears_from).max(place.speaks_from).max(self.healed);
        place.life.is_some() && self.sides.is_none() && disturbed + KNOWN_AFTER <= at
    }

    /// What a node shows of the others.
    pub(super) fn look_at_members(
        &mut self,
        at: Instant,
        slot: usize,
        members: &HashMap<PublicKey, MemberState>,
    ) {
        let lives = self.places.iter().filter(|place| place.life.is_some());
        let complete = lives
            .map(|place| place.key.public())
            .all(|key| members.get(&key).is_some_and(|state| *state == MemberState::Alive));
        match complete {
            true => _ = self.know_all.insert(slot),
            false => _ = self.know_all.remove(&slot),
        }
        if !self.is_steady(slot, at) {
            return;
        }
        for (key, state) in members {
            let Some(of) = self.promises.slot_of(key) else { continue };
            let present = self.places[of].key.public() == *key;
            if present && self.is_steady(of, at) && !state.is_here() {
                self.promises
                    .breaks("failed", || format!("node {slot} shows node {of}, which lives, as {state:?}"));
            }
            if !present && self.places[of].began + KNOWN_AFTER <= at && state.is_here() {
                let key = key.short();
                self.promises
                    .breaks("gone", || format!("node {slot} shows {key}, who has gone, as {state:?}"));
            }
        }
    }

    /// Waits until every node shows every other as alive.
    pub(super) async fn wait_for_members(&mut self) -> Result<(), Failure> {
        let latest = Instant::now() + PATIENCE;
        loop {
            self.look_and_read(Duration::from_millis(500)).await?;
            let up = (0..self.nodes).filter(|slot| self.places[*slot].life.is_some());
            let lacking: Vec<_> = up.filter(|slot| !self.know_all.contains(slot)).collect();
            if lacking.is_empty() {
                return Ok(());
            }
            if Instant::now() > latest {
                for slot in lacking {
                    self.promises.breaks("members", || format!("node {slot} does not know all that live"));
                }
                return Ok(());
            }
        }
    }
}
