//! A link over which nothing comes, not even what keeps it open: its peer has vanished, or the path to it.

use std::time::Duration;

use super::Link;
use crate::protocol::Mono;

/// A link is quiet when no datagram came for so long, at the least: two that keep it open may be lost.
const QUIET_AFTER: Duration = Duration::from_secs(6);
/// It is quiet after so long at the most, however rarely the peer says that it speaks.
const QUIET_BY: Duration = Duration::from_secs(60);

/// After how long without a datagram a link is quiet whose peer says something so often (0: never), in milliseconds.
fn quiet_after(keep_alive_ms: u16) -> Duration {
    let twice_and_a_bit = Duration::from_millis(keep_alive_ms.into()).saturating_mul(12) / 5;
    twice_and_a_bit.clamp(QUIET_AFTER, QUIET_BY)
}

impl Link {
    /// No datagram has come for so long. True if it has just become quiet.
    pub(in crate::protocol) fn is_silent(&mut self, silence: Duration, now: Mono) -> bool {
        if self.quiet_since.is_some() || silence < quiet_after(self.said.keep_alive_ms) {
            return false;
        }
        self.quiet_since = Some(now.before(silence));
        true
    }

    /// A datagram has come. True if it was quiet.
    pub(in crate::protocol) const fn is_heard_again(&mut self) -> bool {
        self.quiet_since.take().is_some()
    }

    /// Since when nothing has come over it, if it is quiet.
    pub(in crate::protocol) const fn quiet_since(&self) -> Option<Mono> {
        self.quiet_since
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_speaks_rarely_is_quiet_later_but_not_for_ever() {
        let second = Duration::from_secs(1);
        let after = [0, 1_000, 2_500, 15_000, u16::MAX].map(quiet_after);
        assert_eq!(after, [second * 6, second * 6, second * 6, second * 36, second * 60]);
    }
}
