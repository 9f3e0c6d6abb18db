//! Slots, rests, and members that have failed.

use super::*;
use crate::protocol::dialler::rests::FIRST_REST;
use crate::protocol::limits::{MAX_RESTING_ADDRESSES, MAX_RESTING_PEERS, STRANGERS_AT_ONCE};

/// A world that feels for nobody, and in which everybody is hash-selected.
fn choosing(outbound: usize) -> World {
    let mut config = wanting(outbound);
    (config.dialling.feelers, config.expected_nodes) = (0, 1);
    World::with(&config)
}

/// A peer for each address, named by strangers.
fn find(world: &mut World, peers: impl IntoIterator<Item = u16>) {
    for number in peers {
        let addr = u8::try_from(number % 256).unwrap();
        world.dialler.suggest(world.now, key(number), addr, Origin::Found).unwrap();
    }
    world.poll();
}

/// Lets seconds pass, in which whoever is dialled answers.
fn answer_for(world: &mut World, seconds: u64) {
    for _ in 0..seconds {
        world.pass_awake(Duration::from_secs(1));
        world.connect_all();
    }
}

fn linked(world: &World) -> BTreeSet<PublicKey> {
    world.links.values().copied().collect()
}

#[test]
fn a_better_candidate_takes_the_place_of_an_occupant_once_both_have_said_hello() {
    // Given a node whose slots were filled when it knew nobody else,
    let mut world = choosing(4);
    find(&mut world, 0..4);
    world.connect_all();
    let first = linked(&world);
    // when it comes to know two hundred others, then some of them come before its occupants.
    find(&mut world, 4..204);
    world.pass_awake(Duration::from_secs(9));
    assert_eq!(world.begun.len(), 4);
    for _ in 0..30 {
        world.pass_awake(Duration::from_secs(1));
        if !world.dials.is_empty() {
            break;
        }
    }
    let better = *world.dials.keys().next().unwrap();
    assert_eq!((world.dials.len(), linked(&world)), (1, first.clone()));
    // As long as it has not said hello, nobody gives way to it.
    world.sight.mute.insert(LinkId(world.next_link + 1));
    let link = world.connect(better).unwrap();
    world.pass_awake(Duration::from_secs(9));
    assert_eq!((world.hung_up.len(), world.links.len(), world.dials.len()), (0, 5, 0));
    world.sight.mute.remove(&link);
    world.pass_awake(Duration::from_secs(1));
    assert_eq!((world.hung_up.len(), world.links.len()), (1, 4));
    assert!(first.contains(&world.hung_up[0]) && linked(&world).contains(&better));
    // In a quarter of an hour the occupants are those that come first of all, and then nobody is displaced any more.
    answer_for(&mut world, 900);
    let (chosen, begun) = (linked(&world), world.begun.len());
    assert!(chosen.is_disjoint(&first), "each of 200 was as likely");
    answer_for(&mut world, 900);
    assert_eq!((linked(&world), world.begun.len()), (chosen, begun));
}

#[test]
fn who_came_first_has_no_more_slots_than_its_share() {
    // Given twelve slots full of liars, who are a third of all there are.
    let mut world = choosing(12);
    find(&mut world, 0..12);
    world.connect_all();
    find(&mut world, 12..100);
    find(&mut world, 100..300);
    answer_for(&mut world, 1800);
    let liars: BTreeSet<_> = (0..100).map(key).collect();
    let share = linked(&world).intersection(&liars).count();
    assert_eq!(world.links.len(), 12);
    assert!(share <= 8, "{share} of 12");
    // Two nodes choose differently.
    let mut other = choosing(12);
    other.dialler = Dialler::new(OWN, NETWORK, &other.dialler.config.clone(), &[8; 32]);
    find(&mut other, 0..300);
    answer_for(&mut other, 1800);
    assert!(linked(&other).intersection(&linked(&world)).count() < 6);
}

