//! Signatures as a hostile signer makes them, and one verdict for each on every path (docs/attacks.md, B16).
//!
//! The judge of the judges is [`plain_rule`]: the rule written once more with slow, obvious curve operations.
//! (A batch judges again alone what its sum refuses, so a sum that is too strict shows only in the tests of
//! `src/verify/batch.rs`, which ask the sum itself.) `testkit/tests/verify_agree.rs` lets a random generator choose, the fuzz
//! target of the same name a fuzzer.

use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT as B, EIGHT_TORSION};
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::IsIdentity as _;
use sha2::{Digest as _, Sha512};
use vouchsafe::PublicKey;
use vouchsafe::rumor::Signature;
use vouchsafe::verify::{Item, Verifier, is_signing_key, verify_single};

/// The group order l = 2^252 + 27742317777372353535851937790883648493 (RFC 8032, section 5.1), little endian.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

fn plain_point(bytes: &[u8]) -> Option<EdwardsPoint> {
    let encoded = CompressedEdwardsY::from_slice(bytes).ok()?;
    let point = encoded.decompress()?;
    (point.compress() == encoded && !point.is_small_order()).then_some(point)
}

fn challenge(r: &[u8], key: &[u8], message: &[u8]) -> Scalar {
    Scalar::from_bytes_mod_order_wide(
        &Sha512::new().chain_update(r).chain_update(key).chain_update(message).finalize().into(),
    )
}

/// The verdict on one signature: the equation, with the factor 8 written out.
pub fn plain_rule(item: Item<'_>) -> bool {
    let (r_bytes, s_bytes) = item.signature.as_bytes().split_at(32);
    let Some(a) = plain_point(item.key.as_bytes()) else { return false };
    let Some(r) = plain_point(r_bytes) else { return false };
    let Some(s) = Option::<Scalar>::from(Scalar::from_canonical_bytes(s_bytes.try_into().unwrap())) else {
        return false;
    };
    let k = challenge(r_bytes, item.key.as_bytes(), item.message);
    let sum = B * s - a * k - r;
    let two = sum + sum;
    let four = two + two;
    (four + four).is_identity()
}

/// What a hostile signer does to a signature that its torsion-laden key and R make hold.
#[derive(Debug, Clone)]
pub enum Twist {
    /// It holds.
    Nothing,
    /// One of its 512 bits is another.
    FlipSignature(u16),
    /// One bit of the key is another.
    FlipKey(u16),
    /// Something else was signed.
    OtherMessage,
    /// `s` with the group order added.
    AddOrderToS,
    /// `s` at one of the edges of its range.
    EdgeS(u16),
    /// R is a point of small order.
    SmallR(u16),
    /// The key is a point of small order.
    SmallKey(u16),
    /// R written as y + p, for the few y where that fits in 255 bits.
    HighR(u8),
    /// The key written so.
    HighKey(u8),
    /// Key, R and `s` are any bytes.
    ForgeAll(Box<([u8; 32], [u8; 32], [u8; 32])>),
}

/// How one signature is made.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Decides the secret key.
    pub author: u8,
    /// Which of the eight points of small order is added to the key.
    pub torsion_of_key: u8,
    /// Which of them is added to R.
    pub torsion_of_r: u8,
    /// Decides R and the message.
    pub nonce: u64,
    /// What is done to it.
    pub twist: Twist,
}

/// A signature, and what it is said to be of.
pub struct Made {
    /// Whose it is said to be.
    pub key: PublicKey,
    /// What was signed.
    pub message: Vec<u8>,
    /// The signature.
    pub signature: Signature,
}

impl Made {
    /// As the verifier takes it.
    pub fn item(&self) -> Item<'_> {
        Item { key: &self.key, message: &self.message, signature: &self.signature }
    }
}

fn scalar(tag: u8, n: u64) -> Scalar {
    let mut wide = [tag; 64];
    wide[..8].copy_from_slice(&n.to_le_bytes());
    Scalar::from_bytes_mod_order_wide(&Sha512::digest(wide).into())
}

/// `s` as an edge: 0, 1, l - 1, l, l + 1, 2^252, 2^255 - 1, 2^256 - 1.
fn edge(which: u16) -> [u8; 32] {
    let mut order = ORDER;
    match which % 8 {
        0 => [0; 32],
        1 => Scalar::ONE.to_bytes(),
        2 => (-Scalar::ONE).to_bytes(),
        3 => ORDER,
        4 => {
            order[0] += 1;
            order
        }
        5 => {
            let mut power = [0; 32];
            power[31] = 0x10;
            power
        }
        6 => high(18, false),
        _ => [0xff; 32],
    }
}

/// The 32 bytes of p + `above` (with a sign bit): a second encoding of the number `above`, which is at most 18.
fn high(above: u8, sign: bool) -> [u8; 32] {
    let mut bytes = [0xff; 32];
    bytes[0] = 0xed + above % 19;
    bytes[31] = if sign { 0xff } else { 0x7f };
    bytes
}

