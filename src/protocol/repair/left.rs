//! Topics that were left, of which the store holds something that is over: one at a time, so that nobody waits long for the disk.

use std::time::Duration;

use super::removal::Removal;
use crate::protocol::Mono;
use crate::protocol::keeping::Forgotten;
use crate::rumor::TopicId;

/// They are looked for so often: as rarely as topics that are joined are. (Guess.)
const LEFT_EVERY: Duration = Duration::from_secs(600);
/// So many are removed before they are looked for again, at once if there were more.
const LEFT_AT_ONCE: usize = 64;

/// See the [module](self).
#[derive(Debug, Default)]
pub(in crate::protocol) struct Left {
    /// When they are looked for next; `None` before the node has asked itself for the first time.
    look_at: Option<Mono>,
    /// Topics, each with the first tick that is not over. The last one is being removed.
    over: Vec<(TopicId, u64)>,
    removal: Removal,
    /// Bundles that were left of it after the last step.
    held: u64,
    more: bool,
    /// The store has failed at the one before.
    failed: bool,
}

impl Left {
    /// Whether it is time to look for some. The first time is a while after the start: a clock has shown itself by then.
    pub(in crate::protocol) fn is_due(&mut self, now: Mono) -> bool {
        *self.look_at.get_or_insert(now.plus(LEFT_EVERY)) <= now
    }

    /// The store was asked.
    pub(in crate::protocol) fn asks(&mut self, now: Mono) {
        self.look_at = Some(now.plus(LEFT_EVERY));
        // What the store has not answered in that time it was never given: it has started anew.
        self.stops();
    }

    /// It has answered.
    pub(in crate::protocol) fn found(&mut self, mut over: Vec<(TopicId, u64)>) {
        (self.removal, self.held) = (Removal::default(), 0);
        self.more = over.len() > LEFT_AT_ONCE;
        over.truncate(LEFT_AT_ONCE);
        self.over = over;
    }

    /// A second has gone by.
    pub(in crate::protocol) fn earns(&mut self) {
        self.removal.earns(self.held, LEFT_EVERY);
    }

    /// Whether a step is with the store.
    pub(in crate::protocol) const fn is_under_way(&self) -> bool {
        self.removal.is_under_way()
    }

    /// Whether a step may be given to the store: it is one that all share, or paid for. Then it is.
    pub(in crate::protocol) fn begins(&mut self, is_shared: bool) -> bool {
        self.removal.pays(is_shared) && self.removal.begins()
    }

    /// A step is done.
    pub(in crate::protocol) fn removed(&mut self, left: Forgotten, now: Mono) {
        self.removal.ends(left.more);
        self.held = left.size.bundles;
        if !left.more {
            self.ends(now);
        }
    }

    /// The one that is removed now.
    pub(in crate::protocol) fn next(&self) -> Option<(TopicId, u64)> {
        self.over.last().copied()
    }

    /// Nothing more of it is to be removed.
    pub(in crate::protocol) fn ends(&mut self, now: Mono) {
        self.failed = false;
        self.passes_over(now);
    }

    /// The store fails at it. One is passed over, so that it keeps up no other; where the next fails as well, the store does.
    pub(in crate::protocol) fn fails(&mut self, now: Mono) {
        if std::mem::replace(&mut self.failed, true) { self.stops() } else { self.passes_over(now) }
    }

    fn passes_over(&mut self, now: Mono) {
        self.over.pop();
        (self.removal, self.held) = (Removal::default(), 0);
        if self.over.is_empty() && std::mem::take(&mut self.more) {
            self.look_at = Some(now);
        }
    }

    /// None of them is removed now.
    pub(in crate::protocol) fn stops(&mut self) {
        self.over.clear();
        (self.removal, self.held) = (Removal::default(), 0);
        (self.more, self.failed) = (false, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_looked_for_after_ten_minutes_and_again_at_once_where_there_are_more() {
        let at = |seconds: u64| Mono::default().plus(Duration::from_secs(seconds));
        let topics =
            |count: u8| (0..count).map(|number| (TopicId::from_bytes([number; 32]), 1)).collect::<Vec<_>>();
        let mut left = Left::default();
        assert!(!left.is_due(at(0)) && !left.is_due(at(599)) && left.is_due(at(600)));
        for (count, again) in [(3, false), (65, true)] {
            left.asks(at(600));
            left.found(topics(count));
            let mut ended = 0;
            while left.next().is_some() {
                assert!(!left.is_due(at(601)));
                left.ends(at(601));
                ended += 1;
            }
            assert_eq!((ended, left.is_due(at(601))), (count.min(64), again));
        }
        // One at which the store fails keeps up no other, and two end the round.
        left.asks(at(650));
        left.found(topics(3));
        left.fails(at(650));
        assert!(left.next().is_some());
        left.ends(at(650));
        left.fails(at(650));
        assert_eq!(left.next(), None);
        left.asks(at(660));
        left.found(topics(3));
        left.fails(at(660));
        left.fails(at(660));
        assert_eq!(left.next(), None);
        // An answer that never comes keeps nothing up.
        left.asks(at(700));
        left.found(topics(2));
        assert!(left.is_due(at(1_300)));
        left.asks(at(1_300));
        assert_eq!(left.next(), None);
    }
}
