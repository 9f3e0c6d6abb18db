//! What becomes of so many rumors in such a network? One run, from links coming up to the last delivery, and its figures.

use std::time::Duration;

use super::dice::Dice;
use super::measure::{Gauges, Measures, most_held};
use super::network::Network;
use super::scenario::Scenario;

/// How often the run tells of its progress. In a flood among ten thousand nodes even this lasts for a second, and takes a
/// hundred megabytes.
const STEP: Duration = Duration::from_millis(1);
/// How often the run looks whether everything is delivered: looking means sorting all delays.
const LOOK: Duration = Duration::from_millis(250);
/// How often the run looks at what the engines hold. Bodies and index entries only grow within a run; queues come and go.
const WEIGH: Duration = Duration::from_secs(1);
/// The longest time-out of a pull: nothing that began before the last delivery is still open after it.
const TAIL: Duration = Duration::from_secs(2);

/// So many rumors in such a network.
#[derive(Clone, Debug)]
pub struct Experiment {
    /// The network.
    pub scenario: Scenario,
    /// How many rumors honest nodes publish. They take turns, in an order that is drawn anew for each round.
    pub rumors: usize,
    /// Rumors a second in the whole network, evenly spaced. More than 0; a node has 64 slots a second in the default topic.
    pub rate: f64,
    /// Bytes of each rumor.
    pub size: usize,
    /// From links coming up to the first rumor: hellos cross.
    pub warm_up: Duration,
    /// Longest wait for deliveries after the last rumor. The run ends earlier when nothing is missing.
    pub settle: Duration,
    /// The run goes on for so long after the last delivery, so that copies that are still under way are counted; longer
    /// where liars act late. Default 2 s, the longest time-out of a pull.
    pub tail: Duration,
}

impl Default for Experiment {
    fn default() -> Self {
        Self {
            scenario: Scenario::default(),
            rumors: 20,
            rate: 10.0,
            // What the figures of the project are stated for.
            size: 300,
            warm_up: Duration::from_secs(2),
            settle: Duration::from_secs(30),
            tail: TAIL,
        }
    }
}

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Progress {
    /// Simulated time that has passed.
    pub elapsed: Duration,
    /// When the run will end, in simulated time, if all goes well. Later than thought once rumors are missing.
    pub expected: Duration,
    /// Rumors published so far.
    pub published: usize,
}

/// What came of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// Nodes in all.
    pub nodes: usize,
    /// Of these, liars.
    pub liars: usize,
    /// How they lie, by name.
    pub adversary: String,
    /// Rumors that honest nodes were told to publish.
    pub rumors: usize,
    /// Whether the run came to its end.
    pub finished: bool,
    /// Everything measured.
    pub measures: Measures,
    /// The most of each gauge that any honest node's engine held, looked at once per simulated second and at the end.
    pub held: Gauges,
    /// Part of the (honest node, rumor) pairs that were delivered. A rumor that never left its author counts as missing.
    pub coverage: f64,
    /// Rumors that reached every honest node.
    pub complete: usize,
    /// Simulated time in all.
    pub elapsed: Duration,
    /// One hash over everything that happened.
    pub trace: String,
}

impl Experiment {
    /// Runs it, and tells `progress` how far it is each simulated millisecond.
    ///
    /// # Panics
    /// As [`Network::new`]: if the scenario's topic is out of range.
    pub fn run(self, progress: &mut dyn FnMut(Progress)) -> Report {
        self.run_while(&mut |now| {
            progress(now);
            true
        })
    }

    /// As [`Experiment::run`], as long as `goes_on` says so. The report of a run that was given up has `finished` unset,
    /// and what it has not come to counts as missing.
    ///
    /// # Panics
    /// As [`Network::new`]: if the scenario's topic is out of range.
    pub fn run_while(self, goes_on: &mut dyn FnMut(Progress) -> bool) -> Report {
        let publishing = Duration::try_from_secs_f64(self.rumors.saturating_sub(1) as f64 / self.rate)
            .unwrap_or(Duration::MAX);
        let mut clock = Clock {
            expected: self.warm_up.saturating_add(publishing).saturating_add(self.tail),
            published: 0,
            goes_on,
            given_up: false,
            held: Gauges::default(),
            weighs_at: Duration::ZERO,
        };
        let mut turns = Turns::new(&self.scenario);
        let adversary = self.scenario.liar.to_string();
        let mut network = Network::new(self.scenario);
        let begin = network.elapsed();
        let tail = self.tail;
        clock.advance(&mut network, begin + self.warm_up);
        for number in 0..self.rumors {
            let after = Duration::try_from_secs_f64(number as f64 / self.rate).unwrap_or(Duration::MAX);
            clock.advance(&mut network, begin.saturating_add(self.warm_up).saturating_add(after));
            let Some(author) = turns.next(&network).filter(|_| !clock.given_up) else { break };
            network.publish(author, vec![number as u8; self.size]);
            clock.published = number + 1;
        }
        let deadline = network.elapsed().saturating_add(self.settle);
        while !clock.given_up && network.elapsed() < deadline && !all_delivered(&network.measures()) {
            clock.expected = clock.expected.max(network.elapsed() + tail);
            let next = (network.elapsed() + LOOK).min(deadline);
            clock.advance(&mut network, next);
        }
        clock.expected = network.elapsed() + tail;
        let end = clock.expected;
        clock.advance(&mut network, end);
        clock.weigh(&network);
        let (finished, held) = (!clock.given_up, clock.held);
        Report { adversary, held, ..Report::of(&network, self.rumors, finished) }
    }
}

