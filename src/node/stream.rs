//! What a node tells the application: rumors and events, as streams that say when they lag.

use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_core::Stream;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};

use super::delivered::{Delivered, Told};
use super::delivered_count::Seen;
use super::membership::Membership;
use super::message::Joined;
use crate::key::PublicKey;
use crate::protocol::{Event, MemberEvent};
use crate::rumor::{Position, Rumor, Rumors, TickLen, TopicId};

/// The reader was too slow, and this many items were dropped for it. The node never waits for a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("read too slowly: {0} items were dropped for this reader; read faster, or ask for a larger capacity")]
pub struct Lagged(pub u64);

/// What a [`Subscription`] could not give, in the place where it is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Gap {
    /// The reader was too slow, and this many rumors were dropped for it. The node never waits for a reader.
    #[error("{}", Lagged(*.0))]
    Lagged(u64),
    /// The node was cut off or did not run for longer than what is said can be caught up, 60 s: what others said in this time
    /// may be missing here. It stays true when repair brings some of it later: late rumors are in no subscription. Of a topic that is
    /// kept, a [`Replay`](super::Replay) reads them; of any other, ask the application's own store, if it has one.
    #[error("this node was away: what was said from {from_ms} to {to_ms} (Unix milliseconds) may be missing")]
    Missed {
        /// Since when, Unix milliseconds.
        from_ms: u64,
        /// Until when, Unix milliseconds.
        to_ms: u64,
    },
    /// The handle has left the topic, so nothing comes over it any more.
    #[error("topic {0} is not joined by this handle: join it again")]
    NotJoined(TopicId),
}

/// A rumor and how it came.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivery {
    /// The rumor.
    pub rumor: Rumor,
    /// The peer whose copy was accepted; `None` for what this node published. It is not the author, and need not be near to it.
    pub via: Option<PublicKey>,
    /// It is of this node's author.
    own: bool,
    tick_len: TickLen,
}

impl Delivery {
    /// Whether this node's author has said it: in this life, or in an earlier one.
    #[must_use]
    pub const fn is_own(&self) -> bool {
        self.own
    }

    /// When it was said: the start of its tick. It is what the author says. By this node's clock it is at most a minute before the node heard
    /// it, and half a minute after. [`TopicHandle::said_at`](super::TopicHandle::said_at) says it of any position.
    #[must_use]
    pub fn said_at(&self) -> SystemTime {
        said_at(self.tick_len, self.rumor.position())
    }
}

/// When the tick of a position begins. (A time that this system can't tell is none that anybody lives to see.)
pub(super) fn said_at(tick_len: TickLen, position: Position) -> SystemTime {
    let since = Duration::from_millis(tick_len.start_of(position.tick));
    UNIX_EPOCH.checked_add(since).unwrap_or(UNIX_EPOCH)
}

/// Why [`Subscription::try_recv`] gives no rumor now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TryRecvError {
    /// There is none now.
    #[error("no rumor is here now: ask again later, or wait with `next`")]
    Empty,
    /// Some are missing here. The next call goes on behind them.
    #[error(transparent)]
    Gap(#[from] Gap),
    /// There will be no more.
    #[error("the topic was left or the node is closed, and all of it is read: subscribe anew")]
    Ended,
}

impl Deref for Delivery {
    type Target = Rumor;

    fn deref(&self) -> &Rumor {
        &self.rumor
    }
}

/// A reader of a broadcast channel, as a stream.
#[derive(Debug)]
struct Reader<T> {
    /// Gives the receiver back with what it received, so that it can be polled.
    pending: Option<Receive<T>>,
    receiver: Option<broadcast::Receiver<T>>,
    /// Whoever reads has no more to come once the other end of this is gone.
    until: Option<watch::Receiver<usize>>,
}

type Received<T> = (broadcast::Receiver<T>, Result<T, RecvError>);

struct Receive<T>(Pin<Box<dyn Future<Output = Received<T>> + Send>>);

impl<T> std::fmt::Debug for Receive<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Receive(..)")
    }
}

