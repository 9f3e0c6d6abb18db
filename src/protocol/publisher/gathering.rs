//! Whether what is said next in a topic waits for company.

use std::time::Duration;

use crate::protocol::Mono;

/// Gathering pays only where rumors come side by side. Whoever says one, waits for its id and says the next has no company, and
/// would be held up for nothing. So after a wait in vain the next bundles go at once, and then it is tried again.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    sealed_at: Option<Mono>,
    /// Since when what is sealed next waits for company.
    since: Option<Mono>,
    /// Waits in vain, one after the other.
    vain: u32,
    /// Bundles that go at once before the next try.
    at_once: u32,
}

/// Bundles that go at once after the first wait in vain; twice as many after the second, and so on. One wait of 4 ms in 16 bundles is
/// a quarter of a millisecond for each.
const AT_ONCE: u32 = 16;
const MOST_DOUBLINGS: u32 = 4;

impl Gathering {
    /// How long what is to be sealed waits, if it does.
    pub(super) fn waits(&mut self, now: Mono, every: Duration) -> Option<Duration> {
        if self.at_once > 0 {
            return None;
        }
        // Whoever has been silent for a while is heard at once.
        let speaks = self.sealed_at.is_some_and(|last| last.plus(every) > now);
        let since = match self.since {
            None if !speaks => return None,
            since => *self.since.insert(since.unwrap_or(now)),
        };
        let until = since.plus(every);
        (until > now).then(|| until.since(now))
    }

    /// A bundle of so many rumors is sealed.
    pub(super) fn sealed(&mut self, rumors: usize, now: Mono) {
        self.sealed_at = Some(now);
        let waited = self.since.take().is_some();
        if rumors > 1 {
            (self.vain, self.at_once) = (0, 0);
        } else if waited {
            self.at_once = AT_ONCE << self.vain.min(MOST_DOUBLINGS);
            self.vain = self.vain.saturating_add(1);
        } else {
            self.at_once = self.at_once.saturating_sub(1);
        }
    }
}
