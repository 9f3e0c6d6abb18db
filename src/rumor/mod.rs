//! What is said: topics, positions, rumors, the signed bundles they travel in, and the evidence that two of them give.
//!
//! **This is the lower level.** What an app names of it stands at the root of the crate; headers, bundles, the pen and the formats are
//! for drivers and other implementations ([stability](crate#stability)).
//!
//! Pure data, no I/O, no clock. Everything that is hashed or signed is of fixed width and little-endian, so that one
//! meaning has one encoding. Whether a signature holds is the question of [`verify`](crate::verify), one room up.
//!
//! ```text
//!   Topic (rules) ─ bind(network) ─> RuleSet ── TopicId ─┐
//!   Pen ── Position (tick, slot) ────────────────────────┼─> Header ── BundleId ── Signature
//!   bodies ── (length, BLAKE3) list ── manifest ─────────┘        └─ Rumor: one body at one position
//!                                                                    two overlapping Headers ─> Evidence
//! ```

// Lengths and times here are a peer's. Where they run over, a release build would go on with what is left of them.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

mod author;
mod bundle;
mod cell;
mod domain;
mod evidence;
mod header;
mod id;
mod member;
mod pen;
mod position;
mod proof;
mod pulse;
pub(crate) mod registers;
mod resolve;
mod spans;
mod topic;

pub use crate::key::Signature;
pub use author::{SealError, seal, seal_after};
pub use bundle::{Bundle, BundleError, Rumor, Rumors};
pub use cell::{Cell, CellError, MAX_KEY};
pub use evidence::{EVIDENCE_LEN, Evidence, EvidenceError};
pub use header::{
    BundleId, HEADER_LEN, Header, PREVIOUS_LEN, Previous, RumorId, SIGNED_HEADER_LEN, SIGNED_MESSAGE_LEN,
    SignedHeader,
};
pub use id::ParseIdError;
pub(crate) use id::id32;
pub use member::{
    Beacon, ChainTerms, EPOCHS, LONGEST_CHAIN, MAX_MEMBER_ADDRESSES, MAX_METADATA, MAX_RECORD, MemberRecord,
    RecordError,
};
pub use pen::{POSITION_LOG_LEAD, Pen, Reservation};
pub use position::{MAX_TICK_LEN, MIN_TICK_LEN, ParsePositionError, Position, TickLen};
pub use proof::{Proof, ProofError};
pub use pulse::{ChainCheck, ChainPoint, Descent, MAX_CHAIN, PULSE_LEN, PulseChain, PulseValue};
pub use resolve::{Resolve, Said};
pub use spans::{MAX_SPANS, Spans};
pub use topic::{
    Authors, Guarantee, KEPT_BEYOND, Kind, LONGEST_RETENTION, MAX_BODY, MAX_HOLD_BACK, MAX_LISTED_AUTHORS,
    MAX_NAME, MAX_OWNED_AUTHORS, MAX_RULES_LEN, MAX_SLOTS, NetworkId, Retention, RuleError, RuleSet, Topic,
    TopicId,
};
pub(crate) use topic::{authors_body, members_topic, newest_list};

/// Most rumors in one bundle. At 64 a signature costs a receiver less than a microsecond per rumor.
/// A constant of the wire version: breaking it is an offence.
pub const MAX_RUMORS: usize = 64;

/// Most body bytes, in all, of a bundle of more than one rumor, and the most that is ever pushed unasked. A larger body
/// travels alone and is announced first. 16 KiB is a guess at where a second copy starts to hurt.
pub const MAX_INLINE: usize = 16 * 1024;

#[cfg(test)]
mod tests;
