//! What an operator may choose. Limits whose breach is an offence are not here: they belong to the wire or the topic.

use std::fmt::Debug;
use std::time::Duration;

use super::engine::Engine;
use super::limits::MAX_LINKS;
use crate::key::PublicKey;
use crate::rumor::MAX_BODY;
use crate::wire::MAX_FRAME_LEN;

/// Bytes of bodies with which a topic, or an author in it, can do at least: an eighth of them, and of 14/16 of them for newcomers, is
/// what may come at once, and that must hold one body of the longest kind.
const LEAST_BYTES: usize = 16 * MAX_BODY as usize;
/// Index entries with which a topic can do at least: one author may have a quarter of them.
const LEAST_BUNDLES: usize = 64;
/// The longest wait for company that leaves rumors inside the delivery window on their way. (Guess.)
const LONGEST_LINGER: Duration = Duration::from_secs(5);
/// The rarest repair that comes round before what it repairs has left the window. (Guess.)
const RAREST_REPAIR: Duration = Duration::from_secs(30);

/// Parameters of an [`Engine`]. Local choices only: two nodes with different configurations never blame
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
    /// If given, links only to these node keys. See [`Engine::allow_only`].
    pub(crate) allow: Option<Vec<PublicKey>>,
    /// Bytes per second that one link may send us, over time. Beyond it we stop reading. Default 32 MiB/s.
    pub link_bytes_per_s: u64,
    /// Bytes that a link may send ahead of that rate. Default 4 MiB.
    pub link_bytes_burst: u64,
    /// CPU time per second that one link may cost us. Default 250 ms: a quarter of one core.
    pub link_cpu_per_s: Duration,
    /// CPU time that a link may cost ahead of that rate. Default 100 ms.
    pub link_cpu_burst: Duration,
    /// Most bundles that a topic keeps an index entry for. Without the bound an attacker with many keys fills memory;
    /// at the bound new bundles are refused for now, newcomers' first; an author may have
    /// twice what is free, and a quarter at the most, the newcomers that one link brings four times what is free, and own authors wait from half of what is free on. Default 131 072 (some 50 MiB).
    pub topic_bundles: usize,
    /// Most bytes of bodies that a topic keeps. Bodies older than 10 s make room for new ones; a topic in which more than
    /// this is said in 10 s refuses some of it, and own authors wait from 7/16 of it on. Default 256 MiB.
    pub topic_bytes: usize,
    /// Most of those bytes that one author may have, in the same way. Default 128 MiB.
    pub author_bytes: usize,
    /// Batches of signatures under way at once. See [`Engine::set_verifiers`].
    pub(crate) verifiers: usize,
    /// Most signatures in one batch. Default 64: larger ones save a quarter to a third where all authors differ, and one bad
    /// signature spoils more (docs/performance.md).
    pub batch: usize,
    /// What an author says within so long of its last bundle waits so long for company, to share one signature, one id and one
    /// announcement, unless it fills a bundle by itself. Whoever has been silent for longer is heard at once, and who
    /// never has company soon waits no more. Too long, and a busy author is late; too short, and every receiver checks a
    /// signature for each rumor. Default 4 ms (docs/decisions/0027-busy-authors-gather-for-four-milliseconds.md).
    pub seal_every: Duration,
    /// How long announcements wait for company. Default 5 ms, since a pull round trip costs more.
    pub announce_linger: Duration,
    /// What a link that has never served may take for its first pull beyond a round trip, a quarter of it for its
    /// variance, and its line. Too short, slow honest links are asked twice; too long, each announce-liar costs every
    /// newcomer that much time. Default 50 ms (guess; docs/performance.md, Parameters, has what others cost).
    pub first_pull_margin: Duration,
    /// Time between two rounds of the repair cycle, before jitter. Default 1 s (a guess).
    pub repair_every: Duration,
    /// How long an application's validator may think about one rumor; about a bundle, so long for each of its rumors.
    /// Default 250 ms (a guess).
    pub validator_patience: Duration,
    /// Runs at once of the application's validators. Half of them are for authors that have none running. Default 256 (a guess).
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

/// A configuration that can't work, refused before anything starts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` is {value}, which can't work: {remedy}")]
#[non_exhaustive]
pub struct ConfigError {
    /// The field.
    pub field: &'static str,
    /// Its value.
    pub value: String,
    /// What to set it to.
    pub remedy: &'static str,
}

impl ConfigError {
    /// The error, unless `holds`.
    pub(crate) fn unless(
        holds: bool,
        field: &'static str,
        value: impl Debug,
        remedy: &'static str,
    ) -> Result<(), Self> {
        if holds { Ok(()) } else { Err(Self { field, value: format!("{value:?}"), remedy }) }
    }
}

/// What a driver, as [`Node`](crate::Node) is one, sets on the engine itself, since it has its home there: the builder of a node has
/// `allow` and `verifiers`.
impl Engine {
    /// Takes links with these node keys only, from now on. Links that are up stay.
    pub fn allow_only(&mut self, keys: impl IntoIterator<Item = PublicKey>) {
        self.config.allow = Some(keys.into_iter().collect());
    }

    /// Hands out at most `threads` batches of signatures at once, and one at least. Before: 1.
    pub fn set_verifiers(&mut self, threads: usize) {
        self.config.verifiers = threads.max(1);
    }
}

