//! Where a node is and who must answer there.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use crate::key::{ParseKeyError, PublicKey};

/// Most bytes of a host's name: what DNS can carry (RFC 1035, without the root's dot).
pub(super) const MAX_NAME_LEN: usize = 253;

/// A node's address: its key and where it listens. Written `KEY@HOST:PORT`, as in `9d61...@192.0.2.7:4433`,
/// `9d61...@[2001:db8::7]:4433` or `9d61...@node.example.org:4433`. The node that answers must prove the key.
///
/// ```
/// use vouchsafe::{PeerAddr, SecretKey};
/// let key = SecretKey::generate().public();
/// let peer: PeerAddr = format!("{key}@node.example.org:4433").parse()?;
/// assert_eq!((peer.key, peer.host.to_string()), (key, "node.example.org:4433".to_owned()));
/// # Ok::<(), vouchsafe::ParseAddrError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PeerAddr {
    /// The node key.
    pub key: PublicKey,
    /// Where it listens.
    pub host: Host,
}

/// A place on the network: an address, or a name that stands for some.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Host {
    /// UDP address and port.
    Socket(SocketAddr),
    /// A name and a port. The name is looked up at each dial, so its addresses may change while a node runs.
    Name(HostName),
}

/// A host's name with a UDP port, as in `node.example.org:4433`: 1 to 253 bytes of ASCII letters (small ones, since DNS knows
/// no others), digits, `-`, `_` and `.`. Made by parsing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostName {
    name: Box<str>,
    port: u16,
}

impl PeerAddr {
    /// The node with this key at this place.
    pub fn new(key: PublicKey, host: impl Into<Host>) -> Self {
        Self { key, host: host.into() }
    }

    /// The UDP address, if it is known without looking up a name.
    pub const fn socket(&self) -> Option<SocketAddr> {
        match self.host {
            Host::Socket(addr) => Some(addr),
            Host::Name(_) => None,
        }
    }
}

impl HostName {
    /// The name, without the port.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The UDP port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    fn parse(text: &str) -> Option<Self> {
        let (name, port) = text.rsplit_once(':')?;
        let port = port.parse().ok().filter(|port| *port > 0)?;
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let last_label = name.trim_end_matches('.').rsplit('.').next()?;
        // A name never ends in a number: that is an IP address with a slip in it.
        let is_number = last_label.bytes().all(|byte| byte.is_ascii_digit());
        let is_name = name.len() <= MAX_NAME_LEN && name.bytes().all(allowed) && !is_number;
        is_name.then(|| Self { name: name.to_ascii_lowercase().into(), port })
    }
}

impl From<SocketAddr> for Host {
    fn from(addr: SocketAddr) -> Self {
        Self::Socket(addr)
    }
}

/// Serialises as the text that a [`PeerAddr`] or [`Host`] prints.
macro_rules! serde_by_text {
    ($($name:ident),*) => {$(
        #[cfg(feature = "serde")]
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        #[cfg(feature = "serde")]
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

serde_by_text!(Host, HostName, PeerAddr);

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.port)
    }
}

impl FromStr for HostName {
    type Err = ParseAddrError;

    /// Reads `NAME:PORT`, the port 1 to 65535. IP addresses are no names.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text).ok_or_else(|| ParseAddrError::Host(text.into()))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(addr) => addr.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

impl FromStr for Host {
    type Err = ParseAddrError;

    /// Reads `IP:PORT` or `NAME:PORT`, the port 1 to 65535. Names are not looked up here, since that may take long.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse::<SocketAddr>() {
            Ok(addr) if addr.port() > 0 => Ok(Self::Socket(addr)),
            Ok(_) => Err(ParseAddrError::Host(text.into())),
            Err(_) => text.parse().map(Self::Name),
        }
    }
}

impl fmt::Display for PeerAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.key, self.host)
    }
}

impl FromStr for PeerAddr {
    type Err = ParseAddrError;

