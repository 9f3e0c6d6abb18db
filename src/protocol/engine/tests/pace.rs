//! Claims about which records of members a node passes on, and when.

use std::sync::Arc;

use bytes::Bytes;

use super::hostile::frame_of;
use super::node::secret;
use super::world::{NETWORK, World};
use crate::key::SecretKey;
use crate::protocol::LinkId;
use crate::rumor::{
    Beacon, Bundle, BundleId, Cell, ChainTerms, MemberRecord, NetworkId, Position, PulseChain, RuleSet,
    Topic, members_topic, seal,
};
use crate::wire::{self, KeyPrefix, Lane, Pulse, PulsePage, Pulses, TopicChange};

/// A node that is a member, and what its peers are.
struct Told {
    world: World,
    rules: Arc<RuleSet>,
    node: usize,
    author: SecretKey,
    teller: usize,
    listener: usize,
}

impl Told {
    fn new(seed: u64) -> Self {
        let mut world = World::new(seed);
        world.topic(&Topic::named("t"));
        let node = world.node_with(|spec| spec.member = Some(secret("node", 0)));
        world.run(2_000);
        let author = world.liar(1);
        let (teller, listener) = (world.hostile(node), world.hostile(node));
        let mut told =
            Self { world, rules: members_topic(NetworkId::of(NETWORK)), node, author, teller, listener };
        told.listens(listener);
        told
    }

    /// A peer says that it relays the topic of members.
    fn listens(&mut self, peer: usize) {
        let joined = vec![*self.rules.id().as_bytes()];
        self.world.says(peer, Lane::Control, wire::topics(&TopicChange { joined, ..TopicChange::default() }));
        self.world.run(100);
    }

    /// A record of the author at the tick of now, or so many before, which says this.
    fn record(&self, before: u64, slot: u16, says: &'static str) -> Bundle {
        let tick = self.world.tick(&self.rules) - before;
        let chain = PulseChain::new(&self.author.public(), 100, [1; 16]);
        let start = (self.world.now(self.node).unix_ms / 1000 / 5) as u32;
        let beacon = Beacon {
            boot_ms: 1,
            chain: ChainTerms { epoch_s: 5, start, len: 100, anchor: chain.anchor() },
            addresses: Vec::new(),
            metadata: Bytes::from_static(says.as_bytes()),
        };
        let cell = Cell::put("b", MemberRecord::Beacon(beacon).encode().unwrap()).unwrap();
        seal(&self.author, self.rules.id(), Position { tick, slot }, &[cell.encode()]).unwrap()
    }

    /// The teller pushes this, and it is accepted.
    fn pushes(&mut self, bundle: &Bundle) -> BundleId {
        let before = self.world.nodes[self.node].counters().accepted;
        self.world.says(self.teller, Lane::System, frame_of(3, &[bundle]));
        self.world.run(50);
        assert_eq!(self.world.nodes[self.node].counters().accepted, before + 1);
        bundle.id()
    }

    fn shows(&self) -> Vec<u8> {
        self.world.nodes[self.node].engine.member(&self.author.public()).unwrap().metadata
    }

    /// Whether a peer was given a bundle, or told of it.
    fn has(&self, peer: usize, id: &BundleId) -> bool {
        let hostile = &self.world.hostiles[peer];
        hostile.got_announcement(id) || hostile.bundles().iter().any(|(_, bundle)| bundle.id() == *id)
    }
}

