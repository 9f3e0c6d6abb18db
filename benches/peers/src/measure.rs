//! One measurement: start a network, load it, wait for what is on its way, and say what was seen.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::load::{self, Source};
use crate::meter::{Meter, Totals};
use crate::plan::{One, System};
use crate::process;
use crate::systems::iroh::Iroh;
use crate::systems::libp2p::Libp2p;
use crate::systems::vouchsafe::Vouchsafe;
use crate::systems::{Failure, Mesh, Setup};

/// How often the network is looked at: often enough to see a peak of memory.
const LOOK: Duration = Duration::from_millis(50);

/// What a run is kept as: the line of `--json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Line {
    pub system: String,
    pub load: String,
    pub nodes: usize,
    pub size: usize,
    /// Over the time from the first publish call to the last delivery, or to the end of the load if that is later.
    pub deliveries_per_s: f64,
    /// CPU time of the whole process, load generator and readers included, up to the last delivery. `None` where nothing was
    /// delivered, as for the latencies.
    pub cpu_s_per_1000: Option<f64>,
    pub copies: Option<f64>,
    /// From the call of publish to the receive event.
    pub p50_ms: Option<f64>,
    pub p99_ms: Option<f64>,
    /// Delivered of accepted times (nodes - 1).
    pub coverage: f64,
    /// The peak, while the load ran and until the last delivery.
    pub rss_mb: f64,
}

/// What helps to judge a line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Aside {
    /// Accepted messages, and how many a paced load asked for.
    pub accepted: u64,
    pub asked: Option<u64>,
    /// Resident MiB before the load.
    pub rss_before_mb: f64,
    /// Processors that the rest of the machine kept busy meanwhile.
    pub others: f64,
    /// Refusals, deliveries of the same message twice, and the like.
    pub complaint: Option<String>,
}

/// A line and what belongs to it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    pub line: Line,
    pub aside: Aside,
}

/// Makes one measurement in this process. It leaves the network running: the process is to end.
pub async fn measure(one: One) -> Result<Outcome, Failure> {
    match one.system {
        System::Vouchsafe => run::<Vouchsafe>(one).await,
        System::Libp2pTuned | System::Libp2pStock => run::<Libp2p>(one).await,
        System::Iroh => run::<Iroh>(one).await,
    }
}

/// What is watched while a network works.
struct Watch {
    delivered: u64,
    /// When the last delivery was seen, and the CPU time by then: what an idle network spends later is not the load's.
    at: Instant,
    cpu: Duration,
    peak_mib: f64,
    last_line: Instant,
    delivered_at_last_line: u64,
}

impl Watch {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            delivered: 0,
            at: now,
            cpu: process::cpu(),
            peak_mib: process::resident_mib(),
            last_line: now,
            delivered_at_last_line: 0,
        }
    }

    fn look(&mut self, meter: &Meter) {
        let (now, delivered) = (Instant::now(), meter.delivered());
        if delivered > self.delivered {
            (self.delivered, self.at, self.cpu) = (delivered, now, process::cpu());
        }
        self.peak_mib = self.peak_mib.max(process::resident_mib());
        let since = now - self.last_line;
        if since >= Duration::from_secs(1) {
            let rate = (delivered - self.delivered_at_last_line) as f64 / since.as_secs_f64();
            // Rewritten in place: a log file would only fill with it.
            if std::io::stderr().is_terminal() {
                eprint!("\r  {rate:9.0} deliveries/s, {:5.0} MiB resident ", process::resident_mib());
            }
            (self.last_line, self.delivered_at_last_line) = (now, delivered);
        }
    }
}

async fn run<M: Mesh>(one: One) -> Result<Outcome, Failure> {
    let (nodes, size, times) = (one.nodes, one.size, one.times);
    let meter = Meter::new(nodes, load::slots(one.load));
    let mesh = M::start(Setup { system: one.system, nodes, size }, Arc::clone(&meter)).await?;
    sleep(Duration::from_secs(times.settle)).await;

    let source = Source::new(mesh, Arc::clone(&meter), nodes, size);
    let rss_before_mb = process::resident_mib();
    let (cpu_before, machine_before) = (process::cpu(), process::machine_cpu());
    let (epoch, start) = (meter.now(), Instant::now());
    let stop = start + Duration::from_secs(times.seconds);
    let mut watch = Watch::new();
    let mut complaints = Vec::new();
    let mut loaded = Duration::from_secs(times.seconds);
    let mut publishers = tokio::spawn(Arc::clone(&source).drive(one.load, stop));
    loop {
        tokio::select! {
            ended = &mut publishers => {
                ended??;
                break;
            }
            () = sleep(LOOK) => watch.look(&meter),
        }
        if watch.peak_mib > times.rss_limit as f64 {
            // What was accepted by now is still waited for.
            publishers.abort();
            loaded = start.elapsed();
            complaints.push(format!("publishing stopped at {:.0} MiB", watch.peak_mib));
            break;
        }
    }
    let expected = source.offered.accepted() * (nodes as u64 - 1);
    let drained_by = Instant::now() + Duration::from_secs(60 + times.patience);
    watch.look(&meter);
    while watch.delivered < expected
        && watch.at.max(stop).elapsed() < Duration::from_secs(times.patience)
        && Instant::now() < drained_by
    {
        sleep(LOOK).await;
        watch.look(&meter);
    }

    let cpu = watch.cpu.saturating_sub(cpu_before);
    let machine = process::machine_cpu().saturating_sub(machine_before);
    let own = process::cpu().saturating_sub(cpu_before);
    let others = machine.saturating_sub(own).as_secs_f64() / start.elapsed().as_secs_f64();
    let Totals { delivered, repeated, last, latency_us } = meter.totals();
    let took = last.saturating_sub(epoch).max(loaded);
    let quantile = |q| (delivered > 0).then(|| latency_us.value_at_quantile(q) as f64 / 1e3);
    if repeated > 0 {
        complaints.push(format!("{repeated} messages delivered again to the same reader"));
    }
    if delivered > expected {
        // Of calls that failed after some of their messages had left: what is lost of the others can't be told from these.
        complaints.push(format!("{} deliveries of what was not accepted", delivered - expected));
    }
    complaints.extend(source.offered.complaint());
    let line = Line {
        system: one.system.name().into(),
        load: one.load.to_string(),
        nodes,
        size,
        deliveries_per_s: delivered as f64 / took.as_secs_f64(),
        cpu_s_per_1000: (delivered > 0).then(|| cpu.as_secs_f64() * 1e3 / delivered as f64),
        copies: source.mesh.copies(delivered).await,
        p50_ms: quantile(0.5),
        p99_ms: quantile(0.99),
        coverage: if expected == 0 { 0.0 } else { delivered as f64 / expected as f64 },
        rss_mb: watch.peak_mib,
    };
    let aside = Aside {
        accepted: source.offered.accepted(),
        asked: load::asked(one.load, nodes, Duration::from_secs(times.seconds)),
        rss_before_mb,
        others,
        complaint: (!complaints.is_empty()).then(|| complaints.join("; ")),
    };
    Ok(Outcome { line, aside })
}
