//! Simulations that look at more than `vouchsafe sim` prints: rows of the tables in docs/performance.md.
//!
//! `cargo run --release -p vouchsafe-lab --example sim_rows -- ROW [NUMBER]`
//!
//! | Row | Number | What |
//! |---|---|---|
//! | `cold-boot` | liars (1 000) | 1 000 honest nodes without a link, and liars that want every inbound place |
//! | `equivocator` | nodes (10 000) | one author says two things, to two halves; prompt and held back |
//! | `edges` | seeds (300) | conflicts at the edges of the windows, clocks over 30 s, 40 of 48 links announce-liars |

use std::time::{Duration, Instant};

use vouchsafe::sim::{Liar, Measures, Network, Scenario, Start};
use vouchsafe::{Guarantee, Topic};

const SECOND: Duration = Duration::from_secs(1);

fn main() -> Result<(), String> {
    let mut words = std::env::args().skip(1);
    let row = words.next().unwrap_or_default();
    let number = words.next().map(|word| word.parse::<usize>()).transpose();
    let number = number.map_err(|error| format!("the number: {error}"))?;
    let started = Instant::now();
    match row.as_str() {
        "cold-boot" => cold_boot(number.unwrap_or(1_000)),
        "equivocator" => equivocator(number.unwrap_or(10_000)),
        "edges" => edges(number.unwrap_or(300) as u64),
        other => return Err(format!("{other:?} is no row: give cold-boot, equivocator or edges")),
    }
    println!("{:.1} s", started.elapsed().as_secs_f64());
    Ok(())
}

fn tell(what: &str, measures: &Measures) {
    let ms = |quantile| measures.delay(quantile).as_millis();
    println!(
        "{what}: coverage {:.6}, {} of {} complete, {:.2} copies, p50 {} ms, p99 {} ms, max {} ms, {} false bans",
        measures.coverage(),
        measures.complete(),
        measures.spreads.len(),
        measures.copies,
        ms(0.5),
        ms(0.99),
        ms(1.0),
        measures.false_bans
    );
}

/// Rumors of random honest nodes, four a second.
fn say(network: &mut Network, rumors: u8) {
    for number in 0..rumors {
        let node = network.random_honest();
        network.publish(node, vec![number; 300]);
        network.run_for(SECOND / 4);
    }
}

/// Everybody begins to dial within the first second; rumors are said from the third on.
fn cold_boot(liars: usize) {
    let scenario = Scenario {
        nodes: 1_000 + liars,
        liar_count: Some(liars),
        liar: Liar::Slots,
        start: Start::Cold,
        ..Scenario::default()
    };
    let mut network = Network::new(scenario);
    network.run_for(2 * SECOND);
    say(&mut network, 20);
    network.run_for(20 * SECOND);
    let honest = (0..network.len()).filter(|node| network.is_honest(*node));
    let links: Vec<_> = honest
        .map(|node| network.links(node).iter().filter(|(peer, _)| network.is_honest(*peer)).count())
        .collect();
    tell(&format!("1000 honest nodes and {liars} liars"), &network.measures());
    let mean = links.iter().sum::<usize>() as f64 / links.len().max(1) as f64;
    println!("links to honest nodes: {mean:.1} on average, {} at least", links.iter().min().unwrap_or(&0));
}

fn equivocator(nodes: usize) {
    let plain = Scenario { nodes, ..Scenario::default() };
    let held_back = Topic::named("held back").guarantee(Guarantee::HoldBack(2 * SECOND));
    for (what, topic) in [("prompt", plain.topic.clone()), ("held back", held_back)] {
        let scenario =
            Scenario { liar_count: Some(1), liar: Liar::Equivocate, topic: topic.clone(), ..plain.clone() };
        let mut network = Network::new(scenario);
        network.run_for(2 * SECOND);
        say(&mut network, 5);
        network.run_for(10 * SECOND);
        let measures = network.measures();
        tell(what, &measures);
        for conviction in &measures.convictions {
            println!(
                "  convicted by {} of {} honest nodes, the last {:?} after the second word was said",
                conviction.delays.len(),
                measures.honest,
                conviction.delays.last().copied().unwrap_or_default()
            );
        }
        let told: usize = measures.lies.iter().map(|lie| lie.delays.len()).sum();
        println!(
            "  its words were delivered {told} times, at {} positions differently",
            measures.disagreements
        );
    }
}

fn edges(seeds: u64) {
    let (mut disagreements, mut tried, mut false_bans) = (0, 0, 0);
    for seed in 1..=seeds {
        let scenario = Scenario {
            nodes: 60,
            links: 24,
            liar_count: Some(50),
            liar: Liar::Both(Box::new(Liar::Edge), Box::new(Liar::Announce)),
            clock_spread: 15 * SECOND,
            topic: Topic::named("held back").guarantee(Guarantee::HoldBack(2 * SECOND)),
            seed,
            ..Scenario::default()
        };
        let mut network = Network::new(scenario);
        network.run_for(200 * SECOND);
        let measures = network.measures();
        disagreements += measures.disagreements;
        tried += measures.lies.len();
        false_bans += measures.false_bans;
        if seed % 10 == 0 {
            println!(
                "{seed} runs: {tried} words delivered somewhere, {disagreements} disagreements, {false_bans} false bans"
            );
        }
    }
}
