//! Topics: rule sets that their id commits to, so that all who share the id share the rules.

mod allowed;
mod encoding;
mod kind;
mod owned;
mod system;

use std::time::Duration;

use super::{TickLen, id32};
use crate::key::PublicKey;

pub use owned::MAX_OWNED_AUTHORS;
pub(crate) use owned::{authors_body, newest_list};
pub(crate) use system::members_topic;

pub use kind::{KEPT_BEYOND, Kind, LONGEST_RETENTION, Retention};

/// Longest topic or network name, bytes. (Guess: a name is for people.)
pub const MAX_NAME: usize = 255;
/// Largest body, bytes. A constant of the wire version: the largest frame is derived from it.
pub const MAX_BODY: u32 = 64 * 1024;
/// Most slots in a tick. With the shortest tick: 655 350 rumors per second and author.
pub const MAX_SLOTS: u16 = u16::MAX;
/// Most authors an admission list may name. 128 KiB of rules (guess; larger groups want an issuer, not a list).
pub const MAX_LISTED_AUTHORS: usize = 4096;
/// Longest hold-back delay, milliseconds: the relay window grows by it, and with it what a node must remember.
pub const MAX_HOLD_BACK: u32 = 60_000;
/// Longest canonical encoding of rules, bytes.
pub const MAX_RULES_LEN: usize = 32 + 2 + MAX_NAME + 2 + 4 + 4 + 5 + 4 + 5 + 1 + 4 + 32 * MAX_LISTED_AUTHORS;

id32! {
    /// Names a deployment: the hash of its name. Two networks never merge by accident, since links compare it first and
    /// every topic commits to it.
    NetworkId
}

impl NetworkId {
    /// The id of the network called `name`.
    #[must_use]
    pub fn of(name: &str) -> Self {
        Self(
            *blake3::Hasher::new_derive_key("vouchsafe network v1")
                .update(name.as_bytes())
                .finalize()
                .as_bytes(),
        )
    }
}

id32! {
    /// Names a topic and commits to all its rules.
    TopicId
}

/// When a rumor is handed to the app.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum Guarantee {
    /// On acceptance.
    #[default]
    Prompt,
    /// After this delay, and then neither of two conflicting rumors: no two correct nodes deliver different rumors at
    /// one position, as long as rumors spread faster than the delay. Whole milliseconds, at most [`MAX_HOLD_BACK`].
    HoldBack(Duration),
}

/// Who may write in a topic.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum Authors {
    /// Anybody with a key.
    #[default]
    Open,
    /// These keys only, at most [`MAX_LISTED_AUTHORS`]; order and repetition do not matter.
    Listed(Vec<PublicKey>),
    /// Whoever this key says, which may say something else at any time, and itself: at most [`MAX_OWNED_AUTHORS`] others. Until a node has
    /// heard whom, the owner alone may write there. An owner that says two things at one position is convicted like any author, and from then
    /// on nobody may write.
    Owned(PublicKey),
}

/// The rules of a topic, before they are bound to a network.
///
/// ```
/// use vouchsafe::rumor::{NetworkId, Topic};
/// let topic = Topic::named("lobby").slots_per_tick(8).max_body(1024);
/// let rules = topic.bind(NetworkId::of("chat.example"))?;
/// println!("everyone with these rules meets at {}", rules.id());
/// # Ok::<(), vouchsafe::rumor::RuleError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
pub struct Topic {
    name: String,
    slots_per_tick: u16,
    tick_len: Duration,
    max_body: u32,
    kind: Kind,
    /// `None` for what fits the kind.
    retention: Option<Retention>,
    guarantee: Guarantee,
    authors: Authors,
}

