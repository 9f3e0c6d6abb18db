//! Spread: whether to push or to announce.

/// How many of the copies pushed to us lately were needless: 0 none, [`Redundancy::ALL`] all.
///
/// The author chooses the hop budget by how large it takes the network to be; in a small or dense one a budget that is
/// too large has everybody push what everybody has (measured: 7 copies each in a mesh of eight that expects a thousand).
/// What others push in vain to us, we push in vain to others: so from a fifth of duplicates on we push to fewer links,
/// from two fifths on to none, and announce instead. Liars that send duplicates can make us announce where we would have
/// pushed, which costs a round trip and loses nothing.
#[derive(Debug, Default)]
pub(super) struct Redundancy(u32);

impl Redundancy {
    const ALL: u32 = 1 << 16;

    /// Counts a pushed copy: an exponential mean over about the last 32.
    pub(super) fn count(&mut self, duplicate: bool) {
        self.0 = self.0 - self.0 / 32 + if duplicate { Self::ALL / 32 } else { 0 };
    }

    /// How many links to push to, out of `eager`.
    pub(super) fn reduce(&self, eager: usize) -> usize {
        let fifth = Self::ALL / 5;
        let room = (2 * fifth).saturating_sub(self.0).min(fifth) as usize;
        eager * room / fifth as usize
    }
}
