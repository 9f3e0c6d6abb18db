//! What a node tells the application: rumors and events, as streams that say when they lag.

use std::ops::Deref;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use crate::key::PublicKey;
use crate::protocol::Event;
use crate::rumor::Rumor;

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

impl Delivery {
    pub(super) const fn new(rumor: Rumor, from: Option<PublicKey>) -> Self {
        Self { rumor, from }
    }
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

/// Declares a public stream over a reader.
macro_rules! reader {
    ($(#[$doc:meta])* $name:ident of $item:ty) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name(Reader<$item>);

        impl $name {
            /// A reader of what is still to come: of nothing, if the sender is gone.
            pub(super) fn of(sender: &broadcast::WeakSender<$item>) -> Self {
                let receiver = sender.upgrade().map(|sender| sender.subscribe());
                Self(Reader { pending: None, receiver })
            }

            /// The next item, `Err(Lagged(n))` if `n` were dropped because this reader was too slow, or `None` when
            /// there will be no more. Cancel safe.
            pub async fn next(&mut self) -> Option<Result<$item, Lagged>> {
                std::future::poll_fn(|cx| self.0.poll(cx)).await
            }
        }

        impl Stream for $name {
            type Item = Result<$item, Lagged>;

            fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
                self.0.poll(cx)
            }
        }
    };
}

reader! {
    /// The rumors of a topic, from the moment of subscribing. Each at most once.
    Subscription of Delivery
}

reader! {
    /// What happens to a node, from the moment of asking.
    Events of Event
}
