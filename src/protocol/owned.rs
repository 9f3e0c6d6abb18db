//! Who may speak in topics that have an owner: the newest list of each that this node knows.
//!
//! ```text
//!   owner ──> topic of the list (state, kept, repaired) ──> newest position ──> who may speak in the owned topic
//!               owner convicted ──────────────────────────────────────────────> nobody, whatever was listed
//! ```
//!
//! An owner that equivocates has listed different authors here and there, and no node knows which list others saw last. That nobody may
//! speak is the one answer that all come to.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Mono;
use crate::key::PublicKey;
use crate::rumor::{Position, RuleSet, TopicId};

/// After a new list links are asked once more for what they have of a topic, at most once in so long: an owner that says a new list all the
/// time would else have all nodes announce all of it all the time, and nothing repaired. (Guess: half a turn.)
const BEGINS_ANEW_AFTER: Duration = Duration::from_secs(15);

/// One topic with an owner, which is joined.
#[derive(Debug)]
struct Topic {
    owner: PublicKey,
    /// Where the owner says who may speak.
    list: TopicId,
    /// `None` until a list is known.
    known: Option<(Position, BTreeSet<PublicKey>)>,
    /// The owner was convicted.
    is_closed: bool,
    /// The store has not said yet which list it has.
    is_awaited: bool,
    /// It is to be asked for that (again).
    is_unread: bool,
    /// Something was refused since its author was not listed, so there is more to be had once another list is known.
    has_refused: bool,
    /// Another list is known, and what was refused by the one before it is not asked for yet.
    is_new: bool,
    /// When repair began anew.
    begun: Option<Mono>,
}

/// See the [module](self). It holds what is joined, so no more than topics.
#[derive(Debug, Default)]
pub(super) struct Owned {
    topics: BTreeMap<TopicId, Topic>,
    /// The owned topic of each list.
    lists: BTreeMap<TopicId, TopicId>,
}

impl Owned {
    /// A topic is joined that has an owner, which is convicted or not.
    pub(super) fn enter(&mut self, rules: &RuleSet, list: &RuleSet, is_convicted: bool) {
        let Some(owner) = rules.owner() else { return };
        self.lists.insert(list.id(), rules.id());
        self.topics.entry(rules.id()).or_insert(Topic {
            owner,
            list: list.id(),
            known: None,
            is_closed: is_convicted,
            is_awaited: true,
            is_unread: false,
            has_refused: false,
            is_new: false,
            begun: None,
        });
    }

    /// It is left. Gives the topic of its list, which is left with it.
    pub(super) fn leave(&mut self, topic: &TopicId) -> Option<TopicId> {
        let left = self.topics.remove(topic)?;
        self.lists.remove(&left.list);
        Some(left.list)
    }

    /// Whether it is the topic of a list of a topic that is joined.
    pub(super) fn is_list(&self, topic: &TopicId) -> bool {
        self.lists.contains_key(topic)
    }

    /// Whether an author may speak in an owned topic now.
    pub(super) fn admits(&self, topic: &TopicId, author: &PublicKey) -> bool {
        let Some(topic) = self.topics.get(topic).filter(|topic| !topic.is_closed) else { return false };
        *author == topic.owner || topic.known.as_ref().is_some_and(|(_, listed)| listed.contains(author))
    }

    /// Who may speak in an owned topic now, its owner among them; `None` if no such topic is joined.
    pub(super) fn authors(&self, topic: &TopicId) -> Option<BTreeSet<PublicKey>> {
        let topic = self.topics.get(topic)?;
        if topic.is_closed {
            return Some(BTreeSet::new());
        }
        let mut authors = topic.known.as_ref().map(|(_, listed)| listed.clone()).unwrap_or_default();
        authors.insert(topic.owner);
        Some(authors)
    }

    /// The owner of `list` has said it at this position. Gives the owned topic, if that is newer than what is known of it.
    pub(super) fn hears(
        &mut self,
        list: &TopicId,
        at: Position,
        listed: BTreeSet<PublicKey>,
    ) -> Option<TopicId> {
        let of = *self.lists.get(list)?;
        let topic = self.topics.get_mut(&of)?;
        if topic.known.as_ref().is_some_and(|(known, _)| *known >= at) {
            return None;
        }
        topic.known = Some((at, listed));
        topic.is_new = true;
        Some(of)
    }

    /// An author was convicted. Gives the topics that it owns: nobody may speak there any more.
    pub(super) fn closes(&mut self, author: &PublicKey) -> Vec<TopicId> {
        let own = self.topics.iter_mut().filter(|(_, topic)| topic.owner == *author && !topic.is_closed);
        own.map(|(id, topic)| {
            topic.is_closed = true;
            *id
        })
        .collect()
    }

    /// Something of an author was refused that is not listed.
    pub(super) fn refuses(&mut self, topic: &TopicId) {
        if let Some(topic) = self.topics.get_mut(topic) {
            topic.has_refused = true;
        }
    }

    /// Topics with another list, of which links are to be asked once more now.
    pub(super) fn takes_new(&mut self, now: Mono) -> Vec<TopicId> {
        let due = |topic: &Topic| {
            let rests = topic.begun.is_some_and(|begun| now.since(begun) < BEGINS_ANEW_AFTER);
            topic.is_new && !rests
        };
        let due = self.topics.iter_mut().filter(|(_, topic)| due(topic));
        due.map(|(id, topic)| {
            (topic.is_new, topic.begun) = (false, Some(now));
            *id
        })
        .collect()
    }

