//! What is kept: the author's ledger of used positions.
//!
//! **This is the lower level** ([stability](crate#stability)): apps name a path to [`Builder::ledger`](crate::Builder::ledger).
//!
//! Bodies live in the engine's windows, in memory, bounded by [`Config`](crate::protocol::Config).

mod ledger;

pub use ledger::{LedgerError, LedgerFile};
