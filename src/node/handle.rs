//! The handle of a running node.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{broadcast, mpsc, oneshot, watch};

use super::message::{Message, Validator};
use super::{Builder, Events, Host, JoinError, PeerAddr, TopicHandle};
use crate::key::{PublicKey, SecretKey};
use crate::net::{Refusals, SocketErrors};
use crate::protocol::{Counters, Event, Impairment, KeepError, KeptPeer, LinkStats, TopicStats, Validation};
use crate::rumor::{NetworkId, Rumor, Topic};

/// A running node. Cheap to clone; the node shuts down when the last handle (topics included) is dropped, or on
/// [`Node::shutdown`].
#[derive(Clone, Debug)]
pub struct Node {
    id: PublicKey,
    author: PublicKey,
    network: NetworkId,
    local_addr: SocketAddr,
    advertised: Option<Host>,
    inbox: mpsc::Sender<Message>,
    /// Weak, so that events end with the node and not with its last handle.
    events: broadcast::WeakSender<Event>,
    links: watch::Receiver<usize>,
}

impl Node {
    /// Starts building a node with this node key.
    pub fn builder(key: SecretKey) -> Builder {
        Builder::new(key)
    }

    #[expect(clippy::too_many_arguments, reason = "the builder's one call, which names each")]
    pub(super) const fn new(
        id: PublicKey,
        author: PublicKey,
        network: NetworkId,
        local_addr: SocketAddr,
        advertised: Option<Host>,
        inbox: mpsc::Sender<Message>,
        events: broadcast::WeakSender<Event>,
        links: watch::Receiver<usize>,
    ) -> Self {
        Self { id, author, network, local_addr, advertised, inbox, events, links }
    }

    /// The node key's public half.
    pub const fn id(&self) -> PublicKey {
        self.id
    }

    /// The key that signs this node's rumors.
    pub const fn author(&self) -> PublicKey {
        self.author
    }

    /// The network it belongs to.
    pub const fn network(&self) -> NetworkId {
        self.network
    }

    /// Where it listens. If it listens on all interfaces, the IP is unspecified.
    pub const fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Key and address, for another node's bootstrap list: what [`Builder::advertise`] says, else where it listens. `None` if it
    /// listens on all interfaces (the default) and advertises nothing, since then it does not know where others find it.
    pub fn addr(&self) -> Option<PeerAddr> {
        let here = || (!self.local_addr.ip().is_unspecified()).then_some(Host::Socket(self.local_addr));
        self.advertised.clone().or_else(here).map(|host| PeerAddr::new(self.id, host))
    }

    /// Joins a topic: from now on its rumors are relayed, and can be read and written through the handle. Joins are counted: each
    /// handle (with its clones and subscriptions) is a join of its own, and the topic is left with the last of them.
    /// Dropping this future joins nothing.
    ///
    /// # Errors
    /// If the rules are out of range, there are too many topics or too many were left within the last minutes, or the node
    /// is closed.
    pub async fn join(&self, topic: Topic) -> Result<TopicHandle, JoinError> {
        self.join_as(topic, None).await
    }

    /// As [`Node::join`], with a judge that sees rumors of others before they are delivered or forwarded. Bundled rumors stand or
    /// fall together: the judge is asked for one after the other (64 at most), until it does not accept one, and all of it may take
    /// [`Config::validators.patience`](crate::protocol::Config::validators), 250 ms, for each rumor. What is not
    /// accepted is neither delivered nor forwarded by this node, and nobody is blamed. What takes longer is asked for again
    /// after a pause, while it can still be delivered, and an event tells of
    /// [`Impairment::ValidatorsSlow`](crate::protocol::Impairment::ValidatorsSlow). Joining again replaces the judge, which
    /// stays until no join of the topic is left. What the node holds already is judged before it is delivered.
    ///
    /// Dropping this future joins nothing, but the validator may have replaced one of an earlier join. The validator's own futures are
    /// dropped where they stand once their time is over.
    ///
    /// # Errors
    /// As [`Node::join`].
    pub async fn join_with<F, V>(&self, topic: Topic, validator: V) -> Result<TopicHandle, JoinError>
    where
        V: Fn(Rumor) -> F + Send + Sync + 'static,
        F: Future<Output = Validation> + Send + 'static,
    {
        let validator: Validator = Arc::new(move |rumor| Box::pin(validator(rumor)));
        self.join_as(topic, Some(validator)).await
    }

