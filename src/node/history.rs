//! What one author has said in a topic, as far as it is kept.

use std::ops::{Bound, RangeBounds};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use super::Cursor;
use super::keeper::{Library, UnderWay};
use super::message::Joined;
use super::replay::ReplayError;
use crate::key::PublicKey;
use crate::protocol::keeping::{self, Frontier, Page, Range};
use crate::rumor::{Bundle, Position, Rumor, Rumors, TopicId};
use crate::store::StoreError;

/// Bytes of bundles that are taken from the store at once.
const HISTORY_PAGE: usize = 128 * 1024;
/// Holes that a frontier lists.
const HOLES: usize = 64;

/// The rumors of one author, in the order of their positions: those that were kept when they were read. A stream, too.
/// [`TopicHandle::history`](super::TopicHandle::history) has an example.
#[derive(Debug)]
pub struct History {
    topic: TopicId,
    library: Library,
    range: Range,
    /// The first position that is asked for.
    first: Position,
    page: Option<UnderWay<Page>>,
    bundles: std::vec::IntoIter<Arc<Bundle>>,
    rumors: Option<Rumors>,
    /// The topic, if it is not kept.
    refused: Option<TopicId>,
    over: bool,
}

impl History {
    pub(super) fn new(joined: &Joined, author: PublicKey, positions: impl RangeBounds<Position>) -> Self {
        let least = Position { tick: 0, slot: 0 };
        let first = match positions.start_bound() {
            Bound::Included(at) => Some(*at),
            Bound::Excluded(at) => after(*at),
            Bound::Unbounded => Some(least),
        };
        let upto = match positions.end_bound() {
            Bound::Included(at) => Some(*at),
            Bound::Excluded(at) => before(*at),
            Bound::Unbounded => Some(Position { tick: u64::MAX, slot: u16::MAX }),
        };
        let over = first.is_none() || upto.is_none();
        let refused = (!joined.rules.is_kept()).then(|| joined.rules.id());
        let (first, upto) = (first.unwrap_or(least), upto.unwrap_or(least));
        // A bundle that starts before the first position may reach into it; none reaches over the end of a tick.
        let range = Range { author, from: (first.tick, 0), upto };
        Self {
            topic: joined.rules.id(),
            library: joined.library.clone(),
            range,
            first,
            page: None,
            bundles: Vec::new().into_iter(),
            rumors: None,
            refused,
            over,
        }
    }

    /// The next rumor, or `None` at the end. After an error the stream goes on where it was. Cancel safe.
    pub async fn next(&mut self) -> Option<Result<Rumor, ReplayError>> {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Rumor, ReplayError>>> {
        if let Some(topic) = self.refused.take() {
            self.over = true;
            return Poll::Ready(Some(Err(ReplayError::NotKept(topic))));
        }
        loop {
            let asked = self.first..=self.range.upto;
            if let Some(rumor) = self.rumors.as_mut().and_then(Iterator::next) {
                if asked.contains(&rumor.position()) {
                    return Poll::Ready(Some(Ok(rumor)));
                }
                continue;
            }
            self.rumors = self.bundles.next().map(|bundle| bundle.rumors());
            if self.rumors.is_some() {
                continue;
            }
            let Range { from, upto, .. } = self.range;
            if self.over || from > (upto.tick, upto.slot.into()) {
                return Poll::Ready(None);
            }
            let (topic, range) = (self.topic, self.range);
            let page = self.page.get_or_insert_with(|| self.library.history(topic, range, HISTORY_PAGE));
            let found = ready!(Pin::new(page).poll(cx));
            self.page = None;
            match found {
                Ok(Ok(page)) => {
                    match page.next.first() {
                        Some(next) if *next > from => self.range.from = *next,
                        _ => self.over = true,
                    }
                    self.bundles = page.bundles.into_iter();
                }
                // Nothing of the topic was ever kept.
                Ok(Err(StoreError::NotOpen)) => self.over = true,
                Ok(Err(error)) => return Poll::Ready(Some(Err(ReplayError::of(&error)))),
                Err(_) => {
                    self.over = true;
                    return Poll::Ready(Some(Err(ReplayError::Closed)));
                }
            }
        }
    }
}

impl Stream for History {
    type Item = Result<Rumor, ReplayError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll(cx)
    }
}

/// The rumor that an author has said at a position.
pub(super) async fn get(
    joined: &Joined,
    author: PublicKey,
    at: Position,
) -> Result<Option<Rumor>, ReplayError> {
    let topic = kept(joined)?;
    let bundle = answer(joined.library.read(move |reader| reader.find(&topic, &author, at))).await?;
    Ok(bundle.flatten().and_then(|bundle| bundle.rumors().find(|rumor| rumor.position() == at)))
}

/// How far an author's chain is held.
pub(super) async fn frontier(joined: &Joined, author: PublicKey) -> Result<Frontier, ReplayError> {
    let topic = kept(joined)?;
    let frontier = joined.library.read(move |reader| reader.frontier(&topic, &author, HOLES));
    Ok(answer(frontier).await?.unwrap_or_default())
}

/// Where what is kept ends now. A store that has never opened the topic has nothing of it.
pub(super) async fn end(joined: &Joined) -> Result<Cursor, ReplayError> {
    let topic = kept(joined)?;
    let end = answer(joined.library.scan(topic, keeping::Cursor::END, 0)).await?;
    Ok(end.map_or(Cursor::START, |end| Cursor::within(end.next, 0)))
}

/// The topic, if it is kept.
fn kept(joined: &Joined) -> Result<TopicId, ReplayError> {
    let topic = joined.rules.id();
    if joined.rules.is_kept() { Ok(topic) } else { Err(ReplayError::NotKept(topic)) }
}

/// `None` if the store has never opened the topic.
async fn answer<T>(under_way: UnderWay<T>) -> Result<Option<T>, ReplayError> {
    match under_way.await {
        Ok(Ok(found)) => Ok(Some(found)),
        Ok(Err(StoreError::NotOpen)) => Ok(None),
        Ok(Err(error)) => Err(ReplayError::of(&error)),
        Err(_) => Err(ReplayError::Closed),
    }
}

fn after(at: Position) -> Option<Position> {
    let next = at.slot.checked_add(1).map(|slot| Position { slot, ..at });
    next.or_else(|| at.tick.checked_add(1).map(|tick| Position { tick, slot: 0 }))
}

fn before(at: Position) -> Option<Position> {
    let last = at.slot.checked_sub(1).map(|slot| Position { slot, ..at });
    last.or_else(|| at.tick.checked_sub(1).map(|tick| Position { tick, slot: u16::MAX }))
}
