//! Relays that lie: rows B1 to B6, B31 and B38 of docs/attacks.md, and every strategy at once over lightly.

use super::*;
use crate::protocol::Config;

#[test]
fn silent_third_does_not_lose_a_rumor() {
    for placement in [Placement::Random, Placement::Around(0), Placement::Cut] {
        let measures = run(Scenario { placement, ..with(Liar::Silent) }, 5).measures();
        let what = format!("{placement:?}");
        assert_promises(&measures, 5, &what);
        assert!(measures.copies <= 1.3, "{what}: {} copies", measures.copies);
        // A node that only one honest node knows hears of it when that one has it, and then pulls.
        let most = if placement == Placement::Random { 550 } else { 650 };
        assert!(measures.delay(0.99) <= millis(most), "{what}: {:?}", measures.delay(0.99));
        assert!(measures.delay(1.0) <= millis(1_000), "{what}: {:?}", measures.delay(1.0));
    }
}

/// The goal is 99.99 % of the pairs when half of the nodes are silent.
#[test]
fn silent_half_loses_next_to_nothing() {
    let network = run(Scenario { liars: 0.5, ..with(Liar::Silent) }, 20);
    let measures = network.measures();
    assert!(measures.coverage() >= 0.999_9, "{}", measures.coverage());
    assert_eq!((measures.honest, measures.spreads.len()), (100, 20));
    assert_eq!((measures.false_bans, measures.repeated), (0, 0));
}

#[test]
fn selective_censors_only_delay() {
    for liar in [Liar::CensorAuthor, Liar::CensorTopic, Liar::CensorVictim] {
        let what = liar.to_string();
        // The victim knows one honest node. It speaks, and it listens.
        let mut network = Network::new(Scenario { placement: Placement::Around(0), ..with(liar) });
        pass(&mut network, GREETED);
        for number in 0..5u8 {
            network.publish(0, vec![number; 300]);
            pass(&mut network, GAP);
        }
        publish(&mut network, 5);
        pass(&mut network, PATIENCE);
        let measures = network.measures();
        assert_promises(&measures, 10, &what);
        assert!(measures.delay(1.0) <= millis(1_000), "{what}: {:?}", measures.delay(1.0));
    }
}

#[test]
fn slow_relays_cost_at_most_a_time_out_a_hop() {
    let plain = run(small(), 20).measures();
    let slow = run(with(Liar::Slow), 20).measures();
    assert_promises(&slow, 20, "slow");
    // The longest round trip is 260 ms, so the longest time-out 570 ms; the median is 135 and 320 ms.
    let most = plain.delay(0.99) + millis(320);
    assert!(slow.delay(0.99) <= most, "p99 {:?}, {:?} without liars", slow.delay(0.99), plain.delay(0.99));
    assert!(slow.copies <= 1.3, "{} copies", slow.copies);
}

#[test]
fn announce_liars_are_struck() {
    let network = run(with(Liar::Announce), 20);
    let measures = network.measures();
    assert_promises(&measures, 20, "announce");
    assert!(measures.copies <= 2.0, "{} copies", measures.copies);
    let of = |from: usize, to: usize| delay(&measures.spreads[from..to], 0.99);
    let (first, after, later) = (of(0, 3), of(3, 20), of(10, 20));
    assert!(first <= millis(1_000), "{first:?}");
    assert!(after <= millis(750), "{after:?}");
    // By then a node has met most of its eight liars: one time-out each. (The goal at 10 000 nodes is 550 ms.)
    assert!(later <= millis(650), "{later:?}");
    assert_eq!(struck(&network), 0);
}

/// Sixty rumors: the median of their 99th percentiles, and the worst, beside liars of this kind.
fn p99s(liar: Liar) -> (Duration, Duration) {
    let scenario = Scenario { links: 8, liar, ..with(Liar::Silent) };
    let measures = run(scenario, 60).measures();
    assert_promises(&measures, 60, "p99s");
    let mut all: Vec<_> = measures.spreads.iter().map(|one| delay(std::slice::from_ref(one), 0.99)).collect();
    all.sort_unstable();
    (all[all.len() / 2], all[all.len() - 1])
}

#[test]
fn liars_that_repeat_what_is_old_cost_no_more_than_silent_ones() {
    let (plain, parrots) = (p99s(Liar::Announce), p99s(Liar::Parrot));
    println!("p99 of single rumors, median and worst: announce {plain:?}, parrot {parrots:?}");
    assert!(parrots.0 <= plain.0.mul_f64(1.5), "{parrots:?}, {plain:?}");
    assert!(parrots.1 <= plain.1.mul_f64(1.5), "{parrots:?}, {plain:?}");
}

#[test]
fn stalled_body_moves_to_another_source() {
    let measures = run(with(Liar::Stall), 10).measures();
    assert_promises(&measures, 10, "stall");
    // Far from the three seconds that a stalled reply takes.
    assert!(measures.delay(1.0) <= millis(1_500), "{:?}", measures.delay(1.0));
}

#[test]
fn hop_reset_costs_bounded_copies() {
    let measures = run(with(Liar::Hops), 5).measures();
    assert_promises(&measures, 5, "hops");
    assert!(measures.copies <= 8.5, "{} copies", measures.copies);
}

