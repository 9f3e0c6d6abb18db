//! Many signatures at less than half the price each, and less the fewer authors they have: one sum with random
//! coefficients in place of one equation each.
//!
//! ```text
//! each alone:   [8](s_i B - k_i A_i - R_i) = O                                         n sums of two products
//! together:     [8](sum z_i s_i B - sum_A (sum z_i k_i) A - sum z_i R_i) = O           one sum, doublings shared
//! ```
//! In the second line the coefficients of B are one number, those of each author are one number, and those of the R's
//! have 128 bits, half the usual length. If one equation fails, the sum vanishes with probability 2^-128 at most: eight
//! times anything lies in a group of prime order, where a coefficient the forger can't foresee cancels nothing. Hence a
//! pass is final. A failure names nobody, so then each item is judged alone.

use std::collections::HashMap;
use std::fmt;

use curve25519_dalek::EdwardsPoint;
use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::VartimeMultiscalarMul as _;
use zeroize::Zeroizing;

use super::Item;
use super::cache::KeyCache;
use super::rule::{self, Claim, MinusKey};
use crate::key::PublicKey;

/// Verifies signatures one at a time or many at once, with a cache of decoded keys.
///
/// Whichever way an item comes, alone or in any batch, its verdict is that of
/// [`verify_single`](super::verify_single). A verifier is for one thread; have one per thread.
pub struct Verifier {
    keys: KeyCache,
    coefficients: Coefficients,
}

impl Verifier {
    /// A verifier seeded by the operating system.
    ///
    /// # Panics
    /// If the operating system has no entropy to give: with coefficients that a peer can guess, a batch proves nothing.
    #[allow(clippy::panic, reason = "at start, never on input: there is no safe way to go on")]
    #[must_use]
    pub fn new() -> Self {
        let mut seed = Zeroizing::new([0u8; 32]);
        if let Err(error) = getrandom::fill(seed.as_mut_slice()) {
            panic!("the operating system gave no entropy for a verifier: {error}");
        }
        Self::with_seed(*seed)
    }

    /// A verifier whose coefficients all come from these 32 bytes, for tests and simulations.
    ///
    /// The seed must be secret and used for one verifier only: who knows it can make a batch accept forgeries.
    #[must_use]
    pub fn with_seed(seed: [u8; 32]) -> Self {
        Self {
            keys: KeyCache::default(),
            coefficients: Coefficients { seed: Zeroizing::new(seed), drawn: 0 },
        }
    }

    /// Judges one item: the rule alone, with the cache.
    #[must_use = "a verdict that nobody looks at protects nobody"]
    pub fn verify_one(&mut self, item: Item<'_>) -> bool {
        let cached = self.keys.get(item.key);
        let Some(minus_key) = cached.or_else(|| rule::decode_key(item.key)) else { return false };
        let Some(claim) = rule::decode_claim(item.key, item.message, item.signature) else { return false };
        let good = rule::holds(&minus_key, &claim);
        if good && cached.is_none() {
            self.keys.remember(*item.key, minus_key);
        }
        good
    }

