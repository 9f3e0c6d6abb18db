//! Claims about the parts of members, without a world. Those about networks stand in `sim/tests/members.rs`.

mod asks;
mod lives;
mod own;
mod pace;
mod pulses;
mod table;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::table::Record;
use crate::key::{PublicKey, SecretKey};
use crate::protocol::{Mono, Now};
use crate::rumor::{
    Beacon, Cell, ChainTerms, MemberRecord, NetworkId, Position, PulseChain, members_topic, seal,
};

/// When the tests begin, Unix seconds.
const START_S: u64 = 1_800_000_000;

/// So many milliseconds after the start, by both clocks.
fn at(millis: u64) -> Now {
    Now { mono: Mono::from_nanos(millis * 1_000_000), unix_ms: START_S * 1000 + millis }
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A member that says things.
struct Speaker {
    secret: SecretKey,
    chain: PulseChain,
    terms: ChainTerms,
    boot_ms: u64,
}

impl Speaker {
    /// With a chain of 100 epochs of five seconds that begins at the start.
    fn new(seed: u8) -> Self {
        Self::of([seed; 32])
    }

    /// One of many.
    fn numbered(number: u16) -> Self {
        let mut seed = [77; 32];
        seed[..2].copy_from_slice(&number.to_le_bytes());
        Self::of(seed)
    }

    fn of(seed: [u8; 32]) -> Self {
        let secret = SecretKey::from_seed(&seed);
        let chain = PulseChain::new(&secret.public(), 100, [seed[0]; 16]);
        let start = (START_S / 5) as u32;
        let terms = ChainTerms { epoch_s: 5, start, len: 100, anchor: chain.anchor() };
        Self { secret, chain, terms, boot_ms: START_S * 1000 }
    }

    fn key(&self) -> PublicKey {
        self.secret.public()
    }

    fn beacon(&self, position: Position, metadata: &'static [u8]) -> Record {
        let beacon = Beacon {
            boot_ms: self.boot_ms,
            chain: self.terms,
            addresses: Vec::new(),
            metadata: Bytes::from_static(metadata),
        };
        self.says(position, MemberRecord::Beacon(beacon))
    }

    fn says(&self, position: Position, says: MemberRecord) -> Record {
        let topic = members_topic(NetworkId::of("members")).id();
        let cell = Cell::put(super::RECORD_KEY, says.encode().unwrap()).unwrap();
        let bundle = Arc::new(seal(&self.secret, topic, position, &[cell.encode()]).unwrap());
        Record { author: self.key(), position, says, bundle }
    }
}

/// The first slot of a tick so many seconds after the start.
fn tick(seconds: u64) -> Position {
    Position { tick: START_S + seconds, slot: 0 }
}
