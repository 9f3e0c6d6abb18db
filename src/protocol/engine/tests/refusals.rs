//! Links that ask about the past and heed no refusal, or read no answer.

use super::asked::{ask_all, chain, holds, moment, tells, world};
use crate::protocol::LinkId;
use crate::protocol::limits::{HISTORY_QUEUE, LANE_CREDIT, REFUSALS_BURST, REFUSALS_PER_S};
use crate::wire::{self, Answer, Lane};

#[test]
fn a_link_that_heeds_no_refusal_is_read_no_faster_than_it_may_be_refused() {
    // Given a link that asks five hundred times a second for what nobody is told, and one that asks once, as it should.
    let (mut world, rules) = world(41);
    let (liar, honest) = (world.hostile(0), world.hostile(0));
    let seconds = 10;
    for step in 0..seconds * 100 {
        let as_of = moment(&world);
        for number in 0..5 {
            world.says(liar, Lane::History, wire::ask(&ask_all(&rules, step * 5 + number, as_of + 1)));
        }
        if step % 100 == 50 {
            world.says(honest, Lane::History, wire::ask(&ask_all(&rules, step, as_of)));
        }
        world.run(10);
    }
    // Then it is refused so often, and the rest of what it asks waits on its side.
    let refused = world.nodes[0].counters().history_refused;
    let most = REFUSALS_BURST + REFUSALS_PER_S * u64::from(seconds);
    assert!((REFUSALS_BURST..=most + 8).contains(&refused), "{refused} refusals, where {most} may be");
    let reads = |world: &super::world::World, peer: usize| {
        let link = LinkId(2 * world.hostiles[peer].wire as u64 + 1);
        Lane::ALL.map(|lane| world.nodes[0].engine.is_read(link, lane))
    };
    assert_eq!(reads(&world, liar), Lane::ALL.map(|lane| lane != Lane::History), "that lane alone");
    assert_eq!(reads(&world, honest), [true; Lane::COUNT]);
    assert!(world.nodes[0].counters().paused_for_refusals > 0);
    // And everybody else is answered.
    let told = tells(&world, honest);
    assert_eq!(told.len(), seconds as usize);
    assert!(told.iter().all(|tell| !matches!(tell.answers[..], [Answer::No { .. }])));
    assert_eq!(world.hostiles[liar].closed, None, "it is no offence");
}

#[test]
fn a_peer_that_asks_and_does_not_read_is_answered_a_few_times() {
    // Given a node that holds a word of each of a hundred authors, and a peer that reads nothing.
    let (mut world, rules) = world(42);
    let old = moment(&world) - 500;
    let said: Vec<_> = (0..100).flat_map(|author| chain(&world, &rules, author, old..old + 1, 100)).collect();
    holds(&mut world, &rules, &said);
    let peer = world.hostile(0);
    let wire = world.hostiles[peer].wire;
    world.set_reading(wire, 0, false);
    // When it asks for all of them, in less time than a link may stand still,
    let before = world.nodes[0].counters();
    let (asks, answer) = (200, 100 * 74);
    for session in 0..asks {
        let as_of = moment(&world);
        world.says(peer, Lane::History, wire::ask(&ask_all(&rules, session, as_of)));
        world.run(20);
    }
    // then answers fill what is with the transport and the queue, and the others are counted and not kept.
    let counters = world.nodes[0].counters();
    assert_eq!(world.hostiles[peer].closed, None);
    let answered = counters.history_asks - before.history_asks;
    assert!(answered > 100, "{answered} answers");
    assert!(counters.history_unanswered > 0, "all were answered");
    let held = (answered - counters.history_unanswered) * answer;
    assert!(held < LANE_CREDIT as u64 + HISTORY_QUEUE as u64 * 2 * answer, "{held} bytes");
}
