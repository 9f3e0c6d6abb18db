//! One port, two TLS configurations: the ClientHello says which of them answers it.
//!
//! ```text
//! CRYPTO bytes ─▶ kept until the ClientHello is whole ─┬─ offers a protocol of ours ─▶ our session   ◀─ all bytes again
//!                                                      └─ anything else ────────────▶ the app's      ◀─ all bytes again
//! ```
//!
//! Both sessions judge what they read as if they were alone, so a choice made wrongly ends in a refusal. Initial keys and the tags of
//! Retry packets are the same for all: QUIC itself fixes them.

use std::any::Any;
use std::sync::Arc;

use quinn::crypto::{
    ExportKeyingMaterialError, HeaderKey, KeyPair, Keys, PacketKey, ServerConfig, Session, UnsupportedVersion,
};
use quinn::{ConnectionId, Side, TransportErrorCode};
use quinn_proto::TransportError;
use quinn_proto::transport_parameters::TransportParameters;

use super::hello::{BadHello, offered_protocols};
use crate::net::transport::Purpose;

/// Whether a protocol is ours.
fn is_ours(protocol: &[u8]) -> bool {
    Purpose::ALL.iter().any(|purpose| protocol == purpose.protocol())
}

/// A TLS configuration that is two.
pub(in crate::net) struct Router {
    ours: Arc<dyn ServerConfig>,
    others: Arc<dyn ServerConfig>,
}

impl Router {
    /// Answers with `ours` who offers a protocol of ours, and with `others` everybody else.
    pub(in crate::net) fn new(ours: Arc<dyn ServerConfig>, others: Arc<dyn ServerConfig>) -> Self {
        Self { ours, others }
    }
}

impl ServerConfig for Router {
    fn initial_keys(&self, version: u32, dst_cid: &ConnectionId) -> Result<Keys, UnsupportedVersion> {
        self.ours.initial_keys(version, dst_cid)
    }

    fn retry_tag(&self, version: u32, orig_dst_cid: &ConnectionId, packet: &[u8]) -> [u8; 16] {
        self.ours.retry_tag(version, orig_dst_cid, packet)
    }

    fn start_session(self: Arc<Self>, version: u32, params: &TransportParameters) -> Box<dyn Session> {
        let session = self.ours.clone().start_session(version, params);
        let undecided =
            Undecided { others: self.others.clone(), version, params: *params, hello: Vec::new() };
        Box::new(Routed { session, undecided: Some(undecided) })
    }
}

/// A session of ours that has read nothing, until the ClientHello is whole; then the one that it is for.
struct Routed {
    session: Box<dyn Session>,
    undecided: Option<Undecided>,
}

struct Undecided {
    others: Arc<dyn ServerConfig>,
    version: u32,
    params: TransportParameters,
    /// What has come of the ClientHello: no more than `MAX_HELLO`, and what came with its last bytes.
    hello: Vec<u8>,
}

impl Session for Routed {
    fn read_handshake(&mut self, buf: &[u8]) -> Result<bool, TransportError> {
        let Some(mut undecided) = self.undecided.take() else { return self.session.read_handshake(buf) };
        undecided.hello.extend_from_slice(buf);
        match offered_protocols(&undecided.hello) {
            Ok(None) => {
                self.undecided = Some(undecided);
                return Ok(false);
            }
            Ok(Some(mut offered)) => {
                if !offered.any(is_ours) {
                    self.session = undecided.others.start_session(undecided.version, &undecided.params);
                }
            }
            // Ours says what is wrong with it.
            Err(BadHello::Malformed) => {}
            Err(BadHello::TooLong) => {
                return Err(TransportError {
                    code: TransportErrorCode::CRYPTO_BUFFER_EXCEEDED,
                    frame: None,
                    reason: "the ClientHello is too long".into(),
                });
            }
        }
        self.session.read_handshake(&undecided.hello)
    }

    fn initial_keys(&self, dst_cid: &ConnectionId, side: Side) -> Keys {
        self.session.initial_keys(dst_cid, side)
    }

    fn handshake_data(&self) -> Option<Box<dyn Any>> {
        self.session.handshake_data()
    }

    fn peer_identity(&self) -> Option<Box<dyn Any>> {
        self.session.peer_identity()
    }

    fn early_crypto(&self) -> Option<(Box<dyn HeaderKey>, Box<dyn PacketKey>)> {
        self.session.early_crypto()
    }

    fn early_data_accepted(&self) -> Option<bool> {
        self.session.early_data_accepted()
    }

    fn is_handshaking(&self) -> bool {
        self.session.is_handshaking()
    }

    fn transport_parameters(&self) -> Result<Option<TransportParameters>, TransportError> {
        self.session.transport_parameters()
    }

    fn write_handshake(&mut self, buf: &mut Vec<u8>) -> Option<Keys> {
        self.session.write_handshake(buf)
    }

    fn next_1rtt_keys(&mut self) -> Option<KeyPair<Box<dyn PacketKey>>> {
        self.session.next_1rtt_keys()
    }

    fn is_valid_retry(&self, orig_dst_cid: &ConnectionId, header: &[u8], payload: &[u8]) -> bool {
        self.session.is_valid_retry(orig_dst_cid, header, payload)
    }

    fn export_keying_material(
        &self,
        output: &mut [u8],
        label: &[u8],
        context: &[u8],
    ) -> Result<(), ExportKeyingMaterialError> {
        self.session.export_keying_material(output, label, context)
    }
}
