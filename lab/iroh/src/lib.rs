//! A transport of vouchsafe over an endpoint of iroh, which finds its way through NATs and over relays.
//!
//! An endpoint of iroh has an Ed25519 key for a name, as a node of vouchsafe has, so one key is both, and TLS proves it. iroh dials by key.
//! The address that a node knows of a peer goes along as a hint, beside what iroh finds out by itself. One that stands for the key is none.

mod carrier;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use iroh::endpoint::{ConnectError, Connection, IncomingAddr, QuicTransportConfig, VarInt, presets};
use iroh::{Endpoint, EndpointAddr, EndpointId, RelayMode};
use vouchsafe::net::transport::{
    Carrier, DialFailed, IDLE_TIMEOUT, Incoming, KEEP_ALIVE, LANES, Pending, Purpose, SEND_WINDOW,
    STREAM_WINDOW, Transport, stand_in,
};
use vouchsafe::{PublicKey, SecretKey};

use crate::carrier::IrohCarrier;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// The name of the protocol that is spoken over iroh for a purpose (ALPN).
pub fn protocol(purpose: Purpose) -> Vec<u8> {
    [b"iroh+", purpose.protocol()].concat()
}

/// The limits that a node of vouchsafe counts on, for an endpoint of the app's own.
pub fn limits() -> QuicTransportConfig {
    let config = QuicTransportConfig::builder()
        .max_concurrent_uni_streams(LANES.into())
        .max_concurrent_bidi_streams(0u32.into())
        .stream_receive_window(STREAM_WINDOW.into())
        .send_window(SEND_WINDOW)
        .max_idle_timeout(IDLE_TIMEOUT.try_into().ok())
        .keep_alive_interval(KEEP_ALIVE)
        .datagram_receive_buffer_size(None)
        .datagram_send_buffer_size(0);
    config.build()
}

/// iroh as a transport.
#[derive(Debug)]
pub struct IrohTransport {
    endpoint: Endpoint,
    here: SocketAddr,
}

impl IrohTransport {
    /// An endpoint of its own, at this address, without relays and without any way to look peers up: they are dialled where they are said
    /// to be.
    ///
    /// # Errors
    /// If the address can't be bound.
    pub async fn bind(key: &SecretKey, listen: SocketAddr) -> Result<Self, Error> {
        let endpoint = Endpoint::builder(presets::Minimal)
            .secret_key(iroh::SecretKey::from_bytes(&key.to_seed()))
            .transport_config(limits())
            .relay_mode(RelayMode::Disabled)
            .clear_ip_transports()
            .bind_addr(listen)?
            .bind()
            .await?;
        Self::over(endpoint)
    }

    /// An endpoint of the app's own, with its relays and ways to look peers up. Its key is that of the node, and its transport configuration
    /// should be [`limits`]. It takes in who dials for a node of vouchsafe, and nobody else.
    ///
    /// # Errors
    /// If it is bound to no address.
    pub fn over(endpoint: Endpoint) -> Result<Self, Error> {
        let here = endpoint.bound_sockets().first().copied().ok_or("the endpoint has no socket")?;
        endpoint.set_alpns(Purpose::ALL.map(protocol).into());
        Ok(Self { endpoint, here })
    }

    /// As [`over`](Self::over), for a node that is known by its key alone, behind a NAT or a relay: to others its address stands for the key,
    /// and who dials it looks it up as iroh does.
    pub fn by_key(endpoint: Endpoint) -> Self {
        endpoint.set_alpns(Purpose::ALL.map(protocol).into());
        let here = stand_in(PublicKey::from_bytes(*endpoint.id().as_bytes()));
        Self { endpoint, here }
    }

    fn carrier(&self, connection: Connection) -> io::Result<Option<Arc<dyn Carrier>>> {
        carrier_of(connection, &self.endpoint)
    }
}

/// `None` if it is for something else.
fn carrier_of(connection: Connection, endpoint: &Endpoint) -> io::Result<Option<Arc<dyn Carrier>>> {
    let purpose = Purpose::ALL.into_iter().find(|purpose| connection.alpn() == protocol(*purpose));
    let Some(purpose) = purpose else {
        connection.close(VarInt::from_u32(0), b"not for a node");
        return Ok(None);
    };
    Ok(Some(Arc::new(IrohCarrier::new(connection, endpoint.clone(), purpose))))
}

impl Transport for IrohTransport {
    fn key(&self) -> PublicKey {
        PublicKey::from_bytes(*self.endpoint.id().as_bytes())
    }

    fn dial(
        &self,
        peer: PublicKey,
        addr: SocketAddr,
        purpose: Purpose,
    ) -> Pending<'_, Result<Arc<dyn Carrier>, DialFailed>> {
        Box::pin(async move {
            let failed = |why: &dyn std::fmt::Display| DialFailed::Failed(why.to_string());
            let id = EndpointId::from_bytes(peer.as_bytes()).map_err(|error| failed(&error))?;
            let hint = addr != stand_in(peer) && !addr.ip().is_unspecified();
            let to = EndpointAddr::new(id);
            let to = if hint { to.with_ip_addr(addr) } else { to };
            let connection = match self.endpoint.connect(to, &protocol(purpose)).await {
                Ok(connection) => connection,
                Err(_) if self.endpoint.is_closed() => return Err(DialFailed::Closed),
                Err(ConnectError::Connect { source, .. }) => {
                    return Err(DialFailed::Address(source.to_string()));
                }
                Err(error) => return Err(carrier::dial_failed(&error)),
            };
            let carrier = self.carrier(connection).map_err(|error| failed(&error))?;
            carrier.ok_or_else(|| DialFailed::Failed("another protocol was agreed on".into()))
        })
    }

    fn accept(&self) -> Pending<'_, Option<Box<dyn Incoming>>> {
        Box::pin(async {
            let incoming = self.endpoint.accept().await?;
            Some(Box::new(Dialling { incoming, endpoint: self.endpoint.clone() }) as Box<dyn Incoming>)
        })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.here)
    }

    fn close(&self) -> Pending<'_, ()> {
        Box::pin(self.endpoint.close())
    }
}

/// One who dials over iroh.
struct Dialling {
    incoming: iroh::endpoint::Incoming,
    endpoint: Endpoint,
}

impl std::fmt::Debug for Dialling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dialling").field("remote", &self.remote()).finish_non_exhaustive()
    }
}

impl Incoming for Dialling {
    fn remote(&self) -> Option<SocketAddr> {
        match self.incoming.remote_addr() {
            IncomingAddr::Ip(addr) => Some(addr),
            // Of a relay it is known who it says it is, and not where.
            _ => None,
        }
    }

    fn is_proven(&self) -> bool {
        self.incoming.remote_addr_validated()
    }

    fn accept(self: Box<Self>) -> Pending<'static, io::Result<Option<Arc<dyn Carrier>>>> {
        Box::pin(async move {
            let connection = self.incoming.accept().map_err(io::Error::other)?;
            carrier_of(connection.await.map_err(io::Error::other)?, &self.endpoint)
        })
    }

    fn refuse(self: Box<Self>) {
        self.incoming.refuse();
    }

    fn retry(self: Box<Self>) {
        if let Err(not_possible) = self.incoming.retry() {
            not_possible.into_incoming().refuse();
        }
    }
}
