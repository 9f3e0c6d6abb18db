//! B32: a node whose links all lead to liars, and what it was told of besides.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::task::JoinSet;
use vouchsafe::NodeStats;
use vouchsafe::net::BarePeer;
use vouchsafe::protocol::{Config, DialState};
use vouchsafe::rumor::{NetworkId, TopicId};
use vouchsafe::wire::{self, Frame, Lane, Reason};
use vouchsafe::{PeerAddr, SecretKey, Topic, VerifierPool};

use crate::liar::hello;
use crate::scene::{Member, NETWORK, builder, soon, until};

/// Peers that answer every dial and every hello, read what comes, and never bring anything.
struct SilentLiars {
    addrs: Vec<PeerAddr>,
    /// How many links to them there were, and how many of these the other side has ended with [`Reason::Unneeded`].
    links: watch::Receiver<(usize, usize)>,
    tasks: JoinSet<()>,
}

impl SilentLiars {
    fn listen(count: usize, topic: TopicId) -> Self {
        let (seen, links) = watch::channel((0, 0));
        let mut tasks = JoinSet::new();
        let mut addrs = Vec::new();
        for _ in 0..count {
            let key = SecretKey::generate();
            let listener = BarePeer::listen(&key, SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
            addrs.push(PeerAddr::new(key.public(), listener.local_addr().unwrap()));
            let seen = seen.clone();
            tasks.spawn(async move {
                let mut links = JoinSet::new();
                while let Some(peer) = listener.accept().await {
                    links.spawn(stay_silent(peer, topic, seen.clone()));
                }
            });
        }
        Self { addrs, links, tasks }
    }

    async fn are_linked(&mut self, count: usize) {
        soon("links to liars", self.links.wait_for(|(links, _)| *links >= count)).await.unwrap();
    }
}

async fn stay_silent(mut peer: BarePeer, topic: TopicId, seen: watch::Sender<(usize, usize)>) {
    for lane in Lane::ALL {
        if peer.open_lane(lane).await.is_err() {
            return;
        }
    }
    if peer.send_frame(Lane::Control, &wire::hello(&hello(&[topic]))).await.is_err() {
        return;
    }
    while let Some((_, payload)) = peer.recv_frame().await {
        if let Ok(Frame::Hello(_)) = Frame::decode(payload) {
            seen.send_modify(|(links, _)| *links += 1);
        }
    }
    let dismissed = Reason::from_code(peer.closed().await.0) == Some(Reason::Unneeded);
    seen.send_modify(|(_, ended)| *ended += usize::from(dismissed));
}

/// Two honest nodes that have said something to each other.
async fn honest_pair(pool: &VerifierPool, topic: &Topic, body: &Bytes) -> [Member; 2] {
    let mut one = Member::join(builder(pool, &[]).spawn().await.unwrap(), topic).await;
    let peers = [one.node.addr().unwrap()];
    let other = Member::join(builder(pool, &peers).spawn().await.unwrap(), topic).await;
    soon("a link", other.topic.wait_for_links(1)).await.unwrap();
    other.topic.publish(body.clone()).await.unwrap();
    one.hear(body).await;
    [one, other]
}

/// Wants two links, and feels for others as soon as it has heard nothing for a moment.
fn impatient() -> Config {
    let mut config = Config::default();
    (config.dialling.outbound, config.dialling.feelers) = (2, 2);
    config.dialling.feel_after = Duration::from_millis(100);
    config
}

fn id_of(topic: &Topic) -> TopicId {
    topic.bind(NetworkId::of(NETWORK)).unwrap().id()
}

#[tokio::test]
async fn a_node_whose_bootstrap_leads_only_to_silent_liars_finds_an_honest_peer_that_it_was_told_of() {
    let (pool, topic, body) = (VerifierPool::new(1), Topic::named("lobby"), Bytes::from("honest words"));
    let mut liars = SilentLiars::listen(6, id_of(&topic));
    let pair = honest_pair(&pool, &topic, &body).await;
    // Given a node that keeps links to two liars, and was told of four more and of one honest peer,
    let (kept, named) = liars.addrs.split_at(2);
    let candidates = named.iter().cloned().chain(pair[0].node.addr());
    let victim = builder(&pool, kept).candidates(candidates).config(impatient()).spawn().await.unwrap();
    let mut victim = Member::join(victim, &topic).await;
    // when all its links are to liars, then it finds the honest one, and hears what was said.
    victim.hear(&body).await;
    let honest = pair[0].node.id();
    let stays = |stats: &NodeStats| stats.links.iter().any(|link| link.peer == honest && link.dialled);
    let stats = until("a link to the honest peer", &victim.node, stays).await;
    assert!(stats.feelers > 0 && stats.candidates == 5, "{} {}", stats.feelers, stats.candidates);
    // The peers that the application keeps stay kept,
    liars.are_linked(2).await;
    let is_kept = |stats: &NodeStats| stats.kept.iter().all(|kept| kept.state == DialState::Linked);
    assert_eq!(until("links to kept peers", &victim.node, is_kept).await.kept.len(), 2);
    // and it is heard too.
    victim.topic.publish("found you").await.unwrap();
    let [mut one, other] = pair;
    one.hear(&"found you".into()).await;
    drop((one, other, liars.tasks));
}

#[tokio::test]
async fn a_peer_that_brings_something_takes_the_place_of_one_that_never_did() {
    let (pool, topic, body) = (VerifierPool::new(1), Topic::named("lobby"), Bytes::from("honest words"));
    let mut liars = SilentLiars::listen(2, id_of(&topic));
    let pair = honest_pair(&pool, &topic, &body).await;
    // Given a node that knows two liars and nobody else: it wants two links, and has them.
    let named = liars.addrs.clone();
    let victim = builder(&pool, &[]).candidates(named).config(impatient()).spawn().await.unwrap();
    let mut victim = Member::join(victim, &topic).await;
    liars.are_linked(2).await;
    // When it is told of an honest peer, then it hears that, and gives up one of the liars for it.
    victim.node.suggest(pair[0].node.addr().unwrap()).await.unwrap();
    victim.hear(&body).await;
    soon("a liar's dismissal", liars.links.wait_for(|(_, ended)| *ended >= 1)).await.unwrap();
    let honest = pair[0].node.id();
    let stays = |stats: &NodeStats| stats.links.iter().any(|link| link.peer == honest && link.dialled);
    until("a link to the honest peer", &victim.node, stays).await;
}

#[tokio::test]
async fn a_candidate_stands_in_for_a_peer_that_refuses() {
    let pool = VerifierPool::new(1);
    let other = |pool: &VerifierPool| builder(pool, &[]).network("another").spawn();
    let (one, two, three) =
        (other(&pool).await.unwrap(), other(&pool).await.unwrap(), other(&pool).await.unwrap());
    let honest = builder(&pool, &[]).spawn().await.unwrap();
    // Given a node that wants one link, whose bootstrap is of another network, as are two of its candidates,
    let mut config = Config::default();
    (config.dialling.outbound, config.dialling.feelers) = (1, 0);
    let named = [&two, &three, &honest].map(|node| node.addr().unwrap());
    let peers = [one.addr().unwrap()];
    let victim = builder(&pool, &peers).candidates(named).config(config).spawn().await.unwrap();
    // then each that refuses is replaced, until one does not.
    soon("a link", victim.wait_for_links(1)).await.unwrap();
    soon("a link", honest.wait_for_links(1)).await.unwrap();
    // It keeps trying the peer that it keeps, as rarely as ever.
    let stats = victim.stats().await.unwrap();
    assert_eq!((stats.kept.len(), stats.candidates), (1, 3));
    assert!(stats.kept[0].last_error.is_some(), "{:?}", stats.kept);
}
