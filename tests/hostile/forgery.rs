//! Forged signatures and false evidence.

use vouchsafe::rumor::Header;
use vouchsafe::{Evidence, Offence, Reason, SecretKey, wire};

use crate::liar::{Liar, bundle, forged, tick_ago, unsigned};
use crate::scene::{Scene, until};

#[tokio::test]
async fn one_bad_signature_closes_the_link() {
    let mut scene = Scene::new().await;
    let mut liar = Liar::greet(&scene.victim.topic).await;
    let good = bundle(&liar.key, &scene.victim.topic, 0, "forged");
    liar.push(&forged(&good)).await;
    assert_eq!(liar.closed_for().await, Reason::Offence);
    assert_eq!(scene.offence().await, (liar.key.public(), Offence::BadSignature));
    assert!(liar.is_banned_by(&scene.victim.node).await);
    let stats = scene.victim.node.stats().await.unwrap();
    assert_eq!((stats.counters.verified, stats.counters.accepted), (1, 0), "one signature was paid for");
    assert_eq!(stats.banned, [liar.key.public()]);
    scene.gossips_on().await;
}

#[tokio::test]
async fn bad_signature_does_not_suppress_the_id() {
    let mut scene = Scene::new().await;
    let author = SecretKey::generate();
    let topic = scene.victim.topic.clone();
    let mut liar = Liar::greet(&topic).await;
    let mut messenger = Liar::greet(&topic).await;
    // The id is the same with a forged signature: first well before the good copy, then while it is being verified.
    let first = bundle(&author, &topic, 0, "after the verdict");
    liar.push(&forged(&first)).await;
    assert_eq!(scene.offence().await, (liar.key.public(), Offence::BadSignature));
    messenger.push(first.encoded()).await;
    let mut second_liar = Liar::greet(&topic).await;
    let second = bundle(&author, &topic, 1, "before the verdict");
    second_liar.push(&forged(&second)).await;
    messenger.push(second.encoded()).await;
    for body in ["after the verdict", "before the verdict"] {
        scene.hear(&body.into()).await;
    }
    assert_eq!(second_liar.closed_for().await, Reason::Offence);
    // The messenger spoke the truth, and its link stands.
    messenger.push(bundle(&author, &topic, 2, "still here").encoded()).await;
    scene.victim.hear(&"still here".into()).await;
    scene.gossips_on().await;
}

#[tokio::test]
async fn bogus_evidence_is_an_offence() {
    let mut scene = Scene::new().await;
    let topic = scene.victim.topic.clone();
    let framed = scene.pair[0].node.author();
    let header = |manifest| Header {
        topic: topic.id(),
        author: framed,
        tick: tick_ago(&topic, 0),
        first_slot: 0,
        count: 1,
        bytes: 5,
        manifest: [manifest; 32],
        prev: None,
    };
    // Two headers that contradict each other, signed by nobody.
    let mut liar = Liar::greet(&topic).await;
    let forged = Evidence::new(unsigned(header(1)), unsigned(header(2))).unwrap();
    liar.control(wire::evidence(&forged)).await;
    assert_eq!(scene.offence().await, (liar.key.public(), Offence::BogusEvidence));
    assert_eq!(liar.closed_for().await, Reason::Offence);
    assert!(liar.is_banned_by(&scene.victim.node).await);
    // Two real headers of the liar's own, of which one signature is another's.
    let mut half = Liar::greet(&topic).await;
    let real = *bundle(&half.key, &topic, 0, "real").signed_header();
    let other = Header { manifest: [9; 32], ..real.header };
    half.control(wire::evidence(&Evidence::new(real, unsigned(other)).unwrap())).await;
    assert_eq!(scene.offence().await, (half.key.public(), Offence::BogusEvidence));
    // Two headers that contradict nothing.
    let mut nothing = Liar::greet(&topic).await;
    let one = bundle(&nothing.key, &topic, 0, "one").signed_header().encode();
    let two = bundle(&nothing.key, &topic, 1, "two").signed_header().encode();
    nothing.control([&[8][..], &one, &two].concat().into()).await;
    assert_eq!(scene.offence().await, (nothing.key.public(), Offence::BogusEvidence));
    // What is true convicts its author, whatever the topic: it could write here too. Its bearer is not blamed.
    let elsewhere = scene.pair[1].node.join(vouchsafe::Topic::named("elsewhere")).await.unwrap();
    let mut bearer = Liar::greet(&topic).await;
    let [one, two] = ["one", "two"].map(|body| *bundle(&bearer.key, &elsewhere, 0, body).signed_header());
    bearer.control(wire::evidence(&Evidence::new(one, two).unwrap())).await;
    let stats = until("the conviction", &scene.victim.node, |stats| stats.counters.convictions == 1).await;
    assert_eq!(stats.counters.offences, 3);
    scene.gossips_on().await;
}
