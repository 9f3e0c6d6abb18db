//! Members in networks in which much goes wrong: nobody who lives is shown as failed, whatever liars and lines do.

use super::*;
use crate::adversary::{Adversary, Me, Outgoing};
use crate::protocol::{FailedWhy, MemberEvent, MemberState, Mono};
use crate::wire::{self, KeyPrefix, Lane, Pulse, PulsePage, Pulses};

/// A network of members that find each other from one address.
fn grown(nodes: usize) -> Scenario {
    Scenario { nodes, links: 8, members: true, start: Start::From(0), ..Scenario::default() }
}

/// Who showed whom as failed, of the honest members that `counts` names.
fn failed(network: &Network, counts: impl Fn(usize) -> bool) -> Vec<(usize, usize)> {
    let of = |key: &crate::PublicKey| (0..network.len()).find(|node| network.key_of(*node) == Some(*key));
    let mut found = Vec::new();
    for news in network.member_news() {
        if let MemberEvent::Failed(key, _) = &news.event
            && let Some(whom) = of(key).filter(|whom| network.is_honest(*whom) && counts(*whom))
        {
            found.push((news.node, whom));
        }
    }
    found
}

/// How many honest members each honest node shows as alive, at the least.
fn alive_at_least(network: &Network) -> usize {
    let honest = honest(network);
    let keys: Vec<_> = honest.iter().map(|node| network.key_of(*node).unwrap()).collect();
    let shown = honest.iter().map(|node| {
        let members = network.members(*node);
        keys.iter()
            .filter(|key| members.get(key).is_some_and(|member| member.state == MemberState::Alive))
            .count()
    });
    shown.min().unwrap_or(0)
}

/// A fifth can't be dialled, and a third tells of nobody and takes every place that it can get.
#[test]
fn who_listens_nowhere_keeps_its_table() {
    let mut network = Network::new(Scenario { liars: 0.33, liar: Liar::Mute, grasping: 4, ..grown(40) });
    let hidden: Vec<_> = honest(&network).into_iter().filter(|node| *node != 0).step_by(5).collect();
    assert!(hidden.len() >= 5);
    hidden.iter().for_each(|node| network.hide(*node));
    pass(&mut network, Duration::from_secs(60));
    let all = honest(&network).len();
    assert_eq!(alive_at_least(&network), all);
    pass(&mut network, Duration::from_secs(180));
    assert_eq!((failed(&network, |_| true), alive_at_least(&network)), (vec![], all));
    // Nobody dials them: what they hear, they have asked for.
    for node in hidden {
        assert!(network.links(node).iter().all(|(_, dialled)| *dialled), "node {node}");
    }
}

/// A fifth of all frames is lost once, and a third lies.
#[test]
fn loss_of_a_fifth_fails_nobody() {
    let scenario = Scenario { liars: 0.33, liar: Liar::HoldPulses, grasping: 4, loss: 0.2, ..grown(30) };
    let mut network = Network::new(scenario);
    pass(&mut network, Duration::from_secs(300));
    assert_eq!((failed(&network, |_| true), alive_at_least(&network)), (vec![], honest(&network).len()));
}

/// Each half a minute a tenth stands still for 5 to 30 s, longer than the shortest lease, and a third lies.
#[test]
fn who_stands_still_fails_nobody_who_does_not() {
    let mut network = Network::new(Scenario { liars: 0.33, liar: Liar::Mute, grasping: 4, ..grown(30) });
    pass(&mut network, Duration::from_secs(60));
    let (still, awake): (Vec<_>, Vec<_>) = honest(&network).into_iter().partition(|node| node % 3 == 1);
    assert!(still.len() >= 6);
    for round in 0..6 {
        for (at, node) in still.iter().enumerate().filter(|(at, _)| at % 3 == round % 3) {
            network.stand_still(*node, Duration::from_secs([5, 12, 20, 30][(at + round) % 4]));
        }
        pass(&mut network, Duration::from_secs(30));
    }
    assert_eq!(failed(&network, |whom| awake.contains(&whom)), []);
    pass(&mut network, Duration::from_secs(90));
    assert_eq!(alive_at_least(&network), honest(&network).len());
}