impl Topic {
    /// A topic with the default rules: 64 rumors per author and second, bodies up to 16 KiB, a log that is kept for 60 s, delivered
    /// promptly, open to all authors.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            slots_per_tick: 64,
            tick_len: Duration::from_secs(1),
            max_body: 16 * 1024,
            kind: Kind::Log,
            retention: None,
            guarantee: Guarantee::Prompt,
            authors: Authors::Open,
        }
    }

    /// Most rumors of one author per tick, 1 to [`MAX_SLOTS`]. This is the global rate limit: who says more must use a
    /// slot twice, which convicts.
    pub fn slots_per_tick(mut self, slots: u16) -> Self {
        self.slots_per_tick = slots;
        self
    }

    /// Length of a tick: whole milliseconds, 100 ms to 10 s.
    pub fn tick_len(mut self, len: Duration) -> Self {
        self.tick_len = len;
        self
    }

    /// Largest body in bytes, 1 to [`MAX_BODY`].
    pub fn max_body(mut self, bytes: u32) -> Self {
        self.max_body = bytes;
        self
    }

    /// How long the topic keeps what it says: whole seconds, at most [`LONGEST_RETENTION`]. Default 60 s for a log, for ever for a
    /// topic of [`state`](Self::state).
    ///
    /// Up to 90 s, bodies stay in memory for those who ask; who joins late is given what is no older than 60 s, and where others need
    /// the room, bodies over 10 s old go earlier. Beyond 90 s the topic is *kept*: it has a place in the store, and nodes repair what
    /// they lack of it.
    pub fn retention(mut self, keep: Duration) -> Self {
        self.retention = Some(Retention::For(keep));
        self
    }

    /// The topic keeps what it says for ever. Then name its authors, or give them few slots: what an author says takes room at every
    /// node that keeps the topic.
    pub fn retention_forever(mut self) -> Self {
        self.retention = Some(Retention::ForEver);
        self
    }

    /// The topic keeps the newest value of each author and key, at most so many keys of an author, deleted ones among them: 1 or more.
    /// Every body is a [`Cell`](super::Cell). Values and the marks of deleted ones have one retention: for ever, if none is given.
    pub fn state(mut self, max_keys: u32) -> Self {
        self.kind = Kind::State { max_keys };
        self
    }

    /// When rumors are delivered.
    pub fn guarantee(mut self, guarantee: Guarantee) -> Self {
        self.guarantee = guarantee;
        self
    }

    /// Who may write.
    pub fn authors(mut self, authors: Authors) -> Self {
        self.authors = authors;
        self
    }

    /// Binds the rules to a network and checks them.
    ///
    /// # Errors
    /// Names the rule that is out of its range.
    pub fn bind(&self, network: NetworkId) -> Result<RuleSet, RuleError> {
        let name_len = self.name.len();
        if name_len == 0 || name_len > MAX_NAME {
            return Err(RuleError::Name(name_len));
        }
        if self.slots_per_tick == 0 {
            return Err(RuleError::Slots);
        }
        let tick_len = whole_millis(self.tick_len)
            .and_then(TickLen::from_millis)
            .ok_or(RuleError::TickLen(self.tick_len))?;
        if self.max_body == 0 || self.max_body > MAX_BODY {
            return Err(RuleError::MaxBody(self.max_body));
        }
        if self.kind.max_keys() == Some(0) {
            return Err(RuleError::Keys);
        }
        let retention = match (self.retention, self.kind) {
            (None, Kind::State { .. }) | (Some(Retention::ForEver), _) => u32::MAX,
            (None, Kind::Log) => 60,
            (Some(Retention::For(keep)), _) => {
                Retention::For(keep).code().ok_or(RuleError::Retention(keep))?
            }
        };
        let hold_back_ms = match self.guarantee {
            Guarantee::Prompt => None,
            Guarantee::HoldBack(delay) => match whole_millis(delay) {
                Some(millis) if millis > 0 && millis <= MAX_HOLD_BACK => Some(millis),
                _ => return Err(RuleError::HoldBack(delay)),
            },
        };
        let listed = match &self.authors {
            Authors::Open | Authors::Owned(_) => None,
            Authors::Listed(keys) => {
                let mut keys = keys.clone();
                keys.sort_unstable();
                keys.dedup();
                if keys.is_empty() || keys.len() > MAX_LISTED_AUTHORS {
                    return Err(RuleError::Authors(keys.len()));
                }
                Some(keys)
            }
        };
        let owner = match self.authors {
            Authors::Owned(owner) => Some(owner),
            Authors::Open | Authors::Listed(_) => None,
        };
        let rules = RuleSet {
            network,
            name: self.name.clone(),
            slots_per_tick: self.slots_per_tick,
            tick_len,
            max_body: self.max_body,
            kind: self.kind,
            retention,
            hold_back_ms,
            listed,
            owner,
            id: TopicId([0; 32]),
        };
        Ok(rules.identified())
    }
}

fn whole_millis(duration: Duration) -> Option<u32> {
    if !duration.subsec_nanos().is_multiple_of(1_000_000) {
        return None;
    }
    u32::try_from(duration.as_millis()).ok()
}

