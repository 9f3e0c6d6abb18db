//! Every registered adversary over real QUIC.

use bytes::Bytes;
use tokio::sync::watch;
use vouchsafe::adversary::Liar;
use vouchsafe::hostile::{HostilePeer, Seen, Target};
use vouchsafe::{Node, SecretKey, Topic};

use crate::scene::{Member, Scene, builder, soon};

/// So that each acts in a second or so, which waits for seconds or a minute in simulations.
const HASTE: u32 = 16;
/// Adversaries that lie where a topic is kept, which this one is not, or of members, of which the hostile peer is none here
/// (`liars_among_the_members_fail_nobody_and_keep_nobody`).
const WANT_MORE: [Liar; 11] = [
    Liar::Echo,
    Liar::Gappy,
    Liar::Invent,
    Liar::Split,
    Liar::Trickle,
    Liar::Withhold,
    Liar::Laggard,
    Liar::Floor,
    Liar::Mute,
    Liar::HoldPulses,
    Liar::Revive,
];

fn target(node: &Node) -> Target {
    let peer = node.addr().unwrap();
    Target { key: peer.key, addr: peer.socket().unwrap() }
}

/// Lets one of them lie until it has, while everybody hears everybody.
async fn lies_among_the_honest(scene: &mut Scene, lone: &Member, liar: &Liar) {
    let (lies_in, mut lies) = watch::channel(0);
    let honest = [&scene.victim, &scene.pair[0], &scene.pair[1], lone];
    let targets = honest.map(|member| target(&member.node));
    let rules = scene.victim.topic.rules().clone();
    let peer = HostilePeer::new(liar.clone(), SecretKey::generate(), rules).hurried(HASTE);
    let running = tokio::spawn(async move {
        peer.run(&targets, |seen| {
            if let Seen::Lied(times) = seen {
                lies_in.send_replace(times);
            }
        })
        .await;
    });
    let talk = async {
        let mut said = 0u32;
        while !WANT_MORE.contains(liar) && *lies.borrow_and_update() == 0 {
            scene.gossips_on().await;
            // What only the hostile peer can pass on: large, so that it is announced and pulled.
            said += 1;
            // (Nothing is promised to it: it may have no link by now, or be told a wrong time, and wait.)
            let (topic, body) = (lone.topic.clone(), Bytes::from(said.to_le_bytes().repeat(5_000)));
            tokio::spawn(async move { topic.publish(body).await });
        }
    };
    soon(&format!("a lie of {liar}"), talk).await;
    // And once more, beside what it does then.
    scene.gossips_on().await;
    running.abort();
}

#[tokio::test]
async fn every_adversary_leaves_the_honest_their_gossip() {
    let topic = Topic::named("lobby").max_body(32 * 1024);
    for liar in Liar::ALL {
        let mut scene = Scene::with(&topic, |victim| victim).await;
        // A node that nobody but the hostile peer is linked with.
        let lone = builder(&scene.pool, &[]).spawn().await.unwrap();
        let lone = Member::join(lone, &topic).await;
        lies_among_the_honest(&mut scene, &lone, liar).await;
    }
}
