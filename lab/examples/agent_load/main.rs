//! What the interface of an agent costs the gossip beside it.
//!
//! `cargo run --release -p vouchsafe-lab --example agent_load -- [SECONDS] [nice] [BEFORE]` (60)
//!
//! An agent in a process of its own stands between two nodes that have no other link: each rumor goes through it. In turns of up to ten
//! seconds it is left alone, and asked a thousand times a second by another process, beside a thousand subscribers, clients that read
//! nothing, halves of requests, bytes that are no request, and more connections than it takes. In a third kind of turn the same clients
//! ask a server of a few lines, in a process of its own, that has no node: what the gossip loses then, it loses to the machine and not to
//! the agent. SECONDS is how long each kind lasts, in all. `nice`: the clients let everybody else go first, as clients on other machines
//! would. BEFORE is another build of this program, whose agent is measured in the same turns.
//!
//! Prints p50 and p99 of the gossip in all kinds of turns, and the p99 as ratios; processor time; what became of the requests; rumors that
//! subscribers did not hear; and the memory of the agent. Exit code: 0 measured, and nothing was lost or left without an answer; 1 if not.
//!
//! `agent_load idle [SECONDS] [PROGRAM]` (60): nobody says anything. Prints what part of a core an agent among twenty members takes, alone and with its page
//! open, and its memory.

mod drive;
mod dummy;
mod idle;
mod turns;

use std::error::Error;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use mimalloc::MiMalloc;
use vouchsafe::{Node, PeerAddr, SecretKey, Topic, TopicHandle};

/// As the command has it.
#[global_allocator]
static HEAP: MiMalloc = MiMalloc;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Between two rumors.
const PACE: Duration = Duration::from_millis(25);
/// Kernel ticks a second, as `/proc` counts processor time on Linux.
const TICKS: f64 = 100.0;
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
        ["dummy", socket] => block_on(dummy::serve(Path::new(socket))).map(|()| true),
        ["idle", ref words @ ..] => block_on(idle::measure(words)).map(|()| true),
        _ => block_on(turns::measure(&words)),
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
    fn start(program: &Path) -> Outcome<Self> {
        let folder = tempfile::tempdir()?;
        let state = folder.path().join("state");
        let config = folder.path().join("agent.toml");
        let text = format!(
            "network = \"{NETWORK}\"\nlisten = \"127.0.0.1:0\"\nprofile = \"local\"\nstate = \"state\"\n[[topic]]\nname = \"{TOPIC}\"\n[api]\ntcp = \"127.0.0.1:0\"\n"
        );
        std::fs::write(&config, text)?;
        let mut child =
            Command::new(program).arg("agent").arg("--config").arg(config).stderr(Stdio::piped()).spawn()?;
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

    /// Processor time so far, seconds.
    fn cpu(&self) -> Outcome<f64> {
        cpu(self.child.id())
    }

    /// MiB that are resident.
    fn resident(&self, which: &str) -> Outcome<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|line| line.starts_with(which)).ok_or("no such line")?;
        let kib: u64 = line.split_whitespace().nth(1).ok_or("no figure")?.parse()?;
        Ok(kib / 1024)
    }
}

/// Processor time of a process so far, user and system, seconds.
fn cpu(pid: u32) -> Outcome<f64> {
    let line = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name of the program, in brackets, may have blanks.
    let (_, fields) = line.rsplit_once(')').ok_or("no such process")?;
    let fields: Vec<_> = fields.split_whitespace().collect();
    let field = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok()).ok_or("no figure");
    Ok((field(11)? + field(12)?) / TICKS)
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
