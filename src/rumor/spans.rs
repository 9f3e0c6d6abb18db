//! A few stretches of time: what an author has used, what a window has let go of.

/// Most spans that are kept apart. Above it the two lowest become one, and what lies between them counts too: those are the
/// longest ago, unless a clock was wrong by more than the rest. (Guess: a start of the process or a step of its clock makes one.)
pub const MAX_SPANS: usize = 16;

/// Half-open intervals `[from, to)` of whole numbers, sorted and apart; at most [`MAX_SPANS`] of them, 16 bytes each.
///
/// The numbers are Unix milliseconds, or ticks. Nothing that was added is ever left out; what was not may be counted as well,
/// where spans had to be joined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spans(Vec<(u64, u64)>);

impl Spans {
    /// Everything before `to`.
    pub fn before(to: u64) -> Self {
        let mut spans = Self::default();
        spans.add(0, to);
        spans
    }

    /// Adds `[from, to)`; what touches it becomes one span with it. Empty if `to <= from`: then nothing changes.
    pub fn add(&mut self, from: u64, to: u64) {
        if to <= from {
            return;
        }
        let begin = self.0.partition_point(|(_, end)| *end < from);
        let end = self.0.partition_point(|(start, _)| *start <= to);
        let touched = self.0.get(begin..end).unwrap_or_default();
        let from = touched.first().map_or(from, |(start, _)| from.min(*start));
        let to = touched.last().map_or(to, |(_, end)| to.max(*end));
        self.0.splice(begin..end.max(begin), [(from, to)]);
        if self.0.len() > MAX_SPANS
            && let [(from, _), (_, to), ..] = *self.0.as_slice()
        {
            self.0.splice(..2, [(from, to)]);
        }
    }

    /// Adds all of another's.
    pub fn add_all(&mut self, other: &Self) {
        other.iter().for_each(|(from, to)| self.add(from, to));
    }

    /// Where the span ends that holds `at`, if one does.
    pub fn end_of(&self, at: u64) -> Option<u64> {
        self.overlap_end(at, at.saturating_add(1))
    }

    /// Whether `[from, to)` has anything in common with a span.
    pub fn overlaps(&self, from: u64, to: u64) -> bool {
        self.overlap_end(from, to).is_some()
    }

    /// Where the last span ends that has anything in common with `[from, to)`.
    pub fn overlap_end(&self, from: u64, to: u64) -> Option<u64> {
        let before = self.0.partition_point(|(start, _)| *start < to).checked_sub(1)?;
        self.0.get(before).filter(|(_, end)| *end > from).map(|(_, end)| *end)
    }

    /// The spans, lowest first.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.0.iter().copied()
    }

    /// How many spans there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The end of the highest span; 0 if there is none.
    pub fn end(&self) -> u64 {
        self.0.last().map_or(0, |(_, end)| *end)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_touches_becomes_one_span() {
        let mut spans = Spans::default();
        for (from, to) in [(10, 20), (30, 40), (20, 30), (50, 50), (60, 55)] {
            spans.add(from, to);
        }
        assert_eq!(spans.iter().collect::<Vec<_>>(), [(10, 40)]);
        assert_eq!((spans.end_of(9), spans.end_of(10), spans.end_of(40)), (None, Some(40), None));
        assert!(spans.overlaps(0, 11) && !spans.overlaps(0, 10) && !spans.overlaps(40, 90));
    }

    proptest! {
        #[test]
        fn spans_stay_few_and_sorted_and_forget_nothing(
            added in proptest::collection::vec((0u64..2_000, 0u64..40), 0..100),
        ) {
            let mut spans = Spans::default();
            for (from, len) in &added {
                spans.add(*from, from + len);
                let list: Vec<_> = spans.iter().collect();
                prop_assert!(list.len() <= MAX_SPANS);
                prop_assert!(list.windows(2).all(|pair| pair[0].1 < pair[1].0), "{list:?}");
                prop_assert!(list.iter().all(|(from, to)| from < to));
            }
            for (from, len) in added {
                for at in from..from + len {
                    prop_assert!(spans.end_of(at).is_some(), "{at} is gone");
                    prop_assert!(spans.overlaps(at, at + 1));
                }
            }
        }
    }
}
