//! `--resume`: what an earlier report already has.

use std::io;
use std::path::Path;

use vouchsafe::sim::Experiment;
use vouchsafe_cli::exit::Failure;
use vouchsafe_cli::files;
use vouchsafe_cli::sim::figures::CELLS;

use super::row::split;
use super::{Plan, Row, report};

/// For each plan the row of the report in this folder, if there is one. A row that is not planned would be lost: an error.
pub(super) fn rows(out: &Path, experiment: &Experiment, plans: &[Plan]) -> Result<Vec<Option<Row>>, Failure> {
    let path = out.join(report::NAME);
    let text = match files::text(&path, MAX_REPORT) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(plans.iter().map(|_| None).collect());
        }
        Err(error) => return Err(Failure::file(&path, &error)),
    };
    parse(&text, &report::sentence(experiment), plans)
        .map_err(|what| Failure::Usage(format!("--resume: {}: {what}", path.display())))
}

/// Most bytes of a report. One of all adversaries has some 20 kB.
const MAX_REPORT: u64 = 16 << 20;
/// What can be done in any case.
const ANEW: &str = "another folder with --out, or leave --resume out to start anew and lose that report";

/// A report, or several pasted together: of rows for the same plan, one that is done goes first.
fn parse(text: &str, sentence: &str, plans: &[Plan]) -> Result<Vec<Option<Row>>, String> {
    let mut sentences = text.lines().filter(|line| line.contains(report::DIALLED)).peekable();
    if sentences.peek().is_none() {
        return Err(format!("not the report of a matrix: give {ANEW}"));
    }
    if let Some(other) = sentences.find(|line| line.trim() != sentence) {
        return Err(format!(
            "that run had {:?}, and this one has {sentence:?}: give the flags of that run, {ANEW}",
            other.trim()
        ));
    }
    let broken: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix(report::BROKEN))
        .flat_map(|names| names.trim_end().trim_end_matches('.').split(", "))
        .collect();
    let head = split(&format!("| {} {CELLS}", report::FIRST_CELLS));
    let rule = |line: &str| line.chars().all(|letter| "|-: ".contains(letter));
    let mut rows: Vec<Option<Row>> = plans.iter().map(|_| None).collect();
    let lines = text.lines().filter(|line| line.trim_start().starts_with('|'));
    for line in lines.filter(|line| !rule(line)) {
        let cells = split(line);
        if cells == head {
            continue;
        }
        let unreadable =
            || format!("this row of its table can't be read: {line:?}: take it out, give {ANEW}");
        let cells = cells.ok_or_else(unreadable)?;
        let [name, percent, cells @ ..] = &cells[..] else { return Err(unreadable()) };
        // A head with other columns, of another version, has no percentage.
        if !percent.starts_with(|letter: char| letter.is_ascii_digit()) {
            return Err(unreadable());
        }
        let whom = format!("{name} at {percent}");
        let Some(at) = plans.iter().position(|plan| plan.words() == whom) else {
            return Err(format!(
                "its row {whom:?} is none of this run's and would be lost: name it with --adversary too, take it out, give {ANEW}"
            ));
        };
        let (Some(plan), Some(place)) = (plans.get(at), rows.get_mut(at)) else { continue };
        let row = Row::read(plan, cells, broken.contains(&whom.as_str())).ok_or_else(unreadable)?;
        if !place.as_ref().is_some_and(Row::is_done) {
            *place = Some(row);
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use vouchsafe::sim::{Liar, Protocol};
    use vouchsafe_cli::sim::figures::CELLS_RULE;

    use super::*;

    const SENTENCE: &str =
        "9 nodes, 3 links dialled by each, 5 ms apart; 2 rumors of 1 bytes, 10 a second; seed 1.";
    const SILENT: &str =
        "| silent | 10 % | 98.5000 % | 1/2 | 1.25 | 2.0 | 3.00 | 4 | 5 | 6 | 7 |  | 0 | 0 | 0 | `ab` |";
    const LATER: &str = "| slow | 33 % | given up after 3 s, at 4.0 simulated seconds |";

    fn plans() -> Vec<Plan> {
        [("silent", 10), ("slow", 33)]
            .map(|(name, percent)| Plan {
                name: name.to_owned(),
                percent,
                liar: Liar::Silent,
                protocol: Protocol::Vouchsafe,
            })
            .to_vec()
    }

    fn text(rows: &[&str]) -> String {
        let head = format!("| {} {CELLS}\n|---|---:{CELLS_RULE}", report::FIRST_CELLS);
        format!("# Title\n\n{SENTENCE}\n\n{head}\n{}\n\nCost: 1 s.\n", rows.join("\n"))
    }

    /// The table's line and whether it is done, for each plan.
    fn read(text: &str) -> Result<Vec<Option<(String, bool)>>, String> {
        let rows = parse(text, SENTENCE, &plans())?;
        Ok(rows.into_iter().map(|row| row.map(|row| (row.line(), row.is_done()))).collect())
    }

    #[test]
    fn rows_are_found_in_any_order_and_in_reports_pasted_together() {
        let both = Ok(vec![Some((SILENT.to_owned(), true)), Some((LATER.to_owned(), false))]);
        assert_eq!(read(&text(&[SILENT, LATER])), both);
        assert_eq!(read(&(text(&[LATER]) + &text(&[SILENT]))), both);
        let given_up = "| silent | 10 % | given up at 8.1 GiB, at 4.0 simulated seconds |";
        assert_eq!(read(&text(&[LATER, SILENT, given_up])), both);
        assert_eq!(read(&text(&[LATER, given_up, SILENT])), both);
        assert_eq!(read(&text(&[])), Ok(vec![None, None]));
    }

    #[test]
    fn broken_promises_are_not_done() {
        let named = text(&[SILENT]) + report::BROKEN + "slow at 33 %, silent at 10 %.\n";
        let banned = SILENT.replace("| 0 | `ab`", "| 2 | `ab`");
        for (text, line) in [(named, SILENT), (text(&[&banned]), &banned)] {
            assert_eq!(read(&text), Ok(vec![Some((line.to_owned(), false)), None]));
        }
    }

    #[test]
    fn what_cant_be_used_is_refused() {
        let other = "| lazy | 10 % | given up after 3 s, at 4.0 simulated seconds |";
        let two = text(&[]) + &SENTENCE.replace("seed 1", "seed 2");
        for (text, words) in [
            (text(&[other]), "would be lost"),
            (two, "seed 2"),
            ("# Notes\n".to_owned(), "not the report of a matrix"),
            (text(&[&SILENT.replace("| 4 | 5 ", "| 4 ")]), "can't be read"),
            (text(&[&SILENT.replace("1.25", "NaN")]), "can't be read"),
            (text(&[&SILENT.replace("1.25", "inf")]), "can't be read"),
            (text(&[&SILENT.replace("98.5000 %", "most")]), "can't be read"),
            (text(&[SILENT.get(..60).unwrap()]), "can't be read"),
            (text(&["| silent |"]), "can't be read"),
            // Columns of another version.
            (text(&[]).replace("| hops", "| steps"), "can't be read"),
        ] {
            let said = read(&text).unwrap_err();
            assert!(said.contains(words) && said.contains("--out"), "{said}");
        }
    }
}
