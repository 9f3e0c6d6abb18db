//! Protocols of the application on the port of an endpoint: "h3" stands for them.

use std::sync::Arc;

use quinn::crypto::rustls::{HandshakeData, QuicClientConfig, QuicServerConfig};
use quinn::crypto::{ClientConfig as _, ServerConfig as _, Session};
use quinn::{ConnectionError, TransportErrorCode};
use quinn_proto::transport_parameters::TransportParameters;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tokio::net::UdpSocket;

use super::*;
use crate::net::closed::code;
use crate::net::others::{Router, WAITING};
use crate::net::transport::STREAMS_ALPN;
use crate::net::{OtherProtocols, OtherProtocolsError};
use crate::wire::ALPN;

const OTHER: &[u8] = b"h3";
const NAME: &str = "other.example";
/// The first version of QUIC.
const VERSION: u32 = 1;
/// Alerts of TLS (RFC 8446 section 6, RFC 7301 section 3.2).
const DECODE_ERROR: u8 = 50;
const NO_APPLICATION_PROTOCOL: u8 = 120;

fn names(protocols: &[&[u8]]) -> Vec<Vec<u8>> {
    protocols.iter().map(|name| name.to_vec()).collect()
}

/// A listener's TLS with a certificate, as servers of the web have it.
fn tls(protocols: &[&[u8]]) -> (rustls::ServerConfig, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).unwrap();
    let (certificate, key) =
        (made.cert.der().clone(), PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let tls = rustls::ServerConfig::builder_with_protocol_versions(&[&rustls::version::TLS13]);
    let mut tls = tls.with_no_client_auth().with_single_cert(vec![certificate.clone()], key.into()).unwrap();
    tls.alpn_protocols = names(protocols);
    (tls, certificate)
}

