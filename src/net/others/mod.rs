//! Protocols of the application on the port of the node: who is answered with which TLS, and who waits for the application.
//!
//! | File | Question |
//! |---|---|
//! | `hello` | which protocols does a dialler offer? |
//! | `router` | which TLS configuration answers it? |
//!
//! quinn has one configuration of a listener for an endpoint. Ours shows raw public keys and wants one of each dialler; that of an HTTP/3
//! server shows certificates and wants nothing. So the choice is made inside TLS, by the ClientHello. The limits of the transport
//! ([`limits`](super::limits)) are ours for all of them: quinn fixes them before it has read the ClientHello.

mod hello;
mod router;

use std::sync::Arc;

use quinn::crypto::rustls::QuicServerConfig;

pub use hello::{BadHello, OfferedProtocols, offered_protocols};
pub(super) use router::Router;

/// Connections of the application's own protocols that wait for it. One more is closed and counted.
pub(crate) const WAITING: usize = 64;

/// What the names of our own protocols begin with, those of versions to come among them.
const RESERVED: &[u8] = b"vouchsafe";

/// How the application's own protocols on the port of an endpoint are answered.
#[derive(Clone)]
pub struct OtherProtocols(Arc<QuicServerConfig>);

impl std::fmt::Debug for OtherProtocols {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OtherProtocols")
    }
}

impl OtherProtocols {
    /// Answers with `tls` whoever offers none of our own protocols. There is no early data (0-RTT): a connection is handed over when its
    /// handshake is done, and then nobody could tell what was replayed.
    ///
    /// # Errors
    /// If `tls` names no protocol (ALPN), or one of ours, or is of no use to QUIC.
    pub fn new(mut tls: rustls::ServerConfig) -> Result<Self, OtherProtocolsError> {
        if tls.alpn_protocols.is_empty() {
            return Err(OtherProtocolsError::NoneNamed);
        }
        if let Some(ours) = tls.alpn_protocols.iter().find(|name| name.starts_with(RESERVED)) {
            return Err(OtherProtocolsError::Reserved(String::from_utf8_lossy(ours).into_owned()));
        }
        tls.max_early_data_size = 0;
        let (tls, unusable) =
            (Arc::new(tls), |error: &dyn std::fmt::Display| OtherProtocolsError::Tls(error.to_string()));
        // quinn begins a session in the belief that this works.
        rustls::quic::ServerConnection::new(Arc::clone(&tls), rustls::quic::Version::V1, Vec::new())
            .map_err(|error| unusable(&error))?;
        Ok(Self(Arc::new(QuicServerConfig::try_from(tls).map_err(|error| unusable(&error))?)))
    }

    /// Both: `ours` for our own protocols, and this for all others.
    pub(super) fn beside(&self, ours: Arc<QuicServerConfig>) -> Router {
        Router::new(ours, self.0.clone())
    }
}

/// Why the application's own protocols can't be served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OtherProtocolsError {
    /// No protocol is named.
    #[error(
        "the TLS configuration of the other protocols names none: set its `alpn_protocols`, as in [b\"h3\"]"
    )]
    NoneNamed,
    /// A protocol has a name that is the library's own.
    #[error(
        "{0:?} is no name for another protocol: those that begin with \"vouchsafe\" are the library's own"
    )]
    Reserved(String),
    /// QUIC can't use it.
    #[error(
        "QUIC can't use the TLS configuration of the other protocols: {0}; it needs TLS 1.3 and TLS13_AES_128_GCM_SHA256"
    )]
    Tls(String),
}
