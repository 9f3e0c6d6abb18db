//! Nodes that are gone without a word.

use vouchsafe::{SecretKey, Topic, VerifierPool};

use crate::scene::{Member, Scene, builder, builder_as, soon, until};

#[tokio::test]
async fn rumors_of_a_crashed_node_are_delivered_by_others() {
    let mut scene = Scene::new().await;
    let topic = Topic::named("lobby");
    let key = SecretKey::generate();
    let (peer, pool) = (scene.victim.node.addr().unwrap(), VerifierPool::new(1));
    // A runtime of its own is a process of its own, as far as its tasks and sockets go.
    let process = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (author, its_topic) = (key.public(), topic.clone());
    let crashing = process.spawn(async move {
        let node = builder_as(key, &pool, &[peer]).spawn().await.unwrap();
        let handle = node.join(its_topic).await.unwrap();
        soon("a link", handle.wait_for_links(1)).await.unwrap();
        handle.publish("last words").await.unwrap();
        // Handed out so that the node is not shut down in order.
        (node, handle)
    });
    let handles = soon("the last words", crashing).await.unwrap();
    until("one who heard it", &scene.victim.node, |stats| stats.counters.accepted == 1).await;
    process.shutdown_background();
    drop(handles);
    scene.hear(&"last words".into()).await;
    // Who comes late hears it from those who did, though its author is gone.
    let late = builder(&scene.pool, &[scene.pair[1].node.addr().unwrap()]).spawn().await.unwrap();
    let mut late = Member::join(late, &topic).await;
    late.hear(&"last words".into()).await;
    assert!(late.node.stats().await.unwrap().links.iter().all(|link| link.peer != author));
    scene.nobody_is_blamed().await;
    scene.gossips_on().await;
}
