//! Simulations of members at the sizes of docs/performance.md: who is known, how soon a crash is, and that nobody who lives is failed.
//!
//! `cargo run --release -p vouchsafe-lab --example member_rows -- ROW [NODES[,NODES ..] [LIAR ..]]`
//!
//! | Row | Nodes | What |
//! |---|---|---|
//! | `crash` | 100 | five honest nodes crash, half a minute apart, when all state the period of so large a network |
//! | `cold` | 300 | all start within ten seconds and know one address |
//! | `joiner` | 100 | a node that was down comes up |
//! | `newcomers` | 100 | twenty new nodes come, five seconds apart, and know one address |
//! | `partition` | 100 | halves that are apart for 20 min |
//! | `idle` | 20 | nothing happens for ten minutes, over the links of the beginning |
//! | `quiet` | 20 | the same, where each node has found its links itself |
//! | `poisoned` | 1000 | two thirds of those that strangers name first are liars; ten minutes |
//! | `churn` | 1000 | a tenth of the honest nodes goes and comes each minute; 20 min |
//!
//! Each liar is a run of its own, with a third of the nodes lying and grasping for every inbound place; `none` is a run without liars.
//! `SETTLED` in the environment lets members state the period of so large a network from the start, as if it had been there for long.
//! `RENEWALS` sets how many signs of life a second all members give together (10). `PLOT` names a file for a picture of `crash`: how many know
//! after how long, a line for each number of nodes and liar.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use vouchsafe::sim::{Churn, Liar, Network, Scenario, Start};
use vouchsafe::{MemberEvent, MemberState};
use vouchsafe_cli::chart::{Axis, Drawn, Lines, Series};
use vouchsafe_lab::load::own_cpu;

const SECOND: Duration = Duration::from_secs(1);
const STEP: Duration = Duration::from_millis(250);
/// By then all have stated another period whose first was too short: within ten minutes of when they know all others.
const RESTATED: Duration = Duration::from_secs(660);
/// A run that takes longer has failed.
const LIMIT: Duration = Duration::from_secs(3_600);

/// What a run is asked for.
struct Asked {
    row: String,
    /// `None`: as many as are usual for the row.
    nodes: Vec<Option<usize>>,
    /// `None`: a run without liars.
    liars: Vec<Option<Liar>>,
    settled: bool,
    renewals: u32,
    plot: Option<PathBuf>,
}

impl Asked {
    fn read() -> Result<Self, String> {
        let mut words = std::env::args().skip(1);
        let row = words.next().unwrap_or_default();
        let number =
            |text: &str| text.parse().map(Some).map_err(|error| format!("the number of nodes: {error}"));
        let nodes = words.next().map_or(Ok(vec![None]), |text| text.split(',').map(number).collect());
        let liar = |name: &str| match name {
            "none" => Ok(None),
            name => name.parse::<Liar>().map(Some).map_err(|error| error.to_string()),
        };
        let mut liars = words.map(|name| liar(&name)).collect::<Result<Vec<_>, _>>()?;
        if liars.is_empty() {
            liars.push(None);
        }
        let settled = std::env::var_os("SETTLED").is_some();
        let renewals = std::env::var("RENEWALS").map_or(Ok(10), |text| text.parse());
        let renewals = renewals.map_err(|error| format!("RENEWALS: {error}"))?;
        let plot = std::env::var_os("PLOT").map(PathBuf::from);
        if plot.is_some() && row != "crash" {
            return Err("PLOT draws crash, and no other row".into());
        }
        Ok(Self { row, nodes: nodes?, liars, settled, renewals, plot })
    }

    fn scenario(&self, nodes: usize, liar: Option<&Liar>, start: Start) -> Scenario {
        let mut scenario = Scenario {
            nodes,
            links: 12.min(nodes.saturating_sub(1)),
            liars: if liar.is_some() { 0.33 } else { 0.0 },
            liar: liar.cloned().unwrap_or(Liar::Silent),
            grasping: if liar.is_some() { 4 } else { 0 },
            members: true,
            settled: self.settled,
            start,
            churn: Some(Churn::default()),
            ..Scenario::default()
        };
        scenario.config.members.renewals_per_s = self.renewals;
        scenario
    }
}

