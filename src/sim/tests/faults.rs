//! What goes wrong without a liar.

use super::*;
use crate::protocol::PublishError;

fn started(scenario: Scenario) -> Network {
    let mut network = Network::new(scenario);
    network.run_for(Duration::from_secs(2));
    network
}

#[test]
fn a_short_partition_only_delays() {
    let mut network = started(small());
    network.partition(|node| u32::from(node < 100));
    network.publish(0, vec![1; 300]);
    network.run_checked(Duration::from_secs(10)).unwrap();
    let missed = &network.measures().spreads[0].missed;
    assert_eq!((missed.len(), missed.iter().all(|node| *node >= 100)), (100, true));
    network.heal();
    network.run_checked(Duration::from_secs(5)).unwrap();
    let measures = network.measures();
    assert_eq!((measures.coverage(), measures.false_bans), (1.0, 0));
}

#[test]
fn a_long_partition_takes_links_down_and_is_dialled_over() {
    let mut network = started(small());
    let across = |network: &Network| {
        (0..100)
            .map(|node| network.links(node).iter().filter(|(peer, _)| *peer >= 100).count())
            .sum::<usize>()
    };
    let before = across(&network);
    network.partition(|node| u32::from(node < 100));
    network.run_checked(Duration::from_secs(31)).unwrap();
    assert_eq!(across(&network), 0);
    network.publish(0, vec![1; 300]);
    network.run_checked(Duration::from_secs(10)).unwrap();
    network.heal();
    network.run_checked(Duration::from_secs(35)).unwrap();
    assert!(across(&network) * 2 > before, "{} links of {before} are back", across(&network));
    network.publish(150, vec![2; 300]);
    network.run_checked(Duration::from_secs(5)).unwrap();
    let measures = network.measures();
    assert_eq!((measures.coverage(), measures.false_bans, measures.repeated), (1.0, 0, 0));
}

#[test]
fn a_node_back_from_a_crash_catches_up() {
    let mut network = started(small());
    network.crash(5);
    network.run_checked(Duration::from_secs(1)).unwrap();
    network.publish(0, vec![1; 300]);
    network.run_checked(Duration::from_secs(5)).unwrap();
    network.restart(5, true);
    assert_eq!(network.measures().spreads[0].missed, [5]);
    network.run_checked(Duration::from_secs(10)).unwrap();
    let measures = network.measures();
    assert_eq!((measures.coverage(), measures.repeated, measures.false_bans), (1.0, 0, 0));
}

#[test]
fn a_position_log_lets_a_restarted_author_speak_and_none_makes_it_wait() {
    for (with_position_log, waits) in [(true, false), (false, true)] {
        let mut network = started(small());
        network.publish(5, vec![1; 300]);
        network.run_checked(Duration::from_secs(1)).unwrap();
        network.crash(5);
        network.restart(5, with_position_log);
        network.run_checked(Duration::from_secs(4)).unwrap();
        network.publish(5, vec![2; 300]);
        network.run_checked(Duration::from_secs(5)).unwrap();
        assert_eq!(network.measures().publishes_waiting, usize::from(waits), "record: {with_position_log}");
        network.run_checked(Duration::from_secs(35)).unwrap();
        let measures = network.measures();
        assert_eq!((measures.publishes_waiting, measures.spreads.len()), (0, 2));
        assert_eq!((measures.convicted, measures.coverage()), (0, 1.0));
    }
}

#[test]
fn nodes_that_stay_miss_nothing_while_others_come_and_go() {
    let churn = Churn { leave_per_s: 2.0, join_per_s: 2.0 };
    let mut network = started(Scenario { churn: Some(churn), ..small() });
    for number in 0..10 {
        let node = network.random_honest();
        network.publish(node, vec![number; 300]);
        network.run_checked(Duration::from_secs(1)).unwrap();
    }
    network.run_checked(Duration::from_secs(5)).unwrap();
    let measures = network.measures();
    assert!(network.len() > 210, "{} nodes", network.len());
    assert_eq!((measures.coverage(), measures.repeated, measures.false_bans), (1.0, 0, 0));
}

#[test]
fn a_clock_that_steps_ahead_says_nothing_until_it_is_right() {
    let mut network = started(small());
    network.step_clock(5, 45_000);
    network.publish(5, vec![1; 300]);
    network.run_checked(Duration::from_secs(5)).unwrap();
    // Ahead by 45 s: forwarded by all, it would be delivered by nobody. So it waits.
    let measures = network.measures();
    assert_eq!((measures.publishes_waiting, measures.spreads.len(), measures.offences), (1, 0, 0));
    network.step_clock(5, -45_000);
    network.publish(5, vec![2; 300]);
    network.run_checked(Duration::from_secs(5)).unwrap();
    let measures = network.measures();
    assert_eq!((measures.publishes_waiting, measures.offences), (0, 0));
    assert!(measures.spreads.iter().all(|spread| spread.missed.is_empty()), "heard by all once it is right");
    assert!(!measures.spreads.is_empty());
}

#[test]
fn a_publish_that_fails_is_seen() {
    let mut network = Network::new(Scenario { start: Start::Cold, ..small() });
    network.publish(7, vec![1; 300]);
    let refused = network.measures().refused;
    assert_eq!(refused, [Refused { node: 7, error: PublishError::NoLink }]);
}

#[test]
fn clocks_up_to_fifteen_seconds_off_lose_nothing() {
    let measures = run(Scenario { clock_spread: Duration::from_secs(15), ..small() }, 5).measures();
    assert_eq!((measures.coverage(), measures.offences), (1.0, 0));
}
