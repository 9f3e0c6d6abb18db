//! Topics whose owner says who may speak: the newest list counts, everywhere, and an owner that says two things closes its topic.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::node::secret;
use super::world::{Side, World};
use crate::key::{PublicKey, SecretKey};
use crate::protocol::{Action, Input, JoinRefusal, MAX_TOPICS, PublishError, PublishId};
use crate::rumor::{Authors, Bundle, NetworkId, Position, RuleSet, Topic, authors_body, seal};
use crate::store::Store as _;
use crate::wire::{self, Frame, TopicChange};

/// The author key of a node.
fn author(node: usize) -> PublicKey {
    secret("author", node as u64).public()
}

fn owned_by(owner: PublicKey) -> Topic {
    Topic::named("owned").retention(Duration::from_secs(86_400)).authors(Authors::Owned(owner))
}

fn body(authors: &[PublicKey]) -> bytes::Bytes {
    authors_body(&authors.iter().copied().collect()).unwrap()
}

/// Node 0 is the owner; all are in a chain.
fn chain(nodes: usize) -> (World, Arc<RuleSet>) {
    let mut world = World::new(1);
    let rules = world.topic(&owned_by(author(0)));
    world.nodes(nodes);
    world.chain();
    world.run(1_000);
    (world, rules)
}

fn lists(world: &mut World, rules: &RuleSet, authors: &[PublicKey]) -> PublishId {
    let list = rules.authors_topic().unwrap();
    let said = world.publish_kept(0, &list, body(authors));
    world.run(1_000);
    said
}

fn known(world: &World, node: usize, rules: &RuleSet) -> Vec<PublicKey> {
    world.engine(node).owned_authors(&rules.id()).unwrap().into_iter().collect()
}

fn sorted(keys: &[PublicKey]) -> Vec<PublicKey> {
    keys.iter().copied().collect::<BTreeSet<_>>().into_iter().collect()
}

fn refused(world: &mut World, node: usize, rules: &RuleSet) -> bool {
    let said = world.publish(node, rules, "may I?");
    let refused = PublishError::NotAdmitted(author(node));
    world.nodes[node].published.get(&said).is_some_and(|result| *result == Err(refused))
}

/// A list as its owner signs it, at a slot of this tick.
fn list_at(world: &World, owner: &SecretKey, rules: &RuleSet, slot: u16, authors: &[PublicKey]) -> Bundle {
    let list = rules.authors_topic().unwrap();
    let at = Position { tick: world.tick(&list), slot };
    seal(owner, list.id(), at, &[body(authors)]).unwrap()
}

#[test]
fn the_newest_list_says_who_may_speak_at_all_nodes() {
    let (mut world, rules) = chain(4);
    // Until a list is known the owner alone may speak.
    world.publish(0, &rules, "welcome");
    assert!((1..4).all(|node| refused(&mut world, node, &rules)));
    let said = lists(&mut world, &rules, &[author(1), author(3)]);
    assert!(world.nodes[0].published[&said].is_ok());
    for node in 0..4 {
        assert_eq!(known(&world, node, &rules), sorted(&[author(0), author(1), author(3)]), "node {node}");
    }
    world.publish(1, &rules, "one");
    world.publish(3, &rules, "three");
    assert!(refused(&mut world, 2, &rules));
    world.run(1_000);
    lists(&mut world, &rules, &[author(2)]);
    assert!(refused(&mut world, 1, &rules) && refused(&mut world, 3, &rules));
    world.publish(2, &rules, "two");
    world.run(1_000);
    for node in &world.nodes {
        // What was said before stays said.
        assert!(["welcome", "one", "three", "two"].iter().all(|word| node.has_heard(word)));
        assert_eq!(node.engine.banned(), []);
    }
}

