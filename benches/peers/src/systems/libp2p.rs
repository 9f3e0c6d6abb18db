//! libp2p-gossipsub: every message signed by its author and verified by every node (`ValidationMode::Strict`), as it comes
//! or tuned.
//!
//! Tuned means: the limits on what it sends and on control messages at 1 MB, and message ids of 16 bytes of BLAKE3.
//! Without them it spends its control messages on long ids and throttles itself. The mesh is the default in both.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ::libp2p::futures::StreamExt as _;
use ::libp2p::gossipsub::{
    self, DataTransform, IdentTopic, Message, MessageAuthenticity, MessageId, RawMessage, TopicHash,
    ValidationMode,
};
use ::libp2p::swarm::SwarmEvent;
use ::libp2p::{Multiaddr, Swarm, SwarmBuilder};
use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};

use super::{Failure, Mesh, READY, Setup};
use crate::load::Offered;
use crate::meter::Meter;
use crate::plan::System;

/// Publish requests that may wait for a node's task. It has no back-pressure of its own: `publish` never waits.
const COMMANDS: usize = 64;
const TUNED_LIMIT: usize = 1 << 20;

type Behaviour = gossipsub::Behaviour<CountCopies>;

/// Swarms that each have dialled all earlier ones, each in a task of its own.
#[derive(Debug)]
pub struct Libp2p {
    nodes: Vec<mpsc::Sender<Publish>>,
    copies: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Publish {
    bodies: Vec<Bytes>,
    /// How many were taken, and why others were not.
    answer: oneshot::Sender<(usize, Option<String>)>,
}

/// Sees every copy before duplicates are dropped.
struct CountCopies(Arc<AtomicU64>);

impl DataTransform for CountCopies {
    fn inbound_transform(&self, raw: RawMessage) -> Result<Message, std::io::Error> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(Message {
            source: raw.source,
            data: raw.data,
            sequence_number: raw.sequence_number,
            topic: raw.topic,
        })
    }

    fn outbound_transform(&self, _topic: &TopicHash, data: Vec<u8>) -> Result<Vec<u8>, std::io::Error> {
        Ok(data)
    }
}

fn config(system: System) -> Result<gossipsub::Config, Failure> {
    let mut config = gossipsub::ConfigBuilder::default();
    config.validation_mode(ValidationMode::Strict);
    if system == System::Libp2pTuned {
        config.max_transmit_size(TUNED_LIMIT).max_control_message_size(TUNED_LIMIT);
        config.message_id_fn(|message: &Message| {
            let mut hash = blake3::Hasher::new();
            hash.update(&message.source.map(|peer| peer.to_bytes()).unwrap_or_default());
            hash.update(&message.sequence_number.unwrap_or_default().to_le_bytes());
            MessageId::new(&hash.finalize().as_bytes()[..16])
        });
    }
    Ok(config.build()?)
}

fn swarm(system: System, copies: Arc<AtomicU64>) -> Result<Swarm<Behaviour>, Failure> {
    let config = config(system)?;
    let swarm = SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_quic()
        .with_behaviour(|key| -> Result<Behaviour, Failure> {
            let author = MessageAuthenticity::Signed(key.clone());
            Ok(Behaviour::new_with_transform(author, config, CountCopies(copies))?)
        })?
        // Links outside of the mesh stay up, as they do in the other systems.
        .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(3600)))
        .build();
    Ok(swarm)
}

async fn address(swarm: &mut Swarm<Behaviour>) -> Multiaddr {
    loop {
        if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
            return address;
        }
    }
}

impl Mesh for Libp2p {
    async fn start(setup: Setup, meter: Arc<Meter>) -> Result<Self, Failure> {
        let copies = Arc::new(AtomicU64::new(0));
        let topic = IdentTopic::new("peers");
        let (mut nodes, mut subscribed) = (Vec::new(), Vec::new());
        let mut addresses: Vec<Multiaddr> = Vec::new();
        for number in 0..setup.nodes {
            let mut swarm = swarm(setup.system, Arc::clone(&copies))?;
            swarm.listen_on("/ip4/127.0.0.1/udp/0/quic-v1".parse()?)?;
            swarm.behaviour_mut().subscribe(&topic)?;
            let own = tokio::time::timeout(READY, address(&mut swarm)).await?;
            for earlier in &addresses {
                swarm.dial(earlier.clone())?;
            }
            addresses.push(own);
            let (commands_in, commands) = mpsc::channel(COMMANDS);
            let (subscribers_in, subscribers) = watch::channel(0);
            nodes.push(commands_in);
            subscribed.push(subscribers);
            let (topic, meter) = (topic.hash(), Arc::clone(&meter));
            tokio::spawn(run(swarm, topic, number, meter, commands, subscribers_in));
        }
        for mut subscribers in subscribed {
            tokio::time::timeout(READY, subscribers.wait_for(|&count| count >= setup.nodes - 1)).await??;
        }
        Ok(Self { nodes, copies })
    }

    async fn publish(&self, node: usize, bodies: Vec<Bytes>, offered: &Offered) -> bool {
        let Some(node) = self.nodes.get(node) else { return false };
        let count = bodies.len();
        let (answer, answered) = oneshot::channel();
        let sent = node.send(Publish { bodies, answer }).await.is_ok();
        match answered.await {
            Ok((taken, reason)) if sent => {
                offered.accept(taken);
                if let Some(reason) = reason {
                    offered.refuse(count - taken, reason);
                }
                taken == count
            }
            _ => {
                offered.refuse(count, "the node's task has ended");
                false
            }
        }
    }

    async fn copies(&self, deliveries: u64) -> Option<f64> {
        (deliveries > 0).then(|| self.copies.load(Ordering::Relaxed) as f64 / deliveries as f64)
    }
}

/// A node's task.
async fn run(
    mut swarm: Swarm<Behaviour>,
    topic: TopicHash,
    number: usize,
    meter: Arc<Meter>,
    mut commands: mpsc::Receiver<Publish>,
    subscribers: watch::Sender<usize>,
) {
    loop {
        tokio::select! {
            event = swarm.select_next_some() => match event {
                SwarmEvent::Behaviour(gossipsub::Event::Message { message, .. }) => {
                    meter.received(number, &message.data);
                }
                SwarmEvent::Behaviour(gossipsub::Event::Subscribed { .. }) => {
                    subscribers.send_modify(|count| *count += 1);
                }
                _ => {}
            },
            command = commands.recv() => {
                let Some(Publish { bodies, answer }) = command else { return };
                let (mut taken, mut reason) = (0, None);
                for body in bodies {
                    match swarm.behaviour_mut().publish(topic.clone(), body) {
                        Ok(_) => taken += 1,
                        Err(error) => reason = Some(error.to_string()),
                    }
                }
                // Nobody listens any more if the load is over.
                let _ = answer.send((taken, reason));
            }
        }
    }
}
