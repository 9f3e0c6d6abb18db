//! The honest side: a victim and two others, all linked, all in one topic.

use std::collections::HashSet;
use std::process::{Child, Command};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use vouchsafe::{
    Builder, Event, Events, Node, NodeStats, Offence, PeerAddr, PublicKey, SecretKey, Subscription, Topic,
    TopicHandle, VerifierPool,
};

pub(crate) const NETWORK: &str = "hostile";
/// Nothing here takes that long; whoever waits longer waits for something that will not come.
const WATCHDOG: Duration = Duration::from_secs(120);

pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(WATCHDOG, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what} did not happen"),
    }
}

/// Held while a process begins: until its program runs it shares what this one has open, and so the locks of files that another test
/// closes meanwhile.
static BEGINS: Mutex<()> = Mutex::new(());

/// Starts a process.
pub(crate) fn begin(command: &mut Command) -> Child {
    let _begins = BEGINS.lock().unwrap_or_else(PoisonError::into_inner);
    command.spawn().unwrap()
}

/// What was closed before this is closed to all: no process that began before shares it any more, and one that begins later never did.
/// To be called before a file with a lock is opened again.
pub(crate) fn all_have_begun() {
    drop(BEGINS.lock().unwrap_or_else(PoisonError::into_inner));
}

pub(crate) fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

/// A node with a fresh key that keeps links to `peers`.
pub(crate) fn builder(pool: &VerifierPool, peers: &[PeerAddr]) -> Builder {
    builder_as(SecretKey::generate(), pool, peers)
}

/// A node that is no member: what is counted here is what the attack brings, and members say things by themselves (`tests/members.rs`).
pub(crate) fn builder_as(key: SecretKey, pool: &VerifierPool, peers: &[PeerAddr]) -> Builder {
    all_have_begun();
    let builder = Node::builder(key).network(NETWORK).listen("127.0.0.1:0");
    builder.bootstrap(peers.iter().cloned()).verifiers(pool.clone()).without_members()
}

/// Waits until a node's numbers say so, and gives them.
pub(crate) async fn until(what: &str, node: &Node, mut enough: impl FnMut(&NodeStats) -> bool) -> NodeStats {
    let asked = async {
        loop {
            let stats = node.stats().await.unwrap();
            if enough(&stats) {
                return stats;
            }
            // Leaves the processor to the nodes; the condition decides, not the pause.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    soon(what, asked).await
}

/// The next event that `pick` wants.
pub(crate) async fn event<T>(what: &str, events: &mut Events, pick: impl Fn(Event) -> Option<T>) -> T {
    let wanted = async {
        loop {
            let next = events.next().await.expect("the node lives").expect("no event was missed");
            if let Some(found) = pick(next) {
                return found;
            }
        }
    };
    soon(what, wanted).await
}

/// One honest node and everything that it heard.
pub(crate) struct Member {
    pub(crate) node: Node,
    pub(crate) topic: TopicHandle,
    reader: Subscription,
    pub(crate) heard: Vec<Bytes>,
}

impl Member {
    pub(crate) async fn join(node: Node, topic: &Topic) -> Self {
        let topic = node.join(topic.clone()).await.unwrap();
        let reader = topic.subscribe();
        Self { node, topic, reader, heard: Vec::new() }
    }

    /// Reads until `body` was heard.
    pub(crate) async fn hear(&mut self, body: &Bytes) {
        while !self.heard.contains(body) {
            let delivery =
                soon("a delivery", self.reader.next()).await.unwrap().expect("no rumor was missed");
            self.heard.push(delivery.body().clone());
        }
    }
}

pub(crate) struct Scene {
    pub(crate) victim: Member,
    pub(crate) pair: [Member; 2],
    pub(crate) events: Events,
    pub(crate) pool: VerifierPool,
    said: u32,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        Self::with(&Topic::named("lobby"), |victim| victim).await
    }

    /// As `new`, in another topic and with a victim that is built in another way.
    pub(crate) async fn with(topic: &Topic, victim: impl FnOnce(Builder) -> Builder) -> Self {
        let pool = VerifierPool::new(1);
        let victim = victim(builder(&pool, &[])).spawn().await.unwrap();
        let one = builder(&pool, &[victim.addr().unwrap()]).spawn().await.unwrap();
        let other = builder(&pool, &[victim.addr().unwrap(), one.addr().unwrap()]).spawn().await.unwrap();
        let events = victim.events();
        let victim = Member::join(victim, topic).await;
        let pair = [Member::join(one, topic).await, Member::join(other, topic).await];
        for member in [&victim, &pair[0], &pair[1]] {
            soon("three links", member.topic.wait_for_links(2)).await.unwrap();
        }
        Self { victim, pair, events, pool, said: 0 }
    }

    fn members(&mut self) -> [&mut Member; 3] {
        let [one, other] = &mut self.pair;
        [&mut self.victim, one, other]
    }

    /// All three hear it.
    pub(crate) async fn hear(&mut self, body: &Bytes) {
        for member in self.members() {
            member.hear(body).await;
        }
    }

    /// Each of the three says something and all three hear it: gossip goes on. Nothing was ever delivered twice, and no
    /// honest node has banned or convicted an honest one.
    pub(crate) async fn gossips_on(&mut self) {
        let keys: HashSet<PublicKey> =
            self.members().iter().flat_map(|member| [member.node.id(), member.node.author()]).collect();
        for speaker in 0..3 {
            self.said += 1;
            let body = Bytes::from(format!("honest words {}", self.said));
            let topic = self.members()[speaker].topic.clone();
            soon("publishing", topic.publish(body.clone())).await.unwrap();
            self.hear(&body).await;
        }
        for member in self.members() {
            let once: HashSet<&Bytes> = member.heard.iter().collect();
            assert_eq!(once.len(), member.heard.len(), "something was delivered twice: {:?}", member.heard);
            let stats = member.node.stats().await.unwrap();
            assert!(stats.banned.iter().chain(&stats.convicted).all(|key| !keys.contains(key)));
        }
    }

    /// Nobody holds anything against anybody.
    pub(crate) async fn nobody_is_blamed(&mut self) {
        for member in self.members() {
            let stats = member.node.stats().await.unwrap();
            assert_eq!((stats.counters.offences, stats.counters.convictions), (0, 0));
            assert!(stats.banned.is_empty() && stats.convicted.is_empty());
        }
    }

    /// The victim's next offence.
    pub(crate) async fn offence(&mut self) -> (PublicKey, Offence) {
        let pick = |event| match event {
            Event::Offence { peer, offence } => Some((peer, offence)),
            _ => None,
        };
        event("an offence", &mut self.events, pick).await
    }
}
