//! Where an application stands in a topic's order of arrival.

use std::fmt;
use std::str::FromStr;

use crate::protocol::keeping;

/// Where a [`Replay`](super::Replay) stands: behind the last rumor that the application has dealt with.
///
/// Keep it with the effects of what was read, in the same transaction: then a replay from it gives each rumor once, whatever crashes.
/// It belongs to one store; another one says that it is foreign. As text it reads back:
///
/// ```
/// use vouchsafe::Cursor;
/// let text = Cursor::START.to_string();
/// assert_eq!(text.parse(), Ok(Cursor::START));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Cursor {
    /// Which opening of which store gave it; 0 for none.
    incarnation: u64,
    /// The place of the last bundle read.
    sequence: u64,
    /// Rumors of that bundle that are not read yet.
    left: u16,
}

impl Cursor {
    /// Before all that a store holds. Every store knows it, and nothing is missed from there.
    pub const START: Self = Self { incarnation: 0, sequence: 0, left: 0 };

    /// In a bundle at this place, of which so many rumors are still to be read.
    pub(super) const fn within(place: keeping::Cursor, left: u16) -> Self {
        Self { incarnation: place.incarnation, sequence: place.sequence, left }
    }

    /// Behind which place the store reads on: before the bundle, if not all of it was read.
    pub(super) const fn place(self) -> keeping::Cursor {
        let sequence = if self.left > 0 { self.sequence.saturating_sub(1) } else { self.sequence };
        keeping::Cursor { incarnation: self.incarnation, sequence }
    }

    /// The place of the bundle of which some rumors were read and some were not, and how many were not.
    pub(super) const fn rest(self) -> Option<(u64, u16)> {
        if self.left > 0 { Some((self.sequence, self.left)) } else { None }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}/{}/{}", self.incarnation, self.sequence, self.left)
    }
}

impl FromStr for Cursor {
    type Err = ParseCursorError;

    /// Reads what a cursor prints.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let mut parts = text.split('/');
            let incarnation = parts.next().filter(|digits| digits.len() == 16)?;
            let incarnation = u64::from_str_radix(incarnation, 16).ok()?;
            let (sequence, left) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
            parts.next().is_none().then_some(Self { incarnation, sequence, left })
        };
        // No store gives a place without an opening, but the start.
        let is_a_place = |cursor: &Self| cursor.incarnation > 0 || *cursor == Self::START;
        parse()
            .filter(|cursor| is_a_place(cursor) && cursor.to_string() == text)
            .ok_or_else(|| ParseCursorError(text.into()))
    }
}

/// A text is not a cursor. It keeps the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no cursor: keep it as it was printed")]
pub struct ParseCursorError(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_read_back_and_nothing_else_does() {
        let place = keeping::Cursor { incarnation: u64::MAX - 7, sequence: 12 };
        for cursor in [Cursor::START, Cursor::within(place, 0), Cursor::within(place, 63)] {
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
        let good = Cursor::within(place, 3).to_string();
        for bad in ["", "1/2/3", &good[1..], &format!("{good}/"), &format!("{good}x"), &good.to_uppercase()] {
            assert_eq!(bad.parse::<Cursor>(), Err(ParseCursorError(bad.to_owned())));
        }
        assert_eq!(Cursor::within(place, 3).place().sequence, 11);
        assert_eq!(Cursor::within(place, 0).place(), place);
    }
}
