//! vouchsafe, as `lab/examples/flat_out.rs` sets it up: every rumor signed by its author and verified by every node.

use std::sync::Arc;
use std::time::Duration;

use ::vouchsafe::protocol::Config;
use ::vouchsafe::{Node, SecretKey, Topic, TopicHandle, VerifierPool};
use bytes::Bytes;

use super::{Failure, Mesh, READER_CAPACITY, READY, Setup};
use crate::load::Offered;
use crate::meter::Meter;

/// Nodes that each hold a link to all others.
#[derive(Debug)]
pub struct Vouchsafe {
    nodes: Vec<(Node, TopicHandle)>,
}

impl Mesh for Vouchsafe {
    async fn start(setup: Setup, meter: Arc<Meter>) -> Result<Self, Failure> {
        // The others have no quota to run into, so here is one that is not reached. Bodies leave memory after 20 s; the
        // others keep them for 5 s (gossipsub) and 30 s (iroh-gossip).
        let topic = Topic::named("peers").slots_per_tick(u16::MAX).retention(Duration::from_secs(20));
        let topic = topic.max_body(64 * 1024);
        // As in the other systems, all nodes share the processors.
        let pool = VerifierPool::default();
        let mut config = Config::default();
        config.expected_nodes = setup.nodes as u32;
        let mut nodes: Vec<(Node, TopicHandle)> = Vec::new();
        for number in 0..setup.nodes {
            let peers: Vec<_> = nodes.iter().filter_map(|(node, _)| node.addr()).collect();
            let node = Node::builder(SecretKey::generate())
                .listen("127.0.0.1:0")
                .bootstrap(peers)
                .config(config.clone())
                .verifiers(pool.clone())
                .subscription_capacity(READER_CAPACITY / 8)
                .spawn()
                .await?;
            let handle = node.join(topic.clone()).await?;
            let mut rumors = handle.subscribe();
            let meter = Arc::clone(&meter);
            tokio::spawn(async move {
                while let Some(rumor) = rumors.next().await {
                    // What a slow reader misses is not delivered: the coverage shows it.
                    if let Ok(rumor) = rumor {
                        meter.received(number, rumor.body());
                    }
                }
            });
            nodes.push((node, handle));
        }
        let links = setup.nodes - 1;
        for (_, handle) in &nodes {
            tokio::time::timeout(READY, handle.wait_for_links(links)).await??;
        }
        Ok(Self { nodes })
    }

    async fn publish(&self, node: usize, mut bodies: Vec<Bytes>, offered: &Offered) -> bool {
        let Some((_, handle)) = self.nodes.get(node) else { return false };
        let count = bodies.len();
        let result = match bodies.pop() {
            Some(body) if bodies.is_empty() => handle.publish(body).await.map(|_| ()),
            Some(body) => {
                bodies.push(body);
                handle.publish_all(bodies).await.map(|_| ())
            }
            None => return true,
        };
        match result {
            Ok(()) => offered.accept(count),
            Err(ref error) => offered.refuse(count, error),
        }
        result.is_ok()
    }

    async fn copies(&self, _deliveries: u64) -> Option<f64> {
        // Bundles are counted, not rumors: one copy is of a whole bundle.
        let (mut copies, mut needless) = (0, 0);
        for (node, _) in &self.nodes {
            let counters = node.stats().await.ok()?.counters;
            copies += counters.copies_in;
            needless += counters.duplicates + counters.refused_again;
        }
        (copies > needless).then(|| copies as f64 / (copies - needless) as f64)
    }
}
