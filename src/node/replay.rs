//! What a topic has kept, read in the order in which it came, then on as it comes.

use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream;
use tokio::time::{Sleep, sleep};

use super::Cursor;
use super::convicted::Convicted;
use super::folder::{CursorError, NamedCursor};
use super::keeper::{Library, Tail, UnderWay, Waiter};
use super::membership::Membership;
use super::message::Joined;
use crate::protocol::keeping::{self, Arrival, Missed, Scan, Scanned};
use crate::rumor::{Rumor, Rumors, TopicId};
use crate::store::StoreError;

/// Bytes of bundles that a reader takes from the store at once, and holds at most. (Or one bundle, which may be larger.)
const PAGE: usize = 128 * 1024;
/// A store that fails is read again after this.
const AGAIN: Duration = Duration::from_secs(1);

/// Something that a [`Replay`] has found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Item {
    /// A rumor.
    Rumor {
        /// Where the reader stands that has dealt with it.
        cursor: Cursor,
        /// What was said.
        rumor: Rumor,
        /// It came by repair, later than rumors spread: it has its place in the order of arrival, and not in that of time.
        late: bool,
        /// It came after later words of its author that are older than rumors spread, so the author may have added it to its own past.
        off_chain: bool,
        /// Its author has said two things at one position, here or elsewhere.
        author_convicted: bool,
    },
    /// Some of what stood here was removed before this reader came: expired, or dropped for want of room. What is left of it follows.
    Missed {
        /// The first place in the order of arrival that the reader had not read.
        from: u64,
        /// The last place that was removed.
        to: u64,
    },
}

/// Why the past can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The topic is not kept: its retention is no longer than what is relayed in any case, 90 s.
    #[error("topic {0} is not kept: give it a retention of more than 90 s")]
    NotKept(TopicId),
    /// The cursor is of another store, or this store is a copy older than the cursor. Without more effort on the application's side some
    /// rumors would come again, or never.
    #[error(
        "the cursor is of another store, or of a later state of this one: begin again from Cursor::START, or forget the name with \
         `TopicHandle::forget_replay`"
    )]
    Foreign,
    /// The store can't be read now.
    #[error("the store can't be read: {0}; ask again")]
    Store(String),
    /// The node has been shut down.
    #[error("the node is closed: spawn a new one")]
    Closed,
}

impl ReplayError {
    pub(super) fn of(error: &StoreError) -> Self {
        match error {
            StoreError::Foreign => Self::Foreign,
            StoreError::Closed => Self::Closed,
            other => Self::Store(other.to_string()),
        }
    }
}

/// A topic's rumors in the order in which they came to this node: those that are kept, then each as it is kept. Each is given once to
/// an application that keeps its [`Cursor`]. As long as it is there, its topic stays joined.
///
/// A node without a store on a disk keeps some of the past in memory, and a replay of it is the same in all but that it ends with the node.
///
/// ```
/// # use vouchsafe::{Cursor, Item, TopicHandle};
/// # async fn f(log: TopicHandle) -> Result<(), vouchsafe::ReplayError> {
/// let mut past = log.replay(Cursor::START); // or log.replay_named("indexer")
/// while let Some(item) = past.next().await {
///     if let Item::Rumor { rumor, late, .. } = item? {
///         println!("{} bytes at {}, late: {late}", rumor.body().len(), rumor.position());
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Replay {
    membership: Arc<Membership>,
    library: Library,
    convicted: Convicted,
    tail: Arc<Tail>,
    waiter: Waiter,
    /// The version of the end of the topic at the last look.
    seen: u64,
    /// Behind which place the next look begins.
    after: keeping::Cursor,
    /// Where the application stands.
    stands: Cursor,
    /// The bundle of which it has dealt with some rumors, and how many are left of it.
    rest: Option<(u64, u16)>,
    /// Up to which place it was told that some are missed.
    told: u64,
    look: Look,
    page: std::vec::IntoIter<Scanned>,
    bundle: Option<Bundle>,
    /// Under which name its place is saved, if it has one.
    name: Option<NamedCursor>,
}

/// How far the next look is.
#[derive(Debug)]
enum Look {
    /// To be begun.
    Due,
    UnderWay(UnderWay<Scan>),
    /// There was nothing more, or no topic yet.
    AtEnd {
        /// The writer knows that somebody waits.
        told: bool,
        /// The store has said so. Else it is out of work.
        known: bool,
    },
    /// The topic is not kept.
    NotKept,
    /// The store has failed.
    Failed(Pin<Box<Sleep>>),
    /// There is no more to come.
    Over,
}

/// The bundle that is being read.
#[derive(Debug)]
struct Bundle {
    rumors: Rumors,
    place: keeping::Cursor,
    arrival: Arrival,
    author_convicted: bool,
}

