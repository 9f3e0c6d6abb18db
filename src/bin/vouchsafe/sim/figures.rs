//! The figures of a run, for people and for programs.

use std::fmt::Write as _;
use std::time::Duration;

use vouchsafe::sim::{Protocol, Report, Scenario};

use super::flags::latency_words;

/// One line, with the fields in the order of the help text.
pub(super) fn json(report: &Report) -> String {
    let measures = &report.measures;
    format!(
        concat!(
            r#"{{"nodes":{},"liars":{},"adversary":{},"rumors":{},"coverage":{:?},"complete":{},"copies":{:.4},"#,
            r#""announcements":{:.4},"bytes_ratio":{:.4},"hops_max":{},"p50_ms":{:.3},"p99_ms":{:.3},"max_ms":{:.3},"#,
            r#""offences":{},"convicted":{},"false_bans":{},"trace":"{}"}}"#
        ),
        report.nodes,
        report.liars,
        serde_json::Value::from(report.adversary.as_str()),
        report.rumors,
        report.coverage,
        report.complete,
        measures.copies,
        measures.announcements,
        measures.bytes_ratio,
        measures.hops_max(),
        ms(measures.delay(0.5)),
        ms(measures.delay(0.99)),
        ms(measures.delay(1.0)),
        measures.offences,
        measures.convicted,
        measures.false_bans,
        report.trace,
    )
}

pub(super) fn ms(time: Duration) -> f64 {
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
        "{protocol}{} nodes, {lies}, {} links dialled by each, {}, seed {}",
        scenario.nodes,
        scenario.links,
        latency_words(&scenario.latency),
        scenario.seed
    )
}

/// Writing into a `String` can't fail, hence the ignored results.
pub(super) fn table(report: &Report, size: usize, rate: f64) -> String {
    let measures = &report.measures;
    let (delivered, owed) = report.deliveries();
    let mut out = String::new();
    let _ = writeln!(
        out,
        "rumors        {} of {size} bytes, {rate} a second, {:.1} simulated seconds",
        report.rumors,
        report.elapsed.as_secs_f64()
    );
    let _ = writeln!(
        out,
        "coverage      {}  ({delivered} of {owed} deliveries; {} of {} rumors reached every honest node)",
        percent(report.coverage),
        report.complete,
        report.rumors
    );
    if let Some(longest) = measures.publish_waits.last().filter(|wait| wait.as_millis() > 0) {
        let _ = writeln!(out, "authors       waited {:.0} ms at most for slots and room", ms(*longest));
    }
    let _ = writeln!(out, "copies        {:.2} for each delivery", measures.copies);
    let _ = writeln!(out, "announcements {:.1} for each delivery", measures.announcements);
    let _ = writeln!(out, "bytes         {:.2} sent for each one delivered", measures.bytes_ratio);
    let _ = writeln!(out, "hops          {} at most", measures.hops_max());
    let _ = writeln!(
        out,
        "latency       p50 {:.0} ms, p99 {:.0} ms, max {:.0} ms",
        ms(measures.delay(0.5)),
        ms(measures.delay(0.99)),
        ms(measures.delay(1.0))
    );
    if let Some((first, later)) = first_and_later(report) {
        let _ = writeln!(
            out,
            "              p99 of the first {FIRST} rumors at most {first:.0} ms, of the later ones {later:.0} ms"
        );
    }
    let _ = writeln!(out, "offences      {}  (each closed a link and banned a key)", measures.offences);
    let _ =
        writeln!(out, "convicted     {}  (honest nodes that have convicted somebody)", measures.convicted);
    let _ = writeln!(out, "false bans    {}", measures.false_bans);
    let _ = writeln!(out, "repeated      {}  (deliveries of what had been delivered)", measures.repeated);
    let _ = writeln!(out, "trace         {}", report.trace);
    out
}

/// How many rumors are told apart as the first ones, which meet liars that nobody knows yet (design, attack B4).
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
pub(super) fn faults(report: &Report) -> Option<String> {
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
