//! What an operator may choose. Limits whose breach is an offence are not here: they belong to the wire or the topic.

mod check;
mod dialling;

use std::fmt::Debug;
use std::time::Duration;

pub use self::check::ConfigError;
pub use self::dialling::DialConfig;
use crate::key::PublicKey;
use crate::protocol::failpoint::Failpoint;

/// Parameters of an [`Engine`](crate::protocol::Engine), in groups. Local choices only: two nodes with different configurations never blame each other for
/// them. Begin with [`Config::default`], [`Config::local`] or [`Config::hardened`], and change fields by [`Config::with`]:
///
/// ```
/// use vouchsafe::Config;
/// let config = Config::hardened().with(|config| {
///     config.expected_nodes = 5_000;
///     config.topics.bytes = 64 << 20;
/// });
/// assert!(config.check().is_ok());
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// About how many nodes the network has. Decides the hop budget of own rumors: wrong by a factor of eight, a rumor is
    /// pushed one round too many or too few. And how many keys may use the places of [`LinkConfig::hash_selected`]: set
    /// to less than half, these can be filled by chance; to more, fewer are used. A member begins with it, and follows what it knows of the
    /// others. Default 1 000.
    pub expected_nodes: u32,
    /// Most signatures in one batch. Default 64: larger ones save a quarter to a third where all authors differ, and one bad
    /// signature spoils more (docs/performance.md).
    pub batch: usize,
    /// How many links there may be.
    pub links: LinkConfig,
    /// How many links the node dials, and when it feels for others.
    pub dialling: DialConfig,
    /// What one link may cost.
    pub budget: BudgetConfig,
    /// What is kept of a topic.
    pub topics: TopicConfig,
    /// What is kept of topics whose retention is longer than the relay window.
    pub history: HistoryConfig,
    /// How rumors leave this node.
    pub publishing: PublishConfig,
    /// How rumors that were announced, or missed, are asked for.
    pub pulls: PullConfig,
    /// What the application's validators may take.
    pub validators: ValidatorConfig,
    /// How often members give signs of life.
    pub members: MemberConfig,
    /// If given, links only to these node keys, to begin with. The engine takes it out, since it may change.
    pub(crate) allow: Option<Vec<PublicKey>>,
    /// Batches of signatures under way at once. See [`Engine::set_verifiers`](crate::protocol::Engine::set_verifiers).
    pub(crate) verifiers: usize,
    #[cfg(test)]
    pub(crate) failpoint: Option<Failpoint>,
}

/// How often members give signs of life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemberConfig {
    /// Signs of life a second in the whole network, from 1: with more a crash is known sooner, and each node hears and sends more, some
    /// 280 bytes a second for each. All nodes of a network should use the same. Default 10.
    pub renewals_per_s: u32,
}

/// How many links there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LinkConfig {
    /// Most links in all, at most [`MAX_LINKS`](crate::protocol::MAX_LINKS). Default 128.
    pub max: usize,
    /// Most links that others dialled. A hostile peer could otherwise fill every place. A member hears eight diallers more for a moment.
    /// Default 96.
    pub inbound: usize,
    /// Of those, kept for diallers that did not choose us, unless they made keys for it ([`Config::is_hash_selected`]).
    /// Without them, whoever dials everybody first keeps newcomers out of the network. At most half of
    /// [`inbound`](Self::inbound). Default 48.
    pub hash_selected: usize,
}

/// What one link may cost this node. Beyond it the node stops reading, and QUIC's flow control stops the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BudgetConfig {
    /// Bytes per second that a link may send us, over time. Default 32 MiB/s.
    pub bytes_per_s: u64,
    /// Bytes that a link may send ahead of that rate. Default 4 MiB.
    pub bytes_burst: u64,
    /// CPU time per second that a link may cost us. Default 250 ms: a quarter of one core.
    pub cpu_per_s: Duration,
    /// CPU time that a link may cost ahead of that rate. Default 100 ms.
    pub cpu_burst: Duration,
}