fn main() -> Result<(), String> {
    let asked = Asked::read()?;
    let mut lines = Vec::new();
    for (nodes, liar) in
        asked.nodes.iter().flat_map(|nodes| asked.liars.iter().map(move |liar| (*nodes, liar)))
    {
        let started = Instant::now();
        let scenario = |usual, start| asked.scenario(nodes.unwrap_or(usual), liar.as_ref(), start);
        let name = liar.as_ref().map_or("none".into(), ToString::to_string);
        print!("{} {name}: ", asked.row);
        match asked.row.as_str() {
            "crash" => {
                let scenario = scenario(100, Start::Linked);
                let label = format!("{} nodes", scenario.nodes);
                let label = liar.as_ref().map_or(label.clone(), |_| format!("{label}, a third {name}"));
                lines.push(Series { name: label, points: crash(scenario), kind: Drawn::Steps });
            }
            "cold" => cold(scenario(300, Start::From(0))),
            "joiner" => joiner(scenario(100, Start::Linked)),
            "newcomers" => newcomers(scenario(100, Start::From(0))),
            "partition" => partition(scenario(100, Start::Linked)),
            "idle" => idle(scenario(20, Start::Linked)),
            "quiet" => idle(scenario(20, Start::Poisoned(0))),
            "poisoned" => poisoned(scenario(1_000, Start::Poisoned(67))),
            "churn" => churn(scenario(1_000, Start::Poisoned(33))),
            other => {
                return Err(format!(
                    "{other:?} is no row: give crash, cold, joiner, newcomers, partition, idle, quiet, poisoned or churn"
                ));
            }
        }
        println!("  {:.1} s of this machine", started.elapsed().as_secs_f64());
    }
    match &asked.plot {
        Some(file) => draw(lines, file),
        None => Ok(()),
    }
}

/// A picture of how many know of a crash after how long.
fn draw(series: Vec<Series>, file: &Path) -> Result<(), String> {
    let last = series.iter().flat_map(|line| line.points.last()).map(|(after, _)| *after).fold(0.0, f64::max);
    let picture = Lines {
        title: "A crash is known after three and a half periods".into(),
        note: "five crashes each; all pairs of a crashed and a living honest node".into(),
        x: Axis::up_to("seconds after the crash", last),
        y: Axis::percent("% of the honest nodes show it as failed"),
        series,
        marks: Vec::new(),
        bands: Vec::new(),
    };
    std::fs::write(file, picture.draw()).map_err(|error| format!("{}: {error}", file.display()))
}

fn honest(network: &Network) -> Vec<usize> {
    (0..network.len()).filter(|node| network.is_honest(*node) && network.is_alive(*node)).collect()
}

/// How many honest nodes show how many of each other as here: the least of them.
fn least_here(network: &Network) -> usize {
    honest(network).iter().map(|node| network.members_here(*node)).min().unwrap_or(0)
}

/// Lets time pass until all honest nodes show all that run as here; gives how long that took.
fn until_whole(network: &mut Network) -> Duration {
    let (all, begun) = ((0..network.len()).filter(|node| network.is_alive(*node)).count(), network.elapsed());
    let mut next = Duration::ZERO;
    while least_here(network) < all && network.elapsed() - begun < LIMIT {
        let so_far = network.elapsed() - begun;
        if so_far >= next {
            progress(network, so_far, all);
            next += 10 * SECOND;
        }
        network.run_for(STEP);
    }
    network.elapsed() - begun
}

/// How far a network is, where nobody reads the results from a pipe.
fn progress(network: &Network, so_far: Duration, all: usize) {
    let mut here: Vec<_> = honest(network).iter().map(|node| network.members_here(*node)).collect();
    here.sort_unstable();
    let of = |part: usize| here.get(here.len().saturating_sub(1) * part / 2).copied().unwrap_or(0);
    eprintln!(
        "  {:4.0} s: honest nodes show {} to {} of {all}, the median {}; node 0 shows {}",
        so_far.as_secs_f64(),
        of(0),
        of(2),
        of(1),
        network.members_here(0),
    );
}

/// Live members that some honest node has told as failed, but for these. Each is told: it should never happen.
fn wrongly_failed(network: &Network, crashed: &[usize]) -> usize {
    let crashed: Vec<_> = crashed.iter().filter_map(|node| network.key_of(*node)).collect();
    let mut count = 0;
    for news in network.member_news() {
        let MemberEvent::Failed(key, why) = &news.event else { continue };
        if crashed.contains(key) {
            continue;
        }
        count += 1;
        let failed = (0..network.len()).find(|node| network.key_of(*node) == Some(*key));
        let kind = failed.map_or("stranger", |node| if network.is_honest(node) { "honest" } else { "lying" });
        eprintln!(
            "  at {:.1} s node {} showed node {failed:?}, which is {kind} and alive, as failed: {why:?}; {:?}",
            news.at.as_secs_f64(),
            news.node,
            network.members(news.node).remove(key),
        );
    }
    count
}

fn stale(network: &Network) -> usize {
    network.member_news().iter().filter(|news| matches!(news.event, MemberEvent::Stale(_))).count()
}

