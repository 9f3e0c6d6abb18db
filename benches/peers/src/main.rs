//! vouchsafe beside other gossip libraries: the same load, the same measurements, in turn in one run.

mod child;
mod load;
mod measure;
mod meter;
mod plan;
mod process;
mod systems;
mod table;

use std::time::{Duration, Instant};

use clap::{Parser, Subcommand};

use crate::plan::{One, Plan};
use crate::systems::Failure;

/// Gossip libraries side by side: N nodes in a process, one topic, QUIC on loopback.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(flatten)]
    plan: Plan,
    /// One line of JSON a run on standard output; the tables go to standard error
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    one: Option<Single>,
}

#[derive(Subcommand)]
enum Single {
    /// One measurement in this process, for the processes that this program starts
    #[command(name = child::ONE, hide = true)]
    One(One),
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let cli = Cli::parse();
    if let Some(Single::One(one)) = cli.one {
        let outcome = measure::measure(one).await?;
        println!("{}", serde_json::to_string(&outcome)?);
        // The network still runs, and not every system can be stopped in every state.
        std::process::exit(0);
    }
    let all = cli.plan.all();
    let mut left: Duration = all.iter().map(One::expected).sum();
    let started = Instant::now();
    let (mut outcomes, mut failures) = (Vec::new(), Vec::new());
    for (number, one) in all.iter().enumerate() {
        let what = format!("{}, {}, {} nodes, {} B", one.system.name(), one.load, one.nodes, one.size);
        eprintln!(
            "[{}/{}] {what} (load average {}, about {} min left)",
            number + 1,
            all.len(),
            process::load_average(),
            left.as_secs().div_ceil(60)
        );
        left -= one.expected();
        match child::measure(*one).await {
            Ok(outcome) => {
                let line = &outcome.line;
                eprintln!(
                    "\r  {:9.0} deliveries/s, {:5.0} MiB at most, p50 {:.2} ms, {:.3} % delivered",
                    line.deliveries_per_s,
                    line.rss_mb,
                    line.p50_ms.unwrap_or(f64::NAN),
                    line.coverage * 100.0
                );
                if cli.json {
                    println!("{}", serde_json::to_string(line)?);
                }
                outcomes.push(outcome);
            }
            Err(error) => {
                eprintln!("  failed: {error}");
                failures.push(format!("{what}: {error}"));
            }
        }
    }
    let report = table::report(&outcomes);
    if cli.json {
        eprintln!("\n{report}");
    } else {
        println!("\n{report}");
    }
    eprintln!("{} runs in {} s", all.len(), started.elapsed().as_secs());
    if failures.is_empty() { Ok(()) } else { Err(format!("not measured:\n{}", failures.join("\n")).into()) }
}
