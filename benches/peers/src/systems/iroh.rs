//! iroh-gossip: nothing is signed and no author is verified, only the links are.
//!
//! Relay servers and discovery are off; the nodes know each other's addresses. Who links to whom is its own business
//! (HyParView). The largest message is raised from 4 KiB, which would not hold a body of 4 KiB.

use std::net::Ipv4Addr;
use std::sync::Arc;

use ::iroh::address_lookup::memory::MemoryLookup;
use ::iroh::endpoint::presets;
use ::iroh::protocol::Router;
use ::iroh::{Endpoint, EndpointAddr, EndpointId, RelayMode};
use bytes::Bytes;
use iroh_gossip::api::{Event, GossipReceiver, GossipSender, JoinOptions};
use iroh_gossip::net::Gossip;
use iroh_gossip::proto::TopicId;
use n0_future::StreamExt as _;

use super::{Failure, Mesh, READER_CAPACITY, READY, Setup};
use crate::load::Offered;
use crate::meter::Meter;

/// Room for the header of a message.
const HEADROOM: usize = 1024;

/// Endpoints that each joined through some earlier ones.
#[derive(Debug)]
pub struct Iroh {
    nodes: Vec<Node>,
}

#[derive(Debug)]
struct Node {
    sender: GossipSender,
    gossip: Gossip,
    /// Accepts connections for as long as it is kept.
    _router: Router,
}

impl Mesh for Iroh {
    async fn start(setup: Setup, meter: Arc<Meter>) -> Result<Self, Failure> {
        let lookup = MemoryLookup::new();
        let topic = TopicId::from_bytes([7; 32]);
        let mut nodes = Vec::new();
        let mut ids: Vec<EndpointId> = Vec::new();
        for number in 0..setup.nodes {
            let endpoint = Endpoint::builder(presets::Minimal)
                .relay_mode(RelayMode::Disabled)
                .address_lookup(lookup.clone())
                .clear_ip_transports()
                .bind_addr((Ipv4Addr::LOCALHOST, 0))?
                .bind()
                .await?;
            let socket = endpoint.bound_sockets().into_iter().next().ok_or("the endpoint has no socket")?;
            lookup.add_endpoint_info(EndpointAddr::new(endpoint.id()).with_ip_addr(socket));
            let gossip = Gossip::builder();
            let gossip = gossip.max_message_size(4096.max(setup.size + HEADROOM)).spawn(endpoint.clone());
            let id = endpoint.id();
            let router = Router::builder(endpoint).accept(iroh_gossip::ALPN, gossip.clone()).spawn();
            let options =
                JoinOptions { bootstrap: bootstrap(&ids).collect(), subscription_capacity: READER_CAPACITY };
            let mut joined = gossip.subscribe_with_opts(topic, options).await?;
            if number > 0 {
                tokio::time::timeout(READY, joined.joined()).await??;
            }
            let (sender, receiver) = joined.split();
            tokio::spawn(read(receiver, number, Arc::clone(&meter)));
            ids.push(id);
            nodes.push(Node { sender, gossip, _router: router });
        }
        Ok(Self { nodes })
    }

    async fn publish(&self, node: usize, bodies: Vec<Bytes>, offered: &Offered) -> bool {
        let Some(node) = self.nodes.get(node) else { return false };
        for body in bodies {
            match node.sender.broadcast(body).await {
                Ok(()) => offered.accept(1),
                Err(error) => {
                    offered.refuse(1, error);
                    return false;
                }
            }
        }
        true
    }

    async fn copies(&self, deliveries: u64) -> Option<f64> {
        let copies: u64 = self.nodes.iter().map(|node| node.gossip.metrics().msgs_data_recv.get()).sum();
        (deliveries > 0).then(|| copies as f64 / deliveries as f64)
    }
}

/// The first, the middle and the last of the earlier nodes. Were a newcomer to join through all of them, each would drop a
/// neighbour for it, and some nodes would be left with none.
fn bootstrap(earlier: &[EndpointId]) -> impl Iterator<Item = EndpointId> {
    let last = earlier.len().saturating_sub(1);
    [0, earlier.len() / 2, last].into_iter().filter_map(|at| earlier.get(at)).copied()
}

async fn read(mut receiver: GossipReceiver, number: usize, meter: Arc<Meter>) {
    // `Lagged` says that messages were missed: they are not delivered, and the coverage shows it.
    while let Some(Ok(event)) = receiver.next().await {
        if let Event::Received(message) = event {
            meter.received(number, &message.content);
        }
    }
}
