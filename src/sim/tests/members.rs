//! Members in networks: who is here is known to all, and nobody's word changes what is shown of another.

use super::*;
use crate::protocol::dialler::View as _;
use crate::protocol::{MemberEvent, MemberLink, MemberState};

fn members(nodes: usize) -> Scenario {
    Scenario { nodes, links: 6, members: true, ..Scenario::default() }
}

/// How many members in which state an honest node shows at most and at least, over all nodes that run.
fn shown(network: &Network, state: MemberState) -> (usize, usize) {
    let alive = honest(network).into_iter().filter(|node| network.is_alive(*node));
    let counts =
        alive.map(|node| network.members(node).values().filter(|member| member.state == state).count());
    let counts: Vec<_> = counts.collect();
    (counts.iter().copied().min().unwrap_or(0), counts.iter().copied().max().unwrap_or(0))
}

/// Events of live members that were shown as failed.
fn failed(network: &Network) -> Vec<MemberNews> {
    let of = |news: &&MemberNews| matches!(news.event, MemberEvent::Failed(..));
    network.member_news().iter().filter(of).copied().collect()
}

#[test]
fn all_know_all_and_a_crash_is_known_by_its_lease() {
    let mut network = Network::new(members(20));
    pass(&mut network, Duration::from_secs(10));
    assert_eq!(shown(&network, MemberState::Alive), (20, 20));
    pass(&mut network, Duration::from_secs(120));
    assert_eq!(shown(&network, MemberState::Alive), (20, 20));
    assert_eq!(failed(&network), []);
    let key = network.key_of(3).unwrap();
    network.crash(3);
    let crashed = network.elapsed();
    pass(&mut network, Duration::from_secs(30));
    let told: Vec<_> = failed(&network).iter().map(|news| news.at - crashed).collect();
    println!("{told:?}");
    assert_eq!(told.len(), 19);
    // Its links look live for a while.
    assert!(failed(&network).iter().all(|news| news.event.member() == Some(&key)));
    assert!(told.iter().all(|after| (millis(12_500)..millis(20_000)).contains(after)), "{told:?}");
    assert_eq!(shown(&network, MemberState::Alive), (19, 19));
    // It comes back, and that is known at once.
    network.restart(3, true);
    pass(&mut network, Duration::from_secs(40));
    assert_eq!(shown(&network, MemberState::Alive), (20, 20));
    let returned = |news: &&MemberNews| matches!(news.event, MemberEvent::Returned(_));
    assert_eq!(network.member_news().iter().filter(returned).count(), 19);
}

/// A third of the nodes lies about signs of life, and grasps for every inbound place.
#[test]
fn liars_fail_nobody_who_lives_and_keep_nobody_who_is_gone() {
    for liar in [Liar::Mute, Liar::HoldPulses, Liar::Revive, Liar::BogusPulses] {
        let scenario = Scenario {
            nodes: 30,
            liars: 0.33,
            liar: liar.clone(),
            grasping: 4,
            churn: Some(Churn::default()),
            ..members(30)
        };
        let mut network = Network::new(scenario);
        pass(&mut network, Duration::from_secs(60));
        let honest_keys: Vec<_> =
            honest(&network).iter().map(|node| network.key_of(*node).unwrap()).collect();
        let wrong = |network: &Network, gone: Option<crate::PublicKey>| {
            let of = |news: &MemberNews| {
                let key = *news.event.member().unwrap();
                honest_keys.contains(&key) && Some(key) != gone
            };
            failed(network).into_iter().filter(of).collect::<Vec<_>>()
        };
        assert_eq!(wrong(&network, None), [], "{liar:?}");
        let gone = network.random_honest();
        let key = network.key_of(gone).unwrap();
        network.crash(gone);
        // The longest that its last sign can hold: its epoch, a lease, half a minute.
        pass(&mut network, Duration::from_secs(60));
        for node in honest(&network).into_iter().filter(|node| network.is_alive(*node)) {
            let state = network.members(node)[&key].state;
            assert!(!state.is_here(), "{liar:?}: node {node} shows {state:?}");
        }
        assert_eq!(wrong(&network, Some(key)), [], "{liar:?}");
    }
}