/// Checked rules bound to a network, and the id that commits to them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RuleSet {
    network: NetworkId,
    name: String,
    slots_per_tick: u16,
    tick_len: TickLen,
    max_body: u32,
    kind: Kind,
    /// Seconds; `u32::MAX` for ever.
    retention: u32,
    hold_back_ms: Option<u32>,
    /// Sorted and without repetition.
    listed: Option<Vec<PublicKey>>,
    owner: Option<PublicKey>,
    id: TopicId,
}

impl RuleSet {
    /// With the id that commits to them.
    fn identified(mut self) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("vouchsafe topic v2");
        hasher.update(&self.encode());
        self.id = TopicId(*hasher.finalize().as_bytes());
        self
    }

    /// The id that commits to these rules.
    #[must_use]
    pub const fn id(&self) -> TopicId {
        self.id
    }

    /// The network the topic belongs to.
    #[must_use]
    pub const fn network(&self) -> NetworkId {
        self.network
    }

    /// The name people use.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Most rumors of one author per tick.
    #[must_use]
    pub const fn slots_per_tick(&self) -> u16 {
        self.slots_per_tick
    }

    /// Length of a tick.
    #[must_use]
    pub const fn tick_len(&self) -> TickLen {
        self.tick_len
    }

    /// Largest body in bytes.
    #[must_use]
    pub const fn max_body(&self) -> u32 {
        self.max_body
    }

    /// What the topic remembers.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// How long the topic keeps what it says.
    #[must_use]
    pub fn retention(&self) -> Retention {
        Retention::of_code(self.retention)
    }

    /// Whether nodes keep the topic in their stores: a topic of state, and a log that is kept for longer than the relay window.
    #[must_use]
    pub const fn is_kept(&self) -> bool {
        self.kind.is_state() || self.retention > KEPT_BEYOND
    }

    /// The hold-back delay, if the topic has one.
    #[must_use]
    pub fn hold_back(&self) -> Option<Duration> {
        self.hold_back_ms.map(|millis| Duration::from_millis(u64::from(millis)))
    }

    /// Whether `author` may write here, as far as the rules tell: where an owner says who may, it may be anybody.
    #[must_use]
    pub fn admits(&self, author: &PublicKey) -> bool {
        self.listed.as_ref().is_none_or(|keys| keys.binary_search(author).is_ok())
    }

    /// Whether the topic names its authors, or its owner does.
    #[must_use]
    pub const fn is_listed(&self) -> bool {
        self.listed.is_some() || self.owner.is_some()
    }

    /// The authors that the topic names, sorted; `None` if it is open to all, or its owner says who they are.
    #[must_use]
    pub fn listed(&self) -> Option<&[PublicKey]> {
        self.listed.as_deref()
    }

    /// How many authors the topic names; `None` if it is open to all, or its owner says who they are.
    #[must_use]
    pub fn listed_authors(&self) -> Option<usize> {
        self.listed.as_ref().map(Vec::len)
    }
}

/// Which rule of a topic is out of its range, and what the range is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleError {
    /// The name is empty or too long.
    #[error("a topic's name has 1 to {MAX_NAME} bytes, this one has {0}")]
    Name(usize),
    /// No slot at all.
    #[error("a topic needs at least one slot per tick, or nobody could ever publish")]
    Slots,
    /// The tick is too short, too long, or not whole milliseconds.
    #[error("a tick lasts {MIN} to {MAX} ms in whole milliseconds, not {0:?}", MIN = super::MIN_TICK_LEN, MAX = super::MAX_TICK_LEN)]
    TickLen(Duration),
    /// The body limit is zero or above what a frame can carry.
    #[error("a body limit is 1 to {MAX_BODY} bytes, not {0}: split larger content or publish its hash")]
    MaxBody(u32),
    /// The retention is too long or not whole seconds.
    #[error(
        "retention is whole seconds up to {LONGEST_RETENTION}, not {0:?}: for ever is `retention_forever`"
    )]
    Retention(Duration),
    /// A topic of state without a key.
    #[error("a topic of state has at least one key for each author, or nothing could ever be written")]
    Keys,
    /// The hold-back delay is zero, too long, or not whole milliseconds.
    #[error("a hold-back delay is 1 to {MAX_HOLD_BACK} ms in whole milliseconds, not {0:?}")]
    HoldBack(Duration),
    /// The author list is empty or too long.
    #[error("an author list names 1 to {MAX_LISTED_AUTHORS} keys, not {0}: leave it open, or admit fewer")]
    Authors(usize),
    /// Bytes that are not the canonical encoding of any rules.
    #[error("these bytes are not the canonical encoding of topic rules")]
    Encoding,
}
