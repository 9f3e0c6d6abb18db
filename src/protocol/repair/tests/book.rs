//! The book: what is compared depends on what is held, and on nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::bundle;
use crate::key::PublicKey;
use crate::protocol::Mono;
use crate::protocol::check::Recount;
use crate::protocol::keeping::{
    Arrival, Forget, Forgotten, Group, Head, Keep, KeepOptions, Keeping, Kept, Opened, Prev, Show, Size,
};
use crate::protocol::limits::{HEADS_COMPARED, HEADS_KEPT_FOR_COMPARED, MAX_AWAITED, SLICES};
use crate::protocol::repair::book::Book;
use crate::protocol::repair::heads::Item;
use crate::protocol::repair::{KeptTopic, Repair, moments};
use crate::rumor::{Bundle, BundleId, NetworkId, Position, Previous, RuleSet, TickLen, Topic};
use crate::store::{MemoryStore, Store as _};

/// The first tick of the tests: a second long, at a multiple of 16.
const START: u64 = 16 * 100_000_000;

fn rules() -> RuleSet {
    Topic::named("book").bind(NetworkId::of("books")).unwrap()
}

fn at(tick: u64, slot: u16) -> Position {
    Position { tick, slot }
}

fn check(book: &Book) {
    let mut recount = Recount::default();
    book.check(&mut recount);
    assert_eq!(recount.complaints(), Vec::<String>::new());
}

/// A store and the book of its only topic.
struct Node {
    store: MemoryStore,
    book: Book,
}

fn keeping(recent_from: u64) -> Keeping {
    Keeping {
        bytes: 1 << 40,
        shared: u64::MAX,
        authors: 1 << 20,
        judged_by: None,
        recent_from,
        latest: u64::MAX,
    }
}

fn book() -> Book {
    let mut book = Book::new(rules().id(), TickLen::default(), HEADS_COMPARED);
    book.set_most(1 << 20);
    book
}

impl Node {
    fn new(now: u64) -> Self {
        let mut store = MemoryStore::new(1);
        store.start(&PublicKey::from_bytes([0; 32])).unwrap();
        let opened = store.open(&rules(), &keeping(0)).unwrap();
        let mut book = book();
        book.opened(&opened, now * 1_000, |_| false);
        Self { store, book }
    }

    fn hear(&mut self, bundle: &Arc<Bundle>) {
        let keep = Keep { bundle: Arc::clone(bundle), arrival: Arrival::Live, show: Show::Now };
        let group = Group { keeps: &[keep], record: None, now_ms: 0 };
        let kept = self.store.keep(&group).unwrap().remove(0);
        assert!(!matches!(kept, Kept::Conflict(_) | Kept::Full | Kept::NotOpen), "{kept:?}");
        self.book.kept(bundle.header(), bundle.id(), &kept);
        check(&self.book);
    }

    /// The same after a restart.
    fn reopened(mut self, now: u64) -> Self {
        self.store = self.store.reopened(2);
        self.store.start(&PublicKey::from_bytes([0; 32])).unwrap();
        let opened = self.store.open(&rules(), &keeping(now - 120)).unwrap();
        self.book.opened(&opened, now * 1_000, |_| false);
        check(&self.book);
        self
    }
}

/// The set as the design defines it, from all that is held.
fn defined(held: &[Arc<Bundle>], hi: u64) -> Vec<Item> {
    let said: Vec<_> = held.iter().filter(|bundle| bundle.header().tick < hi).collect();
    let named: BTreeSet<_> = said
        .iter()
        .filter_map(|bundle| {
            bundle.header().prev.map(|prev| (bundle.header().author, prev.position, prev.id))
        })
        .collect();
    let mut of_author = BTreeMap::<_, Vec<_>>::new();
    for bundle in said {
        let header = bundle.header();
        if !named.contains(&(header.author, header.position(), bundle.id())) {
            let item = Item { tick: header.tick, id: bundle.id() };
            of_author.entry(header.author).or_default().push((header.position(), item));
        }
    }
    let newest = of_author.into_values().flat_map(|mut all| {
        all.sort_unstable();
        all.into_iter().rev().take(HEADS_COMPARED).map(|(_, item)| item).collect::<Vec<_>>()
    });
    let mut all: Vec<_> = newest.collect();
    all.sort_unstable();
    all
}

