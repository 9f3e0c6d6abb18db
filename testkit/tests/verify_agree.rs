//! One verdict on every path: alone, cached, and in any batch, whatever a hostile signer makes (docs/attacks.md, B16).

use curve25519_dalek::scalar::Scalar;
use proptest::prelude::*;
use vouchsafe::rumor::Signature;
use vouchsafe::verify::{Item, Verifier, verify_single};
use vouchsafe_testkit::twisted::{Made, Plan, Twist, check, make, plain_rule};

fn twist() -> impl Strategy<Value = Twist> {
    prop_oneof![
        30 => Just(Twist::Nothing),
        1 => any::<u16>().prop_map(Twist::FlipSignature),
        1 => any::<u16>().prop_map(Twist::FlipKey),
        1 => Just(Twist::OtherMessage),
        1 => Just(Twist::AddOrderToS),
        1 => any::<u16>().prop_map(Twist::EdgeS),
        1 => any::<u16>().prop_map(Twist::SmallR),
        1 => any::<u16>().prop_map(Twist::SmallKey),
        1 => any::<u8>().prop_map(Twist::HighR),
        1 => any::<u8>().prop_map(Twist::HighKey),
        1 => any::<([u8; 32], [u8; 32], [u8; 32])>().prop_map(|all| Twist::ForgeAll(Box::new(all))),
    ]
}

fn plan() -> impl Strategy<Value = Plan> {
    (0u8..4, 0u8..8, 0u8..8, any::<u64>(), twist()).prop_map(
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
        cuts in prop::collection::vec(0u8..8, 1..8),
        seed in any::<[u8; 32]>(),
    ) {
        check(&plans, &cuts, seed);
    }
}

/// Every torsion in the key with every torsion in R, so that no run depends on luck to meet the hard cases.
#[test]
fn all_64_torsion_mixes_hold_alone_and_together() {
    let made: Vec<Made> = (0..64)
        .map(|n| {
            let (torsion_of_key, torsion_of_r) = (n / 8, n % 8);
            make(&Plan { author: 9, torsion_of_key, torsion_of_r, nonce: n.into(), twist: Twist::Nothing })
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
