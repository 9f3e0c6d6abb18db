//! What members say of themselves: the last word of each is known to all, however often it speaks, and nobody makes others pass on too much.

use std::collections::BTreeMap;

use super::*;
use crate::PublicKey;
use crate::protocol::{MemberEvent, MemberState};

fn members(nodes: usize) -> Scenario {
    Scenario { nodes, links: 6, members: true, ..Scenario::default() }
}

/// Records of a member that a node may pass on in so much time.
fn most_told(time: Duration) -> usize {
    4 + time.as_secs() as usize / 60
}

/// By how many records of each member each honest node has told more than before.
fn told_since(network: &Network, before: &[BTreeMap<PublicKey, usize>]) -> Vec<BTreeMap<PublicKey, usize>> {
    let since = |node: usize| {
        let told = network.records_told(node).into_iter();
        let had = |key: &PublicKey| before.get(node).and_then(|told| told.get(key)).copied().unwrap_or(0);
        told.map(|(key, count)| (key, count - had(&key))).collect()
    };
    (0..network.len()).map(since).collect()
}

fn told(network: &Network) -> Vec<BTreeMap<PublicKey, usize>> {
    (0..network.len()).map(|node| network.records_told(node)).collect()
}

/// Lets time pass until something holds; gives how long that took.
fn until(network: &mut Network, limit: Duration, holds: impl Fn(&Network) -> bool) -> Duration {
    let begun = network.elapsed();
    while !holds(network) {
        assert!(network.elapsed() - begun < limit, "not within {limit:?}");
        pass(network, millis(100));
    }
    network.elapsed() - begun
}

/// The nodes that run, and what each shows of a member.
fn shown(network: &Network, key: &PublicKey) -> Vec<(usize, Option<crate::Member>)> {
    let alive = honest(network).into_iter().filter(|node| network.is_alive(*node));
    alive.map(|node| (node, network.members(node).remove(key))).collect()
}

fn events(network: &Network, of: impl Fn(&MemberEvent) -> bool) -> usize {
    network.member_news().iter().filter(|news| of(&news.event)).count()
}

fn is_double(event: &MemberEvent) -> bool {
    matches!(event, MemberEvent::DuplicateIdentity(_))
}

fn is_failed(event: &MemberEvent) -> bool {
    matches!(event, MemberEvent::Failed(..))
}

/// Where signs of life are a minute apart, most members start long before theirs is due. Each says its record once, and again if it stated
/// another period before it knew how many there are.
#[test]
fn members_with_a_long_period_say_their_records_once() {
    let mut scenario = Scenario { settled: true, ..members(60) };
    scenario.config.members.renewals_per_s = 1;
    let mut network = Network::new(scenario);
    pass(&mut network, Duration::from_secs(30));
    for node in honest(&network) {
        assert_eq!(network.members_here(node), 60);
        assert!(network.members(node).values().all(|member| member.period == Duration::from_secs(60)));
        let accepted = network.engine(node).unwrap().stats().counters.accepted;
        assert!(accepted <= 2 * 60, "{accepted} records of 60 members");
    }
}

#[test]
fn the_last_record_wins_everywhere() {
    let mut network = Network::new(members(20));
    pass(&mut network, Duration::from_secs(20));
    let key = network.key_of(3).unwrap();
    let (before, begun) = (told(&network), network.elapsed());
    for _ in 0..20 {
        network.crash(3);
        pass(&mut network, millis(500));
        network.restart(3, true);
        pass(&mut network, millis(2_500));
    }
    let last = network.members(3)[&key].boot_ms;
    let took = until(&mut network, Duration::from_secs(70), |network| {
        shown(network, &key).iter().all(|(_, member)| {
            member.as_ref().is_some_and(|member| (member.boot_ms, member.state) == (last, MemberState::Alive))
        })
    });
    let most = most_told(network.elapsed() - begun);
    let counts: Vec<_> = told_since(&network, &before).iter().map(|told| told.get(&key).copied()).collect();
    println!("known to all after {took:?}; records told by each node: {counts:?}, at most {most}");
    for (node, count) in counts.iter().enumerate().filter(|(node, _)| *node != 3) {
        assert!(count.unwrap_or(0) <= most, "node {node} has told {count:?} of {most}");
    }
    assert!(counts.iter().flatten().sum::<usize>() > 20, "nobody has told anything");
    assert_eq!(events(&network, is_double), 0);
}

