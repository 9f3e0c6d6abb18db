//! The figures of a run, for people and for programs.

use std::fmt::Write as _;
use std::time::Duration;

use vouchsafe::sim::{Gauges, Protocol, Report, Scenario};

use super::flags::latency_words;
use super::shape;

/// The figures that every kind of output shows, computed once: a quantile sorts all delays.
pub struct Columns {
    /// Percent.
    pub coverage: String,
    pub(super) complete: String,
    /// For each delivery.
    pub copies: f64,
    pub(super) announcements: f64,
    pub(super) bytes: f64,
    pub(super) hops: u8,
    /// Milliseconds from publishing to delivery, for half of the deliveries.
    pub p50: f64,
    /// For 99 of 100.
    pub p99: f64,
    /// For all.
    pub max: f64,
    pub(super) offences: u64,
    pub(super) convicted: usize,
    pub(super) false_bans: u64,
    /// Milliseconds to conviction: of half, and of all. `None` if nobody was convicted.
    pub(super) conviction: Option<(f64, f64)>,
}

impl Columns {
    /// Those of a run.
    pub fn of(report: &Report) -> Self {
        let measures = &report.measures;
        let [p50, p99, max] = [0.5, 0.99, 1.0].map(|part| ms(measures.delay(part)));
        let conviction = [0.5, 1.0].map(|part| measures.conviction_delay(part).map(ms));
        Self {
            coverage: percent(report.coverage),
            complete: format!("{}/{}", report.complete, report.rumors),
            copies: measures.copies,
            announcements: measures.announcements,
            bytes: measures.bytes_ratio,
            hops: measures.hops_max(),
            p50,
            p99,
            max,
            offences: measures.offences,
            convicted: measures.convicted,
            false_bans: measures.false_bans,
            conviction: conviction[0].zip(conviction[1]),
        }
    }
}

/// One line, with the fields in the order of the help text.
pub(super) fn json(report: &Report) -> String {
    let columns = Columns::of(report);
    let Report { nodes, liars, rumors, coverage, complete, held, .. } = report;
    let text = |text: &str| serde_json::Value::from(text).to_string();
    let ms = |time: f64| format!("{time:.3}");
    let conviction = |time: Option<f64>| time.map_or("null".to_owned(), ms);
    let fields = [
        ("nodes", nodes.to_string()),
        ("liars", liars.to_string()),
        ("adversary", if *liars == 0 { "null".to_owned() } else { text(&report.adversary) }),
        ("rumors", rumors.to_string()),
        ("coverage", format!("{coverage:?}")),
        ("complete", complete.to_string()),
        ("copies", format!("{:.4}", columns.copies)),
        ("announcements", format!("{:.4}", columns.announcements)),
        ("bytes_ratio", format!("{:.4}", columns.bytes)),
        ("hops_max", columns.hops.to_string()),
        ("p50_ms", ms(columns.p50)),
        ("p99_ms", ms(columns.p99)),
        ("max_ms", ms(columns.max)),
        ("offences", columns.offences.to_string()),
        ("convicted", columns.convicted.to_string()),
        ("false_bans", columns.false_bans.to_string()),
        ("trace", text(&report.trace)),
        ("conviction_p50_ms", conviction(columns.conviction.map(|(half, _)| half))),
        ("conviction_max_ms", conviction(columns.conviction.map(|(_, last)| last))),
        ("body_bytes", held.body_bytes.to_string()),
        ("entries", held.entries.to_string()),
        ("queued_bytes", held.queued_bytes.to_string()),
        ("wants", held.wants.to_string()),
    ];
    format!("{{{}}}", fields.map(|(name, value)| format!("\"{name}\":{value}")).join(","))
}

/// Milliseconds.
pub fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The network in one line.
pub(super) fn network(scenario: &Scenario, report: &Report) -> String {
    let lies = match report.liars {
        0 => "no liars".to_owned(),
        liars => format!("{liars} liars ({})", report.adversary),
    };
    let protocol = match scenario.protocol {
        Protocol::Vouchsafe => String::new(),
        other => format!("{other}: "),
    };
    format!(
        "{protocol}{} nodes, {lies}, {}, {}{}, seed {}",
        scenario.nodes,
        shape::links(scenario),
        latency_words(&scenario.latency),
        shape::words(scenario),
        scenario.seed
    )
}

