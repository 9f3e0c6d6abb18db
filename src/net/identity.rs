//! Who is at the other end: TLS 1.3 with raw public keys (RFC 7250), both ways.
//!
//! The node key *is* the identity. There is no X.509, no authority and no name: each side shows one Ed25519 key and signs
//! the handshake with it. A dialler expects one key and fails on any other; a listener learns the dialler's key.
//!
//! A dialler's handshake can succeed before the listener has checked the dialler's key, so a dialler may trust the link
//! only after the listener's first byte. Nothing is resumed and there is no early data: every connection proves its key.

use std::sync::{Arc, Mutex, PoisonError};

use ed25519_dalek::{Signer as _, VerifyingKey};
use quinn::crypto::rustls::{HandshakeData, QuicClientConfig, QuicServerConfig};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage};
use rustls::sign::{CertifiedKey, Signer, SigningKey};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible, SignatureAlgorithm,
    SignatureScheme,
};

use super::limits;
use super::others::OtherProtocols;
use super::transport::Purpose;
use crate::key::{PublicKey, SecretKey};

/// TLS wants a name; ours is never sent (SNI is off) and never checked (the key is). RFC 6761 keeps it from meaning any host.
pub(crate) const SERVER_NAME: &str = "vouchsafe.invalid";

/// SubjectPublicKeyInfo of an Ed25519 key (RFC 8410 section 4) up to the 32 bytes of the key.
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// A node's key as TLS needs it.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    key: PublicKey,
    certified: Arc<CertifiedKey>,
    provider: Arc<CryptoProvider>,
}

impl Identity {
    /// The identity of a key. The cryptography is passed in here, never taken from the process-wide default that
    /// another library may have set.
    pub(crate) fn new(key: &SecretKey) -> Self {
        let spki = encode_spki(&key.public());
        let signer = Arc::new(NodeSigner(key.clone()));
        Self {
            key: key.public(),
            certified: Arc::new(CertifiedKey::new(vec![CertificateDer::from(spki)], signer)),
            provider: Arc::new(rustls::crypto::ring::default_provider()),
        }
    }

    /// The key that it proves.
    pub(crate) const fn key(&self) -> PublicKey {
        self.key
    }

    /// The configuration of a listener: it asks every dialler for a key and accepts any well-formed one. Who offers none of our protocols
    /// is answered by `others`, if there are any. The limits of the transport hold for all.
    pub(crate) fn server_config(
        &self,
        others: Option<&OtherProtocols>,
    ) -> Result<quinn::ServerConfig, TlsSetupError> {
        let mut tls = rustls::ServerConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(TlsSetupError::of)?
            .with_client_cert_verifier(Arc::new(AnyKey(self.algorithms())))
            .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(self.certified.clone())));
        tls.alpn_protocols = Purpose::ALL.map(|purpose| purpose.protocol().to_vec()).into();
        tls.send_tls13_tickets = 0;
        tls.session_storage = Arc::new(NoServerSessionStorage {});
        tls.max_early_data_size = 0;
        let ours = Arc::new(QuicServerConfig::try_from(tls).map_err(TlsSetupError::of)?);
        let mut config = match others {
            Some(others) => quinn::ServerConfig::with_crypto(Arc::new(others.beside(ours))),
            None => quinn::ServerConfig::with_crypto(ours),
        };
        limits::limit_server(&mut config);
        Ok(config)
    }

    /// The configuration of one dial, which succeeds with `expected` only, and the place where the key that answered
    /// can be read afterwards. It speaks `protocol`.
    pub(crate) fn client_config(
        &self,
        expected: PublicKey,
        protocol: &[u8],
    ) -> Result<(quinn::ClientConfig, Arc<AnsweredKey>), TlsSetupError> {
        let answered = Arc::new(AnsweredKey::default());
        let verifier = OneKey { expected, answered: answered.clone(), algorithms: self.algorithms() };
        let mut tls = rustls::ClientConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(TlsSetupError::of)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(
                self.certified.clone(),
            )));
        tls.alpn_protocols = vec![protocol.to_vec()];
        tls.resumption = Resumption::disabled();
        tls.enable_sni = false;
        let crypto = QuicClientConfig::try_from(tls).map_err(TlsSetupError::of)?;
        let mut config = quinn::ClientConfig::new(Arc::new(crypto));
        config.transport_config(limits::transport_config());
        config.token_store(Arc::new(quinn::NoneTokenStore));
        Ok((config, answered))
    }

    fn algorithms(&self) -> WebPkiSupportedAlgorithms {
        self.provider.signature_verification_algorithms
    }
}

