//! Authors who say two things, and authors who must never seem to.

use vouchsafe::store::PositionLog;
use vouchsafe::{Event, Events, Evidence, Node, PublishError, SecretKey, Topic, VerifierPool, verify, wire};

use crate::liar::{Liar, bundle, bundle_at};
use crate::scene::{Member, Scene, builder, builder_as, event, soon, until};

fn convicted(event: Event) -> Option<Box<Evidence>> {
    match event {
        Event::Convicted { evidence } => Some(evidence),
        _ => None,
    }
}

#[tokio::test]
async fn equivocation_convicts_everywhere() {
    let topic = Topic::named("lobby");
    let pool = VerifierPool::new(1);
    // Two halves of three, joined by one link each.
    let mut nodes: Vec<(Member, Events)> = Vec::new();
    for n in 0..6usize {
        let linked: &[usize] = [&[][..], &[0], &[0, 1], &[0], &[3, 1], &[3, 4]][n];
        let peers: Vec<_> = linked.iter().map(|at| nodes[*at].0.node.addr().unwrap()).collect();
        let node = builder(&pool, &peers).spawn().await.unwrap();
        let events = node.events();
        nodes.push((Member::join(node, &topic).await, events));
    }
    for (n, links) in [3, 3, 2, 3, 3, 2].into_iter().enumerate() {
        soon("all links", nodes[n].0.topic.wait_for_links(links)).await.unwrap();
    }
    let author = SecretKey::generate();
    let mut left = Liar::greet(&nodes[2].0.topic).await;
    let mut right = Liar::greet(&nodes[5].0.topic).await;
    let one = bundle(&author, &left_topic(&nodes), 0, "to the left");
    let other = bundle_at(&author, &left_topic(&nodes), one.header().position(), "to the right");
    left.push(one.encoded()).await;
    right.push(other.encoded()).await;
    for (_, events) in &mut nodes {
        let evidence = event("a conviction", events, convicted).await;
        assert_eq!(evidence.author(), author.public());
        // Anybody can check the 436 bytes, with nothing else in hand.
        let decoded = Evidence::decode(&evidence.encode()).unwrap();
        assert_eq!(verify::evidence(&decoded), Ok(()));
    }
    // Nobody listens to that author any more, whoever brings it; nobody blames those who do.
    left.push(bundle(&author, &left_topic(&nodes), 7, "but listen").encoded()).await;
    let deaf = |stats: &vouchsafe::NodeStats| stats.counters.convicted_author > 0;
    until("a refusal", &nodes[2].0.node, deaf).await;
    nodes[0].0.topic.publish("honest words").await.unwrap();
    for (member, _) in &mut nodes {
        member.hear(&"honest words".into()).await;
        assert!(!member.heard.contains(&"but listen".into()));
        let stats = member.node.stats().await.unwrap();
        assert_eq!((stats.convicted, stats.counters.offences), (vec![author.public()], 0));
    }
}

fn left_topic(nodes: &[(Member, Events)]) -> vouchsafe::TopicHandle {
    nodes[2].0.topic.clone()
}

#[tokio::test]
async fn a_second_writer_stops_before_it_equivocates() {
    let mut scene = Scene::new().await;
    let folder = tempfile::tempdir().unwrap();
    let seed = SecretKey::generate().to_seed();
    let mut writers = Vec::new();
    for n in 0..2 {
        // Two processes with a copy of one author key, each with a position log of its own.
        let author = SecretKey::from_seed(&seed);
        let position_log = folder.path().join(format!("{n}.positions"));
        // (Made with the key: a new position log for an old key would wait for half a minute first.)
        PositionLog::open(&position_log, author.public(), true, 0).unwrap();
        let writer =
            builder(&scene.pool, &[scene.victim.node.addr().unwrap(), scene.pair[0].node.addr().unwrap()]);
        let writer = writer.author(author).position_log(position_log);
        let writer = writer.spawn().await.unwrap();
        let events = writer.events();
        let member = Member::join(writer, &Topic::named("lobby")).await;
        soon("two links", member.topic.wait_for_links(2)).await.unwrap();
        writers.push((member, events));
    }
    let (first, mut second) = (writers.remove(0), writers.remove(0));
    let duplicate = |event| matches!(event, Event::DuplicateWriter { .. }).then_some(());
    // What the first says in the tick in which the second was started could be the second's own, from before; so it goes on
    // into the next ticks, as its slots let it.
    let speech = async {
        loop {
            first.0.topic.publish("I am the writer").await.unwrap();
        }
    };
    tokio::select! {
        () = event("a second writer", &mut second.1, duplicate) => {}
        () = speech => {}
    }
    assert_eq!(second.0.topic.publish("no, I").await, Err(PublishError::DuplicateWriter));
    first.0.topic.publish("as I said").await.unwrap();
    scene.victim.hear(&"as I said".into()).await;
    // Repeated words were ours, so they don't count as delivered twice.
    scene.victim.heard.clear();
    scene.pair.iter_mut().for_each(|member| member.heard.clear());
    scene.nobody_is_blamed().await;
}

