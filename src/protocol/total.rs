//! Running totals: what is held in all, kept beside what it counts.

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

/// A total that goes up and down with what it counts.
///
/// It never wraps. A total that lost count would be near the largest number after one subtraction too many, and whatever is
/// bounded by it would be refused for ever. So it stops at zero; tests, which recount it as well, stop there and then.
pub(super) trait Total {
    /// Something of this size has come.
    fn gains(&mut self, size: usize);

    /// Something of this size, which was counted when it came, has gone.
    fn loses(&mut self, size: usize);
}

impl Total for usize {
    fn gains(&mut self, size: usize) {
        *self = self.saturating_add(size);
    }

    fn loses(&mut self, size: usize) {
        debug_assert!(*self >= size, "{size} of {self} have gone");
        *self = self.saturating_sub(size);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_total_stops_at_its_ends() {
        let mut total = usize::MAX - 1;
        total.gains(2);
        assert_eq!(total, usize::MAX);
        total.loses(usize::MAX);
        assert_eq!(total, 0);
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "3 of 2 have gone")]
    fn a_total_that_lost_count_stops_a_test() {
        let mut total = 2;
        total.loses(3);
    }
}
