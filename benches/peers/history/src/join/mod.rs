//! A late joiner takes over a log from one peer over loopback. Each of the two is a process of its own, on a processor of its own; the
//! parent counts what the loopback carries.

mod iroh;
mod ours;

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;

use crate::process::{cpu, loopback};

/// What is compared.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum System {
    /// `settled`: the server has run for a while, and had a peer before.
    Ours {
        settled: bool,
    },
    IrohDocs,
}

impl System {
    pub(crate) const ALL: [(&'static str, Self); 3] = [
        ("vouchsafe", Self::Ours { settled: false }),
        ("vouchsafe-settled", Self::Ours { settled: true }),
        ("iroh-docs", Self::IrohDocs),
    ];

    async fn serve(self, count: usize) -> anyhow::Result<()> {
        match self {
            Self::Ours { settled } => ours::serve(count, settled).await,
            Self::IrohDocs => iroh::serve(count).await,
        }
    }

    async fn take(self, count: usize, addr: &str) -> anyhow::Result<Taken> {
        match self {
            Self::Ours { .. } => ours::take(count, addr).await,
            Self::IrohDocs => iroh::take(count, addr).await,
        }
    }
}

/// How long a joiner took, from when it was started.
struct Taken {
    /// Until it has all entries, and their contents.
    all: Duration,
    /// Until it knows the last entry, where that comes before its contents; or until it knows that there is no more.
    beside: Duration,
    /// Of its process until it has all.
    cpu: Duration,
}

/// What a run came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Joined {
    pub(crate) all: Duration,
    pub(crate) beside: Duration,
    /// CPU time of the server, and of the joiner.
    pub(crate) server: Duration,
    pub(crate) joiner: Duration,
    /// Bytes and packets of the loopback.
    pub(crate) bytes: u64,
    pub(crate) packets: u64,
}

/// Tells the parent where to join, and then how much CPU time it has spent as often as it is asked.
fn tell(addr: &str) -> anyhow::Result<()> {
    println!("{addr}");
    for line in std::io::stdin().lock().lines() {
        line?;
        println!("{}", cpu().as_nanos());
    }
    Ok(())
}

/// A few threads, although there is one processor: what waits in one of them holds up no other.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build()
}

/// A server, in its own process.
pub(crate) fn serve(system: System, count: usize) -> anyhow::Result<()> {
    runtime()?.block_on(system.serve(count))
}

/// A joiner, in its own process.
pub(crate) fn take(system: System, count: usize, addr: &str) -> anyhow::Result<()> {
    let taken = runtime()?.block_on(system.take(count, addr))?;
    println!("{} {} {}", taken.all.as_nanos(), taken.beside.as_nanos(), taken.cpu.as_nanos());
    Ok(())
}

struct Server {
    child: Child,
    words: Option<ChildStdin>,
    lines: BufReader<ChildStdout>,
}

impl Server {
    fn start(name: &str, count: usize) -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["serve", name, &count.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let lines = BufReader::new(child.stdout.take().context("a pipe from the server")?);
        let words = child.stdin.take();
        Ok(Self { child, words, lines })
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        self.lines.read_line(&mut line)?;
        anyhow::ensure!(!line.is_empty(), "the server has ended");
        Ok(line.trim().to_owned())
    }

    fn cpu(&mut self) -> anyhow::Result<Duration> {
        let words = self.words.as_mut().context("a pipe to the server")?;
        words.write_all(b"\n")?;
        words.flush()?;
        Ok(Duration::from_nanos(self.line()?.parse()?))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.words = None;
        // It is this program's own.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One server and one joiner.
pub(crate) fn run(name: &str, count: usize) -> anyhow::Result<Joined> {
    let mut server = Server::start(name, count)?;
    let addr = server.line()?;
    let (cpu, before) = (server.cpu()?, loopback());
    let joiner = Command::new(std::env::current_exe()?)
        .args(["take", name, &count.to_string(), &addr])
        .stderr(Stdio::inherit())
        .output()?;
    let after = loopback();
    let server = server.cpu()? - cpu;
    anyhow::ensure!(joiner.status.success(), "the joiner ended with {}", joiner.status);
    let text = String::from_utf8(joiner.stdout)?;
    let times: Vec<_> =
        text.split_whitespace().filter_map(|word| word.parse().ok()).map(Duration::from_nanos).collect();
    let [all, beside, joiner] = times[..] else { anyhow::bail!("the joiner said {text:?}") };
    Ok(Joined { all, beside, server, joiner, bytes: after.0 - before.0, packets: after.1 - before.1 })
}
