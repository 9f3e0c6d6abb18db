//! The handle of a running node.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::{broadcast, mpsc, oneshot, watch};

use super::error::{Closed, ConnectError, ForgetError};
use super::folder::Cursors;
use super::member_channels::MemberReaders;
use super::message::Message;
use super::speaker::Speaker;
use super::stats::NodeStats;
use super::wait::Wait;
use super::{Events, Host, PeerAddr};
use crate::key::PublicKey;
use crate::protocol::Event;
use crate::protocol::keeping::Damage;
use crate::rumor::{NetworkId, TopicId};

/// A running node. Cheap to clone; the node shuts down when the last handle (topics included) is dropped, or on
/// [`Node::shutdown`]. A process that ends awaits the latter: it sends what is queued, which a dropped handle may have no time to do before the
/// runtime ends.
///
/// ```
/// use vouchsafe::{Node, SecretKey, Topic};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = Node::builder(SecretKey::generate()).network("chat.example").listen("127.0.0.1:0").spawn().await?;
/// println!("others reach it at {:?}", node.addr());
/// let lobby = node.join(Topic::named("lobby")).await?;
/// println!("{} links, in {:?}", node.stats().await?.links.len(), lobby.rules().name());
/// node.shutdown().await;
/// # Ok(())
/// # }
/// ```
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
    members: MemberReaders,
    speaker: Speaker,
    /// What the store had lost when it was opened.
    damage: Option<Arc<Damage>>,
    /// Where named replays stand, if there is a state folder.
    cursors: Option<Cursors>,
}

impl Node {
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
        members: MemberReaders,
        speaker: Speaker,
        damage: Option<Arc<Damage>>,
        cursors: Option<Cursors>,
    ) -> Self {
        Self {
            id,
            author,
            network,
            local_addr,
            advertised,
            inbox,
            events,
            links,
            members,
            speaker,
            damage,
            cursors,
        }
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

    /// Key and address, for another node's bootstrap list: what [`Builder::advertise`](super::Builder::advertise) says, else where it listens. `None` if it
    /// listens on all interfaces (the default) and advertises nothing, since then it does not know where others find it.
    pub fn addr(&self) -> Option<PeerAddr> {
        let here = || (!self.local_addr.ip().is_unspecified()).then_some(Host::Socket(self.local_addr));
        self.advertised.clone().or_else(here).map(|host| PeerAddr::new(self.id, host))
    }

    /// Keeps a link to `peer` from now on, whatever other links there are. Does not wait for the link: failures are retried,
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

    /// Names a peer that the node may link to, as [`Builder::candidates`](super::Builder::candidates) does. Does not wait for a link, and there may never be one:
    /// the node dials candidates while it lacks links, or when it hears nothing new. Of a peer that it keeps it notes the address.
    /// The node's own key is skipped, with an event.
    ///
    /// # Errors
    /// If the node is closed, or remembers 1 024 candidates already, none of which it has tried in vain.
    pub async fn suggest(&self, peer: PeerAddr) -> Result<(), ConnectError> {
        let (answer, known) = oneshot::channel();
        self.send(Message::Suggest { peer, answer }).await?;
        Ok(known.await.map_err(|_| Closed)??)
    }

    /// No longer dials `peer`, neither as a kept peer nor as a candidate. A link that is up goes on until it ends, and the peer may still dial this node. For peers that
    /// are known to be gone: a peer that a node was told of is dialled for ever, at last every 30 s.
    ///
    /// Dropping this future before it is done may leave the peer kept: call it again.
    ///
    /// # Errors
    /// If the node is closed.
    pub async fn stop_dialling(&self, peer: PublicKey) -> Result<(), Closed> {
        self.send(Message::StopDialling(peer)).await
    }

    /// Removes all that this node keeps of a topic that it has left: what ends a topic that is kept for ever. Answers when it is
    /// removed. What was removed is not taken in again.
    ///
    /// Dropping this future may leave the topic removed, or not.
    ///
    /// # Errors
    /// If the topic is joined, the store fails, or the node is closed.
    pub async fn forget_topic(&self, topic: TopicId) -> Result<(), ForgetError> {
        let (answer, removed) = oneshot::channel();
        self.send(Message::ForgetTopic { topic, answer }).await?;
        removed.await.map_err(|_| Closed)?
    }

    /// Waits until at least `links` links are up. Cancel safe. [`Wait::within`] limits the wait.
    ///
    /// # Errors
    /// If the node is closed first.
    pub fn wait_for_links(&self, links: usize) -> Wait {
        let (mut count, now) = (self.links.clone(), self.links.clone());
        let until =
            async move { count.wait_for(|count| *count >= links).await.map(drop).map_err(|_| Closed.into()) };
        Wait::new("links", links, until, move || *now.borrow())
    }

    /// What the store had lost when this node was built, if it was found damaged and was made anew from what could be read. What happens
    /// to it later, [`Event::StoreDamaged`] tells.
    pub fn damage(&self) -> Option<&Damage> {
        self.damage.as_deref()
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

    /// Says that this node leaves, sends what is queued, says goodbye to all links, and ends. Takes nine seconds at the most, and what its
    /// disk takes. Answers every caller when the socket is closed, so that its port can be bound again. Idempotent.
    ///
    /// Dropping this future stops the waiting and not the shutdown, once it was polled and the node's inbox had room for the request.
    pub async fn shutdown(&self) {
        self.ends(false).await;
    }

    /// As [`Node::shutdown`], without a word to the other members: for a restart. They show this node as failed if it is not back within
    /// its lease.
    pub async fn shutdown_silently(&self) {
        self.ends(true).await;
    }

    async fn ends(&self, silently: bool) {
        // An error means that it is ending already.
        let _ = self.send(Message::Shutdown { silently }).await;
        let mut links = self.links.clone();
        // Who counts them goes last.
        while links.changed().await.is_ok() {}
    }

    pub(super) const fn speaker(&self) -> &Speaker {
        &self.speaker
    }

    pub(super) const fn member_readers(&self) -> &MemberReaders {
        &self.members
    }

    pub(super) const fn cursors(&self) -> Option<&Cursors> {
        self.cursors.as_ref()
    }

    pub(super) async fn send(&self, message: Message) -> Result<(), Closed> {
        self.inbox.send(message).await.map_err(|_| Closed)
    }
}
