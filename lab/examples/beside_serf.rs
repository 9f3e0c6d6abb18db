//! Agents of Vouchsafe and of Serf, one after the other: what an operator does each day, and how long it takes.
//!
//! `cargo run --release -p vouchsafe-lab --example beside_serf -- [AGENTS] [ROUNDS]` (20, 5)
//!
//! Needs the command `serf` (Debian has it as a package); without it that half is left out, and is told so. All agents run on
//! loopback, as processes. Serf has its default profile (`lan`) and keeps snapshots, ours has the profile `local` (one data centre) and a
//! state folder. Each agent has a `monitor`, whose lines are what is waited for.
//!
//! * join: all but the first start at once with the address of the first, until each lists all as alive.
//! * list: the command that lists members, from start to end.
//! * event: from the start of the command to the line in each monitor.
//! * failure: an agent is killed (`kill -9`), until the line in the monitors of the others.
//! * idle: processor time and memory of an agent, over ten seconds, with its monitor.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Output, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use vouchsafe_lab::load::cpu_of;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// For how long something is waited for.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks at what gives no sign.
const LOOK: Duration = Duration::from_millis(20);
/// How long agents are left alone, to see what they take.
const IDLE: Duration = Duration::from_secs(10);
const LISTS: usize = 20;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args().skip(1).collect();
    // The command itself, in this program.
    if let Some("agent" | "info" | "members" | "monitor" | "event") = args.first().map(String::as_str) {
        return vouchsafe_cli::main();
    }
    let number = |at: usize, default: usize| {
        args.get(at).map_or(Some(default), |word| word.parse().ok()).filter(|number| *number > 1)
    };
    let (Some(agents), Some(rounds)) = (number(0, 20), number(1, 5)) else {
        eprintln!("beside_serf [AGENTS] [ROUNDS]: two numbers, 2 or more");
        return ExitCode::from(2);
    };
    println!("{agents} agents, {rounds} rounds; times in ms: median, slowest");
    println!("            join    list         event        failure known        idle: CPU, memory of one");
    for system in [System::Vouchsafe, System::Serf] {
        match measure(system, agents, rounds) {
            Ok(line) => println!("{:<10} {line}", system.name()),
            Err(error) => println!("{:<10} not measured: {error}", system.name()),
        }
    }
    ExitCode::SUCCESS
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum System {
    Vouchsafe,
    Serf,
}

impl System {
    const fn name(self) -> &'static str {
        match self {
            Self::Vouchsafe => "vouchsafe",
            Self::Serf => "serf",
        }
    }

    fn command(self, words: &[&str]) -> Outcome<Command> {
        let mut command = match self {
            Self::Vouchsafe => Command::new(std::env::current_exe()?),
            Self::Serf => Command::new("serf"),
        };
        command.args(words).stdin(Stdio::null()).stderr(Stdio::null()).stdout(Stdio::null());
        Ok(command)
    }
}

/// A process that ends with this.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // Errors mean that it has ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An agent and its monitor.
struct Agent {
    system: System,
    number: usize,
    process: Process,
    monitor: Option<Process>,
    /// A socket, or an address.
    api: String,
    /// What others join, and what members call it.
    address: String,
    name: String,
}

/// A line that a monitor printed, and when it came.
struct Line {
    agent: usize,
    at: Instant,
    text: String,
}

impl Agent {
    fn start(system: System, number: usize, folder: &Path, join: Option<&str>) -> Outcome<Self> {
        match system {
            System::Vouchsafe => Self::start_ours(number, folder, join),
            System::Serf => Self::start_serf(number, folder, join),
        }
    }

