//! How connections begin, as the rest of the node knows it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::{Carried, PANICKED, UNKNOWN, canonical, dropped, guarded, waited};
use crate::key::PublicKey;
use crate::net::closed::{code, cut};
use crate::net::config::HANDSHAKE_DEADLINE;
use crate::net::identity::names_one;
use crate::net::transport::{Carrier, DialFailed, Incoming, Purpose, Transport};
use crate::protocol::DialError;

/// Time for a transport to close. QUIC takes 1 s for the peers to learn of it.
const CLOSE_DEADLINE: Duration = Duration::from_secs(5);

/// What a node stands on: a transport, shared by all who use it.
#[derive(Clone, Debug)]
pub(in crate::net) struct Ground(Arc<Owned>);

#[derive(Debug)]
struct Owned {
    /// Taken when it is dropped.
    transport: Option<Arc<dyn Transport>>,
}

impl Drop for Owned {
    fn drop(&mut self) {
        dropped(self.transport.take());
    }
}

impl Ground {
    pub(in crate::net) fn new(transport: Arc<dyn Transport>) -> Self {
        Self(Arc::new(Owned { transport: Some(transport) }))
    }

    fn transport(&self) -> Option<&dyn Transport> {
        self.0.transport.as_deref()
    }

    /// The key that it proves; `None` if it panics.
    pub(in crate::net) fn key(&self) -> Option<PublicKey> {
        let transport = self.transport()?;
        guarded(|| transport.key())
    }

    /// Where others dial it.
    pub(in crate::net) fn local_addr(&self) -> io::Result<SocketAddr> {
        let said = self.transport().and_then(|transport| guarded(|| transport.local_addr()));
        said.unwrap_or_else(|| Err(io::Error::other(PANICKED)))
    }

    /// Dials a key. The transport's word is not taken for whom it has reached.
    pub(in crate::net) async fn dial(
        &self,
        peer: PublicKey,
        addr: SocketAddr,
        purpose: Purpose,
    ) -> Result<Carried, DialError> {
        let Some(transport) = self.transport() else { return Err(DialError::Closed) };
        let dialled = timeout(HANDSHAKE_DEADLINE, waited(|| transport.dial(peer, addr, purpose)));
        let carrier = match dialled.await {
            Err(_) => Err(DialFailed::TimedOut),
            Ok(None) => Err(DialFailed::Failed(PANICKED.into())),
            Ok(Some(dialled)) => dialled.and_then(|carrier| as_dialled(carrier, peer, purpose)),
        };
        carrier.map_err(|failed| dial_error(failed, peer, addr))
    }

    /// The next one who dials; `None` if nobody will any more, or it panics.
    pub(in crate::net) async fn accept(&self) -> Option<Box<dyn Incoming>> {
        let transport = self.transport()?;
        waited(|| transport.accept()).await.flatten()
    }

    /// Ends it. One that does not end in time is left to itself.
    pub(in crate::net) async fn close(&self) {
        if let Some(transport) = self.transport() {
            let _ = timeout(CLOSE_DEADLINE, waited(|| transport.close())).await;
        }
    }
}

/// What a dial has come to.
fn as_dialled(carrier: Arc<dyn Carrier>, peer: PublicKey, purpose: Purpose) -> Result<Carried, DialFailed> {
    let carrier = Carried::new(carrier).ok_or_else(|| DialFailed::Failed(PANICKED.into()))?;
    let failed = match (carrier.peer() == peer, carrier.purpose() == purpose) {
        (true, true) => return Ok(carrier),
        (false, _) => DialFailed::WrongKey(carrier.peer()),
        (true, false) => DialFailed::Failed("the transport gave a connection for something else".into()),
    };
    carrier.close(code::DROPPED, b"not what was dialled");
    Err(failed)
}

/// Why a dial has failed, as an application is told of it.
pub(in crate::net) fn dial_error(failed: DialFailed, peer: PublicKey, addr: SocketAddr) -> DialError {
    match failed {
        DialFailed::Closed => DialError::Closed,
        DialFailed::Address(why) => DialError::Address { addr, why: cut(why) },
        DialFailed::Setup(why) => DialError::Tls { why: cut(why) },
        DialFailed::WrongKey(answered) => DialError::WrongKey { addr, expected: peer, answered },
        DialFailed::TimedOut => DialError::TimedOut { addr, peer },
        DialFailed::Refused => DialError::Refused { addr, peer },
        DialFailed::Failed(why) => DialError::Handshake { addr, peer, why: cut(why) },
    }
}

/// One who dials, as far as it has said who that is.
pub(in crate::net) struct Dialling {
    remote: SocketAddr,
    is_proven: bool,
    incoming: Box<dyn Incoming>,
}

/// What a handshake has come to.
pub(in crate::net) enum Shaken {
    /// A connection.
    Ours(Carried),
    /// It was for somebody else.
    Other,
    /// The key is one that a single holder can't have.
    NoKey,
    /// It failed, as the words say.
    Failed(String),
}

impl Dialling {
    /// `None` if it panics when it is asked where it comes from.
    pub(in crate::net) fn new(incoming: Box<dyn Incoming>) -> Option<Self> {
        let Some((remote, is_proven)) = guarded(|| (incoming.remote(), incoming.is_proven())) else {
            dropped(incoming);
            return None;
        };
        Some(Self { remote: remote.map_or(UNKNOWN, canonical), is_proven, incoming })
    }

    /// Where it comes from.
    pub(in crate::net) const fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// Whether that address is not forged.
    pub(in crate::net) const fn is_proven(&self) -> bool {
        self.is_proven
    }

    /// Does the handshake. Dropping the future ends it.
    pub(in crate::net) async fn shake(self) -> Shaken {
        let panicked = || Shaken::Failed(PANICKED.into());
        match waited(|| self.incoming.accept()).await {
            Some(Ok(Some(carrier))) => match Carried::new(carrier) {
                Some(carrier) if names_one(&carrier.peer()) => Shaken::Ours(carrier),
                Some(carrier) => {
                    carrier.close(code::DROPPED, b"nobody has that key alone");
                    Shaken::NoKey
                }
                None => panicked(),
            },
            Some(Ok(None)) => Shaken::Other,
            Some(Err(error)) => Shaken::Failed(cut(error.to_string())),
            None => panicked(),
        }
    }

    /// Sends it away, to come again or not.
    pub(in crate::net) fn goes(self, again: bool) {
        let _ = guarded(|| if again { self.incoming.retry() } else { self.incoming.refuse() });
    }
}
