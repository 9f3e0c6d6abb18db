//! What authors say of keys, read from a store that no node has open.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::Path;

use bytes::Bytes;
use vouchsafe::rumor::{Cell, Kind, Said};
use vouchsafe::store::TopicReport;
use vouchsafe::{Position, PublicKey, Resolve};

use crate::exit::Failure;
use crate::history::{author, find};
use crate::node::status;
use crate::store::{Opened, failure, open};
use crate::text::printable;

/// Bytes of bundles that are read at a time.
const PAGE: usize = 1 << 20;

/// A cell that is the newest of its author and key.
#[derive(Clone, Debug)]
pub(super) struct Newest {
    pub(super) position: Position,
    /// `None` for a key that was deleted, or that is not shown.
    pub(super) value: Option<Bytes>,
    is_shown: bool,
}

/// What authors together say of a key.
#[derive(Debug)]
pub(super) struct Answer {
    /// Whose word it is, and where it stands, if it is one author's.
    pub(super) whose: Option<(PublicKey, Position)>,
    pub(super) value: Bytes,
}

/// All of a topic, by key and author.
#[derive(Debug)]
pub(super) struct Keys {
    of: BTreeMap<Bytes, BTreeMap<PublicKey, Newest>>,
    is_listed: bool,
    name: String,
}

impl Keys {
    /// Reads the topic of that name or id, as the node has left it.
    pub(super) fn read(folder: &Path, topic: &str) -> Result<Self, Failure> {
        let opened = open(folder)?;
        let topic = find(&opened, topic)?;
        let name = printable(topic.name.as_bytes());
        let Some(rules) = &topic.rules else {
            return Err(Failure::Usage(format!(
                "the store was repaired and does not know the rules of topic {}: run the node with it once",
                topic.id
            )));
        };
        let Kind::State { max_keys } = rules.kind() else {
            return Err(Failure::Usage(format!(
                "topic {name:?} is a log and has no keys: `vouchsafe history` prints what it keeps"
            )));
        };
        let mut of = BTreeMap::<PublicKey, BTreeMap<Bytes, Newest>>::new();
        let rotten = read_live(&opened, &topic, &mut of)?;
        if rotten > 0 {
            status(format_args!("{rotten} records are damaged: run `vouchsafe store check`"));
        }
        let mut keys = Self { of: BTreeMap::new(), is_listed: rules.is_listed(), name };
        for (author, mut own) in of {
            keep_newest(&mut own, max_keys as usize);
            for (key, newest) in own {
                keys.of.entry(key).or_default().insert(author, newest);
            }
        }
        Ok(keys)
    }

    /// Keys that begin so, each with an author that gives it a value, of whom the key begins with these digits.
    pub(super) fn values<'a>(
        &'a self,
        prefix: &'a str,
        author: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a Bytes, &'a PublicKey, &'a Newest)> {
        let from = (Bound::Included(prefix.as_bytes()), Bound::Unbounded);
        let keys = self.of.range::<[u8], _>(from);
        let keys = keys.take_while(move |(key, _)| key.starts_with(prefix.as_bytes()));
        let all = keys.flat_map(|(key, of)| of.iter().map(move |(author, newest)| (key, author, newest)));
        all.filter(move |(_, of, newest)| {
            newest.value.is_some() && author.is_none_or(|digits| of.to_string().starts_with(digits))
        })
    }

    /// What one author says of a key, whose key begins with these digits.
    pub(super) fn of_author(&self, key: &str, digits: &str) -> Result<(PublicKey, Newest), Failure> {
        let said = self.of.get(key.as_bytes()).into_iter().flatten();
        let said: Vec<_> = said.filter(|(author, _)| author.to_string().starts_with(digits)).collect();
        match said[..] {
            [(author, newest)] => Ok((*author, newest.clone())),
            [] => Err(Failure::Failed(format!(
                "no author whose key begins with {digits} says anything of {key:?}"
            ))),
            _ => Err(Failure::Usage(format!(
                "{} authors whose keys begin with {digits} have written {key:?}: give more digits",
                said.len()
            ))),
        }
    }

    /// What all authors together say of a key.
    pub(super) fn shared(&self, key: &str, resolve: Resolve) -> Result<Option<Answer>, Failure> {
        if matches!(resolve, Resolve::Agreed(_)) && !self.is_listed {
            return Err(Failure::Usage(format!(
                "--agreed: topic {:?} does not name its writers, so anybody may be as many as it likes",
                self.name
            )));
        }
        let of = self.of.get(key.as_bytes()).into_iter().flatten().filter(|(_, newest)| newest.is_shown);
        let said: Vec<_> = of
            .map(|(author, newest)| Said {
                author: *author,
                position: newest.position,
                value: newest.value.as_ref(),
            })
            .collect();
        let Some(Some(value)) = resolve.among(said.iter().copied()) else { return Ok(None) };
        let newest = said.iter().max_by_key(|said| (said.position, said.author));
        let whose = newest.filter(|_| resolve == Resolve::Newest).map(|said| (said.author, said.position));
        Ok(Some(Answer { whose, value: value.clone() }))
    }
}

/// Reads the live bundles of a topic, and gives how many can't be read.
fn read_live(
    opened: &Opened,
    topic: &TopicReport,
    of: &mut BTreeMap<PublicKey, BTreeMap<Bytes, Newest>>,
) -> Result<u64, Failure> {
    let reader = opened.reader();
    let (mut after, mut rotten) = (None, 0);
    loop {
        let page = reader.live(&topic.id, after.as_ref(), PAGE).map_err(|error| failure(&error))?;
        for item in &page.items {
            let Some(bundle) = &item.bundle else {
                rotten += 1;
                continue;
            };
            let own = of.entry(item.head.author).or_default();
            for rumor in bundle.rumors() {
                // The store takes nothing else.
                let Ok(cell) = Cell::decode(rumor.body()) else { continue };
                let (key, value) = cell.into_parts();
                let position = rumor.position();
                if own.get(&key).is_none_or(|newest| newest.position < position) {
                    let value = value.filter(|_| item.is_shown);
                    own.insert(key, Newest { position, value, is_shown: item.is_shown });
                }
            }
        }
        after = page.items.last().map(|item| item.head);
        if !page.more {
            return Ok(rotten);
        }
    }
}

/// A bundle is live while one of its cells counts: cells of keys that newer ones have pushed out may stand in it too.
fn keep_newest(own: &mut BTreeMap<Bytes, Newest>, max_keys: usize) {
    let mut positions: Vec<_> = own.values().map(|newest| newest.position).collect();
    positions.sort_unstable_by(|one, other| other.cmp(one));
    if let Some(beyond) = positions.get(max_keys) {
        own.retain(|_, newest| newest.position > *beyond);
    }
}

/// The beginning of an author's key.
pub(super) fn digits(text: Option<&str>) -> Result<Option<String>, Failure> {
    text.map(author).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_too_many_keys_the_newest_stay() {
        let newest = |slot| Newest { position: Position { tick: 1, slot }, value: None, is_shown: true };
        let all: BTreeMap<_, _> =
            [("a", 3), ("b", 1), ("c", 2)].map(|(key, at)| (key.into(), newest(at))).into();
        let kept = |most| {
            let mut own = all.clone();
            keep_newest(&mut own, most);
            own.into_keys().collect::<Vec<Bytes>>()
        };
        assert_eq!(kept(3), ["a", "b", "c"]);
        assert_eq!(kept(2), ["a", "c"]);
        assert_eq!(kept(1), ["a"]);
    }
}