/// A dialler's TLS that trusts these certificates.
fn client(protocols: &[&[u8]], trusted: &[CertificateDer<'static>]) -> Arc<QuicClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    trusted.iter().for_each(|certificate| roots.add(certificate.clone()).unwrap());
    let tls = rustls::ClientConfig::builder_with_protocol_versions(&[&rustls::version::TLS13]);
    let mut tls = tls.with_root_certificates(roots).with_no_client_auth();
    tls.alpn_protocols = names(protocols);
    Arc::new(QuicClientConfig::try_from(tls).unwrap())
}

fn parameters() -> TransportParameters {
    TransportParameters::read(quinn::Side::Client, &mut &[][..]).unwrap()
}

/// The first bytes of who dials for these protocols.
fn hello(protocols: &[&[u8]]) -> Vec<u8> {
    let mut session = client(protocols, &[]).start_session(VERSION, NAME, &parameters()).unwrap();
    let mut bytes = Vec::new();
    assert!(session.write_handshake(&mut bytes).is_none());
    bytes
}

/// A session of two configurations that differ in nothing but their protocols.
fn routed() -> Box<dyn Session> {
    let config = |protocols: &[&[u8]]| Arc::new(QuicServerConfig::try_from(tls(protocols).0).unwrap());
    Arc::new(Router::new(config(&[ALPN, STREAMS_ALPN]), config(&[OTHER])))
        .start_session(VERSION, &parameters())
}

fn agreed(session: &dyn Session) -> Option<Vec<u8>> {
    session.handshake_data()?.downcast::<HandshakeData>().unwrap().protocol
}

#[test]
fn hello_in_pieces_of_any_size_reaches_whom_it_is_for() {
    // One that needs several packets: names may have 255 bytes.
    let long = [[b'x'; 255]; 30];
    let many: Vec<&[u8]> = long.iter().map(|name| &name[..]).chain([OTHER]).collect();
    let cases: [(&[&[u8]], &[u8]); 5] = [
        (&[ALPN], ALPN),
        (&[STREAMS_ALPN], STREAMS_ALPN),
        (&[OTHER], OTHER),
        (&[b"unknown", OTHER, ALPN], ALPN),
        (&many, OTHER),
    ];
    for (offered, expected) in cases {
        let bytes = hello(offered);
        for size in [1, 7, 1_200, bytes.len()] {
            let mut session = routed();
            let mut pieces = bytes.chunks(size).peekable();
            while let Some(piece) = pieces.next() {
                let ready = session.read_handshake(piece).unwrap();
                assert_eq!(ready, pieces.peek().is_none(), "it is ready with its last piece and not before");
                let mut answer = Vec::new();
                let keys = session.write_handshake(&mut answer);
                assert_eq!((keys.is_some(), answer.is_empty()), (ready, !ready));
                assert_eq!(session.transport_parameters().unwrap().is_some(), ready);
            }
            assert_eq!(agreed(&*session).as_deref(), Some(expected), "in pieces of {size} bytes");
        }
    }
}

#[test]
fn hello_that_is_for_nobody_ends_in_the_error_that_tells_its_sender_why() {
    let refused = |bytes: &[u8]| routed().read_handshake(bytes).unwrap_err().code;
    assert_eq!(refused(&hello(&[b"unknown"])), TransportErrorCode::crypto(NO_APPLICATION_PROTOCOL));
    assert_eq!(refused(&hello(&[])), TransportErrorCode::crypto(NO_APPLICATION_PROTOCOL));
    assert_eq!(refused(&[1, 0, 0, 3, 3, 3, 7]), TransportErrorCode::crypto(DECODE_ERROR));
    // Refused by its length, before any of it has come.
    assert_eq!(refused(&[1, 0, 0x40, 0]), TransportErrorCode::CRYPTO_BUFFER_EXCEEDED);
}

/// An endpoint that serves another protocol, and how to dial that.
fn shared(gate: GateConfig) -> (Endpoint, quinn::Endpoint, quinn::ClientConfig) {
    let (tls, certificate) = tls(&[OTHER]);
    let others = OtherProtocols::new(tls).unwrap();
    let ours = Endpoint::bind_beside(&key(2), ANY, gate, Some(&others)).unwrap();
    let config = quinn::ClientConfig::new(client(&[OTHER], &[certificate]));
    (ours, quinn::Endpoint::client(ANY).unwrap(), config)
}

async fn dial_other(
    (ours, dialler, config): &(Endpoint, quinn::Endpoint, quinn::ClientConfig),
) -> Result<quinn::Connection, ConnectionError> {
    dialler.connect_with(config.clone(), ours.local_addr().unwrap(), NAME).unwrap().await
}

#[tokio::test]
async fn others_that_nobody_takes_are_bounded_and_keep_nobody_out() {
    let shared = shared(GateConfig::default());
    let mut dialled = Vec::new();
    for _ in 0..WAITING + 3 {
        dialled.push(dial_other(&shared).await.unwrap());
    }
    for refused in &dialled[WAITING..] {
        // One that waited for the application would hold a place of the gate for as long as a handshake may take, and end otherwise.
        let why = tokio::time::timeout(WATCHDOG, refused.closed()).await.unwrap();
        let busy = |close: &quinn::ApplicationClose| close.error_code == code::NOT_TAKEN.into();
        assert!(matches!(&why, ConnectionError::ApplicationClosed(close) if busy(close)), "{why}");
    }
    assert_eq!(shared.0.refusals().others_not_taken, 3);
    // No place of the gate is held by those that wait.
    for _ in 0..8 {
        connect(&endpoint(1), &shared.0, key(2).public()).await;
    }
    assert_eq!(shared.0.refusals().half_open, 0);
}

#[tokio::test]
async fn other_that_has_left_before_it_was_asked_for_is_left_out() {
    let mut shared = shared(GateConfig::default());
    dial_other(&shared).await.unwrap().close(7u32.into(), b"");
    shared.1.wait_idle().await;
    shared.1 = quinn::Endpoint::client(ANY).unwrap();
    let _stays = dial_other(&shared).await.unwrap();
    let taken = tokio::time::timeout(WATCHDOG, shared.0.accept_other()).await.unwrap().unwrap();
    assert_eq!(taken.remote_address(), shared.1.local_addr().unwrap());
    shared.0.close().await;
    assert!(shared.0.accept_other().await.is_none());
}

#[tokio::test]
async fn gate_holds_for_other_protocols() {
    let gate = GateConfig {
        limit_local: true,
        burst_per_group: 4,
        per_minute_per_group: 0,
        unproven_rate: 0,
        ..GateConfig::default()
    };
    let shared = shared(gate);
    for _ in 0..4 {
        dial_other(&shared).await.unwrap();
    }
    let refused = dial_other(&shared).await.unwrap_err();
    assert!(
        matches!(&refused, ConnectionError::ConnectionClosed(close) if close.error_code == TransportErrorCode::CONNECTION_REFUSED),
        "{refused}"
    );
    assert_eq!(shared.0.refusals().group_rate, 1);
}

#[tokio::test]
async fn hello_that_stops_in_the_middle_ends_with_its_time() {
    let (target, dialler, _) = shared(GateConfig::default());
    // A path that lets one packet through and then nothing, for a ClientHello that needs several.
    let lossy = UdpSocket::bind(ANY).await.unwrap();
    let long = [[b'x'; 255]; 30];
    let many: Vec<&[u8]> = long.iter().map(|name| &name[..]).collect();
    let config = quinn::ClientConfig::new(client(&many, &[]));
    let dial = dialler.connect_with(config, lossy.local_addr().unwrap(), NAME).unwrap();
    let dial = tokio::spawn(dial);
    let mut packet = [0; 2048];
    let (len, _) = lossy.recv_from(&mut packet).await.unwrap();
    lossy.send_to(&packet[..len], target.local_addr().unwrap()).await.unwrap();
    lossy.readable().await.unwrap();
    // Others get in meanwhile.
    connect(&endpoint(1), &target, key(2).public()).await;
    tokio::time::pause();
    assert!(matches!(target.accept().await, Some(Err(crate::net::AcceptError::TooSlow { .. }))));
    assert_eq!(target.refusals().too_slow, 1);
    dial.abort();
}

/// Sends on as many streams as there may be until nothing more is taken, and gives how much that was.
async fn fill(connection: &quinn::Connection, most: usize) -> usize {
    let limit = std::time::Duration::from_secs(5);
    let (mut streams, mut sent) = (Vec::new(), 0);
    while let Ok(stream) = tokio::time::timeout(limit, connection.open_uni()).await {
        let mut stream = stream.unwrap();
        while let Ok(written) = tokio::time::timeout(limit, stream.write(&[0; 10_000])).await {
            sent += written.unwrap();
            assert!(sent <= most, "{sent} bytes");
        }
        streams.push(stream);
    }
    assert!(tokio::time::timeout(limit, connection.open_bi()).await.is_err(), "a stream both ways");
    assert!(connection.max_datagram_size().is_none(), "datagrams");
    sent
}

#[tokio::test]
async fn limits_are_ours_whatever_transport_the_app_has_configured() {
    let ((tls, certificate), (theirs, _)) = (tls(&[OTHER]), tls(&[OTHER]));
    let mut generous = quinn::TransportConfig::default();
    generous
        .max_concurrent_uni_streams(1_000u32.into())
        .stream_receive_window(10_000_000u32.into())
        .datagram_receive_buffer_size(Some(1 << 20));
    let crypto = Arc::new(QuicServerConfig::try_from(theirs).unwrap());
    let mut config = quinn::ServerConfig::with_crypto(crypto);
    config.transport_config(Arc::new(generous));
    let socket = quinn::Endpoint::server(config, ANY).unwrap();
    let others = OtherProtocols::new(tls).unwrap();
    let ours = Endpoint::from_quinn_beside(socket, &key(2), GateConfig::default(), Some(&others)).unwrap();
    let a = endpoint(1);
    let (dialled, _unread) = connect(&a, &ours, key(2).public()).await;
    let config = quinn::ClientConfig::new(client(&[OTHER], &[certificate]));
    let shared = (ours, quinn::Endpoint::client(ANY).unwrap(), config);
    let other = dial_other(&shared).await.unwrap();
    let taken = tokio::time::timeout(WATCHDOG, shared.0.accept_other()).await.unwrap().unwrap();
    tokio::time::pause();
    let most = Lane::COUNT * 256 * 1024;
    let gossip = raw(dialled);
    assert_eq!(fill(&gossip, most).await, most);
    assert_eq!(fill(&other, most).await, most);
    // What the app raises for its own connection it has raised for no other.
    taken.set_max_concurrent_bi_streams(3u32.into());
    tokio::time::resume();
    tokio::time::timeout(WATCHDOG, other.open_bi()).await.expect("a stream").unwrap();
    tokio::time::pause();
    let more = tokio::time::timeout(std::time::Duration::from_secs(5), gossip.open_bi()).await;
    assert!(more.is_err());
}

#[tokio::test]
async fn endpoint_that_was_closed_leaves_the_app_its_configuration() {
    let socket = quinn::Endpoint::client(ANY).unwrap();
    let ours = Endpoint::from_quinn(socket.clone(), &key(2), GateConfig::default()).unwrap();
    ours.close().await;
    let (tls, certificate) = tls(&[OTHER]);
    let crypto = Arc::new(QuicServerConfig::try_from(tls).unwrap());
    socket.set_server_config(Some(quinn::ServerConfig::with_crypto(crypto)));
    drop(ours);
    let (dialler, config) =
        (quinn::Endpoint::client(ANY).unwrap(), quinn::ClientConfig::new(client(&[OTHER], &[certificate])));
    let dial = dialler.connect_with(config, socket.local_addr().unwrap(), NAME).unwrap();
    let both = async { tokio::join!(dial, async { socket.accept().await.unwrap().await }) };
    let (dialled, accepted) = tokio::time::timeout(WATCHDOG, both).await.expect("an attempt");
    assert!(dialled.is_ok() && accepted.is_ok());
}

#[test]
fn tls_that_cant_be_used_is_refused_with_what_to_do() {
    let refused = |protocols: &[&[u8]]| OtherProtocols::new(tls(protocols).0).unwrap_err();
    assert_eq!(refused(&[]), OtherProtocolsError::NoneNamed);
    for ours in [ALPN, STREAMS_ALPN, b"vouchsafe/9"] {
        let name = String::from_utf8_lossy(ours).into_owned();
        assert_eq!(refused(&[OTHER, ours]), OtherProtocolsError::Reserved(name));
    }
    // Without the one suite that QUIC begins with.
    let mut provider = rustls::crypto::ring::default_provider();
    provider.cipher_suites.retain(|suite| suite.suite() != rustls::CipherSuite::TLS13_AES_128_GCM_SHA256);
    let tls = rustls::ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap();
    let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let mut tls =
        tls.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key.into()).unwrap();
    tls.alpn_protocols = names(&[OTHER]);
    assert!(matches!(OtherProtocols::new(tls), Err(OtherProtocolsError::Tls(_))));
}

/// Early data is off, whatever the application says: a session would offer it in its tickets.
#[test]
fn other_protocols_have_no_early_data() {
    let (mut tls, _) = tls(&[OTHER]);
    // Neither 0 nor all: rustls refuses it for QUIC, so only where it is set to 0 this works.
    tls.max_early_data_size = 1;
    assert!(OtherProtocols::new(tls).is_ok());
}
