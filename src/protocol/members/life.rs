//! Whether a member lives, as far as this node can tell. Each sign of life gives a lease, and nobody's word about a member counts.
//!
//! ```text
//!             a sign within its lease              the lease is over, asked in vain, fit to judge
//!   Unknown ─────────────────────────> Alive ─────────────────────────────────────────────> Failed
//!                                       │ ^ ^                                              │     │ a day
//!      the lease is over, and else      v │ └────────────── a newer sign: Returned ────────┘     v
//!                                      Stale ── asked in vain, fit to judge ─> Failed          forgotten
//!   any ── its own word ─> Left ── a day ─> forgotten         any ── convicted ─> Failed
//! ```

use std::time::Duration;

use super::period::{counted, lease};
use crate::protocol::member_event::FailedWhy;
use crate::protocol::{Mono, Now};

/// By how much clocks may differ: a lease lasts as much longer by the wall clock.
const CLOCKS_DIFFER: Duration = Duration::from_secs(30);
/// How often a member is asked for before its lease ends.
const ASKS: u8 = 3;
/// A member that has failed or left is remembered for so long: a partition may heal.
pub(super) const REMEMBERED: Duration = Duration::from_secs(86_400);

/// What a node shows of a member.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum MemberState {
    /// It was told of, and has given no sign of life here yet.
    Unknown,
    /// It has given a sign of life that still holds.
    Alive,
    /// Its last sign holds no longer, and this node can't judge: it was cut off, or late, or its clock was off, or it could not ask.
    Stale,
    /// Its last sign holds no longer.
    Failed(FailedWhy),
    /// It has said itself that it leaves.
    Left,
}

impl MemberState {
    /// Whether it counts as here: alive, or stale.
    #[must_use]
    pub const fn is_here(self) -> bool {
        matches!(self, Self::Alive | Self::Stale)
    }

    /// Whether a member may go from here to there.
    const fn leads_to(self, to: Self) -> bool {
        match (self, to) {
            (
                Self::Unknown | Self::Failed(FailedWhy::Lease | FailedWhy::Stalled) | Self::Left,
                Self::Alive,
            )
            | (Self::Alive, Self::Stale)
            | (Self::Stale, Self::Alive)
            | (Self::Alive | Self::Stale, Self::Failed(FailedWhy::Lease | FailedWhy::Stalled)) => true,
            (Self::Left, Self::Unknown) => true,
            (Self::Failed(FailedWhy::Convicted), _) => false,
            (_, Self::Failed(FailedWhy::Convicted) | Self::Left) => true,
            _ => false,
        }
    }
}

/// A sign of life: a pulse, or a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Sign {
    /// When its epoch ends, by the member's clock, Unix milliseconds.
    pub(super) epoch_ends_ms: u64,
    /// When it was first seen here.
    pub(super) seen: Mono,
    /// The period that its chain states, seconds.
    pub(super) stated: u16,
}

impl Sign {
    /// When it holds no longer: by the wall clock, or nobody could tell that it was held back on its way; and by the monotonic one, or
    /// one of a time to come would hold longer.
    fn ends(&self, would_state: u16, now: Now) -> Mono {
        let lease = lease(counted(self.stated, would_state));
        let by_clock = self.epoch_ends_ms.saturating_add(millis(lease.saturating_add(CLOCKS_DIFFER)));
        let left = Duration::from_millis(by_clock.saturating_sub(now.unix_ms));
        now.mono.plus(left).min(self.seen.plus(lease))
    }
}

/// Of which chain a sign is. Epochs of two chains say nothing of each other: their lengths differ, and clocks are set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Of {
    /// The chain of the newest record that is known.
    Present,
    /// A chain that was not known before.
    New,
    /// The chain before the present one.
    Before,
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What a look at a member is given.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// What this node itself would state as its period, seconds.
    pub(super) would_state: u16,
    /// This node may judge.
    pub(super) fit: bool,
    /// A link to the member is up.
    pub(super) linked: bool,
}

/// What came of a look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Looked {
    /// The state is another now.
    pub(super) changed: bool,
    /// Others are to be asked for a pulse of it.
    pub(super) ask: bool,
    /// It is to be forgotten.
    pub(super) forget: bool,
    /// When to look again.
    pub(super) again: Mono,
}

/// The life of one member.
#[derive(Clone, Debug)]
pub(super) struct Life {
    state: MemberState,
    /// Since when, Unix milliseconds.
    since_ms: u64,
    changed: Mono,
    sign: Option<Sign>,
    /// The newest sign of the chain before. What it gave is not taken back by a shorter period.
    before: Option<Sign>,
    /// How often it was asked for since its last sign.
    asked: u8,
}

impl Life {
    /// Of a member that was told of.
    pub(super) const fn new(now: Now) -> Self {
        Self {
            state: MemberState::Unknown,
            since_ms: now.unix_ms,
            changed: now.mono,
            sign: None,
            before: None,
            asked: 0,
        }
    }

