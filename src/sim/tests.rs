//! Claims about small simulated networks; the large ones are a command.

use std::time::Duration;

use super::*;

mod baselines;
mod dialling;
mod faults;
mod invariants;
mod load;

fn spread(scenario: Scenario, rumors: usize) -> (Measures, String) {
    let mut network = Network::new(scenario);
    network.run_for(Duration::from_secs(2));
    for number in 0..rumors {
        let node = network.random_honest();
        network.publish(node, vec![number as u8; 300]);
        network.run_for(Duration::from_millis(200));
    }
    network.run_for(Duration::from_secs(8));
    (network.measures(), network.trace())
}

fn small() -> Scenario {
    Scenario { nodes: 200, ..Scenario::default() }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let (_, one) = spread(small(), 3);
    let (_, same) = spread(small(), 3);
    let (_, other) = spread(Scenario { seed: 2, ..small() }, 3);
    assert_eq!(one, same);
    assert_ne!(one, other);
}

#[test]
fn everybody_hears_and_copies_are_few() {
    let (measures, _) = spread(small(), 5);
    assert_eq!((measures.coverage(), measures.complete()), (1.0, 5));
    assert!(measures.copies <= 1.3, "{} copies", measures.copies);
    assert_eq!((measures.false_bans, measures.offences, measures.repeated), (0, 0, 0));
}

#[test]
fn silent_third_does_not_lose_a_rumor() {
    let (measures, _) = spread(Scenario { liars: 0.33, liar: Liar::Silent, ..small() }, 5);
    assert_eq!((measures.coverage(), measures.complete()), (1.0, 5));
    assert!(measures.copies <= 1.3, "{} copies", measures.copies);
    assert_eq!(measures.false_bans, 0);
}

#[test]
fn announce_liars_do_not_lose_a_rumor() {
    let (measures, _) = spread(Scenario { liars: 0.33, liar: Liar::Announce, ..small() }, 5);
    assert_eq!(measures.coverage(), 1.0);
    assert_eq!(measures.false_bans, 0);
}

#[test]
fn hop_reset_costs_bounded_copies() {
    let (measures, _) = spread(Scenario { liars: 0.33, liar: Liar::Hops, ..small() }, 5);
    assert_eq!(measures.coverage(), 1.0);
    assert!(measures.copies <= 8.5, "{} copies", measures.copies);
    assert_eq!(measures.false_bans, 0);
}

#[test]
fn lossy_links_and_slow_uplinks_only_delay() {
    let scenario = Scenario { loss: 0.05, uplink: Some(1_000_000), ..small() };
    let (measures, _) = spread(scenario, 5);
    assert_eq!(measures.coverage(), 1.0);
    assert!(measures.copies <= 1.6, "{} copies", measures.copies);
}
