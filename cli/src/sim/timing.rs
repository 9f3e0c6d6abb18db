//! How long a run must be for what it is about: some liars turn late, some wait for minutes before their second word, and one
//! of the baselines repeats itself for a while.

use std::time::Duration;

use vouchsafe::sim::{Experiment, Liar, Protocol};

/// When links come up, on the clock that liars go by.
const LINKS_UP: Duration = Duration::from_secs(1);
/// When [`Liar::Flash`] turns.
const FLASH: Duration = Duration::from_secs(10);
/// [`Liar::EquivocateLate`] waits for a minute; then word of it must spread.
const SECOND_WORD: Duration = Duration::from_secs(65);
/// [`Liar::Edge`] makes its last conflict after some 20 s, and its second words come up to three minutes later.
const EDGES: Duration = Duration::from_secs(200);
/// [`Liar::Replay`] brings back what is then outside the relay window of a minute and a half.
const LONG_PAST: Duration = Duration::from_secs(100);
/// Cycles of [`Protocol::Cycle`] beyond those that the theory gives, and the longest one.
const MORE_CYCLES: f64 = 4.0;
const LONGEST_CYCLE: f64 = 1.1;
/// The least that it is given.
const CYCLES: Duration = Duration::from_secs(15);

/// The experiment, longer where that is needed: half of the rumors are told before a liar turns and half after it, and who acts
/// late is waited for.
pub fn with_time(experiment: Experiment) -> Experiment {
    let mut this = experiment;
    if let Some(turn) = turn(&this.scenario.liar) {
        let half = Duration::from_secs_f64(this.rumors as f64 / this.rate / 2.0);
        this.warm_up = this.warm_up.max(turn.saturating_sub(LINKS_UP + half));
    }
    this.tail = this.tail.max(tail(&this.scenario.liar));
    if let Protocol::Cycle { fanout } = this.scenario.protocol {
        let (nodes, fanout) = (this.scenario.nodes.max(2) as f64, fanout.max(1) as f64);
        let cycles = nodes.log(fanout + 1.0) + nodes.ln() / fanout + MORE_CYCLES;
        this.tail = this.tail.max(CYCLES).max(Duration::from_secs_f64((cycles * LONGEST_CYCLE).ceil()));
    }
    this
}

/// When a liar turns, if it does; of several, when the last one does.
fn turn(liar: &Liar) -> Option<Duration> {
    match liar {
        Liar::Flash => Some(FLASH),
        Liar::From(after, then) => turn(then).max(Some(*after)),
        Liar::Both(one, other) => turn(one).max(turn(other)),
        _ => None,
    }
}

/// How long after the last delivery a liar still does what it is about.
fn tail(liar: &Liar) -> Duration {
    match liar {
        Liar::EquivocateLate => SECOND_WORD,
        Liar::Edge => EDGES,
        Liar::Replay => LONG_PAST,
        Liar::From(_, then) => tail(then),
        Liar::Both(one, other) => tail(one).max(tail(other)),
        _ => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use vouchsafe::sim::{Network, Report, Scenario};

    use super::*;

    fn run(liar: &str, protocol: Protocol, change: fn(Experiment) -> Experiment) -> Report {
        let liar = liar.parse().unwrap();
        let scenario =
            Scenario { nodes: 40, links: 6, liar_count: Some(4), liar, protocol, ..Scenario::default() };
        change(Experiment { scenario, rumors: 10, ..Experiment::default() }).run(&mut |_| ())
    }

    #[test]
    fn half_of_the_rumors_are_told_before_the_turn() {
        let scenario = Scenario { nodes: 2, links: 1, ..Scenario::default() };
        assert_eq!(Network::new(scenario).elapsed(), LINKS_UP);
        for (liar, turn) in [("flash", 10), ("announce@7", 7), ("hops+silent@12", 12), ("flash@30", 30)] {
            let report = run(liar, Protocol::Vouchsafe, with_time);
            let before = report.measures.spreads.iter();
            let before = before.filter(|spread| spread.published < Duration::from_secs(turn)).count();
            assert_eq!(before, 5, "{liar}: of 10 rumors");
        }
        let untimed = run("flash", Protocol::Vouchsafe, |experiment| experiment);
        assert!(untimed.elapsed < FLASH, "without time the turn is never seen");
    }

    #[test]
    fn a_run_waits_for_an_adversary_that_acts_late() {
        for liar in ["equivocate-late", "equivocate-late@4", "equivocate-late+hops"] {
            let report = run(liar, Protocol::Vouchsafe, with_time);
            assert_eq!(report.measures.convicted, 36, "{liar}");
        }
        assert_eq!(
            run("equivocate-late", Protocol::Vouchsafe, |experiment| experiment).measures.convicted,
            0
        );
        // Every liar makes eight conflicts; each ends with its second word.
        let said = |change| run("edge", Protocol::Vouchsafe, change).measures.convictions.len();
        assert!(said(with_time) > said(|experiment| experiment));
        let copies = |change| run("replay", Protocol::Vouchsafe, change).measures.copies;
        assert!(copies(with_time) > copies(|experiment| experiment));
    }

    #[test]
    fn a_cycle_is_counted_to_its_end() {
        let protocol = Protocol::Cycle { fanout: 4 };
        let copies = |change| run("silent", protocol, change).measures.copies;
        let longer = |experiment| Experiment { tail: Duration::from_secs(60), ..experiment };
        assert_eq!(copies(with_time), copies(longer), "it goes on after the end of the run");
        assert!(copies(|experiment| experiment) < copies(longer), "the test needs no tail");
    }
}
