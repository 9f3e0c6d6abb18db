//! A node of iroh-docs: documents and blobs in a folder, relay and discovery off, real QUIC.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use iroh::endpoint::presets;
use iroh::protocol::Router;
use iroh::{Endpoint, EndpointAddr, RelayMode};
use iroh_blobs::BlobsProtocol;
use iroh_blobs::store::fs::FsStore;
use iroh_docs::api::protocol::{AddrInfoOptions, ShareMode};
use iroh_docs::engine::LiveEvent;
use iroh_docs::protocol::Docs;
use iroh_docs::{Author, DocTicket};
use iroh_gossip::net::Gossip;
use n0_future::StreamExt as _;
use tokio::task::JoinSet;

use super::{Taken, tell};
use crate::items::{self, AUTHORS};
use crate::process::cpu;

/// Entries that a server sets at a time.
const AT_ONCE: usize = 256;
/// Something happens at least so often, or it has come to a stop.
const PATIENCE: Duration = Duration::from_secs(60);

struct Node {
    endpoint: Endpoint,
    docs: Docs,
    router: Router,
}

async fn node(folder: &Path) -> anyhow::Result<Node> {
    let endpoint = Endpoint::builder(presets::Minimal)
        .relay_mode(RelayMode::Disabled)
        .clear_ip_transports()
        .bind_addr((Ipv4Addr::LOCALHOST, 0))?
        .bind()
        .await?;
    let blobs = FsStore::load(folder.join("blobs")).await.map_err(|error| anyhow::anyhow!("{error}"))?;
    let gossip = Gossip::builder().spawn(endpoint.clone());
    let docs = Docs::persistent(folder.to_owned());
    let docs = docs.spawn(endpoint.clone(), (*blobs).clone(), gossip.clone()).await?;
    let router = Router::builder(endpoint.clone())
        .accept(iroh_blobs::ALPN, BlobsProtocol::new(&blobs, None))
        .accept(iroh_gossip::ALPN, gossip)
        .accept(iroh_docs::ALPN, docs.clone())
        .spawn();
    Ok(Node { endpoint, docs, router })
}

pub(super) async fn serve(count: usize) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let node = node(folder.path()).await?;
    let doc = Arc::new(node.docs.create().await?);
    let authors: Vec<_> = (0..AUTHORS).map(|author| Author::from_bytes(&[author as u8 + 1; 32])).collect();
    for author in &authors {
        node.docs.author_import(author.clone()).await?;
    }
    let mut under_way = JoinSet::new();
    for item in items::all(count) {
        let (doc, author) = (Arc::clone(&doc), authors[item.author].id());
        let key = (item.number as u64).to_be_bytes().to_vec();
        under_way.spawn(async move { doc.set_bytes(author, key, item.body().into_bytes()).await });
        if under_way.len() >= AT_ONCE {
            under_way.join_next().await.context("one is under way")???;
        }
    }
    while let Some(done) = under_way.join_next().await {
        done??;
    }
    let mut ticket = doc.share(ShareMode::Read, AddrInfoOptions::Id).await?;
    let socket = node.endpoint.bound_sockets().into_iter().next().context("the endpoint has no socket")?;
    ticket.nodes = vec![EndpointAddr::new(node.endpoint.id()).with_ip_addr(socket)];
    let addr = ticket.to_string();
    tokio::task::spawn_blocking(move || tell(&addr)).await?
}

pub(super) async fn take(count: usize, addr: &str) -> anyhow::Result<Taken> {
    let folder = tempfile::tempdir()?;
    let ticket: DocTicket = addr.parse().map_err(|error| anyhow::anyhow!("{error}"))?;
    let (begun, spent) = (Instant::now(), cpu());
    let node = node(folder.path()).await?;
    let (_doc, mut events) = node.docs.import_and_subscribe(ticket).await?;
    let (mut entries, mut contents, mut beside) = (0, 0, begun.elapsed());
    while contents < count {
        let event = tokio::time::timeout(PATIENCE, events.next()).await;
        let event =
            event.with_context(|| format!("{entries} entries and {contents} contents, then nothing"))?;
        match event.context("the document is closed")?? {
            LiveEvent::InsertRemote { .. } => {
                entries += 1;
                beside = begun.elapsed();
            }
            LiveEvent::ContentReady { .. } => contents += 1,
            _ => {}
        }
    }
    let (all, cpu) = (begun.elapsed(), cpu() - spent);
    anyhow::ensure!(entries == count, "{entries} entries of {count} have come");
    node.router.shutdown().await?;
    Ok(Taken { all, beside, cpu })
}
