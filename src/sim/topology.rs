//! Who has a link to whom.

use super::dice::Dice;

/// How links are chosen. Links are undirected once they are up; the first of a pair dials.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Topology {
    /// Each node dials `links` random others.
    Random,
    /// Each node dials `links` others and is dialled by as many: all degrees are equal, but for a few in small networks.
    Regular,
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

/// Draws for one link before it is given up. In small networks most hit a link that exists.
const RETRIES: usize = 64;

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
            Self::Regular => {
                let links = links.min(nodes.saturating_sub(1) / 2);
                for _ in 0..links {
                    // One more link out of and into each node: a random order of all, in which who would dial itself or
                    // a peer that it has changes places with another.
                    let mut order: Vec<_> = (0..nodes).collect();
                    dice.shuffle(&mut order);
                    for from in 0..nodes {
                        for _ in 0..RETRIES {
                            let to = order.get(from).copied().unwrap_or(from);
                            if add(from, to) {
                                break;
                            }
                            // Only with those whose turn is still to come.
                            let other = from + dice.below(nodes - from);
                            order.swap(from, other);
                        }
                    }
                }
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    const NODES: usize = 500;
    const LINKS: usize = 12;

    fn edges(topology: &Topology) -> Vec<(usize, usize)> {
        topology.edges(NODES, LINKS, &mut Dice::new(7))
    }

    fn degrees(edges: &[(usize, usize)]) -> Vec<usize> {
        let mut degrees = vec![0; NODES];
        for (from, to) in edges {
            degrees[*from] += 1;
            degrees[*to] += 1;
        }
        degrees
    }

    fn is_connected(edges: &[(usize, usize)]) -> bool {
        let mut seen = vec![false; NODES];
        let mut todo = vec![0];
        while let Some(node) = todo.pop() {
            if !std::mem::replace(&mut seen[node], true) {
                let around = edges.iter().filter(|(a, b)| *a == node || *b == node);
                todo.extend(around.map(|(a, b)| if *a == node { *b } else { *a }));
            }
        }
        seen.into_iter().all(|seen| seen)
    }

    #[test]
    fn every_kind_is_connected_and_has_no_link_twice() {
        let kinds = [
            Topology::Random,
            Topology::Regular,
            Topology::Hub { hubs: 3 },
            Topology::SmallWorld { rewired: 0 },
            Topology::SmallWorld { rewired: 20 },
        ];
        for kind in kinds {
            let edges = edges(&kind);
            assert!(is_connected(&edges), "{kind:?}");
            let pairs: std::collections::BTreeSet<_> =
                edges.iter().map(|(a, b)| (a.min(b), a.max(b))).collect();
            assert_eq!(pairs.len(), edges.len(), "{kind:?}");
            assert!(edges.iter().all(|(a, b)| a != b), "{kind:?}");
        }
    }

    #[test]
    fn regular_degrees_are_equal_and_random_ones_are_not() {
        let regular = degrees(&edges(&Topology::Regular));
        let short = regular.iter().filter(|degree| **degree != 2 * LINKS).count();
        assert!(short <= NODES / 50, "{short} nodes with other degrees");
        assert!(regular.iter().all(|degree| degree.abs_diff(2 * LINKS) <= 2), "{regular:?}");
        let random = degrees(&edges(&Topology::Random));
        assert!(random.iter().any(|degree| degree.abs_diff(2 * LINKS) > 5));
    }

    #[test]
    fn all_dial_the_hubs_and_rings_have_neighbours() {
        let hub = degrees(&edges(&Topology::Hub { hubs: 2 }));
        assert_eq!((hub[0], hub[1]), (NODES - 1, NODES - 1));
        assert!(
            degrees(&edges(&Topology::SmallWorld { rewired: 0 })).iter().all(|degree| *degree == 2 * LINKS)
        );
        let listed = Topology::Edges(vec![(0, 1), (1, 0), (1, 1), (3, 2)]);
        assert_eq!(edges(&listed), [(0, 1), (3, 2)]);
    }
}
