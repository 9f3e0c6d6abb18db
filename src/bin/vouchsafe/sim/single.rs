//! One run: its table or its line of JSON, and its plots.

use std::io::{self, Write as _};
use std::path::Path;

use vouchsafe::sim::Experiment;

use super::bar::Bar;
use super::cost::Meter;
use super::{figures, plots};
use crate::exit::Failure;

pub(super) fn run(experiment: Experiment, json: bool, out: Option<&Path>) -> Result<(), Failure> {
    let (scenario, size, rate) = (experiment.scenario.clone(), experiment.size, experiment.rate);
    let meter = Meter::start();
    let bar = Bar::new(1, !json);
    bar.begin(format!("{} nodes", scenario.nodes));
    let report = experiment.run(&mut |progress| bar.show(progress));
    bar.end();
    let cost = meter.words(Some(scenario.nodes), Some(report.deliveries().0));

    let network = figures::network(&scenario, &report);
    let mut written = Vec::new();
    if let Some(out) = out {
        let pictures = [
            ("latency.svg", plots::latency(&report, &network)),
            ("coverage.svg", plots::over_time(&report, &network)),
        ];
        for (name, picture) in pictures {
            let path = out.join(name);
            std::fs::write(&path, picture).map_err(|error| Failure::file(&path, &error))?;
            written.push(path.display().to_string());
        }
    }
    let mut stdout = io::stdout().lock();
    if json {
        writeln!(stdout, "{}", figures::json(&report))?;
    } else {
        write!(stdout, "network       {network}\n{}", figures::table(&report, size, rate))?;
        writeln!(stdout, "cost          {cost}")?;
        writeln!(stdout, "plots         {}", written.join(", "))?;
    }
    stdout.flush()?;
    figures::faults(&report).map_or(Ok(()), |faults| Err(Failure::Failed(faults)))
}
