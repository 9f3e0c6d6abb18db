//! A liar among the peers of an agent: it is found out, told of, and its proof convinces anybody.

use std::net::SocketAddr;

use bytes::Bytes;
use vouchsafe::net::BarePeer;
use vouchsafe::rumor::seal;
use vouchsafe::wire::{self, Hello, Lane};
use vouchsafe::{NetworkId, Position, SecretKey, TopicId};
use vouchsafe_testkit::command::{code, stdout};

use crate::world::{Agent, Place, TOPICS, run};

fn topic(agent: &Agent, name: &str) -> TopicId {
    let topics = agent.get("/v1/topics");
    let found = topics["topics"].as_array().unwrap().iter().find(|topic| topic["name"] == name).unwrap();
    found["id"].as_str().unwrap().parse().unwrap()
}

fn unix_ms() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64
}

/// A peer that says hello in a topic.
async fn greet(agent: &Agent, topic: TopicId) -> BarePeer {
    let address = agent.address();
    let (key, addr) = address.split_once('@').unwrap();
    let addr: SocketAddr = addr.parse().unwrap();
    let mut peer = BarePeer::connect(&SecretKey::generate(), key.parse().unwrap(), addr).await.unwrap();
    for lane in Lane::ALL {
        peer.open_lane(lane).await.unwrap();
    }
    let hello = Hello {
        network: *NetworkId::of("net").as_bytes(),
        clock_ms: unix_ms(),
        topics: vec![*topic.as_bytes()],
        ..Hello::default()
    };
    peer.send_frame(Lane::Control, &wire::hello(&hello)).await.unwrap();
    peer
}

async fn push(peer: &mut BarePeer, bundle: &[u8]) {
    // It may be cut off at any moment.
    let _ = peer.send_frame(Lane::Rumors, &[&[2, 4], bundle].concat()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_says_two_things_is_told_of_with_a_proof_that_anybody_can_check() {
    let place = Place::new(TOPICS);
    let agent = place.start(&[]);
    let topic = topic(&agent, "chat");
    let mut events = agent.events("/v1/events", "");
    let author = SecretKey::generate();
    let at = Position { tick: unix_ms() / 1000, slot: 0 };
    let mut peer = greet(&agent, topic).await;
    for body in ["yes", "no"] {
        let bundle = seal(&author, topic, at, &[Bytes::from(body)]).unwrap();
        push(&mut peer, bundle.encoded()).await;
    }
    let told = events.wait_for("convicted");
    assert_eq!(told["detail"]["author"], author.public().to_string());
    let evidence = agent.get("/v1/evidence");
    assert_eq!(evidence["convictions"][0]["author"], author.public().to_string());
    let proof = evidence["convictions"][0]["evidence"].as_str().unwrap();
    assert_eq!(told["detail"]["evidence"], proof);
    // Without a network, by another program.
    let file = place.folder.path().join("proof");
    std::fs::write(&file, proof).unwrap();
    let judged = run(&["inspect", file.to_str().unwrap()]);
    assert_eq!(code(&judged), 0, "{}", stdout(&judged));
    assert!(stdout(&agent.command(&["evidence"])).contains(proof));
    // A peer whose bytes no correct node sends.
    let mut forger = greet(&agent, topic).await;
    let mut bundle = seal(&SecretKey::generate(), topic, at, &[Bytes::from("x")]).unwrap().encoded().to_vec();
    let header = vouchsafe::rumor::HEADER_LEN;
    bundle[header] ^= 1;
    push(&mut forger, &bundle).await;
    let offence = events.wait_for("offence");
    assert!(offence["text"].as_str().unwrap().contains("banned"), "{offence}");
    assert_eq!(agent.get("/v1/evidence")["offences"].as_array().unwrap().len(), 1);
}
