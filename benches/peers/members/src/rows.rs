//! What is measured. Each row is one function of a system, the size of its network and a seed.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::sockets;
use crate::systems::{Aim, Kind, Lies, Setup, System, Verdict};

const SECOND: Duration = Duration::from_secs(1);
/// Until all is as it will be: the first records and periods are told, and links have settled.
const WARM: Duration = Duration::from_secs(60);
const TEN_MINUTES: Duration = Duration::from_secs(600);
/// How long a liar lies.
const LYING: Duration = Duration::from_secs(300);
/// A crash that is not known after so long is not known.
const LIMIT: Duration = Duration::from_secs(900);
/// Nodes of a network that crash one after the other, and networks of up to 100 nodes in which they do.
const CRASHES: usize = 5;
const NETWORKS: u64 = 8;
/// Between two pauses of one node.
const AWAKE: Duration = Duration::from_secs(30);

/// One row of the table.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) run: fn(Kind, usize, u64) -> String,
}

pub(crate) const ROWS: [Row; 7] = [
    Row { name: "crash", what: "a crash is known, p50 / p99 / last, s", run: crash },
    Row { name: "loss", what: "20 % loss for 10 min: live members shown as failed", run: loss },
    Row {
        name: "pause",
        what: "10 % pause 5-30 s, for 10 min: members that never pause / pause shown as failed",
        run: pause,
    },
    Row { name: "idle", what: "sent with nothing to say, B/s a node (ours: frames alone)", run: idle },
    Row { name: "wire", what: "the same on the wire, QUIC and keep-alives included", run: wire },
    Row {
        name: "fail",
        what: "a liar fails a live member: live members shown as failed in 5 min",
        run: fail,
    },
    Row {
        name: "revive",
        what: "a liar keeps a dead member: shown as here after 5 min; last shown, s",
        run: revive,
    },
];

fn warm(kind: Kind, setup: &Setup) -> Box<dyn System> {
    let mut system = kind.build(setup);
    system.run_for(WARM);
    let whole = |node| (0..setup.nodes).filter(|other| *other != node).all(|other| system.shows(node, other));
    let honest = honest(&*system, setup.nodes);
    let whole = honest.iter().filter(|node| whole(**node)).count();
    eprintln!("  {}: {whole} of {} honest nodes show all others", kind.name(), honest.len());
    system
}

fn quiet(nodes: usize, seed: u64) -> Setup {
    Setup { nodes, loss: 0.0, lies: Lies::Nobody, seed }
}

fn quantile(sorted: &[Duration], part: f64) -> f64 {
    let at = ((sorted.len() as f64 * part).ceil() as usize).saturating_sub(1);
    sorted.get(at).map_or(f64::NAN, Duration::as_secs_f64)
}

/// First verdict of each node on a member, since a moment.
fn first_verdicts(system: &dyn System, of: usize, since: Duration) -> Vec<Verdict> {
    let mut first: Vec<Verdict> = Vec::new();
    for verdict in system.verdicts() {
        if verdict.of == of && verdict.at >= since && !first.iter().any(|known| known.by == verdict.by) {
            first.push(verdict);
        }
    }
    first
}

/// How soon each survivor knew of each crash, and how many survivors there were.
fn crashes(kind: Kind, nodes: usize, seed: u64) -> (Vec<Duration>, usize) {
    let mut system = warm(kind, &quiet(nodes, seed));
    let mut dice = StdRng::seed_from_u64(seed);
    let (mut alive, mut times, mut pairs) = ((0..nodes).collect::<Vec<_>>(), Vec::new(), 0);
    for _ in 0..CRASHES {
        let node = alive.swap_remove(dice.random_range(0..alive.len()));
        // Not at the same moment of every period.
        system.run_for(SECOND.mul_f64(10.0 * dice.random::<f64>()));
        let begun = system.now();
        system.crash(node);
        pairs += alive.len();
        let mut told = Vec::new();
        while told.len() < alive.len() && system.now() - begun < LIMIT {
            system.run_for(SECOND);
            told = first_verdicts(&*system, node, begun);
        }
        if nodes > 100 {
            eprintln!("  {}: node {node} is failed at {} of {}", kind.name(), told.len(), alive.len());
        }
        times.extend(told.iter().map(|verdict| verdict.at - begun));
    }
    (times, pairs)
}

fn crash(kind: Kind, nodes: usize, seed: u64) -> String {
    let networks = if nodes <= 100 { NETWORKS } else { 1 };
    let (mut times, mut pairs) = (Vec::new(), 0);
    for network in 0..networks {
        let (some, of) = crashes(kind, nodes, seed + network);
        times.extend(some);
        pairs += of;
    }
    times.sort_unstable();
    let [p50, p99, last] = [0.5, 0.99, 1.0].map(|part| quantile(&times, part));
    let known = if times.len() < pairs { format!("; {} of", times.len()) } else { ";".to_owned() };
    format!("{p50:.1} / {p99:.1} / {last:.1}{known} {pairs} pairs")
}

