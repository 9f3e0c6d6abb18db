//! Whose turn it is to be told what it was not told for want of room.

use crate::protocol::linkset::Slot;

/// Links take turns, a few at a time: a hundred of them that were looked through at once held up everybody for a quarter of a second.
#[derive(Debug, Default)]
pub(in crate::protocol) struct CatchUpTurns {
    /// The link that had the last turn.
    last: Option<Slot>,
    /// A timer will give the next ones theirs.
    goes_on: bool,
}

impl CatchUpTurns {
    /// Links in the order of their turns: those behind the last one first.
    pub(in crate::protocol) fn order(&self, mut slots: Vec<Slot>) -> Vec<Slot> {
        slots.sort_unstable();
        let first = slots.partition_point(|slot| self.last.is_some_and(|last| *slot <= last));
        slots.rotate_left(first);
        slots
    }

    /// A link had its turn.
    pub(in crate::protocol) const fn had(&mut self, slot: Slot) {
        self.last = Some(slot);
    }

    /// A timer is about to give more links their turns; false if one is already.
    pub(in crate::protocol) const fn go_on(&mut self) -> bool {
        !std::mem::replace(&mut self.goes_on, true)
    }

    /// Whether one is.
    pub(in crate::protocol) const fn goes_on(&self) -> bool {
        self.goes_on
    }

    /// It has come.
    pub(in crate::protocol) const fn came(&mut self) {
        self.goes_on = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_take_turns_and_one_timer_runs() {
        let mut turns = CatchUpTurns::default();
        let slots = |slots: [u8; 3]| slots.map(Slot).to_vec();
        assert_eq!(turns.order(slots([7, 2, 5])), slots([2, 5, 7]));
        turns.had(Slot(2));
        assert_eq!(turns.order(slots([2, 5, 7])), slots([5, 7, 2]));
        turns.had(Slot(6));
        assert_eq!(turns.order(slots([2, 5, 7])), slots([7, 2, 5]));
        turns.had(Slot(9));
        assert_eq!(turns.order(slots([2, 5, 7])), slots([2, 5, 7]));
        assert!(!turns.goes_on() && turns.go_on() && !turns.go_on() && turns.goes_on());
        turns.came();
        assert!(turns.go_on());
    }
}
