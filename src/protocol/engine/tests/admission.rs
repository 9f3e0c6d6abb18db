//! Who may link, and is shown as a member, changes while a node runs: that is its own decision, and nobody else's.

use std::time::Duration;

use bytes::Bytes;

use super::world::{Side, World};
use crate::key::PublicKey;
use crate::protocol::{
    Action, AdmissionChange, AdmissionOutcome, AdmissionRefusal, DownReason, Event, Input, LinkId,
    MemberEvent, MemberState,
};
use crate::rumor::Topic;
use crate::wire::Reason;

const TWO_MINUTES: Duration = Duration::from_secs(120);

fn member(world: &mut World) -> usize {
    let node = world.node_with(super::node::Spec::is_member);
    world.run(100);
    node
}

fn link(world: &mut World, dialler: usize, other: usize) -> usize {
    let wire = world.wire(Side::Node(dialler), Side::Node(other));
    world.run(100);
    wire
}

fn change(world: &mut World, node: usize, change: AdmissionChange) {
    world.handle(node, Input::Admission(change));
}

fn refusals(world: &World, node: usize, of: &PublicKey) -> Vec<Reason> {
    let refused = |event: &Event| match event {
        Event::LinkRefused { peer, reason } if peer == of => Some(*reason),
        _ => None,
    };
    world.nodes[node].events.iter().filter_map(refused).collect()
}

/// What a node shows of a member: its state, and what it says.
fn shown(world: &World, node: usize, key: &PublicKey) -> Option<(MemberState, Vec<u8>)> {
    world.engine(node).member(key).map(|member| (member.state, member.metadata))
}

#[test]
fn an_expelled_peer_is_closed_and_refused_until_its_time_is_over() {
    let mut world = World::new(1);
    world.topic(&Topic::named("t"));
    let (node, peer, friend) = (world.node(), world.node(), world.node());
    let key = world.nodes[peer].key;
    let (first, other) = (link(&mut world, peer, node), link(&mut world, friend, node));
    assert!(world.wires[first].up && world.wires[other].up);
    change(&mut world, node, AdmissionChange::Expel { key, lasts: TWO_MINUTES });
    assert_eq!(world.engine(node).live_links(), 1, "at once, and no other link");
    world.run(100);
    assert_eq!((world.wires[first].up, world.wires[other].up), (false, true));
    let down = |event: &Event| {
        matches!(event, Event::PeerDown { why: DownReason::ClosedByPeer(Reason::Expelled), .. })
    };
    assert!(world.nodes[peer].events.iter().any(down), "it can read why");
    // Whoever dials, it gets no link, and the dialler is told before.
    for (dialler, acceptor) in [(peer, node), (node, peer), (peer, node)] {
        let wire = link(&mut world, dialler, acceptor);
        assert!(!world.wires[wire].up);
        let engine = world.engine(node);
        assert_eq!([engine.would_refuse(&key), engine.would_refuse_dial(&key)], [Some(Reason::Expelled); 2]);
    }
    assert_eq!(refusals(&world, node, &key), [Reason::Expelled; 3]);
    let left = world.engine(node).expelled();
    assert!(matches!(left.as_slice(), [(who, left)] if *who == key && *left < TWO_MINUTES), "{left:?}");
    world.run(119_500);
    assert_eq!(world.engine(node).would_refuse(&key), Some(Reason::Expelled));
    world.run(200);
    assert!(world.engine(node).would_refuse(&key).is_none() && world.engine(node).expelled().is_empty());
    let again = link(&mut world, peer, node);
    world.run(5_000);
    assert!(world.wires[again].up);
    assert_eq!(world.engine(node).banned(), [], "it has done nothing wrong");
}

/// Four members: two ways lead from the first one to the third, and only the third leads to the last one.
fn square(world: &mut World) -> [usize; 4] {
    world.topic(&Topic::named("t"));
    let [one, relay, node, edge] = [0; 4].map(|_| member(world));
    for (dialler, other) in [(one, node), (one, relay), (node, relay), (edge, node)] {
        link(world, dialler, other);
    }
    world.run(10_000);
    let key = world.nodes[one].key;
    for other in [relay, node, edge] {
        assert_eq!(shown(world, other, &key), Some((MemberState::Alive, Vec::new())), "node {other}");
    }
    [one, relay, node, edge]
}

