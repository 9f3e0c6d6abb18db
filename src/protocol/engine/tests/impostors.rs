//! Every registered adversary, between two correct nodes that have one other link.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::node::secret;
use super::world::{Side, World};
use crate::adversary::{self, Liar, Plot, Step};
use crate::key::PublicKey;
use crate::protocol::{DownReason, LinkId, Now};
use crate::rumor::{RuleSet, Topic};
use crate::wire::Lane;

/// One of them.
pub(super) struct Impostor {
    pub(super) key: PublicKey,
    pub(super) peer: adversary::Impostor,
}

impl World {
    /// An adversary that has dialled `victims`, and is after the first of them.
    pub(super) fn impostor(&mut self, liar: &Liar, rules: &Arc<RuleSet>, victims: &[usize]) -> usize {
        let (index, key) = (self.impostors.len(), secret("impostor", self.impostors.len() as u64));
        let everybody = self.nodes.iter().map(|node| node.key).collect();
        let plot = Plot { rules: Arc::clone(rules), victim: self.nodes[victims[0]].key, everybody };
        let (public, now) = (key.public(), self.true_now());
        let peer = adversary::Impostor::new(liar, key, plot, now, index as u64);
        self.impostors.push(Impostor { key: public, peer });
        for victim in victims {
            self.wire(Side::Impostor(index), Side::Node(*victim));
        }
        index
    }

    fn true_now(&self) -> Now {
        self.now_with(0)
    }

    pub(super) fn meets(&mut self, at: usize, link: LinkId, peer: PublicKey, dialled: bool) {
        let (now, rtt) = (self.true_now(), 2 * self.latency.1);
        self.impostors[at].peer.link_up(now, link, peer, dialled, rtt);
        self.perform(at);
    }

    pub(super) fn parts(&mut self, at: usize, link: LinkId, why: DownReason) {
        let now = self.true_now();
        self.impostors[at].peer.link_down(now, link, why);
        self.perform(at);
    }

    pub(super) fn hears(&mut self, at: usize, link: LinkId, lane: Lane, frame: Bytes) {
        let now = self.true_now();
        self.impostors[at].peer.frame(now, link, lane, frame);
        self.perform(at);
    }

    pub(super) fn acts(&mut self, at: usize) {
        let now = self.true_now();
        self.impostors[at].peer.tick(now);
        self.perform(at);
    }

    fn perform(&mut self, at: usize) {
        while let Some(step) = self.impostors[at].peer.poll() {
            match step {
                Step::Send { link: LinkId(id), lane, payload } => {
                    self.send(id as usize / 2, id as usize % 2, lane, payload);
                }
                Step::Close { link: LinkId(id), reason } => {
                    self.close(id as usize / 2, id as usize % 2, reason);
                }
                // A world's links are given.
                Step::Dial(_) => {}
            }
        }
    }
}

/// For how long each of them lies, seconds.
const MINUTE: u64 = 60;
/// Bytes of a body that is announced, and pushed to nobody.
const LARGE: usize = 20_000;
/// Adversaries that lie where a topic is kept, which this one is not (`a_third_that_lies_about_the_past_delays_it_a_little`, in the
/// simulator), or about members, which these nodes are not (`liars_fail_nobody_who_lives_and_keep_nobody_who_is_gone`, there too).
const WANT_MORE: [Liar; 11] = [
    Liar::Echo,
    Liar::Gappy,
    Liar::Invent,
    Liar::Split,
    Liar::Trickle,
    Liar::Withhold,
    Liar::Laggard,
    Liar::Floor,
    Liar::Mute,
    Liar::HoldPulses,
    Liar::Revive,
];
/// Honest nodes: a victim, and others that hear each other through it only.
const NODES: usize = 4;

/// What went wrong while an adversary lied to a victim and its neighbour for a minute, and to a node that hears everybody through
/// it alone, to which nothing is promised. (The world checks after every event that nobody honest is blamed, banned or convicted,
/// and that every counter is right.)
fn faults_among(liar: &Liar) -> Vec<String> {
    let mut world = World::new(7);
    let rules = world.topic(&Topic::named("t").max_body(2 * LARGE as u32));
    for _ in 0..=NODES {
        // As by default: who is after a peer is after its author, too.
        world.node_with(|spec| spec.key = spec.author.public());
    }
    for node in 1..NODES {
        world.connect(0, node);
    }
    world.impostor(liar, &rules, &[0, NODES - 1, NODES]);
    world.run(300);
    let mut said = Vec::new();
    for second in 0..MINUTE {
        for node in 0..=NODES {
            // Every third is large, so that it is announced and pulled.
            let len = if second % 3 == 0 { LARGE } else { 20 };
            let word = format!("{node} in second {second}");
            let body: Vec<u8> = word.bytes().chain(std::iter::repeat(b'.')).take(len).collect();
            world.publish(node, &rules, &body);
            if node < NODES {
                said.push(body);
            }
        }
        world.run(1_000);
    }
    world.run(10_000);
    let mut faults = Vec::new();
    if world.impostors[0].peer.lies() == 0 && !WANT_MORE.contains(liar) {
        faults.push(format!("{liar} did nothing"));
    }
    for (at, node) in world.nodes.iter().enumerate().take(NODES) {
        for body in said.iter().filter(|body| !node.has_heard(body)) {
            faults.push(format!("{liar}: node {at} lacks {}", String::from_utf8_lossy(&body[..20])));
        }
        faults.extend(node.engine.check().into_iter().map(|fault| format!("{liar}: node {at}: {fault}")));
    }
    faults
}

#[test]
fn every_adversary_leaves_an_engine_among_honest_neighbours_as_it_was() {
    let mut faults = Vec::new();
    for liar in Liar::ALL {
        faults.extend(faults_among(liar));
    }
    assert_eq!(faults, Vec::<String>::new());
}

/// A clock that is hurried changes when the adversary acts, and nothing else.
#[test]
fn a_hurried_adversary_acts_sooner() {
    let first_lie = |haste: u32| {
        let mut world = World::new(3);
        let rules = world.topic(&Topic::named("t"));
        world.nodes(1);
        let now = world.true_now();
        let plot = Plot { rules, victim: world.nodes[0].key, everybody: Arc::from([]) };
        let mut peer =
            adversary::Impostor::new(&Liar::Phantoms, secret("impostor", 0), plot, now, 1).hurried(haste);
        peer.link_up(now, LinkId(0), world.nodes[0].key, true, Duration::ZERO);
        loop {
            let at = peer.next_deadline().expect("it has something to do");
            peer.tick(Now { mono: at, ..now });
            // Its hello, and what its engine says to an idle link, are no lies.
            if peer.lies() > 0 {
                return at.as_nanos();
            }
        }
    };
    let usual = first_lie(1);
    assert!(usual > 3_000_000_000, "{usual} ns");
    assert_eq!(first_lie(8), usual.div_ceil(8));
}
