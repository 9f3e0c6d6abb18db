//! Those who do not read, and applications that do not answer.

use std::time::{Duration, Instant};

use bytes::Bytes;
use vouchsafe::rumor::seal;
use vouchsafe::wire::{self, Frame, Lane};
use vouchsafe::{Gap, Position, Reason, Topic, Validation, VerifierPool};

use crate::liar::{Liar, pushed, tick_ago};
use crate::scene::{Member, Scene, builder, soon, until};

/// In real time, since the clock of a stalled link is what it is about: some 22 s.
#[tokio::test]
async fn stalled_reader_never_wedges_the_node() {
    let topic = Topic::named("busy").slots_per_tick(4096);
    let mut scene = Scene::with(&topic, |victim| victim).await;
    let topic = scene.victim.topic.clone();
    // One reads nothing at all. The others read what is on the control lane and ask for more, so that something always
    // moves. They are several times the honest ones, and all of them have dialled the victim.
    let deaf = Liar::greet(&topic).await;
    deaf.bare.stop_reading();
    let mut half_deaf = Vec::new();
    for _ in 0..8 {
        let liar = Liar::greet(&topic).await;
        liar.bare.stop_reading_lane(Lane::Rumors);
        liar.bare.stop_reading_lane(Lane::Replies);
        half_deaf.push(liar);
    }
    let started = Instant::now();
    let mut closed = tokio::task::JoinSet::new();
    closed.spawn(async move { (deaf.closed_for().await, started.elapsed()) });
    for liar in half_deaf {
        let id = topic.id();
        closed.spawn(async move { (liar.closed_chatting(id).await, started.elapsed()) });
    }
    // Until all nine are closed, as fast as the honest hear it: more than enough to fill every queue.
    let mut said = 0;
    while !closed.is_empty() {
        let body = Bytes::from(format!("{said:08}").repeat(1000));
        soon("publishing", topic.publish(body.clone())).await.unwrap();
        scene.hear(&body).await;
        said += 1;
        while let Some(end) = closed.try_join_next() {
            let (reason, after) = end.unwrap();
            assert_eq!(reason, Reason::Stalled);
            assert!(after.as_secs() >= 19, "closed after {after:?}");
        }
        // A busy machine may take longer than the links have, but not as long as that.
        assert!(started.elapsed() < Duration::from_secs(120), "the stalled links are still open");
    }
    let only_honest =
        |stats: &vouchsafe::NodeStats| stats.links.len() == 2 && stats.counters.links_stalled == 9;
    until("the end of nine links", &scene.victim.node, only_honest).await;
    scene.nobody_is_blamed().await;
    scene.gossips_on().await;
}

#[tokio::test]
async fn stalled_app_does_not_stop_gossip() {
    let topic = Topic::named("lobby");
    let pool = VerifierPool::new(1);
    let mut scene = Scene::new().await;
    let peers = [scene.victim.node.addr().unwrap(), scene.pair[0].node.addr().unwrap()];
    // One application's validator never answers, another's subscriber never reads.
    let dull = builder(&pool, &peers).spawn().await.unwrap();
    let dull_topic = dull.join_with(topic.clone(), |_| std::future::pending::<Validation>()).await.unwrap();
    let lazy = builder(&pool, &peers).subscription_capacity(4).spawn().await.unwrap();
    let lazy_topic = lazy.join(topic.clone()).await.unwrap();
    let mut unread = lazy_topic.subscribe();
    for handle in [&dull_topic, &lazy_topic] {
        soon("two links", handle.wait_for_links(2)).await.unwrap();
    }
    soon("four links", scene.victim.topic.wait_for_links(4)).await.unwrap();
    for n in 0..20 {
        let body = Bytes::from(format!("{n}"));
        scene.victim.topic.publish(body.clone()).await.unwrap();
        scene.pair[0].hear(&body).await;
        scene.pair[1].hear(&body).await;
    }
    // Whose validator is silent ignores what it was asked about, and can speak and answer for itself all the same.
    let timed_out = |stats: &vouchsafe::NodeStats| stats.counters.validator_timed_out >= 20;
    let stats = until("twenty time-outs", &dull, timed_out).await;
    assert_eq!((stats.counters.accepted, stats.counters.delivered), (0, 0));
    dull_topic.publish("dull but not dumb").await.unwrap();
    scene.pair[1].hear(&"dull but not dumb".into()).await;
    // Whose subscriber is slow relays all of it, and tells the subscriber how much it missed.
    let relayed = |stats: &vouchsafe::NodeStats| stats.counters.accepted >= 21;
    until("all rumors", &lazy, relayed).await;
    assert_eq!(unread.next().await, Some(Err(Gap::Lagged(17))));
    scene.nobody_is_blamed().await;
    scene.gossips_on().await;
    // A node behind the lazy one alone gets what is said next.
    let behind = builder(&pool, &[lazy.addr().unwrap()]).spawn().await.unwrap();
    let mut behind = Member::join(behind, &topic).await;
    soon("a link", behind.topic.wait_for_links(1)).await.unwrap();
    scene.victim.topic.publish("through the lazy one").await.unwrap();
    behind.hear(&"through the lazy one".into()).await;
}

#[tokio::test]
async fn stalled_body_moves_to_another_source() {
    let mut scene = Scene::new().await;
    let mut tries = 1..=3;
    while !moves_while_it_stalls(&mut scene, tries.next().expect("it moves before the end of the first"))
        .await
    {}
    scene.nobody_is_blamed().await;
    scene.gossips_on().await;
}

/// False if the one that stalls was out of time when the other was asked: then it says nothing.
async fn moves_while_it_stalls(scene: &mut Scene, attempt: u8) -> bool {
    let topic = scene.victim.topic.clone();
    let large = Bytes::from(vec![attempt; 15_000]);
    // One announces a body, begins to serve it when it is asked, and stops half-way.
    let mut stalling = Liar::greet(&topic).await;
    let at = Position { tick: tick_ago(&topic, 0), slot: 0 };
    let word = seal(&stalling.key, topic.id(), at, std::slice::from_ref(&large)).unwrap();
    let announcement = wire::announce(&topic.id(), &[(word.id(), 14)]);
    stalling.control(announcement.clone()).await;
    stalling.expect(|frame| matches!(frame, Frame::Pull(_)).then_some(())).await;
    let reply = pushed(0, word.encoded());
    let framed = [&(reply.len() as u32).to_le_bytes()[..], &reply].concat();
    stalling.bare.send_raw(Lane::Replies, &framed[..framed.len() / 2]).await.unwrap();
    // Another announces the same, and is asked before the first has had its ten seconds for a frame, after which its link ends.
    let mut serving = Liar::greet(&topic).await;
    serving.control(announcement).await;
    serving.expect(|frame| matches!(frame, Frame::Pull(_)).then_some(())).await;
    let stats = scene.victim.node.stats().await.unwrap();
    let in_time = stats.links.iter().any(|link| link.peer == stalling.key.public() && link.live);
    serving.send(Lane::Replies, &reply).await;
    scene.hear(&large).await;
    in_time
}
