//! What the nodes keep. Each has a reader that stores its cursor together with what it has counted, as an application would, through all
//! lives of the node: so a rumor that is read twice or skipped shows, and so does one that a node never came to have.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use vouchsafe::{Cursor, Item, PublicKey, ReplayError, Rumor, TopicHandle};
use vouchsafe_cli::exit::Failure;

use super::run::Soak;
use super::world::{Ground, News};

/// For how long a topic is kept. A run that lasts longer is judged by the last of it.
pub(super) const RETENTION: Duration = Duration::from_secs(3_600);
/// What is this close to the end of its time may be gone at some nodes and not yet at others.
const NEARLY_OVER: Duration = Duration::from_secs(600);
/// What is counted is counted by the time at which it was said.
const STRETCH: u64 = 10;
/// For all nodes to have the same past, once nothing disturbs them: links are asked in turns, and what is younger than a minute later.
const PATIENCE: Duration = Duration::from_secs(240);
/// What was said so shortly before a disk was lost may have been there alone.
const ALONE: Duration = Duration::from_secs(60);

/// Keys of all honest nodes that ever were: what others say is not counted.
pub(super) type Honest = Arc<RwLock<HashSet<PublicKey>>>;

/// How many rumors, and the sum of their ids: two sets that have both alike are the same.
type Sum = (u64, u128);

/// What the reader of a node has stored.
#[derive(Debug, Default)]
pub(super) struct Book {
    cursor: Cursor,
    /// The life that reads.
    life: u64,
    sums: BTreeMap<u64, Sum>,
    /// The reader's place is of a disk that is gone.
    forgets: bool,
    /// Cursors that were told to be of another store, though nothing was lost.
    strange: u64,
}

pub(super) type Shared = Arc<Mutex<Book>>;

fn locked(book: &Shared) -> MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn number(rumor: &Rumor) -> u128 {
    let id = rumor.id();
    let first = id.as_bytes().first_chunk::<16>().copied();
    first.map_or(0, u128::from_le_bytes)
}

/// Reads what a node keeps, for as long as its life or its topic lasts.
pub(super) fn read(book: &Shared, slot: usize, life: u64, topic: &TopicHandle, ground: &Ground) {
    let (book, topic) = (Arc::clone(book), topic.clone());
    let (honest, news) = (Arc::clone(&ground.honest), ground.news.clone());
    locked(&book).life = life;
    tokio::spawn(async move {
        loop {
            let cursor = locked(&book).cursor;
            let mut replay = topic.replay(cursor);
            loop {
                let item = replay.next().await;
                match item {
                    None | Some(Err(ReplayError::Closed)) => return,
                    Some(Ok(Item::Rumor { cursor, rumor, .. })) => {
                        let counts = honest.read().is_ok_and(|honest| honest.contains(&rumor.author()));
                        if !locked(&book).read(life, cursor, counts.then_some(&rumor)) {
                            return;
                        }
                        let (body, at) = (rumor.body().clone(), Instant::now());
                        if counts && news.send(News::Kept { slot, life, body, at }).await.is_err() {
                            return;
                        }
                    }
                    Some(Err(ReplayError::Foreign)) => {
                        locked(&book).begins_again();
                        break;
                    }
                    // What expired unread, and a disk in trouble: the reader goes on by itself.
                    Some(_) => {}
                }
            }
        }
    });
}

/// The store that gave the reader its cursor is gone.
pub(super) fn forgets(book: &Shared) {
    locked(book).forgets = true;
}

impl Book {
    /// What is read, if it counts, and the place behind it, as one. Gives whether this life is still the one that reads.
    fn read(&mut self, life: u64, cursor: Cursor, counts: Option<&Rumor>) -> bool {
        if self.life != life {
            return false;
        }
        self.cursor = cursor;
        if let Some(rumor) = counts {
            self.count(rumor);
        }
        true
    }

    fn begins_again(&mut self) {
        self.strange += u64::from(!self.forgets);
        (self.cursor, self.forgets) = (Cursor::START, false);
        self.sums.clear();
    }

    fn count(&mut self, rumor: &Rumor) {
        // A tick of this topic is a second.
        let stretch = rumor.position().tick / STRETCH;
        let sum = self.sums.entry(stretch).or_default();
        *sum = (sum.0 + 1, sum.1.wrapping_add(number(rumor)));
        let first = now_s().saturating_sub(2 * RETENTION.as_secs()) / STRETCH;
        while self.sums.first_key_value().is_some_and(|(oldest, _)| *oldest < first) {
            self.sums.pop_first();
        }
    }

    /// What was said from then on and is no more than a second ahead.
    fn since(&self, from: u64, now: u64) -> BTreeMap<u64, Sum> {
        let (first, last) = (from / STRETCH + 1, now / STRETCH);
        // A map is not asked for what ends before it begins.
        self.sums
            .range(first..=last.max(first))
            .filter(|_| first <= last)
            .map(|(stretch, sum)| (*stretch, *sum))
            .collect()
    }
}

/// What nodes were told to have published and stored.
#[derive(Debug, Default)]
pub(super) struct Confirmed(Vec<(usize, Instant, u128)>);

