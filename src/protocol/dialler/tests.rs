//! The dialler alone, under virtual time.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::super::failpoint::Failpoint;
use super::super::limits::{MAX_ADDRESSES, MAX_DIALS, MAX_KEPT, MAX_SUGGESTED};
use super::*;

mod afresh;
mod anchors;
mod choice;
mod crowd;
mod draws;
mod hosts;

const OWN: PublicKey = PublicKey::from_bytes([0; 32]);
const PEER: PublicKey = PublicKey::from_bytes([1; 32]);

const NETWORK: NetworkId = NetworkId::from_bytes([3; 32]);

/// A dialler, its clock, and what a driver knows beside it.
struct World {
    dialler: Dialler<u8>,
    now: Mono,
    /// Dials under way, where each goes: a second one for a peer is what must never be.
    dials: BTreeMap<PublicKey, u8>,
    links: BTreeMap<LinkId, PublicKey>,
    next_link: u64,
    begun: Vec<(Mono, PublicKey, u8)>,
    hung_up: Vec<PublicKey>,
    /// Peers that were not dialled, since the node would refuse them.
    refused: usize,
    /// Those that are to be kept, and how often that was ordered.
    anchors: Vec<(PublicKey, u8)>,
    kept_anchors: usize,
    sight: Sight,
}

/// What the dialler sees of its node.
#[derive(Default)]
struct Sight {
    refuses: Option<Reason>,
    proven: BTreeSet<LinkId>,
    /// Links that have brought others' signs of life.
    signs: BTreeSet<LinkId>,
    /// Links on which the peer does not say hello.
    mute: BTreeSet<LinkId>,
    /// Links over which nothing comes.
    silent: BTreeSet<LinkId>,
    /// Links whose peers have no place for the node.
    guest: BTreeSet<LinkId>,
    expected_nodes: Option<u32>,
    heard_at: Option<Mono>,
    /// Signs of life of members come.
    members: bool,
}

impl View for Sight {
    fn refuses(&self, _: &PublicKey) -> Option<Reason> {
        self.refuses
    }

    fn is_proven(&self, link: LinkId) -> bool {
        self.proven.contains(&link)
    }

    fn brings_signs(&self, link: LinkId) -> bool {
        self.signs.contains(&link)
    }

    fn hears_members(&self, _: Mono) -> bool {
        self.members
    }

    fn is_live(&self, link: LinkId) -> bool {
        !self.mute.contains(&link)
    }

    fn is_guest(&self, link: LinkId) -> bool {
        self.guest.contains(&link)
    }

    fn expected_nodes(&self) -> Option<u32> {
        self.expected_nodes
    }

    fn heard_at(&self) -> Option<Mono> {
        self.heard_at
    }
}

impl World {
    fn new() -> Self {
        Self::with(&Config::default())
    }

    fn with(config: &Config) -> Self {
        Self {
            dialler: Dialler::new(OWN, NETWORK, config, &[7; 32]),
            now: Mono::default(),
            dials: BTreeMap::new(),
            links: BTreeMap::new(),
            next_link: 0,
            begun: Vec::new(),
            hung_up: Vec::new(),
            refused: 0,
            anchors: Vec::new(),
            kept_anchors: 0,
            sight: Sight::default(),
        }
    }

    fn keeping(addrs: &[u8]) -> Self {
        let mut world = Self::new();
        for addr in addrs {
            world.keep(PEER, *addr).unwrap();
        }
        world
    }

    /// Now, by both clocks.
    fn time(&self) -> Now {
        Now { mono: self.now, unix_ms: 1_700_000_000_000 + self.now.as_nanos() / 1_000_000 }
    }

    fn keep(&mut self, peer: PublicKey, addr: u8) -> Result<(), KeepError> {
        let kept = self.dialler.keep(self.now, peer, addr);
        self.poll();
        kept
    }

    /// Names candidates; only then is the dialler asked.
    fn suggest(&mut self, peers: impl IntoIterator<Item = PublicKey>, origin: Origin) {
        for peer in peers {
            self.dialler.suggest(self.now, peer, 1, origin).unwrap();
        }
        self.poll();
    }