#[test]
fn whom_the_application_named_is_never_displaced_and_a_challenger_that_fails_displaces_nobody() {
    let mut world = choosing(3);
    world.keep(key(1000), 1).unwrap();
    world.suggest([key(1001)], Origin::Told);
    // (It was tried in vain once, so all others would come first.)
    world.fail(key(1001));
    world.pass_awake(Duration::from_secs(1));
    world.connect_all();
    find(&mut world, 0..1);
    world.connect_all();
    assert_eq!(world.links.len(), 3);
    // When all others refuse, then the occupants stay.
    find(&mut world, 1..200);
    for _ in 0..120 {
        world.pass_awake(Duration::from_secs(1));
        world.dials.keys().copied().collect::<Vec<_>>().into_iter().for_each(|peer| _ = world.fail(peer));
    }
    assert!(world.begun.len() > 3, "nobody was tried");
    assert_eq!((world.hung_up.len(), world.links.len()), (0, 3));
    // When they answer, then only the one that strangers named goes.
    answer_for(&mut world, 1200);
    assert!(!world.hung_up.is_empty());
    assert!(linked(&world).contains(&key(1000)) && linked(&world).contains(&key(1001)));
}

#[test]
fn what_the_application_named_is_dialled_before_what_strangers_named() {
    let mut world = choosing(4);
    world.sight.refuses = Some(Reason::Full);
    find(&mut world, 0..100);
    world.suggest((200..204).map(key), Origin::Told);
    world.sight.refuses = None;
    world.pass_awake(Duration::from_secs(2));
    assert_eq!(BTreeSet::from_iter(world.dials.keys().copied()), (200..204).map(key).collect());
}

/// How long after now the next dial of a peer begins, if whoever else is dialled does not answer.
fn until_dialled(world: &mut World, peer: PublicKey, most: u64) -> Option<u64> {
    let begun = world.begun.iter().filter(|(_, other, _)| *other == peer).count();
    for minute in 0..=most {
        if world.begun.iter().filter(|(_, other, _)| *other == peer).count() > begun {
            return Some(minute);
        }
        world.pass_awake(Duration::from_secs(60));
    }
    None
}

#[test]
fn who_refuses_or_leaves_soon_rests_for_ten_minutes_and_twice_as_long_each_time() {
    let mut world = choosing(1);
    find(&mut world, [5]);
    let mut expected = 10;
    for round in 0..9 {
        // In turn, it refuses, or leaves before it has stayed for ten minutes.
        if round % 2 == 0 {
            world.fail(key(5));
        } else {
            let link = world.connect(key(5)).unwrap();
            world.down(link, Some(599));
        }
        let rested = until_dialled(&mut world, key(5), 1500).unwrap();
        assert!((expected..=expected + 2).contains(&rested), "{rested} instead of {expected} minutes");
        expected = (expected * 2).min(1440);
    }
    assert_eq!(expected, 1440, "a day");
    // One that stays ends the doubling,
    let link = world.connect(key(5)).unwrap();
    world.down(link, Some(600));
    assert!(until_dialled(&mut world, key(5), 10).unwrap() <= 1);
    world.fail(key(5));
    assert!((10..=12).contains(&until_dialled(&mut world, key(5), 20).unwrap()));
    // and who is forgotten and named again has rested no less.
    world.fail(key(5));
    world.dialler.forget(&key(5));
    find(&mut world, [5]);
    assert!((19..=22).contains(&until_dialled(&mut world, key(5), 40).unwrap()));
}

#[test]
fn whom_the_application_named_does_not_rest() {
    let mut world = choosing(2);
    world.keep(key(1), 1).unwrap();
    world.suggest([key(2)], Origin::Told);
    for peer in [1, 2] {
        let link = world.connect(key(peer)).unwrap();
        world.down(link, Some(5));
        assert!(until_dialled(&mut world, key(peer), 5).unwrap() <= 1);
        world.fail(key(peer));
        assert!(until_dialled(&mut world, key(peer), 5).unwrap() <= 1);
    }
}

#[test]
fn an_address_where_nobody_answers_rests_for_all_who_list_it() {
    let mut world = choosing(1);
    for number in 0..50 {
        world.dialler.suggest(world.now, key(number), 7, Origin::Found).unwrap();
    }
    world.poll();
    // One dial finds nobody there, and no other key has it dialled for ten minutes.
    for _ in 0..599 {
        world
            .dials
            .keys()
            .copied()
            .collect::<Vec<_>>()
            .into_iter()
            .for_each(|peer| world.fail_in_silence(peer));
        world.pass_awake(Duration::from_secs(1));
    }
    assert_eq!(world.begun.len(), 1);
    for _ in 0..600 {
        world
            .dials
            .keys()
            .copied()
            .collect::<Vec<_>>()
            .into_iter()
            .for_each(|peer| world.fail_in_silence(peer));
        world.pass_awake(Duration::from_secs(1));
    }
    assert_eq!(world.begun.len(), 2);
}