    /// Judges all items and returns one verdict each, in their order.
    ///
    /// Cost per item falls with their number and with the number that share an author. One bad item makes every item
    /// be judged alone, on top of the batch: keep those who sent bad ones apart. Items that are malformed (key or
    /// signature encoding) are sorted out first and spoil nothing.
    #[must_use = "a verdict that nobody looks at protects nobody"]
    pub fn verify_batch(&mut self, items: &[Item<'_>]) -> Vec<bool> {
        if let [item] = items {
            return vec![self.verify_one(*item)];
        }
        let (authors, claims) = self.decode(items);
        // The equation of one claim is the plain rule, without the cost of a coefficient.
        let many = claims.iter().flatten().nth(1).is_some();
        let all_good = many && self.sum_vanishes(&authors, &claims);
        let judge = |claim: &Option<(usize, Claim)>| {
            let Some((author, claim)) = claim else { return false };
            let Some(author) = authors.get(*author) else { return false };
            let good = all_good || rule::holds(&author.minus_key, claim);
            if good && !author.cached {
                self.keys.remember(author.key, author.minus_key);
            }
            good
        };
        claims.iter().map(judge).collect()
    }

    /// Decodes what is well formed. A claim comes with the place of its author in the list.
    fn decode(&mut self, items: &[Item<'_>]) -> (Vec<Author>, Vec<Option<(usize, Claim)>>) {
        let mut authors: Vec<Author> = Vec::with_capacity(items.len());
        let mut places: HashMap<&PublicKey, Option<usize>> = HashMap::with_capacity(items.len());
        let mut claims = Vec::with_capacity(items.len());
        for item in items {
            let place = *places.entry(item.key).or_insert_with(|| {
                let cached = self.keys.get(item.key);
                let minus_key = cached.or_else(|| rule::decode_key(item.key))?;
                authors.push(Author { key: *item.key, minus_key, cached: cached.is_some() });
                Some(authors.len() - 1)
            });
            claims.push(place.and_then(|place| {
                rule::decode_claim(item.key, item.message, item.signature).map(|claim| (place, claim))
            }));
        }
        (authors, claims)
    }

    /// The equation of the batch, with the sign turned so that the R's, which are many, need no negation.
    fn sum_vanishes(&mut self, authors: &[Author], claims: &[Option<(usize, Claim)>]) -> bool {
        let mut draw = self.coefficients.stream();
        let size = 1 + authors.len() + claims.len();
        let mut base = Scalar::ZERO;
        let mut scalars = vec![Scalar::ZERO; authors.len()];
        let mut points: Vec<EdwardsPoint> = Vec::with_capacity(size);
        points.extend(authors.iter().map(|author| author.minus_key));
        scalars.reserve(size - authors.len());
        for (author, claim) in claims.iter().flatten() {
            let z = draw();
            base -= z * claim.s;
            let Some(of_author) = scalars.get_mut(*author) else { return false };
            *of_author -= z * claim.k;
            scalars.push(z);
            points.push(claim.r);
        }
        scalars.push(base);
        points.push(ED25519_BASEPOINT_POINT);
        rule::vanishes(&EdwardsPoint::vartime_multiscalar_mul(&scalars, &points))
    }
}

impl Default for Verifier {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("cached_keys", &self.keys.len()).finish_non_exhaustive()
    }
}

/// An author of the batch at hand: however many items it has, one point of the sum.
struct Author {
    key: PublicKey,
    minus_key: MinusKey,
    cached: bool,
}

/// The source of `z_i`: BLAKE3 keyed by the secret seed, over the number of the batch, read as a stream.
struct Coefficients {
    seed: Zeroizing<[u8; 32]>,
    drawn: u64,
}

impl Coefficients {
    /// The coefficients of the next batch: 128 bits each, never drawn again.
    fn stream(&mut self) -> impl FnMut() -> Scalar + use<> {
        let mut stream =
            blake3::Hasher::new_keyed(&self.seed).update(&self.drawn.to_le_bytes()).finalize_xof();
        // 2^64 batches outlast any process; wrapping would only repeat numbers that nobody has seen.
        self.drawn = self.drawn.wrapping_add(1);
        move || {
            let mut bytes = [0u8; 16];
            stream.fill(&mut bytes);
            Scalar::from(u128::from_le_bytes(bytes))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Signature;
    use curve25519_dalek::constants::EIGHT_TORSION;
    use sha2::{Digest as _, Sha512};

    /// Judging each item alone after a failed sum would hide a sum that is too strict: the verdicts stay right and
    /// only the speed is gone, at a stranger's will. So here the sum is asked, with every torsion in key and R.
    #[test]
    fn the_sum_alone_accepts_every_torsion_mix() {
        let mut verifier = Verifier::with_seed([5; 32]);
        for mix in 1..64u64 {
            let (secret, nonce) = (Scalar::from(3 + mix), Scalar::from(1000 + mix));
            let [at, rt] = [EIGHT_TORSION[mix as usize / 8], EIGHT_TORSION[mix as usize % 8]];
            let key = (ED25519_BASEPOINT_POINT * secret + at).compress();
            let r = (ED25519_BASEPOINT_POINT * nonce + rt).compress();
            let sign = |message: &[u8]| {
                let hash =
                    Sha512::new().chain_update(r.0).chain_update(key.0).chain_update(message).finalize();
                let s = nonce + Scalar::from_bytes_mod_order_wide(&hash.into()) * secret;
                Signature::from_bytes([r.0, s.to_bytes()].concat().try_into().unwrap())
            };
            let (key, one, two) = (PublicKey::from_bytes(key.0), sign(b"one"), sign(b"two"));
            let mut items = [
                Item { key: &key, message: b"one", signature: &one },
                Item { key: &key, message: b"two", signature: &two },
            ];
            let (authors, claims) = verifier.decode(&items);
            assert_eq!((authors.len(), claims.iter().flatten().count()), (1, 2));
            assert!(verifier.sum_vanishes(&authors, &claims), "torsion {} and {}", mix / 8, mix % 8);
            items[1].message = b"three";
            let (authors, claims) = verifier.decode(&items);
            assert!(!verifier.sum_vanishes(&authors, &claims));
        }
    }

    #[test]
    fn a_verifier_may_move_to_another_thread() {
        fn is_send<T: Send>() {}
        is_send::<Verifier>();
    }

    #[test]
    fn coefficients_are_fresh_and_of_128_bits() {
        let mut coefficients = Coefficients { seed: Zeroizing::new([1; 32]), drawn: 0 };
        let mut seen = std::collections::HashSet::new();
        for _ in 0..50 {
            let mut draw = coefficients.stream();
            for _ in 0..50 {
                let z = draw().to_bytes();
                assert!(z[16..].iter().all(|byte| *byte == 0) && seen.insert(z));
            }
        }
        // Of 2 500 numbers of 128 bits about half have the top bit set.
        let high = seen.iter().filter(|z| z[15] >= 0x80).count();
        assert!((1000..1500).contains(&high), "{high}");
    }

    #[test]
    fn a_key_is_remembered_only_when_a_signature_held() {
        let mut verifier = Verifier::with_seed([6; 32]);
        let secret = crate::key::SecretKey::from_seed(&[7; 32]);
        let (key, good) = (secret.public(), secret.sign(b"said"));
        let bad = Item { key: &key, message: b"never said", signature: &good };
        assert!(!verifier.verify_one(bad));
        assert_eq!(verifier.verify_batch(&[bad, bad, bad]), [false; 3]);
        assert_eq!(verifier.keys.len(), 0);
        assert_eq!(verifier.verify_batch(&[bad, Item { message: b"said", ..bad }]), [false, true]);
        assert_eq!(verifier.keys.len(), 1);
    }
}
