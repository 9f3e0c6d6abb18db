//! What each attack costs a node, and what honest peers notice of it: the table in docs/security.md.
//!
//! `cargo run --release --features sim --example hostile_cost -- [SECONDS]` (default 10 for each attack; Linux)
//!
//! ```text
//! honest A ──> victim, alone in a process of its own ──> honest B        A and B hear each other through the victim only
//!                   ▲
//!                   └── attackers, in the process of A and B: their own cost is not the victim's
//! ```

// The attackers of `vouchsafe soak`.
#[path = "../src/bin/vouchsafe/soak/deeds.rs"]
mod deeds;

use std::io::{BufRead as _, BufReader, Write as _};
use std::pin::Pin;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::task::JoinSet;
use vouchsafe::rumor::{HEADER_LEN, Position, RuleSet, seal};
use vouchsafe::wire::Lane;
use vouchsafe::{Node, PeerAddr, SecretKey, Subscription, Topic, TopicHandle, VerifierPool};

type Failure = Box<dyn std::error::Error>;
type Deed = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Between two rumors of A.
const PACE: Duration = Duration::from_millis(20);
/// Attackers at once, each on a link of its own and under a new key whenever that link has ended.
const ATTACKERS: usize = 4;
/// For the last rumors to arrive, and for the attackers' links to end.
const PATIENCE: Duration = Duration::from_secs(45);

fn main() -> Result<(), Failure> {
    let runtime = tokio::runtime::Runtime::new()?;
    match std::env::args().nth(1).as_deref() {
        Some("victim") => runtime.block_on(victim()),
        seconds => {
            let seconds = seconds.map_or(Ok(10), str::parse)?;
            runtime.block_on(measure(Duration::from_secs(seconds)))
        }
    }
}

/// Says where it is, and after each line that it reads, how it is: links, offences, payload bytes received.
async fn victim() -> Result<(), Failure> {
    let node = Node::builder(SecretKey::generate()).listen("127.0.0.1:0").spawn().await?;
    let _topic = node.join(Topic::named("lobby")).await?;
    println!("{} {}", node.id(), node.local_addr());
    let mut line = String::new();
    loop {
        let (read, text) = tokio::task::spawn_blocking(move || {
            let read = std::io::stdin().read_line(&mut line);
            (read, line)
        })
        .await?;
        line = text;
        if read? == 0 {
            return Ok(());
        }
        let stats = node.stats().await?;
        println!("{} {} {}", stats.links.len(), stats.counters.offences, stats.counters.bytes_in);
    }
}

/// The victim's process, seen from outside.
struct Victim {
    child: Child,
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
    peer: PeerAddr,
}

impl Victim {
    fn start() -> Result<Self, Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("victim")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (asks, answers) =
            (child.stdin.take().ok_or("no stdin")?, child.stdout.take().ok_or("no stdout")?);
        let mut answers = BufReader::new(answers);
        let mut line = String::new();
        answers.read_line(&mut line)?;
        let (key, addr) = line.trim().split_once(' ').ok_or("no address")?;
        Ok(Self { peer: PeerAddr { key: key.parse()?, addr: addr.parse()? }, child, asks, answers })
    }

    /// Links, offences, bytes received.
    fn counts(&mut self) -> Result<[u64; 3], Failure> {
        writeln!(self.asks)?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        let numbers: Vec<u64> = line.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
        numbers.try_into().map_err(|_| "the victim has ended".into())
    }

    /// CPU time so far; Linux counts it in hundredths of a second.
    fn cpu(&self) -> Result<Duration, Failure> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks =
            |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok()).unwrap_or_default();
        Ok(Duration::from_millis(10 * (ticks(11) + ticks(12))))
    }

    fn resident_kib(&self) -> Result<u64, Failure> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).ok_or("no VmRSS")?;
        Ok(line.split_whitespace().nth(1).ok_or("no VmRSS")?.parse()?)
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A rumor under a signature that does not hold, and then until the link is closed.
async fn forges(peer: PeerAddr, rules: Arc<RuleSet>) {
    let key = SecretKey::generate();
    let Ok(mut link) = deeds::greet(&key, peer, &rules).await else { return };
    let position = Position { tick: rules.tick_len().tick_at(deeds::clock_ms()), slot: 0 };
    let Ok(bundle) = seal(&key, rules.id(), position, &[Bytes::from_static(b"forged")]) else { return };
    let mut frame = [&[2, 4][..], bundle.encoded()].concat();
    // In R of the signature, which follows the header.
    if let Some(byte) = frame.get_mut(2 + HEADER_LEN) {
        *byte ^= 1;
    }
    if link.send_frame(Lane::Rumors, &frame).await.is_ok() {
        link.closed().await;
    }
}

