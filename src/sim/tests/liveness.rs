//! After whatever went wrong with single nodes, all hear and are heard again, and all tables are small.

use super::*;
use crate::sim::dice::Dice;

/// What may go wrong, by name.
const TROUBLES: [&str; 8] =
    ["seconds", "hours", "days", "slow disk", "full disk", "validators", "topic", "hangs up"];

fn happens(network: &mut Network, what: &str, node: usize, dice: &mut Dice) {
    let sign = if dice.below(2) == 0 { 1 } else { -1 };
    match what {
        "seconds" => network.step_clock(node, sign * (2_000 + dice.below(28_000) as i64)),
        "hours" => network.step_clock(node, sign * (1 + dice.below(12) as i64) * 3_600_000),
        "days" => network.step_clock(node, sign * (1 + dice.below(30) as i64) * 86_400_000),
        "slow disk" => network.set_disk(node, millis(dice.below(30_000) as u64), false),
        "full disk" => network.set_disk(node, Duration::ZERO, true),
        "validators" => network.set_validators(node, millis(dice.below(500) as u64)),
        "topic" if dice.below(2) == 0 => network.leave_topic(node),
        "topic" => network.rejoin_topic(node),
        _ => network.hang_up(node),
    }
}

/// A minute in which something goes wrong each second while everybody speaks, then a minute in which all is right.
fn recovers(seed: u64, troubles: &[&str]) -> Result<(), Vec<Broken>> {
    let mut network = Network::new(Scenario { nodes: 16, links: 3, seed, ..Scenario::default() });
    let mut dice = Dice::new(seed);
    pass(&mut network, GREETED);
    for number in 0..60u8 {
        let (what, node) = (troubles[dice.below(troubles.len())], dice.below(16));
        happens(&mut network, what, node, &mut dice);
        for _ in 0..4 {
            let author = dice.below(16);
            network.publish(author, vec![number; 200]);
            pass(&mut network, millis(250));
        }
    }
    network.set_right();
    pass(&mut network, Duration::from_secs(60));
    network.check_recovered()
}

fn assert_recovers(troubles: &[&str]) {
    for seed in 1..=3 {
        if let Err(broken) = recovers(seed, troubles) {
            let words: Vec<_> = broken.iter().take(10).map(ToString::to_string).collect();
            panic!("{troubles:?}, seed {seed}: {} faults: {words:#?}", broken.len());
        }
    }
}

#[test]
fn nodes_recover_from_peers_that_hang_up() {
    assert_recovers(&["hangs up"]);
}

#[test]
fn nodes_recover_from_clocks_that_step_by_seconds() {
    assert_recovers(&["seconds"]);
}

#[test]
fn nodes_recover_from_clocks_that_step_by_hours_and_days() {
    assert_recovers(&["hours", "days"]);
}

#[test]
fn nodes_recover_from_slow_and_full_disks() {
    assert_recovers(&["slow disk", "full disk"]);
}

#[test]
fn nodes_recover_from_slow_validators() {
    assert_recovers(&["validators"]);
}

#[test]
fn nodes_recover_from_leaving_and_joining() {
    assert_recovers(&["topic"]);
}

#[test]
fn nodes_recover_from_all_of_it_at_once() {
    assert_recovers(&TROUBLES);
}
