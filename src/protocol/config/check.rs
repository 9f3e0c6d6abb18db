//! What of a configuration can't work, and what to do about it.

use std::fmt::Debug;
use std::time::Duration;

use super::Config;
use crate::protocol::limits::{MAX_ALLOWED, MAX_LINKS};
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

impl Config {
    /// Checks that a node can work with this: that it can have links, that something may come in and go out, and that what is
    /// said fits into what is kept.
    ///
    /// # Errors
    /// The first field that is out of range, and what to set it to.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.check_links()?;
        self.dialling.check()?;
        self.check_budgets()?;
        self.check_capacities()?;
        self.check_times()
    }

    fn check_links(&self) -> Result<(), ConfigError> {
        use ConfigError as E;
        let links = self.links.max;
        let allowed = self.allow.as_ref().map_or(1, Vec::len);
        E::unless(self.expected_nodes > 0, "expected_nodes", self.expected_nodes, "give at least 1")?;
        E::unless(
            self.publishing.eager > 0,
            "publishing.eager",
            self.publishing.eager,
            "push to at least 1 link",
        )?;
        E::unless(
            self.publishing.eager_author > 0,
            "publishing.eager_author",
            self.publishing.eager_author,
            "push to at least 1 link",
        )?;
        E::unless((1..=MAX_LINKS).contains(&links), "links.max", links, "give 1 to 256")?;
        E::unless(
            self.links.inbound <= links,
            "links.inbound",
            self.links.inbound,
            "give at most `links.max`, and less if this node dials: others could take every slot",
        )?;
        E::unless(allowed > 0, "allow", "empty", "name the peers that may link, or give `None` for all")?;
        E::unless(allowed <= MAX_ALLOWED, "allow", allowed, "give at most 65536 keys")
    }

    fn check_budgets(&self) -> Result<(), ConfigError> {
        use ConfigError as E;
        let (rate, burst) = (self.budget.bytes_per_s, self.budget.bytes_burst);
        let (cpu, cpu_burst) = (self.budget.cpu_per_s, self.budget.cpu_burst);
        E::unless(rate > 0, "budget.bytes_per_s", rate, "let a link send something: the default is 32 MiB")?;
        E::unless(
            burst >= MAX_FRAME_LEN as u64,
            "budget.bytes_burst",
            burst,
            "give at least 131072, one frame of the longest kind",
        )?;
        E::unless(!cpu.is_zero(), "budget.cpu_per_s", cpu, "give a link some CPU: the default is 250 ms")?;
        E::unless(!cpu_burst.is_zero(), "budget.cpu_burst", cpu_burst, "give some: the default is 100 ms")
    }

    fn check_capacities(&self) -> Result<(), ConfigError> {
        use ConfigError as E;
        let (bundles, bytes, author) = (self.topics.bundles, self.topics.bytes, self.topics.author_bytes);
        let hold = "give at least 1048576, sixteen bodies of the longest kind";
        E::unless(bundles >= LEAST_BUNDLES, "topics.bundles", bundles, "give at least 64")?;
        E::unless(bytes >= LEAST_BYTES, "topics.bytes", bytes, hold)?;
        E::unless(author >= LEAST_BYTES, "topics.author_bytes", author, hold)?;
        E::unless(self.verifiers > 0, "verifiers", self.verifiers, "give at least 1 thread")?;
        E::unless(self.batch > 0, "batch", self.batch, "give at least 1 signature")?;
        E::unless(
            self.validators.at_once > 0,
            "validators.at_once",
            self.validators.at_once,
            "give at least 1",
        )
    }

    fn check_times(&self) -> Result<(), ConfigError> {
        use ConfigError as E;
        let short = "give at most 5 s: rumors would leave the window while they wait";
        for (field, time) in [
            ("publishing.seal_every", self.publishing.seal_every),
            ("publishing.announce_linger", self.publishing.announce_linger),
            ("pulls.first_margin", self.pulls.first_margin),
        ] {
            E::unless(time <= LONGEST_LINGER, field, time, short)?;
        }
        let (repair, patience) = (self.pulls.repair_every, self.validators.patience);
        let often = Duration::from_millis(10)..=RAREST_REPAIR;
        E::unless(often.contains(&repair), "pulls.repair_every", repair, "give 10 ms to 30 s")?;
        let patient = Duration::from_millis(1)..=RAREST_REPAIR;
        E::unless(patient.contains(&patience), "validators.patience", patience, "give 1 ms to 30 s")
    }
}