    /// Whether links are to be asked for what was refused of a topic. Asked once.
    pub(super) fn takes_refused(&mut self, topic: &TopicId) -> bool {
        self.topics.get_mut(topic).is_some_and(|topic| std::mem::take(&mut topic.has_refused))
    }

    /// Whether the store is still to say which list it has, so that it is not known who may speak.
    pub(super) fn is_awaited(&self, topic: &TopicId) -> bool {
        self.topics.get(topic).is_some_and(|topic| topic.is_awaited)
    }

    /// The store has said which list it has, or that it can't. Gives the owned topic.
    pub(super) fn is_told(&mut self, list: &TopicId) -> Option<TopicId> {
        let of = *self.lists.get(list)?;
        self.topics.get_mut(&of)?.is_awaited = false;
        Some(of)
    }

    /// The store has a list, or could not be asked for it yet.
    pub(super) fn set_unread(&mut self, list: &TopicId, is_unread: bool) {
        if let Some(topic) = self.lists.get(list).and_then(|of| self.topics.get_mut(of)) {
            topic.is_unread = is_unread;
        }
    }

    /// The topics of lists that are to be read from the store.
    pub(super) fn unread(&self) -> Vec<TopicId> {
        self.topics.values().filter(|topic| topic.is_unread).map(|topic| topic.list).collect()
    }

    #[cfg(any(test, feature = "sim"))]
    pub(super) fn check(
        &self,
        recount: &mut super::check::Recount,
        is_joined: impl Fn(&TopicId) -> bool,
        owned: usize,
    ) {
        recount.same("topics with an owner", self.topics.len(), owned);
        recount.same("lists of authors", self.lists.len(), self.topics.len());
        let all = self.topics.iter().all(|(id, topic)| {
            self.lists.get(&topic.list) == Some(id) && is_joined(id) && is_joined(&topic.list)
        });
        recount.holds(all, "a topic with an owner is joined without its list, or the other way round");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SecretKey;
    use crate::rumor::{Authors, NetworkId, Topic as Rules};

    fn key(number: u8) -> PublicKey {
        SecretKey::from_seed(&[number; 32]).public()
    }

    fn at(tick: u64) -> Position {
        Position { tick, slot: 0 }
    }

    #[test]
    fn the_newest_list_says_who_may_speak_and_a_convicted_owner_closes_the_topic() {
        let rules = Rules::named("t").authors(Authors::Owned(key(1))).bind(NetworkId::of("n")).unwrap();
        let list = rules.authors_topic().unwrap();
        let mut owned = Owned::default();
        assert!(!owned.admits(&rules.id(), &key(1)), "what is not joined admits nobody");
        owned.enter(&rules, &list, false);
        let may = |owned: &Owned| [1, 2, 3].map(|number| owned.admits(&rules.id(), &key(number)));
        assert_eq!(may(&owned), [true, false, false], "until a list is known the owner alone");
        assert_eq!(owned.hears(&list.id(), at(5), [key(2)].into()), Some(rules.id()));
        assert_eq!(may(&owned), [true, true, false]);
        // What is older, or the same, changes nothing.
        for tick in [4, 5] {
            assert_eq!(owned.hears(&list.id(), at(tick), [key(3)].into()), None);
        }
        assert_eq!(owned.hears(&list.id(), at(6), [key(3)].into()), Some(rules.id()));
        assert_eq!(may(&owned), [true, false, true]);
        assert_eq!(owned.authors(&rules.id()), Some([key(1), key(3)].into()));
        assert_eq!(owned.closes(&key(3)), [], "a listed author is not the owner");
        assert_eq!((owned.closes(&key(1)), owned.closes(&key(1))), (vec![rules.id()], vec![]));
        assert_eq!((may(&owned), owned.authors(&rules.id())), ([false; 3], Some(BTreeSet::new())));
        // Nor does a later list open it, nor that it is joined again while it is joined.
        owned.hears(&list.id(), at(7), [key(3)].into());
        owned.enter(&rules, &list, false);
        assert_eq!(may(&owned), [false; 3]);
        assert_eq!((owned.leave(&rules.id()), owned.leave(&rules.id())), (Some(list.id()), None));
        owned.enter(&rules, &list, true);
        assert_eq!(may(&owned), [false; 3], "it was convicted before");
    }

    #[test]
    fn links_are_asked_once_more_after_a_new_list_and_not_all_the_time() {
        let rules = Rules::named("t").authors(Authors::Owned(key(1))).bind(NetworkId::of("n")).unwrap();
        let list = rules.authors_topic().unwrap();
        let mut owned = Owned::default();
        owned.enter(&rules, &list, false);
        let mut anew = 0;
        for tick in 1..=150 {
            owned.hears(&list.id(), at(tick), [key(2)].into());
            anew += owned.takes_new(Mono::default().plus(Duration::from_secs(tick))).len();
        }
        assert_eq!(anew, 10, "a new list in each of 150 seconds");
        // The last one counts in any case.
        let later = Mono::default().plus(Duration::from_secs(1_000));
        assert_eq!((owned.takes_new(later).len(), owned.takes_new(later).len()), (1, 0));
        assert!(!owned.takes_refused(&rules.id()));
        owned.refuses(&rules.id());
        assert!(owned.takes_refused(&rules.id()) && !owned.takes_refused(&rules.id()));
    }
}
