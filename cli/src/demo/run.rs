//! One run: the honest nodes publish in turn, the liars do what they do, until all is told and every liar caught.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use vouchsafe::{SecretKey, TopicHandle};

use super::liars;
use super::log::Log;
use super::plan::Plan;
use super::watch::{Seen, watch};
use super::world::World;
use crate::agent::Shown;
use crate::exit::Failure;
use crate::node::status;

/// Between two rumors, at least and at most: fast enough not to bore, slow enough to watch.
const PACE: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(100));
/// Longest time, within these paces, that a run spends on publishing.
const TALK: Duration = Duration::from_secs(12);
/// Deliveries a second in the whole process, so that the times shown are those of the network and not of a queue for the
/// processor: half of what two cores did with 60 nodes, each with sockets and tasks of its own.
const DELIVERIES_PER_S: u32 = 1_000;
/// Rumors a second of one node, at most: below the quota of 64, so that nobody waits for a slot.
const PER_NODE: u32 = 48;
/// After the last rumor was published, so long may it take until everybody has everything and the liars are caught, and so long again after
/// each thing that is seen ...
const PATIENCE: Duration = Duration::from_secs(12);
/// ... up to this.
const MOST_PATIENCE: Duration = Duration::from_secs(60);
/// Publish calls are answered in milliseconds here; one that hangs must not hang the demo.
const ANSWERS: Duration = Duration::from_secs(10);

/// With a live page, the part of its time in which rumors are published, and that in which liars come.
const TALK_SHOWN: f64 = 0.75;
const LIARS_SHOWN: f64 = 0.5;

/// The live page of a run.
pub(super) struct Serve {
    /// A loopback address.
    pub(super) at: SocketAddr,
    /// How long it is served, at least.
    pub(super) lasts: Duration,
}

pub(super) async fn run(
    plan: &Plan,
    words: &[Bytes],
    show: bool,
    serve: Option<Serve>,
) -> Result<Log, Failure> {
    let bar = progress_bar(plan, show);
    bar.set_message("finding each other");
    let world = World::spawn(plan).await?;
    // Before the links, so that nothing is missed.
    let (seen_in, mut seen) = watch(&world);
    let shown = serve_page(serve.as_ref(), &world, &bar).await?;
    let lasts = serve.map_or(Duration::ZERO, |serve| serve.lasts);
    let end = tokio::time::Instant::now() + lasts;
    let links = world.find(plan).await?;

    let keys: Vec<_> = plan.liars.iter().map(|_| SecretKey::generate()).collect();
    let directory = world.directory(keys.iter().map(SecretKey::public).collect())?;
    let mut log = Log::new(plan, words, directory.clone());
    log.links = links;
    let mut lying = JoinSet::new();
    let apart = lasts.mul_f64(LIARS_SHOWN) / plan.liars.len().max(1) as u32;
    for (liar, key) in keys.into_iter().enumerate() {
        let comes_after = apart * liar as u32;
        liars::start(liar, key, &plan.liars[liar], &directory, &seen_in, comes_after, &mut lying)?;
    }
    let talk = lasts.mul_f64(TALK_SHOWN);
    let publishing = publish_all(plan.clone(), bodies(&log), world.topics.clone(), talk, seen_in);

    let mut publishing = tokio::spawn(publishing);
    let patience = tokio::time::sleep(Duration::MAX);
    tokio::pin!(patience);
    let (mut told, mut over) = (false, shown.is_none());
    let mut at_the_latest = end;
    while !(over && log.complete(plan)) {
        tokio::select! {
            Some(next) = seen.recv() => {
                log.write(next);
                while let Ok(next) = seen.try_recv() {
                    log.write(next);
                }
                show_progress(&bar, &log);
                if told {
                    let longer = tokio::time::Instant::now() + PATIENCE;
                    patience.as_mut().reset(end.max(longer.min(at_the_latest)));
                }
            }
            _ = &mut publishing, if !told => {
                told = true;
                let now = tokio::time::Instant::now();
                at_the_latest = now + MOST_PATIENCE;
                patience.as_mut().reset(end.max(now + PATIENCE));
            }
            () = tokio::time::sleep_until(end), if !over => over = true,
            // The figures will say what is lacking. (What this process was too busy to read is not.)
            () = &mut patience, if told && seen.is_empty() => break,
        }
    }
    publishing.abort();
    read_stats(&world, &mut log).await?;
    while let Ok(next) = seen.try_recv() {
        log.write(next);
    }
    bar.finish_and_clear();
    lying.abort_all();
    end_all(world, shown).await;
    Ok(log)
}

