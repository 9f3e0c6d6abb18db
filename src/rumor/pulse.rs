//! Pulses: signs of life that need no signature. A member's beacon commits to the end of a chain of hashes, and each pulse reveals the value
//! before the last one. Only who made the chain knows it, and one hash tells that it is the right one.
//!
//! ```text
//!   h[len] = 16 random bytes          h[i] = BLAKE3(key | i | h[i + 1]), 16 bytes of it          anchor = h[0]
//!   the pulse of epoch  start + i  reveals  h[i], for i = 1 ..= len
//! ```

use std::fmt;

use super::domain::PULSE;
use crate::key::PublicKey;

/// Bytes of a value of a chain. Who wants to find one that hashes to a given value tries 2^128 times.
pub const PULSE_LEN: usize = 16;

/// Most values of a chain: 64 KiB in memory.
pub const MAX_CHAIN: u16 = 4096;

/// A value of a chain.
pub type PulseValue = [u8; PULSE_LEN];

/// The chain of a member, which only that member has.
#[derive(Clone)]
pub struct PulseChain {
    /// `h[0]` first.
    values: Vec<PulseValue>,
}

impl fmt::Debug for PulseChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Its values are secret until their time.
        write!(f, "PulseChain({} values)", self.len())
    }
}

impl PulseChain {
    /// Of so many values, at most [`MAX_CHAIN`], which nobody foresees if nobody foresees the seed.
    #[must_use]
    pub fn new(key: &PublicKey, len: u16, seed: PulseValue) -> Self {
        let len = len.clamp(1, MAX_CHAIN);
        let mut values = vec![seed];
        let mut value = seed;
        for index in (0..len).rev() {
            value = before(key, index, &value);
            values.push(value);
        }
        values.reverse();
        Self { values }
    }

    /// What the beacon says: public, and no sign of life.
    #[must_use]
    pub fn anchor(&self) -> PulseValue {
        self.values.first().copied().unwrap_or_default()
    }

    /// How many pulses it has.
    #[must_use]
    pub fn len(&self) -> u16 {
        // There are MAX_CHAIN + 1 values at most.
        self.values.len().saturating_sub(1) as u16
    }

    /// Never: a chain has a value at least.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value that the pulse of this index reveals, from 1; `None` beyond the end, and for the anchor, which proves nothing.
    #[must_use]
    pub fn reveal(&self, index: u16) -> Option<PulseValue> {
        (index > 0).then(|| self.values.get(usize::from(index)).copied())?
    }
}

/// The value before one: `h[index]` from `h[index + 1]`.
fn before(key: &PublicKey, index: u16, value: &PulseValue) -> PulseValue {
    let mut hasher = PULSE.hasher();
    hasher.update(key.as_bytes()).update(&index.to_le_bytes()).update(value);
    let hash = hasher.finalize();
    hash.as_bytes().first_chunk::<PULSE_LEN>().copied().unwrap_or_default()
}

/// A value that is known, from which later ones are checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChainPoint {
    /// Which of its chain: 0 for the anchor.
    pub index: u16,
    /// What it is.
    pub value: PulseValue,
}

/// A claimed value on its way down to a known one, some steps at a time: what is far costs more than one turn may take.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Descent {
    claimed: ChainPoint,
    at: ChainPoint,
    known: ChainPoint,
}

/// What became of a [`Descent`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChainCheck {
    /// There are steps left.
    Unfinished,
    /// The value is of the chain, and known from now on.
    True(ChainPoint),
    /// It is of no chain that holds what is known.
    False,
}

impl Descent {
    /// From a claimed value to a known one; `None` if it is not later.
    #[must_use]
    pub fn new(claimed: ChainPoint, known: ChainPoint) -> Option<Self> {
        (claimed.index > known.index).then_some(Self { claimed, at: claimed, known })
    }

    /// Hashes that are left.
    #[must_use]
    pub const fn left(&self) -> u16 {
        self.at.index.saturating_sub(self.known.index)
    }