    async fn join_as(&self, topic: Topic, validator: Option<Validator>) -> Result<TopicHandle, JoinError> {
        let rules = Arc::new(topic.bind(self.network)?);
        let (answer, joined) = oneshot::channel();
        self.send(Message::Join { rules, validator, answer }).await?;
        let joined = joined.await.map_err(|_| Closed)??;
        Ok(TopicHandle::new(joined, self.clone()))
    }

    /// Keeps a link to `peer` from now on, as if it were on the bootstrap list. Does not wait for the link: failures are retried,
    /// and [`Node::events`] tells of each, and when the link is up. A new address of a peer is dialled at once, and known ones are
    /// tried in turn with it, at most 8; while a link is up it is only noted. The node's own key is skipped, with an event.
    ///
    /// Dropping this future before it is done may leave the peer kept or not. [`Node::stop_dialling`] takes it back.
    ///
    /// # Errors
    /// If the node is closed, or keeps links to 1 024 peers already.
    pub async fn connect(&self, peer: PeerAddr) -> Result<(), ConnectError> {
        let (answer, kept) = oneshot::channel();
        self.send(Message::Connect { peer, answer }).await?;
        Ok(kept.await.map_err(|_| Closed)??)
    }

    /// No longer dials `peer`. A link that is up goes on until it ends, and the peer may still dial this node. For peers that
    /// are known to be gone: a peer that a node was told of is dialled for ever, at last every 30 s.
    ///
    /// Dropping this future before it is done may leave the peer kept: call it again.
    ///
    /// # Errors
    /// If the node is closed.
    pub async fn stop_dialling(&self, peer: PublicKey) -> Result<(), Closed> {
        self.send(Message::StopDialling(peer)).await
    }

    /// Waits until at least `links` links are up. Cancel safe.
    ///
    /// # Errors
    /// If the node is closed first.
    pub async fn wait_for_links(&self, links: usize) -> Result<(), Closed> {
        let mut count = self.links.clone();
        count.wait_for(|count| *count >= links).await.map(|_| ()).map_err(|_| Closed)
    }

    /// What happens from now on.
    pub fn events(&self) -> Events {
        Events::of(&self.events)
    }

    /// Counters, links and topics at this moment. Cancel safe.
    ///
    /// # Errors
    /// If the node is closed.
    pub async fn stats(&self) -> Result<NodeStats, Closed> {
        let (answer, stats) = oneshot::channel();
        self.send(Message::Stats(answer)).await?;
        stats.await.map_err(|_| Closed)
    }

    /// Sends what is queued, says goodbye to all links, and ends. Takes at most a few seconds, and answers every caller when the
    /// socket is closed, so that its port can be bound again. Idempotent.
    ///
    /// Dropping this future stops the waiting and not the shutdown, once it was polled and the node's inbox had room for the request.
    pub async fn shutdown(&self) {
        // An error means that it is ending already.
        let _ = self.send(Message::Shutdown).await;
        let mut links = self.links.clone();
        // Who counts them goes last.
        while links.changed().await.is_ok() {}
    }

    pub(super) async fn send(&self, message: Message) -> Result<(), Closed> {
        self.inbox.send(message).await.map_err(|_| Closed)
    }
}

/// The node has been shut down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the node is closed: spawn a new one")]
pub struct Closed;

