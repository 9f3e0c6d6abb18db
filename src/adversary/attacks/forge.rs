//! Liars that play with signatures and ids.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
use curve25519_dalek::scalar::Scalar;
use sha2::{Digest as _, Sha512};

use crate::adversary::{Adversary, Me, Outgoing, frames};
use crate::key::{SecretKey, Signature};
use crate::protocol::{LinkId, Mono};
use crate::rumor::{Bundle, BundleId, HEADER_LEN, Position, SignedHeader};
use crate::wire::{self, Frame, Kind, Lane, MAX_HOPS};

/// When they begin: links are up and greeted by then.
const BEGIN: u64 = 3;
const BEAT: Duration = Duration::from_secs(1);
const BODY: usize = 64;
/// Where the author's key is in an encoded header: after the topic's id.
const AUTHOR_AT: usize = 32;

/// An encoding with another signature, whatever it is worth.
fn signed_otherwise(encoded: &[u8], signature: &[u8; 64]) -> Bytes {
    let mut out = encoded.to_vec();
    if let Some(place) = out.get_mut(HEADER_LEN..HEADER_LEN + 64) {
        place.copy_from_slice(signature);
    }
    out.into()
}

fn spoiled(bundle: &[u8]) -> Bytes {
    let mut out = bundle.to_vec();
    if let Some(byte) = out.get_mut(HEADER_LEN) {
        *byte ^= 1;
    }
    out.into()
}

/// B8 and B17: pushes one forgery a second to every honest link it has left, in its own name or in the victim's.
#[derive(Debug)]
pub(super) struct Forger {
    next: Mono,
    as_victim: bool,
}

impl Forger {
    /// One that forges in the victim's name, or only spoils its own.
    pub(super) fn new(me: &mut Me, as_victim: bool) -> Self {
        Self { next: me.about(BEGIN), as_victim }
    }
}

impl Adversary for Forger {
    fn next_wake(&self) -> Option<Mono> {
        Some(self.next)
    }

    fn wake(&mut self, me: &mut Me) {
        self.next = me.now().mono.plus(BEAT);
        let (tick, links) = (me.tick(), me.targets());
        if links.is_empty() {
            return;
        }
        let slot = me.below(usize::from(me.rules().slots_per_tick())) as u16;
        let Some(bundle) = me.seal(Position { tick, slot }, 1, BODY) else { return };
        let mut forged = spoiled(bundle.encoded()).to_vec();
        if self.as_victim
            && let Some(place) = forged.get_mut(AUTHOR_AT..AUTHOR_AT + 32)
        {
            place.copy_from_slice(me.victim().as_bytes());
        }
        if let Some(payload) = frames::rewritten(std::iter::once((MAX_HOPS, forged.into()))) {
            for link in links {
                me.send(Outgoing::now(link, Lane::Rumors, payload.clone()));
            }
        }
    }
}

/// B16: says things of its own whose signatures have a point of small order in R: `verify` of many libraries refuses them,
/// `verify_batch` passes some. By our rule they hold, on every path.
#[derive(Debug)]
pub(super) struct TorsionSigner {
    next: Mono,
    slot: u16,
}

impl TorsionSigner {
    /// Begins once links are up.
    pub(super) fn new(me: &mut Me) -> Self {
        Self { next: me.about(BEGIN), slot: 0 }
    }
}

/// A signature of `bundle` whose R is off by a point of order 2, 4 or 8.
fn torsion_signature(key: &SecretKey, bundle: &Bundle, nonce: [u8; 32], which: usize) -> Option<Signature> {
    let torsion = EIGHT_TORSION.get(1 + which % 7)?;
    let r = Scalar::from_bytes_mod_order(nonce);
    let point = (ED25519_BASEPOINT_POINT * r + torsion).compress().to_bytes();
    let message = SignedHeader::message(&bundle.id());
    let hash = Sha512::new().chain_update(point).chain_update(key.public().as_bytes()).chain_update(message);
    let k = Scalar::from_bytes_mod_order_wide(&hash.finalize().into());
    let s = (r + k * key.signing().to_scalar()).to_bytes();
    let mut bytes = [0; 64];
    let (left, right) = bytes.split_at_mut(32);
    left.copy_from_slice(&point);
    right.copy_from_slice(&s);
    Some(Signature::from_bytes(bytes))
}