impl<T: Clone + Send + 'static> Reader<T> {
    /// A reader of what is still to come: of nothing, if the sender is gone.
    fn of(sender: &broadcast::WeakSender<T>) -> Self {
        Self::new(sender.upgrade().map(|sender| sender.subscribe()), None)
    }

    fn new(receiver: Option<broadcast::Receiver<T>>, until: Option<watch::Receiver<usize>>) -> Self {
        Self { pending: None, receiver, until }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, Lagged>>> {
        if let Some(receiver) = &mut self.receiver {
            // The common case needs no allocation.
            match receiver.try_recv() {
                Ok(item) => return Poll::Ready(Some(Ok(item))),
                Err(broadcast::error::TryRecvError::Lagged(count)) => {
                    return Poll::Ready(Some(Err(Lagged(count))));
                }
                Err(broadcast::error::TryRecvError::Closed) => return Poll::Ready(None),
                Err(broadcast::error::TryRecvError::Empty) => {}
            }
        }
        if let Some(mut receiver) = self.receiver.take() {
            let until = self.until.clone();
            self.pending = Some(Receive(Box::pin(async move {
                let result = tokio::select! {
                    biased;
                    result = receiver.recv() => result,
                    () = over(until) => Err(RecvError::Closed),
                };
                (receiver, result)
            })));
        }
        let Some(pending) = &mut self.pending else { return Poll::Ready(None) };
        let (receiver, result) = std::task::ready!(pending.0.as_mut().poll(cx));
        self.pending = None;
        self.receiver = Some(receiver);
        Poll::Ready(match result {
            Ok(item) => Some(Ok(item)),
            Err(RecvError::Lagged(count)) => Some(Err(Lagged(count))),
            Err(RecvError::Closed) => None,
        })
    }
}

/// Ends when the other end of `until` is gone.
async fn over(until: Option<watch::Receiver<usize>>) {
    let Some(mut until) = until else { return std::future::pending().await };
    while until.changed().await.is_ok() {}
}

/// The rumors of a topic, each at most once: first those of the last minute that no subscription of this node was given, then
/// what comes. As long as it is there, its topic stays joined. A stream, too.
///
/// ```
/// # use vouchsafe::TopicHandle;
/// # async fn f(lobby: TopicHandle) {
/// let mut rumors = lobby.subscribe().without_own();
/// while let Some(next) = rumors.next().await {
///     match next {
///         Ok(rumor) => println!("{}: {}", rumor.author().short(), String::from_utf8_lossy(rumor.body())),
///         Err(gap) => println!("{gap}"),
///     }
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Subscription {
    bundles: Reader<Delivered>,
    /// Of the bundle that is being read, and its sender.
    rumors: Option<(Rumors, Option<PublicKey>)>,
    /// Comes after the report of what is missing before it.
    held: Option<Delivered>,
    seen: Seen,
    /// Bundles missed that are not reported yet.
    missed: u64,
    membership: Arc<Membership>,
    /// The join had ended before, and nobody has been told.
    refused: bool,
    tick_len: TickLen,
    /// Ours.
    author: PublicKey,
    /// What we say is given, too.
    with_own: bool,
}

impl Subscription {
    pub(super) fn new(joined: &Joined, author: PublicKey) -> Self {
        let membership = Arc::clone(&joined.membership);
        let refused = membership.end.is_set();
        let sender = || joined.rumors.upgrade().filter(|_| !refused);
        let subscribe = || sender().map(|sender| sender.subscribe());
        let (receiver, seen) = joined
            .delivered
            .begin(subscribe, |receiver| receiver.as_ref().is_none_or(broadcast::Receiver::is_empty));
        membership.subscribe();
        let bundles = Reader::new(receiver, Some(membership.links.clone()));
        let tick_len = joined.rules.tick_len();
        Self {
            bundles,
            rumors: None,
            held: None,
            seen,
            missed: 0,
            membership,
            refused,
            tick_len,
            author,
            with_own: true,
        }
    }

    /// The same, without what this node's author says.
    #[must_use]
    pub fn without_own(mut self) -> Self {
        self.with_own = false;
        self
    }

