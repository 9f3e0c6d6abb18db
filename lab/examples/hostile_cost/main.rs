//! What each attack costs a node, and what honest peers notice of it: the table in docs/security.md.
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

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::task::{JoinHandle, JoinSet};
use vouchsafe::rumor::RuleSet;
use vouchsafe::{Node, SecretKey, Subscription, Topic, TopicHandle, VerifierPool};
use vouchsafe_cli::demo::liars::target::Target;
// The attackers of the soak.
use vouchsafe_lab::{deeds, floods};

use victim::Victim;

type Failure = Box<dyn std::error::Error>;
type Deed = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Between two rumors of A.
const PACE: Duration = Duration::from_millis(20);
/// Attackers at once, each on a link of its own and under a new key whenever that link has ended.
const ATTACKERS: usize = 4;
/// For the last rumors to arrive, and for the attackers' links to end.
const PATIENCE: Duration = Duration::from_secs(45);
/// The least for attacks that the victim ends by a deadline of 10 s: a second link of each attacker has then begun.
const SLOW: Duration = Duration::from_secs(25);
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

/// What an attacker does once; it begins again when it has ended, which most do only when the victim has closed the link.
#[derive(Clone, Copy)]
struct Attack {
    name: &'static str,
    deed: fn(Target, Arc<RuleSet>) -> Deed,
    least: Duration,
}

macro_rules! attack {
    ($name:literal, $deed:ident) => {
        attack!($name, deeds::$deed, Duration::ZERO)
    };
    ($name:literal, $deed:ident, $least:expr) => {
        attack!($name, deeds::$deed, $least)
    };
    ($name:literal, $from:ident::$deed:ident) => {
        attack!($name, $from::$deed, Duration::ZERO)
    };
    ($name:literal, $from:ident::$deed:ident, $least:expr) => {
        Attack { name: $name, deed: |peer, rules| Box::pin($from::$deed(peer, rules)), least: $least }
    };
}

const ATTACKS: [Attack; 21] = [
    attack!("forged signatures (B8)", forges),
    attack!("malformed frames (B9)", malforms),
    attack!("stops in the middle of a body (B5)", stalls, SLOW),
    attack!("resets hop budgets (B6)", fresh_hops),
    attack!("acknowledges and never reads (B25)", deaf, SLOW),
    attack!("numbers at their largest (B28)", largest),
    attack!("announces what does not exist (B29)", announces),
    attack!("pulls the same without end (B11)", pulls),
    attack!("repeats all it hears (B10)", repeats),
    attack!("joins ever more topics (B27)", topics),
    attack!("true evidence against ever more authors (B33)", evidence),
    attack!("resets streams at all points", resets),
    attack!("one key on three connections", doubles),
    attack!("moves to another address", wanders, Duration::from_secs(70)),
    Attack {
        name: "connects and leaves (B30)",
        deed: |peer, _| Box::pin(deeds::knocks(peer)),
        least: Duration::ZERO,
    },
    Attack {
        name: "half-open handshakes, 32 at once (B30)",
        deed: |peer, _| {
            Box::pin(async move {
                let mut all = JoinSet::new();
                (0..8).for_each(|_| drop(all.spawn(deeds::half_open(peer))));
                all.join_all().await;
            })
        },
        least: SLOW,
    },
    Attack {
        name: "noise on the socket",
        deed: |peer, _| Box::pin(deeds::noise(peer)),
        least: Duration::ZERO,
    },
    attack!("serves large bundles that are long past (R3)", floods::serves_the_expired),
    attack!("crowds newcomers out (R6)", floods::crowds),
    attack!("bundles of crumbs, long past (R10)", floods::crumbs),
    attack!("joins and leaves without end (R10)", floods::wavers),
];

/// How long each link of an attacker lasted.
type Lasted = Arc<Mutex<Vec<Duration>>>;

async fn measure(time: Duration, words: &str) -> Result<(), Failure> {
    println!(
        "| Attack | CPU, ms a second | memory | in, out, kB a second | offences | p99 | lost | a link ends after |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    row("none", None, time, false).await?;
    for attack in ATTACKS.into_iter().filter(|attack| attack.name.contains(words)) {
        let start: Start =
            Box::new(move |peer, rules, lasted| tokio::spawn(attackers(attack, peer, rules, lasted)));
        row(attack.name, Some(start), time.max(attack.least), false).await?;
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
                (attack.deed)(peer, Arc::clone(&rules)).await;
                lasted.lock().unwrap_or_else(PoisonError::into_inner).push(began.elapsed());
                tokio::time::sleep(deeds::BREATH).await;
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
    let target = Target::of(&victim.peer).ok_or("the victim has an address")?;
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
