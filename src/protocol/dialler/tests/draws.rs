//! The draw of each pair and day, and who stays of too many.

use super::*;

const DAY: Duration = Duration::from_secs(86_400);

#[test]
fn a_candidate_that_keeps_a_place_today_does_not_for_ever() {
    // Given candidates that were ground for this node and day: all of them keep a place for it.
    let config = wanting(0);
    let selected = |peer: &PublicKey, unix_s| config.is_hash_selected(&NETWORK, &OWN, peer, unix_s);
    let ground: Vec<_> =
        (0..20_000).map(key).filter(|peer| selected(peer, 1_700_000_000)).take(200).collect();
    assert_eq!(ground.len(), 200);
    let mut world = World::with(&config);
    world.suggest(ground.iter().copied(), Origin::Found);
    let unaimed = |world: &World| ground.iter().filter(|peer| !world.dialler.peers[*peer].is_aimed()).count();
    assert_eq!(unaimed(&world), 200);
    // Each hour a twenty-fourth of the pairs draws anew, and a day later they keep as many places as any keys.
    world.pass(DAY / 2);
    assert!((70..130).contains(&unaimed(&world)), "{}", unaimed(&world));
    world.pass(DAY / 2);
    assert!(unaimed(&world) < 20, "{}", unaimed(&world));
    let now_s = world.time().unix_ms / 1_000;
    assert_eq!(unaimed(&world), ground.iter().filter(|peer| selected(peer, now_s)).count());
}

#[test]
fn candidates_draw_again_where_the_network_has_another_size() {
    let mut world = World::with(&wanting(0));
    world.suggest((0..500).map(key), Origin::Found);
    let unaimed = |world: &World| world.dialler.peers.values().filter(|peer| !peer.is_aimed()).count();
    assert!((4..30).contains(&unaimed(&world)), "{}", unaimed(&world));
    world.sight.expected_nodes = Some(128);
    world.poll();
    assert!((60..130).contains(&unaimed(&world)), "{}", unaimed(&world));
    world.sight.expected_nodes = Some(32);
    world.poll();
    assert_eq!(unaimed(&world), 500);
}

#[test]
fn a_flood_of_names_has_no_more_than_its_share_of_what_is_remembered() {
    for liars_first in [true, false] {
        let mut world = World::with(&wanting(0));
        // Given as many honest peers as may be remembered, and three times as many that liars made up.
        let most = u16::try_from(MAX_SUGGESTED).unwrap();
        let (honest, liars) = (0..most, most..4 * most);
        let all: Vec<_> = if liars_first {
            liars.chain(honest.clone()).collect()
        } else {
            honest.clone().chain(liars).collect()
        };
        // Each is named again and again, the liars more often: that changes nothing.
        for number in all.iter().chain(&all) {
            let _ = world.dialler.suggest(world.now, key(*number), 1, Origin::Found);
        }
        world.poll();
        assert_eq!(world.dialler.candidates(), MAX_SUGGESTED);
        let known = honest.filter(|number| world.dialler.peers.contains_key(&key(*number))).count();
        assert!((200..312).contains(&known), "{known} of a quarter of 1 024");
    }
}

#[test]
fn whoever_is_linked_stays_though_another_comes_before_it() {
    let mut world = World::with(&wanting(4));
    world.suggest((0..4).map(key), Origin::Found);
    world.connect_all();
    for number in 4..8_000 {
        let _ = world.dialler.suggest(world.now, key(number), 1, Origin::Found);
    }
    assert!((0..4).all(|number| world.dialler.peers.contains_key(&key(number))));
    // And what the application names has room at once.
    world.dialler.suggest(world.now, PEER, 1, Origin::Told).unwrap();
    world.poll();
}
