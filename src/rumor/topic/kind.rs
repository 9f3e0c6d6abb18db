//! What a topic remembers, and for how long.

use std::fmt;
use std::time::Duration;

/// A topic that keeps what it says for longer than this is kept in a store, and repaired between nodes: the relay window, seconds.
pub const KEPT_BEYOND: u32 = 90;
/// Longest retention that ends, seconds: 136 years. One more means for ever.
pub const LONGEST_RETENTION: u32 = u32::MAX - 1;

/// What a topic remembers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub enum Kind {
    /// Every bundle.
    #[default]
    Log,
    /// The newest value of each author and key: every body is a [`Cell`](crate::rumor::Cell).
    State {
        /// Most keys of an author, deleted ones among them. Beyond it the keys that were written longest ago go.
        max_keys: u32,
    },
}

impl Kind {
    /// Whether every body is a [`Cell`](crate::rumor::Cell).
    #[must_use]
    pub const fn is_state(self) -> bool {
        matches!(self, Self::State { .. })
    }

    /// Most keys of an author; `None` in a log.
    #[must_use]
    pub const fn max_keys(self) -> Option<u32> {
        match self {
            Self::Log => None,
            Self::State { max_keys } => Some(max_keys),
        }
    }
}

/// For how long a topic keeps what it says.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Retention {
    /// For so long: whole seconds.
    For(Duration),
    /// For ever.
    ForEver,
}

impl Retention {
    /// Where it ends; `None` if never. For ever is no number: nothing is added to it.
    #[must_use]
    pub const fn duration(self) -> Option<Duration> {
        match self {
            Self::For(duration) => Some(duration),
            Self::ForEver => None,
        }
    }

    /// The shorter of both.
    #[must_use]
    pub fn at_most(self, most: Duration) -> Duration {
        self.duration().map_or(most, |duration| duration.min(most))
    }

    /// As rules encode it: seconds, or `u32::MAX`.
    pub(super) fn code(self) -> Option<u32> {
        match self {
            Self::ForEver => Some(u32::MAX),
            Self::For(duration) if duration.subsec_nanos() == 0 => {
                u32::try_from(duration.as_secs()).ok().filter(|seconds| *seconds <= LONGEST_RETENTION)
            }
            Self::For(_) => None,
        }
    }

    pub(super) fn of_code(code: u32) -> Self {
        if code > LONGEST_RETENTION { Self::ForEver } else { Self::For(Duration::from_secs(code.into())) }
    }
}

impl fmt::Display for Retention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::For(duration) => write!(f, "{} s", duration.as_secs()),
            Self::ForEver => write!(f, "for ever"),
        }
    }
}