impl Config {
    /// Changes some fields, in a chain: `Config::default().with(|config| config.max_links = 64)`.
    #[must_use = "it gives the changed configuration back"]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// Checks that a node can work with this: that it can have links, that something may come in and go out, and that what is
    /// said fits into what is kept.
    ///
    /// # Errors
    /// The first field that is out of range, and what to set it to.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.check_links()?;
        self.check_budgets()?;
        self.check_capacities()?;
        self.check_times()
    }

    fn check_links(&self) -> Result<(), ConfigError> {
        use ConfigError as E;
        let links = self.max_links;
        let allowed = self.allow.as_ref().map_or(1, Vec::len);
        E::unless(self.expected_nodes > 0, "expected_nodes", self.expected_nodes, "give at least 1")?;
        E::unless(self.eager > 0, "eager", self.eager, "push to at least 1 link")?;
        E::unless(self.eager_author > 0, "eager_author", self.eager_author, "push to at least 1 link")?;
        E::unless((1..=MAX_LINKS).contains(&links), "max_links", links, "give 1 to 256")?;
        E::unless(
            self.max_inbound <= links,
            "max_inbound",
            self.max_inbound,
            "give at most `max_links`, and less if this node dials: others could take every slot",
        )?;
        E::unless(allowed > 0, "allow", "empty", "name the peers that may link, or give `None` for all")
    }

    fn check_budgets(&self) -> Result<(), ConfigError> {
        use ConfigError as E;
        let (rate, burst) = (self.link_bytes_per_s, self.link_bytes_burst);
        let (cpu, cpu_burst) = (self.link_cpu_per_s, self.link_cpu_burst);
        E::unless(rate > 0, "link_bytes_per_s", rate, "let a link send something: the default is 32 MiB")?;
        E::unless(
            burst >= MAX_FRAME_LEN as u64,
            "link_bytes_burst",
            burst,
            "give at least 131072, one frame of the longest kind",
        )?;
        E::unless(!cpu.is_zero(), "link_cpu_per_s", cpu, "give a link some CPU: the default is 250 ms")?;
        E::unless(!cpu_burst.is_zero(), "link_cpu_burst", cpu_burst, "give some: the default is 100 ms")
    }

    fn check_capacities(&self) -> Result<(), ConfigError> {
        use ConfigError as E;
        let (bundles, bytes, author) = (self.topic_bundles, self.topic_bytes, self.author_bytes);
        let hold = "give at least 1048576, sixteen bodies of the longest kind";
        E::unless(bundles >= LEAST_BUNDLES, "topic_bundles", bundles, "give at least 64")?;
        E::unless(bytes >= LEAST_BYTES, "topic_bytes", bytes, hold)?;
        E::unless(author >= LEAST_BYTES, "author_bytes", author, hold)?;
        E::unless(self.verifiers > 0, "verifiers", self.verifiers, "give at least 1 thread")?;
        E::unless(self.batch > 0, "batch", self.batch, "give at least 1 signature")?;
        E::unless(self.validators > 0, "validators", self.validators, "give at least 1")
    }

    fn check_times(&self) -> Result<(), ConfigError> {
        use ConfigError as E;
        let short = "give at most 5 s: rumors would leave the window while they wait";
        for (field, time) in [
            ("seal_every", self.seal_every),
            ("announce_linger", self.announce_linger),
            ("first_pull_margin", self.first_pull_margin),
        ] {
            E::unless(time <= LONGEST_LINGER, field, time, short)?;
        }
        let (repair, patience) = (self.repair_every, self.validator_patience);
        let often = Duration::from_millis(10)..=RAREST_REPAIR;
        E::unless(often.contains(&repair), "repair_every", repair, "give 10 ms to 30 s")?;
        let patient = Duration::from_millis(1)..=RAREST_REPAIR;
        E::unless(patient.contains(&patience), "validator_patience", patience, "give 1 ms to 30 s")
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

    type Change = fn(&mut Config, Duration);

    #[test]
    fn configuration_that_cant_work_is_named_with_what_to_do() {
        Config::default().check().unwrap();
        let absurd = Duration::from_secs(1_000_000);
        let bad: [(&str, Change); 22] = [
            ("expected_nodes", |config, _| config.expected_nodes = 0),
            ("eager", |config, _| config.eager = 0),
            ("eager_author", |config, _| config.eager_author = 0),
            ("max_links", |config, _| config.max_links = 0),
            ("max_links", |config, _| config.max_links = MAX_LINKS + 1),
            ("max_inbound", |config, _| config.max_inbound = config.max_links + 1),
            ("allow", |config, _| config.allow = Some(Vec::new())),
            ("link_bytes_per_s", |config, _| config.link_bytes_per_s = 0),
            ("link_bytes_burst", |config, _| config.link_bytes_burst = MAX_FRAME_LEN as u64 - 1),
            ("link_cpu_per_s", |config, _| config.link_cpu_per_s = Duration::ZERO),
            ("link_cpu_burst", |config, _| config.link_cpu_burst = Duration::ZERO),
            ("topic_bundles", |config, _| config.topic_bundles = 0),
            ("topic_bytes", |config, _| config.topic_bytes = 0),
            ("author_bytes", |config, _| config.author_bytes = 0),
            ("verifiers", |config, _| config.verifiers = 0),
            ("batch", |config, _| config.batch = 0),
            ("validators", |config, _| config.validators = 0),
            ("seal_every", |config, absurd| config.seal_every = absurd),
            ("announce_linger", |config, absurd| config.announce_linger = absurd),
            ("first_pull_margin", |config, absurd| config.first_pull_margin = absurd),
            ("repair_every", |config, _| config.repair_every = Duration::ZERO),
            ("validator_patience", |config, _| config.validator_patience = Duration::ZERO),
        ];
        for (field, spoil) in bad {
            let mut config = Config::default();
            spoil(&mut config, absurd);
            let error = config.check().expect_err(field);
            assert_eq!(error.field, field);
        }
    }
}