/// What is kept of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicConfig {
    /// Most bundles that a topic keeps an index entry for. Without the bound an attacker with many keys fills memory;
    /// at the bound new bundles are refused for now, newcomers' first; an author may have
    /// twice what is free, and a quarter at the most, the newcomers that one link brings four times what is free, and own authors wait from half of what is free on. Default 131 072 (some 50 MiB).
    pub bundles: usize,
    /// Most bytes of bodies that a topic keeps. Bodies older than 10 s make room for new ones; a topic in which more than
    /// this is said in 10 s refuses some of it, and own authors wait from 7/16 of it on. Default 256 MiB.
    pub bytes: usize,
    /// Most of those bytes that one author may have, in the same way. Default 128 MiB.
    pub author_bytes: usize,
}

/// What is kept of topics whose retention is longer than the relay window (90 s), and what repair may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HistoryConfig {
    /// Most bytes of encoded bundles that all topics together keep. A file takes up to twice as much. Default 8 GiB; a node without
    /// a store on a disk keeps at most [`TopicConfig::bytes`].
    pub bytes: u64,
    /// Most bytes of encoded bundles that one topic keeps. Default 1 GiB.
    pub topic_bytes: u64,
    /// With fewer bytes free on the disk of the store nothing more is kept; nothing is deleted for it, and the node hears and is heard.
    /// Too little, and the disk is full for all programs before this one stops; 0 for as much as the disk takes. Default 1 GiB (a guess).
    pub leave_free: u64,
    /// Most chains of authors, or live values, that a topic compares with peers. Default 131 072.
    pub topic_heads: usize,
    /// The same for all topics together. Default 262 144 (some 50 MiB).
    pub heads: usize,
    /// Bytes a second that this node serves of the past, to all links together. It serves less while live rumors wait. Default 64 MiB.
    pub bytes_per_s: u64,
}

/// How rumors leave this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PublishConfig {
    /// Links that a relayed rumor is pushed to while its hop budget lasts. Default 8 (simulated).
    pub eager: usize,
    /// Links that an own rumor is pushed to. Default 16: twice `eager`, since nobody else has it yet.
    pub eager_author: usize,
    /// What an author says within so long of its last bundle waits so long for company, to share one signature, one id and one
    /// announcement, unless it fills a bundle by itself. Whoever has been silent for longer is heard at once, and who
    /// never has company soon waits no more. Too long, and a busy author is late; too short, and every receiver checks a
    /// signature for each rumor. Default 4 ms (docs/decisions/0027-busy-authors-gather-for-four-milliseconds.md).
    pub seal_every: Duration,
    /// How long announcements wait for company. Default 5 ms, since a pull round trip costs more.
    pub announce_linger: Duration,
}

/// How rumors that were announced, or missed, are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PullConfig {
    /// What a link that has never served may take for its first pull beyond a round trip, a quarter of it for its
    /// variance, and its line. Too short, slow honest links are asked twice; too long, each announce-liar costs every
    /// newcomer that much time. Default 50 ms (guess; docs/performance.md, Parameters, has what others cost).
    pub first_margin: Duration,
    /// Time between two rounds of the repair cycle, before jitter. Default 1 s (a guess).
    pub repair_every: Duration,
}

/// What the application's validators may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ValidatorConfig {
    /// How long a validator may think about one rumor; about a bundle, so long for each of its rumors.
    /// Default 250 ms (a guess).
    pub patience: Duration,
    /// Runs at once of the application's validators. Half of them are for authors that have none running. Default 256 (a guess).
    pub at_once: usize,
}

impl Config {
    /// Whether anybody may link: there is no allow-list.
    pub(crate) const fn is_open(&self) -> bool {
        self.allow.is_none()
    }

    /// Whether this configuration leaves out a defence: never outside tests.
    #[cfg(test)]
    pub(crate) fn lacks(&self, failpoint: Failpoint) -> bool {
        self.failpoint == Some(failpoint)
    }

