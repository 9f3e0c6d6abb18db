//! What may be given for a flag, and what to say if it can't be used.

use std::path::Path;
use std::time::Duration;

use vouchsafe::rumor::{MAX_BODY, MAX_HOLD_BACK};
use vouchsafe::sim::Latency;

use crate::files;

/// Some of the nodes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Part {
    Count(usize),
    /// 0 to 1.
    Fraction(f64),
}

impl Part {
    pub(super) fn of(self, nodes: usize) -> usize {
        match self {
            Self::Count(count) => count,
            Self::Fraction(part) => (nodes as f64 * part).round() as usize,
        }
    }
}

/// A whole number is a count; with a point it is a fraction, with `%` a percentage.
pub(super) fn part(text: &str) -> Result<Part, String> {
    const REMEDY: &str = "give a count (33), a percentage (33%) or a fraction with a point (0.33)";
    if let Ok(count) = text.parse() {
        return Ok(Part::Count(count));
    }
    fraction(text).map(Part::Fraction).map_err(|_| REMEDY.to_owned())
}

/// 0 to 1, or 0% to 100%.
pub(super) fn fraction(text: &str) -> Result<f64, String> {
    let value = match text.strip_suffix('%') {
        Some(percent) => percent.trim_end().parse::<f64>().map(|percent| percent / 100.0),
        None => text.parse(),
    };
    match value {
        Ok(value) if (0.0..=1.0).contains(&value) => Ok(value),
        _ => Err("give a fraction from 0 to 1 (0.05) or a percentage (5%)".into()),
    }
}

/// How many nodes a network has.
pub fn nodes(text: &str) -> Result<usize, String> {
    match text.trim().parse() {
        Ok(nodes) if (2..=1_000_000).contains(&nodes) => Ok(nodes),
        _ => Err("give 2 to 1000000 nodes".into()),
    }
}

pub(super) fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if rate > 0.0 && rate <= 1e6 => Ok(rate),
        _ => Err("give rumors per second, more than 0 and at most 1000000 (0.5, 10)".into()),
    }
}

pub(super) fn size(text: &str) -> Result<usize, String> {
    match bytes(text) {
        Ok(size) if size <= u64::from(MAX_BODY) => Ok(size as usize),
        _ => Err(format!("a rumor has 0 to {MAX_BODY} bytes: give that many (300, 16k)")),
    }
}

/// Bytes of memory, more than 0.
pub fn memory(text: &str) -> Result<u64, String> {
    match bytes(text) {
        Ok(size) if size > 0 => Ok(size),
        _ => Err("give bytes, more than 0 (500M, 8G)".into()),
    }
}

pub(super) fn uplink(text: &str) -> Result<u64, String> {
    match bytes(text) {
        Ok(rate) if rate > 0 => Ok(rate),
        _ => Err("give bytes per second, more than 0 (125000, 500k, 2M)".into()),
    }
}

/// With `k` for 1024 and `M` for 1024 * 1024.
fn bytes(text: &str) -> Result<u64, ()> {
    let (digits, unit) = match text.strip_suffix(['k', 'K']) {
        Some(digits) => (digits, 1 << 10),
        None => match (text.strip_suffix('M'), text.strip_suffix('G')) {
            (Some(digits), _) => (digits, 1 << 20),
            (_, Some(digits)) => (digits, 1 << 30),
            _ => (text, 1),
        },
    };
    digits.parse::<u64>().ok().and_then(|count| count.checked_mul(unit)).ok_or(())
}

pub(super) fn hold_back(text: &str) -> Result<Duration, String> {
    match span(text) {
        Some(delay) if delay.as_millis() > 0 && delay.as_millis() <= u128::from(MAX_HOLD_BACK) => Ok(delay),
        _ => Err(format!("give a time of 1 ms to {} s (2s, 500ms)", MAX_HOLD_BACK / 1000)),
    }
}

/// At most an hour.
pub fn duration(text: &str) -> Result<Duration, String> {
    match span(text) {
        Some(time) if time <= Duration::from_secs(3600) => Ok(time),
        _ => Err("give a time of at most an hour, with its unit (2s, 500ms)".into()),
    }
}

/// Seconds or milliseconds, with their unit.
fn span(text: &str) -> Option<Duration> {
    let (digits, per_second) = match text.strip_suffix("ms") {
        Some(digits) => (digits, 1e3),
        None => (text.strip_suffix('s')?, 1.0),
    };
    // Whole milliseconds, as the rules of topics want them.
    let millis = (digits.parse::<f64>().ok()? / per_second * 1e3).round();
    ((0.0..1e10).contains(&millis)).then(|| Duration::from_millis(millis as u64))
}