#[test]
fn who_describes_itself_too_often_is_known_by_its_last_word() {
    let mut network = Network::new(members(20));
    pass(&mut network, Duration::from_secs(20));
    let key = network.key_of(5).unwrap();
    let (before, begun) = (told(&network), network.elapsed());
    for number in 0..100u8 {
        network.describe(5, vec![number]);
        pass(&mut network, millis(100));
    }
    assert_eq!(network.members(5)[&key].metadata, [99], "its own node shows it at once");
    until(&mut network, Duration::from_secs(65), |network| {
        shown(network, &key).iter().all(|(_, member)| member.as_ref().unwrap().metadata == [99])
    });
    let most = most_told(network.elapsed() - begun);
    for (node, told) in told_since(&network, &before).iter().enumerate() {
        assert!(told.get(&key).copied().unwrap_or(0) <= most, "node {node}: {told:?}, at most {most}");
    }
    // As it leaves it does not wait.
    network.describe(5, b"last".to_vec());
    network.leave_members(5);
    until(&mut network, Duration::from_secs(2), |network| {
        let linked = network.links(5).into_iter().map(|(peer, _)| peer).collect::<Vec<_>>();
        let left = |member: &Option<crate::Member>| member.as_ref().unwrap().state == MemberState::Left;
        shown(network, &key).iter().filter(|(node, _)| linked.contains(node)).all(|(_, member)| left(member))
    });
    until(&mut network, Duration::from_secs(65), |network| {
        shown(network, &key).iter().all(|(_, member)| member.as_ref().unwrap().state == MemberState::Left)
    });
}

#[test]
fn records_at_pace_are_bounded() {
    let mut network = Network::new(Scenario { liars: 0.33, liar: Liar::Restless, ..members(24) });
    // All know each other by then.
    pass(&mut network, Duration::from_secs(4));
    let (before, begun) = (told(&network), network.elapsed());
    let mut last = before.clone();
    let liars = network.len() - honest(&network).len();
    for second in 0..60 {
        pass(&mut network, Duration::from_secs(1));
        let told_now = told_since(&network, &last);
        last = told(&network);
        for (node, told) in told_now.iter().enumerate() {
            let sum: usize = told.values().sum();
            let most = if second < 5 { 4 * liars } else { 10 };
            assert!(sum <= most, "node {node} told {sum} records in second {second}");
        }
    }
    let most = most_told(network.elapsed() - begun);
    let since = told_since(&network, &before);
    for (node, told) in since.iter().enumerate() {
        assert!(told.values().all(|count| *count <= most), "node {node}: {told:?}, at most {most}");
    }
    let all: usize = since.iter().flat_map(|told| told.values()).sum();
    assert!(all > 24 * liars, "nobody has told anything: {all}");
    // Whoever comes meanwhile is known at once.
    let joiner = network.join();
    let key = network.key_of(joiner).unwrap();
    let took = until(&mut network, Duration::from_secs(2), |network| {
        let alive = |member: &Option<crate::Member>| {
            member.as_ref().is_some_and(|member| member.state == MemberState::Alive)
        };
        shown(network, &key).iter().all(|(_, member)| alive(member))
    });
    println!("a joiner is known to all after {took:?}; {all} records told in a minute");
}

#[test]
fn new_metadata_keeps_the_chain() {
    let mut network = Network::new(members(24));
    pass(&mut network, Duration::from_secs(20));
    let wrong = |network: &Network| -> u64 {
        (0..24).map(|node| network.engine(node).unwrap().stats().counters.pulses_wrong).sum()
    };
    let (before, key) = (wrong(&network), network.key_of(23).unwrap());
    network.keep_records_from(0..8);
    network.describe(23, b"role=web".to_vec());
    // Three leases.
    pass(&mut network, Duration::from_secs(60));
    for (node, member) in shown(&network, &key) {
        let member = member.unwrap();
        let expected: &[u8] = if node < 8 { b"" } else { b"role=web" };
        assert_eq!((&member.metadata[..], member.state), (expected, MemberState::Alive), "node {node}");
    }
    assert_eq!((wrong(&network) - before, events(&network, is_failed)), (0, 0));
    // And when it comes in the end, they have it.
    network.keep_records_from([]);
    until(&mut network, Duration::from_secs(90), |network| {
        shown(network, &key).iter().all(|(_, member)| member.as_ref().unwrap().metadata == b"role=web")
    });
    assert_eq!(events(&network, is_failed), 0);
}

#[test]
fn a_clone_is_noticed() {
    let mut network = Network::new(members(20));
    pass(&mut network, Duration::from_secs(20));
    // A machine is copied while it is off, and both start at one time.
    network.crash(4);
    pass(&mut network, Duration::from_secs(5));
    network.restart(4, true);
    let clone = network.clone_node(4).unwrap();
    pass(&mut network, Duration::from_secs(10));
    let by = |network: &Network| {
        let of = |news: &&MemberNews| is_double(&news.event) && [4, clone].contains(&news.node);
        network.member_news().iter().filter(of).count()
    };
    assert!(by(&network) > 0, "neither of the two has noticed");
    // One that starts later is noticed as well.
    let mut network = Network::new(members(20));
    pass(&mut network, Duration::from_secs(20));
    let clone = network.clone_node(4).unwrap();
    pass(&mut network, Duration::from_secs(30));
    let by = network.member_news().iter().filter(|news| is_double(&news.event));
    let by: Vec<_> = by.map(|news| news.node).collect();
    assert!(by.iter().any(|node| [4, clone].contains(node)), "{by:?}");
}

