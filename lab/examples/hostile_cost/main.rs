//! What each attack costs a node, and what honest peers notice of it: the table in docs/security.md.
//!
//! The attacks are the library's adversaries, each on a link of its own, and what is no matter of
//! frames.
//!
//! `cargo run --release -p vouchsafe-lab --example hostile_cost -- [SECONDS [WORDS]]` (default 10 for each attack, some take
//! longer; with WORDS only those whose name has them; Linux)
//!
//! ```text
//! honest A ──> victim, alone in a process of its own ──> honest B        A and B hear each other through the victim only
//!                   ▲
//!                   └── attackers, in the process of A and B: their own cost is not the victim's
//! ```

mod victim;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::task::{JoinHandle, JoinSet};
use vouchsafe::hostile::Target;
use vouchsafe::rumor::RuleSet;
use vouchsafe::{Node, SecretKey, Subscription, Topic, TopicHandle, VerifierPool};
use vouchsafe_cli::demo::liars::target;
// The attackers of the soak.
use vouchsafe_lab::attacks::{Attack, BREATH};
use vouchsafe_lab::deeds;

use victim::Victim;

type Failure = Box<dyn std::error::Error>;

/// Between two rumors of A.
const PACE: Duration = Duration::from_millis(20);
/// Attackers at once, each on a link of its own and under a new key whenever that link has ended.
const ATTACKERS: usize = 4;
/// For the last rumors to arrive, and for the attackers' links to end.
const PATIENCE: Duration = Duration::from_secs(45);
const CONNECTIONS: usize = 10_000;

fn main() -> Result<(), Failure> {
    let runtime = tokio::runtime::Runtime::new()?;
    match std::env::args().nth(1).as_deref() {
        Some("victim") => runtime.block_on(victim::run(false)),
        Some("limited-victim") => runtime.block_on(victim::run(true)),
        seconds => {
            let seconds = seconds.map_or(Ok(10), str::parse)?;
            let words = std::env::args().nth(2).unwrap_or_default();
            runtime.block_on(measure(Duration::from_secs(seconds), &words))
        }
    }
}

/// How long each link of an attacker lasted.
type Lasted = Arc<Mutex<Vec<Duration>>>;

async fn measure(time: Duration, words: &str) -> Result<(), Failure> {
    println!(
        "| Attack | CPU, ms a second | memory | in, out, kB a second | offences | p99 | lost | a link ends after |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    row("none", None, time, false).await?;
    for attack in Attack::all().filter(|attack| attack.name().contains(words)) {
        let start: Start =
            Box::new(move |peer, rules, lasted| tokio::spawn(attackers(attack, peer, rules, lasted)));
        row(attack.name(), Some(start), time.max(attack.least()), false).await?;
    }
    for (limited, how) in [(false, "not limited"), (true, "limited")] {
        let name = format!("10 000 connections, 64 at once, from one address, {how}");
        if !name.contains(words) {
            continue;
        }
        let start: Start = Box::new(|peer, _, lasted| tokio::spawn(connections(peer, lasted)));
        // To its end, however long that takes.
        row(&name, Some(start), Duration::MAX, limited).await?;
    }
    Ok(())
}

async fn attackers(attack: Attack, peer: Target, rules: Arc<RuleSet>, lasted: Lasted) {
    let mut tasks = JoinSet::new();
    for _ in 0..ATTACKERS {
        let (rules, lasted) = (Arc::clone(&rules), Arc::clone(&lasted));
        tasks.spawn(async move {
            loop {
                let began = Instant::now();
                attack.once(&[peer], Arc::clone(&rules)).await;
                lasted.lock().unwrap_or_else(PoisonError::into_inner).push(began.elapsed());
                tokio::time::sleep(BREATH).await;
            }
        });
    }
    tasks.join_all().await;
}

async fn connections(peer: Target, lasted: Lasted) {
    let mut tasks = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let lasted = Arc::clone(&lasted);
        tasks.spawn(async move {
            let began = Instant::now();
            deeds::knocks(peer).await;
            lasted.lock().unwrap_or_else(PoisonError::into_inner).push(began.elapsed());
        });
        if tasks.len() >= 64 {
            tasks.join_next().await;
        }
    }
    tasks.join_all().await;
}

