//! Whether this node was there: what was said while it was cut off from a topic, or did not run, for longer than can be
//! caught up is missing, and the application is told.
//!
//! ```text
//!   the last link goes        the first link comes, and with it what is younger than the delivery window
//!        since                                              now
//! ────────┼──────────── missed ──────────────┼── caught up ──┼────>
//!                                        now - 60 s
//! ```

use std::time::Duration;

use crate::protocol::links::Link;
use crate::protocol::{Mono, Now};

/// A link on which nothing comes for so long is ended by the transport (`net/limits.rs`, `IDLE_TIMEOUT`). So the other
/// ends of our links are gone if this process stood still for longer, and when a link ends it may have been dead for as long.
const LINK_SILENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
pub(in crate::protocol) struct Presence {
    /// When this process went on after it had stood still: links that are older may be dead.
    woke: Option<Mono>,
    /// The last step of the wall clock against the monotonic one, and its milliseconds.
    stepped: Option<(Mono, i64)>,
    /// When the link that went last may have brought its last frame.
    last_heard: Mono,
    /// When a peer last brought something genuine and new.
    heard_at: Option<Mono>,
    /// The topology that was looked at.
    topology: u64,
}

/// What a look at both clocks has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::protocol) enum Absence {
    /// What was said from then to then, Unix milliseconds, lay outside our window.
    Missed { from_ms: u64, to_ms: u64 },
    /// This process stood still since then, Unix milliseconds.
    Since(u64),
}

impl Presence {
    /// Looks at both clocks, from the last input to this one: whether the driver has called lately, and whether the wall clock went as
    /// the other did. A suspended machine is seen by the wall clock alone where the monotonic clock stands still with it.
    pub(in crate::protocol) fn notice(&mut self, before: Now, now: Now) -> Option<Absence> {
        let ran = now.mono.since(before.mono);
        let silence = i128::try_from(LINK_SILENCE.as_millis()).unwrap_or(i128::MAX);
        let step = i128::from(now.unix_ms)
            - i128::from(before.unix_ms)
            - i128::try_from(ran.as_millis()).unwrap_or(i128::MAX);
        if ran <= LINK_SILENCE && step.abs() <= silence {
            return None;
        }
        let step = i64::try_from(step).unwrap_or(if step < 0 { i64::MIN } else { i64::MAX });
        match self.stepped.take() {
            Some((at, stepped)) if i128::from(stepped.saturating_add(step)).abs() <= silence && step != 0 => {
                // The clock is as it was. In between, what was said lay outside our window.
                let off = u64::try_from(now.mono.since(at).as_millis()).unwrap_or(u64::MAX);
                let from_ms = now.unix_ms.saturating_sub(off);
                return Some(Absence::Missed { from_ms, to_ms: now.unix_ms });
            }
            stepped if i128::from(step).abs() <= silence => self.stepped = stepped,
            _ => self.stepped = Some((now.mono, step)),
        }
        if ran > LINK_SILENCE || step > 0 {
            self.woke = Some(now.mono);
            return Some(Absence::Since(before.unix_ms));
        }
        None
    }

    /// Whether `topology` is another than at the last look.
    pub(in crate::protocol) fn is_other_topology(&mut self, topology: u64) -> bool {
        std::mem::replace(&mut self.topology, topology) != topology
    }

    /// Unix time in milliseconds since which a topic without links is taken for cut off.
    pub(in crate::protocol) fn dark_since_ms(&self, now: Now) -> u64 {
        let silent = now.mono.since(self.last_heard).min(LINK_SILENCE);
        now.unix_ms.saturating_sub(u64::try_from(silent.as_millis()).unwrap_or(u64::MAX))
    }

    /// After a while, links that were there when this process went on are trusted again.
    pub(in crate::protocol) fn settle(&mut self, now: Mono) {
        self.woke.take_if(|woke| now.since(*woke) >= LINK_SILENCE);
    }

    /// A peer has brought something genuine and new.
    pub(in crate::protocol) const fn heard(&mut self, now: Mono) {
        self.heard_at = Some(now);
    }

    /// When a peer last did, if one ever has.
    pub(in crate::protocol) const fn heard_at(&self) -> Option<Mono> {
        self.heard_at
    }

    /// A link goes that brought its last frame then.
    pub(in crate::protocol) fn lost(&mut self, last_frame: Mono) {
        self.last_heard = last_frame;
    }

    /// Whether a link that relays a topic is known to be alive.
    pub(in crate::protocol) fn trusts(&self, link: &Link, now: Mono) -> bool {
        self.woke.is_none_or(|woke| link.up_since() >= woke || now.since(woke) >= LINK_SILENCE)
    }
}