    fn start_ours(number: usize, folder: &Path, join: Option<&str>) -> Outcome<Self> {
        let home = folder.join(format!("n{number}"));
        std::fs::create_dir(&home)?;
        let file = home.join("agent.toml");
        let bootstrap = join.map(|join| format!("{join:?}")).unwrap_or_default();
        let text = format!(
            "network = \"beside\"\nlisten = \"127.0.0.1:0\"\nprofile = \"local\"\nstate = \"state\"\nbootstrap = [{bootstrap}]\n[events]\n"
        );
        std::fs::write(&file, text)?;
        let process = System::Vouchsafe.command(&["agent", "--config", path(&file)?])?.spawn()?;
        let api = path(&home.join("state").join("api.sock"))?.to_owned();
        let (name, address) = (String::new(), String::new());
        let process = Process(process);
        let mut agent =
            Self { system: System::Vouchsafe, number, process, monitor: None, api, address, name };
        let begun = Instant::now();
        let info = loop {
            let output = agent.run(&["info", "--json"])?;
            if output.status.success() {
                break serde_json::from_slice::<serde_json::Value>(&output.stdout)?;
            }
            patient(begun, "the agent answers")?;
        };
        agent.address = info["address"].as_str().ok_or("an address")?.to_owned();
        // As `monitor` names it.
        agent.name = info["node"].as_str().and_then(|key| key.get(..8)).ok_or("a key")?.to_owned();
        Ok(agent)
    }

    fn start_serf(number: usize, folder: &Path, join: Option<&str>) -> Outcome<Self> {
        let (name, address, api) = (format!("node{number:03}"), free_port()?, free_port()?);
        let snapshot = folder.join(format!("{name}.snapshot"));
        let mut words = vec![
            format!("-node={name}"),
            format!("-bind={address}"),
            format!("-rpc-addr={api}"),
            format!("-snapshot={}", path(&snapshot)?),
        ];
        words.extend(join.map(|join| format!("-join={join}")));
        let words: Vec<_> = ["agent"].into_iter().chain(words.iter().map(String::as_str)).collect();
        let process = Process(System::Serf.command(&words)?.spawn()?);
        let agent = Self { system: System::Serf, number, process, monitor: None, api, address, name };
        let begun = Instant::now();
        while !agent.run(&["info"])?.status.success() {
            patient(begun, "the agent answers")?;
        }
        Ok(agent)
    }

    /// A command that asks it.
    fn command(&self, words: &[&str]) -> Outcome<Command> {
        let mut command = self.system.command(words)?;
        match self.system {
            System::Vouchsafe => command.env("VOUCHSAFE_API", &self.api),
            // A flag goes before what is no flag.
            System::Serf => command.env("SERF_RPC_ADDR", &self.api),
        };
        Ok(command)
    }

    fn run(&self, words: &[&str]) -> Outcome<Output> {
        Ok(self.command(words)?.stdout(Stdio::piped()).spawn()?.wait_with_output()?)
    }

    /// Members that it takes for alive.
    fn alive(&self) -> Outcome<usize> {
        let format = match self.system {
            System::Vouchsafe => "--json",
            System::Serf => "-format=json",
        };
        let text = String::from_utf8(self.run(&["members", format])?.stdout)?;
        // Both print one line for the state of each.
        Ok(text.matches("\"state\":\"alive\"").count() + text.matches("\"status\": \"alive\"").count())
    }

    /// Prints what happens from now on.
    fn watch(&mut self, lines: &Sender<Line>) -> Outcome<()> {
        let mut child = self.command(&["monitor"])?.stdout(Stdio::piped()).spawn()?;
        let out = child.stdout.take().ok_or("its output")?;
        let (agent, lines) = (self.number, lines.clone());
        std::thread::spawn(move || {
            for text in BufReader::new(out).lines().map_while(Result::ok) {
                if lines.send(Line { agent, at: Instant::now(), text }).is_err() {
                    return;
                }
            }
        });
        self.monitor = Some(Process(child));
        Ok(())
    }
}

