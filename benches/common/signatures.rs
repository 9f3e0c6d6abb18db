//! Signatures to verify, for the benches that need many.

use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use vouchsafe::PublicKey;
use vouchsafe::rumor::Signature;
use vouchsafe::verify::Item;

pub(crate) struct Signed {
    pub(crate) dalek: VerifyingKey,
    pub(crate) key: PublicKey,
    pub(crate) message: [u8; 32],
    pub(crate) signature: Signature,
}

/// `count` signatures over 32-byte messages (an id is what is signed), `authors` taking turns.
pub(crate) fn signed(count: usize, authors: usize) -> Vec<Signed> {
    let keys: Vec<SigningKey> =
        (0..authors).map(|n| SigningKey::from_bytes(blake3::hash(&n.to_le_bytes()).as_bytes())).collect();
    (0..count)
        .map(|n| {
            let signing = &keys[n % authors];
            let message = *blake3::hash(&[7, n as u8, (n >> 8) as u8]).as_bytes();
            let signature = Signature::from_bytes(signing.sign(&message).to_bytes());
            let dalek = signing.verifying_key();
            Signed { dalek, key: PublicKey::from_bytes(dalek.to_bytes()), message, signature }
        })
        .collect()
}

pub(crate) fn items(signed: &[Signed]) -> Vec<Item<'_>> {
    signed
        .iter()
        .map(|one| Item { key: &one.key, message: &one.message, signature: &one.signature })
        .collect()
}
