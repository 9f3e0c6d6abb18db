//! Peers that have no place, and hear this node as a guest.

use super::*;
use crate::protocol::dialler::rests::FIRST_REST;

/// The next link that is made is a guest's.
fn host(world: &mut World, peer: PublicKey) -> LinkId {
    world.sight.guest.insert(LinkId(world.next_link + 1));
    world.connect(peer).expect("wanted")
}

/// A world with so many slots that feels for nobody.
fn quiet(outbound: usize) -> World {
    let mut config = wanting(outbound);
    (config.dialling.feelers, config.expected_nodes) = (0, 1);
    World::with(&config)
}

#[test]
fn a_guest_s_link_fills_no_slot_and_its_peer_rests_as_one_that_refused() {
    // Given a node that wants one link, and knows three peers.
    let mut world = quiet(1);
    for number in 0..3 {
        world.dialler.suggest(world.now, key(number), number as u8, Origin::Found).unwrap();
    }
    world.poll();
    let first = *world.dials.keys().next().unwrap();
    // When the first takes it as a guest, then the next is dialled at once, and nobody hangs up.
    let link = host(&mut world, first);
    assert_eq!((world.dials.len(), world.hung_up.len()), (1, 0));
    world.connect_all();
    assert_eq!(world.links.len(), 2);
    // When the host closes it, then it rests for ten minutes, though the link lived for half of one.
    world.pass_awake(Duration::from_secs(30));
    world.down(link, Some(30));
    assert_eq!(world.dialler.rests.peer_until(&first, world.now), Some(world.now.plus(FIRST_REST)));
    world.pass_awake(Duration::from_secs(60));
    assert!(world.links.values().all(|peer| *peer != first) && world.dials.is_empty());
}

#[test]
fn an_occupant_does_not_go_for_a_link_of_a_guest() {
    let mut world = quiet(4);
    for number in 0..4 {
        world.dialler.suggest(world.now, key(number), 1, Origin::Found).unwrap();
    }
    world.poll();
    world.connect_all();
    for number in 4..204 {
        let addr = u8::try_from(number).unwrap();
        world.dialler.suggest(world.now, key(number), addr, Origin::Found).unwrap();
    }
    // Whoever challenges an occupant has no place: ten minutes long.
    for _ in 0..600 {
        world.pass_awake(Duration::from_secs(1));
        let dialled: Vec<_> = world.dials.keys().copied().collect();
        for peer in dialled {
            let link = host(&mut world, peer);
            world.pass_awake(Duration::from_secs(1));
            world.down(link, Some(1));
        }
    }
    assert!(world.begun.len() > 30, "{}", world.begun.len());
    assert_eq!((world.hung_up.len(), world.links.len()), (0, 4));
    assert!((0..4).all(|number| world.links.values().any(|peer| *peer == key(number))));
}

#[test]
fn a_kept_peer_without_a_place_is_dialled_again_and_its_pauses_grow() {
    let mut world = World::keeping(&[1]);
    world.inbound(key(7));
    for expected in [200, 400, 800] {
        let link = host(&mut world, PEER);
        world.pass_awake(Duration::from_secs(30));
        world.down(link, Some(30));
        let (pause, _) = world.next_dial();
        assert!(is_about(pause, Duration::from_millis(expected)), "{pause:?}");
    }
}

#[test]
fn a_feeler_that_is_a_guest_is_not_kept_for_what_it_brings() {
    let mut world = World::with(&wanting(1));
    world.suggest((0..9).map(key), Origin::Told);
    world.connect_all();
    let before: BTreeSet<_> = world.links.values().copied().collect();
    world.pass_awake(Duration::from_secs(2));
    let feelers: Vec<_> = world.dials.keys().copied().collect();
    assert_eq!(feelers.len(), 4);
    for peer in feelers {
        let link = host(&mut world, peer);
        world.sight.proven.insert(link);
        world.poll();
    }
    assert_eq!(world.hung_up, []);
    assert!(world.links.values().any(|peer| before.contains(peer)));
}

/// A liar that calls a node its guest and never sends it away would have a link for ever that counts nowhere.
#[test]
fn a_guest_s_link_ends_though_its_peer_does_not_end_it() {
    let mut config = wanting(1);
    (config.dialling.feelers, config.expected_nodes) = (0, 1);
    let mut world = World::with(&config);
    world.suggest([key(0)], Origin::Found);
    world.sight.guest.insert(LinkId(world.next_link + 1));
    let link = world.connect(key(0)).unwrap();
    world.pass_awake(Duration::from_secs(34));
    assert!(world.links.contains_key(&link) && world.hung_up.is_empty());
    world.pass_awake(Duration::from_secs(3));
    assert_eq!((world.links.len(), world.hung_up.len()), (0, 1));
    world.pass_awake(Duration::from_secs(300));
    assert!(world.dials.is_empty(), "it rests as one that has refused");
}