    /// Reads `KEY@IP:PORT` or `KEY@NAME:PORT`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (key, host) = text.split_once('@').ok_or_else(|| ParseAddrError::Shape(text.into()))?;
        Ok(Self { key: key.parse()?, host: host.parse()? })
    }
}

/// Why a text is not the address of a node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseAddrError {
    /// There is no `@`.
    #[error("{0:?} has no @: write KEY@HOST:PORT, the node's public key before the @")]
    Shape(String),
    /// What should be a host and a port is not.
    #[error(
        "{0:?} is not HOST:PORT with a port of 1 to 65535, as in 192.0.2.7:4433, [2001:db8::7]:4433 or \
         node.example.org:4433"
    )]
    Host(String),
    /// What stands before the `@` is no key.
    #[error("before the @: {0}")]
    Key(#[from] ParseKeyError),
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: PublicKey = PublicKey::from_bytes([7; 32]);

    #[test]
    fn an_address_survives_its_text() {
        let socket = SocketAddr::from(([127, 0, 0, 1], 4433));
        let peer = PeerAddr::new(KEY, socket);
        assert_eq!(peer.to_string().parse(), Ok(peer.clone()));
        assert_eq!(peer.socket(), Some(socket));
    }

    #[test]
    fn a_name_stands_wherever_an_address_does() {
        for name in ["localhost:7000", "node-1.example.org:1", "under_score:65535", "with.dot.:9", "7up:80"] {
            let peer: PeerAddr = format!("{KEY}@{name}").parse().unwrap();
            assert_eq!((peer.to_string(), peer.socket()), (format!("{KEY}@{name}"), None));
        }
        let peer: PeerAddr = format!("{KEY}@Example.ORG:80").parse().unwrap();
        let Host::Name(host) = peer.host else { panic!("a name") };
        assert_eq!((host.name(), host.port()), ("example.org", 80));
    }

    #[test]
    fn bad_texts_name_the_fault() {
        assert!(matches!("127.0.0.1:1".parse::<PeerAddr>(), Err(ParseAddrError::Shape(_))));
        assert!(matches!("abc@127.0.0.1:1".parse::<PeerAddr>(), Err(ParseAddrError::Key(_))));
        let long = "a".repeat(MAX_NAME_LEN + 1) + ":1";
        let bad = ["host", "host:", ":1", ".:1", "host:0", "host:65536", "127.0.0.1:0", "127.0.0.256:1"];
        for text in bad.into_iter().chain(["[::1]", "a b:1", "a@b:1", "straße.de:1", long.as_str()]) {
            let parsed = format!("{KEY}@{text}").parse::<PeerAddr>();
            assert!(matches!(parsed, Err(ParseAddrError::Host(_))), "{text}: {parsed:?}");
        }
        assert!(format!("{KEY}@{}:1", "a".repeat(MAX_NAME_LEN)).parse::<PeerAddr>().is_ok());
    }

    #[cfg(feature = "serde")]
    #[test]
    fn an_address_serialises_as_its_text() {
        for text in ["192.0.2.7:4433", "node.example.org:4433", "[2001:db8::7]:4433"] {
            let peer: PeerAddr = format!("{KEY}@{text}").parse().unwrap();
            let json = serde_json::to_string(&peer).unwrap();
            assert_eq!(json, format!("\"{KEY}@{text}\""));
            assert_eq!(serde_json::from_str::<PeerAddr>(&json).unwrap(), peer);
            let packed = postcard::to_allocvec(&peer.host).unwrap();
            assert_eq!(postcard::from_bytes::<Host>(&packed).unwrap(), peer.host);
        }
        assert!(serde_json::from_str::<PeerAddr>("\"127.0.0.1:1\"").is_err());
        assert!("127.0.0.1:1".parse::<HostName>().is_err());
        assert_eq!(
            "Node.Example:1".parse::<HostName>().map(|name| name.to_string()),
            Ok("node.example:1".into())
        );
    }
}