    /// The next rumor if it is here already, from async code or any other. Who calls it in turns with [`Subscription::next`] misses nothing.
    ///
    /// # Errors
    /// [`TryRecvError::Empty`] if there is none now, and else what [`Subscription::next`] says.
    pub fn try_recv(&mut self) -> Result<Delivery, TryRecvError> {
        // Else a task that only ever asks, and never waits, would be told by tokio to let others go first.
        let mut next = std::pin::pin!(tokio::task::unconstrained(self.next()));
        match next.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Some(next)) => Ok(next?),
            Poll::Ready(None) => Err(TryRecvError::Ended),
            Poll::Pending => Err(TryRecvError::Empty),
        }
    }

    /// The next rumor, an error where some are missing ([`Gap`] says which; the stream goes on), or `None` when there will
    /// be no more. Cancel safe.
    pub async fn next(&mut self) -> Option<Result<Delivery, Gap>> {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Delivery, Gap>>> {
        if std::mem::take(&mut self.refused) {
            return Poll::Ready(Some(Err(Gap::NotJoined(self.membership.topic))));
        }
        loop {
            if let Some((rumors, via)) = &mut self.rumors {
                if let Some(rumor) = rumors.next() {
                    let own = rumor.author() == self.author;
                    return Poll::Ready(Some(Ok(Delivery {
                        rumor,
                        via: *via,
                        own,
                        tick_len: self.tick_len,
                    })));
                }
                self.rumors = None;
            }
            let next = match self.held.take() {
                Some(next) => next,
                None => match std::task::ready!(self.bundles.poll(cx)) {
                    Some(Ok(next)) => next,
                    // How many rumors they held is known when the next one is here.
                    Some(Err(Lagged(bundles))) => {
                        self.missed = self.missed.saturating_add(bundles);
                        continue;
                    }
                    None if self.missed > 0 => {
                        return Poll::Ready(Some(Err(Gap::Lagged(std::mem::take(&mut self.missed)))));
                    }
                    None => return Poll::Ready(None),
                },
            };
            if self.membership.end.is_before(next.before) {
                return Poll::Ready(None);
            }
            if std::mem::take(&mut self.missed) > 0 {
                let rumors = self.seen.missed(next.before);
                self.held = Some(next);
                return Poll::Ready(Some(Err(Gap::Lagged(rumors))));
            }
            let (bundle, via) = match next.told {
                Told::Bundle { bundle, via } => (bundle, via),
                Told::Missed { from_ms, to_ms } => {
                    self.seen.read(next.before, 0);
                    return Poll::Ready(Some(Err(Gap::Missed { from_ms, to_ms })));
                }
            };
            self.seen.read(next.before, bundle.len() as u64);
            // A bundle is of one author.
            if self.with_own || bundle.header().author != self.author {
                self.rumors = Some((bundle.rumors(), via));
            }
        }
    }
}

impl Stream for Subscription {
    type Item = Result<Delivery, Gap>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll(cx)
    }
}

/// What happens to a node, from the moment of asking. A stream, too.
///
/// ```
/// # use vouchsafe::{Event, Node};
/// # async fn f(node: Node) {
/// let mut events = node.events();
/// while let Some(event) = events.next().await {
///     match event {
///         Ok(Event::Impaired { what, .. }) => println!("something is wrong here: {what:?}"),
///         Ok(event) => println!("{event:?}"),
///         Err(lagged) => println!("{} events were not read in time", lagged.0),
///     }
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Events(Reader<Event>);

impl Events {
    /// A reader of what is still to come: of nothing, if the sender is gone.
    pub(super) fn of(sender: &broadcast::WeakSender<Event>) -> Self {
        Self(Reader::of(sender))
    }

    /// The next event, `Err(Lagged(n))` if `n` were dropped because this reader was too slow, or `None` when there will be
    /// no more. Cancel safe.
    pub async fn next(&mut self) -> Option<Result<Event, Lagged>> {
        std::future::poll_fn(|cx| self.0.poll(cx)).await
    }
}

impl Stream for Events {
    type Item = Result<Event, Lagged>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll(cx)
    }
}

/// What happens to members, from the moment of asking. A stream, too.
///
/// ```
/// # use vouchsafe::{MemberEvent, Node};
/// # async fn f(node: Node) -> Result<(), vouchsafe::Closed> {
/// let mut events = node.member_events();
/// while let Some(event) = events.next().await {
///     match event {
///         Ok(MemberEvent::Failed(key, why)) => println!("{} is gone: {why:?}", key.short()),
///         Ok(event) => println!("{event}"),
///         // All of them, as they are now.
///         Err(_) => println!("{} members", node.members().await?.len()),
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct MemberEvents(Reader<MemberEvent>);

impl MemberEvents {
    pub(super) fn of(sender: &broadcast::WeakSender<MemberEvent>) -> Self {
        Self(Reader::of(sender))
    }

    /// The next event, `Err(Lagged(n))` if `n` were dropped because this reader was too slow: then ask
    /// [`Node::members`](super::Node::members). `None` when there will be no more. Cancel safe.
    pub async fn next(&mut self) -> Option<Result<MemberEvent, Lagged>> {
        std::future::poll_fn(|cx| self.0.poll(cx)).await
    }
}

impl Stream for MemberEvents {
    type Item = Result<MemberEvent, Lagged>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll(cx)
    }
}
