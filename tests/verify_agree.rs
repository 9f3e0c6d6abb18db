//! One verdict on every path: alone, cached, and in any batch, whatever a hostile signer makes (docs/attacks.md, B16).
//!
//! The judge of the judges is [`plain_rule`]: the rule written once more with slow, obvious curve operations.
//! (A batch judges again alone what its sum refuses, so a sum that is too strict shows only in the tests of
//! `src/verify/batch.rs`, which ask the sum itself.)

use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT as B, EIGHT_TORSION};
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::IsIdentity as _;
use proptest::prelude::*;
use sha2::{Digest as _, Sha512};
use vouchsafe::key::{PublicKey, Signature};
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

fn plain_rule(item: Item<'_>) -> bool {
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
enum Twist {
    Nothing,
    FlipSignature(usize),
    FlipKey(usize),
    OtherMessage,
    AddOrderToS,
    EdgeS(usize),
    SmallR(usize),
    SmallKey(usize),
    /// R or key written as y + p, for the few y where that fits in 255 bits.
    HighR(u8),
    HighKey(u8),
    ForgeAll(Box<([u8; 32], [u8; 32], [u8; 32])>),
}

#[derive(Debug, Clone)]
struct Plan {
    author: u8,
    torsion_of_key: usize,
    torsion_of_r: usize,
    nonce: u64,
    twist: Twist,
}

struct Made {
    key: PublicKey,
    message: Vec<u8>,
    signature: Signature,
}

impl Made {
    fn item(&self) -> Item<'_> {
        Item { key: &self.key, message: &self.message, signature: &self.signature }
    }
}

fn scalar(tag: u8, n: u64) -> Scalar {
    let mut wide = [tag; 64];
    wide[..8].copy_from_slice(&n.to_le_bytes());
    Scalar::from_bytes_mod_order_wide(&Sha512::digest(wide).into())
}

