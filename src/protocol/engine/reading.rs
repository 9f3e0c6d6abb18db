//! What an engine shows of itself: counters and gauges.

use crate::protocol::engine::Engine;
use crate::protocol::members::Members;
use crate::protocol::{LinkStats, Stats, TopicStats};

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
}
