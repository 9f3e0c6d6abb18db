//! Authors that lie: rows B12, B13, B16, B36, B37 of docs/attacks.md.

use super::*;
use crate::verify;

fn convicted(network: &Network) -> usize {
    let some = |node: &usize| !network.engine(*node).unwrap().convicted().is_empty();
    honest(network).iter().filter(|node| some(node)).count()
}

#[test]
fn equivocation_convicts_everywhere() {
    let plain = run(small(), 5).measures().delay(0.99);
    for topic in [small().topic, held_back()] {
        let scenario = Scenario { liar_count: Some(1), liar: Liar::Equivocate, topic, ..small() };
        let mut network = Network::new(scenario);
        while convicted(&network) == 0 {
            pass(&mut network, millis(10));
            assert!(network.elapsed() < Duration::from_secs(10), "nobody noticed");
        }
        pass(&mut network, plain * 2);
        let measures = network.measures();
        assert_eq!(convicted(&network), measures.honest, "{plain:?} after the first conviction, twice");
        assert_eq!((measures.false_bans, measures.offences), (0, 0));
        for node in honest(&network) {
            let all = network.engine(node).unwrap().convicted();
            assert_eq!(all.len(), 1);
            let evidence = all[0].1.unwrap();
            assert!(!network.is_honest(network.by_key[&evidence.author()] as usize));
            assert!(evidence.headers().iter().all(|signed| {
                let message = crate::rumor::SignedHeader::message(&signed.header.id());
                verify::verify_single(&signed.header.author, &message, &signed.signature)
            }));
        }
        if network.scenario.topic.bind(crate::rumor::NetworkId::of("n")).unwrap().hold_back().is_some() {
            pass(&mut network, PATIENCE);
            let told: usize = network.measures().lies.iter().map(|lie| lie.delays.len()).sum();
            assert_eq!(told, 0, "neither version is delivered");
        }
    }
}

#[test]
fn late_equivocation_convicts_too() {
    let scenario = Scenario { nodes: 60, liar_count: Some(1), liar: Liar::EquivocateLate, ..small() };
    let mut network = Network::new(scenario);
    pass(&mut network, Duration::from_secs(60));
    assert_eq!((convicted(&network), network.measures().lies.len()), (0, 1));
    pass(&mut network, Duration::from_secs(10));
    assert_eq!(convicted(&network), network.measures().honest);
}

#[test]
fn holdback_agrees_at_the_window_edge() {
    for seed in 1..=2 {
        let mut network = Network::new(Scenario { seed, ..edges() });
        // Until the last second words are out.
        pass(&mut network, Duration::from_secs(200));
        let measures = network.measures();
        assert_eq!(measures.disagreements, 0, "seed {seed}");
        assert_eq!(measures.false_bans, 0);
        assert_eq!(convicted(&network), measures.honest);
        // Where the second word is later than the hold-back, or outside a window, the first is delivered.
        assert!(measures.lies.iter().any(|lie| !lie.delays.is_empty()), "seed {seed}: nothing was tried");
    }
}

#[test]
fn signatures_with_torsion_hold_for_everybody() {
    let scenario = Scenario { nodes: 60, liar_count: Some(3), liar: Liar::Torsion, ..small() };
    let mut network = Network::new(scenario);
    pass(&mut network, Duration::from_secs(9));
    let measures = network.measures();
    assert_eq!((measures.offences, measures.false_bans), (0, 0));
    let old = measures.lies.iter().filter(|lie| lie.published < Duration::from_secs(7));
    let reached: Vec<_> = old.map(|lie| lie.delays.len()).collect();
    assert!(reached.len() >= 7, "of all the seven points of small order");
    assert!(reached.iter().all(|count| *count == measures.honest), "{reached:?} of {}", measures.honest);
}

#[test]
fn old_bundles_never_come_back() {
    let mut network = Network::new(Scenario { nodes: 60, liar_count: Some(20), ..with(Liar::Replay) });
    pass(&mut network, GREETED);
    publish(&mut network, 5);
    pass(&mut network, Duration::from_secs(120));
    publish(&mut network, 5);
    pass(&mut network, PATIENCE);
    let measures = network.measures();
    assert_promises(&measures, 10, "replay");
    assert_eq!(measures.offences, 0, "to be late is no offence");
}
