//! Genuine rumors, one to a signature, as fast as a link is read: everybody would check each of them.

use std::time::Duration;

use super::hostile::{bundle, frame_of};
use super::world::World;
use crate::key::SecretKey;
use crate::protocol::Counters;
use crate::rumor::{Bundle, RuleSet, Topic};
use crate::wire::Lane;

/// What a node takes in two seconds from a link that offers all this, and what it tells a third: pushed and announced.
struct Taken {
    counters: Counters,
    pushed: usize,
    announced: usize,
}

/// `known` authors have been heard for longer than newcomers are. If `others_wait`, some signature of another link always does.
fn offered(
    author: &SecretKey,
    known: bool,
    others_wait: bool,
    words: &dyn Fn(&RuleSet, u64) -> Vec<Bundle>,
) -> Taken {
    let mut world = World::new(1);
    let rules = world.topic(&Topic::named("t").slots_per_tick(16_384));
    let node = world.node();
    world.verify_takes = Duration::from_millis(5);
    let (greedy, modest, third) = (world.hostile(node), world.hostile(node), world.hostile(node));
    if known {
        let first = world.says_at(author, &rules, 0, "hello");
        world.pushes(greedy, &[&first]);
        world.run(601_000);
    }
    // Both links are trusted, so that they share batches.
    let (friend, tick) = (world.liar(2), world.tick(&rules));
    for slot in 0..100 {
        let (slot, words) = (2 * slot, [greedy, modest]);
        for (slot, link) in (slot..).zip(words) {
            let word = bundle(&friend, &rules, tick, slot, &["trust me"]);
            world.pushes(link, &[&word]);
        }
        world.run(20);
    }
    let (before, heard) = (world.nodes[node].counters(), world.hostiles[third].frames.len());
    for some in words(&rules, tick).chunks(16) {
        world.says(greedy, Lane::Rumors, frame_of(2, &some.iter().collect::<Vec<_>>()));
    }
    for slot in 200..1_200 {
        if others_wait {
            let word = bundle(&friend, &rules, tick, slot, &["I wait"]);
            world.pushes(modest, &[&word]);
        }
        world.run(2);
    }
    // For the last of these.
    world.run(30);
    let after = world.nodes[node].counters();
    let counters = Counters {
        verified: after.verified - before.verified,
        surcharged: after.surcharged - before.surcharged,
        paused_for_budget: after.paused_for_budget - before.paused_for_budget,
        ..Counters::default()
    };
    world.hostiles[third].frames.drain(..heard);
    let of_author = |bundle: &Bundle| bundle.header().author == author.public();
    let pushed = world.hostiles[third].bundles().iter().filter(|(_, bundle)| of_author(bundle)).count();
    let announced = world.hostiles[third].frames.iter().map(|frame| match frame {
        crate::wire::Frame::Announce(announced) => announced.items.len(),
        _ => 0,
    });
    let announced = announced.sum();
    assert!(world.hostiles.iter().all(|hostile| hostile.closed.is_none()), "nobody is to blame");
    Taken { counters, pushed, announced }
}

fn liar() -> SecretKey {
    super::node::secret("liar", 1)
}

/// Eight thousand bundles of one rumor each.
fn lone(rules: &RuleSet, tick: u64) -> Vec<Bundle> {
    (0..8_000).map(|slot| bundle(&liar(), rules, tick, slot, &["a"])).collect()
}

#[test]
fn lone_rumors_beyond_need_cost_their_link_more_while_others_wait() {
    for known in [false, true] {
        let taken = offered(&liar(), known, true, &lone);
        // In two seconds: 2 x 512 and a burst of 256 at the usual price, and, at eight times that, what is left of 250 ms a
        // second and a burst of 100 ms. Beside it a thousand of the other link.
        let Counters { verified, surcharged, paused_for_budget, .. } = taken.counters;
        assert!((2_200..3_600).contains(&verified), "{verified} verified, known: {known}");
        assert!((500..1_400).contains(&surcharged), "{surcharged} surcharged, known: {known}");
        assert!(paused_for_budget > 10);
        // They are not pushed on: others ask for them when they have room.
        assert!((700..1_400).contains(&taken.pushed), "{} pushed, known: {known}", taken.pushed);
        assert!(taken.announced as u64 >= surcharged);
    }
}

#[test]
fn lone_rumors_cost_no_extra_while_no_other_author_waits() {
    let taken = offered(&liar(), false, false, &lone);
    let Counters { verified, surcharged, .. } = taken.counters;
    assert!(verified > 7_000 && surcharged == 0, "{verified} verified, {surcharged} surcharged");
}

#[test]
fn full_bundles_are_what_is_wanted() {
    let author = liar();
    let full = |rules: &RuleSet, tick| {
        let bodies = ["a"; 64];
        (0..250).map(|n| bundle(&liar(), rules, tick, 64 * n, &bodies)).collect()
    };
    let taken = offered(&author, false, true, &full);
    assert_eq!((taken.counters.surcharged, taken.counters.verified), (0, 250 + 1_000));
}
