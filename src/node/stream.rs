//! What a node tells the application: rumors and events, as streams that say when they lag.

use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::tally::{Seen, Tally};
use crate::key::PublicKey;
use crate::protocol::Event;
use crate::rumor::{Bundle, Rumor, Rumors};

/// The reader was too slow, and this many items were dropped for it. The node never waits for a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("read too slowly: {0} items were dropped for this reader; read faster, or ask for a larger capacity")]
pub struct Lagged(pub u64);

/// A rumor and how it came.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivery {
    /// The rumor.
    pub rumor: Rumor,
    /// The peer whose copy was accepted; `None` for what this node published.
    pub from: Option<PublicKey>,
}

/// What goes through a topic's channel: a bundle, so that the node's loop hands over sixty-four rumors as quickly as one.
#[derive(Clone, Debug)]
pub(super) struct Delivered {
    pub(super) bundle: Arc<Bundle>,
    pub(super) from: Option<PublicKey>,
    /// Rumors of the topic that were delivered before it.
    pub(super) before: u64,
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
        Self::new(sender.upgrade().map(|sender| sender.subscribe()))
    }

    fn new(receiver: Option<broadcast::Receiver<T>>) -> Self {
        Self { pending: None, receiver }
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
            self.pending = Some(Receive(Box::pin(async move {
                let result = receiver.recv().await;
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

/// The rumors of a topic, from the moment of subscribing. Each at most once.
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
}

impl Subscription {
    /// A reader of what is still to come: of nothing, if the sender is gone.
    pub(super) fn new(sender: &broadcast::WeakSender<Delivered>, delivered: &Tally) -> Self {
        let subscribe = || sender.upgrade().map(|sender| sender.subscribe());
        let (receiver, seen) = delivered
            .begin(subscribe, |receiver| receiver.as_ref().is_none_or(broadcast::Receiver::is_empty));
        Self { bundles: Reader::new(receiver), rumors: None, held: None, seen, missed: 0 }
    }

    /// The next rumor, `Err(Lagged(n))` if `n` rumors were dropped because this reader was too slow, or `None` when there
    /// will be no more. Cancel safe.
    pub async fn next(&mut self) -> Option<Result<Delivery, Lagged>> {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Delivery, Lagged>>> {
        loop {
            if let Some((rumors, from)) = &mut self.rumors {
                if let Some(rumor) = rumors.next() {
                    return Poll::Ready(Some(Ok(Delivery { rumor, from: *from })));
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
                        return Poll::Ready(Some(Err(Lagged(std::mem::take(&mut self.missed)))));
                    }
                    None => return Poll::Ready(None),
                },
            };
            if std::mem::take(&mut self.missed) > 0 {
                let rumors = self.seen.missed(next.before);
                self.held = Some(next);
                return Poll::Ready(Some(Err(Lagged(rumors))));
            }
            self.seen.read(next.before, next.bundle.len() as u64);
            self.rumors = Some((next.bundle.rumors(), next.from));
        }
    }
}

impl Stream for Subscription {
    type Item = Result<Delivery, Lagged>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll(cx)
    }
}

/// What happens to a node, from the moment of asking.
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