#[test]
fn a_network_grows_from_one_address_and_outlives_it() {
    let mut network = Network::new(Scenario { start: Start::From(0), ..members(20) });
    pass(&mut network, Duration::from_secs(40));
    assert_eq!(shown(&network, MemberState::Alive), (20, 20));
    network.crash(0);
    pass(&mut network, Duration::from_secs(60));
    assert_eq!(shown(&network, MemberState::Alive), (19, 19), "nobody notices");
    assert!(failed(&network).iter().all(|news| news.event.member() == network.key_of(0).as_ref()));
}

#[test]
fn what_a_member_says_of_itself_is_known_to_all_and_who_leaves_says_so() {
    let mut network = Network::new(members(20));
    pass(&mut network, Duration::from_secs(10));
    network.describe(5, b"role=web".to_vec());
    pass(&mut network, Duration::from_secs(5));
    let key = network.key_of(5).unwrap();
    for node in honest(&network) {
        assert_eq!(network.members(node)[&key].metadata, b"role=web");
    }
    network.leave_members(5);
    pass(&mut network, Duration::from_secs(15));
    let states: Vec<_> = honest(&network).iter().map(|node| network.members(*node)[&key].state).collect();
    assert!(states.iter().all(|state| *state == MemberState::Left), "{states:?}");
    assert_eq!(failed(&network), []);
}

#[test]
fn halves_that_were_apart_are_one_network_again() {
    let mut network = Network::new(members(20));
    pass(&mut network, Duration::from_secs(20));
    network.partition(|node| u32::from(node < 10));
    pass(&mut network, Duration::from_secs(120));
    assert_eq!(shown(&network, MemberState::Alive), (10, 10));
    network.heal();
    pass(&mut network, Duration::from_secs(60));
    assert_eq!(shown(&network, MemberState::Alive), (20, 20));
}

/// All links of a node's own choice end up in its own half, and those that were lost are dialled no more: only a dial of a member that has
/// failed can bring the halves together.
#[test]
fn halves_that_were_apart_for_long_meet_again_though_nobody_was_named_beyond_its_own() {
    let mut network = Network::new(Scenario { start: Start::From(0), ..members(13) });
    pass(&mut network, Duration::from_secs(40));
    // The one whom all were told of goes for good.
    network.crash(0);
    pass(&mut network, Duration::from_secs(60));
    assert_eq!(shown(&network, MemberState::Alive), (12, 12));
    let half = |node: usize| node <= 6;
    network.partition(|node| u32::from(half(node)));
    pass(&mut network, Duration::from_secs(1200));
    assert_eq!(shown(&network, MemberState::Alive), (6, 6));
    let crosses = |network: &Network| {
        let of =
            |node: usize| network.links(node).iter().filter(|(peer, _)| half(*peer) != half(node)).count();
        (1..13).map(of).sum::<usize>()
    };
    assert_eq!(crosses(&network), 0);
    network.heal();
    pass(&mut network, Duration::from_secs(60));
    assert_eq!(shown(&network, MemberState::Alive), (12, 12));
    // Those that are here again are chosen as ever.
    pass(&mut network, Duration::from_secs(180));
    assert!(crosses(&network) > 20, "{}", crosses(&network));
}