#[tokio::test]
async fn a_restart_with_a_position_log_never_convicts() {
    let mut scene = Scene::new().await;
    let topic = Topic::named("lobby");
    let folder = tempfile::tempdir().unwrap();
    let key = SecretKey::generate();
    let peers = [scene.victim.node.addr().unwrap(), scene.pair[0].node.addr().unwrap()];
    let spawn = async || {
        let writer =
            builder_as(key.clone(), &scene.pool, &peers).position_log(folder.path().join("position-log"));
        let writer = writer.spawn().await.unwrap();
        let events = writer.events();
        let member = Member::join(writer, &topic).await;
        soon("two links", member.topic.wait_for_links(2)).await.unwrap();
        (member, events)
    };
    let (mut first, _) = spawn().await;
    let mut said = Vec::new();
    for n in 0..64 {
        let body = format!("first life {n}").into();
        first.topic.publish(bytes::Bytes::clone(&body)).await.unwrap();
        said.push(body);
    }
    first.hear(&said[63]).await;
    first.node.shutdown().await;
    // Its neighbours tell the second life what the first one said: its own words are no second writer.
    let (mut second, mut events) = spawn().await;
    second.hear(&said[63]).await;
    let body = bytes::Bytes::from("second life");
    soon("publishing", second.topic.publish(body.clone())).await.unwrap();
    scene.pair[1].hear(&body).await;
    second.topic.publish("and more").await.unwrap();
    scene.pair[1].hear(&"and more".into()).await;
    assert!(said.iter().all(|body| scene.pair[1].heard.contains(body)));
    assert!(second.node.stats().await.unwrap().convicted.is_empty());
    second.node.shutdown().await;
    while let Some(Ok(event)) = soon("an event", events.next()).await {
        assert!(!matches!(event, Event::DuplicateWriter { .. } | Event::Convicted { .. }), "{event:?}");
    }
    scene.nobody_is_blamed().await;
    scene.gossips_on().await;
}

#[tokio::test]
async fn a_position_log_that_cannot_be_written_stops_the_author() {
    let mut scene = Scene::new().await;
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("disk");
    std::fs::create_dir(&inside).unwrap();
    let writer: Node = builder(&scene.pool, &[scene.victim.node.addr().unwrap()])
        .position_log(inside.join("position-log"))
        .spawn()
        .await
        .unwrap();
    let writer = Member::join(writer, &Topic::named("lobby")).await;
    soon("a link", writer.topic.wait_for_links(1)).await.unwrap();
    std::fs::remove_dir_all(&inside).unwrap();
    let failed = soon("an answer", writer.topic.publish("unrecorded")).await;
    assert!(
        matches!(&failed, Err(PublishError::PositionLog(why)) if why.contains("position-log")),
        "{failed:?}"
    );
    // What was not recorded was not said; with the disk back, the author speaks again.
    std::fs::create_dir(&inside).unwrap();
    soon("publishing", writer.topic.publish("recorded")).await.unwrap();
    scene.victim.hear(&"recorded".into()).await;
    assert_eq!(scene.victim.heard, ["recorded"]);
    scene.nobody_is_blamed().await;
    scene.gossips_on().await;
}

#[tokio::test]
async fn a_flood_of_evidence_costs_one_check_an_author_and_no_rumor() {
    let mut scene = Scene::new().await;
    let topic = scene.victim.topic.clone();
    let mut bearer = Liar::greet(&topic).await;
    // Each of a hundred authors convicts itself, and each proof comes ten times.
    for _ in 0..100 {
        let author = SecretKey::generate();
        let [one, two] = ["one", "two"].map(|body| *bundle(&author, &topic, 0, body).signed_header());
        let proof = wire::evidence(&Evidence::new(one, two).unwrap());
        for _ in 0..10 {
            bearer.control(proof.clone()).await;
        }
    }
    let stats = until("the convictions", &scene.victim.node, |stats| stats.counters.convictions == 100).await;
    // What came again was known, or its author convicted, before it was its turn to be checked.
    assert!(stats.counters.verified <= 3 * 100, "{} signatures", stats.counters.verified);
    let told = |stats: &vouchsafe::NodeStats| stats.counters.convictions == 100;
    for member in &scene.pair {
        until("the proofs", &member.node, told).await;
    }
    assert_eq!(stats.counters.offences, 0);
    scene.gossips_on().await;
}