/// Why no link is kept to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The node keeps links to as many peers as it may.
    #[error(transparent)]
    NotKept(#[from] KeepError),
    /// The node is closed.
    #[error(transparent)]
    Closed(#[from] Closed),
}

/// A snapshot of a node.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct NodeStats {
    /// Everything counted since the start.
    pub counters: Counters,
    /// One per link.
    pub links: Vec<LinkStats>,
    /// One per topic.
    pub topics: Vec<TopicStats>,
    /// Signatures that wait.
    pub waiting_verification: usize,
    /// Announced ids that we lack.
    pub wants: usize,
    /// For how long no peer has brought anything genuine that was new; `None` if none ever has. When others are known to
    /// speak, a long silence means that all links lead to liars: connect to somebody else.
    pub heard_ago: Option<Duration>,
    /// What keeps this node from its work, and for how long it has.
    pub impaired: Vec<(Impairment, Duration)>,
    /// Node keys that are banned now.
    pub banned: Vec<PublicKey>,
    /// Authors that were convicted of equivocation.
    pub convicted: Vec<PublicKey>,
    /// Handshakes refused, by reason.
    pub refusals: Refusals,
    /// The peers that links are kept to, in the order of their keys: whether each is linked, waited for or dialled, and what went
    /// wrong last. At most 1 024.
    pub kept: Vec<KeptPeer<Host>>,
    /// Dials begun since the start. A peer that is not linked is dialled after 200 ms at first and every 30 s in the end.
    pub dials: u64,
    /// Dials under way: one for a peer at the most, and 32 in all.
    pub dials_under_way: usize,
    /// Errors of the UDP socket.
    pub socket: SocketErrors,
}

#[cfg(all(test, feature = "serde"))]
mod tests {
    use super::*;
    use crate::protocol::DialState;
    use crate::rumor::TopicId;

    fn stats() -> NodeStats {
        let key = PublicKey::from_bytes([7; 32]);
        let second = Duration::from_millis(1_250);
        let link = LinkStats {
            peer: key,
            dialled: true,
            live: true,
            rtt: second,
            copies_in: 1,
            accepted_first: 2,
            queued_bytes: 3,
            owed_pulls: 4,
            wanted_from: 5,
            serve_delay: Some(second),
            last_resort: false,
            waiting_verification: 6,
            waiting_bytes: 7,
        };
        let kept = KeptPeer {
            peer: key,
            addresses: vec!["node.example:1".parse().unwrap()],
            state: DialState::Waiting { remaining: second },
            dials: 8,
            last_error: Some("no".into()),
        };
        NodeStats {
            counters: Counters { frames_in: 9, ..Counters::default() },
            links: vec![link],
            topics: vec![TopicStats {
                topic: TopicId::from_bytes([8; 32]),
                bundles: 1,
                body_bytes: 2,
                links: 3,
            }],
            waiting_verification: 10,
            wants: 11,
            heard_ago: Some(second),
            impaired: vec![(Impairment::Clock, second)],
            banned: vec![key],
            convicted: vec![key],
            refusals: Refusals { half_open: 12, ..Refusals::default() },
            kept: vec![kept],
            dials: 13,
            dials_under_way: 14,
            socket: SocketErrors { errors: 15, rebound: 16 },
        }
    }

    #[test]
    fn statistics_survive_json_and_postcard() {
        let json = serde_json::to_value(stats()).unwrap();
        let back: NodeStats = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(serde_json::to_value(&back).unwrap(), json);
        assert_eq!(format!("{back:?}"), format!("{:?}", stats()));
        let packed = postcard::to_allocvec(&stats()).unwrap();
        let back: NodeStats = postcard::from_bytes(&packed).unwrap();
        assert_eq!(serde_json::to_value(&back).unwrap(), json);
        assert_eq!(json["links"][0]["peer"], "07".repeat(32));
        assert_eq!(json["kept"][0]["addresses"][0], "node.example:1");
    }

    #[test]
    fn counters_of_an_older_version_are_read_with_zero_for_what_it_did_not_count() {
        let old = serde_json::json!({ "frames_in": 9 });
        let counters: Counters = serde_json::from_value(old).unwrap();
        assert_eq!(counters, Counters { frames_in: 9, ..Counters::default() });
    }
}