#[test]
fn a_removed_author_that_keeps_speaking_is_refused_without_blame_and_heard_when_it_is_listed_again() {
    let (mut world, rules) = chain(2);
    let removed = world.liar(1);
    lists(&mut world, &rules, &[removed.public()]);
    let hostile = world.hostile(1);
    let before = world.says_at(&removed, &rules, 0, "before");
    world.pushes(hostile, &[&before]);
    world.run(1_000);
    assert!(world.nodes.iter().all(|node| node.has_heard("before")));
    lists(&mut world, &rules, &[]);
    let checked = world.nodes[1].batches.len();
    let words: Vec<_> =
        (1..40).map(|slot| world.says_at(&removed, &rules, slot, &format!("word {slot}"))).collect();
    for word in &words {
        world.pushes(hostile, &[word]);
        world.announces(hostile, &rules, &[word.id()]);
    }
    world.run(3_000);
    let node = &world.nodes[1];
    assert_eq!(
        (node.batches.len(), node.counters().not_admitted),
        (checked, 39),
        "no signature is looked at"
    );
    assert!(!node.has_heard("word 7") && !world.nodes[0].has_heard("word 7"));
    assert_eq!((world.hostiles[hostile].closed, world.engine(1).banned().len()), (None, 0));
    assert!(words.iter().all(|word| world.hostiles[hostile].pulls_of(&word.id()) == 0), "nor pulled");
    // Listed again, what it has said meanwhile may be had: links are asked for all that they have, once.
    let asks = |world: &World| {
        let asks = |frame: &&Frame| match frame {
            Frame::Topics(TopicChange { joined, .. }) => joined.contains(rules.id().as_bytes()),
            _ => false,
        };
        world.hostiles[hostile].frames.iter().filter(asks).count()
    };
    let asked = asks(&world);
    world.run(15_000);
    lists(&mut world, &rules, &[removed.public()]);
    world.run(2_000);
    assert_eq!(asks(&world), asked + 1);
    world.announces(hostile, &rules, &[words[6].id()]);
    world.run(100);
    assert_eq!(world.hostiles[hostile].pulls_of(&words[6].id()), 1);
    world.pushes(hostile, &[&words[6]]);
    world.run(1_000);
    assert!(world.nodes.iter().all(|node| node.has_heard("word 7")));
}

#[test]
fn what_is_no_list_is_an_offence() {
    let mut world = World::new(2);
    let owner = world.liar(1);
    let rules = world.topic(&owned_by(owner.public()));
    let node = world.node();
    world.run(1_000);
    let list = rules.authors_topic().unwrap();
    let at = Position { tick: world.tick(&list), slot: 0 };
    let odd = crate::rumor::Cell::put("a", vec![7; 31]).unwrap().encode();
    let bundle = seal(&owner, list.id(), at, &[odd]).unwrap();
    let hostile = world.hostile(node);
    world.pushes(hostile, &[&bundle]);
    world.run(100);
    assert_eq!(world.hostiles[hostile].closed, Some(wire::Reason::Offence));
}

#[test]
fn an_owner_that_equivocates_closes_its_topic_everywhere() {
    let mut world = World::new(3);
    let owner = world.liar(1);
    let rules = world.topic(&owned_by(owner.public()));
    world.nodes(6);
    world.chain();
    world.run(1_000);
    let (left, right) = (world.hostile(0), world.hostile(5));
    // Given that all know a list,
    let first = list_at(&world, &owner, &rules, 0, &[author(2), author(3)]);
    world.pushes(left, &[&first]);
    world.run(1_000);
    world.publish(2, &rules, "in time");
    world.run(1_000);
    // when one end hears one list and the other another, at one position,
    let two = [[author(1)], [author(4)]].map(|authors| list_at(&world, &owner, &rules, 0, &authors));
    world.pushes(left, &[&two[0]]);
    world.pushes(right, &[&two[1]]);
    world.run(2_000);
    // then all come to the same answer, whichever they have heard: nobody speaks there any more, and what was said stays.
    for node in 0..6 {
        assert!(world.nodes[node].convicted(&owner.public()));
        assert_eq!(known(&world, node, &rules), [], "node {node}");
        assert!(refused(&mut world, node, &rules));
        assert!(world.nodes[node].has_heard("in time"));
    }
    // A later list changes nothing, nor does a restart.
    let later = list_at(&world, &owner, &rules, 1, &[author(2)]);
    world.pushes(left, &[&later]);
    world.run(1_000);
    world.restart(3, true);
    world.run(1_000);
    assert!((0..6).all(|node| known(&world, node, &rules).is_empty()));
    assert!(refused(&mut world, 3, &rules));
}

#[test]
fn a_list_is_known_after_a_restart_without_a_link() {
    let (mut world, rules) = chain(2);
    lists(&mut world, &rules, &[author(1)]);
    let all = sorted(&[author(0), author(1)]);
    world.restart(1, true);
    world.run(1_000);
    assert_eq!(known(&world, 1, &rules), all);
    // The one that stayed has taken no harm.
    assert_eq!(known(&world, 0, &rules), all);
}

