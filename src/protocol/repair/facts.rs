//! What the store is told of a topic and may have to be told anew while the topic is open. It counts as told once the store has agreed.

use std::time::Duration;

use crate::protocol::Mono;
use crate::protocol::keeping::Keeping;

/// A store that could not open a topic, at first or anew, is asked again after this.
pub(super) const OPEN_AGAIN: Duration = Duration::from_secs(5);

/// From this change on the store is told: where there is less, an eighth of it; where there is more, a quarter. So what swings by less
/// than a quarter is told once, and the smaller one stays. (Guess: opening a topic anew reads all its heads. A node's eighth topic takes
/// an eighth from each of the seven others, and gives it back when it is left.)
const LESS_BY: u64 = 8;
const MORE_BY: u64 = 4;

/// What may change.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Facts {
    bytes: u64,
    shared: u64,
    judged_by: Option<u32>,
}

impl Facts {
    const fn of(keeping: &Keeping) -> Self {
        Self { bytes: keeping.bytes, shared: keeping.shared, judged_by: keeping.judged_by }
    }

    fn is_far_from(&self, told: &Self) -> bool {
        let judge = self.judged_by.is_some() && self.judged_by != told.judged_by;
        judge || is_far(told.bytes, self.bytes) || is_far(told.shared, self.shared)
    }
}

fn is_far(told: u64, now: u64) -> bool {
    let by = if now < told { LESS_BY } else { MORE_BY };
    told.abs_diff(now) > now.checked_div(by).unwrap_or(0)
}

/// How far the store knows them.
#[derive(Clone, Debug, Default)]
pub(super) struct Telling {
    told: Facts,
    /// It was asked to open the topic with these, and has not answered.
    asked: Option<Facts>,
    /// When it last could not.
    failed_at: Option<Mono>,
}

impl Telling {
    /// It is asked to open the topic so.
    pub(super) const fn asks(&mut self, keeping: &Keeping) {
        self.asked = Some(Facts::of(keeping));
    }

    /// It has.
    pub(super) fn is_told(&mut self) {
        self.told = self.asked.take().unwrap_or(self.told);
        self.failed_at = None;
    }

    /// It could not.
    pub(super) fn failed(&mut self, now: Mono) {
        self.asked = None;
        self.failed_at = Some(now);
    }

    /// Whether it may be asked now: it is not being asked, and could not some time ago.
    pub(super) fn may_ask(&self, now: Mono) -> bool {
        self.asked.is_none() && self.failed_at.is_none_or(|at| now.since(at) >= OPEN_AGAIN)
    }

    /// Whether it should be told something else.
    pub(super) fn is_other(&self, keeping: &Keeping) -> bool {
        Facts::of(keeping).is_far_from(&self.told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keeping(shared: u64, judged_by: Option<u32>) -> Keeping {
        Keeping { bytes: 1_000, shared, authors: 9, judged_by, recent_from: 0, latest: 0 }
    }

    #[test]
    fn what_swings_a_little_is_told_once() {
        let mut telling = Telling::default();
        telling.asks(&keeping(800, None));
        telling.is_told();
        let mut told = 0;
        for _ in 0..9 {
            for shared in [690, 810] {
                if telling.is_other(&keeping(shared, None)) {
                    telling.asks(&keeping(shared, None));
                    telling.is_told();
                    told += 1;
                }
            }
        }
        assert_eq!(told, 1, "the smaller one");
        assert!(telling.is_other(&keeping(934, None)), "a quarter more is told");
        assert!(telling.is_other(&keeping(600, None)) && !telling.is_other(&keeping(640, None)));
    }

    #[test]
    fn what_the_store_did_not_agree_to_is_not_told() {
        let mut telling = Telling::default();
        let after = |secs| Mono::default().plus(Duration::from_secs(secs));
        telling.asks(&keeping(800, None));
        telling.is_told();
        let other = keeping(800, Some(2));
        assert!(telling.is_other(&other));
        telling.asks(&other);
        assert!(telling.is_other(&other) && !telling.may_ask(after(1)), "it is being asked");
        telling.failed(after(1));
        assert!(telling.is_other(&other) && !telling.may_ask(after(5)) && telling.may_ask(after(6)));
        telling.asks(&other);
        telling.is_told();
        assert!(!telling.is_other(&other) && telling.may_ask(after(6)));
        assert!(!telling.is_other(&keeping(800, None)), "what is not said changes nothing");
    }
}
