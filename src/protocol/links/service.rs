//! How fast and how often a link serves.

use crate::protocol::limits::SERVES_FOR;
use std::collections::VecDeque;
use std::time::Duration;

use crate::protocol::limits::{FIRST_OWED, LEAST_OWED, MAX_OWED, MAX_OWED_BYTES, MAX_WANTS_PER_LINK};
use crate::protocol::time::Mono;
use crate::protocol::total::Total as _;
use crate::rumor::BundleId;

/// Unserved pulls within [`STRIKE_WINDOW`] that make a link's announcements a last resort.
const STRIKES: usize = 3;
const STRIKE_WINDOW: Duration = Duration::from_secs(60);
/// For how long they stay so.
pub(in crate::protocol) const LAST_RESORT: Duration = Duration::from_secs(600);
/// Unserved pulls so close together count as one. (Guess: longer than the gap between two frames of a slow link.)
const ONE_SILENCE: Duration = Duration::from_secs(1);

/// How fast and how often a link serves. Orders our choices, decays, never bans, is never shared.
#[derive(Debug)]
pub(in crate::protocol) struct Service {
    /// Smoothed time from pull to copy; `None` before the first.
    delay: Option<Duration>,
    /// When pulls went unserved; at most `STRIKES` kept.
    unserved: VecDeque<Mono>,
    /// When pulls took longer than our patience, whether or not they were served in the end; as many.
    late: VecDeque<Mono>,
    last_resort_until: Mono,
    /// When it last answered a pull, in time or not.
    last_served: Option<Mono>,
    /// When it last brought something genuine that was new, pulled or not.
    last_brought: Option<Mono>,
    /// Ids that it was asked for and that somebody else served first: a copy may still come. At most [`MAX_OWED`].
    may_come: VecDeque<BundleId>,
    /// Pulls sent and not yet answered, and about how many bytes they will bring.
    owed: usize,
    owed_bytes: usize,
    /// Most pulls that it may owe us.
    may_owe: usize,
}

impl Default for Service {
    fn default() -> Self {
        Self {
            delay: None,
            unserved: VecDeque::new(),
            late: VecDeque::new(),
            last_resort_until: Mono::default(),
            last_served: None,
            last_brought: None,
            may_come: VecDeque::new(),
            owed: 0,
            owed_bytes: 0,
            may_owe: FIRST_OWED,
        }
    }
}

impl Service {
    /// Smoothed time from pull to copy; `None` before the first.
    pub(in crate::protocol) const fn delay(&self) -> Option<Duration> {
        self.delay
    }

    /// Whether it has ever served a pull in time.
    pub(in crate::protocol) const fn has_served(&self) -> bool {
        self.delay.is_some()
    }

    /// Pulls that it has not answered.
    pub(in crate::protocol) const fn owed(&self) -> usize {
        self.owed
    }

    /// About how many bytes they will bring.
    pub(in crate::protocol) const fn owed_bytes(&self) -> usize {
        self.owed_bytes
    }

    /// Whether it may be asked for so much more: it owes no more than it may.
    pub(in crate::protocol) const fn may_owe(&self, bytes: usize) -> bool {
        self.owed < self.may_owe
            && (self.owed == 0 || self.owed_bytes.saturating_add(bytes) <= MAX_OWED_BYTES)
    }

    /// It is asked for so much.
    pub(in crate::protocol) fn owes(&mut self, bytes: usize) {
        self.owed.gains(1);
        self.owed_bytes.gains(bytes);
    }

    /// A pull of so much is over.
    pub(in crate::protocol) fn owes_no_more(&mut self, bytes: usize) {
        self.owed.loses(1);
        self.owed_bytes.loses(bytes);
    }