/// Nodes that stood still, and nodes whose clocks jumped, condemn nobody.
#[test]
fn who_was_cut_off_says_stale_and_not_failed() {
    let mut network = Network::new(members(20));
    pass(&mut network, Duration::from_secs(20));
    // One node loses all its links, with nineteen others that live.
    network.partition(|node| u32::from(node == 7));
    // Longer than a lease and sixteen epochs: what is heard after that is far down each chain.
    pass(&mut network, Duration::from_secs(150));
    let by = |network: &Network| failed(network).iter().filter(|news| news.node == 7).count();
    assert_eq!(by(&network), 0, "it can't tell");
    assert_eq!(network.members(7).values().filter(|member| member.state == MemberState::Stale).count(), 19);
    network.heal();
    pass(&mut network, Duration::from_secs(150));
    assert_eq!((by(&network), shown(&network, MemberState::Alive)), (0, (20, 20)));
}

/// A crash is known at once at the nodes that had a link, and nowhere else; no state changes for it.
#[test]
fn own_links_tell_in_six_seconds_and_change_no_state() {
    let mut network = Network::new(members(20));
    pass(&mut network, Duration::from_secs(20));
    let (gone, key) = (5, network.key_of(5).unwrap());
    let linked: Vec<_> =
        (0..20).filter(|node| network.links(*node).iter().any(|(peer, _)| *peer == gone)).collect();
    let crashed = network.elapsed();
    network.crash(gone);
    pass(&mut network, millis(8_500));
    let unreachable: std::collections::BTreeMap<_, _> = network
        .member_news()
        .iter()
        .filter(|news| news.event == MemberEvent::Unreachable(key))
        .map(|news| (news.node, news.at - crashed))
        .collect();
    assert_eq!(unreachable.keys().copied().collect::<Vec<_>>(), linked);
    assert!(unreachable.values().all(|after| *after <= millis(6_500)), "{unreachable:?}");
    for node in honest(&network).into_iter().filter(|node| *node != gone) {
        let member = &network.members(node)[&key];
        assert_eq!(member.state, MemberState::Alive);
        assert_eq!(matches!(member.link, MemberLink::Quiet { .. }), linked.contains(&node));
    }
    // It comes back within its lease: nobody had thought otherwise.
    network.restart(gone, true);
    pass(&mut network, Duration::from_secs(60));
    assert_eq!(failed(&network), []);
    let reachable = |node: &usize| {
        let is = |news: &MemberNews| news.node == *node && news.event == MemberEvent::Reachable(key);
        network.member_news().iter().any(is)
    };
    assert!(linked.iter().any(reachable));
    for node in honest(&network) {
        assert!(!matches!(network.members(node)[&key].link, MemberLink::Quiet { .. }));
    }
}

/// A node whose process stood still for longer than every lease wakes to a table of leases that are over.
#[test]
fn who_stood_still_condemns_nobody_and_has_returned_soon() {
    let mut network = Network::new(members(20));
    pass(&mut network, Duration::from_secs(30));
    let key = network.key_of(7).unwrap();
    network.stand_still(7, Duration::from_secs(25));
    pass(&mut network, Duration::from_secs(25) - millis(1));
    // Nothing happened at it, and the others waited for it in vain.
    assert_eq!(network.members(7).values().filter(|member| member.state == MemberState::Alive).count(), 20);
    assert!(!failed(&network).is_empty());
    assert!(failed(&network).iter().all(|news| news.event.member() == Some(&key)), "{:?}", failed(&network));
    pass(&mut network, Duration::from_secs(90));
    assert!(failed(&network).iter().all(|news| news.node != 7), "{:?}", failed(&network));
    assert_eq!(shown(&network, MemberState::Alive), (20, 20));
}

/// Nobody publishes, so signs of life are all that links bring: those of others count, and what a liar says of itself alone does not.
#[test]
fn links_bring_signs_of_life_of_others_where_nobody_publishes() {
    let mut network = Network::new(Scenario { liars: 0.25, liar: Liar::Mute, ..members(20) });
    pass(&mut network, Duration::from_secs(60));
    let mut brings = 0;
    for node in honest(&network) {
        for link in network.nodes[node].links() {
            let end = network.nodes[node].end(link).unwrap();
            let brought = network.engine(node).unwrap().brings_signs(link);
            assert!(network.is_honest(end.peer as usize) || !brought, "node {node}, link {link:?}");
            brings += usize::from(brought);
        }
    }
    assert!(brings > 5 * 15, "{brings} links of honest nodes bring others' signs of life");
}

