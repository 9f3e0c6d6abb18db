//! The bodies of the fuzz targets, one function of bytes each, so that they also run as plain tests over their corpora.
//!
//! `codec` says that bytes have one meaning and meanings one encoding, `signatures` that a signature has one verdict on every
//! path, `engine` that nothing a peer or a clock does breaks what the engine promises, `round_trip` that a value is read back,
//! `stream` that frames do not depend on how they arrive, `files` that a stored record is right or damaged,
//! `hello` that a dialler's offer is what rustls reads. `seeds` and `traffic` make the corpora, `dictionaries` the words that a
//! fuzzer would not find.
#![forbid(unsafe_code)]

mod codec;
mod dictionaries;
mod engine;
mod files;
mod hello;
mod members;
mod past;
mod round_trip;
mod seeds;
mod signatures;
mod stream;
mod traffic;
mod world;

pub use codec::{bundle, cell, evidence, frame, member_record, proof, rules, texts};
pub use dictionaries::all as dictionaries;
pub use engine::engine_ops;
pub use files::{key_file, position_log};
pub use hello::client_hello;
pub use round_trip::round_trip;
pub use seeds::{Seed, all as seeds};
pub use signatures::verify_agree;
pub use stream::stream;
pub use traffic::traffic;

/// A harness: anything at all in, and it must not panic.
pub type Harness = fn(&[u8]);

/// Every target by name.
pub const TARGETS: [(&str, Harness); 15] = [
    ("frame", frame),
    ("bundle", bundle),
    ("proof", proof),
    ("evidence", evidence),
    ("rules", rules),
    ("cell", cell),
    ("member_record", member_record),
    ("texts", texts),
    ("verify_agree", verify_agree),
    ("engine_ops", engine_ops),
    ("round_trip", round_trip),
    ("stream", stream),
    ("position_log", position_log),
    ("key_file", key_file),
    ("client_hello", client_hello),
];
