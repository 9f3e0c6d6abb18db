//! Who has a link to whom.

use super::dice::Dice;

/// How links are chosen. Links are undirected once they are up; the first of a pair dials.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Topology {
    /// Each node dials `links` random others.
    Random,
    /// As `Random`, and all dial the first `hubs` nodes as well.
    Hub {
        /// How many hubs.
        hubs: usize,
    },
    /// A ring in which each node dials its `links` next neighbours, and each link is moved to a random node with this
    /// chance in percent (Watts and Strogatz, 1998).
    SmallWorld {
        /// Chance in percent.
        rewired: u8,
    },
    /// Exactly these, as (dialler, dialled).
    Edges(Vec<(usize, usize)>),
}

impl Topology {
    /// Pairs (dialler, dialled), each unordered pair at most once.
    pub(super) fn edges(&self, nodes: usize, links: usize, dice: &mut Dice) -> Vec<(usize, usize)> {
        let mut known = std::collections::HashSet::new();
        let mut edges = Vec::new();
        let mut add = |from: usize, to: usize| {
            let new = from != to && known.insert((from.min(to), from.max(to)));
            if new {
                edges.push((from, to));
            }
            new
        };
        match self {
            Self::Edges(list) => list.iter().for_each(|(from, to)| {
                add(*from, *to);
            }),
            Self::SmallWorld { rewired } => {
                for from in 0..nodes {
                    for step in 1..=links.min(nodes.saturating_sub(1)) {
                        let near = (from + step) % nodes;
                        let far = dice.below(100) < usize::from(*rewired);
                        add(from, if far { dice.below(nodes) } else { near });
                    }
                }
            }
            Self::Random | Self::Hub { .. } => {
                let hubs = if let Self::Hub { hubs } = self { *hubs } else { 0 };
                for from in 0..nodes {
                    (0..hubs.min(nodes)).for_each(|hub| {
                        add(from, hub);
                    });
                    let wanted = links.min(nodes.saturating_sub(1));
                    let mut made = 0;
                    // In small networks most draws hit a link that exists; then fewer links are made.
                    for _ in 0..8 * wanted {
                        made += usize::from(made < wanted && add(from, dice.below(nodes)));
                    }
                }
            }
        }
        edges
    }
}
