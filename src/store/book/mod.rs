//! The rules of a store, once for all stores: what one transaction does to the rows.
//!
//! The book is exact: `Heads` and `Unmet`, and in topics of state the registers, are at each commit what a recount of the bundles would give ([`check`](super::check)).
//!
//! ```text
//!   keep ──> remove <── open            what a writer does       read    what a reader asks
//!   keep, remove ──> cells                                  topics of state
//!   all of them ──> names, places, beside: rows of topics and authors, of bundles, of the store itself
//! ```

mod beside;
mod cells;
mod keep;
mod left;
mod names;
mod open;
mod places;
mod read;
mod remove;

pub(super) use beside::{FORMAT, begin, evidence, format, incarnation, recorded, remember, settle};
pub(super) use cells::{Expected, dead_of};
pub(super) use keep::{keep_group, release, rest};
pub(super) use left::over;
pub(super) use names::{Counts, Usage, join_topic, name, topic};
pub(super) use open::{Open, open};
pub(super) use places::{arrival_of, tick_of, unshown_of};
pub(super) use read::{before, find, frontier, held, history, live, page, scan, unmet};
pub(super) use remove::forget;
