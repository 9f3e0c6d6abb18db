//! Watching keys: a stream of what becomes of them.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;

use crate::key::PublicKey;
use crate::node::TopicHandle;
use crate::node::state::{Told, Values, View, WatcherId};
use crate::rumor::Position;

/// What has become of a key.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Change {
    /// An author has given a key a value.
    Put {
        /// Who.
        author: PublicKey,
        /// Which key.
        key: Bytes,
        /// Its value.
        value: Bytes,
        /// Where the author has said so.
        position: Position,
    },
    /// An author has deleted a key.
    Delete {
        /// Who.
        author: PublicKey,
        /// Which key.
        key: Bytes,
        /// Where the author has said so.
        position: Position,
    },
    /// What an author said of a key is not shown any more: its time is over, it was pushed out by newer keys, or the judge rejects what
    /// the author has said since.
    Gone {
        /// Who.
        author: PublicKey,
        /// Which key.
        key: Bytes,
    },
    /// An author of whom something was shown was convicted, and nothing it said is shown any more. Of authors of whom nothing was shown
    /// [`Event::Convicted`](crate::Event::Convicted) tells, as of all. A watcher that does not read holds the newest 16 384 convictions.
    Convicted {
        /// Who.
        author: PublicKey,
    },
}

/// Keys that begin so, of all authors: what there is, then each change as it is committed. Of a key that changes often the newest value is
/// given, and not each in between: a watcher that does not read holds each key once, and nobody waits for it.
///
/// Dropping it ends it. It ends with `None` when the node is shut down, or when the topic was left. A stream, too.
///
/// ```
/// # use vouchsafe::{Change, Kv};
/// # async fn f(kv: Kv) {
/// let mut limits = kv.watch("limits/");
/// while let Some(change) = limits.next().await {
///     if let Change::Put { author, key, value, .. } = change {
///         println!("{} says that {key:?} is {value:?}", author.short());
///     }
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Watch {
    view: Arc<View>,
    id: WatcherId,
    /// As long as somebody watches, the topic stays joined.
    _handle: TopicHandle,
}

impl Watch {
    pub(super) fn new(view: Arc<View>, handle: TopicHandle, prefix: Bytes) -> Self {
        let id = view.watch(prefix);
        Self { view, id, _handle: handle }
    }

    /// The next change, waiting for it if need be. Cancel safe.
    pub async fn next(&mut self) -> Option<Change> {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &Context<'_>) -> Poll<Option<Change>> {
        self.view.poll_watcher(self.id, cx, change)
    }
}

fn change(told: Told, values: &Values) -> Change {
    match told {
        Told::Convicted(author) => Change::Convicted { author },
        Told::Key((author, key)) => match values.entry(&author, &key) {
            Some(entry) => match entry.value {
                Some(value) => Change::Put { author, key, value, position: entry.position },
                None => Change::Delete { author, key, position: entry.position },
            },
            None => Change::Gone { author, key },
        },
    }
}

impl Stream for Watch {
    type Item = Change;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Change>> {
        self.poll(cx)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.view.unwatch(self.id);
    }
}
