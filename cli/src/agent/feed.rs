//! What many watchers are told alike: written once, kept for a while, and read by each at its own pace. Nobody waits for a watcher.

use std::collections::VecDeque;
use std::fmt::Display;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::watch;
use vouchsafe::Cursor;

/// Parts that a feed keeps.
pub(crate) const KEPT: usize = 1_024;
/// Bytes of them. The newest part is kept however long it is.
pub(crate) const KEPT_BYTES: usize = 8 << 20;

/// Parts of a stream of server-sent events, the newest of all that there were.
pub(crate) struct Feed {
    /// Tells a feed from those of earlier lives: numbers begin anew.
    life: u64,
    /// Behind which place of a topic it begins.
    begins: Option<Cursor>,
    ring: Mutex<Ring>,
    /// The number of the next part, and whether there will be none.
    end: watch::Sender<(u64, bool)>,
}

#[derive(Default)]
struct Ring {
    parts: VecDeque<(Option<Cursor>, Bytes)>,
    /// The number of the first of them.
    first: u64,
    bytes: usize,
}

/// What a reader finds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// A part, with its cursor in a topic that is kept.
    Part(Option<Cursor>, Bytes),
    /// So many parts are no longer there. Those behind them follow.
    Behind(u64),
    /// There is no more to come.
    Over,
}

/// One who reads a feed.
pub(crate) struct Reader {
    feed: Arc<Feed>,
    /// The number of the part that it reads next.
    next: u64,
    end: watch::Receiver<(u64, bool)>,
}

/// Where a reader that comes back stands.
pub(crate) enum Back {
    /// Behind a part of this feed.
    Here(Reader),
    /// Behind one of an earlier life: all of this one is new to it.
    Elsewhere(Reader),
}

impl Feed {
    pub(crate) fn new() -> Arc<Self> {
        Self::begin(None)
    }

    /// Of what comes behind a place of a topic.
    pub(crate) fn of_topic(from: Cursor) -> Arc<Self> {
        Self::begin(Some(from))
    }

    fn begin(begins: Option<Cursor>) -> Arc<Self> {
        // A number that no other life has: a hash with keys of chance.
        let life = RandomState::new().hash_one(0);
        Arc::new(Self { life, begins, ring: Mutex::default(), end: watch::Sender::new((0, false)) })
    }

    /// Adds the part that is made of its id.
    pub(crate) fn push(&self, cursor: Option<Cursor>, part: impl FnOnce(String) -> Bytes) {
        let mut ring = self.ring();
        let number = ring.first + ring.parts.len() as u64;
        let part = part(self.id(number));
        ring.bytes += part.len();
        ring.parts.push_back((cursor, part));
        while ring.parts.len() > KEPT || ring.bytes > KEPT_BYTES && ring.parts.len() > 1 {
            let Some((_, old)) = ring.parts.pop_front() else { break };
            ring.bytes -= old.len();
            ring.first += 1;
        }
        drop(ring);
        self.is_there(number);
    }

    /// The part with this number is there. Who has put a later one there may have told so before.
    fn is_there(&self, number: u64) {
        self.end.send_modify(|(end, _)| *end = (*end).max(number + 1));
    }

    /// There will be no more.
    pub(crate) fn close(&self) {
        self.end.send_modify(|(_, over)| *over = true);
    }

    /// Ends when the feed does, with the last who reads it. It does not keep the feed.
    pub(crate) fn left(&self) -> impl Future<Output = ()> + use<> {
        let mut end = self.end.subscribe();
        async move { while end.changed().await.is_ok() {} }
    }

    /// Reads what comes from now on.
    pub(crate) fn from_now(self: &Arc<Self>) -> Reader {
        let end = self.end.subscribe();
        let next = end.borrow().0;
        self.reader(next, end)
    }

    /// Reads all that there ever was, of which the first is no longer there if it is long ago.
    pub(crate) fn from_start(self: &Arc<Self>) -> Reader {
        self.reader(0, self.end.subscribe())
    }

    /// Reads on behind the part with this id.
    pub(crate) fn behind(self: &Arc<Self>, id: &str) -> Result<Back, String> {
        let bad = || format!("{id:?} is no id of an event: give one as it came, or from=now or from=start");
        let (life, number) = id.split_once('/').ok_or_else(bad)?;
        let life = u64::from_str_radix(life, 16).ok().filter(|read| format!("{read:016x}") == life);
        let (life, number) = (life.ok_or_else(bad)?, number.parse::<u64>().map_err(|_| bad())?);
        if life != self.life {
            return Ok(Back::Elsewhere(self.from_start()));
        }
        let end = self.end.subscribe();
        let last = end.borrow().0;
        if number >= last {
            return Err(format!("{id:?} is of an event that was not yet: give one as it came, or from=now"));
        }
        Ok(Back::Here(self.reader(number + 1, end)))
    }

    /// Reads on behind the part with this cursor, or from the beginning if it stands there, if what follows is still there.
    pub(crate) fn behind_cursor(self: &Arc<Self>, cursor: Cursor) -> Option<Reader> {
        let ring = self.ring();
        let at = ring.parts.iter().rposition(|(of, _)| *of == Some(cursor));
        let next = match at {
            Some(at) => ring.first + at as u64 + 1,
            // Its first part is the one behind it.
            None => (ring.first == 0 && self.begins == Some(cursor)).then_some(0)?,
        };
        drop(ring);
        Some(self.reader(next, self.end.subscribe()))
    }