    #[cfg(not(test))]
    pub(crate) const fn lacks(&self, _: Failpoint) -> bool {
        false
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            expected_nodes: 1_000,
            batch: 64,
            links: LinkConfig { max: 128, inbound: 96, hash_selected: 48 },
            dialling: DialConfig::default(),
            budget: BudgetConfig {
                bytes_per_s: 32 << 20,
                bytes_burst: 4 << 20,
                cpu_per_s: Duration::from_millis(250),
                cpu_burst: Duration::from_millis(100),
            },
            topics: TopicConfig { bundles: 131_072, bytes: 256 << 20, author_bytes: 128 << 20 },
            history: HistoryConfig {
                bytes: 8 << 30,
                topic_bytes: 1 << 30,
                leave_free: 1 << 30,
                topic_heads: 131_072,
                heads: 262_144,
                bytes_per_s: 64 << 20,
            },
            publishing: PublishConfig {
                eager: 8,
                eager_author: 16,
                seal_every: Duration::from_millis(4),
                announce_linger: Duration::from_millis(5),
            },
            pulls: PullConfig {
                first_margin: Duration::from_millis(50),
                repair_every: Duration::from_secs(1),
            },
            validators: ValidatorConfig { patience: Duration::from_millis(250), at_once: 256 },
            members: MemberConfig { renewals_per_s: 10 },
            allow: None,
            verifiers: 1,
            #[cfg(test)]
            failpoint: None,
        }
    }
}

impl Config {
    /// For nodes that trust each other on one fast network: it waits less and lets a link cost more. Every figure is a guess, and a
    /// hostile peer gains by each.
    ///
    /// | Field | Value | Why |
    /// |---|---|---|
    /// | `expected_nodes` | 50 | such networks are small; one round of pushing is enough |
    /// | `publishing.seal_every`, `publishing.announce_linger` | 1 ms | a pull takes less than that there |
    /// | `pulls.first_margin` | 10 ms | a peer that does not answer by then is not going to |
    /// | `pulls.repair_every` | 250 ms | what was missed is noticed sooner, for more lists of ids |
    /// | `budget.bytes_per_s`, `budget.bytes_burst` | 128 MiB, 16 MiB | about one gigabit line |
    /// | `budget.cpu_per_s`, `budget.cpu_burst` | 1 s, 400 ms | one peer may keep one core busy |
    #[must_use]
    pub fn local() -> Self {
        Self::default().with(|config| {
            config.expected_nodes = 50;
            config.publishing.seal_every = Duration::from_millis(1);
            config.publishing.announce_linger = Duration::from_millis(1);
            config.pulls.first_margin = Duration::from_millis(10);
            config.pulls.repair_every = Duration::from_millis(250);
            config.budget.bytes_per_s = 128 << 20;
            config.budget.bytes_burst = 16 << 20;
            config.budget.cpu_per_s = Duration::from_secs(1);
            config.budget.cpu_burst = Duration::from_millis(400);
        })
    }

    /// For networks that anybody may join: each stranger can cost less. An honest peer that sends more than this is read more slowly,
    /// and an author that says more waits. Every figure is a guess; the default already bounds the same resources.
    ///
    /// | Field | Value | Why |
    /// |---|---|---|
    /// | `links.inbound`, `links.hash_selected` | 64, 32 | half of all links are ones that this node chose |
    /// | `budget.bytes_per_s`, `budget.bytes_burst` | 8 MiB, 2 MiB | twelve links that flood fill one gigabit line no more |
    /// | `budget.cpu_per_s`, `budget.cpu_burst` | 100 ms, 50 ms | ten hostile links cost one core, not two and a half |
    /// | `topics.bundles`, `topics.bytes` | 65 536, 128 MiB | a topic that strangers fill takes half of the memory |
    /// | `topics.author_bytes` | 32 MiB | one author has a quarter of a topic, not half |
    /// | `validators.at_once` | 128 | bundles of strangers wait for validators with their bodies in memory |
    #[must_use]
    pub fn hardened() -> Self {
        Self::default().with(|config| {
            (config.links.inbound, config.links.hash_selected) = (64, 32);
            config.budget.bytes_per_s = 8 << 20;
            config.budget.bytes_burst = 2 << 20;
            config.budget.cpu_per_s = Duration::from_millis(100);
            config.budget.cpu_burst = Duration::from_millis(50);
            config.topics.bundles = 65_536;
            config.topics.bytes = 128 << 20;
            config.topics.author_bytes = 32 << 20;
            config.validators.at_once = 128;
        })
    }
}

impl Config {
    /// Changes some fields, in a chain: `Config::default().with(|config| config.links.max = 64)`.
    #[must_use = "it gives the changed configuration back"]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::limits::{MAX_ALLOWED, MAX_LINKS};
    use crate::wire::MAX_FRAME_LEN;

    type Change = fn(&mut Config, Duration);