/// Serves the live page, if it is asked for, and says where.
async fn serve_page(
    serve: Option<&Serve>,
    world: &World,
    bar: &ProgressBar,
) -> Result<Option<Shown>, Failure> {
    let Some(serve) = serve else { return Ok(None) };
    let shown = world.show(serve.at).await?;
    let seconds = serve.lasts.as_secs_f64();
    bar.suspend(|| status(format_args!("live page of an honest node, for {seconds} s: {}", shown.url())));
    Ok(Some(shown))
}

async fn end_all(world: World, shown: Option<Shown>) {
    if let Some(shown) = &shown {
        shown.close();
    }
    world.shutdown().await;
    if let Some(shown) = shown {
        shown.end().await;
    }
}

fn bodies(log: &Log) -> Vec<(usize, Bytes)> {
    log.rumors.iter().map(|told| (told.publisher, told.text.clone())).collect()
}

/// Publishes at an even pace, without waiting for one rumor before the next, for as long as `talk` at least.
async fn publish_all(
    plan: Plan,
    bodies: Vec<(usize, Bytes)>,
    topics: Vec<TopicHandle>,
    talk: Duration,
    seen: mpsc::Sender<Seen>,
) {
    let (nodes, rumors) = (plan.nodes as u32, bodies.len().max(1) as u32);
    let unhurried = (Duration::from_secs(1) * nodes / DELIVERIES_PER_S).min(TALK / rumors);
    let pace =
        unhurried.clamp(PACE.0, PACE.1).max(Duration::from_secs(1) / (PER_NODE * nodes)).max(talk / rumors);
    let mut ticks = tokio::time::interval(pace);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut calls = JoinSet::new();
    for (rumor, (publisher, body)) in bodies.into_iter().enumerate() {
        ticks.tick().await;
        let (topic, seen) = (topics[publisher].clone(), seen.clone());
        calls.spawn(async move {
            let called = Instant::now();
            let result = topic.publish(body).await.map(|published| published.id());
            // Fails only when the demo has ended.
            let _ = seen.send(Seen::Published { rumor, called, result }).await;
        });
    }
    let _ = tokio::time::timeout(ANSWERS, calls.join_all()).await;
}

/// The nodes' own books, at the end: bans and convictions of honest nodes, which no event may have told of, and copies.
async fn read_stats(world: &World, log: &mut Log) -> Result<(), Failure> {
    for (number, node) in world.nodes.iter().enumerate() {
        let stats = node.stats().await.map_err(Failure::failed)?;
        log.fakes += stats.counters.pulses_wrong;
        let members = node.members().await.map_err(Failure::failed)?;
        log.shown.push(
            members
                .values()
                .filter(|member| member.state.is_here())
                .filter(|member| log.directory.honest_number(&member.key).is_some())
                .count(),
        );
        for key in stats.banned.iter().chain(&stats.convicted) {
            log.blame(number, *key);
        }
        for link in &stats.links {
            if log.directory.honest_number(&link.peer).is_some() {
                log.copies.received += link.copies_in;
                log.copies.first += link.accepted_first;
            }
        }
    }
    Ok(())
}

fn progress_bar(plan: &Plan, show: bool) -> ProgressBar {
    let target = if show { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let deliveries = plan.rumors * (plan.nodes - 1);
    let style = ProgressStyle::with_template("{elapsed:>4} {wide_bar} {pos}/{len} deliveries, {msg}");
    let bar = ProgressBar::with_draw_target(Some(deliveries as u64), target);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn show_progress(bar: &ProgressBar, log: &Log) {
    bar.set_position(log.delivered as u64);
    bar.set_message(format!("{} offences, {} convicted", log.offences.len(), log.convicted.len()));
}
