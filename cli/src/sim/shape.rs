//! What the network looks like: who has a link to whom, where liars sit, who comes and goes. Flags, and whether they fit.

use std::path::Path;
use std::time::Duration;

use vouchsafe::NetworkId;
use vouchsafe::sim::{Churn, Placement, Scenario, Topology};

use crate::exit::Failure;
use crate::files;

/// Hubs and percent of moved links if only the kind is named.
const HUBS: usize = 3;
const REWIRED: u8 = 10;
/// Above this a network is a new one every second.
const MOST_CHURN: f64 = 10_000.0;

/// `random`, `regular`, `hub[:N]`, `small-world[:PERCENT]`, or a file with the links.
pub(super) fn topology(text: &str) -> Result<Topology, String> {
    let (kind, number) = text.split_once(':').map_or((text, None), |(kind, number)| (kind, Some(number)));
    match (kind, number) {
        ("random", None) => Ok(Topology::Random),
        ("regular", None) => Ok(Topology::Regular),
        ("hub", None) => Ok(Topology::Hub { hubs: HUBS }),
        ("hub", Some(number)) => match number.parse() {
            Ok(hubs) if hubs > 0 => Ok(Topology::Hub { hubs }),
            _ => Err("give how many nodes all others dial (hub:3)".into()),
        },
        ("small-world", None) => Ok(Topology::SmallWorld { rewired: REWIRED }),
        ("small-world", Some(number)) => match number.parse() {
            Ok(rewired) if rewired <= 100 => Ok(Topology::SmallWorld { rewired }),
            _ => Err("give how many percent of the links lead anywhere, 0 to 100 (small-world:10)".into()),
        },
        ("edges", Some(path)) => edges(Path::new(path)),
        _ => Err("give random, regular, hub or hub:N, small-world or small-world:PERCENT, or edges:FILE with two node \
                  numbers a line"
            .into()),
    }
}

/// Most bytes of a list of links: enough for some twenty million.
const MAX_EDGES: u64 = 256 << 20;

/// Two numbers a line: who dials, and whom. What follows a `#` is a comment.
fn edges(path: &Path) -> Result<Topology, String> {
    let text = files::value(path, MAX_EDGES)?;
    let mut edges = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default();
        let mut cells = line.split([' ', '\t', ',', ';']).filter(|cell| !cell.is_empty());
        let pair = match (cells.next(), cells.next(), cells.next()) {
            (None, ..) => continue,
            (Some(from), Some(to), None) => from.parse().ok().zip(to.parse().ok()),
            _ => None,
        };
        match pair.filter(|(from, to): &(usize, usize)| from != to) {
            Some(pair) => edges.push(pair),
            None => {
                return Err(format!(
                    "{}:{}: not a link: give two different node numbers, from 0 (0 7)",
                    path.display(),
                    at + 1
                ));
            }
        }
    }
    if edges.is_empty() {
        return Err(format!("{}: no link in it: give two node numbers a line (0 7)", path.display()));
    }
    Ok(Topology::Edges(edges))
}

/// `random`, `cut`, or `around` a node.
pub(super) fn placement(text: &str) -> Result<Placement, String> {
    match text.split_once(':') {
        None if text == "random" => Ok(Placement::Random),
        None if text == "cut" => Ok(Placement::Cut),
        None if text == "around" => Ok(Placement::Around(0)),
        Some(("around", node)) if node.parse::<usize>().is_ok() => {
            Ok(Placement::Around(node.parse().unwrap_or(0)))
        }
        _ => Err("give random, cut, around, or around:N with the number of the victim, from 0".into()),
    }
}

/// `R`: as many leave as come; or `LEAVE:JOIN`.
pub(super) fn churn(text: &str) -> Result<Churn, String> {
    let (leave, join) = text.split_once(':').unwrap_or((text, text));
    let rate = |text: &str| text.parse::<f64>().ok().filter(|rate| (0.0..=MOST_CHURN).contains(rate));
    match rate(leave).zip(rate(join)) {
        Some((leave_per_s, join_per_s)) => Ok(Churn { leave_per_s, join_per_s }),
        None => Err(format!(
            "give nodes per second, 0 to {MOST_CHURN}: one number if as many leave as come (2), or LEAVE:JOIN (2:0.5)"
        )),
    }
}

/// Whether what was given fits together; `liars` is whether anybody may lie.
pub(super) fn check(scenario: &Scenario, liars: bool) -> Result<(), Failure> {
    let nodes = scenario.nodes;
    if let Topology::Edges(edges) = &scenario.topology
        && let Some(most) = edges.iter().map(|(from, to)| *from.max(to)).max().filter(|most| *most >= nodes)
    {
        return Err(Failure::Usage(format!(
            "--topology: a link of node {most} in a network of {nodes}; nodes count from 0: give --nodes {}",
            most + 1
        )));
    }
    if let Placement::Around(victim) = scenario.placement
        && victim >= nodes
    {
        return Err(Failure::Usage(format!(
            "--placement: node {victim} of {nodes} can't be the victim; nodes count from 0: give at most {}",
            nodes - 1
        )));
    }
    if scenario.placement != Placement::Random && !liars {
        return Err(Failure::usage("--placement: nobody lies; give --liars (33%), or leave it out"));
    }
    if scenario.grasping > 0 && !liars {
        return Err(Failure::usage("--grasp: nobody lies; give --liars (33%), or leave it out"));
    }
    Ok(())
}

/// How many, in words.
pub fn links(scenario: &Scenario) -> String {
    match &scenario.topology {
        Topology::Edges(edges) => format!("{} given links", edges.len()),
        _ => format!("{} links dialled by each", scenario.links),
    }
}

