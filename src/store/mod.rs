//! What is kept: the author's ledger of used positions.
//!
//! Bodies live in the engine's windows, in memory, bounded by [`Config`](crate::protocol::Config).

mod ledger;

pub use ledger::{LedgerError, LedgerFile};
