//! Where a node is and who must answer there.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use crate::key::{ParseKeyError, PublicKey};

/// A node's address: its key and where it listens. Written `KEY@HOST:PORT`, as in
/// `9d61...@192.0.2.7:4433`. Whoever answers must prove the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PeerAddr {
    /// The node key.
    pub key: PublicKey,
    /// UDP address and port.
    pub addr: SocketAddr,
}

impl fmt::Display for PeerAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.key, self.addr)
    }
}

impl FromStr for PeerAddr {
    type Err = ParseAddrError;

    /// Reads `KEY@IP:PORT`. Names are not resolved here, since that may take long.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (key, addr) = text.split_once('@').ok_or_else(|| ParseAddrError::Shape(text.into()))?;
        let addr = addr.parse().map_err(|_| ParseAddrError::Socket(addr.into()))?;
        Ok(Self { key: key.parse()?, addr })
    }
}

/// Why a text is not the address of a node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseAddrError {
    /// There is no `@`.
    #[error("{0:?} is not KEY@IP:PORT: put the node's public key and an @ before its address")]
    Shape(String),
    /// What follows the `@` is no address.
    #[error("{0:?} is not IP:PORT, as in 192.0.2.7:4433 or [2001:db8::7]:4433")]
    Socket(String),
    /// What stands before the `@` is no key.
    #[error(transparent)]
    Key(#[from] ParseKeyError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_survives_its_text() {
        let peer = PeerAddr { key: PublicKey::from_bytes([7; 32]), addr: ([127, 0, 0, 1], 4433).into() };
        assert_eq!(peer.to_string().parse(), Ok(peer));
    }

    #[test]
    fn bad_texts_name_the_fault() {
        assert!(matches!("127.0.0.1:1".parse::<PeerAddr>(), Err(ParseAddrError::Shape(_))));
        let key = PublicKey::from_bytes([7; 32]);
        assert!(matches!(format!("{key}@host").parse::<PeerAddr>(), Err(ParseAddrError::Socket(_))));
        assert!(matches!("abc@127.0.0.1:1".parse::<PeerAddr>(), Err(ParseAddrError::Key(_))));
    }
}
