//! The dialler alone, under virtual time.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::super::limits::{MAX_ADDRESSES, MAX_DIALS, MAX_KEPT};
use super::*;

const OWN: PublicKey = PublicKey::from_bytes([0; 32]);
const PEER: PublicKey = PublicKey::from_bytes([1; 32]);

/// A dialler, its clock, and what a driver knows beside it.
struct World {
    dialler: Dialler<u8>,
    now: Mono,
    /// Dials under way, where each goes: a second one for a peer is what must never be.
    dials: BTreeMap<PublicKey, u8>,
    links: BTreeMap<LinkId, PublicKey>,
    next_link: u64,
    begun: Vec<(Mono, PublicKey, u8)>,
}

impl World {
    fn new() -> Self {
        let (dials, links) = (BTreeMap::new(), BTreeMap::new());
        let dialler = Dialler::new(OWN, &[7; 32]);
        Self { dialler, now: Mono::default(), dials, links, next_link: 0, begun: Vec::new() }
    }

    fn keeping(addrs: &[u8]) -> Self {
        let mut world = Self::new();
        for addr in addrs {
            world.keep(PEER, *addr).unwrap();
        }
        world
    }

    fn keep(&mut self, peer: PublicKey, addr: u8) -> Result<(), KeepError> {
        let kept = self.dialler.keep(self.now, peer, addr);
        self.poll();
        kept
    }

    fn poll(&mut self) {
        while let Some(order) = self.dialler.poll(self.now, |_| None) {
            let Order::Dial { peer, addr } = order else { panic!("nobody refuses") };
            assert_eq!(self.dials.insert(peer, addr), None, "a second dial of one peer");
            assert!(!self.links.values().any(|linked| *linked == peer), "a dial of one that is linked");
            self.begun.push((self.now, peer, addr));
        }
        assert!(self.dials.len() <= MAX_DIALS && self.dialler.under_way() == self.dials.len());
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now.plus(time);
        self.poll();
    }

    /// Waits for the next dial; gives how long that took and where it goes.
    fn next_dial(&mut self) -> (Duration, u8) {
        let began = self.now;
        let due = self.dialler.next_deadline().expect("a dial is due");
        self.now = self.now.max(due);
        self.poll();
        (self.now.since(began), self.dials[&PEER])
    }

    fn fail(&mut self, peer: PublicKey) -> bool {
        self.dials.remove(&peer).expect("a dial is under way");
        let told = self.dialler.failed(self.now, &peer, &"nobody answered");
        self.poll();
        told
    }

    fn connect(&mut self, peer: PublicKey) -> Option<LinkId> {
        assert!(self.dials.remove(&peer).is_some(), "a dial is under way");
        let link = self.link();
        let wanted = self.dialler.connected(&peer, link);
        if wanted {
            self.links.insert(link, peer);
        }
        self.poll();
        wanted.then_some(link)
    }

    fn link(&mut self) -> LinkId {
        self.next_link += 1;
        LinkId(self.next_link)
    }

    fn inbound(&mut self, peer: PublicKey) -> LinkId {
        let link = self.link();
        self.links.insert(link, peer);
        self.dialler.link_up(&peer, link);
        self.poll();
        link
    }

    fn down(&mut self, link: LinkId, live_for: Option<u64>) {
        let peer = self.links.remove(&link);
        let live_for = live_for.map(Duration::from_secs);
        assert_eq!(self.dialler.link_down(self.now, link, live_for, &"hung up"), peer);
        self.poll();
    }

    fn state(&self) -> DialState {
        self.dialler.list(self.now)[0].state
    }
}

const fn is_about(pause: Duration, expected: Duration) -> bool {
    // A fifth of jitter.
    pause.as_nanos() >= expected.as_nanos() && pause.as_nanos() * 5 <= expected.as_nanos() * 6
}

#[test]
fn pauses_double_up_to_the_longest_and_a_stable_link_ends_the_doubling() {
    let mut world = World::keeping(&[1]);
    let mut expected = FIRST_PAUSE;
    for _ in 0..12 {
        assert!(world.fail(PEER), "somebody should know");
        let (pause, _) = world.next_dial();
        assert!(is_about(pause, expected), "{pause:?} instead of {expected:?}");
        expected = (expected * 2).min(LONGEST_PAUSE);
    }
    assert_eq!(expected, LONGEST_PAUSE);
    // A link that was live for less than ten seconds, or was refused before it was, changes nothing.
    for live_for in [None, Some(0), Some(9)] {
        let link = world.connect(PEER).unwrap();
        world.down(link, live_for);
        assert!(is_about(world.next_dial().0, LONGEST_PAUSE));
    }
    let link = world.connect(PEER).unwrap();
    world.down(link, Some(10));
    assert!(is_about(world.next_dial().0, FIRST_PAUSE));
}