impl Confirmed {
    pub(super) fn add(&mut self, slot: usize, rumor: &vouchsafe::RumorId) {
        let oldest = Instant::now().checked_sub(RETENTION.saturating_sub(NEARLY_OVER));
        if let Some(oldest) = oldest
            && self.0.first().is_some_and(|(_, at, _)| *at + NEARLY_OVER < oldest)
        {
            self.0.retain(|(_, at, _)| *at >= oldest);
        }
        let first = rumor.as_bytes().first_chunk::<16>().copied();
        self.0.push((slot, Instant::now(), first.map_or(0, u128::from_le_bytes)));
    }

    /// The disk of a node is gone.
    pub(super) fn lost(&mut self, slot: usize) {
        self.0.retain(|(of, at, _)| *of != slot || at.elapsed() > ALONE);
    }
}

impl Soak {
    /// With nothing to disturb them, all nodes come to have the same past.
    pub(super) async fn wait_for_the_past(&mut self) -> Result<(), Failure> {
        let until = Instant::now() + PATIENCE;
        let mut differ = self.who_lacks();
        while !differ.is_empty() && Instant::now() < until {
            self.look_and_read(Duration::from_millis(500)).await?;
            differ = self.who_lacks();
        }
        for (slot, words) in differ {
            self.promises.breaks("past", || format!("node {slot} {words}"));
        }
        for (slot, place) in self.places.iter().enumerate() {
            let book = locked(&place.book);
            if book.strange > 0 {
                let times = book.strange;
                self.promises.breaks("cursor", || {
                    format!("node {slot} took its own cursor for another's {times} times")
                });
            }
        }
        self.look_for_the_confirmed().await
    }

    /// Nodes whose past differs from what most have, in words.
    fn who_lacks(&mut self) -> Vec<(usize, String)> {
        let now = now_s();
        let began = now.saturating_sub(self.started.elapsed().as_secs() + 5);
        let from = began.max(now.saturating_sub(RETENTION.saturating_sub(NEARLY_OVER).as_secs()));
        let books: Vec<_> = self.places.iter().map(|place| locked(&place.book).since(from, now)).collect();
        let mut votes = BTreeMap::<_, u64>::new();
        for book in &books {
            *votes.entry(book).or_default() += 1;
        }
        let Some((most, _)) = votes.into_iter().max_by_key(|(_, count)| *count) else { return Vec::new() };
        self.seen.past = most.values().map(|(count, _)| count).sum();
        let count = |book: &BTreeMap<u64, Sum>| book.values().map(|(count, _)| *count).sum::<u64>();
        let differs = |(slot, book): (usize, &BTreeMap<u64, Sum>)| {
            (book != most).then(|| {
                (slot, format!("has read {} rumors of the past, and most have {}", count(book), count(most)))
            })
        };
        books.iter().enumerate().filter_map(differs).collect()
    }

    /// What was confirmed is found from the beginning.
    async fn look_for_the_confirmed(&mut self) -> Result<(), Failure> {
        let Some(topic) = self.places.iter().find_map(|place| Some(place.life.as_ref()?.topic.clone()))
        else {
            return Ok(());
        };
        let is_kept = |at: &Instant| at.elapsed() < RETENTION.saturating_sub(NEARLY_OVER);
        let confirmed = self.confirmed.0.iter().filter(|(_, at, _)| is_kept(at));
        let mut wanted: HashSet<u128> = confirmed.map(|(.., id)| *id).collect();
        self.seen.confirmed = wanted.len() as u64;
        let mut replay = topic.replay(Cursor::START);
        let all = async {
            while !wanted.is_empty() {
                match replay.next().await {
                    None => break,
                    Some(Ok(Item::Rumor { rumor, .. })) => {
                        wanted.remove(&number(&rumor));
                    }
                    Some(_) => {}
                }
            }
        };
        // What is there is read in seconds; what is not there is waited for in vain.
        let _ = tokio::time::timeout(Duration::from_secs(30), all).await;
        if !wanted.is_empty() {
            let count = wanted.len();
            self.promises.breaks("past", || format!("{count} rumors that were confirmed are nowhere"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_pasts_are_alike_if_they_hold_the_same_whatever_the_order() {
        let sums =
            |ids: &[u128]| ids.iter().fold((0, 0u128), |(count, sum), id| (count + 1, sum.wrapping_add(*id)));
        assert_eq!(sums(&[1, u128::MAX, 7]), sums(&[7, 1, u128::MAX]));
        assert_ne!(sums(&[1, 7]), sums(&[1, 7, 7]));
        let sums = BTreeMap::from([(10, (1, 1)), (11, (2, 5)), (12, (1, 1)), (99, (1, 1))]);
        let book = Book { sums, ..Book::default() };
        // Of what begins before the time, and of what is ahead, nothing counts.
        assert_eq!(book.since(10 * STRETCH + 1, 12 * STRETCH), BTreeMap::from([(11, (2, 5)), (12, (1, 1))]));
    }

    #[test]
    fn what_a_lost_disk_alone_had_is_not_asked_for() {
        let mut confirmed = Confirmed::default();
        let now = Instant::now();
        confirmed.0 = vec![(1, now, 1), (2, now, 2)];
        confirmed.lost(1);
        assert_eq!(confirmed.0.iter().map(|(.., id)| *id).collect::<Vec<_>>(), [2]);
    }
}