#[test]
fn an_address_where_another_key_answers_rests_for_all_but_that_key() {
    let mut world = choosing(1);
    world.dialler.suggest(world.now, key(1), 7, Origin::Found).unwrap();
    world.poll();
    let somebody_else = |world: &mut World, peer: u16| {
        world.dials.remove(&key(peer)).unwrap();
        world.dialler.failed(world.now, &key(peer), Ending::WrongKey(key(2)), &"somebody else");
        world.poll();
    };
    somebody_else(&mut world, 1);
    // Liars who list it have nobody dial it,
    (10..50).for_each(|peer| world.dialler.suggest(world.now, key(peer), 7, Origin::Found).unwrap());
    world.pass_awake(Duration::from_secs(590));
    assert_eq!(world.begun.len(), 1);
    // and who lives there is dialled, also when they have tried again, and while it is linked they go on resting.
    world.dialler.suggest(world.now, key(2), 7, Origin::Found).unwrap();
    world.poll();
    assert_eq!(world.dials.get(&key(2)), Some(&7));
    world.connect(key(2)).unwrap();
    assert_eq!(world.dialler.rests.address_until(&7, &key(1), world.now), Some(FIRST_REST_OVER));
    // When another has it now, all that others have said of it is void.
    world.dialler.rests.address_answered(&7, &key(3));
    assert_eq!(world.dialler.rests.address_until(&7, &key(1), world.now), None);
}

/// When a rest is over that began at the beginning.
const FIRST_REST_OVER: Mono = Mono::from_nanos(FIRST_REST.as_nanos() as u64);

#[test]
fn a_peer_rests_only_when_all_its_addresses_were_tried() {
    let mut world = choosing(1);
    world.dialler.suggest(world.now, key(1), 1, Origin::Found).unwrap();
    world.dialler.suggest(world.now, key(1), 2, Origin::Found).unwrap();
    world.poll();
    world.fail_in_silence(key(1));
    world.pass_awake(Duration::from_secs(1));
    assert_eq!(world.dials.get(&key(1)), Some(&2));
    world.fail_in_silence(key(1));
    assert_eq!(until_dialled(&mut world, key(1), 8), None);
}

#[test]
fn addresses_that_never_answered_are_dialled_at_a_pace() {
    let mut world = choosing(12);
    find(&mut world, 0..250);
    let silence = |world: &mut World, seconds: u64| {
        let before = world.begun.len();
        for _ in 0..seconds {
            world
                .dials
                .keys()
                .copied()
                .collect::<Vec<_>>()
                .into_iter()
                .for_each(|peer| world.fail_in_silence(peer));
            world.pass_awake(Duration::from_secs(1));
        }
        world.begun.len() - before
    };
    silence(&mut world, 5);
    assert_eq!(world.begun.len(), STRANGERS_AT_ONCE as usize);
    let later = silence(&mut world, 300);
    assert!((29..=31).contains(&later), "{later} dials in five minutes");
    // One that answers with a refusal, as a full node does, is there: another may be tried.
    let mut world = choosing(12);
    find(&mut world, 0..250);
    for _ in 0..20 {
        world.dials.keys().copied().collect::<Vec<_>>().into_iter().for_each(|peer| _ = world.fail(peer));
    }
    assert!(world.begun.len() > 100, "{}", world.begun.len());
    // One that somebody else answers for is not: or a victim would have to answer for each key that lists it.
    let mut world = choosing(12);
    find(&mut world, 0..250);
    for _ in 0..20 {
        for peer in world.dials.keys().copied().collect::<Vec<_>>() {
            world.dials.remove(&peer);
            world.dialler.failed(world.now, &peer, Ending::WrongKey(key(999)), &"somebody else");
            world.poll();
        }
    }
    assert_eq!(world.begun.len(), STRANGERS_AT_ONCE as usize);
}

#[test]
fn what_rests_is_bounded() {
    let mut rests = crate::protocol::dialler::rests::Rests::<u32>::new();
    let name = |number: u32| {
        let mut name = [5; 32];
        name[..4].copy_from_slice(&number.to_le_bytes());
        PublicKey::from_bytes(name)
    };
    let at = |number: u32| Mono::from_nanos(u64::from(number));
    for number in 0..40_000 {
        rests.peer_failed(at(number), &name(number));
        rests.address_failed(at(number), &number);
        rests.address_taken(at(number), &number, name(number));
    }
    assert_eq!(rests.held(), (MAX_RESTING_PEERS, MAX_RESTING_ADDRESSES, MAX_RESTING_ADDRESSES));
    assert!(
        rests.peer_until(&name(39_999), at(40_000)).is_some()
            && rests.peer_until(&name(0), at(40_000)).is_none()
    );
    assert!(
        rests.address_until(&39_999, &OWN, at(40_000)).is_some()
            && rests.address_until(&0, &OWN, at(40_000)).is_none()
    );
}

