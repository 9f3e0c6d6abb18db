//! Simulations of kept topics at the sizes of docs/performance.md: how soon all nodes have the same past, and what that takes.
//!
//! `cargo run --release -p vouchsafe-lab --example past_rows -- ROW [NODES [LIAR ..]]`
//!
//! | Row | Nodes | What |
//! |---|---|---|
//! | `partition` | 2 000 | halves that are apart for 10 min while 200 rumors are said, a third liars |
//! | `away` | 200 | one node is away for 10 min while 300 rumors are said, a third liars |
//!
//! Each liar is a run of its own; `none` is a run without liars. Without names: none, hint and echo.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use vouchsafe::Topic;
use vouchsafe::rumor::BundleId;
use vouchsafe::sim::{Liar, Network, Scenario};

const SECOND: Duration = Duration::from_secs(1);
/// What is younger is not compared yet.
const AS_OF: Duration = Duration::from_secs(80);
const STEP: Duration = Duration::from_millis(500);
/// A run that takes longer has failed.
const LIMIT: Duration = Duration::from_secs(300);

fn main() -> Result<(), String> {
    let mut words = std::env::args().skip(1);
    let row = words.next().unwrap_or_default();
    let nodes = words.next().map(|word| word.parse::<usize>()).transpose();
    let nodes = nodes.map_err(|error| format!("the number of nodes: {error}"))?;
    let mut liars: Vec<_> = words.collect();
    if liars.is_empty() {
        liars = ["none", "hint", "echo"].map(str::to_owned).to_vec();
    }
    for name in liars {
        let liar = match name.as_str() {
            "none" => None,
            name => Some(name.parse::<Liar>().map_err(|error| error.to_string())?),
        };
        let started = Instant::now();
        let scenario = |nodes| Scenario {
            nodes,
            links: 24,
            liars: if liar.is_some() { 0.33 } else { 0.0 },
            liar: liar.clone().unwrap_or(Liar::Silent),
            topic: Topic::named("log").retention(3_600 * SECOND),
            ..Scenario::default()
        };
        match row.as_str() {
            "partition" => partition(&name, scenario(nodes.unwrap_or(2_000))),
            "away" => away(&name, scenario(nodes.unwrap_or(200))),
            other => return Err(format!("{other:?} is no row: give partition or away")),
        }
        println!("  {:.1} s of this machine", started.elapsed().as_secs_f64());
    }
    Ok(())
}

fn partition(name: &str, scenario: Scenario) {
    let half = scenario.nodes / 2;
    let mut network = Network::new(scenario);
    network.run_for(5 * SECOND);
    network.partition(|node| u32::from(node < half));
    say(&mut network, 200, 3 * SECOND, |_| true);
    network.run_for(AS_OF);
    network.heal();
    report(name, &mut network);
}

fn away(name: &str, scenario: Scenario) {
    let mut network = Network::new(scenario);
    network.run_for(5 * SECOND);
    let node = network.random_honest();
    network.crash(node);
    say(&mut network, 300, 2 * SECOND, |other| other != node);
    network.run_for(AS_OF);
    network.restart(node, true);
    report(name, &mut network);
}

/// Says rumors at random honest nodes among these.
fn say(network: &mut Network, rumors: usize, gap: Duration, among: impl Fn(usize) -> bool) {
    for number in 0..rumors {
        let node = loop {
            let node = network.random_honest();
            if network.is_alive(node) && among(node) {
                break node;
            }
        };
        network.publish(node, vec![number as u8; 300]);
        network.run_for(gap);
    }
}

/// Lets time pass until all honest nodes have all, and says what it took.
fn report(name: &str, network: &mut Network) {
    let honest: Vec<_> = (0..network.len()).filter(|node| network.is_honest(*node)).collect();
    let all: BTreeSet<BundleId> = honest.iter().flat_map(|node| network.kept(*node)).collect();
    let lacks = |network: &Network| {
        let lacks = |node: &usize| all.difference(&network.kept(*node)).count();
        let lacks: Vec<_> = honest.iter().map(lacks).filter(|lacks| *lacks > 0).collect();
        (lacks.len(), lacks.iter().sum::<usize>())
    };
    let sessions = |network: &Network| {
        let of = |node: &usize| network.engine(*node).map_or(0, |engine| engine.stats().counters.sessions);
        honest.iter().map(of).collect::<Vec<u64>>()
    };
    let before = sessions(network);
    let (nodes, bundles) = lacks(network);
    println!("{name}: {nodes} of {} honest nodes lack {bundles} bundles of {}", honest.len(), all.len());
    let (mut waited, mut half) = (Duration::ZERO, None);
    loop {
        let (left, _) = lacks(network);
        if 2 * left <= nodes && half.is_none() {
            half = Some(waited);
        }
        if left == 0 || waited >= LIMIT {
            let measures = network.measures();
            let after: Vec<_> =
                sessions(network).iter().zip(&before).map(|(after, before)| after - before).collect();
            println!(
                "{name}: half have all after {:.1} s, {} after {:.1} s; {:.1} sessions each, {} at most; {} false bans",
                half.unwrap_or_default().as_secs_f64(),
                if left == 0 { "everybody".to_owned() } else { format!("all but {left}") },
                waited.as_secs_f64(),
                after.iter().sum::<u64>() as f64 / after.len().max(1) as f64,
                after.iter().max().unwrap_or(&0),
                measures.false_bans
            );
            return;
        }
        network.run_for(STEP);
        waited += STEP;
    }
}