/// The moments that are told at `now`.
fn told(now: u64) -> Vec<u64> {
    (now - 130..now + 60).filter(|tick| moments::is_told(TickLen::default(), *tick, now * 1_000)).collect()
}

#[test]
fn moments_are_the_same_for_all() {
    let tick = |millis| TickLen::from_millis(millis).unwrap();
    for millis in [100, 1_000, 3_000, 7_700, 10_000] {
        let (len, mut all) = (tick(millis), BTreeSet::new());
        for second in 0..200u64 {
            let now = 1_700_000_000_000 + second * 1_000;
            let hi = moments::latest(len, now, std::time::Duration::from_secs(60));
            // Served by clocks half a minute either way, and a minute later.
            for clock in [now - 30_000, now, now + 30_000] {
                assert!(moments::is_told(len, hi, clock), "{millis} ms: {hi} at {clock}");
            }
            assert!(len.start_of(hi) <= now - 60_000 && len.start_of(hi) + 26_000 > now - 60_000);
            assert!(moments::oldest(len, now) <= hi);
            all.insert(hi);
        }
        assert!((12..=14).contains(&all.len()), "one in 16 s: {all:?}");
        let (first, last) = (*all.first().unwrap(), *all.last().unwrap());
        for (old, new) in (first..last).flat_map(|old| (old..(old + 40).min(last)).map(move |new| (old, new)))
        {
            let between = all.iter().any(|hi| old < *hi && *hi <= new);
            assert_eq!(moments::part(len, old, new), between, "{millis} ms: {old} {new}");
        }
    }
    let now = START * 1_000;
    assert_eq!(
        told(START),
        (0..=8).map(|n| START - 112 + 16 * n).filter(|hi| *hi <= START + 30).collect::<Vec<_>>()
    );
    assert!(
        !moments::is_told(tick(1_000), START - 128, now) && !moments::is_told(tick(1_000), START + 32, now)
    );
    assert!(!moments::is_told(tick(1_000), START + 1, now));
    assert!(!moments::is_told(tick(10_000), u64::MAX, now) && !moments::is_told(tick(100), 0, now));
}

#[test]
fn what_younger_bundles_replaced_is_told_as_of_before_them() {
    let mut node = Node::new(START);
    let old = bundle(&rules(), 1, at(START - 500, 0), None);
    let new = bundle(&rules(), 1, at(START - 30, 0), Some(Previous::of(&old)));
    let item = |bundle: &Bundle| Item { tick: bundle.header().tick, id: bundle.id() };
    node.hear(&old);
    node.hear(&new);
    assert_eq!(node.book.as_of(START - 32), [item(&old)]);
    assert_eq!(node.book.as_of(START - 16), [item(&new)]);
    assert!(node.book.is_head(&new.header().author, new.header().position(), &new.id()));
    assert!(!node.book.is_head(&old.header().author, old.header().position(), &old.id()));
    assert_eq!((node.book.count(), node.book.head(&item(&old)).unwrap().slot), (1, 0));
    // Until nobody may ask for it.
    node.book.expire((START + 90) * 1_000);
    assert!(node.book.head(&item(&old)).is_some());
    node.book.expire((START + 91) * 1_000);
    assert!(node.book.head(&item(&old)).is_none() && node.book.head(&item(&new)).is_some());
    // And not at all where no moment lies between the two.
    let newest = bundle(&rules(), 1, at(START - 17, 0), Some(Previous::of(&new)));
    let mut node = Node::new(START);
    [&old, &new, &newest].into_iter().for_each(|bundle| node.hear(bundle));
    assert!(node.book.head(&item(&new)).is_none());
    assert_eq!(
        (node.book.as_of(START - 32), node.book.as_of(START - 16)),
        (vec![item(&old)], vec![item(&newest)])
    );
}

