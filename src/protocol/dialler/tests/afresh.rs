//! Links of the node's own choice over which nothing comes.

use super::*;

const SILENCE: Duration = Duration::from_secs(4);

/// A node with so many links of its own choice.
fn linked(links: u16) -> World {
    let mut config = wanting(usize::from(links));
    (config.dialling.feelers, config.expected_nodes) = (0, 1);
    let mut world = World::with(&config);
    world.suggest((0..links).map(key), Origin::Told);
    world.connect_all();
    assert_eq!(world.links.len(), usize::from(links));
    world
}

fn fall_silent(world: &mut World) -> Vec<LinkId> {
    let all: Vec<_> = world.links.keys().copied().collect();
    world.sight.silent.extend(&all);
    all.iter().for_each(|link| world.dialler.is_silent(*link, SILENCE));
    world.poll();
    all
}

#[test]
fn peers_of_silent_links_are_dialled_afresh_two_at_a_time_and_their_links_have_the_place() {
    let mut world = linked(6);
    let begun = world.begun.len();
    fall_silent(&mut world);
    assert_eq!(world.dials.len(), 2, "the first two tell whether the path is back");
    world.connect_all();
    // As soon as the new links are live the old ones are hung up, and nothing is held against anybody.
    world.pass_awake(Duration::from_secs(60));
    assert_eq!((world.links.len(), world.begun.len() - begun, world.hung_up.len()), (6, 6, 6));
    let link = world.link_of(key(0));
    world.down(link, Some(60));
    world.pass_awake(Duration::from_secs(1));
    assert!(world.dials.contains_key(&key(0)), "it is dialled as soon as ever");
}

/// A liar that is silent for a moment, lets itself be dialled and then says nothing on the new link, has one link and not two.
#[test]
fn a_silent_link_keeps_its_place_until_the_new_one_is_live() {
    let mut world = linked(2);
    let silent = world.link_of(key(0));
    world.sight.silent.insert(silent);
    world.dialler.is_silent(silent, SILENCE);
    world.poll();
    world.sight.mute.insert(LinkId(world.next_link + 1));
    let mute = world.connect(key(0)).unwrap();
    world.dialler.is_heard(silent);
    world.pass_awake(Duration::from_secs(5));
    assert_eq!((world.links.len(), world.hung_up.len(), world.dials.len()), (3, 0, 0));
    world.ends(mute, None, Ending::Closed);
    world.pass_awake(Duration::from_secs(60));
    assert_eq!((world.links.len(), world.dials.len()), (2, 0), "the old link has its place still");
    assert!(world.links.contains_key(&silent));
}

/// Whoever is kept is kept, though its silent link has ended meanwhile and another was dialled for its place.
#[test]
fn a_kept_peer_that_is_dialled_afresh_stays() {
    let mut config = wanting(0);
    config.dialling.feelers = 0;
    let mut world = World::with(&config);
    world.keep(PEER, 1).unwrap();
    let link = world.connect(PEER).unwrap();
    world.sight.silent.insert(link);
    world.dialler.is_silent(link, SILENCE);
    world.poll();
    world.ends(link, Some(60), Ending::Silent);
    world.connect(PEER).unwrap();
    world.pass_awake(Duration::from_secs(120));
    assert_eq!((world.links.len(), world.hung_up.len()), (1, 0));
}

#[test]
fn a_peer_that_stays_silent_is_dialled_again_every_ten_seconds_and_none_that_is_heard() {
    let mut world = linked(1);
    let begun = world.begun.len();
    let link = fall_silent(&mut world)[0];
    for again in 1..4 {
        assert_eq!(world.begun.len() - begun, again);
        world.fail_in_silence(key(0));
        world.pass_awake(Duration::from_secs(9));
        assert_eq!(world.begun.len() - begun, again, "not before");
        world.pass_awake(Duration::from_secs(1));
    }
    world.fail_in_silence(key(0));
    world.dialler.is_heard(link);
    world.pass_awake(Duration::from_secs(60));
    assert_eq!((world.begun.len() - begun, world.links.len()), (4, 1));
    // A short silence is none.
    world.dialler.is_silent(link, SILENCE - Duration::from_millis(1));
    world.pass_awake(Duration::from_secs(60));
    assert_eq!(world.begun.len() - begun, 4);
}

#[test]
fn a_link_that_ends_while_its_peer_is_dialled_afresh_is_followed_by_that_dial() {
    let mut world = linked(1);
    let link = fall_silent(&mut world)[0];
    world.ends(link, Some(60), Ending::Silent);
    assert_eq!(world.dials.len(), 1, "one dial a peer");
    world.connect_all();
    world.pass_awake(Duration::from_secs(60));
    assert_eq!((world.links.len(), world.dials.len()), (1, 0));
}

#[test]
fn who_dialled_us_dials_afresh_itself() {
    let mut world = linked(1);
    let inbound = world.inbound(key(7));
    world.dialler.is_silent(inbound, SILENCE);
    world.pass_awake(Duration::from_secs(60));
    assert_eq!(world.dials.len(), 0);
}

/// A liar that takes each dial and closes it is dialled no more often than one that is silent.
#[test]
fn a_peer_that_hangs_up_on_each_new_link_is_dialled_every_ten_seconds() {
    let mut world = linked(1);
    let silent = fall_silent(&mut world)[0];
    let begun = world.begun.len();
    for second in 1..=40u64 {
        if let Some(peer) = world.dials.keys().next().copied() {
            world.sight.mute.insert(LinkId(world.next_link + 1));
            let new = world.connect(peer).unwrap();
            world.ends(new, None, Ending::Closed);
        }
        // The driver tells it again and again.
        world.dialler.is_silent(silent, SILENCE + Duration::from_secs(second));
        world.pass_awake(Duration::from_secs(1));
    }
    assert!((3..=5).contains(&(world.begun.len() - begun)), "{:?}", &world.begun[begun..]);
}

/// What is heard on the new link takes nothing from it.
#[test]
fn a_new_link_that_was_silent_itself_still_takes_the_place() {
    let mut world = linked(1);
    let silent = fall_silent(&mut world)[0];
    world.sight.mute.insert(LinkId(world.next_link + 1));
    let new = world.connect(key(0)).unwrap();
    world.dialler.is_silent(new, SILENCE);
    world.dialler.is_heard(new);
    world.sight.mute.remove(&new);
    world.pass_awake(Duration::from_secs(2));
    assert_eq!(world.links.keys().copied().collect::<Vec<_>>(), [new]);
    assert!(!world.links.contains_key(&silent));
}
