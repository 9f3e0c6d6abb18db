//! Limits on what others begin with us.

use std::time::Duration;

use crate::protocol::ConfigError;

/// Time for a handshake, ours or another's, and for the app to take the connection. A handshake is two round trips; the
/// rest is for lost packets. Others' have less of it while many are under way. Without it a peer that stops in the middle keeps its place for the idle timeout, 30 s.
pub(crate) const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(10);

/// Limits on handshakes that others start with us, and on the links that come of them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GateConfig {
    /// Handshakes under way at once, in all. Default 64. Without it a flood of handshakes takes memory and a signature's
    /// worth of CPU each, without end. One more ends the oldest of the group that has most; on our own network each address
    /// counts as a group.
    pub half_open: u32,
    /// Handshakes under way at once from one network group. Default 16. Without it one /24 that starts handshakes and
    /// never ends them takes memory for `half_open` of them. One more ends the group's oldest, once that
    /// has had a second.
    pub half_open_per_group: u32,
    /// From this many handshakes under way on, an address must first prove that it is not forged (Retry). Default 16: what
    /// forgers can occupy. Without it forged first packets fill `half_open` for 10 s each.
    pub retry_from: u32,
    /// Handshakes that one group may start in a burst. Default 32: a small network that comes back after a power cut.
    pub burst_per_group: u32,
    /// Handshakes per minute that one group may go on with. Default 120, a guess: some 0.1 % of a core. Without it
    /// connecting and leaving again at full speed burns our CPU on signatures.
    pub per_minute_per_group: u32,
    /// Links at once that one group may have dialled. Default 8, a guess: a twelfth of the places. Without it one rented
    /// server fills all of them with as many keys as it likes.
    pub links_per_group: u32,
    /// Handshakes per second, and in a burst, for which no proof of address is asked, over all groups. Default 32: what
    /// a calm node sees, so that in calm nobody pays the extra round trip.
    pub unproven_rate: u32,
    /// Whether addresses on our own machine or network ([`NetGroup::Local`](super::NetGroup::Local)) are limited like a group. Default false: a
    /// test or a home network runs hundreds of nodes on one address. Set it where strangers share your network.
    pub limit_local: bool,
}

impl Default for GateConfig {
    fn default() -> Self {
        Self {
            half_open: 64,
            half_open_per_group: 16,
            retry_from: 16,
            burst_per_group: 32,
            per_minute_per_group: 120,
            links_per_group: 8,
            unproven_rate: 32,
            limit_local: false,
        }
    }
}

impl GateConfig {
    /// Changes some fields, in a chain: `GateConfig::default().with(|gate| gate.limit_local = true)`.
    #[must_use = "it gives the changed configuration back"]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// Checks that peers can dial a node with this.
    ///
    /// # Errors
    /// The first field that keeps everybody out, and what to set it to.
    pub fn check(&self) -> Result<(), ConfigError> {
        for (field, value) in [
            ("half_open", self.half_open),
            ("half_open_per_group", self.half_open_per_group),
            ("burst_per_group", self.burst_per_group),
            ("per_minute_per_group", self.per_minute_per_group),
            ("links_per_group", self.links_per_group),
        ] {
            let remedy =
                "give at least 1, or nobody can dial this node; `Config::links.inbound` = 0 takes no links";
            ConfigError::unless(value > 0, field, value, remedy)?;
        }
        Ok(())
    }
}

/// Why a handshake was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub(crate) enum Refusal {
    /// Too many handshakes are under way in all, and no group has more than this one.
    HalfOpen,
    /// Too many handshakes of this network group are under way, none for longer than a second.
    GroupHalfOpen,
    /// This network group starts handshakes too fast.
    GroupRate,
}
