//! Draws the scaling curves of docs/performance.md from what criterion has measured.
//!
//! ```text
//! cargo bench --bench scaling_verify --bench scaling_engine
//! cargo run -p vouchsafe-lab --example scaling_plots [-- RESULTS [PICTURES]]
//! ```
//! Reads the quickest samples below RESULTS (default `target/criterion`), writes SVG files to PICTURES (default `docs/scaling`), and prints
//! the same numbers as a table.

use std::error::Error;
use std::path::{Path, PathBuf};

use serde_json::Value;
// The command's own charts, so that all of the project look alike.
use vouchsafe_cli::chart::{Axis, Drawn, Lines, Series, number};

/// One picture: a group of benches whose names are `group/series/value`.
struct Curve {
    group: &'static str,
    title: &'static str,
    x: &'static str,
    what: &'static str,
    /// Name of the series in the bench, and in words.
    series: &'static [(&'static str, &'static str)],
    /// The rates differ so much that only a logarithmic axis shows all of them.
    wide: bool,
}

const CURVES: [Curve; 6] = [
    Curve {
        group: "scaling_threads",
        title: "More threads help while processors are free",
        x: "verifier threads",
        what: "rumors",
        series: &[("batches_of_64", "batches of 64")],
        wide: false,
    },
    Curve {
        group: "scaling_batch",
        title: "Most of what batches save is saved at 64",
        x: "signatures in a batch",
        what: "rumors",
        series: &[("distinct", "an author each"), ("16_authors", "16 authors")],
        wide: false,
    },
    Curve {
        group: "scaling_authors",
        title: "Each author in a batch costs a point",
        x: "authors in a batch of 256",
        what: "rumors",
        series: &[("batch_of_256", "batches of 256")],
        wide: false,
    },
    Curve {
        group: "scaling_bad",
        title: "One bad signature undoes its batch",
        x: "percent of bad signatures, evenly spread",
        what: "rumors",
        series: &[("batches_of_64", "batches of 64"), ("batches_of_1", "each alone")],
        wide: false,
    },
    Curve {
        group: "scaling_links",
        title: "Only what must be told to all links costs by link",
        x: "links",
        what: "events",
        series: ENGINE,
        wide: true,
    },
    Curve {
        group: "scaling_topics",
        title: "The number of topics costs the engine nothing",
        x: "topics, in turn, over 8 links",
        what: "events",
        series: ENGINE,
        wide: true,
    },
];

const ENGINE: &[(&str, &str)] = &[
    ("announcement", "announcement of the known"),
    ("duplicate", "duplicate"),
    ("together", "new, of all links at once"),
    ("new", "new"),
];

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let results = PathBuf::from(arguments.next().unwrap_or("target/criterion".into()));
    let pictures = PathBuf::from(arguments.next().unwrap_or("docs/scaling".into()));
    std::fs::create_dir_all(&pictures)?;
    for curve in &CURVES {
        let mut series = Vec::new();
        for (name, words) in curve.series {
            let points = points(&results.join(curve.group).join(name))?;
            let row = points.iter().map(|(x, rate)| format!("{x}: {}", number(*rate / 1e3)));
            println!("{} {name}, 1000/s: {}", curve.group, row.collect::<Vec<_>>().join("; "));
            series.push(Series { name: (*words).into(), points, kind: Drawn::Dots });
        }
        let file = pictures.join(format!("{}.svg", curve.group.trim_start_matches("scaling_")));
        std::fs::write(&file, curve.draw(series))?;
    }
    println!("drawn in {}", pictures.display());
    Ok(())
}

impl Curve {
    fn draw(&self, mut series: Vec<Series>) -> String {
        let points = || series.iter().flat_map(|one| &one.points);
        let mut xs: Vec<_> = points().map(|(x, _)| *x).collect();
        xs.sort_by(f64::total_cmp);
        xs.dedup();
        // A rate of nothing bad has no place on a logarithmic axis.
        let x = if xs.contains(&0.0) {
            Axis::up_to(self.x, xs.last().copied().unwrap_or(1.0))
        } else {
            Axis::log(self.x, xs)
        };
        for (_, rate) in series.iter_mut().flat_map(|one| &mut one.points) {
            *rate /= 1e3;
        }
        let label = format!("thousand {} a second", self.what);
        let y = if self.wide {
            Axis::log(&label, vec![10.0, 100.0, 1_000.0, 10_000.0])
        } else {
            let most = series.iter().flat_map(|one| &one.points).map(|(_, rate)| *rate).fold(0.0, f64::max);
            Axis::up_to(&label, most)
        };
        let note = "one thread unless it says otherwise; the quickest of 15 samples".to_owned();
        Lines { title: self.title.into(), note, x, y, series, marks: Vec::new(), bands: Vec::new() }.draw()
    }
}

/// Nanoseconds of one iteration in the quickest sample. On a machine that others share, what disturbs can only slow down, so
/// this says more of the code than a median does.
fn quickest(times: &Value, iterations: &Value) -> Option<f64> {
    let numbers = |value: &Value| value.as_array()?.iter().map(Value::as_f64).collect::<Option<Vec<_>>>();
    let each = numbers(times)?.into_iter().zip(numbers(iterations)?).map(|(time, count)| time / count);
    each.min_by(f64::total_cmp)
}

/// Value and elements a second of each bench in a folder, by value.
fn points(series: &Path) -> Result<Vec<(f64, f64)>, Box<dyn Error>> {
    let missing = |error| format!("{}: {error}; run the benches first", series.display());
    let mut points = Vec::new();
    for entry in std::fs::read_dir(series).map_err(missing)? {
        let latest = entry?.path().join("new");
        // A summary of the whole series has no benchmark of its own.
        let Ok(benchmark) = std::fs::read_to_string(latest.join("benchmark.json")) else { continue };
        let benchmark: Value = serde_json::from_str(&benchmark)?;
        let samples: Value = serde_json::from_str(&std::fs::read_to_string(latest.join("sample.json"))?)?;
        let value = benchmark["value_str"].as_str().and_then(|text| text.parse::<f64>().ok());
        let elements = benchmark["throughput"]["Elements"].as_f64();
        let nanos = quickest(&samples["times"], &samples["iters"]);
        let (Some(value), Some(elements), Some(nanos)) = (value, elements, nanos) else {
            return Err(format!("{} is not as criterion writes it", latest.display()).into());
        };
        points.push((value, elements * 1e9 / nanos));
    }
    points.sort_by(|one, other| one.0.total_cmp(&other.0));
    Ok(points)
}