/// A frame of 4 GiB, as it says.
async fn malforms(peer: PeerAddr, rules: Arc<RuleSet>) {
    let Ok(mut link) = deeds::greet(&SecretKey::generate(), peer, &rules).await else { return };
    if link.send_raw(Lane::Rumors, &[0xff; 4]).await.is_ok() {
        link.closed().await;
    }
}

/// What an attacker does once; it begins again when it has ended.
type Attack = (&'static str, fn(PeerAddr, Arc<RuleSet>) -> Deed);

const ATTACKS: [Attack; 11] = [
    ("forged signatures", |peer, rules| Box::pin(forges(peer, rules))),
    ("malformed frames", |peer, rules| Box::pin(malforms(peer, rules))),
    ("acknowledges and never reads", |peer, rules| Box::pin(deeds::deaf(peer, rules))),
    ("announces what does not exist", |peer, rules| Box::pin(deeds::announces(peer, rules))),
    ("pulls the same without end", |peer, rules| Box::pin(deeds::pulls(peer, rules))),
    ("repeats all it hears", |peer, rules| Box::pin(deeds::repeats(peer, rules))),
    ("joins ever more topics", |peer, rules| Box::pin(deeds::topics(peer, rules))),
    ("resets streams at all points", |peer, rules| Box::pin(deeds::resets(peer, rules))),
    ("connects and leaves", |peer, _| Box::pin(deeds::knocks(peer))),
    ("half-open handshakes, 32 at once", |peer, _| {
        Box::pin(async move {
            let mut all = JoinSet::new();
            (0..8).for_each(|_| drop(all.spawn(deeds::half_open(peer))));
            all.join_all().await;
        })
    }),
    ("noise on the socket", |peer, _| Box::pin(deeds::noise(peer))),
];

async fn measure(time: Duration) -> Result<(), Failure> {
    println!(
        "| Attack | CPU, ms a second | memory | received, kB a second | offences | p99 | lost | over after |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    row("none", None, time).await?;
    for (name, deed) in ATTACKS {
        row(name, Some(Box::new(move |peer, rules| tokio::spawn(attackers(deed, peer, rules)))), time)
            .await?;
    }
    row(
        "10 000 connections from one address",
        Some(Box::new(|peer, _| tokio::spawn(ten_thousand(peer)))),
        time,
    )
    .await
}

async fn attackers(deed: fn(PeerAddr, Arc<RuleSet>) -> Deed, peer: PeerAddr, rules: Arc<RuleSet>) {
    let mut tasks = JoinSet::new();
    for _ in 0..ATTACKERS {
        let rules = Arc::clone(&rules);
        tasks.spawn(async move {
            loop {
                deed(peer, Arc::clone(&rules)).await;
                tokio::time::sleep(deeds::BREATH).await;
            }
        });
    }
    tasks.join_all().await;
}

async fn ten_thousand(peer: PeerAddr) {
    let mut tasks = JoinSet::new();
    for _ in 0..10_000 {
        tasks.spawn(deeds::knocks(peer));
        if tasks.len() >= 64 {
            tasks.join_next().await;
        }
    }
    tasks.join_all().await;
}

type Start = Box<dyn FnOnce(PeerAddr, Arc<RuleSet>) -> tokio::task::JoinHandle<()>>;

/// A victim of its own for each attack, so that nothing of the last one is left.
async fn row(name: &str, start: Option<Start>, time: Duration) -> Result<(), Failure> {
    let mut victim = Victim::start()?;
    let pool = VerifierPool::new(1);
    let mut topics: Vec<TopicHandle> = Vec::new();
    for _ in 0..2 {
        let node = Node::builder(SecretKey::generate()).listen("127.0.0.1:0").bootstrap([victim.peer]);
        let node = node.verifiers(pool.clone()).spawn().await?;
        let topic = node.join(Topic::named("lobby")).await?;
        topic.ready(1).await?;
        topics.push(topic);
    }
    let [speaker, listener] = &topics[..] else { return Err("two honest nodes".into()) };
    let mut heard = listener.subscribe();
    // Warm: what is allocated once is not the attack's.
    talk(speaker, &mut heard, Instant::now() + Duration::from_secs(2)).await?;
    let (cpu, resident, [_, _, received]) = (victim.cpu()?, victim.resident_kib()?, victim.counts()?);
    let began = Instant::now();
    let attack = start.map(|start| start(victim.peer, Arc::new(speaker.rules().clone())));
    let mut most = resident;
    let mut delays = Vec::new();
    let mut lost = 0;
    while began.elapsed() < time {
        let (more, missing) = talk(speaker, &mut heard, Instant::now() + Duration::from_millis(500)).await?;
        delays.extend(more);
        lost += missing;
        most = most.max(victim.resident_kib()?);
    }
    let seconds = began.elapsed().as_secs_f64();
    let spent = (victim.cpu()? - cpu).as_secs_f64() * 1e3 / seconds;
    let bytes = (victim.counts()?[2] - received) as f64 / 1e3 / seconds;
    let stopped = Instant::now();
    if let Some(attack) = attack {
        attack.abort();
    }
    let over = loop {
        let [links, ..] = victim.counts()?;
        if links <= 2 {
            break format!("{} ms", stopped.elapsed().as_millis());
        }
        if stopped.elapsed() > PATIENCE {
            break format!("{} links left after {} s", links - 2, PATIENCE.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    delays.sort_unstable();
    let p99 = delays.get(delays.len().saturating_sub(1) * 99 / 100).copied().unwrap_or_default();
    let offences = victim.counts()?[1];
    println!(
        "| {name} | {spent:.0} | {:+.1} MiB | {bytes:.0} | {offences} | {:.1} ms | {lost} | {over} |",
        (most as f64 - resident as f64) / 1024.0,
        p99.as_secs_f64() * 1e3,
    );
    Ok(())
}

/// A speaks until then, and B listens: how long each rumor took, and how many did not arrive.
async fn talk(
    speaker: &TopicHandle,
    heard: &mut Subscription,
    until: Instant,
) -> Result<(Vec<Duration>, usize), Failure> {
    let origin = Instant::now();
    let publishing = async {
        let mut said = 0usize;
        let mut pace = tokio::time::interval(PACE);
        while Instant::now() < until {
            pace.tick().await;
            let stamp = u64::try_from(origin.elapsed().as_nanos()).unwrap_or(u64::MAX);
            speaker.publish(Bytes::from(stamp.to_le_bytes().repeat(128))).await?;
            said += 1;
        }
        Ok::<_, Failure>(said)
    };
    let (done_in, mut done) = tokio::sync::watch::channel(None);
    let listening = async {
        let mut delays = Vec::new();
        let mut late = None;
        loop {
            if done.borrow().is_some_and(|said| delays.len() >= said) {
                return (delays, 0);
            }
            let late_at = late.unwrap_or_else(|| tokio::time::Instant::now() + PATIENCE);
            tokio::select! {
                Some(Ok(delivery)) = heard.next() => {
                    // What the attackers say is not what A said.
                    if delivery.author() == speaker.node().author()
                        && let Some(stamp) = delivery.body().first_chunk()
                    {
                        let sent = Duration::from_nanos(u64::from_le_bytes(*stamp));
                        delays.push(origin.elapsed().saturating_sub(sent));
                    }
                }
                _ = done.changed(), if done.borrow().is_none() => {
                    late = Some(tokio::time::Instant::now() + PATIENCE);
                }
                () = tokio::time::sleep_until(late_at) => {
                    let missing = done.borrow().unwrap_or_default().saturating_sub(delays.len());
                    return (delays, missing);
                }
            }
        }
    };
    let publishing = async {
        let said = publishing.await;
        done_in.send_replace(Some(said.as_ref().copied().unwrap_or_default()));
        said
    };
    let (said, result) = tokio::join!(publishing, listening);
    said?;
    Ok(result)
}
