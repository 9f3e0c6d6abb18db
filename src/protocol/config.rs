//! What an operator may choose. Limits whose breach is an offence are not here: they belong to the wire or the topic.

use std::time::Duration;

use crate::key::PublicKey;

/// Parameters of an [`Engine`](super::Engine). Local choices only: two nodes with different configurations never blame
/// each other for them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// About how many nodes the network has. Decides the hop budget of own rumors: wrong by a factor of eight, a rumor is
    /// pushed one round too many or too few. And how many keys may use [`unaimed_inbound`](Self::unaimed_inbound) places: set
    /// to less than half, these can be filled by chance; to more, fewer are used. Default 1 000.
    pub expected_nodes: u32,
    /// Links that a relayed rumor is pushed to while its hop budget lasts. Default 8 (simulated).
    pub eager: usize,
    /// Links that an own rumor is pushed to. Default 16: twice `eager`, since nobody else has it yet.
    pub eager_author: usize,
    /// Most links in all, at most [`MAX_LINKS`](super::MAX_LINKS). Default 128.
    pub max_links: usize,
    /// Most links that others dialled. A hostile peer could otherwise fill every place. Default 96.
    pub max_inbound: usize,
    /// Of those, kept for diallers that did not choose us, unless they made keys for it ([`Config::is_unaimed`]).
    /// Without them, whoever dials everybody first keeps newcomers out of the network. At most half of
    /// [`max_inbound`](Self::max_inbound). Default 48.
    pub unaimed_inbound: usize,
    /// If given, links only to these node keys.
    pub allow: Option<Vec<PublicKey>>,
    /// Bytes per second that one link may send us, over time. Beyond it we stop reading. Default 32 MiB/s.
    pub link_bytes_per_s: u64,
    /// Bytes that a link may send ahead of that rate. Default 4 MiB.
    pub link_bytes_burst: u64,
    /// CPU time per second that one link may cost us. Default 250 ms: a quarter of one core.
    pub link_cpu_per_s: Duration,
    /// CPU time that a link may cost ahead of that rate. Default 100 ms.
    pub link_cpu_burst: Duration,
    /// Most bundles that a topic keeps an index entry for. Without the bound an attacker with many keys fills memory;
    /// at the bound new bundles are refused, newcomers' first; an author may have
    /// twice what is free, and a quarter at the most, and own authors wait from half of what is free on. Default 131 072 (some 50 MiB).
    pub topic_bundles: usize,
    /// Most bytes of bodies that a topic keeps. Bodies older than 10 s make room for new ones; a topic in which more than
    /// this is said in 10 s refuses some of it, and own authors wait from 7/16 of it on. Default 256 MiB.
    pub topic_bytes: usize,
    /// Most of those bytes that one author may have, in the same way. Default 128 MiB.
    pub author_bytes: usize,
    /// Batches of signatures under way at once: the number of verifier threads. A `Node` sets it to that of its pool.
    /// Default 1.
    pub verifiers: usize,
    /// Most signatures in one batch. Default 64: larger ones save a quarter to a third where all authors differ, and one bad
    /// signature spoils more (docs/performance.md).
    pub batch: usize,
    /// What an author says within so long of its last bundle waits so long for company, to share one signature, one id and one
    /// announcement, unless it fills a bundle by itself. Whoever has been silent for longer is heard at once, and who
    /// never has company soon waits no more. Too long, and a busy author is late; too short, and every receiver checks a
    /// signature for each rumor. Default 4 ms (docs/decisions.md).
    pub seal_every: Duration,
    /// How long announcements wait for company. Default 5 ms, since a pull round trip costs more.
    pub announce_linger: Duration,
    /// What a link that has never served may take for its first pull beyond a round trip, a quarter of it for its
    /// variance, and its line. Too short, slow honest links are asked twice; too long, each announce-liar costs every
    /// newcomer that much time. Default 50 ms (guess; docs/performance.md, Parameters, has what others cost).
    pub first_pull_margin: Duration,
    /// Time between two rounds of the repair cycle, before jitter. Default 1 s (a guess).
    pub repair_every: Duration,
    /// How long an application's validator may think. Default 250 ms (a guess).
    pub validator_patience: Duration,
    /// Runs at once of the application's validators. Default 256 (a guess).
    pub validators: usize,
    #[cfg(test)]
    pub(crate) weakness: Option<super::Weakness>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            expected_nodes: 1_000,
            eager: 8,
            eager_author: 16,
            max_links: 128,
            max_inbound: 96,
            unaimed_inbound: 48,
            allow: None,
            link_bytes_per_s: 32 << 20,
            link_bytes_burst: 4 << 20,
            link_cpu_per_s: Duration::from_millis(250),
            link_cpu_burst: Duration::from_millis(100),
            topic_bundles: 131_072,
            topic_bytes: 256 << 20,
            author_bytes: 128 << 20,
            verifiers: 1,
            batch: 64,
            seal_every: Duration::from_millis(4),
            announce_linger: Duration::from_millis(5),
            first_pull_margin: Duration::from_millis(50),
            repair_every: Duration::from_secs(1),
            validator_patience: Duration::from_millis(250),
            validators: 256,
            #[cfg(test)]
            weakness: None,
        }
    }
}

impl Config {
    /// Hop budget of an own rumor: so many rounds of pushing that about 5 % of the nodes are reached before
    /// announcements take over. clamp(round(log8(n / 20)), 1, 4).
    #[must_use]
    pub fn hop_budget(&self) -> u8 {
        let rounds = (f64::from(self.expected_nodes.max(1)) / 20.0).log(8.0).round();
        // Clamped to 1..=4 before the cast, so it is exact.
        rounds.clamp(1.0, f64::from(crate::wire::MAX_HOPS)) as u8
    }
}