fn all_delivered(measures: &Measures) -> bool {
    measures.publishes_waiting == 0 && measures.complete() == measures.spreads.len()
}

/// Lets time pass, and tells of it.
struct Clock<'a> {
    expected: Duration,
    published: usize,
    goes_on: &'a mut dyn FnMut(Progress) -> bool,
    given_up: bool,
    held: Gauges,
    weighs_at: Duration,
}

impl Clock<'_> {
    fn weigh(&mut self, network: &Network) {
        self.held = self.held.or_more(most_held(&network.nodes));
        self.weighs_at = network.elapsed() + WEIGH;
    }

    fn advance(&mut self, network: &mut Network, until: Duration) {
        while network.elapsed() < until && !self.given_up {
            network.run_for((until - network.elapsed()).min(STEP));
            if network.elapsed() >= self.weighs_at {
                self.weigh(network);
            }
            let now =
                Progress { elapsed: network.elapsed(), expected: self.expected, published: self.published };
            self.given_up = !(self.goes_on)(now);
        }
    }
}

/// Whose turn it is to publish. Turns rather than draws: no author is near its quota while the network is not.
struct Turns {
    dice: Dice,
    left: Vec<usize>,
}

impl Turns {
    fn new(scenario: &Scenario) -> Self {
        // Not the numbers that the network itself is made from.
        Self { dice: Dice::new(scenario.seed.rotate_left(32) ^ 0x7475_726e), left: Vec::new() }
    }

    fn next(&mut self, network: &Network) -> Option<usize> {
        if self.left.is_empty() {
            self.left = (0..network.len()).filter(|node| network.is_honest(*node)).collect();
            for at in (1..self.left.len()).rev() {
                self.left.swap(at, self.dice.below(at + 1));
            }
        }
        // (Whoever has left since the round began has nothing to say.)
        while let Some(node) = self.left.pop() {
            if network.is_alive(node) {
                return Some(node);
            }
        }
        network.first_alive()
    }
}

impl Report {
    fn of(network: &Network, rumors: usize, finished: bool) -> Self {
        let measures = network.measures();
        let (delivered, owed) = deliveries(&measures);
        Self {
            nodes: network.len(),
            liars: (0..network.len()).filter(|node| !network.is_honest(*node)).count(),
            adversary: String::new(),
            rumors,
            finished,
            held: Gauges::default(),
            coverage: delivered as f64 / owed.max(1) as f64,
            complete: measures.complete(),
            elapsed: network.elapsed(),
            trace: network.trace(),
            measures,
        }
    }

    /// Whether what must never happen did not: an honest node banned by an honest one, or a rumor delivered twice.
    pub const fn is_sound(&self) -> bool {
        self.measures.false_bans == 0 && self.measures.repeated == 0
    }

    /// (honest node, rumor) pairs that were delivered, and those that were owed.
    pub fn deliveries(&self) -> (usize, usize) {
        deliveries(&self.measures)
    }

    /// The longest delay in 99 of 100 deliveries, for each rumor in the order of publishing: the first ones meet liars
    /// that nobody knows yet.
    pub fn p99_of_each(&self) -> Vec<Duration> {
        self.measures.spreads.iter().map(|spread| spread.delay(0.99)).collect()
    }

    /// The distribution of delays: up to `points` pairs of a delay and the part of all owed deliveries that took no
    /// longer. Ends below 1 if something is missing.
    pub fn latency(&self, points: usize) -> Vec<(Duration, f64)> {
        let delays = self.measures.spreads.iter().flat_map(|spread| spread.delays.iter().copied());
        rising(delays.collect(), self.deliveries().1, points)
    }

