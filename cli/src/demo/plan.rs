//! The plan of a demo: how many there are, whom each liar meets, and what it will choose. All of it follows from the seed.

use vouchsafe::adversary::Liar;

/// What a liar does. The order is that in which they are dealt out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Signs in the name of others.
    Forges,
    /// Says more than its quota.
    Floods,
    /// Says two things at one position.
    Equivocates,
    /// Replays what is old, and sends what can't be read.
    Malforms,
    /// Passes nothing on.
    StaysSilent,
    /// Makes up signs of life of other members.
    LiesAboutMembers,
}

impl Kind {
    pub(crate) const ALL: [Self; 6] = [
        Self::Forges,
        Self::Floods,
        Self::Equivocates,
        Self::Malforms,
        Self::StaysSilent,
        Self::LiesAboutMembers,
    ];

    /// One or two words, for the picture and the table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Forges => "forges",
            Self::Floods => "floods",
            Self::Equivocates => "equivocates",
            Self::Malforms => "replays, malforms",
            Self::StaysSilent => "stays silent",
            Self::LiesAboutMembers => "fakes signs of life",
        }
    }

    /// The adversary that does it. Broken frames are no matter for one.
    pub(crate) const fn liar(self) -> Option<Liar> {
        match self {
            Self::Forges => Some(Liar::ForgeVictim),
            Self::Floods => Some(Liar::Overflow),
            Self::Equivocates => Some(Liar::Equivocate),
            Self::StaysSilent => Some(Liar::Silent),
            Self::LiesAboutMembers => Some(Liar::BogusPulses),
            Self::Malforms => None,
        }
    }

    /// How it must be caught, if it can be.
    pub(crate) const fn catch(self) -> Option<Catch> {
        match self {
            Self::Forges | Self::Malforms => Some(Catch::Offence),
            Self::Floods | Self::Equivocates => Some(Catch::Conviction),
            Self::StaysSilent | Self::LiesAboutMembers => None,
        }
    }
}

/// The two ways to be caught.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Catch {
    /// By every node it has sent its bytes to.
    Offence,
    /// By every honest node.
    Conviction,
}

/// One liar.
#[derive(Clone, Debug)]
pub struct LiarPlan {
    /// What it does.
    pub kind: Kind,
    /// The honest nodes it connects to.
    pub meets: Vec<usize>,
    /// On each of those links, how many frames one that malforms listens to before it acts: it joins in when there is talk.
    pub patience: usize,
    /// An honest node, for lies about somebody.
    pub victim: usize,
}

/// All that a seed decides about a network.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(crate) nodes: usize,
    pub(crate) fanout: usize,
    pub(crate) rumors: usize,
    pub(crate) seed: u64,
    pub(crate) liars: Vec<LiarPlan>,
}

impl Plan {
    /// `fanout < nodes`, and at least two nodes.
    pub fn new(nodes: usize, liars: usize, fanout: usize, rumors: usize, seed: u64) -> Self {
        let mut dice = Dice::new(seed, "liars");
        let liars = (0..liars)
            .map(|index| {
                // Two at least: an equivocator needs two halves.
                let meets = dice.some_of(nodes, fanout.max(2), None);
                let victim = dice.below(nodes);
                // So that not all act at once: a rumor makes about one frame on a link.
                let patience = dice.below(4 + rumors / 3);
                LiarPlan { kind: Kind::ALL[index % Kind::ALL.len()], meets, patience, victim }
            })
            .collect();
        Self { nodes, fanout, rumors, seed, liars }
    }
}

/// Random choices that follow from a seed and a purpose, on every machine the same.
pub struct Dice(blake3::OutputReader);

impl Dice {
    /// The same for the same seed and purpose.
    pub fn new(seed: u64, purpose: &str) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("vouchsafe demo choices v1");
        hasher.update(&seed.to_le_bytes()).update(purpose.as_bytes());
        Self(hasher.finalize_xof())
    }

    pub(crate) fn bytes(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        self.0.fill(&mut bytes);
        bytes
    }

    /// A number below `end`, which is not 0. The bias of the remainder is 2^-50 for our small numbers.
    pub fn below(&mut self, end: usize) -> usize {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        (u64::from_le_bytes(bytes) % end.max(1) as u64) as usize
    }

    /// Up to `count` different numbers below `end`, without `except`.
    pub fn some_of(&mut self, end: usize, count: usize, except: Option<usize>) -> Vec<usize> {
        let mut all: Vec<_> = (0..end).filter(|number| Some(*number) != except).collect();
        let count = count.min(all.len());
        for at in 0..count {
            let from = at + self.below(all.len() - at);
            all.swap(at, from);
        }
        all.truncate(count);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_plan() {
        let plan = |seed| Plan::new(20, 6, 4, 30, seed).liars;
        let meets =
            |seed| -> Vec<_> { plan(seed).into_iter().map(|liar| (liar.meets, liar.victim)).collect() };
        assert_eq!(meets(1), meets(1));
        assert_ne!(meets(1), meets(2));
        assert!(plan(1).iter().all(|liar| liar.meets.len() >= 2));
    }
}
