//! What the interface of an agent costs the gossip beside it.
//!
//! `cargo run --release -p vouchsafe-lab --example agent_load -- [SECONDS]` (60)
//!
//! An agent in a process of its own stands between two nodes that have no other link: each rumor goes through it. In turns of up to ten
//! seconds it is left alone, and asked a thousand times a second by another process, beside a thousand subscribers, clients that read
//! nothing, halves of requests, bytes that are no request, and more connections than it takes. SECONDS is how long it is asked, in all.
//!
//! Prints p50 and p99 of the gossip in both kinds of turns, and the p99 as one ratio; what became of the requests; rumors that subscribers
//! did not hear; and the memory of the agent. Exit code: 0 measured, and nothing was lost or left without an answer; 1 if not.
//!
//! `agent_load idle [SECONDS]` (60): nobody says anything. Prints what part of a core an agent among twenty members takes, alone and with its page
//! open, and its memory.

mod drive;
mod idle;

use std::error::Error;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use drive::Figures;
use mimalloc::MiMalloc;
use vouchsafe::{Node, PeerAddr, SecretKey, Topic, TopicHandle};

/// As the command has it.
#[global_allocator]
static HEAP: MiMalloc = MiMalloc;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// A turn, at most.
const TURN: u64 = 10;
/// Between two rumors.
const PACE: Duration = Duration::from_millis(25);
const NETWORK: &str = "agent load";
const TOPIC: &str = "chat";

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let words: Vec<_> = args.iter().map(String::as_str).collect();
    let result = match words[..] {
        // The command itself, in this program.
        ["agent", ..] => return vouchsafe_cli::main(),
        ["drive", socket, addr, seconds] => {
            block_on(drive::run(Path::new(socket), addr, seconds)).map(|()| true)
        }
        ["idle"] => block_on(idle::measure(60)).map(|()| true),
        ["idle", seconds] => seconds
            .parse()
            .map_err(Into::into)
            .and_then(|seconds| block_on(idle::measure(seconds)))
            .map(|()| true),
        [] => block_on(measure(60)),
        [seconds] => seconds.parse().map_err(Into::into).and_then(|seconds| block_on(measure(seconds))),
        _ => Err("give the seconds for which the agent is asked".into()),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn block_on<T>(task: impl Future<Output = Outcome<T>>) -> Outcome<T> {
    tokio::runtime::Runtime::new()?.block_on(task)
}

/// The agent, killed at the end.
struct Agent {
    child: Child,
    socket: PathBuf,
    addr: String,
    peer: PeerAddr,
    _folder: tempfile::TempDir,
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Agent {
    fn start() -> Outcome<Self> {
        let folder = tempfile::tempdir()?;
        let state = folder.path().join("state");
        let config = folder.path().join("agent.toml");
        let text = format!(
            "network = \"{NETWORK}\"\nlisten = \"127.0.0.1:0\"\nprofile = \"local\"\nstate = \"state\"\n[[topic]]\nname = \"{TOPIC}\"\n[api]\ntcp = \"127.0.0.1:0\"\n"
        );
        std::fs::write(&config, text)?;
        let mut child = Command::new(std::env::current_exe()?)
            .arg("agent")
            .arg("--config")
            .arg(config)
            .stderr(Stdio::piped())
            .spawn()?;
        let mut lines = BufReader::new(child.stderr.take().ok_or("no log")?).lines();
        let mut agent = Self {
            child,
            socket: state.join("api.sock"),
            addr: String::new(),
            peer: format!("{}@127.0.0.1:1", SecretKey::generate().public()).parse()?,
            _folder: folder,
        };
        loop {
            let line = lines.next().ok_or("the agent has not started")??;
            if let Some((_, addr)) = line.rsplit_once("local=") {
                addr.trim().clone_into(&mut agent.addr);
            } else if line.contains("the agent runs") {
                break;
            }
        }
        // It must not wait for who reads its log.
        std::thread::spawn(move || lines.for_each(drop));
        let info = drive::get(&agent.socket, "/v1/info")?;
        let info: serde_json::Value = serde_json::from_str(&info)?;
        agent.peer = info["address"].as_str().ok_or("the agent has no address")?.parse()?;
        Ok(agent)
    }

    /// MiB that are resident.
    fn resident(&self, which: &str) -> Outcome<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|line| line.starts_with(which)).ok_or("no such line")?;
        let kib: u64 = line.split_whitespace().nth(1).ok_or("no figure")?.parse()?;
        Ok(kib / 1024)
    }
}

