//! Whom a liar dials, and the proper beginning that broken frames need.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::OnceCell;
use vouchsafe::hostile::Target;
use vouchsafe::net::{BareError, BarePeer};
use vouchsafe::rumor::RuleSet;
use vouchsafe::wire::{self, Hello, Lane};
use vouchsafe::{PeerAddr, SecretKey};

/// A peer as an attacker dials it. `None` for one that is known by a name only: attackers do not ask DNS.
pub fn of(peer: &PeerAddr) -> Option<Target> {
    Some(Target { key: peer.key, addr: peer.socket()? })
}

/// The wall clock, Unix milliseconds.
pub fn clock_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The socket of all attackers of this process: each has megabytes of buffers, which would be taken for the nodes'.
pub async fn socket() -> Result<&'static quinn::Endpoint, BareError> {
    static SOCKET: OnceCell<quinn::Endpoint> = OnceCell::const_new();
    SOCKET.get_or_try_init(async || BarePeer::socket((Ipv4Addr::LOCALHOST, 0).into())).await
}

/// A handshake, at whatever address.
pub async fn dial(key: &SecretKey, peer: Target, addr: SocketAddr) -> Result<BarePeer, BareError> {
    BarePeer::connect_from(socket().await?.clone(), key, peer.key, addr).await
}

/// A proper beginning: handshake, lanes, hello.
pub async fn greet(key: &SecretKey, peer: Target, rules: &RuleSet) -> Result<BarePeer, BareError> {
    let mut link = dial(key, peer, peer.addr).await?;
    for lane in Lane::ALL {
        link.open_lane(lane).await?;
    }
    let hello = Hello {
        network: *rules.network().as_bytes(),
        clock_ms: clock_ms(),
        topics: vec![*rules.id().as_bytes()],
        ..Hello::default()
    };
    link.send_frame(Lane::Control, &wire::hello(&hello)).await?;
    Ok(link)
}
