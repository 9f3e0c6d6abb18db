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

use super::engine::Engine;
use super::link::Link;
use super::window::DELIVER_PAST;
use super::{Action, Mono, Now};

/// A link on which nothing comes for so long is ended by the transport (`net/transport.rs`, `IDLE_TIMEOUT`). So the other
/// ends of our links are gone if this process stood still for longer, and when a link ends it may have been dead for as long.
const LINK_SILENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
pub(super) struct Presence {
    /// When this process went on after it had stood still: links that are older may be dead.
    woke: Option<Mono>,
    /// The last step of the wall clock against the monotonic one, and its milliseconds.
    stepped: Option<(Mono, i64)>,
    /// When the link that went last may have brought its last frame.
    last_heard: Mono,
    /// The topology that was looked at.
    topology: u64,
}

impl Presence {
    /// A link goes that brought its last frame then.
    pub(super) fn lost(&mut self, last_frame: Mono) {
        self.last_heard = last_frame;
    }

    /// Whether a link that relays a topic is known to be alive.
    fn trusts(&self, link: &Link, now: Mono) -> bool {
        self.woke.is_none_or(|woke| link.up_since >= woke || now.since(woke) >= LINK_SILENCE)
    }
}

impl Engine {
    /// Looks at both clocks: whether the driver has called lately, and whether the wall clock went as the other did. A suspended
    /// machine is seen by the wall clock alone where the monotonic clock stands still with it.
    pub(super) fn notice_absence(&mut self, now: Now) {
        let ran = now.mono.since(self.now.mono);
        let silence = i128::try_from(LINK_SILENCE.as_millis()).unwrap_or(i128::MAX);
        let step = i128::from(now.unix_ms)
            - i128::from(self.now.unix_ms)
            - i128::try_from(ran.as_millis()).unwrap_or(i128::MAX);
        if ran <= LINK_SILENCE && step.abs() <= silence {
            return;
        }
        let step = i64::try_from(step).unwrap_or(if step < 0 { i64::MIN } else { i64::MAX });
        let since = self.now.unix_ms;
        match self.presence.stepped.take() {
            Some((at, before)) if i128::from(before.saturating_add(step)).abs() <= silence && step != 0 => {
                // The clock is as it was. In between, what was said lay outside our window.
                let off = u64::try_from(now.mono.since(at).as_millis()).unwrap_or(u64::MAX);
                self.tell_missed(now.unix_ms.saturating_sub(off), now.unix_ms);
                return;
            }
            before if i128::from(step).abs() <= silence => self.presence.stepped = before,
            _ => self.presence.stepped = Some((now.mono, step)),
        }
        if ran > LINK_SILENCE || step > 0 {
            self.presence.woke = Some(now.mono);
            for window in self.topics.values_mut() {
                window.dark_since = Some(window.dark_since.map_or(since, |dark| dark.min(since)));
            }
        }
    }

    /// In all topics, what was said in that time is missing, if it was any time at all.
    fn tell_missed(&mut self, from_ms: u64, to_ms: u64) {
        if from_ms >= to_ms {
            return;
        }
        for (topic, _) in self.topics.iter().filter(|(_, window)| window.deliver) {
            self.actions.push_back(Action::Missed { topic: *topic, from_ms, to_ms });
        }
    }

    /// Looks which topics have links, if that may have changed.
    pub(super) fn check_presence(&mut self) {
        if std::mem::replace(&mut self.presence.topology, self.topology) != self.topology {
            self.check_topics();
        }
    }

    /// Notes which topics have no link, and tells what is missing of those that have one again.
    pub(super) fn check_topics(&mut self) {
        let now = self.now;
        let silent = now.mono.since(self.presence.last_heard).min(LINK_SILENCE);
        let dark = now.unix_ms.saturating_sub(u64::try_from(silent.as_millis()).unwrap_or(u64::MAX));
        let caught_up = u64::try_from(DELIVER_PAST.as_millis()).unwrap_or(u64::MAX);
        let to_ms = now.unix_ms.saturating_sub(caught_up);
        for (topic, window) in &mut self.topics {
            let alive = |link: &Link| link.relays(topic) && self.presence.trusts(link, now.mono);
            if !self.links.iter().any(alive) {
                window.dark_since.get_or_insert(dark);
            } else if let Some(from_ms) = window.dark_since.take()
                && from_ms < to_ms
                && window.deliver
            {
                self.actions.push_back(Action::Missed { topic: *topic, from_ms, to_ms });
            }
        }
        if self.presence.woke.is_some_and(|woke| now.mono.since(woke) >= LINK_SILENCE) {
            self.presence.woke = None;
        }
    }
}