/// The key the other end of an established connection has proven to hold; `None` if the connection is not one of ours.
pub(crate) fn peer_key(connection: &quinn::Connection) -> Option<PublicKey> {
    let identity = connection.peer_identity()?;
    let chain = identity.downcast_ref::<Vec<CertificateDer<'static>>>()?;
    match chain.as_slice() {
        [only] => decode_spki(only),
        _ => None,
    }
}

/// The protocol on which the handshake of an established connection has agreed.
pub(crate) fn protocol_of(connection: &quinn::Connection) -> Option<Vec<u8>> {
    connection.handshake_data()?.downcast::<HandshakeData>().ok()?.protocol
}

/// TLS could not be set up: a fault of the build, not of a peer. It prints what TLS said.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("TLS can't be set up: {0}; build rustls with its `ring` provider")]
pub struct TlsSetupError(String);

impl TlsSetupError {
    /// The types of rustls and quinn end here: a new major version of theirs is not one of ours.
    fn of(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

/// The key that answered a dial, expected or not.
#[derive(Debug, Default)]
pub(crate) struct AnsweredKey(Mutex<Option<PublicKey>>);

impl AnsweredKey {
    /// The key, once the other end has shown one.
    pub(crate) fn get(&self) -> Option<PublicKey> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, key: PublicKey) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(key);
    }
}

fn encode_spki(key: &PublicKey) -> Vec<u8> {
    [SPKI_PREFIX.as_slice(), key.as_bytes()].concat()
}

/// The one encoding of an Ed25519 key there is: fixed 12 bytes, then the key.
fn decode_spki(spki: &[u8]) -> Option<PublicKey> {
    let key: &[u8; 32] = spki.strip_prefix(SPKI_PREFIX.as_slice())?.try_into().ok()?;
    Some(PublicKey::from_bytes(*key)).filter(names_one)
}

/// Whether a key names one holder, whoever proves it. One of small order accepts one signature for almost anything, so everybody "holds" it:
/// it names nobody. One with a second encoding would let one holder be two nodes.
pub(crate) fn names_one(key: &PublicKey) -> bool {
    VerifyingKey::from_bytes(key.as_bytes()).is_ok_and(|point| {
        let canonical = point.to_edwards().compress().to_bytes() == *key.as_bytes();
        canonical && !point.is_weak()
    })
}

/// Reads the one key of a handshake, or says what rustls should tell the peer.
fn only_key(end: &CertificateDer<'_>, rest: &[CertificateDer<'_>]) -> Result<PublicKey, Error> {
    match (rest, decode_spki(end)) {
        ([], Some(key)) => Ok(key),
        _ => Err(CertificateError::BadEncoding.into()),
    }
}

fn verify(
    message: &[u8],
    key: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    if signature.scheme != SignatureScheme::ED25519 {
        return Err(CertificateError::BadSignature.into());
    }
    verify_tls13_signature_with_raw_key(
        message,
        &SubjectPublicKeyInfoDer::from(key.as_ref()),
        signature,
        algorithms,
    )
}

fn only_tls13() -> Result<HandshakeSignatureValid, Error> {
    Err(PeerIncompatible::Tls13RequiredForQuic.into())
}

