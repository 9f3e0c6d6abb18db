//! The rule itself: which keys may sign, which signatures are well formed, and the one equation.
//!
//! Every path of this layer (alone, cached, batched) decodes with these functions and no others, so two paths can't
//! disagree about an encoding.

use curve25519_dalek::EdwardsPoint;
use curve25519_dalek::edwards::CompressedEdwardsY;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::IsIdentity as _;
use sha2::{Digest as _, Sha512};

use crate::key::{PublicKey, Signature};

/// The y coordinates (little endian) of the eight points whose order divides 8; the two signs of x share a y.
///
/// Solved from the curve equation of RFC 8032, section 5.1: y = 0 (order 4), 1 (the identity), the two pairs of roots of
/// `d y^4 + 2 y^2 - 1 = 0` (order 8) and -1 (order 2). Checked against curve25519-dalek's table in the tests below.
/// With one missing, a key would exist under which one signature fits every message.
const SMALL_ORDER_Y: [[u8; 32]; 5] = [
    [0; 32],
    [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5,
        0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a,
        0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
    [
        0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f,
    ],
];

/// The bit of the last byte that holds the sign of x; the other 255 bits are y.
const SIGN: u8 = 0x80;

/// A key that may sign, decoded and negated (every use of it is a subtraction).
pub(super) type MinusKey = EdwardsPoint;

/// What one signature claims, decoded: that `[8](sB - kA - R)` is the identity.
pub(super) struct Claim {
    pub(super) r: EdwardsPoint,
    pub(super) s: Scalar,
    pub(super) k: Scalar,
}

/// The key part: canonical, on the curve, not of small order.
pub(super) fn decode_key(key: &PublicKey) -> Option<MinusKey> {
    decode_point(key.as_bytes()).map(|point| -point)
}

/// The signature part: s below the group order, R as strict as a key; then k of the bytes exactly as they came.
pub(super) fn decode_claim(key: &PublicKey, message: &[u8], signature: &Signature) -> Option<Claim> {
    let (r_bytes, rest) = signature.as_bytes().split_first_chunk::<32>()?;
    let s_bytes = rest.first_chunk::<32>()?;
    // The cheap test first: nothing below is spent on an s that anybody can see is too large.
    let s = Option::<Scalar>::from(Scalar::from_canonical_bytes(*s_bytes))?;
    let r = decode_point(r_bytes)?;
    let hash =
        Sha512::new().chain_update(r_bytes).chain_update(key.as_bytes()).chain_update(message).finalize();
    let k = Scalar::from_bytes_mod_order_wide(&hash.into());
    Some(Claim { r, s, k })
}

/// The equation. The multiplication by 8 comes last and on the whole sum: reducing scalars modulo the order of the
/// base point changes only the part of a point that this multiplication removes.
pub(super) fn holds(minus_key: &MinusKey, claim: &Claim) -> bool {
    let sum = EdwardsPoint::vartime_double_scalar_mul_basepoint(&claim.k, minus_key, &claim.s) - claim.r;
    vanishes(&sum)
}

/// Whether eight times the sum is the identity.
pub(super) fn vanishes(sum: &EdwardsPoint) -> bool {
    sum.mul_by_cofactor().is_identity()
}

/// Bytes are compared where curve arithmetic could answer too: both refusals cost nanoseconds, and come before the
/// square root, which is what decoding costs.
fn decode_point(bytes: &[u8; 32]) -> Option<EdwardsPoint> {
    if !is_canonical(bytes) || has_small_order(bytes) {
        return None;
    }
    CompressedEdwardsY(*bytes).decompress()
}

/// Whether y < p = 2^255 - 19. An x of zero with its sign set is non-canonical too; its y is 1 or -1, so
/// [`has_small_order`] refuses it.
fn is_canonical(bytes: &[u8; 32]) -> bool {
    let [first, middle @ .., last] = bytes;
    last | SIGN != 0xff || *first < 0xed || middle.iter().any(|byte| *byte != 0xff)
}

fn has_small_order(bytes: &[u8; 32]) -> bool {
    let mut y = *bytes;
    if let Some(last) = y.last_mut() {
        *last &= !SIGN;
    }
    SMALL_ORDER_Y.contains(&y)
}

#[cfg(test)]
mod tests {
    use super::*;
    use curve25519_dalek::constants::EIGHT_TORSION;

    #[test]
    fn small_order_is_the_torsion_group_and_nothing_else() {
        let ys: std::collections::BTreeSet<[u8; 32]> = EIGHT_TORSION
            .iter()
            .map(|point| {
                let mut bytes = point.compress().to_bytes();
                assert!(has_small_order(&bytes) && decode_point(&bytes).is_none());
                bytes[31] ^= SIGN;
                assert!(has_small_order(&bytes) && decode_point(&bytes).is_none());
                bytes[31] &= !SIGN;
                bytes
            })
            .collect();
        assert_eq!(ys, SMALL_ORDER_Y.into_iter().collect());
    }

    #[test]
    fn canonical_means_below_p() {
        for low in 0..=255u8 {
            for last in [0x7f, 0xff] {
                let mut bytes = [0xff; 32];
                bytes[0] = low;
                bytes[31] = last;
                assert_eq!(is_canonical(&bytes), low < 0xed, "{low:02x}..{last:02x}");
                bytes[17] = 0xfe;
                assert!(is_canonical(&bytes));
            }
        }
    }
}