#[test]
fn an_expelled_member_is_not_shown_and_its_signs_of_life_go_no_further() {
    // (In twenty minutes links that have what is refused are asked ever more rarely.)
    for (speaks, lasts) in [(false, TWO_MINUTES), (true, TWO_MINUTES), (true, TWO_MINUTES * 10)] {
        let mut world = World::new(2);
        let [one, relay, node, edge] = square(&mut world);
        let key = world.nodes[one].key;
        change(&mut world, node, AdmissionChange::Expel { key, lasts });
        assert_eq!((shown(&world, node, &key), world.engine(node).members_here()), (None, 3));
        let metadata = if speaks { Bytes::from("news") } else { Bytes::new() };
        if speaks {
            world.run(5_000);
            world.handle(one, Input::Describe { metadata: metadata.clone() });
        }
        world.run(100_000);
        // Nothing that others bring of it changes that, and this node is the only one that does not show it.
        assert_eq!(shown(&world, node, &key), None);
        assert_eq!(world.nodes[node].counters().not_admitted > 0, speaks);
        let alive = Some((MemberState::Alive, metadata.to_vec()));
        assert_eq!(shown(&world, relay, &key), alive);
        // Whoever hears of it over this node alone hears no sign of life.
        assert!(matches!(shown(&world, edge, &key), Some((MemberState::Failed(_), said)) if said.is_empty()));
        // When its time is over, it is shown again, with what it has said last, though it has no link here.
        world.run((lasts - TWO_MINUTES).as_millis() as u64 + 100_000);
        assert_eq!([shown(&world, node, &key), shown(&world, edge, &key)], [alive.clone(), alive]);
    }
}

#[test]
fn an_expelled_member_is_heard_again_as_soon_as_it_is_admitted() {
    let mut world = World::new(3);
    let [one, _, node, _] = square(&mut world);
    let key = world.nodes[one].key;
    change(&mut world, node, AdmissionChange::Expel { key, lasts: Duration::MAX });
    world.run(20_000);
    change(&mut world, node, AdmissionChange::Admit(key));
    world.run(10_000);
    assert_eq!(shown(&world, node, &key), Some((MemberState::Alive, Vec::new())));
}

#[test]
fn an_allow_list_changes_while_a_node_runs() {
    let mut world = World::new(4);
    world.topic(&Topic::named("t"));
    let (friend, stranger) = (member(&mut world), member(&mut world));
    let keys = [friend, stranger].map(|node| world.nodes[node].key);
    let node = world.node_with(|spec| {
        spec.is_member();
        spec.config.allow = Some(vec![keys[0]]);
    });
    let stays = link(&mut world, friend, node);
    let refused = link(&mut world, stranger, node);
    assert_eq!((world.wires[stays].up, world.wires[refused].up), (true, false));
    // The friend knows the stranger, and what it brings of it is not heard.
    link(&mut world, friend, stranger);
    world.run(10_000);
    assert_eq!((world.engine(node).members_here(), world.engine(friend).members_here()), (2, 3));
    change(&mut world, node, AdmissionChange::Admit(keys[1]));
    let mut both = keys.to_vec();
    both.sort_unstable();
    assert_eq!(world.engine(node).allowed(), Some(both));
    let linked = link(&mut world, stranger, node);
    world.run(10_000);
    assert!(world.wires[linked].up);
    assert_eq!(world.engine(node).members_here(), 3);
    // An expulsion is one thing, and the list another.
    change(&mut world, node, AdmissionChange::Expel { key: keys[1], lasts: TWO_MINUTES });
    change(&mut world, node, AdmissionChange::Disallow(keys[1]));
    world.run(121_000);
    let last = link(&mut world, stranger, node);
    assert_eq!((world.wires[stays].up, world.wires[linked].up, world.wires[last].up), (true, false, false));
    assert_eq!(refusals(&world, node, &keys[1]), [Reason::NotAdmitted; 2]);
    assert_eq!(world.engine(node).members_here(), 2);
    // Off the list without more: its link is closed for that.
    change(&mut world, node, AdmissionChange::Disallow(keys[0]));
    world.run(100);
    let down = DownReason::ClosedHere(Reason::NotAdmitted);
    let told = |event: &Event| matches!(event, Event::PeerDown { why, .. } if *why == down);
    assert!(!world.wires[stays].up && world.nodes[node].events.iter().any(told));
    assert_eq!((world.engine(node).members_here(), world.engine(node).allowed()), (1, Some(Vec::new())));
}