type Start = Box<dyn FnOnce(Target, Arc<RuleSet>, Lasted) -> JoinHandle<()>>;

/// A victim of its own for each attack, so that nothing of the last one is left.
async fn row(name: &str, start: Option<Start>, time: Duration, limited: bool) -> Result<(), Failure> {
    let mut victim = Victim::start(limited)?;
    let pool = VerifierPool::new(1);
    let mut topics: Vec<TopicHandle> = Vec::new();
    for _ in 0..2 {
        let node =
            Node::builder(SecretKey::generate()).listen("127.0.0.1:0").bootstrap([victim.peer.clone()]);
        let node = node.verifiers(pool.clone()).spawn().await?;
        let topic = node.join(Topic::named("lobby")).await?;
        topic.wait_for_links(1).await?;
        topics.push(topic);
    }
    let [speaker, listener] = &topics[..] else { return Err("two honest nodes".into()) };
    let mut heard = listener.subscribe();
    // Warm: what is allocated once is not the attack's.
    talk(speaker, &mut heard, Instant::now() + Duration::from_secs(2)).await?;
    let (cpu, resident, before) = (victim.cpu()?, victim.resident_kib()?, victim.books()?);
    let began = Instant::now();
    let lasted = Lasted::default();
    let rules = Arc::new(speaker.rules().clone());
    let target = target::of(&victim.peer).ok_or("the victim has an address")?;
    let attack = start.map(|start| start(target, rules, Arc::clone(&lasted)));
    let mut most = resident;
    let mut delays = Vec::new();
    let mut lost = 0;
    while began.elapsed() < time && !attack.as_ref().is_some_and(JoinHandle::is_finished) {
        let (more, missing) = talk(speaker, &mut heard, Instant::now() + Duration::from_millis(500)).await?;
        delays.extend(more);
        lost += missing;
        most = most.max(victim.resident_kib()?);
    }
    let seconds = began.elapsed().as_secs_f64();
    let (spent, after) = (victim.cpu()? - cpu, victim.books()?);
    let rate = |before: u64, after: u64| (after - before) as f64 / 1e3 / seconds;
    if let Some(attack) = attack {
        attack.abort();
    }
    let stopped = Instant::now();
    while victim.books()?.links > 2 {
        if stopped.elapsed() > PATIENCE {
            return Err(format!("{name}: links are left {} s after its end", PATIENCE.as_secs()).into());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    delays.sort_unstable();
    let p99 = delays.get(delays.len().saturating_sub(1) * 99 / 100).copied().unwrap_or_default();
    let mut lasted = std::mem::take(&mut *lasted.lock().unwrap_or_else(PoisonError::into_inner));
    lasted.sort_unstable();
    let ends = match lasted.get(lasted.len() / 2) {
        Some(median) => format!("{:.0} ms ({} ended)", median.as_secs_f64() * 1e3, lasted.len()),
        None if name == "none" => String::new(),
        None => "it may stay".to_owned(),
    };
    let ends = if time == Duration::MAX { format!("{ends} in {seconds:.0} s") } else { ends };
    let refused = match after.refused - before.refused {
        0 => String::new(),
        refused => format!("; {refused} handshakes refused or sent back"),
    };
    println!(
        "| {name} | {:.0} | {:+.1} MiB | {:.0}, {:.0} | {} | {:.1} ms | {lost} | {ends}{refused} |",
        spent.as_secs_f64() * 1e3 / seconds,
        (most as f64 - resident as f64) / 1024.0,
        rate(before.received, after.received),
        rate(before.sent, after.sent),
        after.offences,
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