/// Writing into a `String` can't fail, hence the ignored results.
pub(super) fn table(report: &Report, size: usize, rate: f64) -> String {
    let Report { rumors, complete, measures, trace, .. } = report;
    let columns = Columns::of(report);
    let Columns { coverage, copies, announcements, bytes, hops, p50, p99, max, .. } = &columns;
    let Columns { offences, convicted, false_bans, conviction, .. } = &columns;
    let (delivered, owed) = report.deliveries();
    let mut out = String::new();
    let seconds = report.elapsed.as_secs_f64();
    let _ = writeln!(
        out,
        "rumors        {rumors} of {size} bytes, {rate} a second, {seconds:.1} simulated seconds"
    );
    let _ = writeln!(
        out,
        "coverage      {coverage}  ({delivered} of {owed} deliveries; {complete} of {rumors} rumors reached every honest node)"
    );
    if let Some(longest) = measures.publish_waits.last().filter(|wait| wait.as_millis() > 0) {
        let _ = writeln!(out, "authors       waited {:.0} ms at most for slots and room", ms(*longest));
    }
    let _ = writeln!(out, "copies        {copies:.2} for each delivery");
    let _ = writeln!(out, "announcements {announcements:.1} for each delivery");
    let _ = writeln!(out, "bytes         {bytes:.2} sent for each one delivered");
    let _ = writeln!(out, "hops          {hops} at most");
    let _ = writeln!(out, "latency       p50 {p50:.0} ms, p99 {p99:.0} ms, max {max:.0} ms");
    if let Some((first, later)) = first_and_later(report) {
        let _ = writeln!(
            out,
            "              p99 of the first {FIRST} rumors at most {first:.0} ms, of the later ones {later:.0} ms"
        );
    }
    let _ = writeln!(out, "offences      {offences}  (each closed a link and banned a key)");
    let _ = writeln!(out, "convicted     {convicted}  (honest nodes that have convicted somebody)");
    if let Some((half, last)) = conviction {
        let _ =
            writeln!(out, "              p50 {half:.0} ms, last {last:.0} ms after the second word was said");
    }
    let _ = writeln!(out, "false bans    {false_bans}");
    let _ = writeln!(out, "repeated      {}  (deliveries of what had been delivered)", measures.repeated);
    let Gauges { body_bytes, entries, queued_bytes, wants, .. } = report.held;
    let _ = writeln!(
        out,
        "memory        at most {body_bytes} bytes of bodies, {entries} index entries, {queued_bytes} bytes queued, {wants} wanted ids in a node"
    );
    let _ = writeln!(out, "trace         {trace}");
    out
}

/// The head of a table of many runs, from the second or third column on.
pub const CELLS: &str = "| coverage | complete | copies | announced | bytes | hops | p50 | p99 | max ms | first 3 / later p99 | offences | convicted | false bans | trace |";
/// The line below it.
pub const CELLS_RULE: &str = "|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|";

/// A run in such a table.
pub fn cells(report: &Report) -> String {
    let columns = Columns::of(report);
    let Columns { coverage, complete, copies, announcements, bytes, hops, p50, p99, max, .. } = &columns;
    let Columns { offences, convicted, false_bans, .. } = &columns;
    let split = first_and_later(report).map(|(first, later)| format!("{first:.0} / {later:.0}"));
    let (split, trace) = (split.unwrap_or_default(), &report.trace);
    format!(
        "| {coverage} | {complete} | {copies:.2} | {announcements:.1} | {bytes:.2} | {hops} | {p50:.0} | {p99:.0} | {max:.0} | {split} | {offences} | {convicted} | {false_bans} | `{trace}` |"
    )
}

/// How many rumors are told apart as the first ones, which meet liars that nobody knows yet (attack B4).
const FIRST: usize = 3;

/// The largest p99 of a single rumor among the first ones, and among the later ones, milliseconds.
pub(super) fn first_and_later(report: &Report) -> Option<(f64, f64)> {
    let each = report.p99_of_each();
    let (first, later) = each.split_at_checked(FIRST)?;
    Some((ms(*first.iter().max()?), ms(*later.iter().max()?)))
}

/// Never rounded up to 100: one missing delivery of a million shows.
pub(super) fn percent(part: f64) -> String {
    if part >= 1.0 {
        return "100 %".to_owned();
    }
    format!("{:.4} %", (part * 1e6).floor() / 1e4)
}

/// What must never be, if it was.
pub fn faults(report: &Report) -> Option<String> {
    let mut faults = Vec::new();
    if report.measures.false_bans > 0 {
        faults.push(format!("{} times an honest node banned an honest one", report.measures.false_bans));
    }
    if report.measures.repeated > 0 {
        faults.push(format!("{} deliveries repeated what had been delivered", report.measures.repeated));
    }
    (!faults.is_empty()).then(|| faults.join("; "))
}

#[cfg(test)]
mod tests {
    use super::percent;

    #[test]
    fn a_missing_delivery_is_not_rounded_away() {
        assert_eq!([1.0, 0.999_999_9, 0.5].map(percent), ["100 %", "99.9999 %", "50.0000 %"]);
    }
}
