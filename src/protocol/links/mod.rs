//! Links: who is at the other end of each, what it may cost, what waits for it, how well it serves, and who is banned.

pub(super) mod allowance;
pub(super) mod announcements;
pub(super) mod bans;
pub(super) mod budget;
mod catch_up;
pub(super) mod clock;
mod fair;
mod link;
pub(super) mod outbox;
mod service;
mod table;

pub(super) use catch_up::CatchUpTurns;
pub(super) use link::{Greeting, Link, Pause};
pub(super) use service::LAST_RESORT;
pub(super) use table::Links;

use crate::key::PublicKey;
use crate::protocol::LinkId;
use crate::protocol::linkset::Slot;

/// Where a frame came from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sender {
    pub(super) link: LinkId,
    pub(super) slot: Slot,
    pub(super) peer: PublicKey,
}