    fn poll(&mut self) {
        while let Some(order) = self.dialler.poll(self.time(), &self.sight) {
            match order {
                Order::Dial { peer, addr } => {
                    assert_eq!(self.dials.insert(peer, addr), None, "a second dial of one peer");
                    let works =
                        |(link, linked): (&_, &_)| *linked == peer && !self.sight.silent.contains(link);
                    assert!(!self.links.iter().any(works), "a dial of one that is linked");
                    self.begun.push((self.now, peer, addr));
                }
                Order::HangUp { link } => {
                    let peer =
                        self.links.remove(&link).expect("a link is hung up once, and while it is there");
                    self.hung_up.push(peer);
                    let ended =
                        self.dialler.link_down(self.now, link, Some(STABLE), Ending::Closed, &"hung up");
                    assert_eq!(ended, Some(peer));
                }
                Order::KeepAnchors { anchors } => {
                    self.anchors = anchors;
                    self.kept_anchors += 1;
                }
                Order::Refused { .. } => {
                    assert!(self.sight.refuses.is_some());
                    self.refused += 1;
                }
            }
        }
        assert!(self.dials.len() <= MAX_DIALS && self.dialler.under_way() == self.dials.len());
        self.dialler.recount();
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now.plus(time);
        self.poll();
    }

    /// Lets time pass as a driver does: it asks whenever something is due.
    fn pass_awake(&mut self, time: Duration) {
        let until = self.now.plus(time);
        while let Some(due) = self.dialler.next_deadline().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            let before = self.dialler.next_deadline();
            self.poll();
            assert!(self.dialler.next_deadline() != before, "nothing is due twice at one time");
        }
        self.now = until;
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
        let told = self.dialler.failed(self.now, &peer, Ending::Closed, &"refused");
        self.poll();
        told
    }

    fn fail_in_silence(&mut self, peer: PublicKey) {
        self.dials.remove(&peer).expect("a dial is under way");
        self.dialler.failed(self.now, &peer, Ending::Silent, &"nobody answered");
        self.poll();
    }

    fn connect(&mut self, peer: PublicKey) -> Option<LinkId> {
        assert!(self.dials.remove(&peer).is_some(), "a dial is under way");
        let link = self.link();
        let wanted = self.dialler.connected(self.now, &peer, link);
        if wanted {
            self.links.insert(link, peer);
        }
        self.poll();
        wanted.then_some(link)
    }

    /// Whoever is dialled answers.
    fn connect_all(&mut self) {
        while let Some(peer) = self.dials.keys().next().copied() {
            self.connect(peer).expect("wanted");
        }
    }

    fn link(&mut self) -> LinkId {
        self.next_link += 1;
        LinkId(self.next_link)
    }

    fn link_of(&self, peer: PublicKey) -> LinkId {
        self.links.iter().find(|(_, linked)| **linked == peer).map(|(link, _)| *link).expect("a link")
    }

    fn inbound(&mut self, peer: PublicKey) -> LinkId {
        let link = self.link();
        self.links.insert(link, peer);
        self.dialler.link_up(&peer, link);
        self.poll();
        link
    }

    fn down(&mut self, link: LinkId, live_for: Option<u64>) {
        self.ends(link, live_for, Ending::Closed);
    }

    fn ends(&mut self, link: LinkId, live_for: Option<u64>, how: Ending) {
        let peer = self.links.remove(&link);
        let live_for = live_for.map(Duration::from_secs);
        assert_eq!(self.dialler.link_down(self.now, link, live_for, how, &"ended"), peer);
        self.poll();
    }

    fn state(&self) -> DialState {
        self.dialler.list(self.now)[0].state
    }
}