    pub(super) const fn state(&self) -> MemberState {
        self.state
    }

    pub(super) const fn since_ms(&self) -> u64 {
        self.since_ms
    }

    /// When the newest sign was first seen.
    pub(super) fn seen(&self) -> Option<Mono> {
        self.sign.map(|sign| sign.seen)
    }

    /// Whether its last sign is so old that others are asked for a newer one, or holds no longer.
    pub(super) const fn is_asked_for(&self) -> bool {
        self.asked > 0 || !matches!(self.state, MemberState::Alive)
    }

    fn go(&mut self, to: MemberState, now: Now) -> bool {
        if !self.state.leads_to(to) {
            return false;
        }
        (self.state, self.since_ms, self.changed) = (to, now.unix_ms, now.mono);
        true
    }

    /// When its lease ends: what two chains gave holds as long as the later of them says.
    fn ends(&self, would_state: u16, now: Now) -> Option<Mono> {
        self.sign.iter().chain(&self.before).map(|sign| sign.ends(would_state, now)).max()
    }

    /// It has given a sign of life. True if it is alive now and was not.
    pub(super) fn hears(&mut self, sign: Sign, of: Of, would_state: u16, now: Now) -> bool {
        let place = match of {
            Of::New => {
                self.before = self.sign.take();
                &mut self.sign
            }
            Of::Present => &mut self.sign,
            Of::Before => &mut self.before,
        };
        if place.is_some_and(|known| known.epoch_ends_ms >= sign.epoch_ends_ms) {
            return false;
        }
        *place = Some(sign);
        self.asked = 0;
        let holds = sign.ends(would_state, now) > now.mono;
        holds && self.state != MemberState::Left && self.go(MemberState::Alive, now)
    }

    /// It says that it is here, after it had left: a later record of its own. True if it is alive now.
    pub(super) fn comes_back(&mut self, sign: Sign, would_state: u16, now: Now) -> bool {
        (self.sign, self.before) = (Some(sign), None);
        self.asked = 0;
        let holds = sign.ends(would_state, now) > now.mono;
        let to = if holds { MemberState::Alive } else { MemberState::Unknown };
        self.go(to, now) && holds
    }

    /// It says that it leaves. True if it had not.
    pub(super) fn leaves(&mut self, now: Now) -> bool {
        self.state != MemberState::Left && self.go(MemberState::Left, now)
    }

    /// Its own signatures convict it. True if they had not.
    pub(super) fn is_convicted(&mut self, now: Now) -> bool {
        self.go(MemberState::Failed(FailedWhy::Convicted), now)
    }

    /// Looks whether its lease is over, or will be soon.
    pub(super) fn look(&mut self, look: Look, now: Now) -> Looked {
        let stays = Looked { changed: false, ask: false, forget: false, again: now.mono.plus(REMEMBERED) };
        match (self.state, self.ends(look.would_state, now)) {
            (MemberState::Unknown | MemberState::Failed(_) | MemberState::Left, _) | (_, None) => {
                let until = self.changed.plus(REMEMBERED);
                Looked { forget: now.mono >= until, again: until, ..stays }
            }
            (MemberState::Alive, Some(end)) => self.look_at_living(end, look, now),
            (MemberState::Stale, Some(_)) => self.look_at_stale(look, now),
        }
    }

    /// What this node counts as its period.
    fn period(&self, look: Look) -> Duration {
        counted(self.sign.map_or(0, |sign| sign.stated), look.would_state)
    }

    fn look_at_living(&mut self, end: Mono, look: Look, now: Now) -> Looked {
        let half = self.period(look) / 2;
        if now.mono >= end {
            // Who was not asked for in vain may live: only we don't know.
            let asked = self.asked >= ASKS;
            let to = if look.fit && asked { failed(look) } else { MemberState::Stale };
            let changed = self.go(to, now);
            return Looked { changed, ask: !asked, forget: false, again: now.mono.plus(half) };
        }
        let left = end.since(now.mono);
        let ask = self.asked < ASKS && left <= half.saturating_mul(u32::from(ASKS - self.asked));
        if ask {
            self.asked += 1;
        }
        let next = left.saturating_sub(half.saturating_mul(u32::from(ASKS.saturating_sub(self.asked))));
        // At least a fraction later, or asks that are overdue would all be made in one turn.
        Looked { changed: false, ask, forget: false, again: now.mono.plus(next.max(half / 4)).min(end) }
    }

    fn look_at_stale(&mut self, look: Look, now: Now) -> Looked {
        let again = now.mono.plus(self.period(look) / 2);
        if self.asked < ASKS {
            self.asked += 1;
            return Looked { changed: false, ask: true, forget: false, again };
        }
        let changed = look.fit && self.go(failed(look), now);
        // What was unfit may have lost the answers.
        Looked { changed, ask: !changed, forget: false, again }
    }
}

const fn failed(look: Look) -> MemberState {
    MemberState::Failed(if look.linked { FailedWhy::Stalled } else { FailedWhy::Lease })
}