#[test]
fn a_set_at_hand_is_made_anew_only_if_it_changed() {
    let mut node = Node::new(START);
    let first = bundle(&rules(), 1, at(START - 100, 0), None);
    node.hear(&first);
    let slice = node.book.slice(START - 64);
    assert_eq!(node.book.slice_cost(START - 64), 0);
    // What is said later changes nothing, also where it replaces something.
    let live = bundle(&rules(), 1, at(START - 10, 0), Some(Previous::of(&first)));
    node.hear(&live);
    assert!(Arc::ptr_eq(&slice, &node.book.slice(START - 64)));
    // Something late does.
    node.hear(&bundle(&rules(), 2, at(START - 65, 0), None));
    assert!(node.book.slice_cost(START - 64) > 0);
    assert_eq!(node.book.slice(START - 64).items().len(), 2);
    // As many are at hand as the bound says: those that were asked for last.
    for hi in [START - 48, START - 64, START - 32] {
        node.book.slice(hi);
    }
    assert!(node.book.slice_cost(START - 48) > 0 && node.book.slice_cost(START - 64) == 0);
    assert_eq!(SLICES, 2);
    node.book.silence(&first.header().author);
    assert_eq!(node.book.slice(START - 64).items().len(), 1);
    node.book.raise(START - 64);
    assert_eq!((node.book.slice(START - 64).items().len(), node.book.count()), (0, 0));
}

#[test]
fn a_forked_author_costs_only_itself() {
    let mut node = Node::new(START);
    let many = HEADS_COMPARED * HEADS_KEPT_FOR_COMPARED + 500;
    let author = |number: u16| bundle(&rules(), number, at(0, 0), None).header().author;
    for number in 0..many as u64 {
        node.hear(&bundle(&rules(), 1, at(START - 4_000 + number, 0), None));
    }
    node.hear(&bundle(&rules(), 2, at(START - 5_000, 0), None));
    assert_eq!(node.book.of_author(&author(1)).count(), HEADS_COMPARED * HEADS_KEPT_FOR_COMPARED);
    let set = node.book.as_of(START);
    assert_eq!(set.len(), HEADS_COMPARED + 1, "its newest, and the other's");
    assert_eq!((set[0].tick, set[1].tick), (START - 5_000, START - 4_000 + (many - HEADS_COMPARED) as u64));
    // Where there is room for few, it gives way, not the others.
    node.book.set_most(3);
    check(&node.book);
    assert_eq!((node.book.count(), node.book.of_author(&author(2)).count()), (3, 1));
    assert!(node.book.takes(&author(2)) && !node.book.takes(&author(3)));
    node.hear(&bundle(&rules(), 3, at(START - 100, 0), None));
    assert_eq!(node.book.of_author(&author(1)).count(), 1);
    // All places are taken by one head each: a newcomer finds none, and who is there goes on.
    node.hear(&bundle(&rules(), 5, at(START - 100, 0), None));
    assert_eq!((node.book.count(), node.book.of_author(&author(5)).count()), (3, 0));
    node.hear(&bundle(&rules(), 3, at(START - 90, 0), None));
    assert_eq!(node.book.of_author(&author(3)).map(|(at, _)| at.tick).collect::<Vec<_>>(), [START - 90]);
    node.book.set_most(1);
    assert_eq!(node.book.count(), 1);
}

#[test]
fn what_is_named_and_missing_is_remembered_up_to_a_bound() {
    let mut node = Node::new(START);
    for number in 0..MAX_AWAITED as u64 + 10 {
        let id = BundleId::from_bytes(*blake3::hash(&number.to_le_bytes()).as_bytes());
        let prev = Previous { id, position: at(START - 200, 0) };
        let namer =
            bundle(&rules(), 1, at(START - 100 + number / 1_000, (number % 1_000) as u16), Some(prev));
        let kept =
            Kept::New { sequence: None, named: false, prev: Prev::Missing, forks: false, killed: Vec::new() };
        node.book.kept(namer.header(), namer.id(), &kept);
    }
    assert_eq!(node.book.awaited(), MAX_AWAITED);
    node.book.raise(START - 99);
    assert_eq!(node.book.awaited(), MAX_AWAITED + 10 - 1_000);
    check(&node.book);
    node.book.silence(&bundle(&rules(), 1, at(START, 0), None).header().author);
    assert_eq!(node.book.awaited(), 0);
    check(&node.book);
}

#[test]
fn a_late_bundle_of_a_forked_chain_was_replaced_by_the_first_that_names_it() {
    let (mut one, mut other) = (Node::new(START), Node::new(START));
    let trunk = bundle(&rules(), 1, at(START - 300, 0), None);
    // One names it before anything is told as of, and one after that.
    let fork = |tick| bundle(&rules(), 1, at(tick, 0), Some(Previous::of(&trunk)));
    let all = [trunk.clone(), fork(START - 200), fork(START - 20)];
    all.iter().for_each(|bundle| one.hear(bundle));
    // The same, but the bundle that both name comes last.
    [1, 2, 0].iter().for_each(|at| other.hear(&all[*at]));
    for hi in told(START) {
        assert_eq!(one.book.as_of(hi), defined(&all, hi), "as of {hi}");
        assert_eq!(other.book.as_of(hi), defined(&all, hi), "as of {hi}");
    }
}

