//! Streams of applications, opened by whoever has a link.

use std::time::Duration;

use vouchsafe::net::BarePeer;
use vouchsafe::{Builder, Node, SecretKey};

use crate::liar::Liar;
use crate::scene::{NETWORK, Scene, soon, until};

const WITHIN: Duration = Duration::from_secs(20);

/// What stands at the beginning of a stream.
fn header(protocol: &str) -> Vec<u8> {
    let network = vouchsafe::NetworkId::of(NETWORK);
    let mut header = network.as_bytes().to_vec();
    header.push(u8::try_from(protocol.len()).unwrap());
    header.extend_from_slice(protocol.as_bytes());
    header
}

/// Answers each stream with what is said on it.
fn echo(node: &Node) {
    let mut acceptor = node.accept("echo/1").unwrap();
    tokio::spawn(async move {
        while let Some(mut stream) = acceptor.next().await {
            tokio::spawn(
                async move { stream.send.finish_with(&stream.recv.read_to_end(1 << 20).await?).await },
            );
        }
    });
}

fn asker(victim: &Node) -> Builder {
    let builder = Node::builder(SecretKey::generate()).network(NETWORK).listen("127.0.0.1:0");
    builder.without_members().bootstrap(victim.addr())
}

/// Opens and ends streams as fast as it can, until it is told to stop.
async fn flood(bare: &BarePeer, said: &[u8]) -> u64 {
    let mut opened = 0;
    let flooded = async {
        loop {
            let (mut send, _recv) = bare.quinn().open_bi().await.unwrap();
            // The receiver may have reset it already.
            let _ = send.write_all(said).await;
            opened += 1;
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(2), flooded).await;
    opened
}

#[tokio::test(flavor = "multi_thread")]
async fn flood_of_streams_holds_up_neither_gossip_nor_the_streams_of_others() {
    let mut scene = Scene::new().await;
    let victim = scene.victim.node.clone();
    echo(&victim);
    let asker = asker(&victim).spawn().await.unwrap();
    soon("a link", asker.wait_for_links(1)).await.unwrap();
    let liar = Liar::greet(&scene.victim.topic).await;
    let accepted = header("echo/1");
    for said in [&b""[..], &accepted[..20], &accepted, &header("other/1")] {
        let asked = async {
            let mut answers = 0;
            for number in 0..20_u8 {
                let answer = asker.ask(victim.id(), "echo/1", &[number], WITHIN).await.unwrap();
                assert_eq!(answer, [number]);
                answers += 1;
            }
            scene.gossips_on().await;
            answers
        };
        let (opened, answers) = tokio::join!(flood(&liar.bare, said), asked);
        assert!(opened > 16, "only {opened} streams of {} bytes", said.len());
        assert_eq!(answers, 20);
    }
    let stats = victim.stats().await.unwrap().streams;
    assert!(stats.no_header > 0 && stats.not_accepted > 0, "{stats:?}");
    // What was left half said is given back.
    until("all streams have ended", &victim, |stats| stats.streams.open == 0).await;
    scene.nobody_is_blamed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_a_liar_keeps_open_take_no_place_of_others() {
    let mut scene = Scene::new().await;
    let victim = scene.victim.node.clone();
    // An application that takes all streams and reads none.
    let mut acceptor = victim.accept("sink/1").unwrap();
    let mut kept = Vec::new();
    let liar = Liar::greet(&scene.victim.topic).await;
    let mut streams = Vec::new();
    let filled = async {
        while let Ok(stream) =
            tokio::time::timeout(Duration::from_millis(500), liar.bare.quinn().open_bi()).await
        {
            let (mut send, recv) = stream.unwrap();
            send.write_all(&header("sink/1")).await.unwrap();
            // As much as the receiver lets it.
            let _ = tokio::time::timeout(Duration::from_millis(200), send.write_all(&[7; 1 << 20])).await;
            streams.push((send, recv));
        }
    };
    let taken = async {
        while let Ok(Some(stream)) = tokio::time::timeout(Duration::from_secs(3), acceptor.next()).await {
            kept.push(stream);
        }
    };
    tokio::join!(filled, taken);
    assert_eq!(kept.len(), 8, "one link has eight streams");
    scene.gossips_on().await;
    // Another is heard all the same.
    echo(&victim);
    let asker = asker(&victim).spawn().await.unwrap();
    soon("a link", asker.wait_for_links(1)).await.unwrap();
    assert_eq!(asker.ask(victim.id(), "echo/1", b"you?", WITHIN).await.unwrap(), b"you?");
    scene.nobody_is_blamed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn link_that_is_convicted_takes_its_streams_along() {
    let scene = Scene::new().await;
    let victim = scene.victim.node.clone();
    echo(&victim);
    let key = SecretKey::generate();
    let member = Node::builder(key.clone()).network(NETWORK).listen("127.0.0.1:0");
    let member = member.without_members().candidates(victim.addr()).spawn().await.unwrap();
    let (_send, mut recv) = soon("a stream", member.open(victim.id(), "echo/1")).await.unwrap();
    assert_eq!(victim.stats().await.unwrap().streams.connections, 1);
    // The same key speaks badly over a link.
    let mut liar = Liar::greet_as(key, &scene.victim.topic).await;
    liar.control(bytes::Bytes::from_static(&[255; 8])).await;
    assert!(soon("the end of the stream", recv.chunk()).await.is_err());
    until("no connection for streams", &victim, |stats| stats.streams.connections == 0).await;
    assert!(member.open(victim.id(), "echo/1").await.is_err());
}