    pub(in crate::protocol) fn served(&mut self, took: Duration, now: Mono) {
        self.last_served = Some(now);
        self.may_owe = (self.may_owe + 1).min(MAX_OWED);
        // An eighth of the new value, as TCP smooths its round trips (RFC 6298).
        self.delay =
            Some(self.delay.map_or(took, |old| old.saturating_sub(old / 8).saturating_add(took / 8)));
    }

    /// A pull was answered, too late to be of use.
    pub(in crate::protocol) const fn serves(&mut self, now: Mono) {
        self.last_served = Some(now);
    }

    /// Something genuine and new has come, asked for or not.
    pub(in crate::protocol) const fn brings(&mut self, now: Mono) {
        self.last_brought = Some(now);
    }

    /// Somebody else has served what this link was asked for.
    pub(in crate::protocol) fn may_come_late(&mut self, id: BundleId) {
        if self.may_come.len() >= MAX_OWED {
            self.may_come.pop_front();
        }
        self.may_come.push_back(id);
    }

    /// Whether a copy of `id` was still to come; from now on it is not.
    pub(in crate::protocol) fn still_owed(&mut self, id: &BundleId) -> bool {
        let at = self.may_come.iter().position(|other| other == id);
        at.and_then(|at| self.may_come.remove(at)).is_some()
    }

    /// Whether it has served something within `patience`.
    pub(in crate::protocol) fn is_serving(&self, now: Mono, patience: Duration) -> bool {
        self.last_served.is_some_and(|at| now.since(at) <= patience)
    }

    /// A pull takes longer than our patience. It counts when sources are compared, and is no strike: an overloaded link is late,
    /// too, and the less it is asked the less it can show.
    pub(in crate::protocol) fn is_late(&mut self, now: Mono) {
        note_silence(&mut self.late, now);
    }

    /// A pull went unserved. An `excused` one counts when sources are compared, and not as a strike. Where links are `pressed`, and
    /// answer late, nobody is struck: whom we ask less for it can show less.
    pub(in crate::protocol) fn missed(&mut self, now: Mono, excused: bool, pressed: bool) {
        note_silence(&mut self.late, now);
        if excused || !note_silence(&mut self.unserved, now) {
            return;
        }
        // Whoever has served, or brought anything, within a while is overloaded rather than a liar.
        let brings = self.last_brought.is_some_and(|at| now.since(at) <= SERVES_FOR);
        if self.recent_misses(now) >= STRIKES && !pressed && !brings && !self.is_serving(now, SERVES_FOR) {
            self.last_resort_until = now.plus(LAST_RESORT);
        }
        self.may_owe = (self.may_owe / 2).max(LEAST_OWED);
    }

    /// Pulls that went unserved within the last minute, at most three.
    pub(in crate::protocol) fn recent_misses(&self, now: Mono) -> usize {
        recent(&self.unserved, now)
    }

    /// Pulls that were late or went unserved within the last minute, at most three.
    pub(in crate::protocol) fn recent_lates(&self, now: Mono) -> usize {
        recent(&self.late, now)
    }

    pub(in crate::protocol) fn is_last_resort(&self, now: Mono) -> bool {
        now < self.last_resort_until
    }

    /// Wanted ids that may list it as a source: few if it has served nothing between its silences.
    pub(in crate::protocol) const fn most_wants(&self) -> usize {
        if self.may_owe <= LEAST_OWED { LEAST_OWED } else { MAX_WANTS_PER_LINK }
    }
}

/// Notes a silence; false if it is the one that was noted last: one silence, however many pulls it kept waiting.
fn note_silence(silences: &mut VecDeque<Mono>, now: Mono) -> bool {
    if silences.back().is_some_and(|at| now.since(*at) < ONE_SILENCE) {
        return false;
    }
    if silences.len() >= STRIKES {
        silences.pop_front();
    }
    silences.push_back(now);
    true
}

fn recent(silences: &VecDeque<Mono>, now: Mono) -> usize {
    silences.iter().filter(|at| now.since(**at) <= STRIKE_WINDOW).count()
}
