//! An agent from its start to its end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use vouchsafe::{Node, TopicHandle};

use super::api::Api;
use super::config::{self, Flags, Settings};
use super::core::{Agent, Joined};
use super::expelled::Expelled;
use super::log::{self, Log};
use super::notify::Notify;
use super::pumps::{self, Heard};
use super::reload::Reload;
use super::signals::{Asked, Signals};
use crate::exit::Failure;
use crate::node::LEAVING;

/// How often it is looked whether lines of the log were left out.
const LOOK: Duration = Duration::from_secs(10);

/// Runs until it is asked to end.
pub(super) async fn serve(flags: Flags, settings: Settings, log: &Log) -> Result<(), Failure> {
    let mut signals = Signals::listen()?;
    let notify = Notify::from_environment();
    let (agent, heard) = begin(&settings).await?;
    let agent = Arc::new(agent);
    pumps::start(&agent, heard);
    let api = match Api::begin(&agent, &settings) {
        Ok(api) => api,
        Err(error) => {
            goodbye(&agent.node).await;
            return Err(error);
        }
    };
    notify.tell("READY=1\nSTATUS=running");
    tracing::info!(version = env!("CARGO_PKG_VERSION"), socket = %settings.socket().display(), "the agent runs");
    let mut reload = Reload::new(flags, settings);
    let result = attend(&agent, &mut signals, &notify, &mut reload, log).await;
    notify.tell("STOPPING=1\nSTATUS=leaving");
    tracing::info!("the agent leaves");
    // Requests under way are answered: what waits for the node is told that it is closed, and streams end with it.
    api.close();
    goodbye(&agent.node).await;
    api.end().await;
    result
}

/// Does what it is asked from outside of its interface, until it is to end.
async fn attend(
    agent: &Arc<Agent>,
    signals: &mut Signals,
    notify: &Notify,
    reload: &mut Reload,
    log: &Log,
) -> Result<(), Failure> {
    let mut look = interval(LOOK);
    let mut alive = interval(notify.watchdog_every().unwrap_or(LOOK));
    alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The wait never succeeds: it fails when the node has ended.
    let mut ended = std::pin::pin!(agent.node.wait_for_links(usize::MAX));
    let mut told = 0;
    loop {
        tokio::select! {
            asked = signals.next() => match asked {
                Asked::Leave => return Ok(()),
                Asked::Reload => reload.again(agent, log).await,
            },
            () = agent.left() => return Ok(()),
            _ = &mut ended => {
                return Err(Failure::failed("the node has stopped by itself: start the agent again"));
            }
            _ = alive.tick(), if notify.watchdog_every().is_some() => {
                // A node that does not answer is none that lives.
                if agent.node.stats().await.is_ok() {
                    notify.tell("WATCHDOG=1");
                }
            }
            _ = look.tick() => {
                let lines = log::left_out();
                if lines > told {
                    tracing::warn!(lines = lines - told, "lines of the log were left out: some came too often");
                }
                told = lines;
            }
        }
    }
}

/// Starts the node and joins its topics.
async fn begin(settings: &Settings) -> Result<(Agent, Heard), Failure> {
    let builder = Node::with_state(&settings.state)
        .network(&settings.network)
        .listen(&settings.listen)
        .bootstrap(settings.bootstrap.clone())
        .metadata(settings.metadata.clone())
        .config(settings.profile.config())
        .topic(settings.events.clone());
    let builder = settings.topics.iter().fold(builder, |builder, topic| builder.topic(topic.topic.clone()));
    let builder = match &settings.advertise {
        Some(address) => builder.advertise(address),
        None => builder,
    };
    let builder = match &settings.allow_list {
        Some(path) => builder.allow(config::read_allow_list(path).map_err(|faults| super::refused(&faults))?),
        None => builder,
    };
    let expelled = Expelled::open(&settings.state).map_err(Failure::Usage)?;
    let node = builder.spawn().await?;
    let heard = Heard::of(&node);
    match join(&node, settings, &expelled).await {
        Ok((topics, events)) => Ok((Agent::new(node, settings, topics, events, expelled), heard)),
        Err(error) => {
            goodbye(&node).await;
            Err(error)
        }
    }
}

async fn join(
    node: &Node,
    settings: &Settings,
    expelled: &Expelled,
) -> Result<(BTreeMap<String, Joined>, TopicHandle), Failure> {
    for (key, left) in expelled.now() {
        node.expel(key, left).await.map_err(Failure::failed)?;
    }
    let mut topics = BTreeMap::new();
    for config::Topics { name, topic } in &settings.topics {
        let handle = node.join(topic.clone()).await;
        let handle = handle.map_err(|error| Failure::Usage(format!("topic {name:?}: {error}")))?;
        topics.insert(name.clone(), Joined::new(handle));
    }
    let events = node.join(settings.events.clone()).await.map_err(Failure::failed)?;
    Ok((topics, events))
}

async fn goodbye(node: &Node) {
    if tokio::time::timeout(LEAVING, node.shutdown()).await.is_err() {
        tracing::warn!("left without an answer after {} s", LEAVING.as_secs());
    }
}