/// A dialler's check: one key, known beforehand.
#[derive(Debug)]
struct OneKey {
    expected: PublicKey,
    answered: Arc<AnsweredKey>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for OneKey {
    fn verify_server_cert(
        &self,
        end: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let key = only_key(end, rest)?;
        self.answered.set(key);
        if key != self.expected {
            return Err(CertificateError::ApplicationVerificationFailure.into());
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        only_tls13()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify(message, key, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

/// A listener's check: any key that is one. Who may stay is decided later, by key and group.
#[derive(Debug)]
struct AnyKey(WebPkiSupportedAlgorithms);

impl ClientCertVerifier for AnyKey {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        only_key(end, rest).map(|_| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        only_tls13()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify(message, key, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

/// Signs handshakes with the node key itself, so that no second copy of the secret lives in a library that doesn't wipe
/// it. TLS 1.3 puts 64 spaces and a fixed text before what is signed (RFC 8446 section 4.4.3), which no rumor begins with.
#[derive(Clone, Debug)]
struct NodeSigner(SecretKey);

impl SigningKey for NodeSigner {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered.contains(&SignatureScheme::ED25519).then(|| Box::new(self.clone()) as Box<dyn Signer>)
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(SubjectPublicKeyInfoDer::from(encode_spki(&self.0.public())))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ED25519
    }
}

impl Signer for NodeSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(self.0.signing().sign(message).to_bytes().to_vec())
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ALPN;

    #[test]
    fn only_the_one_encoding_of_a_usable_key_is_a_key() {
        let key = SecretKey::from_seed(&[3; 32]).public();
        let good = encode_spki(&key);
        assert_eq!(decode_spki(&good), Some(key));
        assert_eq!(decode_spki(&good[..43]), None, "too short");
        assert_eq!(decode_spki(&[good.as_slice(), &[0]].concat()), None, "too long");
        for at in 0..SPKI_PREFIX.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert_eq!(decode_spki(&bad), None, "prefix byte {at}");
        }
    }

    #[test]
    fn a_key_that_everybody_holds_is_nobody() {
        let mut identity = [0; 32];
        identity[0] = 1;
        assert_eq!(decode_spki(&encode_spki(&PublicKey::from_bytes(identity))), None);
        // The point (0, 1) again, written as y = p + 1.
        let mut second = [0xff; 32];
        (second[0], second[31]) = (0xee, 0x7f);
        assert_eq!(decode_spki(&encode_spki(&PublicKey::from_bytes(second))), None);
    }

    #[test]
    fn two_keys_are_not_one() {
        let key = SecretKey::from_seed(&[3; 32]).public();
        let cert = CertificateDer::from(encode_spki(&key));
        assert!(only_key(&cert, &[]).is_ok());
        assert!(only_key(&cert, std::slice::from_ref(&cert)).is_err());
    }

    /// Dials with a configuration that any test may bend, and returns what the listener makes of it.
    async fn listener_sees(tls: rustls::ClientConfig) -> Result<(), quinn::ConnectionError> {
        let any = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        let config = Identity::new(&SecretKey::from_seed(&[1; 32])).server_config(None).unwrap();
        let listener = quinn::Endpoint::server(config, any).unwrap();
        let dialler = quinn::Endpoint::client(any).unwrap();
        let crypto = Arc::new(QuicClientConfig::try_from(tls).unwrap());
        let config = quinn::ClientConfig::new(crypto);
        let dial = dialler.connect_with(config, listener.local_addr().unwrap(), SERVER_NAME).unwrap();
        let (_dialled, accepted) = tokio::join!(dial, async { listener.accept().await.unwrap().await });
        accepted.map(drop)
    }

    fn client(
        identity: &Identity,
    ) -> rustls::ConfigBuilder<rustls::ClientConfig, rustls::client::WantsClientCert> {
        let expected = SecretKey::from_seed(&[1; 32]).public();
        let answered = Arc::new(AnsweredKey::default());
        let verifier = OneKey { expected, answered, algorithms: identity.algorithms() };
        rustls::ClientConfig::builder_with_provider(identity.provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
    }

    fn alpn(mut tls: rustls::ClientConfig, protocol: &[u8]) -> rustls::ClientConfig {
        tls.alpn_protocols = vec![protocol.to_vec()];
        tls
    }

    #[tokio::test]
    async fn no_key_a_borrowed_key_or_another_protocol_does_not_get_in() {
        let identity = Identity::new(&SecretKey::from_seed(&[2; 32]));
        let with_key = |identity: &Identity| {
            let resolver = AlwaysResolvesClientRawPublicKeys::new(identity.certified.clone());
            client(identity).with_client_cert_resolver(Arc::new(resolver))
        };
        assert!(listener_sees(alpn(with_key(&identity), ALPN)).await.is_ok());
        assert!(listener_sees(alpn(with_key(&identity), b"vouchsafe/1")).await.is_err());
        assert!(listener_sees(alpn(client(&identity).with_no_client_auth(), ALPN)).await.is_err());
        // Shows the key of another node and signs with its own.
        let other = encode_spki(&SecretKey::from_seed(&[3; 32]).public());
        let borrowed = Identity {
            certified: Arc::new(CertifiedKey::new(
                vec![CertificateDer::from(other)],
                identity.certified.key.clone(),
            )),
            ..identity.clone()
        };
        assert!(listener_sees(alpn(with_key(&borrowed), ALPN)).await.is_err());
    }
}
