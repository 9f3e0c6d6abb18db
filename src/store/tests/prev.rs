//! What a bundle names as its previous one is held only if exactly that bundle stands exactly there.

use super::*;
use crate::protocol::keeping::{Head, Hole};
use crate::store::MemoryStore;

/// All orders of five things.
fn orders() -> Vec<Vec<usize>> {
    let mut all = vec![Vec::new()];
    for _ in 0..5 {
        let longer = |order: &Vec<usize>| {
            let order = order.clone();
            let next = (0..5).filter(|at| !order.contains(at)).collect::<Vec<_>>();
            next.into_iter().map(move |at| [order.clone(), vec![at]].concat())
        };
        all = all.iter().flat_map(longer).collect();
    }
    all
}

/// Heads and holes after these bundles came one by one.
fn book(rules: &RuleSet, bundles: &[&Arc<Bundle>]) -> (Vec<Head>, Vec<(PublicKey, Previous)>) {
    let mut store = MemoryStore::new(1);
    store.start(&key(0)).unwrap();
    store.open(rules, &ROOM).unwrap();
    for bundle in bundles {
        assert!(is_new(&keep(&mut store, &[Arc::clone(bundle)])[0]));
    }
    assert_eq!(store.check().unwrap().count, 0);
    let mut heads = store.open(rules, &ROOM).unwrap().heads;
    heads.sort_unstable_by_key(|head| (head.author, head.position));
    let missing = |hole: Hole| (hole.author, Previous { id: hole.id, position: hole.position });
    let holes = store.reader().unmet(&rules.id(), None, 9).unwrap().into_iter().map(missing);
    (heads, holes.collect())
}

#[test]
fn prev_is_exact() {
    let rules = rules("exact");
    let first = bundle(&rules, 1, at(10, 3), None, &["first"]);
    let second = bundle(&rules, 1, at(10, 6), previous(&first), &["second"]);
    let third = bundle(&rules, 1, at(11, 3), previous(&second), &["third"]);
    let other = bundle(&rules, 2, at(10, 3), None, &["of another author"]);
    let named = |bundle: &Arc<Bundle>, position| Some(Previous { id: bundle.id(), position });
    let lies = [
        ("a true id in another tick", named(&third, at(10, 9))),
        ("a true id at another slot", named(&third, at(11, 4))),
        ("an id of its own at an earlier slot of the tick", named(&second, at(10, 3))),
        ("an id of its own at a later slot of the tick", named(&first, at(10, 6))),
        ("an id of another author, where its own stands", named(&other, at(10, 3))),
        ("an id of nobody", invented(&mut Dice::new(1), at(11, 3))),
    ];
    let head = |bundle: &Arc<Bundle>| Head {
        author: bundle.header().author,
        position: bundle.header().position(),
        id: bundle.id(),
    };
    for (what, prev) in [("the truth", previous(&third))].into_iter().chain(lies) {
        let last = bundle(&rules, 1, at(12, 3), prev, &["last"]);
        let all = [&first, &second, &third, &last, &other];
        // Whoever names what is not there replaces no head, and has a hole that nothing of all this fills.
        let is_true = prev == previous(&third);
        let mut heads = [&third, &last, &other].map(head).to_vec();
        heads.sort_unstable_by_key(|head| (head.author, head.position));
        heads.retain(|of| !(is_true && of.id == third.id()));
        let holes = if is_true { Vec::new() } else { vec![(key(1), prev.unwrap())] };
        for order in orders() {
            let in_order: Vec<_> = order.iter().map(|at| all[*at]).collect();
            assert_eq!(book(&rules, &in_order), (heads.clone(), holes.clone()), "{what}, {order:?}");
        }
    }
}
