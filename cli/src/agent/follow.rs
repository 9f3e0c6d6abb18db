//! What is said in a topic, read once for all who watch it live. A topic that nobody watches is not read.

use std::sync::{Arc, Weak};

use serde_json::{Map, Value, json};
use tokio::sync::Mutex;
use vouchsafe::{Cursor, Gap, Item, Replay, ReplayError, Rumor, Subscription, TopicHandle};

use super::feed::{self, Feed, Reader};
use super::happening;

/// The feeds of a topic, while somebody reads them.
#[derive(Default)]
pub(crate) struct Followed {
    /// As it is kept, with cursors.
    kept: Mutex<Weak<Feed>>,
    /// As it spreads, without.
    live: Mutex<Weak<Feed>>,
}

impl Followed {
    /// What is kept from now on, of a topic that is kept.
    pub(crate) async fn kept(&self, topic: &TopicHandle) -> Result<(Reader, Cursor), ReplayError> {
        self.kept_behind(topic, topic.end()).await
    }

    /// The same, with `end` as the question where the topic ends.
    async fn kept_behind(
        &self,
        topic: &TopicHandle,
        end: impl Future<Output = Result<Cursor, ReplayError>>,
    ) -> Result<(Reader, Cursor), ReplayError> {
        let mut kept = self.kept.lock().await;
        // The reader first: what comes between is told, and stands behind where it is said to stand, or is told twice.
        let reader = kept.upgrade().map(|feed| feed.from_now());
        // Where it stands before its first rumor, a reader can go on from, too.
        let now = end.await?;
        match reader {
            Some(reader) => Ok((reader, now)),
            None => Ok((begin(&mut kept, topic, now), now)),
        }
    }

    /// What is said from now on.
    pub(crate) async fn live(&self, topic: &TopicHandle) -> Reader {
        let mut live = self.live.lock().await;
        if let Some(feed) = live.upgrade() {
            return feed.from_now();
        }
        let feed = Feed::new();
        *live = Arc::downgrade(&feed);
        let reader = feed.from_start();
        tokio::spawn(listen(Arc::downgrade(&feed), topic.subscribe()));
        reader
    }

    /// What is kept behind a cursor, if others read it now and have read on from there just before.
    pub(crate) async fn behind(&self, cursor: Cursor) -> Option<Reader> {
        self.kept.lock().await.upgrade()?.behind_cursor(cursor)
    }

    /// The same for a reader that stands at the end. If nobody else reads, it is the first.
    pub(crate) async fn join(&self, topic: &TopicHandle, end: Cursor) -> Option<Reader> {
        let mut kept = self.kept.lock().await;
        match kept.upgrade() {
            Some(feed) => feed.behind_cursor(end),
            None => Some(begin(&mut kept, topic, end)),
        }
    }
}

/// Begins to read what is kept behind a cursor.
fn begin(kept: &mut Weak<Feed>, topic: &TopicHandle, from: Cursor) -> Reader {
    let feed = Feed::of_topic(from);
    *kept = Arc::downgrade(&feed);
    // First, or what is read at once would be before it.
    let reader = feed.from_start();
    tokio::spawn(replay(Arc::downgrade(&feed), topic.replay(from)));
    reader
}

/// Reads until the topic has ended, or nobody watches.
async fn replay(to: Weak<Feed>, mut replay: Replay) {
    while let Some(item) = unless_left(&to, replay.next()).await {
        let Some(feed) = to.upgrade() else { return };
        let cursor = match &item {
            Ok(Item::Rumor { cursor, .. }) => Some(*cursor),
            _ => None,
        };
        if let Some((kind, data)) = item_of(item) {
            feed.push(cursor, |_| feed::part(kind, cursor, &data));
        }
    }
    close(&to);
}

async fn listen(to: Weak<Feed>, mut rumors: Subscription) {
    while let Some(next) = unless_left(&to, rumors.next()).await {
        let Some(feed) = to.upgrade() else { return };
        let (kind, data) = match next {
            Ok(delivery) => ("rumor", Value::Object(fields(&delivery))),
            Err(Gap::Lagged(missed)) => {
                ("missed", json!({ "count": missed, "why": "the agent was too slow" }))
            }
            Err(gap) => ("missed", json!({ "why": gap.to_string() })),
        };
        feed.push(None, |_| feed::part(kind, None::<Cursor>, &data));
    }
    close(&to);
}