#[test]
fn members_that_failed_are_dialled_now_and_then_and_linked_for_a_minute() {
    // Given a node whose slots are full, and ten members of which it had dialled one that failed,
    let mut world = choosing(2);
    find(&mut world, 0..12);
    world.connect_all();
    let mine = linked(&world);
    let others: Vec<_> = (0..12).map(key).filter(|peer| !mine.contains(peer)).collect();
    for peer in &others {
        world.dialler.member_failed(world.now, peer);
    }
    assert_eq!(world.dialler.gone.next_deadline(true), Some(world.now.plus(Duration::from_secs(30))));
    // then one of them is dialled each half a minute. (Those that do not answer rest at their addresses.)
    for _ in 0..600 {
        world.pass_awake(Duration::from_secs(1));
        world
            .dials
            .keys()
            .copied()
            .collect::<Vec<_>>()
            .into_iter()
            .for_each(|peer| world.fail_in_silence(peer));
    }
    let tried: BTreeSet<_> = world.begun.iter().skip(2).map(|(_, peer, _)| *peer).collect();
    assert_eq!((world.begun.len() - 2, tried.len()), (10, 10), "each once in ten minutes");
    // One that answers is linked, for a minute,
    for _ in 0..60 {
        world.pass_awake(Duration::from_secs(10));
        if !world.dials.is_empty() {
            break;
        }
    }
    let there = *world.dials.keys().next().unwrap();
    world.connect(there).unwrap();
    world.pass_awake(Duration::from_secs(59));
    assert!(linked(&world).contains(&there));
    world.dials.keys().copied().collect::<Vec<_>>().into_iter().for_each(|peer| world.fail_in_silence(peer));
    world.pass_awake(Duration::from_secs(1));
    assert!(!linked(&world).contains(&there) && mine.is_subset(&linked(&world)));
    // or for good if there is a place for it by then. One that answered once is dialled there whenever its turn comes.
    for _ in 0..200 {
        world.pass_awake(Duration::from_secs(10));
        for peer in world.dials.keys().copied().collect::<Vec<_>>() {
            if peer == there { _ = world.connect(peer) } else { world.fail_in_silence(peer) }
        }
        if linked(&world).contains(&there) {
            break;
        }
    }
    world.down(world.link_of(*mine.first().unwrap()), Some(3600));
    for _ in 0..30 {
        world.pass_awake(Duration::from_secs(10));
        world
            .dials
            .keys()
            .copied()
            .collect::<Vec<_>>()
            .into_iter()
            .for_each(|peer| world.fail_in_silence(peer));
    }
    assert!(linked(&world).contains(&there));
}

#[test]
fn who_has_failed_is_no_candidate_and_is_one_again_when_it_is_back() {
    let mut world = choosing(3);
    find(&mut world, 0..2);
    world.connect_all();
    world.sight.refuses = Some(Reason::Full);
    find(&mut world, [7, 8]);
    [7, 8].into_iter().for_each(|number| world.dialler.member_failed(world.now, &key(number)));
    world.sight.refuses = None;
    world.pass_awake(Duration::from_secs(29));
    assert_eq!(world.begun.len(), 2);
    world.dialler.member_returned(world.now, &key(7));
    world.poll();
    assert!(world.dials.contains_key(&key(7)));
    world.connect_all();
    // One that has left is none at all.
    world.dialler.member_left(&key(8));
    world.pass_awake(Duration::from_secs(3600));
    assert!(world.begun.iter().all(|(_, peer, _)| *peer != key(8)));
    // One that the application named is dialled as ever, whatever it is as a member.
    let mut world = choosing(1);
    world.sight.refuses = Some(Reason::Full);
    find(&mut world, [7]);
    world.dialler.member_failed(world.now, &key(7));
    world.suggest([key(7)], Origin::Told);
    world.dialler.member_failed(world.now, &key(7));
    world.dialler.member_left(&key(7));
    world.sight.refuses = None;
    world.pass_awake(Duration::from_secs(2));
    assert!(world.dials.contains_key(&key(7)));
}