/// Those who were few state short periods, and have not heard yet how many they are now.
#[test]
fn a_network_that_grows_tenfold_loses_nobody() {
    let mut network = Network::new(grown(8));
    pass(&mut network, Duration::from_secs(30));
    for _ in 0..72 {
        network.join();
        pass(&mut network, millis(800));
    }
    pass(&mut network, Duration::from_secs(120));
    assert_eq!((failed(&network, |_| true), alive_at_least(&network)), (vec![], 80));
}

/// Judges whose clocks jump by an hour, or by a little more than clocks may differ, and one that is late again and again. Who has such a
/// clock is out of what is promised itself; all others live.
#[test]
fn whose_clock_is_wrong_or_loop_is_late_fails_nobody() {
    let mut network = Network::new(grown(20));
    pass(&mut network, Duration::from_secs(60));
    let steps = [(3, 3_600_000), (7, -3_600_000), (11, 45_000), (15, -45_000)];
    steps.iter().for_each(|(node, by)| network.step_clock(*node, *by));
    let late = 18;
    for _ in 0..12 {
        network.stand_still(late, millis(1_100));
        pass(&mut network, Duration::from_secs(10));
    }
    let right = |whom: usize| steps.iter().all(|(node, _)| *node != whom);
    assert_eq!(failed(&network, right), []);
    // The judges knew that they can't tell, where they heard nothing that they could take.
    let stale = |news: &&MemberNews| news.node == 3 && matches!(news.event, MemberEvent::Stale(_));
    assert!(network.member_news().iter().filter(stale).count() > 10);
    steps.iter().for_each(|(node, by)| network.step_clock(*node, -*by));
    pass(&mut network, Duration::from_secs(150));
    assert_eq!((failed(&network, right), alive_at_least(&network)), (vec![], 20));
}

/// Brings more than it may on the lane of members, again and again, so that nobody reads it there.
#[derive(Debug)]
struct Overdraws(Mono);

impl Adversary for Overdraws {
    fn next_wake(&self) -> Option<Mono> {
        Some(self.0)
    }

    fn wake(&mut self, me: &mut Me) {
        self.0 = me.now().mono.plus(millis(100));
        let pulse = Pulse { member: KeyPrefix([1; 8]), index: 1 << 20, value: [0; 16], failed_here: false };
        let frame = wire::pulses(&Pulses { page: PulsePage::Pushed, pulses: vec![pulse; 256] });
        for link in me.targets() {
            for _ in 0..4 {
                me.send(Outgoing::now(link, Lane::System, frame.clone()));
            }
        }
    }
}

#[test]
fn who_overdraws_its_own_lane_hides_no_crash() {
    let liar = Liar::custom("overdraws", |me| Box::new(Overdraws(me.now().mono)));
    let scenario = Scenario { nodes: 30, links: 12, members: true, ..Scenario::default() };
    let mut network = Network::new(Scenario { liars: 0.33, liar, grasping: 4, ..scenario });
    pass(&mut network, Duration::from_secs(60));
    let gone = network.random_honest();
    let key = network.key_of(gone).unwrap();
    network.crash(gone);
    pass(&mut network, Duration::from_secs(120));
    for node in honest(&network).into_iter().filter(|node| network.is_alive(*node)) {
        let state = network.members(node)[&key].state;
        assert!(matches!(state, MemberState::Failed(_)), "node {node} shows {state:?}");
    }
    assert_eq!(failed(&network, |whom| whom != gone), []);
}

/// Of two others one is dead, so there is one link to be had.
#[test]
fn who_stood_still_while_another_died_says_so_in_the_end() {
    let topology = Topology::Edges(vec![(0, 1), (0, 2), (1, 2)]);
    let scenario = Scenario { nodes: 3, members: true, topology, ..Scenario::default() };
    let mut network = Network::new(scenario);
    pass(&mut network, Duration::from_secs(30));
    let key = network.key_of(2).unwrap();
    network.crash(2);
    network.stand_still(0, Duration::from_secs(7));
    pass(&mut network, Duration::from_secs(200));
    assert!(matches!(network.members(0)[&key].state, MemberState::Failed(_)));
    assert_eq!(failed(&network, |whom| whom != 2), []);
}

