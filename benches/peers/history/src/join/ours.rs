//! A node of this library: its store in a folder, its defaults, real QUIC.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use vouchsafe::rumor::Bundle;
use vouchsafe::store::RedbStore;
use vouchsafe::{NetworkId, Node, PeerAddr, SecretKey, TopicHandle};

use super::{Taken, tell};
use crate::find::ours::{bundles, fill, first_second, topic};
use crate::process::cpu;

const NETWORK: &str = "history";
/// How long a server has run that counts as settled.
const SETTLED: Duration = Duration::from_secs(40);
/// How long a joiner may take to hear that there is no more, once it has all.
const PATIENCE: Duration = Duration::from_secs(60);

async fn node(folder: &std::path::Path, key: SecretKey, peers: Vec<PeerAddr>) -> anyhow::Result<Node> {
    let node = Node::builder(key).network(NETWORK).listen("127.0.0.1:0").bootstrap(peers);
    Ok(node.store(folder).spawn().await?)
}

/// A node that has all.
async fn full(
    count: usize,
    all: &[Arc<Bundle>],
    peers: Vec<PeerAddr>,
) -> anyhow::Result<(tempfile::TempDir, Node, TopicHandle)> {
    let (folder, key) = (tempfile::tempdir()?, SecretKey::generate());
    let rules = topic(count).bind(NetworkId::of(NETWORK))?;
    fill(&mut RedbStore::open(folder.path())?, &key, &rules, all.iter())?;
    let node = node(folder.path(), key, peers).await?;
    let log = node.join(topic(count)).await?;
    Ok((folder, node, log))
}

fn addr_of(node: &Node) -> anyhow::Result<PeerAddr> {
    node.addr().context("it listens")
}

pub(super) async fn serve(count: usize, settled: bool) -> anyhow::Result<()> {
    let rules = topic(count).bind(NetworkId::of(NETWORK))?;
    let all = bundles(&rules, count, first_second(count)?)?;
    let (_folder, server, log) = full(count, &all, Vec::new()).await?;
    if settled {
        // A peer that has the same, and leaves.
        let (_folder, peer, _log) = full(count, &all, vec![addr_of(&server)?]).await?;
        log.caught_up(1).await?;
        peer.shutdown().await;
        tokio::time::sleep(SETTLED).await;
    }
    drop(all);
    let addr = addr_of(&server)?.to_string();
    tokio::task::spawn_blocking(move || tell(&addr)).await?
}

pub(super) async fn take(count: usize, addr: &str) -> anyhow::Result<Taken> {
    let folder = tempfile::tempdir()?;
    let (begun, spent) = (Instant::now(), cpu());
    let node = node(folder.path(), SecretKey::generate(), vec![addr.parse()?]).await?;
    let log = node.join(topic(count)).await?;
    let mut progress = log.repairing()?;
    while progress.repaired < count as u64 {
        progress = log.repairing_beyond(progress).await?;
    }
    let (all, cpu) = (begun.elapsed(), cpu() - spent);
    tokio::time::timeout(PATIENCE, log.caught_up(1)).await??;
    let beside = begun.elapsed();
    if std::env::var_os("HISTORY_TALK").is_some() {
        let counted = node.stats().await?.counters.list();
        let counted: Vec<_> = counted.into_iter().filter(|(_, value)| *value > 0).collect();
        eprintln!("{counted:?}");
    }
    node.shutdown().await;
    Ok(Taken { all, beside, cpu })
}
