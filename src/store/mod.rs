//! What is kept: the author's position log of used positions.
//!
//! **This is the lower level** ([stability](crate#stability)): apps name a path to [`Builder::position_log`](crate::Builder::position_log).
//!
//! Bodies live in the engine's windows, in memory, bounded by [`Config`](crate::protocol::Config).

mod position_log;

pub use position_log::{PositionLog, PositionLogError};
