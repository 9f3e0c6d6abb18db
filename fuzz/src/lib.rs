//! The bodies of the fuzz targets, one function of bytes each, so that they also run as plain tests over their corpora.
//!
//! `codec` says that bytes have one meaning and meanings one encoding, `signatures` that a signature has one verdict on
//! every path, `engine` that nothing a peer or a clock does breaks what the engine promises. `seeds` makes the corpora.
#![forbid(unsafe_code)]

mod codec;
mod engine;
mod seeds;
mod signatures;
mod world;

pub use codec::{bundle, evidence, frame, proof, rules, texts};
pub use engine::engine_ops;
pub use seeds::{Seed, all as seeds};
pub use signatures::verify_agree;

/// A harness: anything at all in, and it must not panic.
pub type Harness = fn(&[u8]);

/// Every target by name.
pub const TARGETS: [(&str, Harness); 8] = [
    ("frame", frame),
    ("bundle", bundle),
    ("proof", proof),
    ("evidence", evidence),
    ("rules", rules),
    ("texts", texts),
    ("verify_agree", verify_agree),
    ("engine_ops", engine_ops),
];
