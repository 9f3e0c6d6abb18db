//! What a run has shown, in words and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::json;

use super::Args;
use super::outcome::Outcome;

/// How often each attack was made, or each trouble there was.
fn by_name(deeds: &[(&'static str, f64, f64)]) -> BTreeMap<&'static str, u64> {
    let mut count = BTreeMap::new();
    for (name, ..) in deeds {
        *count.entry(*name).or_default() += 1;
    }
    count
}

/// Median over the seconds of the run, and the most.
fn p99(outcome: &Outcome) -> Option<(f64, f64)> {
    let mut seconds: Vec<f64> =
        outcome.samples.iter().filter_map(|sample| sample.p99).map(|time| time.as_secs_f64() * 1e3).collect();
    seconds.sort_unstable_by(f64::total_cmp);
    Some((*seconds.get(seconds.len() / 2)?, *seconds.last()?))
}

pub(super) fn json(args: &Args, outcome: &Outcome) -> serde_json::Value {
    let most = outcome.samples.iter().filter_map(|sample| sample.resident).max();
    json!({
        "minutes": args.minutes.as_secs_f64() / 60.0, "nodes": args.nodes, "rate": args.rate, "seed": args.seed,
        "published": outcome.published, "delivered": outcome.delivered, "refused": outcome.refused,
        "left": outcome.left, "crashed": outcome.crashed, "reborn": outcome.reborn,
        "lost_disks": outcome.lost_disks, "past": outcome.past, "confirmed": outcome.confirmed,
        "cuts": outcome.cuts.len(), "dropped_packets": outcome.dropped_packets, "attacks": by_name(&outcome.attacks),
        "troubles": by_name(&outcome.troubles),
        "offences": outcome.offences, "convictions": outcome.convictions,
        "looks": outcome.looks, "owed_and_checked": outcome.checked, "broken": outcome.broken, "panics": outcome.panics, "words": outcome.words,
        "p99_ms_median": p99(outcome).map(|(median, _)| median), "rss_bytes_max": most,
        "rss_growth": outcome.growth, "heap_growth": outcome.heap_growth,
        "fds_first": outcome.descriptors.map(|(first, _)| first),
        "fds_last": outcome.descriptors.map(|(_, last)| last),
        "missed": outcome.missed, "ok": outcome.faults().is_empty(),
    })
}

pub(super) fn table(args: &Args, outcome: &Outcome) -> String {
    let mut out = String::new();
    let mut row = |name: &str, words: String| {
        let _ = writeln!(out, "{name:<14}{words}");
    };
    row(
        "run",
        format!("{} nodes, {:.1} min, seed {}", args.nodes, args.minutes.as_secs_f64() / 60.0, args.seed),
    );
    row("rumors", format!("{} published, {} deliveries", outcome.published, outcome.delivered));
    row(
        "churn",
        format!(
            "{} left, {} crashed; {} of them came back as new, {} without their disk",
            outcome.left, outcome.crashed, outcome.reborn, outcome.lost_disks
        ),
    );
    row(
        "past",
        format!(
            "{} rumors read at each node, {} of them confirmed to be stored",
            outcome.past, outcome.confirmed
        ),
    );
    row("partitions", format!("{}, {} packets dropped", outcome.cuts.len(), outcome.dropped_packets));
    for (what, deeds) in [("attacks", &outcome.attacks), ("troubles", &outcome.troubles)] {
        let each: Vec<_> = by_name(deeds).iter().map(|(name, count)| format!("{count} x {name}")).collect();
        row(what, format!("{}: {}", deeds.len(), each.join(", ")));
    }
    row("checked", format!("{} times that a delivery was owed, in {} looks", outcome.checked, outcome.looks));
    if let Some((median, most)) = p99(outcome) {
        row("p99", format!("{median:.0} ms in the median second, {most:.0} ms in the worst"));
    }
    match outcome.growth {
        Some(growth) => {
            let heap = outcome.heap_growth.unwrap_or_default();
            row(
                "memory",
                format!(
                    "{:+.1} % from one lull to the next; the heap {:+.1} %",
                    growth * 100.0,
                    heap * 100.0
                ),
            );
        }
        None => row("memory", "not judged: the run was shorter than 20 minutes".to_owned()),
    }
    if let Some((first, last)) = outcome.descriptors {
        row("descriptors", format!("{first} at the beginning, {last} at the end"));
    }
    let faults = outcome.faults();
    row("verdict", if faults.is_empty() { "all promises kept".to_owned() } else { faults.join("; ") });
    for words in outcome.words.iter().skip(3) {
        row("", words.clone());
    }
    out
}