/// What is said: which author, how long after the start, and which of its earlier bundles it names (or none).
type Said = (u8, u8, u8);

/// Bundles of a few authors within two minutes and somewhat more, in the order of their positions: chained, and perhaps forked and
/// rooted anew.
fn history(said: &[Said], forks: bool) -> Vec<Arc<Bundle>> {
    let mut places: Vec<_> =
        said.iter().map(|(author, tick, prev)| (u64::from(*tick), author % 4, *prev)).collect();
    places.sort_unstable();
    let mut chains = BTreeMap::<u8, Vec<Arc<Bundle>>>::new();
    let mut all = Vec::new();
    for (slot, (tick, author, choice)) in places.into_iter().enumerate() {
        let chain = chains.entry(author).or_default();
        // Mostly the last one.
        let back = if choice < 200 || !forks { 0 } else { usize::from(choice) % 5 };
        let prev = chain.len().checked_sub(1 + back).map(|index| Previous::of(&chain[index]));
        // Ticks from two minutes before the start on.
        let next = bundle(&rules(), author.into(), at(START - 125 + tick, slot as u16), prev);
        chain.push(Arc::clone(&next));
        all.push(next);
    }
    all
}

fn shuffled(all: &[Arc<Bundle>], seed: u64) -> Vec<Arc<Bundle>> {
    let key = |bundle: &Arc<Bundle>| {
        *blake3::hash(&[bundle.id().as_bytes(), &seed.to_le_bytes()[..]].concat()).as_bytes()
    };
    let mut all = all.to_vec();
    all.sort_by_key(key);
    all
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(150) })]

    /// The set as of each moment that is told is the same at all nodes that hold the same of what was said before, in whatever order it
    /// came, and whatever was said since.
    #[test]
    fn the_same_bundles_are_the_same_set(
        said in proptest::collection::vec(any::<Said>(), 1..120),
        seed in any::<u64>(),
        lost in 0u64..8,
        later in 0u64..140,
    ) {
        let all = history(&said, true);
        // Some never came to any of the nodes.
        let held: Vec<_> = shuffled(&all, seed).into_iter().filter(|one| one.id().as_bytes()[0] as u64 % 8 >= lost).collect();
        let (mut one, mut other) = (Node::new(START), Node::new(START));
        held.iter().for_each(|bundle| one.hear(bundle));
        // The other has not heard what was said lately.
        let cut = START - 125 + later;
        shuffled(&held, !seed).iter().filter(|bundle| bundle.header().tick < cut).for_each(|bundle| other.hear(bundle));
        for hi in told(START) {
            prop_assert_eq!(&one.book.as_of(hi), &defined(&held, hi), "as of {}", hi + 125 - START);
            if hi <= cut {
                prop_assert_eq!(&other.book.as_of(hi), &one.book.as_of(hi));
            }
        }
    }

    /// A restart changes nothing in that, as far as chains are not forked: of several that name one bundle the first may be older than
    /// what a store says when it opens.
    #[test]
    fn a_restart_leaves_the_set_as_it_was(
        said in proptest::collection::vec(any::<Said>(), 1..120),
        seed in any::<u64>(),
        lost in 0u64..8,
    ) {
        let all = history(&said, false);
        let held = |one: &Arc<Bundle>| u64::from(one.id().as_bytes()[0]) % 8 >= lost;
        let held: Vec<_> = shuffled(&all, seed).into_iter().filter(held).collect();
        let mut node = Node::new(START);
        held.iter().for_each(|bundle| node.hear(bundle));
        let mut again = node.reopened(START);
        for hi in told(START) {
            prop_assert_eq!(&again.book.as_of(hi), &defined(&held, hi), "as of {}", hi + 125 - START);
        }
        // Some of it gets too old to be told: what is left is still right.
        again.book.expire((START + 40) * 1_000);
        check(&again.book);
        for hi in told(START + 40) {
            prop_assert_eq!(&again.book.as_of(hi), &defined(&held, hi), "later, as of {}", hi + 125 - START);
        }
    }
}

