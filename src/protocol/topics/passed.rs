//! Headers that find no place in the index: compared all the same, and in hold-back topics passed on once.
//!
//! Room decides what is kept, never what is compared. If it did, an author could say two things to two halves of a network,
//! and whoever stands between them with a full index would hide each from the other. So such a header is verified on the bill
//! of its link, compared with what is claimed and with others that passed lately, and sent on: nothing of it is kept but its
//! 218 bytes, in a list that only saves passing it on again. What that list forgets is compared anew when it comes again, so
//! no flood of it hides a conflict from those that do have places.

use std::collections::{BTreeMap, VecDeque};

use crate::key::PublicKey;
use crate::protocol::limits::MAX_PASSED;
use crate::rumor::{Evidence, Header, SignedHeader};

/// Where a header stands.
type Place = (PublicKey, u64, u16);

/// Genuine headers without a place, disjoint like claims.
#[derive(Debug, Default)]
pub(in crate::protocol) struct Passed {
    headers: BTreeMap<Place, SignedHeader>,
    /// The same, oldest first.
    order: VecDeque<Place>,
}

impl Passed {
    /// One that overlaps with `header`, perhaps the same.
    fn overlapping(&self, header: &Header) -> Option<&SignedHeader> {
        if self.headers.is_empty() {
            return None;
        }
        let (author, tick) = (header.author, header.tick);
        // Only the last that begins before its end can reach into it, since they are disjoint.
        let end = u16::try_from(header.end_slot().saturating_sub(1)).unwrap_or(u16::MAX);
        let (_, before) = self.headers.range((author, tick, 0)..=(author, tick, end)).next_back()?;
        (before.header.end_slot() > u32::from(header.first_slot)).then_some(before)
    }

    /// Whether exactly this one is remembered.
    pub(in crate::protocol) fn knows(&self, header: &Header) -> bool {
        self.overlapping(header).is_some_and(|known| known.header == *header)
    }

    /// The proof that the author of `signed` has said something else at its position, if that is remembered.
    pub(in crate::protocol) fn conflict(&self, signed: &SignedHeader) -> Option<Box<Evidence>> {
        let other = self.overlapping(&signed.header)?;
        Evidence::new(*other, *signed).ok().map(Box::new)
    }

    /// Remembers one that conflicts with none.
    pub(in crate::protocol) fn add(&mut self, signed: &SignedHeader) {
        let header = &signed.header;
        let place = (header.author, header.tick, header.first_slot);
        if self.headers.insert(place, *signed).is_none() {
            self.order.push_back(place);
        }
        if self.order.len() > MAX_PASSED
            && let Some(oldest) = self.order.pop_front()
        {
            self.headers.remove(&oldest);
        }
    }

    /// Forgets the oldest while `over` says that their ticks have left the window.
    pub(in crate::protocol) fn expire(&mut self, over: impl Fn(u64) -> bool) {
        while self.order.front().is_some_and(|(_, tick, _)| over(*tick)) {
            self.order.pop_front().map(|place| self.headers.remove(&place));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SecretKey;
    use crate::rumor::{Position, seal};

    fn said(author: u8, tick: u64, slot: u16, words: &[&str]) -> SignedHeader {
        let bodies: Vec<_> =
            words.iter().map(|word| bytes::Bytes::copy_from_slice(word.as_bytes())).collect();
        let topic = crate::rumor::TopicId::from_bytes([1; 32]);
        let key = SecretKey::from_seed(&[author; 32]);
        *seal(&key, topic, Position { tick, slot }, &bodies).unwrap().signed_header()
    }

    #[test]
    fn what_passed_is_known_and_what_overlaps_with_it_is_a_proof() {
        let mut passed = Passed::default();
        let two = said(1, 5, 3, &["a", "b"]);
        passed.add(&two);
        assert!(passed.knows(&two.header) && passed.conflict(&two).is_none());
        for other in [said(1, 5, 2, &["c", "d"]), said(1, 5, 4, &["e"]), said(1, 5, 3, &["f"])] {
            assert!(passed.conflict(&other).is_some() && !passed.knows(&other.header));
        }
        for other in
            [said(1, 5, 5, &["g"]), said(1, 5, 2, &["h"]), said(1, 6, 3, &["i"]), said(2, 5, 3, &["j"])]
        {
            assert!(passed.conflict(&other).is_none());
        }
    }

    #[test]
    fn headers_that_pass_are_remembered_up_to_the_cap() {
        let mut passed = Passed::default();
        let mut one = said(1, 0, 0, &["word"]);
        for tick in 0..MAX_PASSED as u64 + 10 {
            one.header.tick = tick;
            passed.add(&one);
        }
        assert_eq!((passed.headers.len(), passed.order.len()), (MAX_PASSED, MAX_PASSED));
        passed.expire(|tick| tick < MAX_PASSED as u64);
        assert_eq!((passed.headers.len(), passed.order.len()), (10, 10));
    }
}
