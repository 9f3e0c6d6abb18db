//! What a topic keeps, read for one client alone, until it stands where others read.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::SemaphorePermit;
use tokio::time::timeout;
use vouchsafe::{Cursor, Item, Replay, ReplayError, TopicHandle};

use super::Shared;
use super::parts::{Gone, Parts};
use crate::agent::feed::{self, Reader};
use crate::agent::follow::{Followed, item_of};

/// A reader for which nothing has come for so long has read all there is.
const AT_END: Duration = Duration::from_millis(300);
/// How often one that has not looks whether it has come to where others read.
const LOOK: u32 = 64;

/// A client that reads a topic alone.
pub(super) struct Past {
    pub(super) shared: Arc<Shared>,
    pub(super) topic: TopicHandle,
    pub(super) followed: Arc<Followed>,
    /// Behind what it has been told.
    pub(super) stands: Cursor,
}

/// What a replay gives.
type Found = Option<Result<Item, ReplayError>>;

impl Past {
    /// Reads in turns with others, until the client stands where others read: the reader with which it goes on. `Gone`: the client has, or
    /// it has been told that there is no more to come.
    pub(super) async fn read(mut self, parts: Parts) -> Result<(Reader, Self), Gone> {
        let shared = Arc::clone(&self.shared);
        loop {
            let turn = unless_gone(&parts, shared.alone()).await?;
            if let Some(reader) = self.turn(&parts, turn).await? {
                return Ok((reader, self));
            }
        }
    }

    /// Reads for one turn, which goes on for as long as nobody waits for it.
    async fn turn(
        &mut self,
        parts: &Parts,
        turn: Option<SemaphorePermit<'_>>,
    ) -> Result<Option<Reader>, Gone> {
        let shared = Arc::clone(&self.shared);
        let mut is_over = pin!(shared.turn_is_over());
        let mut replay = self.topic.replay(self.stands);
        for count in 1u32.. {
            let item = tokio::select! {
                item = unless_gone(parts, self.next(&mut replay)) => match item? {
                    Ok(item) => item,
                    Err(reader) => return Ok(Some(reader)),
                },
                () = &mut is_over => return Ok(None),
            };
            let Some(item) = item else {
                parts.send(feed::end()).await?;
                return Err(Gone);
            };
            // A cursor of another store stays one: the client has to begin again.
            let is_last = matches!(&item, Err(ReplayError::Foreign | ReplayError::NotKept(_)));
            let is_rumor = matches!(&item, Ok(Item::Rumor { .. }));
            if let Some((kind, data)) = item_of(item) {
                self.stands = replay.cursor();
                let part = feed::part(kind, is_rumor.then_some(self.stands), &data);
                let mut sent = pin!(parts.send(part));
                let gives_way = tokio::select! {
                    biased;
                    sent = &mut sent => { sent?; false }
                    () = &mut is_over => true,
                };
                if gives_way {
                    // The page and the place go before the client has taken this.
                    drop((replay, turn));
                    sent.await?;
                    return Ok(None);
                }
            }
            if is_last {
                return Err(Gone);
            }
            if count % LOOK == 0
                && let Some(reader) = self.followed.behind(self.stands).await
            {
                return Ok(Some(reader));
            }
        }
        Ok(None)
    }

    /// What comes next, or the reader with which the client goes on. Cancel safe.
    async fn next(&self, replay: &mut Replay) -> Result<Found, Reader> {
        match timeout(AT_END, replay.next()).await {
            Ok(item) => return Ok(item),
            // A disk that is slow is no end, nor is a place of which the store has not said that it knows it.
            Err(_) if !replay.is_at_end() => {}
            Err(_) => {
                if let Some(reader) = self.followed.join(&self.topic, self.stands).await {
                    return Err(reader);
                }
                // Others do not know where it stands: with the next rumor they will.
            }
        }
        Ok(replay.next().await)
    }
}

/// What comes of `source`, unless the client goes.
async fn unless_gone<T>(parts: &Parts, source: impl Future<Output = T>) -> Result<T, Gone> {
    tokio::select! {
        next = source => Ok(next),
        () = parts.closed() => Err(Gone),
    }
}
