//! How many links a node dials, and when it feels for others.

use std::time::Duration;

use super::ConfigError;
use crate::protocol::limits::{MAX_FEELERS, MAX_LINKS};

/// The longest time without anything new, or of a feeler, that a node may be configured with.
const LONGEST_QUIET: Duration = Duration::from_secs(3600);

/// How a node dials: part of [`Config`](super::Config).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DialConfig {
    /// Links that the node itself dials. While it has fewer, it dials candidates; without candidates the number means nothing.
    /// Peers that it keeps are dialled in any case, and count. 0: candidates are only felt for. At most 256. Default 12 (simulated).
    pub outbound: usize,
    /// Feelers at a time: candidates that a node dials beyond its links while it hears nothing. Each costs both sides a handshake.
    /// 0: a node whose links all lead to liars stays alone. At most 16. Default 4 (a guess).
    pub feelers: usize,
    /// A node feels for others when no peer has brought anything genuine and new for so long. Too short, and a network in which
    /// little is said spends handshakes; too long, and a node among liars hears late. From 10 ms to an hour. Default 2 s (a guess:
    /// some ten round trips).
    pub feel_after: Duration,
    /// A feeler that has brought nothing for so long is closed. It is time for two hellos, and for what is recent to be announced
    /// and pulled. The first pause between feelers is as long; each further one is twice as long, up to 30 s, and up to 10 min while signs
    /// of life of members come. From 10 ms to an hour. Default 1 s: five round trips of 200 ms.
    pub feeler_life: Duration,
}

impl Default for DialConfig {
    fn default() -> Self {
        Self {
            outbound: 12,
            feelers: 4,
            feel_after: Duration::from_secs(2),
            feeler_life: Duration::from_secs(1),
        }
    }
}

impl DialConfig {
    /// Checks that a dialler can work with this.
    ///
    /// # Errors
    /// The first field that is out of range, and what to set it to.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        use ConfigError as E;
        let times = Duration::from_millis(10)..=LONGEST_QUIET;
        E::unless(self.outbound <= MAX_LINKS, "dialling.outbound", self.outbound, "give at most 256")?;
        E::unless(self.feelers <= MAX_FEELERS, "dialling.feelers", self.feelers, "give at most 16")?;
        for (field, time) in
            [("dialling.feel_after", self.feel_after), ("dialling.feeler_life", self.feeler_life)]
        {
            E::unless(times.contains(&time), field, time, "give 10 ms to 1 h")?;
        }
        Ok(())
    }
}