/// Its monotonic clock stood still meanwhile: by the wall clock every lease is over.
#[test]
fn who_wakes_up_shows_nobody_as_alive_of_whom_it_has_heard_nothing() {
    let scenario = Scenario { nodes: 20, links: 8, members: true, ..Scenario::default() };
    let mut network = Network::new(scenario);
    pass(&mut network, Duration::from_secs(30));
    network.partition(|node| u32::from(node == 7));
    network.step_clock(7, 8 * 3_600_000);
    pass(&mut network, Duration::from_secs(1));
    let alive = network.members(7).values().filter(|member| member.state == MemberState::Alive).count();
    assert!(alive <= 1, "{alive}");
    assert_eq!(failed(&network, |_| true), []);
}

/// Of five others four are dead, so there is one link to be had.
#[test]
fn who_stood_still_while_most_died_says_so_in_the_end() {
    let pairs = (0..6).flat_map(|one| (one + 1..6).map(move |other| (one, other)));
    let topology = Topology::Edges(pairs.collect());
    let mut network = Network::new(Scenario { nodes: 6, members: true, topology, ..Scenario::default() });
    pass(&mut network, Duration::from_secs(30));
    let dead: Vec<_> = (2..6).map(|node| network.key_of(node).unwrap()).collect();
    (2..6).for_each(|node| network.crash(node));
    network.stand_still(0, Duration::from_secs(7));
    pass(&mut network, Duration::from_secs(800));
    let shown = network.members(0);
    for key in dead {
        assert!(matches!(shown[&key].state, MemberState::Failed(_)), "{:?}", shown[&key]);
    }
    assert_eq!(failed(&network, |whom| whom < 2), []);
}

/// From some moment on gives no sign of life, not even its own, and passes everything else on.
#[derive(Debug)]
struct Hushes(Mono);

impl Adversary for Hushes {
    fn outgoing(&mut self, me: &mut Me, sent: Outgoing) {
        let is_pulses = matches!(wire::Frame::decode(sent.payload.clone()), Ok(wire::Frame::Pulses(_)));
        if !is_pulses || me.now().mono < self.0 {
            me.send(sent);
        }
    }
}

/// Its links are up, and nothing is said on them: an engine that hangs beside a transport that does not.
#[test]
fn a_hung_engine_fails_at_its_lease() {
    let liar = Liar::custom("hushes", |me| Box::new(Hushes(me.now().mono.plus(Duration::from_secs(30)))));
    let scenario = Scenario { nodes: 12, links: 6, members: true, ..Scenario::default() };
    let mut network = Network::new(Scenario { liar_count: Some(1), liar, ..scenario });
    pass(&mut network, Duration::from_secs(29));
    let hung = (0..12).find(|node| !network.is_honest(*node)).unwrap();
    let key = network.key_of(hung).unwrap();
    let links = network.nodes[hung].links();
    assert!(links.len() >= 6);
    // A lease after its last sign, and a moment for what was under way.
    pass(&mut network, Duration::from_secs(1 + 19));
    for (node, member) in honest(&network).into_iter().map(|node| (node, network.members(node).remove(&key)))
    {
        assert_eq!(
            member.map(|member| member.state),
            Some(MemberState::Failed(FailedWhy::Stalled)),
            "node {node}"
        );
    }
    // (Who knows it by its application dials it again.)
    let left: Vec<_> = network.nodes[hung].links().into_iter().filter(|link| links.contains(link)).collect();
    assert_eq!(left, []);
    let stalled = |news: &MemberNews| news.event == MemberEvent::Failed(key, FailedWhy::Stalled);
    assert!(network.member_news().iter().any(stalled));
    assert_eq!(failed(&network, |_| true), []);
}

/// Without its position log it says nothing for half a minute, in which its old lease ends.
#[test]
fn who_has_come_back_and_may_not_speak_yet_keeps_its_links() {
    let mut network = Network::new(Scenario { nodes: 20, links: 8, members: true, ..Scenario::default() });
    pass(&mut network, Duration::from_secs(20));
    let key = network.key_of(4).unwrap();
    network.crash(4);
    pass(&mut network, Duration::from_secs(3));
    network.restart(4, false);
    pass(&mut network, Duration::from_secs(4));
    let links = network.nodes[4].links();
    assert!(links.len() >= 4, "{links:?}");
    pass(&mut network, Duration::from_secs(18));
    let failed = |news: &&MemberNews| matches!(news.event, MemberEvent::Failed(of, _) if of == key);
    assert!(network.member_news().iter().filter(failed).count() > 10, "its lease is over");
    let left = network.nodes[4].links();
    assert!(links.iter().all(|link| left.contains(link)), "{links:?}, and {left:?} are left");
    pass(&mut network, Duration::from_secs(30));
    assert_eq!(alive_at_least(&network), 20);
}