fn quantile(sorted: &[Duration], part: f64) -> f64 {
    let at = ((sorted.len() as f64 * part).ceil() as usize).saturating_sub(1);
    sorted.get(at).map_or(f64::NAN, Duration::as_secs_f64)
}

/// Lets time pass until all know each other, and until all who knew too few of them at first have stated the period of so large a network.
fn until_settled(network: &mut Network) -> Duration {
    let whole = until_whole(network);
    let is_settled = network.len() <= 100 || std::env::var_os("SETTLED").is_some();
    let settles = if is_settled { 60 * SECOND } else { RESTATED };
    network.run_for(settles);
    eprintln!("  settled after {:.0} s", network.elapsed().as_secs_f64());
    whole
}

/// Gives what part knew after how many seconds, in percent.
fn crash(scenario: Scenario) -> Vec<(f64, f64)> {
    let mut network = Network::new(scenario);
    let whole = until_settled(&mut network);
    let mut crashed = Vec::new();
    for _ in 0..5 {
        let node = network.random_honest();
        network.crash(node);
        crashed.push((node, network.key_of(node), network.elapsed()));
        network.run_for(30 * SECOND);
    }
    let told = |network: &Network| -> Vec<Duration> {
        let of = |event: &MemberEvent| match event {
            MemberEvent::Failed(failed, _) => crashed.iter().find(|(_, key, _)| Some(*failed) == *key),
            _ => None,
        };
        let all = network.member_news().iter().filter(|news| network.is_alive(news.node));
        all.filter_map(|news| of(&news.event).map(|(_, _, begun)| news.at - *begun)).collect()
    };
    let (all, begun) = (honest(&network).len() * crashed.len(), network.elapsed());
    while told(&network).len() < all && network.elapsed() - begun < LIMIT {
        network.run_for(SECOND);
    }
    let mut times = told(&network);
    times.sort_unstable();
    let nodes: Vec<_> = crashed.iter().map(|(node, ..)| *node).collect();
    println!(
        "whole after {:.1} s; a crash is known after p50 {:.1}, p99 {:.1}, last {:.1} s ({} of {all} pairs); {} live failed, {} stale",
        whole.as_secs_f64(),
        quantile(&times, 0.5),
        quantile(&times, 0.99),
        quantile(&times, 1.0),
        times.len(),
        wrongly_failed(&network, &nodes),
        stale(&network),
    );
    let known = times
        .iter()
        .zip(1..)
        .map(|(after, count)| (after.as_secs_f64(), f64::from(count) * 100.0 / all.max(1) as f64));
    let mut points: Vec<_> = [(0.0, 0.0)].into_iter().chain(known).collect();
    // (A picture needs no more than a point for each half of a second.)
    points.dedup_by(|later, earlier| later.0 - earlier.0 < 0.5 && later.1 < 100.0);
    points
}

fn cold(scenario: Scenario) {
    let mut network = Network::new(scenario);
    let whole = until_whole(&mut network);
    let nodes = honest(&network);
    let links: Vec<_> =
        nodes.iter().filter_map(|node| network.engine(*node)).map(|engine| engine.live_links()).collect();
    println!(
        "whole after {:.1} s; links at least {}; {} live failed",
        whole.as_secs_f64(),
        links.iter().min().copied().unwrap_or(0),
        wrongly_failed(&network, &[]),
    );
}

fn joiner(scenario: Scenario) {
    let mut network = Network::new(scenario);
    let node = network.random_honest();
    until_whole(&mut network);
    network.crash(node);
    network.run_for(600 * SECOND);
    network.restart(node, true);
    let begun = network.elapsed();
    let whole = until_whole(&mut network);
    let key = network.key_of(node);
    let back =
        network.member_news().iter().filter(|news| news.at >= begun && news.event.member() == key.as_ref());
    let mut back: Vec<_> = back.map(|news| news.at - begun).collect();
    back.sort_unstable();
    println!(
        "whole after {:.1} s; known after p50 {:.2}, p99 {:.2}, last {:.2} s; {} live failed",
        whole.as_secs_f64(),
        quantile(&back, 0.5),
        quantile(&back, 0.99),
        quantile(&back, 1.0),
        wrongly_failed(&network, &[node]),
    );
}

