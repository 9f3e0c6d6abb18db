//! Shared keys: a rule for readers, who see what each author says of a key, and choose.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::Position;
use crate::key::PublicKey;

/// How readers choose among what several authors say of one key. Each author's register is its own, so nobody overwrites another's;
/// which of them counts is for the reader to say.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Resolve {
    /// The newest: the last writer wins, by the tick, then the slot, then the author's key. A clock that is ahead by up to 60 s wins
    /// for as long. For authors that trust each other.
    Newest,
    /// What so many authors say, value for value, or that it is deleted. Of several such answers the one wins that had so many authors
    /// last.
    ///
    /// With more than `f` of them, where at most `f` lie: only what an honest author says is shown, and it never goes back to an older
    /// answer while so many honest authors say a newer one. With more than half of all authors, no two answers have enough at a time.
    /// Only in topics that name their authors: elsewhere anybody is as many as it likes.
    Agreed(usize),
}

/// What one author says of a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Said<'a> {
    /// Who.
    pub author: PublicKey,
    /// Where.
    pub position: Position,
    /// Which value; `None` if it says that the key is deleted.
    pub value: Option<&'a Bytes>,
}

impl Resolve {
    /// The answer among what authors say, each once; `None` if there is none.
    #[must_use]
    pub fn among<'a>(self, said: impl IntoIterator<Item = Said<'a>>) -> Option<Option<&'a Bytes>> {
        match self {
            Self::Newest => {
                let newest = said.into_iter().max_by_key(|said| (said.position, said.author))?;
                Some(newest.value)
            }
            Self::Agreed(enough) => {
                let mut dates = BTreeMap::<Option<&Bytes>, Vec<Position>>::new();
                for said in said {
                    dates.entry(said.value).or_default().push(said.position);
                }
                let nth = enough.max(1).saturating_sub(1);
                let dated = dates.into_iter().filter_map(|(value, mut at)| {
                    at.sort_unstable_by(|one, other| other.cmp(one));
                    // Of one date, that it is deleted comes first, then the greater bytes.
                    at.get(nth).map(|date| (*date, value.is_none(), value))
                });
                dated.max().map(|(_, _, value)| value)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn at(tick: u64, slot: u16) -> Position {
        Position { tick, slot }
    }

    fn author(number: u8) -> PublicKey {
        PublicKey::from_bytes([number; 32])
    }

    /// What authors 0, 1, 2 .. say, each a value (`None`: deleted) at a tick.
    fn answer(how: Resolve, said: &[(Option<&'static str>, u64)]) -> Option<Option<String>> {
        let values: Vec<_> =
            said.iter().map(|(value, _)| value.map(|value| Bytes::from_static(value.as_bytes()))).collect();
        let said = said.iter().zip(&values).enumerate().map(|(number, ((_, tick), value))| Said {
            author: author(number as u8),
            position: at(*tick, 0),
            value: value.as_ref(),
        });
        let found = how.among(said)?;
        Some(found.map(|value| String::from_utf8(value.to_vec()).unwrap()))
    }

    #[test]
    fn the_newest_wins_by_tick_then_slot_then_author() {
        let text = |text: &'static str| Some(Bytes::from_static(text.as_bytes()));
        let values = [text("early"), text("late slot"), None, text("greatest author")];
        let places = [(3, at(4, 9)), (1, at(5, 2)), (2, at(5, 1)), (9, at(5, 2))];
        let said: Vec<_> = places
            .iter()
            .zip(&values)
            .map(|((number, position), value)| Said {
                author: author(*number),
                position: *position,
                value: value.as_ref(),
            })
            .collect();
        assert_eq!(Resolve::Newest.among(said.clone()), Some(values[3].as_ref()));
        assert_eq!(Resolve::Newest.among(said[..3].to_vec()), Some(values[1].as_ref()));
        assert_eq!(Resolve::Newest.among(Vec::new()), None);
        assert_eq!(answer(Resolve::Newest, &[(Some("v"), 4), (None, 5)]), Some(None));
    }

    #[test]
    fn k_agree_or_nothing() {
        let agreed = |said: &[_]| answer(Resolve::Agreed(2), said);
        let value = |text: &str| Some(Some(text.to_owned()));
        // One liar (f = 1), so k = 2.
        assert_eq!(agreed(&[]), None);
        assert_eq!(agreed(&[(Some("v1"), 5)]), None, "one is not enough");
        assert_eq!(agreed(&[(Some("v1"), 5), (Some("lie"), 99)]), None);
        assert_eq!(agreed(&[(Some("v1"), 5), (Some("v1"), 6)]), value("v1"));
        // Two say v2 by now; one lags, and a liar says v1 again, a minute ahead of all.
        assert_eq!(
            agreed(&[(Some("v1"), 5), (Some("v2"), 8), (Some("v2"), 9), (Some("v1"), 99)]),
            value("v2")
        );
        // Deleted by two, and the liar and one that lags hold the value.
        assert_eq!(agreed(&[(Some("v1"), 5), (None, 8), (None, 9), (Some("v1"), 99)]), Some(None));
        // Two versions of one date: deleted before any value, then the greater bytes.
        assert_eq!(agreed(&[(Some("b"), 5), (Some("b"), 6), (None, 5), (None, 7)]), Some(None));
        assert_eq!(agreed(&[(Some("b"), 5), (Some("b"), 6), (Some("a"), 5), (Some("a"), 7)]), value("b"));
        assert_eq!(answer(Resolve::Agreed(0), &[(Some("v1"), 5)]), value("v1"), "none is one");
    }

    proptest! {
        /// P9, with f liars among n authors and k = f + 1, whatever the liars say, and when.
        #[test]
        fn what_k_agree_on_is_honest_and_never_older(
            versions in prop::collection::vec(0u64..4, 3..9),
            lies in prop::collection::vec((0u64..5, 0u64..400), 0..4),
        ) {
            let enough = lies.len() + 1;
            // An honest author that says version v wrote it at a tick of that version, never before an older one.
            let honest = versions.iter().enumerate().map(|(number, version)| (*version, version * 100 + number as u64));
            let said: Vec<_> = honest.chain(lies.iter().copied()).collect();
            let values: Vec<_> = said.iter().map(|(version, _)| Bytes::from(vec![*version as u8])).collect();
            let said = said.iter().zip(&values).enumerate().map(|(number, ((_, tick), value))| Said {
                author: author(number as u8),
                position: at(*tick, 0),
                value: Some(value),
            });
            let found = Resolve::Agreed(enough).among(said).map(|value| u64::from(value.unwrap()[0]));
            if let Some(found) = found {
                prop_assert!(versions.contains(&found), "nobody honest says {found}");
            }
            // The newest version that enough honest authors hold.
            let held = |version: &u64| versions.iter().filter(|of| *of == version).count() >= enough;
            if let Some(newest) = (0..4).filter(held).max() {
                prop_assert!(found >= Some(newest), "{found:?} instead of {newest}");
            }
        }
    }
}
