//! A node and another QUIC protocol of the application on one UDP port, over real sockets. The example `shared_socket` is the application.

#[path = "../examples/shared_socket.rs"]
#[allow(dead_code, reason = "its `main` is of the example")]
mod shared_socket;

use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::QuicServerConfig;
use quinn::{ConnectionError, TransportErrorCode};
use shared_socket::{GREET, Outcome, Site, run};
use vouchsafe::{BindError, Node, OtherProtocolsError, SecretKey, SpawnError, Topic};

/// Nothing here takes that long; whoever waits longer waits for something that will not come.
const WATCHDOG: Duration = Duration::from_secs(60);
/// The alert of TLS for it (RFC 7301 section 3.2).
const NO_APPLICATION_PROTOCOL: u8 = 120;

async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(WATCHDOG, future).await.unwrap_or_else(|_| panic!("no {what} in a minute"))
}

fn why(outcome: Outcome<quinn::Connection>) -> ConnectionError {
    *outcome.unwrap_err().downcast::<ConnectionError>().unwrap()
}

#[tokio::test]
async fn example_gossips_and_greets_over_one_port() {
    let said = soon("end of the example", run()).await.unwrap();
    assert_eq!(said, ["hello to all", "you said: hello to you"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_protocols_work_both_ways_and_at_once() {
    let here = Site::start(None).await.unwrap();
    let there = Site::start(here.node.addr()).await.unwrap();
    let sites = [&here, &there];
    let mut lobbies = Vec::new();
    for site in sites {
        lobbies.push(site.node.join(Topic::named("lobby")).await.unwrap());
    }
    let mut subscriptions: Vec<_> = lobbies.iter().map(|lobby| lobby.subscribe().without_own()).collect();
    soon("link", lobbies[0].wait_for_links(1)).await.unwrap();
    soon("link", lobbies[1].wait_for_links(1)).await.unwrap();
    let gossip = async {
        for number in 0..50 {
            for lobby in &lobbies {
                lobby.publish(format!("rumor {number}")).await.unwrap();
            }
        }
        for subscription in &mut subscriptions {
            for _ in 0..50 {
                soon("rumor", subscription.next()).await.unwrap().unwrap();
            }
        }
    };
    let greetings = async {
        for number in 0..50 {
            for (from, to) in [(&here, &there), (&there, &here)] {
                let answer = soon("answer", from.greet(to, &format!("greeting {number}"))).await.unwrap();
                assert_eq!(answer, format!("you said: greeting {number}"));
            }
        }
    };
    tokio::join!(gossip, greetings);
    for site in sites {
        let stats = site.node.stats().await.unwrap();
        assert_eq!((stats.links.len(), stats.refusals.others_not_taken), (1, 0));
        assert!(stats.counters.offences == 0, "{:?}", stats.counters);
    }
}

#[tokio::test]
async fn dialler_for_a_protocol_that_nobody_speaks_is_refused_and_told() {
    let (here, there) = (Site::start(None).await.unwrap(), Site::start(None).await.unwrap());
    for unknown in [&b"h3"[..], b"vouchsafe/1"] {
        let why = why(soon("answer", there.dial(&here, unknown)).await);
        let told = TransportErrorCode::crypto(NO_APPLICATION_PROTOCOL);
        assert!(
            matches!(&why, ConnectionError::ConnectionClosed(close) if close.error_code == told),
            "{unknown:?}: {why}"
        );
    }
    // A certificate opens no way into the gossip: there a node key is wanted.
    assert!(soon("answer", there.dial(&here, b"vouchsafe/2")).await.is_err());
    assert_eq!(here.node.stats().await.unwrap().links.len(), 0);
    assert!(soon("answer", there.greet(&here, "still here")).await.is_ok());
}

#[tokio::test]
async fn connections_of_others_outlive_the_node_and_the_port_is_the_applications() {
    let (here, there) = (Site::start(None).await.unwrap(), Site::start(None).await.unwrap());
    let connection = soon("connection", there.dial(&here, GREET)).await.unwrap();
    // Accepted, and served.
    soon("stream", connection.open_bi()).await.unwrap();
    soon("end", here.node.shutdown()).await;
    assert!(soon("answer", here.node.accept_other()).await.is_none());
    assert!(connection.close_reason().is_none());
    let (mut send, mut recv) = soon("stream", connection.open_bi()).await.unwrap();
    send.write_all(b"are you there").await.unwrap();
    send.finish().unwrap();
    let answer = soon("answer", recv.read_to_end(1024)).await.unwrap();
    assert_eq!(answer, b"you said: are you there");
    // From now on the application lets in whom it likes, by itself.
    let (tls, certificate) = shared_socket::tls().unwrap();
    let crypto = Arc::new(QuicServerConfig::try_from(tls).unwrap());
    here.endpoint.set_server_config(Some(quinn::ServerConfig::with_crypto(crypto)));
    let here = Site { certificate, ..here };
    let accepted = async { soon("attempt", here.endpoint.accept()).await.unwrap().await };
    let (dialled, accepted) = tokio::join!(soon("connection", there.dial(&here, GREET)), accepted);
    assert!(dialled.is_ok() && accepted.is_ok());
}

#[tokio::test]
async fn tls_without_protocols_is_refused_at_spawn() {
    let (mut tls, _) = shared_socket::tls().unwrap();
    tls.alpn_protocols.clear();
    let builder = Node::builder(SecretKey::generate()).listen("127.0.0.1:0");
    let error = builder.other_protocols(tls).spawn().await.unwrap_err();
    assert!(matches!(&error, SpawnError::Bind(BindError::Others(OtherProtocolsError::NoneNamed))), "{error}");
    assert!(error.to_string().contains("alpn_protocols"), "{error}");
}
