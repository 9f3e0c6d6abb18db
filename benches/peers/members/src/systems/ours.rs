//! The engines of this library in its simulator.

use std::time::Duration;

use vouchsafe::MemberEvent;
use vouchsafe::sim::{Churn, Liar, Network, Scenario};

use super::{Aim, Lies, Setup, System, Verdict};

/// Everything that is registered against signs of life.
pub(crate) const LIARS: [Liar; 4] = [Liar::Mute, Liar::HoldPulses, Liar::Revive, Liar::BogusPulses];

/// Links that each node dials, as the dialler's default is.
const LINKS: usize = 12;

pub(crate) struct Ours {
    network: Network,
}

impl Ours {
    pub(crate) fn new(setup: &Setup, renewals_per_s: u32) -> Self {
        let nodes = setup.nodes;
        let (liar, count) = match &setup.lies {
            Lies::Nobody => (Liar::Silent, 0),
            Lies::One(liar) => (liar.clone(), 1),
            Lies::Third(liar) => (liar.clone(), nodes / 3),
        };
        let mut scenario = Scenario {
            nodes,
            links: LINKS.min(nodes.saturating_sub(1)),
            loss: setup.loss,
            liar_count: Some(count),
            liar,
            // They dial for every place that there is.
            grasping: if count > 0 { 4 } else { 0 },
            members: true,
            churn: Some(Churn::default()),
            seed: setup.seed,
            ..Scenario::default()
        };
        scenario.config.members.renewals_per_s = renewals_per_s;
        Self { network: Network::new(scenario) }
    }

    fn node_of(&self, key: &vouchsafe::PublicKey) -> Option<usize> {
        (0..self.network.len()).find(|node| self.network.key_of(*node).as_ref() == Some(key))
    }
}

impl System for Ours {
    fn now(&self) -> Duration {
        self.network.elapsed()
    }

    fn run_for(&mut self, time: Duration) {
        self.network.run_for(time);
    }

    fn crash(&mut self, node: usize) {
        self.network.crash(node);
    }

    fn pause(&mut self, node: usize, time: Duration) {
        self.network.stand_still(node, time);
    }

    fn aim(&mut self, _: Aim, _: usize) {}

    fn lies(&self, node: usize) -> bool {
        !self.network.is_honest(node)
    }

    fn verdicts(&self) -> Vec<Verdict> {
        let failed = self.network.member_news().iter().filter_map(|news| match &news.event {
            MemberEvent::Failed(key, _) => Some((news, key)),
            _ => None,
        });
        let verdict = failed
            .filter_map(|(news, key)| Some(Verdict { at: news.at, by: news.node, of: self.node_of(key)? }));
        verdict.collect()
    }

    fn shows(&self, node: usize, member: usize) -> bool {
        let key = self.network.key_of(member);
        let shown = key.and_then(|key| self.network.engine(node)?.member(&key));
        shown.is_some_and(|member| member.state == vouchsafe::MemberState::Alive)
    }

    fn bytes_sent(&self) -> u64 {
        self.network.bytes_sent()
    }
}
