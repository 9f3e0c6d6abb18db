//! Who keeps a link to whom. All of it follows from the seed.

use vouchsafe_cli::demo::plan::Dice;

/// Pairs of nodes, the one that dials first: each node picks `fanout` others, and two that picked each other share one link. If that
/// leaves the nodes in pieces, links are added. `fanout < nodes`.
pub(super) fn links(nodes: usize, fanout: usize, seed: u64) -> Vec<(usize, usize)> {
    let mut dice = Dice::new(seed, "links");
    let mut links: Vec<(usize, usize)> = Vec::new();
    for node in 0..nodes {
        for other in dice.some_of(nodes, fanout, Some(node)) {
            if !links.contains(&(other, node)) {
                links.push((node, other));
            }
        }
    }
    connect(nodes, &mut links, &mut dice);
    links
}

/// Adds a link from the first piece to each other one; how many.
fn connect(nodes: usize, links: &mut Vec<(usize, usize)>, dice: &mut Dice) -> usize {
    let mut bridges = 0;
    loop {
        let mut reached = vec![false; nodes];
        let mut next = vec![0];
        while let Some(node) = next.pop() {
            if !std::mem::replace(&mut reached[node], true) {
                let ends = links.iter().filter_map(|&(one, other)| match node {
                    _ if one == node => Some(other),
                    _ if other == node => Some(one),
                    _ => None,
                });
                next.extend(ends);
            }
        }
        let (inside, outside): (Vec<_>, Vec<_>) = (0..nodes).partition(|node| reached[*node]);
        if outside.is_empty() {
            return bridges;
        }
        links.push((inside[dice.below(inside.len())], outside[dice.below(outside.len())]));
        bridges += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nodes_are_connected_and_pairs_are_linked_once() {
        for (nodes, fanout) in [(2, 1), (6, 5), (20, 1), (20, 4), (100, 1)] {
            for seed in 0..20 {
                let mut planned = links(nodes, fanout, seed);
                let mut pairs: Vec<_> = planned.iter().map(|(a, b)| (*a.min(b), *a.max(b))).collect();
                pairs.sort_unstable();
                pairs.dedup();
                assert_eq!(pairs.len(), planned.len());
                assert!(pairs.iter().all(|(a, b)| a != b));
                assert_eq!(connect(nodes, &mut planned, &mut Dice::new(0, "")), 0);
            }
        }
        assert_eq!(links(20, 4, 1), links(20, 4, 1));
        assert_ne!(links(20, 4, 1), links(20, 4, 2));
    }
}