#[test]
fn a_clock_set_back_is_no_clone() {
    let mut network = Network::new(members(20));
    pass(&mut network, Duration::from_secs(20));
    let key = network.key_of(4).unwrap();
    let boot_ms = network.members(4)[&key].boot_ms;
    network.crash(4);
    pass(&mut network, millis(500));
    network.step_clock(4, -3_600_000);
    network.restart(4, true);
    pass(&mut network, Duration::from_secs(5));
    network.step_clock(4, 3_600_000);
    pass(&mut network, Duration::from_secs(20));
    for (node, member) in shown(&network, &key) {
        let member = member.unwrap();
        assert!(member.boot_ms > boot_ms && member.state == MemberState::Alive, "node {node}: {member:?}");
    }
    let told: Vec<_> = network
        .member_news()
        .iter()
        .filter(|news| news.event.member() == Some(&key) && news.at > Duration::from_secs(20))
        // (That it was away for a moment is seen on links to it.)
        .filter(|news| !matches!(news.event, MemberEvent::Unreachable(_) | MemberEvent::Reachable(_)))
        .collect();
    assert!(told.iter().all(|news| matches!(news.event, MemberEvent::Restarted(_))), "{told:?}");
    assert_eq!(told.len(), 19);
}

/// Its record waits at its neighbours, since it has said so many; its pulses, which count from one again, do not.
#[test]
fn who_has_described_itself_and_restarts_once_is_never_failed() {
    let mut network = Network::new(members(24));
    pass(&mut network, Duration::from_secs(30));
    for number in 0..3u8 {
        network.describe(23, vec![number]);
        pass(&mut network, millis(500));
    }
    network.crash(23);
    pass(&mut network, millis(500));
    network.restart(23, true);
    pass(&mut network, Duration::from_secs(60));
    assert_eq!(events(&network, is_failed), 0);
}

/// It begins with a clock that is a day and an hour behind, and is right a while later. What it said meanwhile nobody can read.
#[test]
fn who_starts_with_a_wrong_day_is_known_once_its_clock_is_right() {
    let mut network = Network::new(members(20));
    pass(&mut network, Duration::from_secs(20));
    let key = network.key_of(4).unwrap();
    network.crash(4);
    pass(&mut network, millis(500));
    network.step_clock(4, -90_000_000);
    network.restart(4, true);
    pass(&mut network, Duration::from_secs(5));
    network.step_clock(4, 90_000_000);
    pass(&mut network, Duration::from_secs(60));
    for (node, member) in shown(&network, &key) {
        let member = member.unwrap();
        assert_eq!(member.state, MemberState::Alive, "node {node}: {member:?}");
    }
    assert_eq!(network.engine(4).unwrap().stats().counters.members_odd, 0);
}

/// Where a clock shows local time, or was never set, a machine may start hours ahead. Nobody can tell before its first link.
#[test]
fn who_starts_with_a_clock_that_is_ahead_is_known_once_it_is_right() {
    let mut network = Network::new(members(20));
    pass(&mut network, Duration::from_secs(20));
    let key = network.key_of(4).unwrap();
    network.crash(4);
    pass(&mut network, millis(500));
    network.step_clock(4, 50_400_000);
    network.restart(4, true);
    let own = network.members(4).remove(&key).map(|member| member.state);
    assert_eq!(own, Some(MemberState::Alive), "it shows itself");
    pass(&mut network, Duration::from_secs(5));
    network.step_clock(4, -50_400_000);
    pass(&mut network, Duration::from_secs(60));
    for (node, member) in shown(&network, &key) {
        assert_eq!(member.map(|member| member.state), Some(MemberState::Alive), "node {node}");
    }
    assert_eq!(events(&network, is_failed), 0);
}

/// By its own clock its chain is over: the machine was off, or the clock was set.
#[test]
fn whose_clock_has_left_its_chain_behind_begins_another() {
    let mut network = Network::new(members(20));
    pass(&mut network, Duration::from_secs(20));
    let key = network.key_of(4).unwrap();
    network.crash(4);
    network.step_clock(4, -21_600_000);
    network.restart(4, true);
    pass(&mut network, Duration::from_secs(5));
    network.step_clock(4, 21_600_000);
    pass(&mut network, Duration::from_secs(60));
    for (node, member) in shown(&network, &key) {
        assert_eq!(member.map(|member| member.state), Some(MemberState::Alive), "node {node}");
    }
}

/// Its clock is far ahead for a minute while it runs. It says nothing of that time, or it could say nothing until then.
#[test]
fn whose_clock_is_far_ahead_for_a_minute_is_known_again_soon() {
    let mut network = Network::new(members(20));
    pass(&mut network, Duration::from_secs(20));
    let key = network.key_of(4).unwrap();
    network.step_clock(4, 400 * 86_400_000);
    pass(&mut network, Duration::from_secs(60));
    network.step_clock(4, -400 * 86_400_000);
    pass(&mut network, Duration::from_secs(60));
    for (node, member) in shown(&network, &key) {
        assert_eq!(member.map(|member| member.state), Some(MemberState::Alive), "node {node}");
    }
}
