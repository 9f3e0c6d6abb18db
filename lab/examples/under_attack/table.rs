//! Lines of `--json`, and the table at the end: medians over the rounds, and each attack beside its quiet runs.

use std::fmt::Write as _;

use serde_json::json;

/// One run.
pub(crate) struct Line {
    pub(crate) attack: &'static str,
    /// quiet, attacked or burner.
    pub(crate) kind: &'static str,
    pub(crate) round: usize,
    /// How many nodes are attacked.
    pub(crate) links: usize,
    /// Honest deliveries a second, and milliseconds from the publish call to the reader.
    pub(crate) deliveries: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    /// Microseconds of processor time of all nodes, load and readers included, for each honest delivery.
    pub(crate) cpu_us: f64,
    /// Processors that the nodes kept busy, and that the other process did.
    pub(crate) cpu: f64,
    pub(crate) beside: f64,
    /// Processors that the rest of the machine kept busy.
    pub(crate) strangers: f64,
    /// Honest rumors that were not everywhere after 5 s.
    pub(crate) given_up: u64,
    /// What the nodes counted, a second, all together.
    pub(crate) counted: Vec<(&'static str, f64)>,
}

impl Line {
    pub(crate) fn json(&self) -> String {
        let counted: serde_json::Map<_, _> =
            self.counted.iter().map(|(name, rate)| ((*name).to_owned(), json!(rate.round()))).collect();
        json!({
            "attack": self.attack, "run": self.kind, "round": self.round, "links": self.links,
            "deliveries_per_s": self.deliveries.round(), "p50_ms": self.p50, "p99_ms": self.p99,
            "cpu_us_per_delivery": self.cpu_us, "cpu": self.cpu, "cpu_beside": self.beside,
            "cpu_strangers": self.strangers,
            "given_up": self.given_up, "counted_per_s": counted,
        })
        .to_string()
    }
}

/// The last three runs in one line, for whoever waits.
pub(crate) fn brief(lines: &[Line]) -> String {
    let last = lines.iter().rev().take(3).rev();
    let each = last.map(|line| format!("{} p99 {:.1} ms", line.kind, line.p99));
    format!("{}: {}", lines.last().map_or("", |line| line.attack), each.collect::<Vec<_>>().join(", "))
}

/// As Markdown. Ratios are the medians of the ratios of each round, since its runs stood close together.
pub(crate) fn report(lines: &[Line]) -> String {
    let mut attacks: Vec<_> = lines.iter().map(|line| line.attack).collect();
    attacks.dedup();
    attacks.sort_unstable();
    attacks.dedup();
    let mut out = String::from(
        "| attack | run | deliveries/s | p50 ms | p99 ms | CPU us per delivery | nodes' CPU | other's | rest's | given up | \
         p50, p99, CPU: x quiet |\n|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for attack in attacks {
        let of =
            |kind: &'static str| lines.iter().filter(move |line| (line.attack, line.kind) == (attack, kind));
        for kind in ["quiet", "burner", "attacked"] {
            let middle = |get: fn(&Line) -> f64| median(of(kind).map(get).collect());
            let ratio = |get: fn(&Line) -> f64| {
                median(of(kind).zip(of("quiet")).map(|(a, b)| get(a) / get(b)).collect())
            };
            let given_up: u64 = of(kind).map(|line| line.given_up).sum();
            let _ = writeln!(
                out,
                "| {attack} | {kind} | {:.0} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} | {given_up} | {:.2}, {:.2}, {:.2} |",
                middle(|line| line.deliveries),
                middle(|line| line.p50),
                middle(|line| line.p99),
                middle(|line| line.cpu_us),
                middle(|line| line.cpu),
                middle(|line| line.beside),
                middle(|line| line.strangers),
                ratio(|line| line.p50),
                ratio(|line| line.p99),
                ratio(|line| line.cpu_us),
            );
        }
    }
    out
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = |at: usize| values.get(at).copied().unwrap_or(f64::NAN);
    f64::midpoint(at(values.len() / 2), at(values.len().saturating_sub(1) / 2))
}