    #[test]
    fn configuration_that_cant_work_is_named_with_what_to_do() {
        Config::default().check().unwrap();
        let absurd = Duration::from_secs(1_000_000);
        let bad: [(&str, Change); 27] = [
            ("dialling.outbound", |config, _| config.dialling.outbound = MAX_LINKS + 1),
            ("dialling.feelers", |config, _| config.dialling.feelers = 17),
            ("dialling.feel_after", |config, _| config.dialling.feel_after = Duration::ZERO),
            ("dialling.feeler_life", |config, absurd| config.dialling.feeler_life = absurd),
            ("expected_nodes", |config, _| config.expected_nodes = 0),
            ("publishing.eager", |config, _| config.publishing.eager = 0),
            ("publishing.eager_author", |config, _| config.publishing.eager_author = 0),
            ("links.max", |config, _| config.links.max = 0),
            ("links.max", |config, _| config.links.max = MAX_LINKS + 1),
            ("links.inbound", |config, _| config.links.inbound = config.links.max + 1),
            ("allow", |config, _| config.allow = Some(Vec::new())),
            ("allow", |config, _| config.allow = Some(vec![PublicKey::from_bytes([1; 32]); MAX_ALLOWED + 1])),
            ("budget.bytes_per_s", |config, _| config.budget.bytes_per_s = 0),
            ("budget.bytes_burst", |config, _| config.budget.bytes_burst = MAX_FRAME_LEN as u64 - 1),
            ("budget.cpu_per_s", |config, _| config.budget.cpu_per_s = Duration::ZERO),
            ("budget.cpu_burst", |config, _| config.budget.cpu_burst = Duration::ZERO),
            ("topics.bundles", |config, _| config.topics.bundles = 0),
            ("topics.bytes", |config, _| config.topics.bytes = 0),
            ("topics.author_bytes", |config, _| config.topics.author_bytes = 0),
            ("verifiers", |config, _| config.verifiers = 0),
            ("batch", |config, _| config.batch = 0),
            ("validators.at_once", |config, _| config.validators.at_once = 0),
            ("publishing.seal_every", |config, absurd| config.publishing.seal_every = absurd),
            ("publishing.announce_linger", |config, absurd| config.publishing.announce_linger = absurd),
            ("pulls.first_margin", |config, absurd| config.pulls.first_margin = absurd),
            ("pulls.repair_every", |config, _| config.pulls.repair_every = Duration::ZERO),
            ("validators.patience", |config, _| config.validators.patience = Duration::ZERO),
        ];
        for (field, spoil) in bad {
            let mut config = Config::default();
            spoil(&mut config, absurd);
            let error = config.check().expect_err(field);
            assert_eq!(error.field, field);
        }
    }

    /// What an outsider can make a node spend, by field.
    fn caps(config: &Config) -> [(&'static str, u128); 11] {
        let Config { links, budget, topics, validators, .. } = config;
        [
            ("links.max", links.max as u128),
            ("links.inbound", links.inbound as u128),
            ("links.hash_selected", links.hash_selected as u128),
            ("budget.bytes_per_s", budget.bytes_per_s.into()),
            ("budget.bytes_burst", budget.bytes_burst.into()),
            ("budget.cpu_per_s", budget.cpu_per_s.as_nanos()),
            ("budget.cpu_burst", budget.cpu_burst.as_nanos()),
            ("topics.bundles", topics.bundles as u128),
            ("topics.bytes", topics.bytes as u128),
            ("topics.author_bytes", topics.author_bytes as u128),
            ("validators.at_once", validators.at_once as u128),
        ]
    }

    #[test]
    fn hardened_bounds_nothing_more_loosely_and_local_nothing_more_tightly() {
        let (default, hardened, local) = (Config::default(), Config::hardened(), Config::local());
        for ((field, usual), ((_, tight), (_, wide))) in
            caps(&default).into_iter().zip(caps(&hardened).into_iter().zip(caps(&local)))
        {
            assert!(tight <= usual && usual <= wide, "{field}: {tight}, {usual}, {wide}");
        }
        assert_ne!(caps(&hardened), caps(&default));
        assert!(local.publishing.seal_every < default.publishing.seal_every);
        for config in [hardened, local] {
            config.check().unwrap();
        }
    }
}
