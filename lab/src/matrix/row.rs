//! One row of the matrix, from a run or from the table of an earlier report.

use std::time::Duration;

use vouchsafe::sim::Report;
use vouchsafe_cli::sim::figures::{self, ms};

use super::Plan;

pub(super) const HEAD: &str = "adversary                  f  coverage  complete  copies  announced  hops   p50   p99   max ms  offences  convicted  false bans  seconds";

/// What the report needs to know of a run: the run itself is large.
pub(super) struct Row {
    pub(super) plan: Plan,
    /// Its cells in the table, from the third column on; if it was given up, one that says so.
    cells: Vec<String>,
    /// `None` if it was given up: its own would say that the liars had won.
    pub(super) figures: Option<Figures>,
    /// What must never be, if it was.
    pub(super) fault: Option<String>,
    /// Real time; `None` if an earlier report has the row.
    seconds: Option<f64>,
}

/// What the plots show.
#[derive(Clone, Copy)]
pub(super) struct Figures {
    pub(super) copies: f64,
    /// Milliseconds.
    pub(super) p99: f64,
    /// Percent of the deliveries that are owed.
    pub(super) missing: f64,
}

impl Row {
    /// `over` is what was too much, if the run was given up.
    pub(super) fn of(plan: &Plan, report: &Report, over: Option<String>, took: Duration) -> Self {
        let figures = report.finished.then(|| Figures {
            copies: report.measures.copies,
            p99: ms(report.measures.delay(0.99)),
            missing: (1.0 - report.coverage) * 100.0,
        });
        let cells = match figures {
            Some(_) => split(&figures::cells(report)).unwrap_or_default(),
            None => {
                let (over, simulated) = (over.unwrap_or_default(), report.elapsed.as_secs_f64());
                vec![format!("{GIVEN_UP}{over}, at {simulated:.1} simulated seconds")]
            }
        };
        let (fault, seconds) = (figures::faults(report), Some(took.as_secs_f64()));
        Self { plan: plan.clone(), cells, figures, fault, seconds }
    }

    /// From a table, without the first two cells. `broken` is whether its report names it among broken promises: repeated
    /// deliveries have no column.
    pub(super) fn read(plan: &Plan, cells: &[String], broken: bool) -> Option<Self> {
        let texts: Vec<&str> = cells.iter().map(String::as_str).collect();
        let (figures, false_bans) = match texts[..] {
            [words] if words.starts_with(GIVEN_UP) => (None, 0.0),
            [coverage, _, copies, _, _, _, _, p99, _, _, _, _, false_bans, _] => {
                let missing = 100.0 - number(coverage.strip_suffix(" %")?)?;
                let figures = Figures { copies: number(copies)?, p99: number(p99)?, missing };
                (Some(figures), number(false_bans)?)
            }
            _ => return None,
        };
        let fault = (broken || false_bans > 0.0).then(|| "so says the earlier report".to_owned());
        Some(Self { plan: plan.clone(), cells: cells.to_vec(), figures, fault, seconds: None })
    }

    /// Whether it came to its end, as it should: then it need not be run again.
    pub(super) fn is_done(&self) -> bool {
        self.figures.is_some() && self.fault.is_none()
    }

    pub(super) fn is_earlier(&self) -> bool {
        self.seconds.is_none()
    }

    /// A line of the table.
    pub(super) fn line(&self) -> String {
        let Plan { name, percent, .. } = &self.plan;
        format!("| {name} | {percent} % | {} |", self.cells.join(" | "))
    }

    /// A line on the terminal, under [`HEAD`].
    pub(super) fn shown(&self) -> String {
        let Plan { name, percent, .. } = &self.plan;
        let texts: Vec<&str> = self.cells.iter().map(String::as_str).collect();
        let [coverage, complete, copies, announced, _, hops, p50, p99, max, _, offences, convicted, bans, _] =
            texts[..]
        else {
            return format!("{name:<24} {percent:>3}  {}", texts.concat());
        };
        let coverage = coverage.trim_end_matches(" %");
        let seconds = self.seconds.map_or("kept".to_owned(), |seconds| format!("{seconds:.1}"));
        format!(
            "{name:<24} {percent:>3}  {coverage:>8}  {complete:>8}  {copies:>6}  {announced:>9}  {hops:>4}  {p50:>4}  {p99:>4}  {max:>7}  {offences:>8}  {convicted:>9}  {bans:>10}  {seconds:>7}"
        )
    }
}

const GIVEN_UP: &str = "given up ";

/// The cells of a line of a table.
pub(super) fn split(line: &str) -> Option<Vec<String>> {
    let cells = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    Some(cells.split('|').map(|cell| cell.trim().to_owned()).collect())
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0)
}

#[cfg(test)]
mod tests {
    use vouchsafe::sim::{Experiment, Liar, Protocol, Scenario};

    use super::*;

    #[test]
    fn a_row_is_read_as_it_was_written() {
        // Infect-and-die misses some, so that no figure is at its end.
        let protocol = Protocol::InfectAndDie { fanout: 2 };
        let scenario = Scenario { nodes: 30, links: 6, protocol, ..Scenario::default() };
        let mut report = Experiment { scenario, rumors: 5, ..Experiment::default() }.run(&mut |_| ());
        let plan = Plan { name: "infect-and-die:2".to_owned(), percent: 0, liar: Liar::Silent, protocol };
        let row = Row::of(&plan, &report, None, Duration::from_secs(3));
        let read = |broken| Row::read(&plan, &split(&row.line()).unwrap()[2..], broken).unwrap();
        let kept = read(false);
        assert_eq!(kept.line(), row.line());
        assert_eq!(kept.shown(), row.shown().replace("    3.0", "   kept"));
        let (figures, again) = (row.figures.unwrap(), kept.figures.unwrap());
        assert!(figures.missing > 0.0 && figures.copies > 0.0 && figures.p99 > 0.0);
        assert!((figures.missing - again.missing).abs() <= 1e-4 && (figures.p99 - again.p99).abs() <= 0.5);
        assert!((figures.copies - again.copies).abs() <= 0.005);
        assert!(kept.is_done() && kept.is_earlier() && !row.is_earlier());
        assert!(!read(true).is_done());

        report.finished = false;
        let given_up = Row::of(&plan, &report, Some("after 3 s".into()), Duration::ZERO);
        let again = Row::read(&plan, &split(&given_up.line()).unwrap()[2..], false).unwrap();
        assert_eq!((again.line(), again.shown()), (given_up.line(), given_up.shown()));
        assert!(
            again.figures.is_none() && !again.is_done() && given_up.line().contains("given up after 3 s, at")
        );
    }
}