/// `geometric`, `A-B` (geometric between these), `N` (the same for all), or a file with a table; all in milliseconds.
pub(super) fn latency(text: &str) -> Result<Latency, String> {
    if text == "geometric" {
        return Ok(Latency::GEOMETRIC);
    }
    if let Some(path) = text.strip_prefix("table:") {
        return table(Path::new(path));
    }
    let millis = |text: &str| {
        let millis = text.parse::<f64>().ok().filter(|millis| (0.0..=60_000.0).contains(millis))?;
        Some(Duration::from_secs_f64(millis / 1e3))
    };
    if let Some(delay) = millis(text) {
        return Ok(Latency::Fixed(delay));
    }
    match text.split_once('-').map(|(least, most)| (millis(least), millis(most))) {
        Some((Some(least), Some(most))) if least <= most => Ok(Latency::Geometric { least, most }),
        _ => Err("give geometric, two milliseconds (5-130), one for all links (50), or table:FILE with a row of milliseconds \
                  for each region, at most 60000"
            .into()),
    }
}

/// Most bytes of a table: enough for a thousand regions.
const MAX_TABLE: u64 = 16 << 20;

fn table(path: &Path) -> Result<Latency, String> {
    let text = files::value(path, MAX_TABLE)?;
    let rows: Option<Vec<Vec<_>>> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| {
            let cells = line.split([' ', '\t', ',', ';']).filter(|cell| !cell.is_empty());
            let millis =
                cells.map(|cell| cell.parse::<f64>().ok().filter(|ms| (0.0..=60_000.0).contains(ms)));
            millis.map(|ms| ms.map(|ms| Duration::from_secs_f64(ms / 1e3))).collect()
        })
        .collect();
    match rows {
        Some(rows) if !rows.is_empty() && rows.iter().all(|row| row.len() == rows.len()) => {
            Ok(Latency::Regions(rows))
        }
        _ => Err(format!(
            "{}: not a table of delays: give as many rows as columns, of milliseconds from 0 to 60000",
            path.display()
        )),
    }
}

/// In words, for tables and notes.
pub fn latency_words(latency: &Latency) -> String {
    match latency {
        Latency::Fixed(delay) => format!("{} ms apart", delay.as_secs_f64() * 1e3),
        Latency::Geometric { least, most } => {
            format!("{} to {} ms apart by distance", least.as_secs_f64() * 1e3, most.as_secs_f64() * 1e3)
        }
        Latency::Regions(table) => format!("in {} regions", table.len()),
        _ => "apart".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_a_count_a_percentage_or_a_fraction() {
        let some = |text| part(text).unwrap().of(200);
        assert_eq!(["0", "1", "33", "33%", "0.33", "1.0", "100 %"].map(some), [0, 1, 33, 66, 66, 200, 200]);
        for bad in ["", "-1", "101%", "1.5", "a third", "NaN", "%"] {
            assert!(part(bad).unwrap_err().contains("33%"), "{bad}");
        }
    }

    #[test]
    fn sizes_and_times_need_sense() {
        assert_eq!([size("300"), size("16k"), size("64K")], [Ok(300), Ok(16 << 10), Ok(64 << 10)]);
        for bad in ["65k", "-1", "1.5", "", "k", "99999999999999999999M"] {
            assert!(size(bad).is_err(), "{bad}");
        }
        assert_eq!([uplink("2M"), uplink("500k")], [Ok(2 << 20), Ok(500 << 10)]);
        assert!(uplink("0").is_err());
        assert_eq!(
            [hold_back("2s"), hold_back("500ms")],
            [2_000, 500].map(|ms| Ok(Duration::from_millis(ms)))
        );
        for bad in ["0s", "61s", "2", "s", "-1s", "inf s", "NaNs", "1e300s"] {
            assert!(hold_back(bad).is_err(), "{bad}");
        }
        for bad in ["0", "-1", "NaN", "inf", "x"] {
            assert!(rate(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_latency_is_one_of_four() {
        let ms = Duration::from_millis;
        assert_eq!(latency("geometric"), Ok(Latency::GEOMETRIC));
        assert_eq!(latency("5-130"), Ok(Latency::GEOMETRIC));
        assert_eq!(latency("50"), Ok(Latency::Fixed(ms(50))));
        for bad in ["", "130-5", "5-", "far", "-5", "1e9", "table:/no/such/file"] {
            assert!(latency(bad).is_err(), "{bad}");
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        let given = format!("table:{}", file.path().display());
        std::fs::write(file.path(), "1 80\n80, 2\n\n").unwrap();
        assert_eq!(latency(&given), Ok(Latency::Regions(vec![vec![ms(1), ms(80)], vec![ms(80), ms(2)]])));
        for bad in ["", "1 2\n3", "1 x\n2 3", "1 -2\n2 1"] {
            std::fs::write(file.path(), bad).unwrap();
            assert!(latency(&given).unwrap_err().contains("as many rows as columns"), "{bad}");
        }
    }
}