fn newcomers(scenario: Scenario) {
    let links = 8.min(scenario.nodes - 1);
    let mut network = Network::new(scenario);
    let whole = until_settled(&mut network);
    let (mut known, mut linked, mut missed) = (Vec::new(), Vec::new(), 0);
    let full = network.links(0).len();
    for _ in 0..20 {
        let all = honest(&network);
        let (node, begun) = (network.join(), network.elapsed());
        let key = network.key_of(node);
        let mut has_links = false;
        while network.elapsed() - begun < 5 * SECOND {
            network.run_for(STEP / 5);
            if !has_links && network.links(node).len() >= links {
                linked.push(network.elapsed() - begun);
                has_links = true;
            }
        }
        let joined = |event: &MemberEvent| matches!(event, MemberEvent::Joined(of) if Some(*of) == key);
        let news = network.member_news().iter().filter(|news| joined(&news.event));
        let before = known.len();
        known.extend(news.map(|news| news.at - begun));
        missed += all.len() - (known.len() - before).min(all.len());
    }
    known.sort_unstable();
    linked.sort_unstable();
    println!(
        "whole after {:.1} s, {full} links at the one that all know; a newcomer is known after p50 {:.2}, p99 {:.2}, last {:.2} s, and by {missed} of {} \
         nodes not after 5 s; {links} links after p50 {:.2}, last {:.2} s, {} of 20 not after 5 s; {} live failed",
        whole.as_secs_f64(),
        quantile(&known, 0.5),
        quantile(&known, 0.99),
        quantile(&known, 1.0),
        known.len() + missed,
        quantile(&linked, 0.5),
        quantile(&linked, 1.0),
        20 - linked.len(),
        wrongly_failed(&network, &[]),
    );
}

fn partition(scenario: Scenario) {
    let half = scenario.nodes / 2;
    let mut network = Network::new(scenario);
    until_whole(&mut network);
    network.partition(|node| u32::from(node < half));
    network.run_for(1_200 * SECOND);
    let apart = least_here(&network);
    network.heal();
    let whole = until_whole(&mut network);
    println!("{apart} were here at the least while apart; whole {:.1} s after healing", whole.as_secs_f64());
    let returned = network.elapsed();
    network.run_for(60 * SECOND);
    let failed = network.member_news().iter().filter(|news| news.at > returned);
    let failed = failed.filter(|news| matches!(news.event, MemberEvent::Failed(..))).count();
    println!("  {failed} live failed in the minute after");
}

fn idle(scenario: Scenario) {
    let nodes = scenario.nodes;
    let mut network = Network::new(scenario);
    until_settled(&mut network);
    let (before, cpu) = (network.bytes_sent(), own_cpu());
    network.run_for(600 * SECOND);
    let bytes = (network.bytes_sent() - before) as f64 / 600.0 / nodes as f64;
    let cpu = (own_cpu() - cpu) / 600.0 / nodes as f64;
    let nodes = honest(&network);
    let alive = nodes.iter().map(|node| {
        network.members(*node).values().filter(|member| member.state == MemberState::Alive).count()
    });
    println!(
        "{bytes:.0} B/s a node, {:.4} % of a core; at least {} alive; {} live failed, {} stale",
        cpu * 100.0,
        alive.min().unwrap_or(0),
        wrongly_failed(&network, &[]),
        stale(&network)
    );
}

/// What part of the links that honest nodes dialled leads to liars; and of the links to honest nodes that each has, how many it has on average,
/// one node in a hundred at most, and the node that has fewest.
fn print_links(network: &Network, when: &str) {
    let (mut lying, mut dialled, mut honest_links) = (0usize, 0usize, Vec::new());
    for node in honest(network) {
        let links = network.links(node);
        let own: Vec<_> = links.iter().filter(|(_, dialled)| *dialled).collect();
        dialled += own.len();
        lying += own.iter().filter(|(peer, _)| !network.is_honest(*peer)).count();
        honest_links.push(links.iter().filter(|(peer, _)| network.is_honest(*peer)).count());
    }
    honest_links.sort_unstable();
    let sum: usize = honest_links.iter().sum();
    println!(
        "  {when}: {:.3} of {dialled} dialled links lead to liars; links to honest nodes {:.1} on average, p1 {}, least {}",
        lying as f64 / dialled.max(1) as f64,
        sum as f64 / honest_links.len().max(1) as f64,
        honest_links.get(honest_links.len() / 100).copied().unwrap_or(0),
        honest_links.first().copied().unwrap_or(0),
    );
}

fn poisoned(scenario: Scenario) {
    let mut network = Network::new(scenario);
    println!();
    for (pass, when) in [(2, "2 s"), (58, "1 min"), (240, "5 min"), (300, "10 min")] {
        network.run_for(pass * SECOND);
        print_links(&network, when);
    }
    println!("  {} live failed", wrongly_failed(&network, &[]));
}

fn churn(mut scenario: Scenario) {
    let honest = scenario.nodes as f64 * (1.0 - scenario.liars);
    let rate = honest * 0.1 / 60.0;
    scenario.churn = Some(Churn { leave_per_s: rate, join_per_s: rate });
    let mut network = Network::new(scenario);
    println!();
    for when in ["5 min", "10 min", "15 min", "20 min"] {
        network.run_for(300 * SECOND);
        print_links(&network, when);
    }
}
