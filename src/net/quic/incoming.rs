//! One who dials over QUIC: for the node, or for a protocol of the application.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Others;
use super::carrier::{Quic, in_words};
use crate::net::closed::code;
use crate::net::identity::{peer_key, protocol_of};
use crate::net::transport::{Carrier, Incoming, Pending, Purpose};

/// A first packet, and what comes of it.
#[derive(Debug)]
pub(super) struct Dialled {
    quinn: quinn::Incoming,
    others: Option<Others>,
}

impl Dialled {
    pub(super) const fn new(quinn: quinn::Incoming, others: Option<Others>) -> Self {
        Self { quinn, others }
    }
}

impl Incoming for Dialled {
    fn remote(&self) -> Option<SocketAddr> {
        Some(self.quinn.remote_address())
    }

    fn is_proven(&self) -> bool {
        self.quinn.remote_address_validated()
    }

    fn accept(self: Box<Self>) -> Pending<'static, io::Result<Option<Arc<dyn Carrier>>>> {
        Box::pin(async {
            let Self { quinn, others } = *self;
            let failed = |error| io::Error::other(in_words(&error));
            let connection = quinn.accept().map_err(failed)?.await.map_err(failed)?;
            // What TLS has agreed on, not what was asked for.
            let protocol = protocol_of(&connection);
            let purpose =
                Purpose::ALL.into_iter().find(|purpose| protocol.as_deref() == Some(purpose.protocol()));
            match (purpose, others) {
                (None, Some(others)) => {
                    hand_over(connection, &others);
                    Ok(None)
                }
                (purpose, _) => {
                    let peer = peer_key(&connection).ok_or_else(|| io::Error::other("it shows no key"))?;
                    let purpose = purpose.unwrap_or(Purpose::Gossip);
                    Ok(Some(Arc::new(Quic::new(connection, peer, purpose)) as Arc<dyn Carrier>))
                }
            }
        })
    }

    fn refuse(self: Box<Self>) {
        self.quinn.refuse();
    }

    fn retry(self: Box<Self>) {
        if let Err(not_possible) = self.quinn.retry() {
            not_possible.into_incoming().refuse();
        }
    }
}

/// Gives a connection of another protocol to the application. It does not wait for room: it would keep its place in the gate, and those
/// whom the application does not take must keep nobody out of the gossip.
fn hand_over(connection: quinn::Connection, others: &Others) {
    if let Err(refused) = others.to.try_send(connection) {
        refused.into_inner().close(code::NOT_TAKEN.into(), b"busy");
        others.not_taken.fetch_add(1, Ordering::Relaxed);
    }
}
