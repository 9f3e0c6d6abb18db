//! Whether this node may judge others: one that was late, or cut off, or whose clock jumped, has not heard what it should have.

use std::time::Duration;

use crate::protocol::Mono;

/// Being later than this counts.
const LATE: Duration = Duration::from_secs(1);
/// Being later than this is as bad as having been away.
const AWAY: Duration = Duration::from_secs(6);
/// The shortest time that a node waits after it was late.
const AFTER_LATE: Duration = Duration::from_secs(5);
/// The shortest time that a node waits after it was away, with links that work.
const AFTER_AWAY: Duration = Duration::from_secs(60);
/// The same with fewer links than are enough: the others may all be dead, and then no more can be had. (Guess: as long as a failed dial rests,
/// so that in small networks each member was dialled once.)
const AFTER_AWAY_WITH_FEW: Duration = Duration::from_secs(600);
/// With fewer other live members than this, having no link tells nothing: two or three can't tell a cut from a crash.
pub(super) const ALONE_AMONG: usize = 4;
/// With fewer live members than this, hearing nothing new tells nothing.
const SILENT_AMONG: usize = 16;

/// So many links are enough to have come back with, or one to each other member that can be dialled.
pub(super) const ENOUGH_LINKS: usize = 3;

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Fitness {
    /// A short lateness is over then.
    until: Mono,
    /// It was away, or cut off, and has not come back for long enough.
    away: bool,
    /// Since when enough links have been live after that.
    back: Option<Mono>,
    /// Since when any has.
    linked: Option<Mono>,
    /// Since when no link is live; `None` if one is.
    alone: Option<Mono>,
    /// When something new was last heard of another member.
    heard: Mono,
    /// The application was told that the node is isolated.
    isolated: bool,
}

/// What the links and the table are like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Around {
    /// Live links over which something comes.
    pub(super) links: usize,
    /// Live links over which nothing comes.
    pub(super) quiet: usize,
    /// How many of them may be asked: those that were dialled, and are read.
    pub(super) read: usize,
    /// How many would be asked, and are not read.
    pub(super) unread: usize,
    /// Other members that are here.
    pub(super) here: usize,
    /// Of those, how many have an address, as far as [`ENOUGH_LINKS`].
    pub(super) diallable: usize,
    /// This node's own period.
    pub(super) period: Duration,
}

impl Fitness {
    pub(super) const fn new(now: Mono) -> Self {
        Self {
            until: now,
            away: false,
            back: None,
            linked: None,
            alone: Some(now),
            heard: now,
            isolated: false,
        }
    }

    /// The driver called so much later than the engine had asked for.
    pub(super) fn is_late(&mut self, by: Duration, now: Mono) {
        if by >= AWAY {
            self.was_away();
        } else if by > LATE {
            self.until = self.until.max(now.plus(by.saturating_mul(2).max(AFTER_LATE)));
        }
    }

    /// It has missed what was said in a time, or can't say how long that was.
    pub(super) const fn was_away(&mut self) {
        self.away = true;
        (self.back, self.linked) = (None, None);
    }

    /// Something new of another member has come.
    pub(super) const fn hears(&mut self, now: Mono) {
        self.heard = now;
    }

    /// Looks around. True if the node has just found itself isolated.
    pub(super) fn look(&mut self, around: Around, now: Mono) -> bool {
        if around.links == 0 {
            self.alone.get_or_insert(now);
        } else {
            self.alone = None;
        }
        // Links that are quiet have been so for as long.
        let alone = self.alone.is_some_and(|since| around.quiet > 0 || now.since(since) >= AWAY);
        let cut = alone && around.here >= ALONE_AMONG;
        let unheard = now.since(self.heard) >= around.period.saturating_mul(3) / 2;
        let silent = unheard && around.here >= SILENT_AMONG;
        let isolated = cut || silent;
        let enough = around.diallable.clamp(1, ENOUGH_LINKS);
        // Who does not read hears no sign. (A link that brings too much is not read, so liars say how many are not. Of twelve that this node dialled
        // one in a thousand has more than nine.)
        let asked = around.read.saturating_add(around.unread);
        let deaf = around.read.saturating_mul(4) < asked;
        if isolated || deaf {
            self.was_away();
        }
        let told = isolated && !self.isolated;
        self.isolated = isolated;
        if self.away && !isolated && !deaf {
            self.comes_back(around, enough, now);
        }
        told
    }

