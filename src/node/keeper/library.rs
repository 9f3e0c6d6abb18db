//! What applications read with: it reaches the readers for as long as the node lives, and keeps nothing alive.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::oneshot;

use super::readers::{Met, Readers};
use super::tails::{Tail, Tails};
use crate::protocol::keeping::{Cursor, Head, Live, Page, Range, Scan};
use crate::rumor::TopicId;
use crate::store::{Reader, Res};

/// Cheap to clone.
#[derive(Clone)]
pub(in crate::node) struct Library {
    desk: Desk,
    tails: Arc<Tails>,
}

#[derive(Clone)]
enum Desk {
    /// Read at once: nothing there takes long.
    Memory(Weak<Mutex<Box<dyn Reader>>>),
    Disk(Weak<Readers>),
    Closed,
}

/// What a read will give; an error of it means that the node has ended.
pub(in crate::node) type UnderWay<T> = oneshot::Receiver<Res<T>>;

impl std::fmt::Debug for Library {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Library(..)")
    }
}

impl Library {
    pub(super) fn in_memory(reader: &Arc<Mutex<Box<dyn Reader>>>, tails: &Arc<Tails>) -> Self {
        Self { desk: Desk::Memory(Arc::downgrade(reader)), tails: Arc::clone(tails) }
    }

    pub(super) fn on_disk(readers: &Arc<Readers>, tails: &Arc<Tails>) -> Self {
        Self { desk: Desk::Disk(Arc::downgrade(readers)), tails: Arc::clone(tails) }
    }

    pub(super) fn closed(tails: &Arc<Tails>) -> Self {
        Self { desk: Desk::Closed, tails: Arc::clone(tails) }
    }

    /// The end of a topic, to wait at.
    pub(in crate::node) fn tail(&self, topic: TopicId) -> Arc<Tail> {
        self.tails.tail(topic)
    }

    /// Somebody waits at the end of a topic: the next commit of it comes sooner.
    pub(in crate::node) fn is_awaited(&self) {
        if let Desk::Disk(readers) = &self.desk
            && let Some(readers) = readers.upgrade()
        {
            readers.are_awaited();
        }
    }

    /// Reads on in the order of arrival.
    pub(in crate::node) fn scan(&self, topic: TopicId, after: Cursor, max_bytes: usize) -> UnderWay<Scan> {
        let met = move |scan: &Res<Scan>| match scan {
            Ok(scan) if !scan.rotten.is_empty() => Met::Rot(topic, scan.rotten.clone()),
            other => Met::by(other),
        };
        self.read_and(move |reader| reader.scan(&topic, after, max_bytes), met)
    }

    /// Reads what an author has said, in the order of positions.
    pub(in crate::node) fn history(&self, topic: TopicId, range: Range, max_bytes: usize) -> UnderWay<Page> {
        let met = move |page: &Res<Page>| match page {
            Ok(page) if !page.rotten.is_empty() => Met::Rot(topic, page.rotten.clone()),
            other => Met::by(other),
        };
        self.read_and(move |reader| reader.history(&topic, &range, max_bytes), met)
    }

    /// Reads what is live in a topic of state.
    pub(in crate::node) fn live(
        &self,
        topic: TopicId,
        after: Option<Head>,
        max_bytes: usize,
    ) -> UnderWay<Live> {
        let met = move |live: &Res<Live>| {
            let rotten = |live: &Live| {
                let items = live.items.iter().filter(|item| item.bundle.is_none());
                items.map(|item| (item.head.author, item.head.position)).collect::<Vec<_>>()
            };
            match live.as_ref().map(rotten) {
                Ok(rotten) if !rotten.is_empty() => Met::Rot(topic, rotten),
                _ => Met::by(live),
            }
        };
        self.read_and(move |reader| reader.live(&topic, after.as_ref(), max_bytes), met)
    }

    /// Reads something.
    pub(in crate::node) fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn Reader) -> Res<T> + Send + 'static,
    ) -> UnderWay<T> {
        self.read_and(read, Met::by)
    }

    fn read_and<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn Reader) -> Res<T> + Send + 'static,
        met: impl FnOnce(&Res<T>) -> Met + Send + 'static,
    ) -> UnderWay<T> {
        let (answer, answered) = oneshot::channel();
        match &self.desk {
            Desk::Closed => {}
            Desk::Memory(reader) => {
                if let Some(reader) = reader.upgrade() {
                    let reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
                    // An error means that nobody waits any more.
                    let _ = answer.send(read(&**reader));
                }
            }
            Desk::Disk(readers) => {
                if let Some(readers) = readers.upgrade() {
                    readers.give(Box::new(move |reader| {
                        let found = reader.and_then(read);
                        let met = met(&found);
                        // An error means that nobody waits any more.
                        let _ = answer.send(found);
                        met
                    }));
                }
            }
        }
        answered
    }
}
