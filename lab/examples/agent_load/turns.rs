//! Turns of all kinds, one after the other, and what the gossip took in each.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use vouchsafe::{Node, TopicHandle};

use super::drive::Figures;
use super::{Agent, Outcome, beside, cpu, latencies};

/// A turn, at most.
const TURN: u64 = 10;

/// What the clients of a turn ask.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// There are none.
    Alone,
    /// A server that has no node.
    Elsewhere,
    /// The agent.
    Beside,
}

/// All kinds, in turn.
const KINDS: [(Kind, &str); 3] = [
    (Kind::Alone, "alone"),
    (Kind::Elsewhere, "clients of another server"),
    (Kind::Beside, "clients of the agent"),
];

/// An agent, and what was measured of it.
struct Subject {
    name: &'static str,
    agent: Agent,
    nodes: [(Node, TopicHandle); 2],
    next: u64,
    /// Milliseconds, for each kind.
    took: [Vec<f64>; 3],
    /// Parts of a core that the agent took, for each kind, and what the clients took beside it: seconds, and of how many.
    cpu: [[f64; 3]; 3],
    figures: Figures,
    before: u64,
}

/// Measures what the words of the command line say.
pub(super) async fn measure(words: &[&str]) -> Outcome<bool> {
    let mut words = words.to_vec();
    let seconds = match words.first().and_then(|word| word.parse::<u64>().ok()) {
        Some(seconds) => {
            words.remove(0);
            seconds.max(1)
        }
        None => 60,
    };
    let is_nice = words.first() == Some(&"nice");
    let own = std::env::current_exe()?;
    let mut subjects = Vec::new();
    match words[usize::from(is_nice)..] {
        [] => {}
        [before] => subjects.push(Subject::start("before: ", Path::new(before)).await?),
        _ => return Err("give the seconds, then nice, then another build: each may be left out".into()),
    }
    let name = if subjects.is_empty() { "" } else { "after:  " };
    subjects.push(Subject::start(name, &own).await?);
    let dummy = Dummy::start(&own)?;
    let mut left = seconds;
    while left > 0 {
        let turn = left.min(TURN);
        left -= turn;
        for subject in &mut subjects {
            for (kind, _) in KINDS {
                subject.turn(kind, turn, &dummy, is_nice).await?;
            }
        }
    }
    for subject in &mut subjects {
        subject.print()?;
    }
    Ok(subjects.last().is_some_and(|subject| subject.figures.is_good()))
}

impl Subject {
    async fn start(name: &'static str, program: &Path) -> Outcome<Self> {
        let agent = Agent::start(program)?;
        let nodes = [beside(&agent).await?, beside(&agent).await?];
        let before = agent.resident("VmRSS")?;
        let (took, cpu) = (Default::default(), Default::default());
        Ok(Self { name, agent, nodes, next: 0, took, cpu, figures: Figures::default(), before })
    }

    async fn turn(&mut self, kind: Kind, seconds: u64, dummy: &Dummy, is_nice: bool) -> Outcome<()> {
        let [(_, from), (_, to)] = &self.nodes;
        let at = kind as usize;
        let (begun, spent) = (Instant::now(), self.agent.cpu()?);
        let mut of_clients = 0.0;
        if kind == Kind::Alone {
            let end = Instant::now() + Duration::from_secs(seconds);
            let took = latencies(from, to, &mut self.next, async || Instant::now() >= end).await?;
            self.took[at].extend(took);
        } else {
            let (socket, addr) = match kind {
                Kind::Elsewhere => (&dummy.socket, &dummy.addr),
                _ => (&self.agent.socket, &self.agent.addr),
            };
            let mut driver = drive(socket, addr, seconds, is_nice)?;
            let (lines_in, mut lines) = tokio::sync::mpsc::channel(1);
            let said = driver.stdout.take().ok_or("no output")?;
            let reads = std::thread::spawn(move || {
                for line in BufReader::new(said).lines().map_while(Result::ok) {
                    if lines_in.blocking_send(line).is_err() {
                        return;
                    }
                }
            });
            // All its clients are there.
            lines.recv().await.ok_or("the process that asks did not begin")?;
            let is_over = async || !lines.is_empty() || lines.is_closed();
            self.took[at].extend(latencies(from, to, &mut self.next, is_over).await?);
            let line = lines.recv().await.ok_or("the process that asks did not end well")?;
            if kind == Kind::Beside {
                self.figures.add(&serde_json::from_str(&line)?);
            }
            reads.join().map_err(|_| "the reader has failed")?;
            // It has ended, and nobody has asked for its exit code yet.
            of_clients = cpu(driver.id())?;
            driver.wait()?;
        }
        let took = [self.agent.cpu()? - spent, of_clients, begun.elapsed().as_secs_f64()];
        self.cpu[at].iter_mut().zip(took).for_each(|(all, took)| *all += took);
        Ok(())
    }

    fn print(&mut self) -> Outcome<()> {
        let name = self.name;
        let p99 = self.took.each_mut().map(|took| quantile(took, 0.99));
        for ((kind, words), cpu) in KINDS.into_iter().zip(self.cpu) {
            let took = &mut self.took[kind as usize];
            let (p50, count) = (quantile(took, 0.5), took.len());
            let [agent, clients] = [cpu[0], cpu[1]].map(|spent| spent / cpu[2] * 100.0);
            println!(
                "{name}{words:<26} p50 {p50:>5.2} ms, p99 {:>6.2} ms, {:.2} times alone, {count} rumors; of a core: agent {agent:.0} %, clients {clients:.0} %",
                p99[kind as usize],
                p99[kind as usize] / p99[0],
            );
        }
        println!(
            "{name}p99 beside clients of the agent, by that beside clients of another server: {:.2}",
            p99[2] / p99[1]
        );
        println!("{name}{}", self.figures);
        println!(
            "{name}memory         {} MiB before, {} MiB after, {} MiB at most",
            self.before,
            self.agent.resident("VmRSS")?,
            self.agent.resident("VmHWM")?
        );
        Ok(())
    }
}

/// The process that asks.
fn drive(socket: &Path, addr: &str, seconds: u64, is_nice: bool) -> Outcome<Child> {
    let own = std::env::current_exe()?;
    let mut command = match is_nice {
        true => {
            let mut command = Command::new("nice");
            command.args(["-n", "19"]).arg(own);
            command
        }
        false => Command::new(own),
    };
    command.args(["drive", socket.to_str().ok_or("no text")?, addr, &seconds.to_string()]);
    Ok(command.stdout(Stdio::piped()).spawn()?)
}

/// The server without a node, killed at the end.
struct Dummy {
    child: Child,
    socket: PathBuf,
    addr: String,
    _folder: tempfile::TempDir,
}

impl Dummy {
    fn start(own: &Path) -> Outcome<Self> {
        let folder = tempfile::tempdir()?;
        let socket = folder.path().join("socket");
        let mut child = Command::new(own).arg("dummy").arg(&socket).stdout(Stdio::piped()).spawn()?;
        let mut addr = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut addr)?;
        Ok(Self { child, socket, addr: addr.trim().to_owned(), _folder: folder })
    }
}

impl Drop for Dummy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The value below which a part of all lies.
fn quantile(all: &mut [f64], part: f64) -> f64 {
    all.sort_by(f64::total_cmp);
    let at = ((all.len() as f64 * part).ceil() as usize).saturating_sub(1);
    all.get(at).copied().unwrap_or(f64::NAN)
}
