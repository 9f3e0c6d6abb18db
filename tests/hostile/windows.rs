//! What is old, or not yet: ignored, and nobody is blamed.

use vouchsafe::Position;
use vouchsafe::wire::{self, Frame, FrameWriter, Lane};

use crate::liar::{Liar, bundle, bundle_at, tick_ago};
use crate::scene::{Scene, until};

#[tokio::test]
async fn expired_rumor_is_ignored_without_blame() {
    let mut scene = Scene::new().await;
    let topic = scene.victim.topic.clone();
    let mut liar = Liar::greet(&topic).await;
    let now = tick_ago(&topic, 0);
    for (slot, tick) in
        [now - 100, now - 100_000, 0, now + 100, now + 100_000, u64::MAX].into_iter().enumerate()
    {
        let at = Position { tick, slot: slot as u16 };
        liar.push(bundle_at(&liar.key, &topic, at, "from another time").encoded()).await;
    }
    let ignored = |stats: &vouchsafe::NodeStats| stats.counters.outside_relay_window == 6;
    let stats = until("six refusals", &scene.victim.node, ignored).await;
    assert_eq!((stats.counters.verified, stats.topics[0].bundles), (0, 0), "no signature, no memory");
    scene.nobody_is_blamed().await;
    // The link stands, and what it says in time is heard.
    liar.push(bundle(&liar.key, &topic, 0, "in time").encoded()).await;
    scene.victim.hear(&"in time".into()).await;
    assert_eq!(scene.victim.heard.len(), 1);
    scene.gossips_on().await;
}

#[tokio::test]
async fn old_bundles_never_come_back() {
    let mut scene = Scene::new().await;
    let topic = scene.victim.topic.clone();
    let mut liar = Liar::greet(&topic).await;
    let at = Position { tick: tick_ago(&topic, 200_000), slot: 0 };
    let old = bundle_at(&liar.key, &topic, at, "long past");
    // Announced, it is asked for, since an id does not tell its age; served, it is refused and remembered.
    liar.control(wire::announce(&topic.id(), &[(old.id(), 9)])).await;
    let pulled = liar.expect(|frame| match frame {
        Frame::Pull(ids) => Some(ids.ids),
        _ => None,
    });
    assert_eq!(pulled.await, [old.id()]);
    let mut reply = FrameWriter::with_capacity(0);
    reply.push(0, &old);
    liar.send(Lane::Replies, &reply.finish()).await;
    let refused = |stats: &vouchsafe::NodeStats| stats.counters.outside_relay_window == 1;
    until("a refusal", &scene.victim.node, refused).await;
    // Announced and pushed again and again, it costs no pull and no signature.
    for _ in 0..5 {
        liar.control(wire::announce(&topic.id(), &[(old.id(), 9)])).await;
        liar.push(old.encoded()).await;
    }
    let again = |stats: &vouchsafe::NodeStats| stats.counters.refused_again == 10;
    let stats = until("ten refusals", &scene.victim.node, again).await;
    assert_eq!((stats.counters.pulls, stats.counters.verified, stats.wants), (1, 0, 0));
    // What was delivered just now is not delivered again, by whatever way it comes.
    let fresh = bundle(&liar.key, &topic, 0, "said once");
    for _ in 0..5 {
        liar.push(fresh.encoded()).await;
        liar.send(Lane::Replies, &crate::liar::pushed(0, fresh.encoded())).await;
    }
    scene.victim.hear(&"said once".into()).await;
    until("nine copies", &scene.victim.node, |stats| stats.counters.duplicates >= 9).await;
    scene.nobody_is_blamed().await;
    scene.gossips_on().await;
    let stats = scene.victim.node.stats().await.unwrap();
    assert_eq!(stats.counters.delivered, 4, "one of the liar, three of the honest");
}
