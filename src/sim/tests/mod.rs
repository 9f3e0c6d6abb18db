//! Claims about small simulated networks; the large ones are a command. `pass` checks every invariant after every event; only
//! runs without a defence, comparisons of traces, and tests of what breaks an invariant go without.

mod attacks;
mod authors;
mod baselines;
mod breaches;
mod dialling;
mod faults;
mod history;
mod invariants;
mod liveness;
mod load;
mod member_links;
mod member_records;
mod member_troubles;
mod member_withheld;
mod members;
mod mutations;
mod reading;
mod spread;
mod system;
mod uplink;

use std::time::Duration;

use super::*;
use crate::rumor::{Guarantee, Topic};

/// When the tests begin to publish: hellos are said.
const GREETED: Duration = Duration::from_secs(2);
/// Between two rumors.
const GAP: Duration = Duration::from_millis(200);
/// What is to be delivered is delivered within this, repair included.
const PATIENCE: Duration = Duration::from_secs(8);

fn small() -> Scenario {
    Scenario { nodes: 200, ..Scenario::default() }
}

fn with(liar: Liar) -> Scenario {
    Scenario { liars: 0.33, liar, ..small() }
}

fn held_back() -> Topic {
    Topic::named("held back").guarantee(Guarantee::HoldBack(Duration::from_secs(2)))
}

/// Some 40 of the 48 links of each honest node lead to liars; each of those makes eight conflicts at the edges of the
/// windows, and announces at once what it will not serve: 400 trials in 200 s.
fn edges() -> Scenario {
    Scenario {
        nodes: 60,
        links: 24,
        liar_count: Some(50),
        liar: "edge+announce".parse().unwrap(),
        clock_spread: Duration::from_secs(15),
        topic: held_back(),
        ..Scenario::default()
    }
}

/// Four liars to one honest node, from the first moment on: some nodes begin with liars only, on all their links.
fn mostly_liars() -> Scenario {
    Scenario { nodes: 500, liars: 0.8, links: 6, liar: Liar::Slots, start: Start::Cold, ..small() }
}

/// Lets time pass, and checks every invariant after each event. (Where a defence is taken out they need not hold.)
fn pass(network: &mut Network, time: Duration) {
    if network.scenario.config.failpoint.is_some() {
        return network.run_for(time);
    }
    network.check().unwrap();
    network.run_checked(time).unwrap();
}

/// Random honest nodes publish one rumor each.
fn publish(network: &mut Network, rumors: usize) {
    for number in 0..rumors {
        let node = network.random_honest();
        network.publish(node, vec![number as u8; 300]);
        pass(network, GAP);
    }
}

/// Greets, publishes, waits.
fn run(scenario: Scenario, rumors: usize) -> Network {
    let mut network = Network::new(scenario);
    pass(&mut network, GREETED);
    publish(&mut network, rumors);
    pass(&mut network, PATIENCE);
    network
}

/// What must hold whoever lies: all honest rumors everywhere, once, and nobody banned who is honest.
fn assert_promises(measures: &Measures, rumors: usize, what: &str) {
    assert_eq!((measures.coverage(), measures.complete()), (1.0, rumors), "{what}");
    assert_eq!((measures.false_bans, measures.repeated), (0, 0), "{what}");
}

/// The delay that a part of the deliveries of some rumors did not exceed.
fn delay(spreads: &[Spread], quantile: f64) -> Duration {
    let mut all: Vec<_> = spreads.iter().flat_map(|spread| spread.delays.iter().copied()).collect();
    all.sort_unstable();
    all[((all.len() as f64 * quantile).ceil() as usize).saturating_sub(1)]
}

fn honest(network: &Network) -> Vec<usize> {
    (0..network.len()).filter(|node| network.is_honest(*node)).collect()
}

/// The ends of links that honest nodes have, and whether the other end is honest too.
fn links_of_the_honest(network: &Network) -> Vec<(crate::protocol::LinkStats, bool)> {
    let links = honest(network).into_iter().flat_map(|node| network.engine(node).unwrap().stats().links);
    let is_honest =
        |link: &crate::protocol::LinkStats| network.is_honest(network.by_key[&link.peer] as usize);
    links.map(|link| (link.clone(), is_honest(&link))).collect()
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