#[test]
fn hanging_up_sixty_times_or_in_many_links_at_once_adds_no_dial() {
    let mut world = World::keeping(&[1]);
    // Each time the peer hangs up on our link, and on five of its own that it made meanwhile.
    for _ in 0..60 {
        let ours = world.connect(PEER).unwrap();
        let theirs: Vec<_> = (0..5).map(|_| world.inbound(PEER)).collect();
        theirs.into_iter().chain([ours]).for_each(|link| world.down(link, None));
        world.next_dial();
    }
    world.fail(PEER);
    let begun = world.begun.len();
    assert_eq!(begun, 61);
    // And at rest there is a dial in half a minute at the most.
    for _ in 0..3600 {
        world.pass(Duration::from_secs(1));
        if world.dials.contains_key(&PEER) {
            world.fail(PEER);
        }
    }
    let begun = world.begun.len() - begun;
    assert!((100..=120).contains(&begun), "{begun} dials in an hour");
}

#[test]
fn a_new_address_is_dialled_at_once_and_its_pauses_start_anew() {
    // Given a peer that has not been reached for a while.
    let mut world = World::keeping(&[1]);
    for _ in 0..9 {
        world.fail(PEER);
        world.next_dial();
    }
    world.fail(PEER);
    // When the known address is given again, then it goes on waiting; a new one is dialled now.
    world.keep(PEER, 1).unwrap();
    assert!(world.dials.is_empty());
    world.keep(PEER, 2).unwrap();
    assert_eq!(world.dials[&PEER], 2);
    world.fail(PEER);
    let (pause, addr) = world.next_dial();
    assert!(is_about(pause, FIRST_PAUSE) && addr == 1);
    // One that comes while another is dialled follows it without a pause.
    world.keep(PEER, 3).unwrap();
    world.fail(PEER);
    assert_eq!(
        (world.dials[&PEER], world.now.since(world.begun[world.begun.len() - 2].0)),
        (3, Duration::ZERO)
    );
}

#[test]
fn addresses_are_tried_in_turn_and_the_one_that_worked_first() {
    let mut world = World::keeping(&[1]);
    world.keep(PEER, 2).unwrap();
    world.keep(PEER, 3).unwrap();
    let mut tried = Vec::new();
    for _ in 0..6 {
        tried.push(world.dials[&PEER]);
        world.fail(PEER);
        if world.dials.is_empty() {
            world.next_dial();
        }
    }
    // (The first was under way when the others came.)
    assert_eq!(tried, [1, 3, 2, 1, 3, 2]);
    // When one works, and its link ends, then that one is first and the others follow.
    let at = world.dials[&PEER];
    let link = world.connect(PEER).unwrap();
    world.keep(PEER, 4).unwrap();
    assert_eq!(world.state(), DialState::Linked, "an address is noted while there is a link, no more");
    world.down(link, Some(60));
    assert_eq!(world.next_dial().1, at);
    world.fail(PEER);
    let rest: Vec<_> = (0..3).map(|_| (world.next_dial().1, world.fail(PEER)).0).collect();
    assert_eq!(
        BTreeSet::from_iter(rest),
        BTreeSet::from_iter([1, 2, 3, 4].into_iter().filter(|addr| *addr != at))
    );
    // One that answers and never says hello is not tried for ever.
    let (_, first) = world.next_dial();
    let link = world.connect(PEER).unwrap();
    world.down(link, None);
    assert_ne!(world.next_dial().1, first);
}

#[test]
fn addresses_and_peers_are_bounded_and_ones_own_key_is_nobodys() {
    let mut world = World::keeping(&[1]);
    (2..=40).for_each(|addr| world.keep(PEER, addr).unwrap());
    let listed = world.dialler.list(world.now);
    assert_eq!(listed[0].addresses, [40, 39, 38, 37, 36, 35, 34, 33]);
    assert_eq!(listed[0].addresses.len(), MAX_ADDRESSES);
    assert_eq!(world.keep(OWN, 1), Err(KeepError::OwnKey));
    let key = |number: u16| {
        let mut key = [9; 32];
        key[..2].copy_from_slice(&number.to_le_bytes());
        PublicKey::from_bytes(key)
    };
    let kept = (0..2000).filter(|number| world.keep(key(*number), 1).is_ok()).count();
    assert_eq!(kept + 1, MAX_KEPT);
    assert_eq!(world.keep(key(1999), 1), Err(KeepError::TooMany));
    // Few are dialled at once; whoever waits is dialled when one of those is done.
    assert_eq!(world.dials.len(), MAX_DIALS);
    assert_eq!(world.dialler.next_deadline(), None);
    world.fail(PEER);
    assert_eq!(world.dials.len(), MAX_DIALS);
    let long = "é".repeat(1000);
    let next = *world.dials.keys().next().unwrap();
    world.dials.remove(&next);
    world.dialler.failed(world.now, &next, &long);
    let listed = world.dialler.list(world.now);
    let error = listed.into_iter().find(|kept| kept.peer == next).and_then(|kept| kept.last_error).unwrap();
    assert_eq!(error, "é".repeat(super::super::limits::MAX_ERROR_LEN / 2));
}

