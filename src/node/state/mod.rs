//! What a topic of state says, in memory: values, and what becomes of them.

mod values;
mod view;
mod watcher;

pub use values::Entry;
pub(super) use values::Values;
pub(super) use view::{Fact, View};
pub(super) use watcher::{Told, WatcherId};
