//! Liars that are members, over real QUIC: they fail nobody who lives, and keep nobody who is gone.

use std::time::Duration;

use tokio::sync::watch;
use vouchsafe::adversary::Liar;
use vouchsafe::hostile::{HostilePeer, Seen, Target};
use vouchsafe::protocol::MemberSetup;
use vouchsafe::{MemberEvent, MemberEvents, Node, PublicKey, SecretKey, Topic, VerifierPool};

use crate::scene::{NETWORK, soon};

/// An epoch, a lease and half a minute hold whatever liars do; and some time for a slow machine.
const LONGEST: Duration = Duration::from_secs(120);
/// Honest members, one of which ends without a word.
const HONEST: usize = 4;

async fn member(pool: &VerifierPool, way_in: Option<&Node>) -> Node {
    let builder = Node::builder(SecretKey::generate()).network(NETWORK).listen("127.0.0.1:0");
    builder.verifiers(pool.clone()).bootstrap(way_in.and_then(Node::addr)).spawn().await.unwrap()
}

/// Waits until this node shows that member as failed, and gives whom else it has shown so before.
async fn failures(events: &mut MemberEvents, gone: PublicKey) -> Vec<PublicKey> {
    let mut others = Vec::new();
    loop {
        let next = tokio::time::timeout(LONGEST, events.next()).await.expect("a failure did not happen");
        match next.unwrap().unwrap() {
            MemberEvent::Failed(who, _) if who == gone => return others,
            MemberEvent::Failed(who, _) => others.push(who),
            _ => {}
        }
    }
}

async fn lies_to(pool: VerifierPool, liar: Liar) {
    let first = member(&pool, None).await;
    let mut nodes = vec![first];
    for _ in 1..HONEST {
        let node = member(&pool, nodes.first()).await;
        nodes.push(node);
    }
    for node in &nodes {
        soon("all members", node.wait_for_members(HONEST)).await.unwrap();
    }
    let addresses = nodes.iter().filter_map(Node::addr);
    let targets: Vec<_> =
        addresses.map(|addr| Target { key: addr.key, addr: addr.socket().unwrap() }).collect();
    let rules = nodes[0].join(Topic::named("lobby")).await.unwrap().rules().clone();
    let (lies_in, mut lies) = watch::channel(0);
    let peer = HostilePeer::new(liar.clone(), SecretKey::generate(), rules).as_member(MemberSetup::default());
    let lying = tokio::spawn(async move {
        peer.run(&targets, |seen| {
            if let Seen::Lied(times) = seen {
                lies_in.send_replace(times);
            }
        })
        .await;
    });
    for node in &nodes {
        soon("the liar is known", node.wait_for_members(HONEST + 1)).await.unwrap();
    }
    let gone = nodes.pop().unwrap();
    let key = gone.id();
    let mut events: Vec<_> = nodes.iter().map(Node::member_events).collect();
    gone.shutdown_silently().await;
    // Nobody is shown as failed before a lease is over, which is as long as a liar has to fail somebody.
    for (node, events) in nodes.iter().zip(&mut events) {
        assert_eq!(failures(events, key).await, [], "{liar}");
        let shown = node.members().await.unwrap();
        let honest = nodes.iter().map(|node| shown[&node.id()].state);
        assert!(honest.into_iter().all(|state| state.is_here()), "{liar}");
    }
    soon(&format!("a lie of {liar}"), lies.wait_for(|lies| *lies > 0)).await.unwrap();
    lying.abort();
}

#[tokio::test]
async fn liars_among_the_members_fail_nobody_and_keep_nobody() {
    let pool = VerifierPool::new(1);
    let all = [Liar::Mute, Liar::HoldPulses, Liar::Revive, Liar::BogusPulses];
    let all = all.map(|liar| tokio::spawn(lies_to(pool.clone(), liar)));
    for one in all {
        one.await.unwrap();
    }
}
