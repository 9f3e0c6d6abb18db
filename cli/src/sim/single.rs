//! One run: its table or its line of JSON, and its plots.

use std::path::Path;

use vouchsafe::sim::{Experiment, Report};

use super::bar::Bar;
use super::cost::Meter;
use super::{figures, plots};
use crate::exit::{self, Failure};

pub(super) fn run(experiment: Experiment, json: bool, out: Option<&Path>) -> Result<(), Failure> {
    let (scenario, size, rate) = (experiment.scenario.clone(), experiment.size, experiment.rate);
    let meter = Meter::start();
    let bar = Bar::new(1, !json);
    bar.begin(format!("{} nodes", scenario.nodes));
    let report = experiment.run(&mut |progress| bar.show(progress));
    bar.end();
    let cost = meter.words(Some(scenario.nodes), Some(report.deliveries().0));

    let network = figures::network(&scenario, &report);
    let drawn = out.map_or(Ok(Vec::new()), |out| draw(&report, &network, out));
    let mut shown = if json {
        format!("{}\n", figures::json(&report))
    } else {
        let table = figures::table(&report, size, rate);
        format!("network       {network}\n{table}cost          {cost}\n")
    };
    if let (false, Ok(plots)) = (json, &drawn) {
        shown += &format!("plots         {}\n", plots.join(", "));
    }
    let printed = exit::print(&shown);
    exit::verdict(figures::faults(&report).into_iter().collect(), drawn.map(drop).and(printed))
}

/// Writes the plots; gives their paths.
fn draw(report: &Report, network: &str, out: &Path) -> Result<Vec<String>, Failure> {
    let pictures = [
        ("latency.svg", plots::latency(report, network)),
        ("coverage.svg", plots::over_time(report, network)),
    ];
    let write = |(name, picture): (&str, String)| {
        let path = out.join(name);
        std::fs::write(&path, picture).map_err(|error| Failure::file(&path, &error))?;
        Ok(path.display().to_string())
    };
    pictures.into_iter().map(write).collect()
}