#[test]
fn a_dial_of_one_that_was_forgotten_comes_to_nothing() {
    let mut world = World::keeping(&[1]);
    world.dialler.forget(&PEER);
    assert!(world.dialler.list(world.now).is_empty());
    assert_eq!(world.connect(PEER), None, "not wanted");
    assert_eq!((world.dialler.next_deadline(), world.dialler.under_way()), (None, 0));
    // Kept again before its dial is done, it is that dial's, and there is no other.
    world.keep(PEER, 1).unwrap();
    world.dialler.forget(&PEER);
    world.keep(PEER, 1).unwrap();
    assert!(world.connect(PEER).is_some());
    assert_eq!(world.begun.len(), 2);
}

#[test]
fn whom_the_node_itself_would_refuse_is_not_dialled_and_tried_later() {
    let mut world = World::new();
    world.dialler.keep(world.now, PEER, 1).unwrap();
    let mut pauses = Vec::new();
    for _ in 0..10 {
        let order = world.dialler.poll(world.now, |_| Some(Reason::Full));
        assert_eq!(order, Some(Order::Refused { peer: PEER, reason: Reason::Full }));
        assert_eq!(world.dialler.poll(world.now, |_| Some(Reason::Full)), None);
        let due = world.dialler.next_deadline().unwrap();
        pauses.push(due.since(world.now));
        world.now = due;
    }
    assert!(is_about(pauses[0], FIRST_PAUSE) && is_about(pauses[9], LONGEST_PAUSE));
    assert_eq!((world.dialler.dials(), world.dialler.under_way()), (0, 0));
    world.poll();
    assert_eq!(world.dials.len(), 1);
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Keep { peer: u8, addr: u8 },
    Forget { peer: u8 },
    Fail { peer: u8 },
    Connect { peer: u8 },
    Inbound { peer: u8 },
    Down { link: u8, live_for: Option<u8> },
    Pass { millis: u16 },
}

fn op() -> impl Strategy<Value = Op> {
    let peer = 1u8..4;
    prop_oneof![
        (peer.clone(), 0u8..12).prop_map(|(peer, addr)| Op::Keep { peer, addr }),
        peer.clone().prop_map(|peer| Op::Forget { peer }),
        peer.clone().prop_map(|peer| Op::Fail { peer }),
        peer.clone().prop_map(|peer| Op::Connect { peer }),
        peer.prop_map(|peer| Op::Inbound { peer }),
        (any::<u8>(), proptest::option::of(0u8..20)).prop_map(|(link, live_for)| Op::Down { link, live_for }),
        (0u16..2000).prop_map(|millis| Op::Pass { millis }),
    ]
}

proptest! {
    #[test]
    fn a_peer_has_one_dial_at_the_most_and_none_while_it_is_linked(ops in prop::collection::vec(op(), 1..200)) {
        let key = |peer: u8| PublicKey::from_bytes([peer; 32]);
        let mut world = World::new();
        for op in ops {
            match op {
                Op::Keep { peer, addr } => world.keep(key(peer), addr).unwrap(),
                Op::Forget { peer } => world.dialler.forget(&key(peer)),
                Op::Fail { peer } if world.dials.contains_key(&key(peer)) => _ = world.fail(key(peer)),
                Op::Connect { peer } if world.dials.contains_key(&key(peer)) => _ = world.connect(key(peer)),
                Op::Inbound { peer } => _ = world.inbound(key(peer)),
                Op::Down { link, live_for } => {
                    let at = usize::from(link) % world.links.len().max(1);
                    if let Some(link) = world.links.keys().nth(at).copied() {
                        world.down(link, live_for.map(u64::from));
                    }
                }
                Op::Pass { millis } => world.pass(Duration::from_millis(millis.into())),
                Op::Fail { .. } | Op::Connect { .. } => {}
            }
            // (The world asserts that no peer is dialled twice at once, or while it is linked.)
            for kept in world.dialler.list(world.now) {
                let linked = world.links.values().any(|peer| *peer == kept.peer);
                prop_assert_eq!(kept.state == DialState::Linked, linked);
                let waits = world.dialler.due.iter().filter(|(_, peer)| *peer == kept.peer).count();
                let dials = usize::from(world.dials.contains_key(&kept.peer));
                // Whoever is kept is linked, or waited for, or dialled: nobody is forgotten by itself.
                prop_assert!(waits + dials <= 1 && (linked || waits + dials == 1), "{kept:?}");
            }
        }
    }
}