    /// What was published, and what was delivered, by time since the first rumor: parts of all that is owed. The distance
    /// between the two is what is under way; what is left of it at the end is lost.
    pub fn over_time(&self, points: usize) -> [Vec<(Duration, f64)>; 2] {
        let spreads = &self.measures.spreads;
        let begin = spreads.iter().map(|spread| spread.published).min().unwrap_or_default();
        let published = spreads.iter().map(|spread| spread.published - begin);
        let delivered = spreads
            .iter()
            .flat_map(|spread| spread.delays.iter().map(move |delay| spread.published - begin + *delay));
        [
            rising(published.collect(), spreads.len() + unpublished(&self.measures), points),
            rising(delivered.collect(), self.deliveries().1, points),
        ]
    }
}

/// Rumors that never left their author.
fn unpublished(measures: &Measures) -> usize {
    measures.publishes_waiting + measures.refused.len()
}

/// Those that were made, and those that were owed; nodes that came late or left are owed nothing.
fn deliveries(measures: &Measures) -> (usize, usize) {
    let expected: usize = measures.spreads.iter().map(|spread| spread.expected).sum();
    let missed: usize = measures.spreads.iter().map(|spread| spread.missed.len()).sum();
    (expected - missed, expected + unpublished(measures) * measures.honest)
}

/// At most `points` steps of the rising line that goes up by 1 / `of` at each of these times.
fn rising(mut times: Vec<Duration>, of: usize, points: usize) -> Vec<(Duration, f64)> {
    times.sort_unstable();
    let count = times.len().min(points);
    let ranks = (1..=count).map(|point| (times.len() * point).div_ceil(count));
    ranks
        .filter_map(|rank| Some((*times.get(rank - 1)?, (rank as f64 / of.max(1) as f64).min(1.0))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Experiment {
        let scenario = Scenario { nodes: 60, links: 6, ..Scenario::default() };
        Experiment { scenario, rumors: 6, ..Experiment::default() }
    }

    #[test]
    fn everything_is_delivered_and_the_run_ends_soon_after() {
        let mut last = None;
        let report = small().run(&mut |progress| last = Some(progress));
        assert_eq!((report.nodes, report.liars, report.rumors), (60, 0, 6));
        assert_eq!((report.coverage, report.complete, report.deliveries()), (1.0, 6, (360, 360)));
        assert!(report.is_sound());
        assert!(report.elapsed < Duration::from_secs(8), "{:?}", report.elapsed);
        let last = last.unwrap();
        assert_eq!((last.published, last.elapsed, last.expected), (6, report.elapsed, report.elapsed));
    }

    #[test]
    fn the_curves_end_where_the_deliveries_end() {
        let report = small().run(&mut |_| ());
        let latency = report.latency(100);
        assert_eq!(latency.len(), 100);
        assert!(latency.is_sorted());
        assert_eq!(latency.last(), Some(&(report.measures.delay(1.0), 1.0)));
        let [published, delivered] = report.over_time(1_000);
        assert_eq!((published.len(), delivered.len()), (6, 360));
        assert_eq!(published.last().map(|(at, _)| *at), Some(Duration::from_millis(500)));
        assert_eq!(delivered.last().map(|(_, part)| *part), Some(1.0));
        let p99 = report.p99_of_each();
        assert_eq!((p99.len(), p99.iter().max()), (6, Some(&report.measures.delay(1.0))));
    }

    #[test]
    fn what_is_not_delivered_is_waited_for_until_the_deadline_and_counts_as_missing() {
        // Two pairs that know nothing of each other.
        let mut experiment = small();
        experiment.scenario.nodes = 4;
        experiment.scenario.topology = crate::sim::Topology::Edges(vec![(0, 1), (2, 3)]);
        experiment.settle = Duration::from_secs(5);
        let report = experiment.run(&mut |_| ());
        assert_eq!((report.deliveries(), report.coverage, report.complete), ((12, 24), 0.5, 0));
        assert!(report.elapsed >= Duration::from_secs(5 + 2));
    }

    #[test]
    fn a_run_that_is_given_up_says_so() {
        let late = |progress: Progress| progress.elapsed < Duration::from_millis(3_300);
        let report = small().run_while(&mut |progress| late(progress));
        assert!(!report.finished && report.complete < 6 && report.coverage < 1.0);
        assert!(report.elapsed < Duration::from_millis(3_500), "{:?}", report.elapsed);
        assert!(small().run(&mut |_| ()).finished);
    }

    #[test]
    fn authors_take_turns() {
        let network = Network::new(small().scenario);
        let mut turns = Turns::new(&small().scenario);
        let mut round: Vec<_> = (0..60).filter_map(|_| turns.next(&network)).collect();
        assert!(!round.is_sorted());
        round.sort_unstable();
        assert!(round.iter().copied().eq(0..60));
    }
}