#[test]
fn covert_flash_recovers() {
    for (liar, most) in [("silent@10", 550), ("announce@10", 1_000)] {
        let mut network = Network::new(with(liar.parse().unwrap()));
        pass(&mut network, millis(7_900));
        publish(&mut network, 5);
        assert!(network.elapsed() <= millis(10_000));
        let left = millis(10_000) - network.elapsed();
        pass(&mut network, left);
        publish(&mut network, 20);
        pass(&mut network, PATIENCE);
        let measures = network.measures();
        assert_promises(&measures, 25, liar);
        let recovered: Vec<_> =
            measures.spreads.iter().filter(|told| told.published >= millis(12_000)).cloned().collect();
        assert!(recovered.len() >= 8);
        let p99 = delay(&recovered, 0.99);
        assert!(p99 <= millis(most), "{liar}: p99 {p99:?}, two seconds after the flip");
    }
}

/// Few rumors, few nodes, but every strategy, on bad links and with clocks that differ by as much as they may.
#[test]
fn correct_nodes_never_blame_each_other() {
    for liar in Liar::ALL {
        let scenario = Scenario {
            nodes: 60,
            clock_spread: Duration::from_secs(15),
            jitter: millis(20),
            loss: 0.02,
            uplink: Some(2_000_000),
            ..with(liar.clone())
        };
        let heavy = matches!(
            liar,
            Liar::Flood
                | Liar::Overflow
                | Liar::BackDated
                | Liar::Edge
                | Liar::Expired
                | Liar::Crowd
                | Liar::Crumbs
                | Liar::Waver
        );
        let scenario = if heavy { Scenario { liar_count: Some(2), ..scenario } } else { scenario };
        let network = run(scenario, 6);
        let what = liar.to_string();
        assert_promises(&network.measures(), 6, &what);
        assert_eq!(struck(&network), 0, "{what}");
    }
}

/// Links between honest nodes that one of them has given up on.
fn struck(network: &Network) -> usize {
    links_of_the_honest(network).iter().filter(|(link, honest)| *honest && link.last_resort).count()
}

#[test]
fn a_burst_strikes_no_honest_link() {
    let scenario = Scenario { nodes: 60, liar_count: Some(2), liar: Liar::BackDated, ..small() };
    assert_eq!(struck(&run(Scenario { uplink: Some(2_000_000), ..scenario }, 6)), 0);
}

#[test]
fn a_burst_on_bad_links_strikes_no_honest_link() {
    let scenario = Scenario {
        nodes: 60,
        clock_spread: Duration::from_secs(15),
        jitter: millis(20),
        loss: 0.02,
        uplink: Some(2_000_000),
        liar_count: Some(2),
        ..with(Liar::BackDated)
    };
    assert_eq!(struck(&run(scenario, 6)), 0);
}

#[test]
fn one_forgery_costs_every_liar_its_link() {
    for liar in [Liar::BadSignature, Liar::ForgeVictim, Liar::WrongFirst] {
        let what = liar.to_string();
        let network = run(with(liar), 10);
        assert_promises(&network.measures(), 10, &what);
        if what != Liar::WrongFirst.to_string() {
            // (A wrong signature that comes second is not even looked at.)
            let liars_left = links_of_the_honest(&network).iter().filter(|(_, honest)| !honest).count();
            assert_eq!(liars_left, 0, "{what}");
        }
        let convicted =
            honest(&network).into_iter().map(|node| network.engine(node).unwrap().convicted().len());
        assert_eq!(convicted.sum::<usize>(), 0, "{what}: nobody is convicted by forgeries");
    }
}

#[test]
fn refused_ids_are_pulled_once() {
    let mut network = Network::new(Scenario { nodes: 60, liar_count: Some(6), ..with(Liar::Refused) });
    pass(&mut network, Duration::from_secs(15));
    for node in honest(&network) {
        let stats = network.engine(node).unwrap().stats();
        let liars = stats.links.iter().filter(|link| !network.is_honest(network.by_key[&link.peer] as usize));
        let ids = 32 * liars.count() as u64;
        assert!(stats.counters.pulls <= ids, "{} pulls of {ids} ids", stats.counters.pulls);
        assert_eq!(stats.counters.accepted, 0);
    }
}

#[test]
fn announced_phantoms_are_bounded_and_forgotten() {
    let mut network = Network::new(Scenario { nodes: 60, liar_count: Some(6), ..with(Liar::Phantoms) });
    pass(&mut network, Duration::from_secs(20));
    publish(&mut network, 5);
    pass(&mut network, PATIENCE);
    assert_promises(&network.measures(), 5, "phantoms");
    for node in honest(&network) {
        let stats = network.engine(node).unwrap().stats();
        // 64 a second and a liar, each given up after two quick passes and pauses of 1, 2, 4 and 8 s.
        assert!(stats.wants <= 6 * 64 * 20, "{} wants", stats.wants);
    }
}

/// As many liars as honest nodes, that want every inbound place from the first moment on, and say nothing.
#[test]
fn cold_boot_under_attack() {
    let scenario = Scenario {
        nodes: 400,
        liars: 0.5,
        liar: Liar::Slots,
        start: Start::Cold,
        config: Config::default().with(|config| config.links.inbound = 36),
        ..Scenario::default()
    };
    let mut network = Network::new(scenario);
    pass(&mut network, Duration::from_secs(3));
    publish(&mut network, 10);
    pass(&mut network, PATIENCE);
    let measures = network.measures();
    assert_promises(&measures, 10, "cold boot");
    assert!(measures.delay(0.99) <= millis(1_000), "{:?}", measures.delay(0.99));
}