    /// It was away, and hears others.
    fn comes_back(&mut self, around: Around, enough: usize, now: Mono) {
        let count = |since: &mut Option<Mono>, holds: bool| match holds {
            true => now.since(*since.get_or_insert(now)),
            false => {
                *since = None;
                Duration::ZERO
            }
        };
        let back = count(&mut self.back, around.links >= enough);
        let linked = count(&mut self.linked, around.links > 0);
        let least = AFTER_AWAY.max(around.period);
        if back >= least || linked >= least.max(AFTER_AWAY_WITH_FEW) {
            (self.away, self.back, self.linked) = (false, None, None);
        }
    }

    /// Whether it may judge.
    pub(super) fn may_judge(&self, now: Mono) -> bool {
        !self.away && now >= self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AROUND: Around = Around {
        links: 12,
        quiet: 0,
        read: 12,
        unread: 0,
        here: 20,
        diallable: 20,
        period: Duration::from_secs(5),
    };

    fn at(seconds: u64) -> Mono {
        Mono::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn who_was_late_waits_a_little_and_who_was_away_a_minute_with_links() {
        let mut fitness = Fitness::new(at(100));
        fitness.is_late(Duration::from_millis(900), at(100));
        assert!(fitness.may_judge(at(100)));
        fitness.is_late(Duration::from_millis(1_100), at(100));
        assert_eq!((fitness.may_judge(at(104)), fitness.may_judge(at(105))), (false, true));
        fitness.is_late(Duration::from_secs(4), at(200));
        assert_eq!((fitness.may_judge(at(207)), fitness.may_judge(at(208))), (false, true));

        fitness.is_late(AWAY, at(300));
        for second in 300..400 {
            fitness.hears(at(second));
            fitness.look(Around { links: 2, ..AROUND }, at(second));
        }
        assert!(!fitness.may_judge(at(399)), "two links are too few where there are twenty to dial");
        // In the end they are all that can be had.
        let mut few = Fitness::new(at(0));
        few.is_late(AWAY, at(0));
        let judges = (0..2_000).find(|second| {
            few.hears(at(*second));
            // (Once for a moment there was none.)
            few.look(Around { links: usize::from(*second != 100), ..AROUND }, at(*second));
            few.may_judge(at(*second))
        });
        assert_eq!(judges, Some(101 + 600));
        fitness.look(Around { read: 2, unread: 10, ..AROUND }, at(399));
        // Liars that fill its places are not read, for what they bring. They keep nobody from judging.
        let mut busy = Fitness::new(at(0));
        busy.hears(at(1));
        busy.look(Around { read: 3, unread: 9, ..AROUND }, at(1));
        assert!(busy.may_judge(at(1)));
        busy.look(Around { read: 2, unread: 7, ..AROUND }, at(1));
        assert!(!busy.may_judge(at(1)));
        let judges = (400..500).find(|second| {
            fitness.hears(at(*second));
            fitness.look(AROUND, at(*second));
            fitness.may_judge(at(*second))
        });
        assert_eq!(judges, Some(460));
    }

    #[test]
    fn who_is_isolated_judges_nobody_and_is_told_once() {
        let mut fitness = Fitness::new(at(0));
        let alone = |here| Around { links: 0, here, ..AROUND };
        assert!(!fitness.look(alone(3), at(60)) && fitness.may_judge(at(60)), "three can't tell");
        assert!(fitness.look(alone(4), at(61)) && !fitness.may_judge(at(61)));
        assert!(!fitness.look(alone(4), at(62)));
        // Links that are all quiet were so for long enough already.
        let mut fitness = Fitness::new(at(0));
        fitness.hears(at(50));
        assert!(!fitness.look(AROUND, at(50)));
        assert!(fitness.look(Around { links: 0, quiet: 12, ..AROUND }, at(51)) && !fitness.may_judge(at(51)));
        // Links that say nothing new are no better.
        let mut fitness = Fitness::new(at(0));
        fitness.hears(at(0));
        assert!(!fitness.look(Around { here: 15, ..AROUND }, at(100)) && fitness.may_judge(at(100)));
        assert!(!fitness.look(AROUND, at(7)));
        assert!(fitness.look(AROUND, at(8)) && !fitness.may_judge(at(8)));
    }
}