/// A network that began from one address, where liars hold all places that they can get, at that address too.
fn bootstrap_full_of_liars() -> Network {
    let mut scenario = Scenario {
        start: Start::From(0),
        liars: 0.33,
        grasping: 20,
        placement: Placement::Around(0),
        ..members(70)
    };
    (scenario.config.links.inbound, scenario.config.links.hash_selected) = (20, 14);
    let mut network = Network::new(scenario);
    // All come at once, and each knows that one address: some have their turn as guests there when others had theirs.
    let honest = honest(&network).len();
    while shown(&network, MemberState::Alive).0 < honest {
        pass(&mut network, Duration::from_secs(1));
        assert!(network.elapsed() < Duration::from_secs(90), "{:?}", shown(&network, MemberState::Alive));
    }
    println!("all know each other after {:?}", network.elapsed());
    network
}

#[test]
fn a_joiner_is_known_through_a_full_bootstrap() {
    let mut network = bootstrap_full_of_liars();
    // Given a node that knows one address, at which there is no place for it: liars hold those that are open to all, and none is kept for it.
    let keeps_a_place = |network: &Network, joiner: usize| {
        let [joiner, bootstrap] = [joiner, 0].map(|node| network.key_of(node).unwrap());
        let unix_s = network.now_of(0).unix_ms / 1_000;
        network.config().is_hash_selected(&network.rules.network(), &joiner, &bootstrap, unix_s)
    };
    let mut joiner = network.join();
    while keeps_a_place(&network, joiner) {
        assert!(network.len() < 90, "a place is kept for each");
        joiner = network.join();
    }
    let key = network.key_of(joiner).unwrap();
    let knows = |network: &Network, node: usize| {
        network.members(node).get(&key).is_some_and(|member| member.state == MemberState::Alive)
    };
    let all = |network: &Network| honest(network).into_iter().all(|node| knows(network, node));
    let is_guest = |network: &Network| {
        let (node, engine) = (&network.nodes[joiner], network.engine(joiner).unwrap());
        node.links().into_iter().any(|link| node.end(link).unwrap().peer == 0 && engine.is_guest(link))
    };
    let (began, mut was_guest) = (network.elapsed(), false);
    while !all(&network) {
        pass(&mut network, millis(100));
        was_guest |= is_guest(&network);
        assert!(network.elapsed() - began < Duration::from_secs(10), "known at all within ten seconds");
    }
    println!("known at all after {:?}", network.elapsed() - began);
    assert!(was_guest, "it was a guest");
    // then it soon has links of its own choice, to honest nodes among them, and the guest's link is none of them.
    pass(&mut network, Duration::from_secs(40));
    let links: Vec<_> = network.links(joiner).into_iter().filter(|(_, dialled)| *dialled).collect();
    let honest_links = links.iter().filter(|(peer, _)| network.is_honest(*peer)).count();
    // Liars hold every place that is open to all. So it has links where a place is kept for it, and those are drawn by chance.
    let unix_s = network.now_of(joiner as u32).unix_ms / 1_000;
    let keeps = |node: &usize| {
        let acceptor = network.key_of(*node).unwrap();
        *node != joiner
            && *node != 0
            && network.config().is_hash_selected(&network.rules.network(), &key, &acceptor, unix_s)
    };
    let kept = honest(&network).into_iter().filter(keeps).count();
    println!("{} links, {honest_links} honest, of {kept} honest nodes that keep a place for it", links.len());
    assert!(kept > 0 && honest_links >= kept.min(2), "{links:?}");
    assert!(links.iter().all(|(peer, _)| *peer != 0));
}
