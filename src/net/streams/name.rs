//! The name of a protocol.

use std::fmt;
use std::sync::Arc;

use super::MAX_NAME_LEN;

/// What names of the library's own protocols begin with.
const RESERVED: &str = "vouchsafe";
/// Answers to questions.
const ANSWERS: &str = "vouchsafe-answers/1";

/// Names what two applications speak over a stream, as in "chat/1": 1 to 64 visible characters of ASCII.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ProtocolName(Arc<str>);

impl ProtocolName {
    /// Checks a name that an application gives.
    pub(crate) fn new(name: &str) -> Result<Self, ProtocolNameError> {
        if name.starts_with(RESERVED) {
            return Err(ProtocolNameError::Reserved);
        }
        Self::any(name)
    }

    /// The name of what the library itself speaks.
    pub(crate) fn of_library() -> Self {
        Self(ANSWERS.into())
    }

    /// Checks a name that a peer gives.
    pub(super) fn any(name: &str) -> Result<Self, ProtocolNameError> {
        if !(1..=MAX_NAME_LEN).contains(&name.len()) {
            return Err(ProtocolNameError::Length(name.len()));
        }
        if !name.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ProtocolNameError::Character(name.escape_debug().to_string()));
        }
        Ok(Self(name.into()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProtocolName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ProtocolName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

/// Why a text names no protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolNameError {
    /// It is empty or too long.
    #[error("a protocol's name has 1 to {MAX_NAME_LEN} bytes, this one has {0}: give one as in \"chat/1\"")]
    Length(usize),
    /// It is one of the library's own.
    #[error("names of protocols that begin with \"vouchsafe\" are the library's own: give another")]
    Reserved,
    /// It has other characters than visible ones of ASCII.
    #[error("a protocol's name has visible characters of ASCII only, not {0:?}: give one as in \"chat/1\"")]
    Character(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_visible() {
        assert_eq!(ProtocolName::new("chat/1").unwrap().as_str(), "chat/1");
        assert!(ProtocolName::new(&"n".repeat(64)).is_ok());
        assert_eq!(ProtocolName::new(&"n".repeat(65)), Err(ProtocolNameError::Length(65)));
        assert_eq!(ProtocolName::new(""), Err(ProtocolNameError::Length(0)));
        assert_eq!(ProtocolName::new("vouchsafe-answers/1"), Err(ProtocolNameError::Reserved));
        assert_eq!(ProtocolName::any("vouchsafe-answers/1"), Ok(ProtocolName::of_library()));
        for name in ["chat 1", "chat\n", "ch\u{e4}t"] {
            assert!(matches!(ProtocolName::new(name), Err(ProtocolNameError::Character(_))), "{name:?}");
        }
    }
}
