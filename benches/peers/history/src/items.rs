//! What all systems hold: the same items, by the same authors, and what one of two sides lacks.

/// Authors of the items.
pub(crate) const AUTHORS: usize = 16;
/// Bytes of an item. They are printable, since values of chitchat are text; no two bodies have anything in common.
pub(crate) const BYTES: usize = 100;
/// Items of one author that were said in one second.
const A_SECOND: usize = 10;
/// What a node lacks that was off, and what is scattered.
const LACKED: usize = 1000;
/// The author whose last items are missing at the node that was off.
const ABSENT: usize = 3;

/// One item.
#[derive(Clone, Copy)]
pub(crate) struct Item {
    /// Its place among all items, in the order in which they were said.
    pub(crate) place: usize,
    /// Who has said it.
    pub(crate) author: usize,
    /// Its place among those of its author.
    pub(crate) number: usize,
}

impl Item {
    fn new(place: usize) -> Self {
        Self { place, author: place % AUTHORS, number: place / AUTHORS }
    }

    /// The second in which it was said, and its place among those that its author has said in it.
    pub(crate) fn when(&self) -> (u64, u16) {
        ((self.number / A_SECOND) as u64, (self.number % A_SECOND) as u16)
    }

    pub(crate) fn body(&self) -> String {
        const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut bytes = [0; BYTES];
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"body").update(&(self.place as u64).to_le_bytes());
        hasher.finalize_xof().fill(&mut bytes);
        bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte & 63)])).collect()
    }
}

/// The items of a set of so many.
pub(crate) fn all(count: usize) -> impl Iterator<Item = Item> + Clone {
    (0..count).map(Item::new)
}

/// How many seconds it took to say them.
pub(crate) fn seconds(count: usize) -> u64 {
    (count.div_ceil(AUTHORS).div_ceil(A_SECOND)) as u64
}

/// What one side lacks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Difference {
    /// Nothing.
    Equal,
    /// One item in the middle.
    Middle,
    /// The last thousand of one author: it spoke while the node was off.
    Tail,
    /// A thousand anywhere.
    Scattered,
}

impl Difference {
    pub(crate) const ALL: [(&'static str, Self); 4] = [
        ("equal", Self::Equal),
        ("middle", Self::Middle),
        ("tail", Self::Tail),
        ("scattered", Self::Scattered),
    ];

    /// How many items are missing, of so many.
    pub(crate) fn len(self, count: usize) -> usize {
        all(count).filter(|item| self.lacks(item, count)).count()
    }

    /// Whether an item is missing at the side that lacks something.
    pub(crate) fn lacks(self, item: &Item, count: usize) -> bool {
        match self {
            Self::Equal => false,
            Self::Middle => item.place == count / 2,
            Self::Tail => {
                let of_author = (count + AUTHORS - 1 - ABSENT) / AUTHORS;
                item.author == ABSENT && item.number + LACKED >= of_author
            }
            Self::Scattered => {
                // One in each stretch of the set, so that there are a thousand, at a place that nothing tells.
                let stretch = (count / LACKED).max(1);
                let hash = blake3::hash(&(item.place as u64 / stretch as u64).to_le_bytes());
                let drawn = u64::from_le_bytes(hash.as_bytes()[..8].try_into().unwrap_or_default());
                (item.place % stretch) as u64 == drawn % stretch as u64
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_are_missing_as_the_names_say() {
        let missing: Vec<_> = Difference::ALL.iter().map(|(_, difference)| difference.len(100_000)).collect();
        assert_eq!(missing, [0, 1, 1000, 1000]);
        let tail = all(100_000).filter(|item| Difference::Tail.lacks(item, 100_000));
        assert!(tail.map(|item| item.number).eq(5_250..6_250));
    }
}