#[test]
fn one_that_never_answered_and_may_be_aimed_is_not_dialled_when_it_failed() {
    let mut config = wanting(1);
    (config.dialling.feelers, config.expected_nodes) = (0, u32::MAX);
    let mut world = World::with(&config);
    find(&mut world, 0..9);
    world.connect_all();
    (0..9).for_each(|number| world.dialler.member_failed(world.now, &key(number)));
    world.pass_awake(Duration::from_secs(600));
    assert_eq!(world.begun.len(), 1);
}

#[test]
fn few_that_failed_are_not_dialled_by_everybody_at_once() {
    let mut world = choosing(1);
    find(&mut world, 0..101);
    world.connect_all();
    let one = (0..101).map(key).find(|peer| !linked(&world).contains(peer)).unwrap();
    world.dialler.member_failed(world.now, &one);
    assert_eq!(world.dialler.gone.next_deadline(true), Some(world.now.plus(Duration::from_secs(400))));
    assert_eq!(FIRST_REST, Duration::from_secs(600));
}

#[test]
fn entries_are_kept_until_eight_links_of_its_own_choice_are_live_and_again_when_few_are_left() {
    // Given two entries, a peer that the application keeps, and a node that is still to find others,
    let mut world = choosing(12);
    [1000, 1001].into_iter().for_each(|number| world.dialler.enter(world.now, key(number), 1).unwrap());
    world.keep(key(1002), 1).unwrap();
    world.connect_all();
    find(&mut world, 0..7);
    answer_for(&mut world, 60);
    let kept =
        |world: &World| world.dialler.list(world.now).iter().map(|kept| kept.peer).collect::<BTreeSet<_>>();
    assert_eq!(kept(&world), [1000, 1001, 1002].map(key).into());
    // when an eighth link of its own choice is there, and says hello, then the entries are kept no more, and their links go on.
    world.sight.mute.insert(LinkId(world.next_link + 1));
    find(&mut world, [7]);
    answer_for(&mut world, 60);
    assert_eq!(kept(&world).len(), 3);
    world.sight.mute.clear();
    world.pass_awake(Duration::from_secs(10));
    assert_eq!((kept(&world), world.links.len()), ([1002].map(key).into(), 11));
    // Better candidates take their places, but not that of the kept peer.
    find(&mut world, 8..250);
    answer_for(&mut world, 1200);
    assert!(linked(&world).contains(&key(1002)));
    assert!(!linked(&world).contains(&key(1000)) && !linked(&world).contains(&key(1001)));
    // When most links are lost and nobody else answers, then the entries are dialled at once, and go on being.
    let begun = world.begun.len();
    for link in world.links.keys().copied().collect::<Vec<_>>() {
        world.ends(link, Some(3600), Ending::Silent);
    }
    assert_eq!(kept(&world).len(), 3);
    world.dialler.list(world.now).iter().for_each(|kept| assert_ne!(kept.state, DialState::Linked));
    for _ in 0..60 {
        world
            .dials
            .keys()
            .copied()
            .collect::<Vec<_>>()
            .into_iter()
            .for_each(|peer| world.fail_in_silence(peer));
        world.pass_awake(Duration::from_secs(1));
    }
    let again = world.begun.iter().skip(begun).filter(|(_, peer, _)| *peer == key(1000)).count();
    assert!(again >= 2, "at once, and half a minute later: {again}");
    // One that the application keeps as well stays so.
    world.keep(key(1000), 1).unwrap();
    for _ in 0..120 {
        world.pass_awake(Duration::from_secs(10));
        world.connect_all();
    }
    assert_eq!(kept(&world), [1000, 1002].map(key).into());
}

#[test]
fn a_silent_link_that_was_given_up_for_a_better_one_rests() {
    let mut config = wanting(1);
    config.expected_nodes = 1;
    let mut world = World::with(&config);
    find(&mut world, 0..2);
    world.connect_all();
    let silent = *linked(&world).first().unwrap();
    world.pass_awake(Duration::from_secs(2));
    let better = *world.dials.keys().next().unwrap();
    let link = world.connect(better).unwrap();
    world.sight.proven.insert(link);
    world.poll();
    assert_eq!((linked(&world), &world.hung_up), (BTreeSet::from([better]), &vec![silent]));
    // When the better one goes soon, and rests as well, then there is nobody to dial: it would come first for its slot again.
    world.down(link, Some(5));
    assert_eq!(until_dialled(&mut world, silent, 8), None);
    assert!(until_dialled(&mut world, silent, 4).is_some());
}
