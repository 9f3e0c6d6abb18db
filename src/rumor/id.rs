//! Ids: 32 bytes that commit to what they name.

use crate::key::ParseKeyError;

/// Declares a 32-byte identifier: printed and parsed as 64 hexadecimal digits, ordered and hashed as bytes.
macro_rules! id32 {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $name([u8; 32]);

        /// All 32 bytes, since an id that is only announced is whatever a peer has chosen: were a part left out, ids that
        /// differ only there would share one bucket. (Without the length that an array's own hash begins with.)
        impl std::hash::Hash for $name {
            fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
                state.write(&self.0);
            }
        }

        impl $name {
            /// Wraps the 32 bytes.
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// The 32 bytes.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::rumor::ParseIdError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                $crate::key::parse_hex32(text).map(Self).map_err($crate::rumor::ParseIdError::of)
            }
        }

        $crate::key::serde_as_text!($name);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}({})", stringify!($name), hex::encode(&self.0[..4]))
            }
        }
    };
}
pub(crate) use id32;

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseIdError {
    /// An id is 64 hexadecimal digits; this text has another length.
    #[error("an id is 64 hexadecimal digits, this text has {0} characters: copy the whole id")]
    Length(usize),
    /// A character is not a hexadecimal digit.
    #[error("{0:?} at position {1} is not a hexadecimal digit: an id is made of 0-9 and a-f only")]
    Digit(char, usize),
}

impl ParseIdError {
    pub(crate) fn of(error: ParseKeyError) -> Self {
        match error {
            ParseKeyError::Length(len) => Self::Length(len),
            ParseKeyError::Digit(bad, at) => Self::Digit(bad, at),
        }
    }
}
