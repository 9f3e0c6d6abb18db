mod alike;
mod cursors;
mod damage;
mod disks;
mod keeping;
mod prev;
mod state;

use std::sync::Arc;

use crate::key::PublicKey;
use crate::protocol::keeping::{Arrival, Group, Keep, Keeping, Kept, Show};
use crate::rumor::{
    Bundle, BundleId, Header, NetworkId, Position, Previous, RuleSet, SIGNED_HEADER_LEN, SignedHeader, Topic,
};
use crate::store::Store;

pub(super) const ROOM: Keeping = Keeping {
    bytes: 1 << 40,
    shared: u64::MAX,
    authors: 1 << 20,
    judged_by: Some(1),
    recent_from: 0,
    latest: 1 << 40,
};

/// Repeatable chance.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub(super) fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            let other = self.below(at + 1);
            items.swap(at, other);
        }
    }
}

pub(super) fn rules(name: &str) -> RuleSet {
    Topic::named(name).bind(NetworkId::of("stores")).unwrap()
}

pub(super) fn key(author: u16) -> PublicKey {
    let mut bytes = [7; 32];
    bytes[..2].copy_from_slice(&author.to_le_bytes());
    PublicKey::from_bytes(bytes)
}

pub(super) const fn at(tick: u64, slot: u16) -> Position {
    Position { tick, slot }
}

/// A bundle that nobody signed: a store asks for no signature.
pub(super) fn bundle(
    rules: &RuleSet,
    author: u16,
    position: Position,
    prev: Option<Previous>,
    bodies: &[&str],
) -> Arc<Bundle> {
    let mut manifest = blake3::Hasher::new_derive_key("vouchsafe manifest v1");
    for body in bodies {
        manifest.update(&(body.len() as u32).to_le_bytes());
        manifest.update(blake3::hash(body.as_bytes()).as_bytes());
    }
    let header = Header {
        topic: rules.id(),
        author: key(author),
        tick: position.tick,
        first_slot: position.slot,
        count: bodies.len() as u16,
        bytes: bodies.iter().map(|body| body.len() as u32).sum(),
        manifest: *manifest.finalize().as_bytes(),
        prev,
    };
    let signed = SignedHeader { header, signature: crate::key::Signature::from_bytes([9; 64]) };
    let mut encoded = signed.encode().to_vec();
    assert_eq!(encoded.len(), SIGNED_HEADER_LEN);
    bodies.iter().for_each(|body| encoded.extend_from_slice(&(body.len() as u32).to_le_bytes()));
    bodies.iter().for_each(|body| encoded.extend_from_slice(body.as_bytes()));
    Arc::new(Bundle::decode(encoded.into()).unwrap())
}

pub(super) fn previous(bundle: &Bundle) -> Option<Previous> {
    Some(Previous::of(bundle))
}

/// A previous bundle that nobody has ever sealed.
pub(super) fn invented(dice: &mut Dice, position: Position) -> Option<Previous> {
    let mut id = [1; 32];
    id[..8].copy_from_slice(&dice.next().to_le_bytes());
    Some(Previous { id: BundleId::from_bytes(id), position })
}

/// A chain of one author: one bundle a tick, each naming the one before.
pub(super) fn chain(rules: &RuleSet, author: u16, ticks: std::ops::Range<u64>) -> Vec<Arc<Bundle>> {
    let mut all = Vec::<Arc<Bundle>>::new();
    for tick in ticks {
        let prev = all.last().and_then(|last| previous(last));
        let body = format!("{author} says at {tick} {}", "x".repeat(200));
        all.push(bundle(rules, author, at(tick, 3), prev, &[&body]));
    }
    all
}

pub(super) fn live(bundle: &Arc<Bundle>) -> Keep {
    Keep { bundle: Arc::clone(bundle), arrival: Arrival::Live, show: Show::Now }
}

/// Keeps these, live and shown, in one group.
pub(super) fn keep(store: &mut dyn Store, bundles: &[Arc<Bundle>]) -> Vec<Kept> {
    let keeps: Vec<_> = bundles.iter().map(live).collect();
    store.keep(&Group { keeps: &keeps, record: None, now_ms: 1000 }).unwrap()
}

pub(super) fn is_new(kept: &Kept) -> bool {
    matches!(kept, Kept::New { .. })
}