#[test]
fn a_fifth_record_of_a_member_is_shown_at_once_and_passed_on_when_its_turn_comes() {
    let mut told = Told::new(1);
    let mut ids = Vec::new();
    for (slot, says) in (0..).zip(["1", "2", "3", "4", "5", "6"]) {
        let record = told.record(0, slot, says);
        ids.push(told.pushes(&record));
        assert_eq!(told.shows(), says.as_bytes(), "the table does not wait");
    }
    told.world.run(100);
    let had = |told: &Told, peer| ids.iter().map(|id| told.has(peer, id)).collect::<Vec<_>>();
    let four = [true, true, true, true, false, false];
    assert_eq!(had(&told, told.listener), four);
    let counters = told.world.nodes[told.node].counters();
    assert_eq!((counters.records_waited, counters.records_superseded), (2, 1));
    // Whoever comes meanwhile is told of none that is not the newest, nor of that; and no round of repair tells of it.
    let late = told.world.hostile(told.node);
    told.listens(late);
    told.world.run(20_000);
    assert_eq!((had(&told, told.listener), had(&told, late)), (four.to_vec(), vec![false; 6]));
    // Whoever asks is given it.
    told.world.says(late, Lane::System, wire::pull(&told.rules.id(), &[ids[5]]));
    told.world.run(100);
    assert_eq!(had(&told, late), [false, false, false, false, false, true]);
    assert!(!told.has(told.listener, &ids[5]));
    // A minute after the first it is passed on; the one before it never is.
    told.world.run(60_000);
    assert_eq!(had(&told, told.listener), [true, true, true, true, false, true]);
}

#[test]
fn what_is_no_record_or_older_than_the_newest_of_its_member_is_not_passed_on() {
    let mut told = Told::new(2);
    let (older, newest) = (told.record(9, 0, "older"), told.record(0, 0, "newest"));
    let cell = Cell::put("b", "no record").unwrap();
    let at = Position { tick: told.world.tick(&told.rules), slot: 7 };
    let odd = seal(&told.world.liar(2), told.rules.id(), at, &[cell.encode()]).unwrap();
    let (newest, older, odd) = (told.pushes(&newest), told.pushes(&older), told.pushes(&odd));
    told.world.run(10_000);
    let had = |id| told.has(told.listener, id);
    assert_eq!((had(&newest), had(&older), had(&odd)), (true, false, false));
    assert_eq!(told.shows(), b"newest");
    assert_eq!(told.world.nodes[told.node].counters().records_unspread, 2);
}

/// What a node says of itself begins in any slot of a tick, so two processes that start together rarely use the same one.
#[test]
fn a_nodes_records_begin_with_any_slot() {
    let slot = |seed| {
        let told = Told::new(seed);
        let engine = &told.world.nodes[told.node].engine;
        let own = engine.explain(&secret("node", 0).public()).unwrap();
        own.record.header().first_slot
    };
    let slots: std::collections::BTreeSet<_> = (10..18).map(slot).collect();
    assert!(slots.len() >= 6, "{slots:?}");
}

/// Pulses far down a chain, each of them made up, with fewer bytes than a link may bring at once.
#[test]
fn a_link_that_brings_made_up_pulses_is_read_later_and_others_are_read_on() {
    let mut told = Told::new(3);
    let record = told.record(0, 0, "here");
    told.pushes(&record);
    // (A minute later pulses of the next are taken too: the first sixty-five seconds of the chain.)
    let bogus = |frame: u64| {
        let made = |number: u64| {
            let mut value = [0; 16];
            value[..8].copy_from_slice(&(frame << 32 | number).to_le_bytes());
            Pulse { member: KeyPrefix::of(&told.author.public()), index: 13, value, failed_here: false }
        };
        wire::pulses(&Pulses { page: PulsePage::Pushed, pulses: (0..256).map(made).collect() })
    };
    let frames: Vec<_> = (0..25).map(bogus).collect();
    assert!(frames.iter().map(Bytes::len).sum::<usize>() < 200 * 1024);
    let link = |peer: usize, told: &Told| LinkId(2 * told.world.hostiles[peer].wire as u64 + 1);
    let reads =
        |peer: usize, told: &Told| told.world.nodes[told.node].engine.is_read(link(peer, told), Lane::System);
    told.world.run(10_000);
    for frame in frames {
        told.world.says(told.teller, Lane::System, frame);
        told.world.run(20);
    }
    assert!(!reads(told.teller, &told), "it was charged for what it made this node hash");
    assert!(reads(told.listener, &told));
    assert_eq!(told.world.hostiles[told.teller].closed, None, "it is no offence");
}
