//! Which peers are kept for the next start.

use super::*;
use crate::protocol::limits::MAX_ANCHORS;

fn quiet() -> World {
    let mut config = wanting(12);
    (config.dialling.feelers, config.expected_nodes) = (0, 1);
    World::with(&config)
}

fn keys(world: &World) -> Vec<PublicKey> {
    world.anchors.iter().map(|(peer, _)| *peer).collect()
}

#[test]
fn the_oldest_links_of_its_own_choice_that_brought_something_are_kept() {
    let mut world = quiet();
    world.dialler.keep_anchors(world.now, Vec::new());
    // Given a bootstrap peer, and links to six others, of which the first has brought nothing,
    world.dialler.enter(world.now, PEER, 1).unwrap();
    world.poll();
    let entry = world.connect(PEER).unwrap();
    world.sight.proven.insert(entry);
    let mut links = Vec::new();
    for number in 0..6 {
        world.suggest([key(number)], Origin::Found);
        links.push(world.connect(key(number)).unwrap());
    }
    // (Two of them have brought rumors, the others signs of life.)
    world.sight.proven.extend(&links[1..3]);
    world.sight.signs.extend(&links[3..]);
    // and one that has dialled us: then the oldest four that brought something are kept.
    let inbound = world.inbound(key(9));
    world.sight.proven.insert(inbound);
    world.pass_awake(Duration::from_secs(1));
    assert_eq!(keys(&world), [1, 2, 3, 4].map(key));
    assert_eq!((world.anchors.len(), world.kept_anchors), (MAX_ANCHORS, 1));
    // When one of them goes, then the next takes its place within ten seconds. Whoever is gone stays if nobody else is there.
    world.down(links[2], Some(60));
    world.pass_awake(Duration::from_secs(10));
    assert_eq!(keys(&world), [1, 3, 4, 5].map(key));
    world.down(links[1], Some(60));
    world.dialler.forget(&key(1));
    world.dialler.forget(&key(2));
    world.pass_awake(Duration::from_secs(10));
    assert_eq!(keys(&world), [3, 4, 5, 1].map(key));
    // Nothing is written again where nothing has changed.
    world.pass_awake(Duration::from_secs(100));
    assert_eq!(world.kept_anchors, 3);
}

#[test]
fn those_that_an_earlier_life_has_kept_are_dialled_first() {
    let mut world = quiet();
    let earlier: Vec<_> = (0..6).map(|number| (key(number), number as u8)).collect();
    world.dialler.keep_anchors(world.now, earlier.clone());
    world.dialler.enter(world.now, PEER, 1).unwrap();
    world.dialler.suggest(world.now, key(20), 1, Origin::Told).unwrap();
    world.poll();
    let dialled: Vec<_> = world.begun.iter().map(|(_, peer, _)| *peer).collect();
    assert_eq!(BTreeSet::from_iter(dialled[..5].iter().copied()), {
        let mut first: BTreeSet<_> = (0..4).map(key).collect();
        first.insert(PEER);
        first
    });
    // They are dialled again and again while nobody answers, and kept for the life after this.
    world.pass_awake(Duration::from_secs(300));
    assert!(world.anchors.is_empty(), "nothing else is to be kept");
}

#[test]
fn without_anchors_none_are_told() {
    let mut world = quiet();
    world.suggest((0..4).map(key), Origin::Found);
    world.connect_all();
    world.sight.proven.extend(world.links.keys());
    world.pass_awake(Duration::from_secs(60));
    assert_eq!(world.kept_anchors, 0);
}