/// Topics that hold so much that authors share reserves, and a little less, by turns.
#[test]
fn a_node_that_is_nearly_full_tells_the_store_so_once() {
    let mut config = crate::protocol::Config::default().history;
    (config.bytes, config.topic_bytes) = (1_600, 1_600);
    let now = crate::protocol::Now { mono: Mono::default(), unix_ms: START * 1_000 };
    let mut repair = Repair::default();
    let size = |bytes| Size { bytes, bundles: 1, authors: 1 };
    let topics = ["one", "two"].map(|name| {
        let rules = Topic::named(name).retention(std::time::Duration::from_secs(3_600));
        let rules = Arc::new(rules.bind(NetworkId::of("books")).unwrap());
        repair.enter(rules.id(), KeptTopic::new(Arc::clone(&rules), KeepOptions::default(), now.mono));
        rules.id()
    });
    let opens = |repair: &mut Repair, topic| {
        let keeping = repair.keeping(repair.topic(&topic).unwrap(), &config, now);
        let kept = repair.topic_mut(&topic).unwrap();
        kept.asks(&keeping);
        if kept.is_open() { kept.is_told() } else { kept.opened(&Opened::default()) }
    };
    topics.iter().for_each(|topic| opens(&mut repair, *topic));
    let mut told = |bytes: u64| {
        let left = Forgotten { more: false, floor: 0, size: size(bytes) };
        repair.topic_mut(&topics[0]).unwrap().removed(Forget::Topic, Some(left), Mono::default());
        let anew = repair.open_anew(&config, now);
        anew.iter().for_each(|topic| opens(&mut repair, *topic));
        anew.len()
    };
    assert_eq!(told(1_300), 0);
    assert_eq!(told(1_301), 2, "thirteen sixteenths");
    for _ in 0..5 {
        assert_eq!((told(1_201), told(1_400)), (0, 0), "it is not told again and again");
    }
    assert_eq!(told(1_200), 2, "twelve sixteenths");
    assert_eq!(told(1_300), 0);
}

#[test]
fn topics_share_the_room_for_heads() {
    let mut config = crate::protocol::Config::default().history;
    (config.topic_heads, config.heads) = (60, 100);
    let mut repair = Repair::default();
    let rules: Vec<_> = ["one", "two", "three", "four"]
        .map(|name| Arc::new(Topic::named(name).bind(NetworkId::of("books")).unwrap()))
        .into();
    // One head an author, as many as the store has.
    let opens = |repair: &mut Repair, rules: &Arc<RuleSet>, heads: u16| {
        repair.enter(rules.id(), KeptTopic::new(Arc::clone(rules), KeepOptions::default(), Mono::default()));
        let most = repair.room_for_heads(&rules.id(), &config);
        let head = |author| Head {
            author: super::key(author),
            position: at(START - u64::from(author), 0),
            id: BundleId::from_bytes(*blake3::hash(&author.to_le_bytes()).as_bytes()),
        };
        let opened = Opened { heads: (0..heads).map(head).collect(), ..Opened::default() };
        let book = repair.topic_mut(&rules.id()).unwrap().book_mut();
        book.set_most(most);
        book.opened(&opened, START * 1_000, |_| false);
    };
    let counts = |repair: &Repair| {
        rules.iter().filter_map(|rules| Some(repair.topic(&rules.id())?.book().count())).collect::<Vec<_>>()
    };
    opens(&mut repair, &rules[0], 1_000);
    assert_eq!(counts(&repair), [60], "no more than a topic may have");
    opens(&mut repair, &rules[1], 1_000);
    repair.share_heads(&config);
    assert_eq!(counts(&repair), [50, 50]);
    // One that comes later has its part, at once, and those that have more give it.
    opens(&mut repair, &rules[2], 1_000);
    opens(&mut repair, &rules[3], 5);
    assert!(counts(&repair).iter().sum::<usize>() <= 2 * config.heads);
    repair.share_heads(&config);
    let shared = counts(&repair);
    assert!(shared.iter().sum::<usize>() <= config.heads && shared[2] >= 25 && shared[3] == 5, "{shared:?}");
    let mut recount = Recount::default();
    repair.check(&config, &mut recount);
    assert_eq!(recount.complaints(), Vec::<String>::new());
}
