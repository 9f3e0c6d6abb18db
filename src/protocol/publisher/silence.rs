//! Why an author that has slots and room does not speak: its clock, an earlier life of its key, or somebody else's use of it.

use std::time::Duration;

use crate::protocol::publisher::Publisher;
use crate::protocol::{Mono, Now, PublishError};
use crate::rumor::{Pen, RuleSet, TickLen};

/// A publish request waits so long for the clock to be right, or for the author's first free position: what would take longer
/// is an error that says so.
pub(in crate::protocol) const LONGEST_SILENCE: Duration = Duration::from_secs(60);

/// Why nothing is said in a topic now.
pub(in crate::protocol) enum Silence {
    /// For so long, or a little longer.
    For(Duration),
    /// For too long to wait.
    Fails(PublishError),
}

impl Publisher {
    /// A new pen, which says nothing where an earlier one may have. Where the record of an earlier life reaches into this one, one
    /// tick more: another writer who speaks there can't be taken for that life.
    pub(super) fn pen(&self, rules: &RuleSet) -> Pen {
        let mut silent = self.retired.clone();
        if self.mute_in(&rules.id()).is_none() {
            silent.add_all(&self.earlier);
            let tick = u64::from(rules.tick_len().millis());
            let reach = self.earlier.end_of(self.started_ms).unwrap_or(0);
            if reach > self.started_ms.saturating_add(tick) {
                silent.add(reach, reach.saturating_add(tick));
            }
        }
        Pen::new(rules, silent)
    }

    /// How long nothing may be said in a topic with such ticks, whatever its pen says.
    pub(in crate::protocol) fn is_silent_for(&self, rules: &RuleSet, now: Mono) -> Duration {
        self.mute_for(rules, now).max(self.listens_for(rules.tick_len(), now))
    }

    /// Unix time in milliseconds until which the author is silent in a topic; now or before if it is not.
    pub(in crate::protocol) fn silent_until(&self, rules: &RuleSet, now: Now) -> u64 {
        let pen = match self.pens.get(&rules.id()) {
            Some(pen) => pen.silent_until(now.unix_ms),
            None => self.pen(rules).silent_until(now.unix_ms),
        };
        pen.max(later(now, self.mute_for(rules, now.mono)))
    }

    /// Unix time in milliseconds until which the author is silent in all topics; now if it is not.
    pub(in crate::protocol) fn mute_until(&self, now: Now) -> u64 {
        later(now, self.mute.map_or(Duration::ZERO, |until| until.since(now.mono)))
    }

    /// How long a loaded key without a position log stays silent yet: start + clock skew + one tick, by the monotonic clock, after which
    /// whatever it said in an earlier life is refused by every window.
    fn mute_for(&self, rules: &RuleSet, now: Mono) -> Duration {
        let tick = Duration::from_millis(rules.tick_len().millis().into());
        self.mute_in(&rules.id()).map_or(Duration::ZERO, |until| until.plus(tick).since(now))
    }

    /// How long a key that was used before still listens for another writer: one tick from its first link on.
    fn listens_for(&self, tick_len: TickLen, now: Mono) -> Duration {
        let tick = Duration::from_millis(tick_len.millis().into());
        match self.linked_at {
            Some(at) if self.listens => at.plus(tick).since(now),
            _ => Duration::ZERO,
        }
    }
}

/// The Unix time in milliseconds after a while.
fn later(now: Now, wait: Duration) -> u64 {
    now.unix_ms.saturating_add(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX))
}