fn measure(system: System, count: usize, rounds: usize) -> Outcome<String> {
    let folder = tempfile::tempdir()?;
    let first = Agent::start(system, 0, folder.path(), None)?;
    let address = first.address.clone();
    let mut agents = vec![first];
    let begun = Instant::now();
    for number in 1..count {
        agents.push(Agent::start(system, number, folder.path(), Some(&address))?);
    }
    for agent in &agents {
        while agent.alive()? < count {
            patient(begun, "all list all")?;
            std::thread::sleep(LOOK);
        }
    }
    let join = begun.elapsed();
    let (sender, lines) = channel();
    for agent in &mut agents {
        agent.watch(&sender)?;
    }
    let list: Vec<_> = (0..LISTS).map(|_| timed(|| agents[0].alive())).collect::<Result<_, _>>()?;
    // Monitors have begun when an event comes through all of them.
    event(&agents, &lines, "warm-up")?;
    let cpu = agents.iter().map(|agent| cpu_of(agent.process.0.id())).sum::<f64>();
    std::thread::sleep(IDLE);
    let cpu = agents.iter().map(|agent| cpu_of(agent.process.0.id())).sum::<f64>() - cpu;
    let memory = agents.iter().map(|agent| resident(agent.process.0.id())).sum::<u64>() / count as u64;
    let mut events = Vec::new();
    for round in 0..rounds {
        events.extend(event(&agents, &lines, &format!("round-{round}"))?);
    }
    let mut failures = Vec::new();
    for _ in 0..rounds.min(count - 2) {
        let Some(victim) = agents.pop() else { break };
        let (name, begun) = (victim.name.clone(), Instant::now());
        drop(victim);
        failures.extend(wait(&agents, &lines, begun, |line| is_failure(line, &name))?);
    }
    Ok(format!(
        "{:>6}   {}   {}   {}   {:>6.2} %, {:>3} MiB",
        join.as_millis(),
        spread(list),
        spread(events),
        spread(failures),
        cpu / count as f64 / IDLE.as_secs_f64() * 100.0,
        memory / 1024
    ))
}

fn is_failure(line: &str, name: &str) -> bool {
    line.contains(&format!("member-failed {name}")) || line.contains(&format!("EventMemberFailed: {name}"))
}

/// Tells all agents something, and waits until each has printed it.
fn event(agents: &[Agent], lines: &Receiver<Line>, what: &str) -> Outcome<Vec<Duration>> {
    let begun = Instant::now();
    let words: &[&str] = match agents[0].system {
        System::Vouchsafe => &["event", what, "payload"],
        System::Serf => &["event", "-coalesce=false", what, "payload"],
    };
    if !agents[0].run(words)?.status.success() {
        return Err("the event was refused".into());
    }
    let line = [format!(" event {what} "), format!("Name: {what:?}")];
    wait(agents, lines, begun, |text| line.iter().any(|line| text.contains(line)))
}

/// How long it takes until each agent has printed such a line.
fn wait(
    agents: &[Agent],
    lines: &Receiver<Line>,
    begun: Instant,
    is_it: impl Fn(&str) -> bool,
) -> Outcome<Vec<Duration>> {
    let mut seen = BTreeMap::new();
    while seen.len() < agents.len() {
        let left = PATIENCE.saturating_sub(begun.elapsed());
        let line = lines.recv_timeout(left).map_err(|_| "not all have told it in two minutes")?;
        if agents.iter().any(|agent| agent.number == line.agent) && is_it(&line.text) {
            seen.entry(line.agent).or_insert_with(|| line.at.saturating_duration_since(begun));
        }
    }
    Ok(seen.into_values().collect())
}

fn timed<T>(what: impl FnOnce() -> Outcome<T>) -> Outcome<Duration> {
    let begun = Instant::now();
    what()?;
    Ok(begun.elapsed())
}

fn patient(begun: Instant, what: &str) -> Outcome<()> {
    if begun.elapsed() > PATIENCE {
        return Err(format!("waited two minutes until {what}").into());
    }
    Ok(())
}

/// Median and slowest, in milliseconds.
fn spread(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |at: usize| times.get(at).map_or(0.0, |time| time.as_secs_f64() * 1_000.0);
    format!("{:>7.1} {:>7.1}", at(times.len() / 2), at(times.len().saturating_sub(1)))
}

/// KiB of a process in memory.
fn resident(id: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

/// A port that is free for TCP and UDP.
fn free_port() -> Outcome<String> {
    for _ in 0..100 {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let addr = listener.local_addr()?;
        if UdpSocket::bind(addr).is_ok() {
            return Ok(addr.to_string());
        }
    }
    Err("no port is free".into())
}

fn path(path: &Path) -> Outcome<&str> {
    Ok(path.to_str().ok_or_else(|| format!("{} is no text", PathBuf::from(path).display()))?)
}