impl Adversary for TorsionSigner {
    fn next_wake(&self) -> Option<Mono> {
        Some(self.next)
    }

    fn wake(&mut self, me: &mut Me) {
        self.next = me.now().mono.plus(BEAT);
        let (tick, links) = (me.tick(), me.targets());
        let (nonce, which) = (me.bytes(), usize::from(self.slot));
        let Some(bundle) = me.seal(Position { tick, slot: 0 }, 1, BODY) else { return };
        self.slot = self.slot.wrapping_add(1);
        let Some(signature) = torsion_signature(me.key(), &bundle, nonce, which) else { return };
        let encoded = signed_otherwise(bundle.encoded(), signature.as_bytes());
        if let Some(payload) = frames::rewritten(std::iter::once((MAX_HOPS, encoded))) {
            for link in links {
                me.send(Outgoing::now(link, Lane::Rumors, payload.clone()));
            }
        }
    }
}

/// B18: of everything it hears it sends on at once a copy with a wrong signature, hoping to be first.
#[derive(Debug, Default)]
pub(super) struct WrongSignatureFirst {
    seen: HashSet<BundleId>,
}

impl Adversary for WrongSignatureFirst {
    fn incoming(&mut self, me: &mut Me, from: LinkId, _: Lane, payload: &Bytes) {
        let new: Vec<_> = frames::bundles(payload).filter(|raw| self.seen.insert(raw.id)).collect();
        let wrong = new.iter().map(|raw| (MAX_HOPS, spoiled(&raw.encoded)));
        if let Some(payload) = frames::rewritten(wrong) {
            for link in me.targets().into_iter().filter(|link| *link != from) {
                me.send(Outgoing::now(link, Lane::Rumors, payload.clone()));
            }
        }
    }
}

/// B19: for every id that it hears of it announces another that differs in the last byte only. Ids travel whole, so this
/// is one more announcement of what does not exist.
#[derive(Debug, Default)]
pub(super) struct PrefixLiar {
    seen: HashSet<BundleId>,
}

impl Adversary for PrefixLiar {
    fn incoming(&mut self, me: &mut Me, _: LinkId, _: Lane, payload: &Bytes) {
        if Kind::of(payload) != Some(Kind::Announce) {
            return;
        }
        let Ok(Frame::Announce(mut announced)) = Frame::decode(payload.clone()) else { return };
        announced.items.retain(|(id, _)| self.seen.insert(*id));
        for (id, _) in &mut announced.items {
            let mut bytes = *id.as_bytes();
            if let Some(last) = bytes.last_mut() {
                *last ^= 1;
            }
            *id = BundleId::from_bytes(bytes);
        }
        if !announced.items.is_empty() {
            let (links, lie) = (me.targets(), wire::announce(&announced.topic, &announced.items));
            me.say(&links, &lie);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rumor::{NetworkId, Topic, seal};
    use crate::verify::verify_single;

    #[test]
    fn torsion_signatures_hold_by_our_rule_and_are_not_what_the_key_would_sign() {
        let key = SecretKey::from_seed(&[3; 32]);
        let topic = Topic::named("t").bind(NetworkId::of("n")).unwrap().id();
        let bundle = seal(&key, topic, Position { tick: 1, slot: 0 }, &[Bytes::from_static(b"x")]).unwrap();
        let message = SignedHeader::message(&bundle.id());
        for which in 0..7 {
            let signature = torsion_signature(&key, &bundle, [which as u8 + 1; 32], which).unwrap();
            assert!(verify_single(&key.public(), &message, &signature), "torsion {which}");
            let plain = ed25519_dalek::Signature::from_bytes(signature.as_bytes());
            let strict = key.signing().verifying_key().verify_strict(&message, &plain);
            assert!(strict.is_err(), "torsion {which}");
        }
    }
}