    /// Goes down by so many hashes.
    pub fn go(&mut self, key: &PublicKey, hashes: u16) -> ChainCheck {
        for _ in 0..hashes.min(self.left()) {
            let index = self.at.index.saturating_sub(1);
            self.at = ChainPoint { index, value: before(key, index, &self.at.value) };
        }
        match self.left() {
            0 if self.at == self.known => ChainCheck::True(self.claimed),
            0 => ChainCheck::False,
            _ => ChainCheck::Unfinished,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SecretKey;

    fn key(seed: u8) -> PublicKey {
        SecretKey::from_seed(&[seed; 32]).public()
    }

    fn check(key: &PublicKey, claimed: ChainPoint, known: ChainPoint) -> Option<ChainCheck> {
        Some(Descent::new(claimed, known)?.go(key, u16::MAX))
    }

    #[test]
    fn each_value_leads_to_those_before_it_and_to_no_other() {
        let (key, other) = (key(1), key(2));
        let chain = PulseChain::new(&key, 100, [7; PULSE_LEN]);
        assert_eq!((chain.len(), chain.reveal(0), chain.reveal(101)), (100, None, None));
        let anchor = ChainPoint { index: 0, value: chain.anchor() };
        let at = |index| ChainPoint { index, value: chain.reveal(index).unwrap() };
        for index in [1, 2, 50, 100] {
            assert_eq!(check(&key, at(index), anchor), Some(ChainCheck::True(at(index))));
            assert_eq!(check(&other, at(index), anchor), Some(ChainCheck::False), "of another's chain");
            let mut wrong = at(index);
            wrong.value[15] ^= 1;
            assert_eq!(check(&key, wrong, anchor), Some(ChainCheck::False));
            // The right value at the wrong place.
            assert_eq!(
                check(&key, ChainPoint { index: index + 1, ..at(index) }, anchor),
                Some(ChainCheck::False)
            );
        }
        assert_eq!(check(&key, at(60), at(59)), Some(ChainCheck::True(at(60))));
        assert_eq!(check(&key, at(59), at(60)), None, "what is known is not later");
        assert_eq!(check(&key, at(60), at(60)), None);
    }

    #[test]
    fn a_long_way_is_gone_in_pieces() {
        let key = key(1);
        let chain = PulseChain::new(&key, MAX_CHAIN, [9; PULSE_LEN]);
        let last = ChainPoint { index: MAX_CHAIN, value: chain.reveal(MAX_CHAIN).unwrap() };
        let mut descent = Descent::new(last, ChainPoint { index: 0, value: chain.anchor() }).unwrap();
        let mut turns = 0;
        let end = loop {
            turns += 1;
            match descent.go(&key, 1_000) {
                ChainCheck::Unfinished => {}
                end => break end,
            }
        };
        assert_eq!((turns, end), (5, ChainCheck::True(last)));
    }

    #[test]
    fn a_chain_is_never_longer_than_it_may_be_and_never_empty() {
        let chain = |len| PulseChain::new(&key(1), len, [1; PULSE_LEN]);
        assert_eq!((chain(0).len(), chain(u16::MAX).len()), (1, MAX_CHAIN));
        assert!(!chain(0).is_empty());
        assert_eq!(format!("{:?}", chain(3)), "PulseChain(3 values)");
    }

    #[test]
    fn the_first_values_are_what_the_formula_says() {
        let key = key(1);
        let chain = PulseChain::new(&key, 1, [3; PULSE_LEN]);
        let mut input = key.as_bytes().to_vec();
        input.extend_from_slice(&[0, 0]);
        input.extend_from_slice(&[3; PULSE_LEN]);
        let hash = blake3::derive_key("vouchsafe pulse v1", &input);
        assert_eq!(chain.anchor()[..], hash[..PULSE_LEN]);
        assert_eq!(chain.reveal(1), Some([3; PULSE_LEN]));
    }
}
