//! The honest nodes: real ones, over QUIC on the loopback interface.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use vouchsafe::protocol::MAX_LINKS;
use vouchsafe::rumor::RuleSet;
use vouchsafe::{Config, Node, PeerAddr, PublicKey, SecretKey, Topic, TopicHandle, VerifierPool};

use super::plan::{Dice, Plan};
use crate::agent::Shown;
use crate::exit::Failure;
use crate::node::LEAVING;

pub(super) const NETWORK: &str = "vouchsafe-demo";
const TOPIC: &str = "rumors";
/// Longest wait until the nodes have found each other: on one machine they need a second or two.
const FINDING: Duration = Duration::from_secs(30);

/// The running honest nodes, by their numbers in the plan.
pub(super) struct World {
    pub(super) nodes: Vec<Node>,
    pub(super) topics: Vec<TopicHandle>,
}

/// What everybody may know of the world.
#[derive(Clone, Debug)]
pub struct Directory {
    /// In the order of their numbers.
    pub honest: Vec<PeerAddr>,
    pub(crate) liars: Vec<PublicKey>,
    /// Of the topic that all are in.
    pub rules: RuleSet,
    /// Numbers of the honest nodes.
    numbers: HashMap<PublicKey, usize>,
}

impl Directory {
    /// Of these nodes.
    pub fn new(honest: Vec<PeerAddr>, liars: Vec<PublicKey>, rules: RuleSet) -> Self {
        let numbers = honest.iter().enumerate().map(|(number, peer)| (peer.key, number)).collect();
        Self { honest, liars, rules, numbers }
    }

    /// The number of an honest node, or `None` for a liar and for keys that are nobody's.
    pub(super) fn honest_number(&self, key: &PublicKey) -> Option<usize> {
        self.numbers.get(key).copied()
    }

    pub(super) fn liar_number(&self, key: &PublicKey) -> Option<usize> {
        self.liars.iter().position(|liar| liar == key)
    }
}

impl World {
    pub(super) async fn spawn(plan: &Plan) -> Result<Self, Failure> {
        // One pool for all: threads for each node would only take the processors from each other.
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let verifiers = VerifierPool::new(threads);
        let mut config = Config::default();
        config.expected_nodes = u32::try_from(plan.nodes).unwrap_or(u32::MAX);
        config.publishing.eager = plan.fanout;
        // The author pushes to more, since nobody else has it yet (as many as an author has against relays,
        // twice over: a node here has only some eight links, and an announced copy comes a round trip later).
        config.publishing.eager_author = 4 * plan.fanout;
        config.links.max = MAX_LINKS;
        config.links.inbound = MAX_LINKS;
        config.dialling.outbound = plan.fanout;
        let mut dice = Dice::new(plan.seed, "nodes");
        let mut nodes = Vec::with_capacity(plan.nodes);
        let mut topics = Vec::with_capacity(plan.nodes);
        for number in 0..plan.nodes {
            // All but the first know one address.
            let way_in = nodes.first().and_then(Node::addr);
            let node = Node::builder(SecretKey::generate())
                .bootstrap(way_in)
                .network(NETWORK)
                .listen("127.0.0.1:0")
                .topic(Topic::named(TOPIC))
                .config(config.clone())
                .rng_seed(dice.bytes())
                .verifiers(verifiers.clone())
                .spawn()
                .await
                .map_err(|error| Failure::Failed(format!("honest node {number} can't start: {error}")))?;
            topics.push(node.join(Topic::named(TOPIC)).await.map_err(Failure::failed)?);
            nodes.push(node);
        }
        Ok(Self { nodes, topics })
    }

    pub(super) fn directory(&self, liars: Vec<PublicKey>) -> Result<Directory, Failure> {
        let rules = self.topics.first().map(|topic| topic.rules().clone());
        let rules = rules.ok_or_else(|| Failure::failed("there is no node"))?;
        Ok(Directory::new(self.nodes.iter().filter_map(Node::addr).collect(), liars, rules))
    }

    /// Waits until each node knows all members, and each has the links that it chooses. Gives how many links there are.
    pub(super) async fn find(&self, plan: &Plan) -> Result<usize, Failure> {
        let all = async {
            for (node, topic) in self.nodes.iter().zip(&self.topics) {
                node.wait_for_members(plan.nodes).await.map_err(Failure::failed)?;
                topic.wait_for_links(plan.fanout).await.map_err(Failure::failed)?;
            }
            let mut ends = 0;
            for node in &self.nodes {
                ends += node.stats().await.map_err(Failure::failed)?.links.len();
            }
            Ok(ends / 2)
        };
        tokio::time::timeout(FINDING, all).await.unwrap_or_else(|_| {
            Err(Failure::Failed(format!(
                "the honest nodes have not found each other after {} s: is this machine overloaded, or UDP on 127.0.0.1 blocked?",
                FINDING.as_secs()
            )))
        })
    }

    /// Serves the live page of the first node.
    pub(super) async fn show(&self, at: SocketAddr) -> Result<Shown, Failure> {
        let first = self.nodes.first().zip(self.topics.first());
        let (node, topic) = first.ok_or_else(|| Failure::failed("there is no node"))?;
        Shown::begin(node, NETWORK, [(TOPIC.to_owned(), topic.clone())], at).await
    }

    pub(super) async fn shutdown(self) {
        let mut all = tokio::task::JoinSet::new();
        for node in self.nodes {
            all.spawn(async move { node.shutdown().await });
        }
        let _ = tokio::time::timeout(LEAVING, all.join_all()).await;
    }
}
