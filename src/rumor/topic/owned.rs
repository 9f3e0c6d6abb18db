//! Topics whose owner says who may speak in them: where it says that, and how the list looks.
//!
//! The rules of such a topic name the owner, so its id is the same whatever the list says. The list is the one cell of a topic of its own,
//! in which the owner alone may write. It follows from the rules of the owned topic, so all nodes that have the one have the other.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;

use super::{Kind, MAX_BODY, RuleSet, TopicId};
use crate::key::PublicKey;
use crate::rumor::cell::Cell;
use crate::rumor::{Bundle, TickLen};

/// Most authors that the owner of a topic may list, beside itself: what one body holds.
pub const MAX_OWNED_AUTHORS: usize = 2_000;

/// Names that begin so belong to lists of authors. The id of the owned topic follows.
const NAME: &str = "vouchsafe authors of ";
/// The one key of the topic of a list.
const KEY: &[u8] = b"a";
/// How often a second a list may change. (Guess: it is people who change it.)
const SLOTS: u16 = 4;

impl RuleSet {
    /// The key that says who may speak here, if one does.
    #[must_use]
    pub const fn owner(&self) -> Option<PublicKey> {
        self.owner
    }

    /// The rules of the topic in which the owner of this one says who may speak, if it has an owner. No application joins it.
    #[must_use]
    pub fn authors_topic(&self) -> Option<Arc<Self>> {
        let owner = self.owner?;
        let rules = Self {
            network: self.network,
            name: format!("{NAME}{}", self.id),
            slots_per_tick: SLOTS,
            tick_len: TickLen::SECOND,
            max_body: MAX_BODY,
            kind: Kind::State { max_keys: 1 },
            retention: u32::MAX,
            hold_back_ms: None,
            listed: Some(vec![owner]),
            owner: None,
            id: TopicId([0; 32]),
        };
        Some(Arc::new(rules.identified()))
    }

    /// Whether the name belongs to a list of authors, whatever the other rules are.
    pub(crate) fn is_authors_topic(&self) -> bool {
        self.name.starts_with(NAME)
    }
}

/// The body that says who may speak, beside the owner. `None` if there are too many.
pub(crate) fn authors_body(authors: &BTreeSet<PublicKey>) -> Option<Bytes> {
    if authors.len() > MAX_OWNED_AUTHORS {
        return None;
    }
    let value: Vec<u8> = authors.iter().flat_map(|author| *author.as_bytes()).collect();
    Cell::put(KEY, value).ok().map(|cell| cell.encode())
}

/// Whether each body of a bundle is a list: the one key, and other keys in order, each once. Nobody else can be right about that.
pub(super) fn are_lists(bundle: &Bundle) -> bool {
    bundle.bodies().all(|body| list_of(body).is_some())
}

/// The newest list that a bundle has.
pub(crate) fn newest_list(bundle: &Bundle) -> Option<BTreeSet<PublicKey>> {
    bundle.bodies().last().and_then(list_of)
}

fn list_of(body: &[u8]) -> Option<BTreeSet<PublicKey>> {
    let cell = Cell::decode(&Bytes::copy_from_slice(body)).ok().filter(|cell| cell.key() == KEY)?;
    let (keys, rest) = cell.value()?.as_chunks::<32>();
    if !rest.is_empty() || keys.len() > MAX_OWNED_AUTHORS || !keys.is_sorted_by(|one, next| one < next) {
        return None;
    }
    Some(keys.iter().map(|key| PublicKey::from_bytes(*key)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SecretKey;
    use crate::rumor::{Authors, NetworkId, Position, RuleError, Topic, seal};

    fn owner() -> SecretKey {
        SecretKey::from_seed(&[1; 32])
    }

    fn owned() -> RuleSet {
        let topic = Topic::named("owned").authors(Authors::Owned(owner().public()));
        topic.bind(NetworkId::of("n")).unwrap()
    }

    #[test]
    fn the_owner_is_a_rule_and_its_list_has_a_topic_of_its_own() {
        let rules = owned();
        assert_eq!(RuleSet::decode(&rules.encode()), Ok(rules.clone()));
        assert_eq!((rules.owner(), rules.listed_authors()), (Some(owner().public()), None));
        let list = rules.authors_topic().unwrap();
        assert_eq!((list.slots_per_tick(), list.tick_len()), (SLOTS, TickLen::SECOND));
        assert_eq!(RuleSet::decode(&list.encode()), Ok((*list).clone()));
        assert!(list.is_authors_topic() && list.admits(&owner().public()) && list.is_kept());
        assert!(!list.admits(&SecretKey::from_seed(&[2; 32]).public()) && list.authors_topic().is_none());
        // Another owner, another rule: another topic, with another list.
        let other = Topic::named("owned").authors(Authors::Owned(SecretKey::from_seed(&[2; 32]).public()));
        let other = other.bind(rules.network()).unwrap();
        let open = Topic::named("owned").bind(rules.network()).unwrap();
        assert!(other.id() != rules.id() && open.id() != rules.id() && open.authors_topic().is_none());
        assert_ne!(other.authors_topic().unwrap().id(), list.id());
        // The owner is one key, and nothing follows it.
        let mut bytes = rules.encode();
        bytes.push(0);
        assert_eq!(RuleSet::decode(&bytes), Err(RuleError::Encoding));
        bytes.truncate(bytes.len() - 2);
        assert_eq!(RuleSet::decode(&bytes), Err(RuleError::Encoding));
    }

    #[test]
    fn what_is_no_list_breaks_the_rules() {
        let list = owned().authors_topic().unwrap();
        let bundle = |body: Bytes| seal(&owner(), list.id(), Position { tick: 1, slot: 0 }, &[body]).unwrap();
        let keys: BTreeSet<_> = (0..MAX_OWNED_AUTHORS as u64)
            .map(|number| {
                let mut key = [0; 32];
                key[..8].copy_from_slice(&number.to_le_bytes());
                PublicKey::from_bytes(key)
            })
            .collect();
        for keys in [BTreeSet::new(), keys.clone()] {
            let said = bundle(authors_body(&keys).unwrap());
            assert!(list.allows(&said));
            assert_eq!(newest_list(&said), Some(keys));
        }
        let more = [owner().public()].into_iter().chain(keys).collect();
        assert_eq!(authors_body(&more), None);
        let odd = |key: &[u8], value: Vec<u8>| Cell::put(key.to_vec(), value).unwrap().encode();
        let (one, two) = (vec![1; 32], vec![2; 32]);
        let bad = [
            odd(b"b", one.clone()),
            odd(KEY, vec![1; 33]),
            odd(KEY, [two.clone(), one.clone()].concat()),
            odd(KEY, [one.clone(), one.clone()].concat()),
            odd(
                KEY,
                [1u16; MAX_OWNED_AUTHORS + 1]
                    .iter()
                    .zip(1u64..)
                    .flat_map(|(_, n)| {
                        let mut key = [0; 32];
                        key[..8].copy_from_slice(&n.to_be_bytes());
                        key
                    })
                    .collect(),
            ),
            Cell::delete(KEY).unwrap().encode(),
        ];
        for body in bad {
            assert!(!list.allows(&bundle(body)));
        }
    }
}