    fn reader(self: &Arc<Self>, next: u64, end: watch::Receiver<(u64, bool)>) -> Reader {
        Reader { feed: Arc::clone(self), next, end }
    }

    fn id(&self, number: u64) -> String {
        format!("{:016x}/{number}", self.life)
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reader {
    /// The next part, once there is one. Cancel safe.
    pub(crate) async fn next(&mut self) -> Next {
        // The sender is in the feed, which is here.
        let _ = self.end.wait_for(|(end, over)| *over || self.next < *end).await;
        let ring = self.feed.ring();
        if self.next < ring.first {
            let missed = ring.first - self.next;
            self.next = ring.first;
            return Next::Behind(missed);
        }
        let at = usize::try_from(self.next - ring.first).unwrap_or(usize::MAX);
        match ring.parts.get(at) {
            Some((cursor, part)) => {
                self.next += 1;
                Next::Part(*cursor, part.clone())
            }
            None => Next::Over,
        }
    }

    /// The id of the part before the one that it reads next, if there was one.
    pub(crate) fn stands(&self) -> Option<String> {
        self.next.checked_sub(1).map(|number| self.feed.id(number))
    }
}

/// The last server-sent event of a stream.
pub(crate) fn end() -> Bytes {
    part("end", None::<Cursor>, &Value::Object(serde_json::Map::new()))
}

/// A server-sent event.
pub(crate) fn part(kind: &str, id: Option<impl Display>, data: &Value) -> Bytes {
    // JSON has no end of a line in it.
    let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
    format!("event: {kind}\n{id}data: {data}\n\n").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(feed: &Feed, bytes: usize) -> String {
        let mut of = String::new();
        feed.push(None, |id| {
            of.clone_from(&id);
            vec![b'x'; bytes].into()
        });
        of
    }

    fn here(feed: &Arc<Feed>, id: &str) -> Reader {
        match feed.behind(id) {
            Ok(Back::Here(reader)) => reader,
            _ => panic!("{id} is of this life"),
        }
    }

    #[tokio::test]
    async fn a_reader_goes_on_behind_an_id_and_is_told_how_many_parts_are_gone() {
        let feed = Feed::new();
        let ids: Vec<_> = (0..5).map(|_| say(&feed, 10)).collect();
        let mut reader = here(&feed, &ids[1]);
        for stood in &ids[1..4] {
            assert_eq!(reader.stands().as_ref(), Some(stood));
            assert!(matches!(reader.next().await, Next::Part(None, _)));
        }
        for _ in 0..KEPT {
            say(&feed, 10);
        }
        assert_eq!(here(&feed, &ids[1]).next().await, Next::Behind(3));
        let mut reader = here(&feed, &ids[4]);
        for _ in 0..KEPT {
            assert!(matches!(reader.next().await, Next::Part(None, _)));
        }
        feed.close();
        assert_eq!(reader.next().await, Next::Over);
        assert_eq!(feed.from_now().next().await, Next::Over);
        assert_eq!(feed.from_start().next().await, Next::Behind(5));
        let later = feed.id(5 + KEPT as u64);
        for bad in ["", "/", "1/2", "x/2", &ids[1][1..], &format!("{}x", ids[1]), &later] {
            assert!(feed.behind(bad).is_err(), "{bad}");
        }
        assert!(matches!(Feed::new().behind(&ids[1]), Ok(Back::Elsewhere(_))));
    }

    #[test]
    fn the_end_never_goes_back_whoever_tells_of_it_last() {
        let feed = Feed::new();
        say(&feed, 1);
        say(&feed, 1);
        // Of two who add a part, the one that was first tells of it last.
        feed.is_there(0);
        assert_eq!(feed.from_now().next, 2);
    }

    #[tokio::test]
    async fn a_reader_that_stands_where_a_feed_begins_has_all_of_it_or_is_not_taken() {
        let feed = Feed::of_topic(Cursor::START);
        let mut reader = feed.behind_cursor(Cursor::START).unwrap();
        say(&feed, 1);
        assert!(matches!(reader.next().await, Next::Part(None, _)));
        assert!(matches!(feed.behind_cursor(Cursor::START).unwrap().next().await, Next::Part(None, _)));
        for _ in 0..KEPT {
            say(&feed, 1);
        }
        assert!(feed.behind_cursor(Cursor::START).is_none());
        assert!(Feed::new().behind_cursor(Cursor::START).is_none());
    }

    #[test]
    fn a_feed_is_bounded_in_parts_and_in_bytes() {
        let feed = Feed::new();
        for _ in 0..3 * KEPT {
            say(&feed, 1);
        }
        assert_eq!(feed.ring().parts.len(), KEPT);
        for _ in 0..100 {
            say(&feed, KEPT_BYTES / 10);
        }
        let ring = feed.ring();
        assert_eq!((ring.parts.len(), ring.first + ring.parts.len() as u64), (10, 3 * KEPT as u64 + 100));
        assert_eq!(ring.bytes, ring.parts.iter().map(|(_, part)| part.len()).sum::<usize>());
        drop(ring);
        // One that is larger than all is kept alone.
        say(&feed, KEPT_BYTES + 1);
        assert_eq!(feed.ring().parts.len(), 1);
    }
}
