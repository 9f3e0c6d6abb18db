//! Correct nodes never blame each other, whatever their configurations, clocks, pauses and restarts.

use std::time::Duration;

use proptest::prelude::*;

use super::world::World;
use crate::protocol::{Config, Validation};
use crate::rumor::{Evidence, Guarantee, Topic};

/// What happens to a network of correct nodes.
#[derive(Clone, Debug)]
enum Op {
    /// Somebody says so many words at once, of such a length.
    Say(usize, usize, usize),
    /// A link's end stops reading, or reads again.
    Reading(usize, usize, bool),
    /// A link is cut, and made anew.
    Relink(usize),
    /// A node crashes, and comes back with its disk.
    Restart(usize),
    /// One node alone learns that an author is guilty, whose words it may have passed on.
    Convict(usize),
    /// Time passes.
    Wait(u64),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0usize..5, 1usize..40, 1usize..3_000).prop_map(|(who, count, len)| Op::Say(who, count, len)),
        1 => (0usize..20, 0usize..2, any::<bool>()).prop_map(|(link, end, reads)| Op::Reading(link, end, reads)),
        1 => (0usize..20).prop_map(Op::Relink),
        1 => (0usize..5).prop_map(Op::Restart),
        1 => (0usize..5).prop_map(Op::Convict),
        4 => (1u64..2_500).prop_map(Op::Wait),
    ]
}

fn config() -> impl Strategy<Value = Config> {
    let limits = (
        1usize..20,
        1usize..20,
        50_000u64..1 << 25,
        20_000u64..1 << 22,
        20usize..5_000,
        50_000usize..1 << 26,
    );
    // A validator that has no time at all answers too late, and no node takes such a configuration.
    let paces = (1usize..4, 1usize..200, 0u64..50, 10u64..2_000, 1u64..400, 1usize..300);
    (limits, paces).prop_map(|(limits, paces)| {
        let (eager, eager_author, link_bytes_per_s, link_bytes_burst, topic_bundles, topic_bytes) = limits;
        let (verifiers, batch, linger, repair, patience, validators) = paces;
        Config::default()
            .with(|config| {
                config.publishing.eager = eager;
                config.publishing.eager_author = eager_author;
                config.budget.bytes_per_s = link_bytes_per_s;
                config.budget.bytes_burst = link_bytes_burst;
                config.topics.bundles = topic_bundles;
                config.topics.bytes = topic_bytes;
                config.verifiers = verifiers;
                config.batch = batch;
                config.validators.at_once = validators;
            })
            .with(|config| {
                config.expected_nodes = (eager * eager * eager) as u32;
                config.publishing.announce_linger = Duration::from_millis(linger);
                config.pulls.repair_every = Duration::from_millis(repair);
                config.validators.patience = Duration::from_millis(patience);
                config.topics.author_bytes = topic_bytes / 2;
                config.budget.cpu_burst = Duration::from_millis(1 + patience);
            })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(40) })]

    /// B38. (The world checks after every event that nobody is blamed, banned or convicted who should not be.)
    #[test]
    fn correct_nodes_never_blame_each_other(
        seed in 0u64..1_000,
        nodes in prop::collection::vec((config(), -15_000i64..15_000, 0u8..6), 5),
        hold_back in any::<bool>(),
        ops in prop::collection::vec(op(), 1..60),
    ) {
        let mut world = World::new(seed);
        world.latency = (Duration::from_millis(1), Duration::from_millis(90));
        let topic = Topic::named("t").slots_per_tick(50).retention(Duration::from_secs(seed % 20));
        let guarantee = if hold_back { Guarantee::HoldBack(Duration::from_millis(700)) } else { Guarantee::Prompt };
        let rules = world.topic(&topic.guarantee(guarantee));
        for (config, skew_ms, app) in nodes {
            world.node_with(|spec| {
                (spec.config, spec.skew_ms) = (config, skew_ms);
                // Different versions of an application: one says nothing, one rejects what the others like.
                spec.validator = match app {
                    0 => Some(Box::new(|_| None)),
                    1 => Some(Box::new(|bundle| {
                        Some(if bundle.header().tick % 2 == 0 { Validation::Reject } else { Validation::Accept })
                    })),
                    _ => None,
                };
            });
        }
        world.mesh();
        let mut stopped = std::collections::BTreeSet::new();
        for (number, op) in ops.into_iter().enumerate() {
            match op {
                Op::Say(who, count, len) => (0..count).for_each(|n| {
                    world.publish(who, &rules, format!("{number} {n:0>len$}"));
                }),
                Op::Reading(link, end, reads) => {
                    let link = link % world.wires.len();
                    world.set_reading(link, end, reads);
                    if reads { stopped.remove(&(link, end)) } else { stopped.insert((link, end)) };
                }
                Op::Relink(link) => {
                    let (a, b) = (link % 5, (link / 5 + 1 + link % 5) % 5);
                    world.connect(a, if a == b { (a + 1) % 5 } else { b });
                }
                Op::Restart(who) => {
                    world.restart(who, true);
                    (0..5).filter(|other| *other != who).for_each(|other| {
                        world.connect(who, other);
                    });
                }
                Op::Convict(who) => {
                    let author = world.liar(number as u64);
                    let [yes, no] = ["yes", "no"].map(|word| world.says_at(&author, &rules, 0, word));
                    let evidence = Evidence::new(*yes.signed_header(), *no.signed_header()).unwrap();
                    let friend = world.hostile((who + 1) % 5);
                    world.says(friend, crate::wire::Lane::Rumors, super::hostile::frame_of(4, &[&yes]));
                    world.run(11);
                    let teller = world.hostile(who);
                    world.says(teller, crate::wire::Lane::Control, crate::wire::evidence(&evidence));
                    for hostile in [friend, teller] {
                        world.run(20);
                        let wire = world.hostiles[hostile].wire;
                        world.cut(wire);
                    }
                }
                Op::Wait(millis) => world.run(millis),
            }
        }
        world.run(15_000);
        // When all that was done to them is over, then a minute later each hears and is heard; where a node has few places, when
        // what was said before has left its window.
        for (wire, end) in stopped {
            world.set_reading(wire, end, true);
        }
        for node in &mut world.nodes {
            if let Some(validator) = &mut node.validator {
                *validator = Box::new(|_| Some(Validation::Accept));
            }
        }
        world.mesh();
        // (A node of few places lets its own author say a few bundles in each window, and much may wait.)
        let mut minutes = 0;
        while world.nodes.iter().any(|node| !node.engine.publisher.is_idle()) {
            minutes += 1;
            prop_assert!(minutes <= 180, "a publish request waits for ever");
            world.run(60_000);
        }
        let roomy = world.nodes.iter().all(|node| node.config.topics.bundles >= 1_000);
        world.run(if roomy { 60_000 } else { 140_000 });
        let publish_ids: Vec<_> = (0..5).map(|who| world.publish(who, &rules, format!("healed {who}"))).collect();
        world.run(10_000);
        for (node, publish_id) in world.nodes.iter().zip(&publish_ids) {
            prop_assert!(matches!(node.published.get(publish_id), Some(Ok(_))), "{:?}", node.published.get(publish_id));
            for who in 0..5 {
                prop_assert!(node.has_heard(format!("healed {who}")), "{who}");
            }
        }
        // And no link of a correct node has a strike that it did not earn by falling silent for seconds.
        for node in &world.nodes {
            prop_assert!(node.engine.banned().is_empty());
        }
    }
}