#[test]
fn what_is_said_right_after_a_restart_waits_until_the_store_has_said_who_may_speak() {
    let (mut world, rules) = chain(2);
    lists(&mut world, &rules, &[author(1)]);
    for (authors, may) in [(vec![author(1)], true), (vec![], false)] {
        lists(&mut world, &rules, &authors);
        world.nodes[1].store_takes = Duration::from_secs(2);
        world.restart(1, true);
        world.wire(Side::Node(0), Side::Node(1));
        world.run(100);
        assert_eq!(known(&world, 1, &rules), [author(0)], "it does not know yet");
        let said = world.publish(1, &rules, "at once");
        assert_eq!(world.nodes[1].published.get(&said), None);
        world.run(40_000);
        let answer = &world.nodes[1].published[&said];
        assert_eq!(answer.is_ok(), may, "{answer:?}");
        world.nodes[1].store_takes = Duration::from_millis(1);
    }
    // A store that can't say it holds nobody up: then what links bring counts.
    world.nodes[1].store_trouble = Some(crate::protocol::keeping::StoreTrouble::Damaged);
    world.restart(1, true);
    world.wire(Side::Node(0), Side::Node(1));
    world.run(1_000);
    assert!(refused(&mut world, 1, &rules));
    world.nodes[1].store_trouble = None;
    // An older list that a link brings meanwhile says nothing: what the store has may be newer.
    let list = rules.authors_topic().unwrap();
    let owner = secret("author", 0);
    let older = Position { tick: world.tick(&list) - 5, slot: 3 };
    let older = seal(&owner, list.id(), older, &[body(&[])]).unwrap();
    lists(&mut world, &rules, &[author(1)]);
    world.nodes[1].store_takes = Duration::from_secs(2);
    world.restart(1, true);
    world.wire(Side::Node(0), Side::Node(1));
    let hostile = world.hostile(1);
    world.run(100);
    let said = world.publish(1, &rules, "at once");
    assert_eq!(world.nodes[1].published.get(&said), None);
    world.pushes(hostile, &[&older]);
    world.run(40_000);
    assert!(world.nodes[1].published[&said].is_ok(), "{:?}", world.nodes[1].published[&said]);
}

#[test]
fn a_late_joiner_has_the_list_and_what_was_said_under_it() {
    let (mut world, rules) = chain(2);
    lists(&mut world, &rules, &[author(1)]);
    world.publish_kept(1, &rules, "long ago");
    world.run(300_000);
    let joiner = world.node();
    world.wire(Side::Node(joiner), Side::Node(0));
    let holds = |world: &World| {
        world.nodes[joiner].store.reader().size(&rules.id()).is_ok_and(|size| size.bundles == 1)
    };
    world.until(60_000, |world| holds(world));
    assert_eq!(known(&world, joiner, &rules), sorted(&[author(0), author(1)]));
}

/// Everything that repair has brought to a node.
fn brought(world: &World, node: usize) -> u64 {
    world.nodes[node].counters().late_copies
}

#[test]
fn what_a_removed_author_has_said_is_not_fetched_again_and_again() {
    let mut world = World::new(4);
    let (owner, removed) = (world.liar(1), world.liar(2));
    let rules = world.topic(&owned_by(owner.public()));
    world.nodes(2);
    world.run(1_000);
    let (there, here) = (world.hostile(0), world.hostile(1));
    let lists = |world: &mut World, slot: u16, authors: &[PublicKey]| {
        let list = list_at(world, &owner, &rules, slot, authors);
        [there, here].into_iter().for_each(|hostile| world.pushes(hostile, &[&list]));
        world.run(1_000);
    };
    lists(&mut world, 0, &[removed.public()]);
    // Given a node that was away while an author spoke, and has heard its last word alone before the author was removed,
    let said = super::teller::chain(&rules, &removed, (0..20).map(|slot| (world.tick(&rules), slot)), 9);
    said[..19].iter().for_each(|word| world.pushes(there, &[word]));
    world.pushes(here, &[&said[19]]);
    world.run(100_000);
    let held =
        |world: &World, node: usize| world.nodes[node].store.reader().size(&rules.id()).unwrap().bundles;
    assert_eq!([held(&world, 0), held(&world, 1)], [19, 1]);
    lists(&mut world, 1, &[]);
    // when it is linked to one that has all of it, then it may fetch once what is missing, and for an hour nothing more.
    world.wire(Side::Node(0), Side::Node(1));
    world.run(120_000);
    let first = brought(&world, 1);
    assert_eq!((world.nodes[1].counters().not_admitted, held(&world, 1)), (first, 1));
    assert!((1..=19).contains(&first), "{first} were brought, where 19 are missing");
    world.run(1_200_000);
    assert_eq!(brought(&world, 1), first);
    assert_eq!(world.engine(1).caught_up(&rules.id()), 1, "it lacks nothing that it may have");
    // Nor after a restart: a hole rests in the store.
    world.restart(1, true);
    world.wire(Side::Node(0), Side::Node(1));
    world.run(300_000);
    assert_eq!([brought(&world, 1), held(&world, 1)], [0, 1]);
    assert_eq!(world.engine(1).caught_up(&rules.id()), 1);
    // Listed again, its author is repaired within that hour.
    lists(&mut world, 2, &[removed.public()]);
    world.run(3_700_000);
    assert_eq!([held(&world, 0), held(&world, 1)], [20, 20]);
}

