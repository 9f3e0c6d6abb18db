//! Which nodes lie.

use std::collections::VecDeque;

use crate::sim::dice::Dice;

/// Where liars sit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Placement {
    /// Anywhere.
    #[default]
    Random,
    /// As close to this node as they can be: all its neighbours but one, then the neighbours' neighbours, and so on. One
    /// is left, since nothing can reach a node that only liars know.
    Around(usize),
    /// Where the network is narrowest: at the border between two halves of it, those first that most links cross.
    Cut,
}

/// Who lies, `count` of `nodes`, given who is linked to whom.
pub(super) fn choose(
    placement: Placement,
    count: usize,
    nodes: usize,
    edges: &[(usize, usize)],
    dice: &mut Dice,
) -> Vec<bool> {
    // Chance decides among equals, and everything when placement is random.
    let mut order: Vec<_> = (0..nodes).collect();
    for at in (1..order.len()).rev() {
        order.swap(at, dice.below(at + 1));
    }
    let chosen: Vec<_> = match placement {
        Placement::Random => order,
        Placement::Around(victim) => around(victim, nodes, edges),
        Placement::Cut => cut(order, edges),
    };
    let mut lying = vec![false; nodes];
    for node in chosen.into_iter().take(count) {
        if let Some(lies) = lying.get_mut(node) {
            *lies = true;
        }
    }
    lying
}

fn neighbours(nodes: usize, edges: &[(usize, usize)]) -> Vec<Vec<usize>> {
    let mut lists = vec![Vec::new(); nodes];
    for (from, to) in edges {
        for (one, other) in [(*from, *to), (*to, *from)] {
            if let Some(list) = lists.get_mut(one) {
                list.push(other);
            }
        }
    }
    lists
}

/// All nodes but `from`, by their distance from it; those that it is not connected to are left out.
fn by_distance(from: usize, lists: &[Vec<usize>]) -> Vec<usize> {
    let mut known = vec![false; lists.len()];
    let mut queue = VecDeque::from([from]);
    let mut order = Vec::new();
    if let Some(known) = known.get_mut(from) {
        *known = true;
    }
    while let Some(node) = queue.pop_front() {
        for next in lists.get(node).into_iter().flatten() {
            if let Some(known) = known.get_mut(*next)
                && !std::mem::replace(known, true)
            {
                order.push(*next);
                queue.push_back(*next);
            }
        }
    }
    order
}

fn around(victim: usize, nodes: usize, edges: &[(usize, usize)]) -> Vec<usize> {
    let lists = neighbours(nodes, edges);
    let spared = lists.get(victim).and_then(|list| list.last()).copied();
    by_distance(victim, &lists).into_iter().filter(|node| Some(*node) != spared).collect()
}

fn cut(mut order: Vec<usize>, edges: &[(usize, usize)]) -> Vec<usize> {
    let lists = neighbours(order.len(), edges);
    let Some(start) = order.first().copied() else { return order };
    let mut near = vec![false; order.len()];
    let half = order.len() / 2;
    for node in std::iter::once(start).chain(by_distance(start, &lists)).take(half) {
        if let Some(near) = near.get_mut(node) {
            *near = true;
        }
    }
    let crossing = |node: &usize| {
        let here = near.get(*node);
        let list = lists.get(*node).into_iter().flatten();
        list.filter(|other| near.get(**other) != here).count()
    };
    order.sort_by_cached_key(|node| std::cmp::Reverse(crossing(node)));
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::Topology;

    fn lying(placement: Placement, count: usize, nodes: usize, edges: &[(usize, usize)]) -> Vec<usize> {
        let lying = choose(placement, count, nodes, edges, &mut Dice::new(1));
        lying.iter().enumerate().filter(|(_, lies)| **lies).map(|(node, _)| node).collect()
    }

    #[test]
    fn around_a_victim_means_all_its_neighbours_but_one() {
        let edges = Topology::Random.edges(60, 4, &mut Dice::new(1));
        let near: Vec<_> = neighbours(60, &edges).swap_remove(7);
        let liars = lying(Placement::Around(7), near.len() - 1, 60, &edges);
        assert!(liars.iter().all(|liar| near.contains(liar)), "{liars:?} of {near:?}");
        assert!(!lying(Placement::Around(7), 59, 60, &edges).contains(&7));
    }

    #[test]
    fn a_cut_of_a_chain_of_cliques_is_at_a_bridge() {
        // Two cliques of five, joined by one link between 4 and 5.
        let mut edges = Vec::new();
        for base in [0, 5] {
            (0..5).for_each(|a| (0..a).for_each(|b| edges.push((base + a, base + b))));
        }
        edges.push((4, 5));
        assert_eq!(lying(Placement::Cut, 2, 10, &edges), [4, 5]);
    }

    #[test]
    fn every_placement_places_as_many_as_asked() {
        let edges = Topology::Random.edges(60, 4, &mut Dice::new(1));
        for placement in [Placement::Random, Placement::Around(3), Placement::Cut] {
            assert_eq!(lying(placement, 20, 60, &edges).len(), 20, "{placement:?}");
        }
    }
}
