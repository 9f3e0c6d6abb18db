//! What an engine shows of itself: counters and gauges.

use std::time::Duration;

use crate::key::PublicKey;
use crate::protocol::engine::Engine;
use crate::protocol::members::Members;
use crate::protocol::{LinkStats, Mono, Stats, TopicStats};
use crate::rumor::Evidence;

impl Engine {
    /// Counters and gauges.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            counters: self.cx.counters,
            links: self
                .links
                .iter()
                .map(|link| LinkStats {
                    peer: link.peer(),
                    dialled: link.is_dialled(),
                    live: link.was_live(),
                    rtt: link.rtt(),
                    copies_in: link.copies_in(),
                    accepted_first: u64::from(link.good()),
                    queued_bytes: link.outbox().queued_bytes(),
                    owed_pulls: link.service().owed(),
                    wanted_from: link.wanted_from(),
                    serve_delay: link.service().delay(),
                    last_resort: link.service().is_last_resort(self.cx.now.mono),
                    waiting_verification: self.verifying.waiting_of(link.id()),
                    waiting_bytes: self.verifying.bytes_of(link.id()),
                    listens: link.hello_said().listens,
                    sees_us_at: link.hello_said().you,
                    members: link.hello_said().members,
                    keep_alive_ms: link.hello_said().keep_alive_ms,
                })
                .collect(),
            topics: self
                .topics
                .iter()
                .filter(|(topic, _)| !self.cx.is_system(topic))
                .map(|(topic, window)| TopicStats {
                    topic: *topic,
                    bundles: window.claimed(),
                    body_bytes: window.held_bytes(),
                    links: self.links_of(topic),
                })
                .collect(),
            waiting_verification: self.verifying.total(),
            wants: self.wants.len(),
            heard_ago: self.condition.presence().heard_at().map(|at| self.cx.now.mono.since(at)),
            impaired: self.condition.health().list(self.cx.now.mono),
        }
    }

    /// Whether nothing waits to be published here, and no link waits for a bundle, announcement, header or proof, or has bytes with
    /// the transport. What we ask of others may still wait, and answers that say that we lack something.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        // That it is here need not be said any more.
        let own = self.members.as_ref().filter(|members| !members.is_leaving()).map(Members::topic);
        self.publisher.is_idle_but(own.as_ref()) && self.links.iter().all(|link| link.outbox().owes_nothing())
    }

    /// Whether there is another link to the peer of `link`.
    #[must_use]
    pub fn has_other_link(&self, link: crate::protocol::LinkId) -> bool {
        self.peer_of(link).is_some_and(|peer| self.links.of_peer(&peer).any(|other| other.id() != link))
    }

    /// For how long both hellos have been said on a link; `None` if they have not.
    #[must_use]
    pub fn live_for(&self, link: crate::protocol::LinkId, now: Mono) -> Option<Duration> {
        let link = self.links.slot_of(link).and_then(|slot| self.links.at(slot))?;
        link.live_since().map(|since| now.since(since))
    }

    /// How long a validator may think about one rumor.
    #[must_use]
    pub const fn validator_patience(&self) -> Duration {
        self.cx.config.validators.patience
    }

    /// Node keys that are banned now.
    #[must_use]
    pub fn banned(&self) -> Vec<PublicKey> {
        self.bans.banned(self.cx.now.mono)
    }

    /// Convicted authors with the proof, where it is still kept.
    #[must_use]
    pub fn convicted(&self) -> Vec<(PublicKey, Option<Evidence>)> {
        self.evidence.all().map(|(author, conviction)| (*author, conviction.evidence())).collect()
    }
}