#[test]
fn who_is_admitted_is_heard_of_over_the_links_that_there_are() {
    let mut world = World::new(8);
    world.topic(&Topic::named("t"));
    let (friend, stranger) = (member(&mut world), member(&mut world));
    let keys = [friend, stranger].map(|node| world.nodes[node].key);
    let node = world.node_with(|spec| {
        spec.is_member();
        spec.config.allow = Some(vec![keys[0]]);
    });
    link(&mut world, friend, node);
    link(&mut world, friend, stranger);
    // The friend's link has been asked for the record, which was refused.
    world.run(12_000);
    assert!(world.nodes[node].counters().not_admitted > 0);
    assert_eq!(shown(&world, node, &keys[1]), None);
    change(&mut world, node, AdmissionChange::Admit(keys[1]));
    world.run(8_000);
    assert_eq!(shown(&world, node, &keys[1]), Some((MemberState::Alive, Vec::new())));
}

#[test]
fn a_driver_names_those_who_may_link_anew() {
    let mut world = World::new(5);
    let [one, relay, node, _] = square(&mut world);
    let key = world.nodes[relay].key;
    world.nodes[node].engine.allow_only([key]).unwrap();
    world.handle(node, Input::Tick);
    world.run(100);
    assert_eq!((world.engine(node).live_links(), world.engine(node).members_here()), (1, 2));
    assert_eq!(world.engine(node).would_refuse(&world.nodes[one].key), Some(Reason::NotAdmitted));
}

#[test]
fn who_is_not_admitted_is_not_read_back_from_the_store() {
    let mut world = World::new(6);
    let [one, relay, node, _] = square(&mut world);
    let keys = [one, relay].map(|node| world.nodes[node].key);
    world.nodes[node].config.allow = Some(vec![keys[1]]);
    world.restart(node, true);
    world.run(5_000);
    let shown = keys.map(|key| world.engine(node).member(&key).is_some());
    assert_eq!(shown, [false, true], "both are in its store");
}

#[test]
fn each_change_of_admission_is_answered_when_it_is_so() {
    let mut world = World::new(7);
    let [one, _, node, _] = square(&mut world);
    let key = world.nodes[one].key;
    let own = world.nodes[node].key;
    let mut says = |change| -> Vec<Action> {
        let now = world.now(node);
        let engine = &mut world.nodes[node].engine;
        engine.handle(now, Input::Admission(change));
        std::iter::from_fn(|| engine.poll()).collect()
    };
    let answer = |actions: &[Action]| {
        let answers = actions.iter().enumerate().filter_map(|(at, action)| match action {
            Action::AdmissionChanged { result } => Some((at, *result)),
            _ => None,
        });
        let [one] = answers.collect::<Vec<_>>().try_into().expect("one answer");
        one
    };
    let (expel, admit) = (AdmissionChange::Expel { key, lasts: TWO_MINUTES }, AdmissionChange::Admit(key));
    let actions = says(expel);
    let (at, result) = answer(&actions);
    let closed =
        |action: &Action| matches!(action, Action::Close { link: LinkId(_), reason: Reason::Expelled });
    let removed =
        |action: &Action| matches!(action, Action::Member(MemberEvent::Removed(who)) if *who == key);
    assert_eq!(result, Ok(AdmissionOutcome::Changed));
    assert!(actions[..at].iter().any(closed) && actions[..at].iter().any(removed), "{actions:?}");
    assert_eq!(answer(&says(admit)).1, Ok(AdmissionOutcome::Changed));
    assert_eq!(answer(&says(admit)).1, Ok(AdmissionOutcome::Open));
    assert_eq!(answer(&says(AdmissionChange::Disallow(key))).1, Err(AdmissionRefusal::NoAllowList));
    let itself = AdmissionChange::Expel { key: own, lasts: TWO_MINUTES };
    assert_eq!(answer(&says(itself)).1, Err(AdmissionRefusal::OwnKey));
}
