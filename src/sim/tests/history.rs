//! Kept topics in networks: whoever was away, cut off, restored or lied to has in the end what all others have.

use std::collections::BTreeSet;

use super::*;
use crate::rumor::BundleId;

const HOUR: Duration = Duration::from_secs(3_600);
/// Repair compares what is at least so old: what is younger is still on its way.
const AS_OF: Duration = Duration::from_secs(80);

/// A topic that keeps what is said for an hour.
fn log() -> Topic {
    Topic::named("log").retention(HOUR)
}

fn keeping(liar: Option<Liar>) -> Scenario {
    let liars = if liar.is_some() { 0.33 } else { 0.0 };
    let liar = liar.unwrap_or(Liar::Silent);
    Scenario { nodes: 60, links: 12, liars, liar, topic: log(), ..Scenario::default() }
}

/// Says so many rumors at random honest nodes among these, one every `gap`.
fn say(network: &mut Network, rumors: usize, gap: Duration, among: impl Fn(usize) -> bool) {
    for number in 0..rumors {
        let node = loop {
            let node = network.random_honest();
            if network.is_alive(node) && among(node) {
                break node;
            }
        };
        network.publish(node, vec![number as u8; 100]);
        pass(network, gap);
    }
}

/// What the stores of all honest nodes that run hold together.
fn all(network: &Network) -> BTreeSet<BundleId> {
    honest(network).into_iter().flat_map(|node| network.kept(node)).collect()
}

/// Honest nodes that run and lack something of `what`.
fn lacking(network: &Network, what: &BTreeSet<BundleId>) -> Vec<(usize, usize)> {
    let alive = honest(network).into_iter().filter(|node| network.is_alive(*node));
    let lacks = alive.map(|node| (node, what.difference(&network.kept(node)).count()));
    lacks.filter(|(_, lacks)| *lacks > 0).collect()
}

/// Lets time pass until nobody lacks anything; gives how long that took, or who lacks something.
fn until_whole(network: &mut Network, limit: Duration) -> Result<Duration, Vec<(usize, usize)>> {
    let (what, step) = (all(network), millis(500));
    let mut waited = Duration::ZERO;
    loop {
        let lacks = lacking(network, &what);
        if lacks.is_empty() {
            return Ok(waited);
        }
        if waited >= limit {
            return Err(lacks);
        }
        pass(network, step);
        waited += step;
    }
}

/// Nobody honest is blamed for what it has or lacks.
fn assert_no_blame(network: &Network) {
    let measures = network.measures();
    assert_eq!((measures.false_bans, measures.repeated), (0, 0));
}

/// A node that is away while 100 rumors are said, and what is missing when it comes back.
fn away(scenario: Scenario) -> (Network, usize) {
    let mut network = Network::new(scenario);
    pass(&mut network, GREETED);
    say(&mut network, 20, GAP, |_| true);
    let node = network.random_honest();
    network.crash(node);
    say(&mut network, 100, Duration::from_secs(2), |other| other != node);
    pass(&mut network, AS_OF);
    network.restart(node, true);
    (network, node)
}

#[test]
fn who_was_away_has_all_again() {
    let (mut network, _) = away(keeping(None));
    let took = until_whole(&mut network, Duration::from_secs(60)).unwrap();
    assert!(took <= Duration::from_secs(20), "{took:?}");
    assert_no_blame(&network);
}

#[test]
fn a_third_that_lies_about_the_past_delays_it_a_little() {
    let liars = [
        Liar::Echo,
        Liar::Gappy,
        Liar::Invent,
        Liar::Split,
        Liar::Withhold,
        Liar::Laggard,
        Liar::Floor,
        Liar::Hint,
        Liar::AskFlood,
        Liar::Trickle,
    ];
    for liar in liars {
        let (mut network, _) = away(keeping(Some(liar.clone())));
        let took = until_whole(&mut network, Duration::from_secs(120));
        let took = took.unwrap_or_else(|lacks| panic!("{liar}: {lacks:?}"));
        assert!(took <= Duration::from_secs(60), "{liar}: {took:?}");
        assert_no_blame(&network);
    }
}

#[test]
fn a_disk_that_is_lost_is_filled_by_peers() {
    let (mut network, node) = away(keeping(Some(Liar::Echo)));
    pass(&mut network, Duration::from_secs(30));
    network.crash(node);
    network.restore(node, None);
    pass(&mut network, Duration::from_secs(1));
    network.restart(node, true);
    until_whole(&mut network, Duration::from_secs(60)).unwrap();
    assert_no_blame(&network);
}

#[test]
fn yesterdays_backup_convicts_nobody_and_is_filled() {
    let mut network = Network::new(keeping(None));
    pass(&mut network, GREETED);
    say(&mut network, 20, GAP, |_| true);
    let node = network.random_honest();
    let backup = network.back_up(node);
    assert!(backup.is_some());
    // Its own words among those that the backup does not know.
    say(&mut network, 20, GAP, |other| other == node);
    pass(&mut network, AS_OF);
    network.crash(node);
    network.restore(node, backup);
    network.restart(node, true);
    pass(&mut network, Duration::from_secs(5));
    say(&mut network, 20, GAP, |other| other == node);
    until_whole(&mut network, Duration::from_secs(120)).unwrap();
    let measures = network.measures();
    assert!(measures.convictions.is_empty(), "{:?}", measures.convictions);
    assert_no_blame(&network);
}

#[test]
fn a_healed_partition_is_one_again() {
    for liar in [None, Some(Liar::Hint), Some(Liar::Echo)] {
        let mut network = Network::new(keeping(liar.clone()));
        pass(&mut network, GREETED);
        say(&mut network, 10, GAP, |_| true);
        network.partition(|node| u32::from(node < 30));
        say(&mut network, 60, Duration::from_secs(3), |_| true);
        pass(&mut network, AS_OF);
        let what = all(&network);
        assert!(lacking(&network, &what).len() > 30, "the halves have different pasts");
        network.heal();
        let took = until_whole(&mut network, Duration::from_secs(240));
        let took = took.unwrap_or_else(|lacks| panic!("{liar:?}: {lacks:?}"));
        println!("{liar:?}: {took:?}");
        assert_no_blame(&network);
    }
}
