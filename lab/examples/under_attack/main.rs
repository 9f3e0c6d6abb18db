//! What an attack costs the honest: a closed loop among eight nodes on loopback, quiet and with one hostile link at line rate.
//!
//! ```text
//! cargo run --release -p vouchsafe-lab --example under_attack -- [--rounds 3] [--seconds 5] [--nodes 8] [--window 64]
//!         [--links 1] [--only duplicates,forged,...] [--limit-local] [--link-cpu MS] [--json]
//! ```
//! The attacker is another process, so that its processor time is not counted with the nodes'. But it competes with them for
//! the same processors, which would slow them down if they ignored it, too. So each attack has two runs beside it, all in
//! turn, each with a network of its own:
//!
//! * **quiet**: nobody else;
//! * **burner**: a process that burns as much processor time as the attacker did and sends nothing.
//!
//! `--links N` attacks N of the nodes at once. `--limit-local` limits handshakes from loopback as a stranger's are.
//! `--link-cpu` is the processor time a second that one link may cost a node (`Config::budget.cpu_per_s`).

mod attacker;
mod network;
mod table;

use std::error::Error;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use attacker::Attack;
use network::Network;
use table::Line;
use vouchsafe_lab::load::{self, Child, cpu_of, machine_cpu, own_cpu};

/// From the start of an attack to the first delivery that counts: budgets have lost their burst by then, and queues filled.
const WARM_UP: Duration = Duration::from_secs(1);

/// What to measure, from the command line.
struct Plan {
    rounds: usize,
    time: Duration,
    nodes: usize,
    window: usize,
    links: usize,
    only: Vec<Attack>,
    limit_local: bool,
    link_cpu: Option<Duration>,
    json: bool,
}

impl Plan {
    fn from_arguments(mut arguments: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let mut plan = Self {
            rounds: 3,
            time: Duration::from_secs(5),
            nodes: 8,
            window: 64,
            links: 1,
            only: Attack::ALL.to_vec(),
            limit_local: false,
            link_cpu: None,
            json: false,
        };
        while let Some(name) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{name} needs a value"));
            match name.as_str() {
                "--rounds" => plan.rounds = value()?.parse()?,
                "--seconds" => plan.time = Duration::from_secs(value()?.parse()?),
                "--nodes" => plan.nodes = value()?.parse()?,
                "--window" => plan.window = value()?.parse()?,
                "--links" => plan.links = value()?.parse()?,
                "--only" => plan.only = value()?.split(',').map(str::parse).collect::<Result<_, _>>()?,
                "--limit-local" => plan.limit_local = true,
                "--link-cpu" => plan.link_cpu = Some(Duration::from_millis(value()?.parse()?)),
                "--json" => plan.json = true,
                _ => {
                    return Err(
                        format!("no option is called {name}: the head of the example lists them").into()
                    );
                }
            }
        }
        Ok(plan)
    }
}

/// What runs beside the network.
#[derive(Clone, Copy)]
enum Beside {
    Nobody,
    Attacker(Attack),
    /// So many processors.
    Burner(f64),
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1).peekable();
    // What this process starts itself as; nobody else says these words.
    match arguments.peek().map(String::as_str) {
        Some("be-the-attacker") => return attacker::run(arguments.skip(1)),
        Some("burn") => load::burn(arguments.nth(1).unwrap_or_default().parse()?),
        _ => {}
    }
    let plan = Plan::from_arguments(arguments)?;
    tokio::runtime::Runtime::new()?.block_on(all(&plan))
}

async fn all(plan: &Plan) -> Result<(), Box<dyn Error>> {
    let mut lines = Vec::new();
    let total = plan.rounds * plan.only.len() * 3;
    let started = Instant::now();
    for round in 0..plan.rounds {
        for attack in &plan.only {
            let quiet = measure(plan, Beside::Nobody).await?;
            let attacked = measure(plan, Beside::Attacker(*attack)).await?;
            let burner = measure(plan, Beside::Burner(attacked.beside)).await?;
            for (kind, mut line) in [("quiet", quiet), ("attacked", attacked), ("burner", burner)] {
                (line.attack, line.kind, line.round) = (attack.name(), kind, round);
                if plan.json {
                    println!("{}", line.json());
                }
                lines.push(line);
            }
            let (done, spent) = (lines.len(), started.elapsed());
            let left = spent.mul_f64((total - done) as f64 / done as f64);
            eprintln!(
                "{done} of {total} runs, about {:.0} s left: {}",
                left.as_secs_f64(),
                table::brief(&lines)
            );
        }
    }
    println!("{}", table::report(&lines));
    Ok(())
}

/// One network from its start to its end.
async fn measure(plan: &Plan, beside: Beside) -> Result<Line, Box<dyn Error>> {
    let network = Network::start(plan).await?;
    let mut load = network.load();
    sleep(WARM_UP / 2).await;
    let child = match beside {
        Beside::Nobody => None,
        Beside::Attacker(attack) => {
            let victims = network.addrs().into_iter().take(plan.links).map(|addr| addr.to_string());
            Some(Child::start(["be-the-attacker".into(), attack.name().into()].into_iter().chain(victims))?)
        }
        Beside::Burner(processors) => Some(Child::start(["burn".into(), processors.to_string()])?),
    };
    sleep(WARM_UP).await;
    let before = network.counters().await?;
    let child_cpu = || child.as_ref().map_or(0.0, |child| cpu_of(child.id()));
    let (own, others, machine, started) = (own_cpu(), child_cpu(), machine_cpu(), Instant::now());
    network.measure(true);
    sleep(plan.time).await;
    network.measure(false);
    let (own, others, machine) = (own_cpu() - own, child_cpu() - others, machine_cpu() - machine);
    let took = started.elapsed().as_secs_f64();
    let after = network.counters().await?;
    if let Beside::Attacker(attack) = beside
        && after.get(attack.counter()) == before.get(attack.counter())
    {
        return Err(format!("{}: the attacker reached nobody", attack.name()).into());
    }
    drop(child);
    load.abort_all();
    let mut latencies = network.latencies();
    latencies.sort_unstable();
    let quantile =
        |q: f64| latencies.get((latencies.len() as f64 * q) as usize).map_or(0.0, |us| f64::from(*us) / 1e3);
    let line = Line {
        attack: "",
        kind: "",
        round: 0,
        links: plan.links,
        deliveries: latencies.len() as f64 / took,
        p50: quantile(0.5),
        p99: quantile(0.99),
        cpu_us: own * 1e6 / latencies.len().max(1) as f64,
        cpu: own / took,
        beside: others / took,
        strangers: (machine - own - others).max(0.0) / took,
        given_up: network.given_up(),
        counted: after
            .iter()
            .map(|(name, value)| (*name, (value - before.get(name).copied().unwrap_or(0)) as f64 / took))
            .filter(|(_, rate)| *rate > 0.0)
            .collect(),
    };
    network.end().await;
    Ok(line)
}
