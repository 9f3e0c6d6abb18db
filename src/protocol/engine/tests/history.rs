//! What peers ask about the past of a node that keeps none.

use super::hostile::{bundle, frame_of};
use super::world::World;
use crate::rumor::{Position, RuleSet, Topic};
use crate::wire::{
    self, Answer, Ask, AskedRange, Bound, Fetch, FetchedRange, Frame, Lane, Mark, Page, Reason, Tell,
};

fn ask(rules: &RuleSet, session: u32) -> Ask {
    let range = AskedRange { lo: Bound::start_of(0), hi: Bound::start_of(9), count: 1, hash: [1; 32] };
    Ask { topic: rules.id(), session, as_of: 9, ranges: vec![range] }
}

fn fetch(world: &World, rules: &RuleSet) -> Fetch {
    let range = FetchedRange {
        author: world.liar(1).public(),
        from: Mark { tick: 3, slot: 0 },
        upto: Position { tick: 5, slot: 1 },
    };
    Fetch { topic: rules.id(), session: 7, max_bytes: 1_000, ranges: vec![range] }
}

/// The frames of the history that a peer was sent.
fn answers(world: &World, peer: usize) -> Vec<Frame> {
    let frames = world.hostiles[peer].frames.iter();
    frames.filter(|frame| matches!(frame, Frame::Tell(_) | Frame::Page(_))).cloned().collect()
}

#[test]
fn a_node_that_keeps_no_history_says_so() {
    let mut world = World::new(1);
    let rules = world.topic(&Topic::named("t"));
    world.nodes(1);
    let peer = world.hostile(0);
    world.says(peer, Lane::History, wire::ask(&ask(&rules, 7)));
    let fetch = fetch(&world, &rules);
    world.says(peer, Lane::History, wire::fetch(&fetch));
    world.run(100);
    let no = Tell {
        topic: rules.id(),
        session: 7,
        floor: 9,
        answers: vec![Answer::No { after_ms: wire::MAX_PAUSE_MS }],
    };
    // Nothing was begun of the range, and the floor says that it will not be.
    let none = Page { topic: rules.id(), session: 7, floor: 6, next: vec![fetch.ranges[0].from] };
    assert_eq!(answers(&world, peer), [Frame::Tell(no), Frame::Page(none)]);
    assert_eq!(world.hostiles[peer].closed, None);
}

#[test]
fn answers_that_were_not_asked_for_are_counted_and_not_looked_at() {
    let mut world = World::new(2);
    let rules = world.topic(&Topic::named("t"));
    world.nodes(1);
    let peer = world.hostile(0);
    let tick = rules.tick_len().tick_at(world.now_with(0).unix_ms);
    let said = bundle(&world.liar(1), &rules, tick, 0, &["said"]);
    let told = Tell { topic: rules.id(), session: 1, floor: 0, answers: vec![Answer::Same] };
    let page = Page { topic: rules.id(), session: 1, floor: 0, next: vec![Mark { tick: 1, slot: 0 }] };
    for frame in [wire::tell(&told), wire::page(&page), frame_of(0, &[&said])] {
        world.says(peer, Lane::History, frame);
    }
    world.run(100);
    assert_eq!(world.nodes[0].counters().unasked_history, 3);
    assert!(!world.nodes[0].has_heard("said"));
    assert_eq!(world.hostiles[peer].closed, None, "an answer may be late");
}

#[test]
fn frames_of_the_history_have_a_lane_of_their_own() {
    let mut world = World::new(3);
    let rules = world.topic(&Topic::named("t"));
    world.nodes(1);
    let asked = wire::ask(&ask(&rules, 1));
    let others = [Lane::Control, Lane::Rumors, Lane::Replies].map(|lane| (lane, asked.clone()));
    let announced = wire::announce(&rules.id(), &[(super::hostile::fake_id(1), 9)]);
    for (lane, frame) in others.into_iter().chain([(Lane::History, announced)]) {
        let peer = world.hostile(0);
        world.says(peer, lane, frame);
        world.run(100);
        assert_eq!(world.hostiles[peer].closed, Some(Reason::OutOfOrder), "{lane:?}");
    }
}

#[test]
fn what_is_asked_about_the_past_may_overtake_the_hello() {
    let mut world = World::new(9);
    let rules = world.topic(&Topic::named("t"));
    world.nodes(1);
    // Given a link on which a question comes in before the hello that was said first,
    let peer = world.silent_hostile(0);
    world.says(peer, Lane::History, wire::ask(&ask(&rules, 7)));
    world.run(30);
    world.says(peer, Lane::Control, world.hello());
    world.run(30);
    // then it is not answered, and the link lives: the next one is.
    assert_eq!((world.hostiles[peer].closed, answers(&world, peer).len()), (None, 0));
    assert_eq!(world.nodes[0].counters().history_early, 1);
    world.says(peer, Lane::History, wire::ask(&ask(&rules, 8)));
    world.run(30);
    assert_eq!(answers(&world, peer).len(), 1);
}