impl<A: Clone + Ord> Dialler<A> {
    /// Holds every counter against what it counts, and each peer against where it waits.
    fn recount(&self) {
        let candidates = self.peers.values().filter(|peer| peer.candidate().is_some()).count();
        assert_eq!((candidates, self.candidates <= MAX_SUGGESTED), (self.candidates, true));
        assert!(self.peers.len() - candidates <= MAX_KEPT);
        let of = |kind: Kind| self.links.values().filter(|link| link.kind == kind).count();
        assert_eq!(of(Kind::Chosen), self.chosen);
        let under_way = self.peers.values().filter(|peer| peer.is_under_way()).count();
        assert_eq!(under_way, self.under_way);
        let errands: Vec<_> = self.peers.values().filter_map(Peer::errand).collect();
        let feeling = errands.iter().filter(|errand| **errand == Errand::Feeler).count();
        let challenges = errands.iter().filter(|errand| matches!(errand, Errand::Challenge(_))).count();
        assert_eq!(challenges, self.choice.dials_aside());
        let visits = errands.iter().filter(|errand| **errand == Errand::Visit).count();
        assert_eq!(visits, self.gone.dials_aside());
        let afresh = errands.iter().filter(|errand| matches!(errand, Errand::Afresh(_))).count();
        assert_eq!(afresh, self.afresh.dials_aside());
        let slots: Vec<_> = self.links.values().filter_map(|linked| linked.slot).collect();
        let mut taken = BTreeSet::from_iter(slots.iter().copied());
        assert_eq!(taken.len(), slots.len(), "a slot is one link's");
        let dialled = errands.iter().filter_map(|errand| match errand {
            Errand::Slot(slot) => Some(*slot),
            _ => None,
        });
        assert!(
            dialled.into_iter().all(|slot| taken.insert(slot)),
            "a slot is dialled for once, and if it has no link"
        );
        assert!(of(Kind::Challenger) + challenges <= 1);
        let found = self.open.iter().filter(|turn| turn.2 == Origin::Found).count();
        assert_eq!(found, self.choice.open_found());
        self.rests.held();
        assert_eq!(feeling, self.feelers.under_way());
        assert!(feeling + of(Kind::Feeler) <= self.config.dialling.feelers, "feelers");
        assert!(self.missed() <= self.config.dialling.outbound);
        let queued =
            |at: fn(Queued) -> bool| self.peers.values().filter(|peer| peer.queued().is_some_and(at)).count();
        assert_eq!(queued(|at| matches!(at, Queued::Until(_))), self.due.len());
        assert_eq!(queued(|at| matches!(at, Queued::Open(_))), self.open.len());
    }
}

fn key(number: u16) -> PublicKey {
    let mut key = [9; 32];
    key[..2].copy_from_slice(&number.to_le_bytes());
    PublicKey::from_bytes(key)
}

const fn is_about(pause: Duration, expected: Duration) -> bool {
    // A fifth of jitter.
    pause.as_nanos() >= expected.as_nanos() && pause.as_nanos() * 5 <= expected.as_nanos() * 6
}