/// `s` as an edge: 0, 1, l - 1, l, l + 1, 2^252, 2^255 - 1, 2^256 - 1.
fn edge(which: usize) -> [u8; 32] {
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
fn make(plan: &Plan) -> Made {
    let (secret, nonce) = (scalar(1, u64::from(plan.author)), scalar(2, plan.nonce));
    let mut message = plan.nonce.to_le_bytes().repeat(1 + plan.author as usize % 3);
    let mut key = (B * secret + EIGHT_TORSION[plan.torsion_of_key]).compress().to_bytes();
    let mut r = (B * nonce + EIGHT_TORSION[plan.torsion_of_r]).compress().to_bytes();
    match &plan.twist {
        // With R or A replaced by a point without a large part, s is made to fit what a lax verifier would read.
        Twist::SmallR(n) => r = EIGHT_TORSION[n % 8].compress().to_bytes(),
        Twist::HighR(n) => r = high(*n, n & 0x80 != 0),
        Twist::SmallKey(n) => key = EIGHT_TORSION[n % 8].compress().to_bytes(),
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
        Twist::FlipSignature(bit) if bit % 512 < 256 => r[bit % 256 / 8] ^= 1 << (bit % 8),
        Twist::FlipSignature(bit) => s[bit % 256 / 8] ^= 1 << (bit % 8),
        Twist::FlipKey(bit) => key[bit % 256 / 8] ^= 1 << (bit % 8),
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

fn twist() -> impl Strategy<Value = Twist> {
    prop_oneof![
        30 => Just(Twist::Nothing),
        1 => any::<usize>().prop_map(Twist::FlipSignature),
        1 => any::<usize>().prop_map(Twist::FlipKey),
        1 => Just(Twist::OtherMessage),
        1 => Just(Twist::AddOrderToS),
        1 => any::<usize>().prop_map(Twist::EdgeS),
        1 => any::<usize>().prop_map(Twist::SmallR),
        1 => any::<usize>().prop_map(Twist::SmallKey),
        1 => any::<u8>().prop_map(Twist::HighR),
        1 => any::<u8>().prop_map(Twist::HighKey),
        1 => any::<([u8; 32], [u8; 32], [u8; 32])>().prop_map(|all| Twist::ForgeAll(Box::new(all))),
    ]
}

fn plan() -> impl Strategy<Value = Plan> {
    (0u8..4, 0usize..8, 0usize..8, any::<u64>(), twist()).prop_map(
        |(author, torsion_of_key, torsion_of_r, nonce, twist)| Plan {
            author,
            torsion_of_key,
            torsion_of_r,
            nonce,
            twist,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn single_and_batch_agree(
        plans in prop::collection::vec(plan(), 1..24),
        cuts in prop::collection::vec(1usize..9, 1..8),
        seed in any::<[u8; 32]>(),
    ) {
        let made: Vec<Made> = plans.iter().map(make).collect();
        let items: Vec<Item<'_>> = made.iter().map(Made::item).collect();
        let expected: Vec<bool> = items.iter().map(|item| plain_rule(*item)).collect();
        for (plan, verdict) in plans.iter().zip(&expected) {
            // An honest twist must hold, or the property would be about refusals alone.
            prop_assert!(*verdict || !matches!(plan.twist, Twist::Nothing));
        }

        let mut verifier = Verifier::with_seed(seed);
        for (item, verdict) in items.iter().zip(&expected) {
            prop_assert_eq!(verify_single(item.key, item.message, item.signature), *verdict);
            prop_assert_eq!(is_signing_key(item.key), plain_point(item.key.as_bytes()).is_some());
            prop_assert_eq!(verifier.verify_one(*item), *verdict);
            prop_assert_eq!(verifier.verify_one(*item), *verdict);
        }
        prop_assert_eq!(&verifier.verify_batch(&items), &expected);
        prop_assert_eq!(&Verifier::with_seed(seed).verify_batch(&items), &expected);

        let (mut rest, mut verdicts) = (items.as_slice(), Vec::new());
        for cut in cuts.iter().cycle() {
            let (group, after) = rest.split_at((*cut).min(rest.len()));
            verdicts.extend(verifier.verify_batch(group));
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(&verdicts, &expected);

        // All that holds, and nothing else, in one batch: the path where the sum alone decides.
        let good: Vec<Item<'_>> = items.iter().zip(&expected).filter(|(_, good)| **good).map(|(item, _)| *item).collect();
        prop_assert_eq!(verifier.verify_batch(&good), vec![true; good.len()]);
    }
}

/// Every torsion in the key with every torsion in R, so that no run depends on luck to meet the hard cases.
#[test]
fn all_64_torsion_mixes_hold_alone_and_together() {
    let made: Vec<Made> = (0..64)
        .map(|n| {
            let (torsion_of_key, torsion_of_r) = (n / 8, n % 8);
            make(&Plan { author: 9, torsion_of_key, torsion_of_r, nonce: n as u64, twist: Twist::Nothing })
        })
        .collect();
    let items: Vec<Item<'_>> = made.iter().map(Made::item).collect();
    let mut verifier = Verifier::new();
    for pair in items.windows(2) {
        assert!(plain_rule(pair[0]) && verify_single(pair[0].key, pair[0].message, pair[0].signature));
        assert_eq!(verifier.verify_batch(pair), [true, true]);
    }
    assert_eq!(verifier.verify_batch(&items), vec![true; 64]);
}

/// Two bad signatures whose errors cancel in a plain sum (s + 1 and s - 1) are both found.
#[test]
fn errors_that_cancel_without_coefficients_are_found() {
    let plan = |nonce| Plan { author: 1, torsion_of_key: 0, torsion_of_r: 0, nonce, twist: Twist::Nothing };
    let mut made = [make(&plan(1)), make(&plan(2))];
    for (one, by) in made.iter_mut().zip([Scalar::ONE, -Scalar::ONE]) {
        let mut bytes = *one.signature.as_bytes();
        let s = Scalar::from_canonical_bytes(bytes[32..].try_into().unwrap()).unwrap() + by;
        bytes[32..].copy_from_slice(s.as_bytes());
        one.signature = Signature::from_bytes(bytes);
    }
    let items: Vec<Item<'_>> = made.iter().map(Made::item).collect();
    assert_eq!(Verifier::new().verify_batch(&items), [false, false]);
}