/// Signs as `R = rB + T`, `A = aB + T'`, `s = r + ka`: the equation with the factor 8 holds, the one without fails
/// whenever the torsion left over is not the identity.
pub fn make(plan: &Plan) -> Made {
    let (secret, nonce) = (scalar(1, u64::from(plan.author)), scalar(2, plan.nonce));
    let mut message = plan.nonce.to_le_bytes().repeat(1 + usize::from(plan.author) % 3);
    let mut key = (B * secret + EIGHT_TORSION[usize::from(plan.torsion_of_key) % 8]).compress().to_bytes();
    let mut r = (B * nonce + EIGHT_TORSION[usize::from(plan.torsion_of_r) % 8]).compress().to_bytes();
    match &plan.twist {
        // With R or A replaced by a point without a large part, s is made to fit what a lax verifier would read.
        Twist::SmallR(n) => r = EIGHT_TORSION[usize::from(n % 8)].compress().to_bytes(),
        Twist::HighR(n) => r = high(*n, n & 0x80 != 0),
        Twist::SmallKey(n) => key = EIGHT_TORSION[usize::from(n % 8)].compress().to_bytes(),
        Twist::HighKey(n) => key = high(*n, n & 0x80 != 0),
        _ => {}
    }
    let k = challenge(&r, &key, &message);
    let known_nonce =
        if matches!(plan.twist, Twist::SmallR(_) | Twist::HighR(_)) { Scalar::ZERO } else { nonce };
    let known_secret =
        if matches!(plan.twist, Twist::SmallKey(_) | Twist::HighKey(_)) { Scalar::ZERO } else { secret };
    let mut s = (known_nonce + k * known_secret).to_bytes();
    match &plan.twist {
        Twist::FlipSignature(bit) if bit % 512 < 256 => r[usize::from(bit % 256) / 8] ^= 1 << (bit % 8),
        Twist::FlipSignature(bit) => s[usize::from(bit % 256) / 8] ^= 1 << (bit % 8),
        Twist::FlipKey(bit) => key[usize::from(bit % 256) / 8] ^= 1 << (bit % 8),
        Twist::OtherMessage => message.push(1),
        Twist::AddOrderToS => {
            let mut carry = 0;
            for (byte, order) in s.iter_mut().zip(ORDER) {
                let sum = u16::from(*byte) + u16::from(order) + carry;
                *byte = sum as u8;
                carry = sum >> 8;
            }
        }
        Twist::EdgeS(which) => s = edge(*which),
        Twist::ForgeAll(bytes) => (key, r, s) = **bytes,
        _ => {}
    }
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(&r);
    signature[32..].copy_from_slice(&s);
    Made { key: PublicKey::from_bytes(key), message, signature: Signature::from_bytes(signature) }
}

/// Every path gives each signature the verdict of the plain rule: alone, cached, all in one batch, in groups of `cuts` (from one
/// to eight, over and over), and with nothing bad among them.
pub fn check(plans: &[Plan], cuts: &[u8], seed: [u8; 32]) {
    let made: Vec<Made> = plans.iter().map(make).collect();
    let items: Vec<Item<'_>> = made.iter().map(Made::item).collect();
    let expected: Vec<bool> = items.iter().map(|item| plain_rule(*item)).collect();
    for (plan, verdict) in plans.iter().zip(&expected) {
        // An honest one must hold, or the property would be about refusals alone.
        assert!(*verdict || !matches!(plan.twist, Twist::Nothing), "an honest one fails");
    }
    let mut verifier = Verifier::with_seed(seed);
    for (item, verdict) in items.iter().zip(&expected) {
        assert_eq!(verify_single(item.key, item.message, item.signature), *verdict);
        assert_eq!(is_signing_key(item.key), plain_point(item.key.as_bytes()).is_some());
        assert_eq!(verifier.verify_one(*item), *verdict);
        assert_eq!(verifier.verify_one(*item), *verdict, "once its key is cached");
    }
    assert_eq!(verifier.verify_batch(&items), expected);
    assert_eq!(Verifier::with_seed(seed).verify_batch(&items), expected);
    let (mut rest, mut verdicts) = (items.as_slice(), Vec::new());
    for cut in cuts.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (group, after) = rest.split_at((1 + usize::from(cut % 8)).min(rest.len()));
        verdicts.extend(verifier.verify_batch(group));
        rest = after;
    }
    assert_eq!(verdicts, expected);
    // Where nothing is bad, the sum alone decides.
    let good: Vec<_> =
        items.iter().zip(&expected).filter(|(_, good)| **good).map(|(item, _)| *item).collect();
    assert_eq!(verifier.verify_batch(&good), vec![true; good.len()]);
}