#[test]
fn pauses_double_up_to_the_longest_and_a_stable_link_ends_the_doubling() {
    let mut world = World::keeping(&[1]);
    world.inbound(key(7));
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

/// While somebody of another group is on its way, two others of that group come.
#[test]
fn a_link_for_its_group_is_hung_up_if_its_group_has_its_slots_by_then() {
    let mut config = wanting(4);
    config.dialling.feelers = 0;
    let mut world = World::with(&config);
    world.dialler.count_groups(|addr| Some(crate::protocol::NetGroup::V4([1, 2, *addr])));
    world.suggest((0..4).map(key), Origin::Found);
    world.connect_all();
    for number in 10..13 {
        world.dialler.suggest(world.now, key(number), 2, Origin::Found).unwrap();
    }
    // One of the three is dialled for the place of one of the four.
    while world.dialler.under_way() == 0 {
        world.pass(Duration::from_secs(1));
    }
    let (challenger, addr) = world.dials.first_key_value().map(|(peer, addr)| (*peer, *addr)).unwrap();
    assert!(world.dialler.choice.is_for_group() && addr == 2);
    let of_first: Vec<_> = world
        .dialler
        .links
        .iter()
        .filter(|(_, linked)| linked.slot < Some(2))
        .map(|(link, _)| *link)
        .collect();
    of_first.into_iter().for_each(|link| world.down(link, Some(5)));
    let others: Vec<_> = world.dials.keys().copied().filter(|peer| *peer != challenger).collect();
    assert_eq!(others.len(), 2);
    others.into_iter().for_each(|peer| _ = world.connect(peer).unwrap());
    world.connect(challenger).unwrap();
    world.pass(Duration::from_secs(1));
    assert_eq!(world.hung_up, [challenger]);
}

/// A crowd that waits for one peer is turned away together: it should not come back together.
#[test]
fn a_node_without_any_link_dials_its_kept_peers_sooner_and_at_a_time_of_its_own() {
    let mut world = World::keeping(&[1]);
    let mut pauses = Vec::new();
    for _ in 0..60 {
        world.fail(PEER);
        pauses.push(world.next_dial().0);
    }
    let late = &pauses[10..];
    assert!(late.iter().all(|pause| (LONGEST_ALONE..=2 * LONGEST_ALONE).contains(pause)), "{pauses:?}");
    let (soon, late) = (late.iter().min().unwrap(), late.iter().max().unwrap());
    assert!(*late - *soon > LONGEST_ALONE / 2, "{soon:?} to {late:?}");
    // With another link there is time.
    world.inbound(key(7));
    world.fail(PEER);
    assert!(is_about(world.next_dial().0, LONGEST_PAUSE));
}

#[test]
fn hanging_up_sixty_times_or_in_many_links_at_once_adds_no_dial() {
    let mut world = World::keeping(&[1]);
    world.inbound(key(7));
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
    world.inbound(key(7));
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
    world.dialler.failed(world.now, &next, Ending::Silent, &long);
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
    world.inbound(key(7));
    world.sight.refuses = Some(Reason::Full);
    world.dialler.keep(world.now, PEER, 1).unwrap();
    let mut pauses = Vec::new();
    for _ in 0..10 {
        let order = world.dialler.poll(world.time(), &world.sight);
        assert_eq!(order, Some(Order::Refused { peer: PEER, reason: Reason::Full }));
        assert_eq!(world.dialler.poll(world.time(), &world.sight), None);
        let due = world.dialler.next_deadline().unwrap();
        pauses.push(due.since(world.now));
        world.now = due;
    }
    assert!(is_about(pauses[0], FIRST_PAUSE) && is_about(pauses[9], LONGEST_PAUSE));
    assert_eq!((world.dialler.dials(), world.dialler.under_way()), (0, 0));
    world.sight.refuses = None;
    world.poll();
    assert_eq!(world.dials.len(), 1);
}

#[test]
fn a_node_without_a_place_dials_no_candidate_until_it_has_one() {
    let mut config = wanting(12);
    config.dialling.feelers = 0;
    let mut world = World::with(&config);
    world.sight.refuses = Some(Reason::Full);
    world.suggest((0..20).map(key), Origin::Told);
    world.pass_awake(Duration::from_millis(2500));
    assert_eq!((world.dialler.dials(), world.dialler.is_short(world.now), world.refused), (0, false, 0));
    world.sight.refuses = None;
    world.pass_awake(Duration::from_secs(1));
    assert_eq!(world.dials.len(), 12);
    // One that this node would never take is passed over, and the next has its turn.
    world.sight.refuses = Some(Reason::Banned);
    world.fail(world.begun[0].1);
    assert_eq!(world.dials.len(), 11);
    world.sight.refuses = None;
    world.pass_awake(Duration::from_secs(1));
    assert_eq!(world.dials.len(), 12);
}

/// With so many links to dial.
fn wanting(outbound: usize) -> Config {
    let dialling = DialConfig { outbound, ..DialConfig::default() };
    Config { dialling, ..Config::default() }
}

#[test]
fn candidates_fill_what_is_missing_and_the_next_replaces_one_that_refuses() {
    // Given a kept peer that is linked, and room for three links,
    let mut world = World::with(&wanting(3));
    world.keep(PEER, 1).unwrap();
    world.connect(PEER).unwrap();
    world.suggest((0..10).map(key), Origin::Told);
    // when candidates are known, then two of them are dialled: the kept peer counts.
    assert_eq!(world.dials.len(), 2);
    let first: Vec<_> = world.dials.keys().copied().collect();
    // One refuses, and one hangs up before it has said hello: each is replaced at once by one that was not tried yet.
    world.fail(first[0]);
    let link = world.connect(first[1]).unwrap();
    world.down(link, None);
    assert_eq!((world.dials.len(), world.begun.len()), (2, 5));
    world.connect_all();
    // With three links nobody else is dialled, however long that lasts, since something is heard.
    for _ in 0..100 {
        world.sight.heard_at = Some(world.now);
        world.pass_awake(Duration::from_secs(1));
    }
    assert_eq!((world.begun.len(), world.links.len()), (5, 3));
    // When the kept peer goes, then a candidate stands in for it, and it is dialled too.
    world.down(world.link_of(PEER), Some(60));
    assert_eq!(world.dials.len(), 1);
    world.sight.heard_at = Some(world.now);
    world.pass_awake(Duration::from_secs(1));
    assert_eq!((world.dials.len(), world.dials.contains_key(&PEER)), (2, true));
    // Those that refused come again when all others have had their turn.
    let mut tried = BTreeSet::new();
    world.fail(PEER);
    for _ in 0..8 {
        let peer = *world.dials.keys().find(|peer| **peer != PEER).unwrap();
        tried.insert(peer);
        world.fail(peer);
    }
    assert_eq!(tried.len(), 8, "each once, before any a second time");
}

#[test]
fn candidates_that_keep_a_place_for_us_are_dialled_first() {
    let config = wanting(12);
    let all: Vec<_> = (0..1000).map(key).collect();
    let is_hash_selected = |peer: &PublicKey| config.is_hash_selected(&NETWORK, &OWN, peer, 1_700_000_000);
    let hash_selected = all.iter().filter(|peer| is_hash_selected(peer)).count();
    assert!((12..50).contains(&hash_selected), "{hash_selected}");
    let first = |config: &Config| {
        let mut world = World::with(config);
        world.suggest(all.iter().copied(), Origin::Told);
        world.dials.keys().filter(|peer| is_hash_selected(peer)).count()
    };
    assert_eq!(first(&config), 12);
    // Without the order a few are among them by chance.
    assert!(first(&Config { failpoint: Some(Failpoint::AnyOrder), ..config.clone() }) < 4);
    // Of those that keep none, what was told comes before what was found.
    let mut world = World::with(&Config { expected_nodes: u32::MAX, ..wanting(3) });
    world.suggest((0..30).map(key), Origin::Found);
    world.dials.keys().copied().collect::<Vec<_>>().into_iter().for_each(|peer| _ = world.connect(peer));
    world.suggest([PEER], Origin::Told);
    let link = *world.links.keys().next().unwrap();
    world.down(link, Some(60));
    assert!(world.dials.contains_key(&PEER));
}

#[test]
fn one_that_was_lost_in_silence_is_dialled_again_beside_those_that_replace_it() {
    let mut world = World::with(&wanting(4));
    world.suggest((0..40).map(key), Origin::Told);
    world.connect_all();
    let first: Vec<_> = world.links.values().copied().collect();
    // When all links fall silent, as in a partition, then others are dialled,
    for peer in &first {
        world.ends(world.link_of(*peer), Some(60), Ending::Silent);
    }
    assert!(world.dials.keys().all(|peer| !first.contains(peer)) && world.dials.len() == 4);
    world.connect_all();
    // and the lost ones again and again, half a minute apart in the end.
    for _ in 0..600 {
        world.sight.heard_at = Some(world.now);
        world.pass_awake(Duration::from_secs(1));
        let dialled: Vec<_> = world.dials.keys().copied().collect();
        assert!(dialled.iter().all(|peer| first.contains(peer)));
        dialled.into_iter().for_each(|peer| world.fail_in_silence(peer));
    }
    let begun = world.begun.iter().filter(|(_, peer, _)| *peer == first[0]).count();
    assert!((20..40).contains(&begun), "{begun} dials in ten minutes");
    // No more are missed than links are wanted.
    let second: Vec<_> = world.links.values().copied().collect();
    for peer in &second {
        world.ends(world.link_of(*peer), Some(60), Ending::Silent);
    }
    assert_eq!((world.dialler.missed(), world.dials.len()), (4, 4));
    // One that answers with a refusal is missed no more.
    world.connect_all();
    world.sight.heard_at = Some(world.now.plus(Duration::from_secs(3600)));
    world.pass_awake(Duration::from_secs(40));
    world.dials.keys().copied().collect::<Vec<_>>().into_iter().for_each(|peer| _ = world.fail(peer));
    assert_eq!(world.dialler.missed(), 0);
    world.pass_awake(Duration::from_secs(100));
    assert!(world.dials.is_empty());
}

#[test]
fn while_signs_of_life_of_members_come_others_are_felt_for_ever_more_rarely() {
    // Given a node that has the links it wants, and knows others,
    let mut world = World::with(&wanting(3));
    world.suggest((0..40).map(key), Origin::Found);
    world.connect_all();
    let pass = |world: &mut World, seconds: u64| {
        let before = world.dialler.feelers();
        for _ in 0..seconds {
            world.pass_awake(Duration::from_secs(1));
            world.connect_all();
        }
        world.dialler.feelers() - before
    };
    // when signs of life come, but no rumor, then it feels for others as soon as ever,
    world.sight.members = true;
    assert_eq!(pass(&mut world, 2), 4);
    // and after some minutes four times in ten of them, however often something is said now and then.
    pass(&mut world, 600);
    let mut felt = 0;
    for _ in 0..60 {
        world.sight.heard_at = Some(world.now);
        felt += pass(&mut world, 30);
    }
    assert!((4..=16).contains(&felt), "{felt} in half an hour");
    // When much is said, and nothing any more, then it feels for others soon again.
    for _ in 0..600 {
        world.sight.heard_at = Some(world.now);
        pass(&mut world, 1);
    }
    assert!(pass(&mut world, 3) >= 4);
    // And when no sign comes any more, then it does at once, and every half a minute.
    pass(&mut world, 1_200);
    world.sight.members = false;
    assert_eq!(pass(&mut world, 1), 4);
    pass(&mut world, 60);
    assert!((8..=16).contains(&pass(&mut world, 90)));
}

#[test]
fn a_node_that_hears_nothing_feels_for_others_and_one_that_brings_something_takes_the_place_of_a_silent_link()
{
    // Given three links that never bring anything, one of them to a kept peer, and many candidates more,
    let mut world = World::with(&wanting(3));
    world.keep(PEER, 1).unwrap();
    world.connect(PEER).unwrap();
    world.suggest((0..40).map(key), Origin::Told);
    world.connect_all();
    let silent: Vec<_> = world.links.values().copied().collect();
    world.pass_awake(Duration::from_millis(1999));
    assert_eq!((world.dialler.feelers(), world.begun.len()), (0, 3));
    // when two seconds have passed, then four feelers are sent.
    world.pass_awake(Duration::from_millis(1));
    assert_eq!((world.dialler.feelers(), world.dials.len()), (4, 4));
    world.connect_all();
    // They bring nothing: after a second they are hung up, and four others are tried, after 1, 2, 4 and at last 30 s.
    let mut felt = BTreeSet::from_iter(world.links.values().copied());
    for seconds in [1, 2, 4, 8, 16, 30, 30, 30] {
        world.pass_awake(Duration::from_millis(999));
        assert_eq!(world.links.len(), 7);
        world.pass_awake(Duration::from_millis(1));
        if seconds > 1 {
            assert_eq!((world.links.len(), world.dials.len()), (3, 0), "after {seconds} s");
            world.pass_awake(Duration::from_secs(seconds - 1));
        }
        assert_eq!(world.dials.len(), 4, "after {seconds} s");
        assert!(
            world.dials.keys().all(|peer| felt.insert(*peer)),
            "each is tried once before any a second time"
        );
        world.connect_all();
    }
    assert!(
        world.links.values().filter(|peer| silent.contains(peer)).count() == 3,
        "no link is given up for nothing"
    );
    // When one brings something, then it stays, and one of the silent links goes, but not that of the kept peer.
    let good = *world.links.values().find(|peer| !silent.contains(peer)).unwrap();
    world.sight.proven.insert(world.link_of(good));
    world.sight.heard_at = Some(world.now);
    world.poll();
    assert_eq!(world.hung_up.last(), silent.iter().find(|peer| **peer != PEER));
    world.pass_awake(Duration::from_millis(1999));
    assert!(world.links.values().any(|peer| *peer == good) && world.links.values().any(|peer| *peer == PEER));
    assert_eq!((world.links.len(), world.dials.len(), world.dialler.feelers()), (3, 0, 36));
    // And when it hears nothing for two seconds again, then it feels again.
    world.pass_awake(Duration::from_millis(1));
    assert_eq!(world.dials.len(), 4);
}

#[test]
fn feelers_that_do_not_answer_or_are_not_configured_add_no_dial() {
    let mut world = World::with(&wanting(1));
    world.suggest((0..9).map(key), Origin::Told);
    world.connect_all();
    // Four feelers whose dials hang take all places of feelers, however long.
    world.pass_awake(Duration::from_secs(300));
    assert_eq!((world.dials.len(), world.dialler.feelers()), (4, 4));
    // The time of one that is slow to answer begins when it has.
    let late = *world.dials.keys().next().unwrap();
    world.connect(late);
    world.pass_awake(Duration::from_millis(999));
    assert!(world.links.values().any(|peer| *peer == late));
    // One that becomes a kept peer meanwhile is no feeler any more.
    world.keep(late, 1).unwrap();
    world.pass_awake(Duration::from_secs(100));
    assert!(world.links.values().any(|peer| *peer == late));
    let mut config = wanting(1);
    config.dialling.feelers = 0;
    let mut world = World::with(&config);
    world.suggest((0..9).map(key), Origin::Told);
    world.connect_all();
    world.pass_awake(Duration::from_secs(300));
    assert_eq!((world.begun.len(), world.dialler.next_deadline()), (1, None));
}

#[test]
fn links_are_at_most_twice_what_is_wanted_however_many_feelers_bring_something() {
    let mut world = World::with(&wanting(2));
    world.suggest((0..200).map(key), Origin::Told);
    for _ in 0..40 {
        world.connect_all();
        // All bring something once, and then nothing any more.
        world.sight.proven.extend(world.links.keys());
        world.pass_awake(Duration::from_secs(31));
    }
    assert!(world.dialler.feelers() > 100);
    assert_eq!(world.links.len(), 4);
}

#[test]
fn candidates_are_bounded_and_what_strangers_name_drives_out_nothing_that_was_told() {
    let mut world = World::with(&wanting(0));
    let many = u16::try_from(MAX_SUGGESTED).unwrap();
    world.suggest((0..many).map(key), Origin::Told);
    assert_eq!(world.dialler.candidates(), MAX_SUGGESTED);
    let more = |world: &mut World, origin| world.dialler.suggest(world.now, PEER, 1, origin);
    assert_eq!(more(&mut world, Origin::Told), Err(KeepError::TooManyCandidates));
    assert_eq!(world.dialler.suggest(world.now, OWN, 1, Origin::Told), Err(KeepError::OwnKey));
    // One that was tried in vain makes room for what is told, but not for what is found.
    world.pass_awake(Duration::from_secs(3));
    let tried = *world.dials.keys().next().unwrap();
    world.fail(tried);
    assert_eq!(more(&mut world, Origin::Found), Err(KeepError::TooManyCandidates));
    assert_eq!(more(&mut world, Origin::Told), Ok(()));
    assert_eq!(world.dialler.candidates(), MAX_SUGGESTED);
    assert!(!world.dialler.peers.contains_key(&tried));
    // A kept peer needs no such room, and keeps its addresses.
    world.keep(key(5000), 1).unwrap();
    (2..20).for_each(|addr| world.dialler.suggest(world.now, key(5000), addr, Origin::Found).unwrap());
    assert_eq!(world.dialler.list(world.now)[0].addresses, [1, 2, 3, 4, 5, 6, 7, 8]);
}

#[test]
fn what_strangers_name_drives_out_no_address_of_a_candidate_that_was_told_and_adds_no_dial() {
    let mut config = wanting(1);
    config.dialling.feelers = 0;
    let mut world = World::with(&config);
    world.suggest([PEER], Origin::Told);
    // When strangers name another address of it each second,
    for second in 0..240u8 {
        world.dialler.suggest(world.now, PEER, 2 + second, Origin::Found).unwrap();
        world.pass_awake(Duration::from_secs(1));
        if world.dials.contains_key(&PEER) {
            world.fail_in_silence(PEER);
        }
    }
    // Then it is dialled no more often than without them, and where it was told to be as well.
    assert!(world.begun.len() <= 8 + 240 / 30, "{}", world.begun.len());
    assert!(world.dialler.peers[&PEER].all_addresses().contains(&1));
    let late =
        world.begun.iter().filter(|(at, _, addr)| *at > Mono::from_nanos(30_000_000_000) && *addr == 1);
    assert!(late.count() > 0, "{:?}", world.begun);
}

#[test]
fn what_strangers_name_keeps_out_nobody_whom_the_application_names() {
    // Given a node that has all the links that it wants, and as many candidates of strangers as it may remember.
    let mut world = World::with(&wanting(0));
    world.suggest((0..u16::try_from(MAX_SUGGESTED).unwrap()).map(key), Origin::Found);
    // When the application names one, then one of theirs goes for it.
    assert_eq!(world.dialler.suggest(world.now, PEER, 1, Origin::Told), Ok(()));
    assert_eq!(world.dialler.candidates(), MAX_SUGGESTED);
    assert!(world.dialler.peers.contains_key(&PEER));
}

#[test]
fn what_strangers_name_adds_no_dial_of_a_candidate_that_was_found() {
    let mut world = World::with(&wanting(1));
    world.suggest([PEER], Origin::Found);
    for second in 0..240u8 {
        world.dialler.suggest(world.now, PEER, 2 + second, Origin::Found).unwrap();
        world.pass_awake(Duration::from_secs(1));
        if world.dials.contains_key(&PEER) {
            world.fail_in_silence(PEER);
        }
    }
    assert!(world.begun.len() <= 8 + 240 / 30, "{}", world.begun.len());
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Keep { peer: u8, addr: u8 },
    Suggest { peer: u8, addr: u8, found: bool },
    Prove { link: u8 },
    Forget { peer: u8 },
    Fail { peer: u8 },
    Connect { peer: u8 },
    Inbound { peer: u8 },
    Down { link: u8, live_for: Option<u8>, silent: bool },
    Pass { millis: u16 },
    Gone { peer: u8 },
    Back { peer: u8, left: bool },
}

fn op() -> impl Strategy<Value = Op> {
    let peer = 1u8..9;
    prop_oneof![
        (peer.clone(), 0u8..12).prop_map(|(peer, addr)| Op::Keep { peer, addr }),
        (4u8..9, 0u8..12, any::<bool>()).prop_map(|(peer, addr, found)| Op::Suggest { peer, addr, found }),
        any::<u8>().prop_map(|link| Op::Prove { link }),
        peer.clone().prop_map(|peer| Op::Forget { peer }),
        peer.clone().prop_map(|peer| Op::Fail { peer }),
        peer.clone().prop_map(|peer| Op::Connect { peer }),
        peer.clone().prop_map(|peer| Op::Inbound { peer }),
        peer.clone().prop_map(|peer| Op::Gone { peer }),
        (peer, any::<bool>()).prop_map(|(peer, left)| Op::Back { peer, left }),
        (any::<u8>(), proptest::option::of(0u8..20), any::<bool>())
            .prop_map(|(link, live_for, silent)| Op::Down { link, live_for, silent }),
        (0u16..40_000).prop_map(|millis| Op::Pass { millis }),
    ]
}

proptest! {
    #[test]
    fn a_peer_has_one_dial_at_the_most_and_none_while_it_is_linked(ops in prop::collection::vec(op(), 1..200)) {
        let key = |peer: u8| PublicKey::from_bytes([peer; 32]);
        let mut config = wanting(2);
        config.dialling.feelers = 2;
        let mut world = World::with(&config);
        let nth = |world: &World, link: u8| {
            world.links.keys().nth(usize::from(link) % world.links.len().max(1)).copied()
        };
        for op in ops {
            match op {
                Op::Keep { peer, addr } => world.keep(key(peer), addr).unwrap(),
                Op::Suggest { peer, addr, found } => {
                    let origin = if found { Origin::Found } else { Origin::Told };
                    world.dialler.suggest(world.now, key(peer), addr, origin).unwrap();
                    world.poll();
                }
                Op::Prove { link } => world.sight.proven.extend(nth(&world, link)),
                Op::Forget { peer } => world.dialler.forget(&key(peer)),
                Op::Fail { peer } if world.dials.contains_key(&key(peer)) => _ = world.fail(key(peer)),
                Op::Connect { peer } if world.dials.contains_key(&key(peer)) => _ = world.connect(key(peer)),
                Op::Inbound { peer } => _ = world.inbound(key(peer)),
                Op::Down { link, live_for, silent } => {
                    let how = if silent { Ending::Silent } else { Ending::Closed };
                    if let Some(link) = nth(&world, link) {
                        world.ends(link, live_for.map(u64::from), how);
                    }
                }
                Op::Gone { peer } => world.dialler.member_failed(world.now, &key(peer)),
                Op::Back { peer, left: true } => world.dialler.member_left(&key(peer)),
                Op::Back { peer, left: false } => world.dialler.member_returned(world.now, &key(peer)),
                Op::Pass { millis } => world.pass(Duration::from_millis(millis.into())),
                Op::Fail { .. } | Op::Connect { .. } => {}
            }
            // (The world asserts that no peer is dialled twice at once, or while it is linked, and recounts.)
            for kept in world.dialler.list(world.now) {
                let linked = world.links.values().any(|peer| *peer == kept.peer);
                prop_assert_eq!(kept.state == DialState::Linked, linked);
                let waits = world.dialler.due.iter().filter(|(_, peer)| *peer == kept.peer).count();
                let dials = usize::from(world.dials.contains_key(&kept.peer));
                // Whoever is kept is linked, or waited for, or dialled: nobody is forgotten by itself.
                prop_assert!(waits + dials <= 1 && (linked || waits + dials == 1), "{kept:?}");
            }
            // A candidate that is neither linked nor dialled waits in one place.
            for (peer, known) in &world.dialler.peers {
                let linked = world.links.values().any(|other| other == peer);
                let waits = known.queued().is_some() || known.is_under_way();
                let stays = known.is_gone() && !waits;
                prop_assert!(linked != waits || known.is_under_way() || stays, "{known:?}");
            }
        }
    }
}