/// Verdicts on members, and how many members they are of: of those that live and are honest.
fn count(system: &dyn System, counts: impl Fn(&Verdict) -> bool) -> String {
    let wrong: Vec<_> =
        system.verdicts().into_iter().filter(|verdict| counts(verdict) && !system.lies(verdict.of)).collect();
    let mut members: Vec<_> = wrong.iter().map(|verdict| verdict.of).collect();
    members.sort_unstable();
    members.dedup();
    match members.len() {
        0 => "0".to_owned(),
        1 => format!("{} times, 1 member", wrong.len()),
        members => format!("{} times, {members} members", wrong.len()),
    }
}

fn loss(kind: Kind, nodes: usize, seed: u64) -> String {
    let mut system = warm(kind, &Setup { loss: 0.2, ..quiet(nodes, seed) });
    let since = system.now();
    system.run_for(TEN_MINUTES);
    count(&*system, |verdict| verdict.at >= since)
}

fn pause(kind: Kind, nodes: usize, seed: u64) -> String {
    let mut system = warm(kind, &quiet(nodes, seed));
    let mut dice = StdRng::seed_from_u64(seed);
    let pausing = nodes.div_ceil(10);
    let since = system.now();
    let mut next: Vec<_> = (0..pausing).map(|_| since + AWAKE.mul_f64(dice.random())).collect();
    while system.now() - since < TEN_MINUTES {
        for (node, next) in next.iter_mut().enumerate() {
            if *next <= system.now() {
                let time = Duration::from_secs_f64(5.0 + 25.0 * dice.random::<f64>());
                *next = system.now() + time + AWAKE;
                system.pause(node, time);
            }
        }
        system.run_for(SECOND / 10);
    }
    let healthy = count(&*system, |verdict| verdict.at >= since && verdict.of >= pausing);
    let paused = count(&*system, |verdict| verdict.at >= since && verdict.of < pausing);
    format!("{healthy} / {paused}")
}

fn idle(kind: Kind, nodes: usize, seed: u64) -> String {
    let mut system = warm(kind, &quiet(nodes, seed));
    let before = system.bytes_sent();
    system.run_for(TEN_MINUTES);
    let a_second = (system.bytes_sent() - before) as f64 / TEN_MINUTES.as_secs_f64();
    format!("{:.0}", a_second / nodes as f64)
}

fn wire(kind: Kind, nodes: usize, seed: u64) -> String {
    match kind {
        Kind::Ours(renewals) => sockets::idle(nodes, renewals),
        Kind::Foca(_) | Kind::Chitchat => idle(kind, nodes, seed),
    }
}

fn honest(system: &dyn System, nodes: usize) -> Vec<usize> {
    (0..nodes).filter(|node| !system.lies(*node)).collect()
}

/// Each kind of liar in a network of its own. What came of them is told once for all of which the same came.
fn among_liars(kind: Kind, nodes: usize, seed: u64, row: fn(Box<dyn System>, usize) -> String) -> String {
    if kind.liars().is_empty() {
        return "not run".to_owned();
    }
    let mut cells: Vec<(String, Vec<String>)> = Vec::new();
    for (name, lies) in kind.liars() {
        let cell = row(warm(kind, &Setup { lies, ..quiet(nodes, seed) }), nodes);
        eprintln!("  {}: {name}: {cell}", kind.name());
        match cells.iter_mut().find(|(known, _)| *known == cell) {
            Some((_, names)) => names.push(name),
            None => cells.push((cell, vec![name])),
        }
    }
    let cells: Vec<_> =
        cells.into_iter().map(|(cell, names)| format!("{cell} ({})", names.join(", "))).collect();
    cells.join("<br>")
}

fn fail(kind: Kind, nodes: usize, seed: u64) -> String {
    among_liars(kind, nodes, seed, |mut system, nodes| {
        let (victim, since) = (honest(&*system, nodes)[0], system.now());
        system.aim(Aim::Fail, victim);
        system.run_for(LYING);
        count(&*system, |verdict| verdict.at >= since)
    })
}

fn revive(kind: Kind, nodes: usize, seed: u64) -> String {
    among_liars(kind, nodes, seed, |mut system, nodes| {
        let all = honest(&*system, nodes);
        let (victim, survivors) = (all[0], &all[1..]);
        let begun = system.now();
        system.crash(victim);
        system.aim(Aim::Revive, victim);
        let (mut shown, mut last) = (0, Duration::ZERO);
        while system.now() - begun < LYING {
            system.run_for(SECOND);
            shown = survivors.iter().filter(|node| system.shows(**node, victim)).count();
            if shown > 0 {
                last = system.now() - begun;
            }
        }
        format!("{shown} of {}; {:.0}", survivors.len(), last.as_secs_f64())
    })
}