/// Node 0 among so many neighbours, of which all but one may lie, and 23 others that are linked to each other.
fn surrounded(neighbours: usize) -> Scenario {
    let around = (1..=neighbours).map(|neighbour| (0, neighbour));
    let others = (1..24).flat_map(|node| (1..5).map(move |step| (node, (node - 1 + step) % 23 + 1)));
    let topology = Topology::Edges(around.chain(others).collect());
    Scenario { nodes: 24, members: true, topology, placement: Placement::Around(0), ..Scenario::default() }
}

/// All its neighbours lie from some moment on. It has much to say itself meanwhile, and hears nobody.
#[test]
fn who_hears_nobody_but_itself_judges_nobody() {
    let liar = Liar::custom("hushes", |me| Box::new(Hushes(me.now().mono.plus(Duration::from_secs(40)))));
    let scenario = Scenario { liar_count: Some(5), liar, ..surrounded(6) };
    let mut network = Network::new(scenario);
    pass(&mut network, Duration::from_secs(35));
    let honest_neighbour = (1..7).find(|node| network.is_honest(*node)).unwrap();
    network.crash(honest_neighbour);
    for second in 0..60u8 {
        network.describe(0, vec![second]);
        pass(&mut network, Duration::from_secs(1));
    }
    let judged = failed(&network, |whom| whom != honest_neighbour);
    assert!(judged.iter().all(|(by, _)| *by != 0), "{judged:?}");
    let isolated = |news: &MemberNews| news.node == 0 && news.event == MemberEvent::Isolated;
    assert!(network.member_news().iter().any(isolated));
}

/// It can record no position any more, so it can't say a record. Pulses need none.
#[test]
fn a_full_disk_lives_until_its_chain_ends() {
    let mut network = Network::new(Scenario { nodes: 20, links: 8, members: true, ..Scenario::default() });
    pass(&mut network, Duration::from_secs(20));
    network.set_disk(7, millis(10), true);
    network.describe(7, b"unheard".to_vec());
    pass(&mut network, Duration::from_secs(180));
    assert_eq!((failed(&network, |_| true), alive_at_least(&network)), (vec![], 20));
    let key = network.key_of(7).unwrap();
    assert_eq!(network.members(3)[&key].metadata, b"", "its record was not said");
}

/// Says that it knows nobody, whatever it is asked, and gives no record of others.
#[derive(Debug)]
struct KnowsNobody;

impl Adversary for KnowsNobody {
    fn outgoing(&mut self, me: &mut Me, sent: Outgoing) {
        match wire::Frame::decode(sent.payload.clone()) {
            Ok(wire::Frame::Pulses(said)) if said.page != PulsePage::Pushed => {
                let payload = wire::pulses(&Pulses { page: PulsePage::Last, pulses: Vec::new() });
                me.send(Outgoing { payload, ..sent });
            }
            _ if sent.lane == Lane::System || sent.lane == Lane::History => {}
            _ => me.send(sent),
        }
    }
}

/// Two of the three whom it asks first have empty pages.
#[test]
fn a_lying_page_hides_nobody_for_long() {
    let scenario = Scenario {
        liar_count: Some(2),
        liar: Liar::custom("knows-nobody", |_| Box::new(KnowsNobody)),
        ..surrounded(3)
    };
    let mut network = Network::new(scenario);
    pass(&mut network, Duration::from_secs(30));
    network.crash(0);
    pass(&mut network, Duration::from_secs(60));
    network.restart(0, false);
    let began = network.elapsed();
    let all: Vec<_> = honest(&network).into_iter().map(|node| network.key_of(node).unwrap()).collect();
    let knows = |network: &Network| {
        let members = network.members(0);
        all.iter().filter(|key| members.get(key).is_some_and(|member| member.state.is_here())).count()
    };
    while knows(&network) < all.len() {
        pass(&mut network, millis(100));
        let after = network.elapsed() - began;
        assert!(after < Duration::from_secs(15), "{} of {} after {after:?}", knows(&network), all.len());
    }
    println!("the whole table after {:?}", network.elapsed() - began);
}
