mod book;
mod heads;
mod serve;

use std::sync::Arc;

use crate::key::{PublicKey, Signature};
use crate::rumor::{Bundle, Header, Position, Previous, RuleSet, SignedHeader};

fn key(author: u16) -> PublicKey {
    let mut bytes = [7; 32];
    bytes[..2].copy_from_slice(&author.to_le_bytes());
    PublicKey::from_bytes(bytes)
}

/// A bundle of one rumor that nobody signed: neither a store nor a book asks for a signature.
fn bundle(rules: &RuleSet, author: u16, at: Position, prev: Option<Previous>) -> Arc<Bundle> {
    let body = format!("{author} at {at}");
    let mut manifest = blake3::Hasher::new_derive_key("vouchsafe manifest v1");
    manifest.update(&(body.len() as u32).to_le_bytes()).update(blake3::hash(body.as_bytes()).as_bytes());
    let header = Header {
        topic: rules.id(),
        author: key(author),
        tick: at.tick,
        first_slot: at.slot,
        count: 1,
        bytes: body.len() as u32,
        manifest: *manifest.finalize().as_bytes(),
        prev,
    };
    let mut encoded = SignedHeader { header, signature: Signature::from_bytes([9; 64]) }.encode().to_vec();
    encoded.extend_from_slice(&(body.len() as u32).to_le_bytes());
    encoded.extend_from_slice(body.as_bytes());
    Arc::new(Bundle::decode(encoded.into()).unwrap())
}