fn close(feed: &Weak<Feed>) {
    if let Some(feed) = feed.upgrade() {
        feed.close();
    }
}

/// The next of `source`, or `None` when all who watched have left.
async fn unless_left<T>(to: &Weak<Feed>, source: impl Future<Output = Option<T>>) -> Option<T> {
    let left = to.upgrade()?.left();
    tokio::select! {
        next = source => next,
        () = left => None,
    }
}

/// An item of the past, as an event.
pub(crate) fn item_of(item: Result<Item, ReplayError>) -> Option<(&'static str, Value)> {
    Some(match item {
        Ok(Item::Rumor { cursor, rumor, late, off_chain, author_convicted }) => {
            let mut data = fields(&rumor);
            let marks = [("late", late), ("off_chain", off_chain), ("author_convicted", author_convicted)];
            for (name, _) in marks.into_iter().filter(|(_, is_so)| *is_so) {
                data.insert(name.into(), true.into());
            }
            data.insert("cursor".into(), cursor.to_string().into());
            ("rumor", Value::Object(data))
        }
        Ok(Item::Missed { from, to }) => {
            ("missed", json!({ "from": from, "to": to, "why": "it was removed before it was read" }))
        }
        Ok(_) => return None,
        Err(error) => ("error", json!({ "error": error.to_string() })),
    })
}

/// The fields of a rumor.
pub(crate) fn fields(rumor: &Rumor) -> Map<String, Value> {
    let mut data = Map::new();
    happening::rumor(&mut data, rumor);
    data
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use vouchsafe::{Node, SecretKey, Topic};

    use super::*;
    use crate::agent::feed::Next;

    const SOON: Duration = Duration::from_secs(20);

    /// Two nodes, each with a topic that is kept: what one says the other hears, and keeps on a disk.
    async fn two(store: &Path) -> [(Node, TopicHandle); 2] {
        let topic = || Topic::named("log").retention(Duration::from_secs(3_600));
        let node = || Node::builder(SecretKey::generate()).network("n").listen("127.0.0.1:0").topic(topic());
        let one = node().spawn().await.unwrap();
        let other = node().store(store).bootstrap([one.addr().unwrap()]).spawn().await.unwrap();
        let handles = [one.join(topic()).await.unwrap(), other.join(topic()).await.unwrap()];
        for handle in &handles {
            handle.wait_for_links(1).within(SOON).await.unwrap();
        }
        let [first, second] = handles;
        [(one, first), (other, second)]
    }

    async fn body(reader: &mut Reader) -> String {
        let next = tokio::time::timeout(SOON, reader.next()).await.expect("there is something");
        let Next::Part(_, part) = next else { panic!("{next:?}") };
        let text = String::from_utf8(part.to_vec()).unwrap();
        let data: Value = serde_json::from_str(text.split("data: ").nth(1).unwrap()).unwrap();
        data["body"].as_str().unwrap().to_owned()
    }

    #[tokio::test]
    async fn a_reader_that_comes_while_something_is_said_loses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let [(_one, said), (_other, heard)] = two(&folder.path().join("store")).await;
        let followed = Followed::default();
        let (mut first, _) = followed.kept(&heard).await.unwrap();
        // Between the question where the topic ends and its answer something is said.
        let end = async {
            said.publish("between").await.unwrap();
            assert_eq!(body(&mut first).await, "between");
            heard.end().await
        };
        let (mut second, _) = followed.kept_behind(&heard, end).await.unwrap();
        assert_eq!(body(&mut second).await, "between");
    }

    #[tokio::test]
    async fn readers_at_the_end_of_a_topic_in_which_nothing_is_said_read_together() {
        let folder = tempfile::tempdir().unwrap();
        let [(_one, said), (_other, heard)] = two(&folder.path().join("store")).await;
        let followed = Followed::default();
        let end = heard.end().await.unwrap();
        let mut readers = Vec::new();
        for _ in 0..3 {
            readers.push(followed.join(&heard, end).await.expect("it is known where it stands"));
        }
        said.publish("first").await.unwrap();
        for reader in &mut readers {
            assert_eq!(body(reader).await, "first");
        }
        // And who comes when something was said has all that follows.
        let mut late = followed.behind(end).await.unwrap();
        assert_eq!(body(&mut late).await, "first");
        assert!(followed.join(&heard, Cursor::START).await.is_none());
    }
}