#[test]
fn a_liar_that_withholds_the_newest_list_hides_it_from_nobody_with_an_honest_link() {
    let (mut world, rules) = chain(3);
    lists(&mut world, &rules, &[author(1)]);
    // Given a node that was away while an author was removed, for longer than anything is announced,
    world.cut(1);
    world.run(1_000);
    lists(&mut world, &rules, &[]);
    world.run(200_000);
    let liar = world.hostile(2);
    world.run(60_000);
    assert_eq!(known(&world, 2, &rules), sorted(&[author(0), author(1)]), "the liar says nothing of it");
    // when it has one honest link beside the liar's, then it knows as much as others.
    world.wire(Side::Node(2), Side::Node(1));
    world.until(60_000, |world| known(world, 2, &rules) == [author(0)]);
    assert_eq!(world.hostiles[liar].closed, None);
}

#[test]
fn what_waits_to_be_published_is_given_up_when_its_author_is_removed() {
    let (mut world, rules) = chain(2);
    lists(&mut world, &rules, &[author(1)]);
    // More than one tick has slots for.
    let said: Vec<_> = (0..400).map(|number| world.publish(1, &rules, format!("word {number}"))).collect();
    lists(&mut world, &rules, &[]);
    world.run(10_000);
    let answers: Vec<_> = said.iter().map(|id| world.nodes[1].published[id].clone()).collect();
    assert!(answers[0].is_ok());
    assert_eq!(answers[399], Err(PublishError::NotAdmitted(author(1))));
}

#[test]
fn a_list_is_joined_and_left_with_its_topic_and_counts_as_one() {
    let mut world = World::new(5);
    let node = world.node();
    let network = NetworkId::of(super::world::NETWORK);
    let rules = |number: usize| {
        let topic = Topic::named(format!("owned {number}")).authors(Authors::Owned(author(0)));
        Arc::new(topic.bind(network).unwrap())
    };
    let join = |world: &mut World, rules: Arc<RuleSet>| {
        let now = world.now(node);
        let engine = &mut world.nodes[node].engine;
        engine.handle(now, Input::Join { rules, deliver: true, validate: false, keep: Default::default() });
        let mut joined = None;
        while let Some(action) = engine.poll() {
            if let Action::Joined { result, .. } = action {
                joined = Some(result);
            }
        }
        joined.unwrap()
    };
    let plain = |name: &str| Arc::new(Topic::named(name).bind(network).unwrap());
    assert_eq!(join(&mut world, plain("first")), Ok(()));
    for number in 0..MAX_TOPICS / 2 - 1 {
        assert_eq!(join(&mut world, rules(number)), Ok(()));
    }
    let list = rules(0).authors_topic().unwrap();
    assert_eq!(
        join(&mut world, rules(99)),
        Err(JoinRefusal::TooMany),
        "there is room for one, and it is two"
    );
    assert_eq!(join(&mut world, plain("last")), Ok(()));
    assert_eq!(join(&mut world, list.clone()), Err(JoinRefusal::System), "it is no application's");
    assert_eq!(join(&mut world, rules(0)), Ok(()), "one that is joined may be joined again");
    let engine = |world: &World| world.engine(node).topic_count();
    assert_eq!(engine(&world), MAX_TOPICS);
    world.handle(node, Input::Leave { topic: list.id() });
    assert!(world.engine(node).rules(&list.id()).is_some(), "nor does one leave it");
    world.handle(node, Input::Leave { topic: rules(0).id() });
    assert_eq!((engine(&world), world.engine(node).rules(&list.id())), (MAX_TOPICS - 2, None));
    assert_eq!(world.engine(node).owned_authors(&rules(0).id()), None);
    assert_eq!(world.nodes[node].engine.check(), Vec::<String>::new());
}