impl Replay {
    pub(super) fn new(joined: &Joined, cursor: Cursor) -> Self {
        let topic = joined.rules.id();
        let tail = joined.library.tail(topic);
        Self {
            membership: Arc::clone(&joined.membership),
            library: joined.library.clone(),
            convicted: joined.convicted.clone(),
            waiter: tail.waiter(),
            seen: tail.version(),
            tail,
            after: cursor.place(),
            stands: cursor,
            rest: cursor.rest(),
            told: 0,
            look: if joined.rules.is_kept() { Look::Due } else { Look::NotKept },
            page: Vec::new().into_iter(),
            bundle: None,
            name: None,
        }
    }

    /// Saves its place under this name.
    pub(super) fn named(mut self, name: NamedCursor) -> Self {
        self.name = Some(name);
        self
    }

    /// The next item, waiting for it if need be. `None` when the node is shut down, or the topic was left over this handle and all of it
    /// is read. After an error of the store the stream goes on; after [`ReplayError::Foreign`] it has ended. Cancel safe.
    pub async fn next(&mut self) -> Option<Result<Item, ReplayError>> {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    /// Whether it has given all that is kept and waits for more: where an application that wants the past alone stops.
    #[must_use]
    pub const fn is_at_end(&self) -> bool {
        matches!(self.look, Look::AtEnd { known: true, .. })
    }

    /// Where the reader stands: behind the last rumor that it has given.
    #[must_use]
    pub const fn cursor(&self) -> Cursor {
        self.stands
    }

    /// Saves where the reader stands: behind the last rumor that it has given. A replay of this name begins there, in this life or the next.
    /// Answers when it is on the disk, some milliseconds later. So who saves after each item is given none twice, but for the one that a
    /// crash came after; who saves after each hundred is given up to a hundred again after a crash, and is faster.
    ///
    /// Dropping this future before it is done leaves it open whether the place was saved.
    ///
    /// # Errors
    /// If the replay has no name, the disk fails, or the node has ended. What was saved before still holds.
    pub async fn save(&mut self) -> Result<(), CursorError> {
        let name = self.name.as_ref().ok_or(CursorError::Unnamed)?;
        name.save(self.stands).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Item, ReplayError>>> {
        loop {
            if let Some(item) = self.next_rumor() {
                return Poll::Ready(Some(Ok(item)));
            }
            match &mut self.look {
                Look::Over => return Poll::Ready(None),
                Look::Due => {
                    self.seen = self.tail.version();
                    let scan = self.library.scan(self.membership.topic, self.after, PAGE);
                    self.look = Look::UnderWay(scan);
                }
                Look::UnderWay(scan) => {
                    let found = ready!(Pin::new(scan).poll(cx));
                    // Without an answer the node has ended.
                    self.look = Look::Over;
                    let Ok(found) = found else { continue };
                    if let Some(told) = self.found(found) {
                        return Poll::Ready(Some(told));
                    }
                }
                Look::AtEnd { told, .. } => {
                    if self.tail.poll_beyond(self.seen, self.waiter, cx).is_ready() {
                        self.look = Look::Due;
                        continue;
                    }
                    if !self.membership.end.is_set() {
                        if !std::mem::replace(told, true) {
                            self.library.is_awaited();
                        }
                        return Poll::Pending;
                    }
                    self.look = Look::Over;
                }
                Look::NotKept => {
                    self.look = Look::Over;
                    return Poll::Ready(Some(Err(ReplayError::NotKept(self.membership.topic))));
                }
                Look::Failed(sleep) => {
                    ready!(sleep.as_mut().poll(cx));
                    self.look = Look::Due;
                }
            }
        }
    }

    /// The next rumor of the page.
    fn next_rumor(&mut self) -> Option<Item> {
        loop {
            if let Some(bundle) = &mut self.bundle {
                if let Some(rumor) = bundle.rumors.next() {
                    let left = u16::try_from(bundle.rumors.len()).unwrap_or(u16::MAX);
                    let cursor = Cursor::within(bundle.place, left);
                    self.stands = cursor;
                    return Some(Item::Rumor {
                        cursor,
                        rumor,
                        late: bundle.arrival.is_late(),
                        off_chain: bundle.arrival == Arrival::Late { below: true },
                        author_convicted: bundle.author_convicted,
                    });
                }
                self.bundle = None;
            }
            let Scanned { cursor: place, bundle, arrival } = self.page.next()?;
            let mut rumors = bundle.rumors();
            if let Some((sequence, left)) = self.rest.take()
                && sequence == place.sequence
            {
                let read = rumors.len().saturating_sub(left.into());
                rumors.by_ref().take(read).for_each(drop);
            }
            let author_convicted = self.convicted.contains(&bundle.header().author);
            self.bundle = Some(Bundle { rumors, place, arrival, author_convicted });
        }
    }

    /// A look has ended. Gives what is to be told before what it has found.
    fn found(&mut self, found: Result<Scan, StoreError>) -> Option<Result<Item, ReplayError>> {
        let scan = match found {
            Ok(scan) => scan,
            // Nothing of it was ever kept, or the store is opened anew: whoever does it wakes us.
            Err(error @ (StoreError::NotOpen | StoreError::Closed | StoreError::Damaged(_))) => {
                self.look = Look::AtEnd { told: false, known: matches!(error, StoreError::NotOpen) };
                return None;
            }
            Err(error) => {
                let error = ReplayError::of(&error);
                if error != ReplayError::Foreign {
                    self.look = Look::Failed(Box::pin(sleep(AGAIN)));
                }
                return Some(Err(error));
            }
        };
        if self.after == keeping::Cursor::START {
            self.told = scan.gone;
        }
        self.after = scan.next;
        let is_last = scan.items.is_empty() && !scan.more;
        self.look = if is_last { Look::AtEnd { told: false, known: true } } else { Look::Due };
        self.page = scan.items.into_iter();
        let Missed { from, to } = scan.missed?;
        let from = from.max(self.told.saturating_add(1));
        (to > self.told).then(|| {
            self.told = to;
            Ok(Item::Missed { from, to })
        })
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        self.tail.forget(self.waiter);
    }
}

impl Stream for Replay {
    type Item = Result<Item, ReplayError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SecretKey;
    use crate::node::convicted::Convicted;
    use crate::node::keeper::Keeper;
    use crate::node::membership::{JoinId, Member};
    use crate::protocol::RepairProgress;
    use crate::protocol::keeping::{Keep, Keeping, Show, StoreJob};
    use crate::rumor::{NetworkId, Position, RuleSet, Topic, seal};

    /// Reads a topic of a store.
    fn reads(rules: Arc<RuleSet>, keeper: &Keeper, convicted: Convicted) -> (Replay, Member) {
        let (notices, _told) = tokio::sync::mpsc::unbounded_channel();
        let (member, membership) =
            Member::begin(rules.id(), JoinId(1), (0, RepairProgress::default()), &Arc::default(), notices);
        let joined = Joined {
            rules,
            rumors: tokio::sync::broadcast::channel(1).0.downgrade(),
            delivered: Default::default(),
            membership,
            taken_back: tokio::sync::mpsc::unbounded_channel().0,
            library: keeper.library(),
            convicted,
        };
        (Replay::new(&joined, Cursor::START), member)
    }

    fn kept() -> Arc<RuleSet> {
        let topic = Topic::named("t").retention(Duration::from_secs(3_600));
        Arc::new(topic.bind(NetworkId::of("n")).unwrap())
    }

    #[tokio::test]
    async fn a_store_that_is_out_of_work_is_no_end() {
        let keeper = Keeper::in_memory(&SecretKey::from_seed(&[7; 32]).public());
        let (mut replay, _member) = reads(kept(), &keeper, Convicted::default());
        assert!(!replay.is_at_end());
        for (error, is_end) in [
            (StoreError::Closed, false),
            (StoreError::Damaged(String::new()), false),
            (StoreError::NotOpen, true),
        ] {
            let what = error.to_string();
            assert_eq!(replay.found(Err(error)), None);
            assert_eq!(replay.is_at_end(), is_end, "{what}");
        }
    }

    #[tokio::test]
    async fn a_reader_of_the_past_holds_one_page() {
        let author = SecretKey::from_seed(&[7; 32]);
        let rules = kept();
        let mut keeper = Keeper::in_memory(&author.public());
        let keeping = Keeping {
            bytes: u64::MAX,
            shared: u64::MAX,
            authors: 9,
            judged_by: None,
            recent_from: 0,
            latest: u64::MAX,
        };
        keeper.give(StoreJob::Open { rules: Arc::clone(&rules), keeping }, 0);
        for tick in 0..300 {
            let position = Position { tick, slot: 0 };
            let bundle = seal(&author, rules.id(), position, &[vec![0; 5_000].into()]).unwrap();
            let keep = Keep { bundle: Arc::new(bundle), arrival: Arrival::Live, show: Show::Now };
            keeper.give(StoreJob::Keep { keep, urgent: false }, 0);
        }
        let convicted = Convicted::default();
        convicted.insert(author.public(), Vec::new);
        let (mut replay, _member) = reads(rules, &keeper, convicted);
        for _ in 0..300 {
            let item = replay.next().await.unwrap().unwrap();
            assert!(matches!(item, Item::Rumor { author_convicted: true, late: false, .. }), "{item:?}");
            let held: usize = replay.page.as_slice().iter().map(|item| item.bundle.encoded().len()).sum();
            assert!(held <= PAGE, "{held} bytes are held");
        }
    }
}