/// In words, for the line that describes the network; empty where nothing is unusual.
pub fn words(scenario: &Scenario) -> String {
    let mut words = Vec::new();
    match &scenario.topology {
        Topology::Regular => words.push("regular".to_owned()),
        Topology::Hub { hubs } => words.push(format!("{hubs} hubs")),
        Topology::SmallWorld { rewired } => words.push(format!("a small world with {rewired} % long links")),
        _ => {}
    }
    match scenario.placement {
        Placement::Around(victim) => words.push(format!("liars around node {victim}")),
        Placement::Cut => words.push("liars at the cut".to_owned()),
        _ => {}
    }
    if let Some(Churn { leave_per_s, join_per_s }) = scenario.churn {
        words.push(format!("{leave_per_s} leave and {join_per_s} come a second"));
    }
    if scenario.start == vouchsafe::sim::Start::Cold {
        words.push("from a cold start".to_owned());
    }
    if scenario.grasping > 0 {
        words.push(format!("each liar dials {} a second", scenario.grasping));
    }
    if scenario.loss > 0.0 {
        words.push(format!("{} % of the frames lost once", hundredfold(scenario.loss)));
    }
    if let Some(uplink) = scenario.uplink {
        words.push(format!("uplinks of {uplink} bytes a second"));
    }
    if let Some(delay) = hold_back(scenario) {
        words.push(format!("rumors held back for {} s", delay.as_secs_f64()));
    }
    if !scenario.clock_spread.is_zero() {
        words.push(format!("clocks up to {} s off", scenario.clock_spread.as_secs_f64()));
    }
    words.iter().map(|word| format!(", {word}")).collect()
}

/// Percent, without what the floating point adds.
fn hundredfold(part: f64) -> f64 {
    (part * 1e6).round() / 1e4
}

fn hold_back(scenario: &Scenario) -> Option<Duration> {
    scenario.topic.bind(NetworkId::of("any")).ok()?.hold_back()
}

#[cfg(test)]
mod tests {
    use vouchsafe::Topic;
    use vouchsafe::rumor::Guarantee;
    use vouchsafe::sim::Start;

    use super::*;

    #[test]
    fn a_topology_is_a_kind_with_a_number_or_a_file() {
        assert_eq!(topology("random"), Ok(Topology::Random));
        assert_eq!(topology("hub:5"), Ok(Topology::Hub { hubs: 5 }));
        assert_eq!(topology("small-world:0"), Ok(Topology::SmallWorld { rewired: 0 }));
        for bad in ["", "ring", "hub:0", "hub:x", "small-world:101", "random:3", "edges", "edges:/no/such"] {
            assert!(topology(bad).is_err(), "{bad}");
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        let given = format!("edges:{}", file.path().display());
        std::fs::write(file.path(), "# who dials whom\n0 1\n\n1,2 # and back\n").unwrap();
        assert_eq!(topology(&given), Ok(Topology::Edges(vec![(0, 1), (1, 2)])));
        for (bad, line) in
            [("0 1\n0 1 2", ":2:"), ("0", ":1:"), ("3 3", ":1:"), ("a b", ":1:"), ("-1 2", ":1:")]
        {
            std::fs::write(file.path(), bad).unwrap();
            assert!(topology(&given).unwrap_err().contains(line), "{bad}");
        }
        std::fs::write(file.path(), "# nothing\n").unwrap();
        assert!(topology(&given).unwrap_err().contains("no link"));
    }

    #[test]
    fn every_unusual_condition_is_printed_and_no_usual_one() {
        assert_eq!(words(&Scenario::default()), "");
        let topic = Topic::named("t").guarantee(Guarantee::HoldBack(Duration::from_millis(1_500)));
        for (scenario, said) in [
            (Scenario { topology: Topology::Regular, ..Scenario::default() }, "regular"),
            (Scenario { placement: Placement::Cut, ..Scenario::default() }, "liars at the cut"),
            (Scenario { churn: churn("2:0.5").ok(), ..Scenario::default() }, "2 leave and 0.5 come a second"),
            (Scenario { start: Start::Cold, ..Scenario::default() }, "from a cold start"),
            (Scenario { grasping: 3, ..Scenario::default() }, "each liar dials 3 a second"),
            (Scenario { loss: 0.07, ..Scenario::default() }, "7 % of the frames lost once"),
            (Scenario { uplink: Some(9_000), ..Scenario::default() }, "uplinks of 9000 bytes a second"),
            (Scenario { topic, ..Scenario::default() }, "rumors held back for 1.5 s"),
            (
                Scenario { clock_spread: Duration::from_secs(10), ..Scenario::default() },
                "clocks up to 10 s off",
            ),
        ] {
            assert_eq!(words(&scenario), format!(", {said}"));
        }
    }

    #[test]
    fn placements_and_churn() {
        assert_eq!([placement("cut"), placement("around:7")], [Ok(Placement::Cut), Ok(Placement::Around(7))]);
        for bad in ["", "middle", "around:", "around:-1", "cut:3"] {
            assert!(placement(bad).unwrap_err().contains("around:N"), "{bad}");
        }
        assert_eq!(churn("2"), Ok(Churn { leave_per_s: 2.0, join_per_s: 2.0 }));
        assert_eq!(churn("2:0.5"), Ok(Churn { leave_per_s: 2.0, join_per_s: 0.5 }));
        for bad in ["", "-1", "NaN", "inf", "2:", "1:2:3"] {
            assert!(churn(bad).unwrap_err().contains("LEAVE:JOIN"), "{bad}");
        }
    }
}
