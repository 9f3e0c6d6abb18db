//! What a node of a simulation dials with.

use std::collections::BTreeSet;

use super::machine::Machine;
use super::queue::NodeIndex;
use crate::key::PublicKey;
use crate::protocol::dialler::View;
use crate::protocol::{Config, Dialler, LinkId, Mono, Now, Order, Origin};
use crate::rumor::NetworkId;
use crate::wire::Reason;

/// What a node dials with.
#[derive(Debug)]
pub(super) struct Dialling {
    pub(super) dialler: Dialler<NodeIndex>,
    config: Config,
    /// Links to dial, as the topology says.
    pub(super) wanted: usize,
    /// Whom the topology gives it, and of whom it is told at the beginning.
    pub(super) told: Vec<(NodeIndex, Origin)>,
    /// Peers that it dials though no dialler says so: what adversaries do.
    pub(super) knocking: BTreeSet<NodeIndex>,
    /// When it looks again, nanoseconds; 0 if that is not planned.
    pub(super) looks_at: u64,
}

impl Dialling {
    pub(super) fn new(key: PublicKey, network: NetworkId, config: Config) -> Self {
        let dialler = Dialler::new(key, network, &config, key.as_bytes());
        let knocking = BTreeSet::new();
        Self { dialler, config, wanted: 0, told: Vec::new(), knocking, looks_at: 0 }
    }

    /// A dialler that wants so many links, feels for others or does not, and knows nobody.
    pub(super) fn renew(&mut self, key: PublicKey, network: NetworkId, feels: bool) {
        let mut config = self.config.clone();
        config.dialling.outbound = self.wanted;
        if !feels {
            config.dialling.feelers = 0;
        }
        self.dialler = Dialler::new(key, network, &config, key.as_bytes());
        self.knocking.clear();
        self.looks_at = 0;
    }

    /// What is to be done next, if anything is, where the node runs this machine.
    pub(super) fn next_order(&mut self, now: Now, machine: &dyn Machine) -> Option<Order<NodeIndex>> {
        self.dialler.poll(now, &Of(machine))
    }
}

/// What a dialler asks of a machine. One that is no engine refuses nobody, and nobody knows what it has heard.
struct Of<'a>(&'a dyn Machine);

impl View for Of<'_> {
    fn refuses(&self, peer: &PublicKey) -> Option<Reason> {
        self.0.engine().and_then(|engine| engine.would_refuse_dial(peer))
    }

    fn is_proven(&self, link: LinkId) -> bool {
        self.0.engine().is_none_or(|engine| engine.is_proven(link))
    }

    fn brings_signs(&self, link: LinkId) -> bool {
        self.0.engine().is_some_and(|engine| engine.brings_signs(link))
    }

    fn hears_members(&self, now: Mono) -> bool {
        self.0.engine().is_some_and(|engine| engine.hears_members(now))
    }

    fn is_live(&self, link: LinkId) -> bool {
        self.0.engine().is_none_or(|engine| View::is_live(engine, link))
    }

    fn is_guest(&self, link: LinkId) -> bool {
        self.0.engine().is_some_and(|engine| engine.is_guest(link))
    }

    fn expected_nodes(&self) -> Option<u32> {
        self.0.engine().and_then(View::expected_nodes)
    }

    fn heard_at(&self) -> Option<Mono> {
        self.0.engine().and_then(crate::protocol::Engine::heard_at)
    }
}