/// A node that links to the agent alone.
async fn beside(agent: &Agent) -> Outcome<(Node, TopicHandle)> {
    let node = Node::builder(SecretKey::generate())
        .network(NETWORK)
        .listen("127.0.0.1:0")
        .topic(Topic::named(TOPIC))
        .allow([agent.peer.key])
        .bootstrap([agent.peer.clone()])
        .spawn()
        .await?;
    let topic = node.join(Topic::named(TOPIC)).await?;
    topic.wait_for_links(1).within(Duration::from_secs(30)).await?;
    Ok((node, topic))
}

/// What rumors take from one node through the agent to the other, ms, until `is_over`. They are numbered on from `next`.
async fn latencies(
    from: &TopicHandle,
    to: &TopicHandle,
    next: &mut u64,
    is_over: impl AsyncFn() -> bool,
) -> Outcome<Vec<f64>> {
    let mut heard = to.subscribe();
    let mut all = Vec::new();
    let mut pace = tokio::time::interval(PACE);
    while !is_over().await {
        pace.tick().await;
        let begun = Instant::now();
        let said = from.publish(format!("{next}")).await?;
        *next += 1;
        while heard.next().await.ok_or("the node has stopped")??.id() != said.id() {}
        all.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    Ok(all)
}

/// The value below which a part of all lies.
fn quantile(all: &mut [f64], part: f64) -> f64 {
    all.sort_by(f64::total_cmp);
    let at = ((all.len() as f64 * part).ceil() as usize).saturating_sub(1);
    all.get(at).copied().unwrap_or(f64::NAN)
}

async fn measure(seconds: u64) -> Outcome<bool> {
    let agent = Agent::start()?;
    let (_first, from) = beside(&agent).await?;
    let (_second, to) = beside(&agent).await?;
    let (mut alone, mut asked, mut figures) = (Vec::new(), Vec::new(), Figures::default());
    let mut next = 0;
    let before = agent.resident("VmRSS")?;
    let mut left = seconds.max(1);
    while left > 0 {
        let turn = left.min(TURN);
        left -= turn;
        let end = Instant::now() + Duration::from_secs(turn);
        alone.extend(latencies(&from, &to, &mut next, async || Instant::now() >= end).await?);
        let mut driver = Command::new(std::env::current_exe()?)
            .args(["drive", agent.socket.to_str().ok_or("no text")?, &agent.addr, &turn.to_string()])
            .stdout(Stdio::piped())
            .spawn()?;
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
        asked
            .extend(latencies(&from, &to, &mut next, async || !lines.is_empty() || lines.is_closed()).await?);
        let line = lines.recv().await.ok_or("the process that asks did not end well")?;
        figures.add(&serde_json::from_str(&line)?);
        driver.wait()?;
        reads.join().map_err(|_| "the reader has failed")?;
    }
    let [of_alone, of_asked] =
        [&mut alone, &mut asked].map(|all| (quantile(all, 0.5), quantile(all, 0.99), all.len()));
    println!("gossip alone   p50 {:.2} ms, p99 {:.2} ms, {} rumors", of_alone.0, of_alone.1, of_alone.2);
    println!("gossip beside  p50 {:.2} ms, p99 {:.2} ms, {} rumors", of_asked.0, of_asked.1, of_asked.2);
    println!("ratio of p99   {:.3}", of_asked.1 / of_alone.1);
    println!("{figures}");
    println!(
        "memory         {before} MiB before, {} MiB after, {} MiB at most",
        agent.resident("VmRSS")?,
        agent.resident("VmHWM")?
    );
    Ok(figures.is_good())
}
