//! The invariants hold in the presence of each present liar; and the check sees what it is for.

use super::*;

#[test]
fn invariants_hold_with_a_third_of_liars_of_each_kind() {
    let flash = Liar::From(Duration::from_secs(3), Box::new(Liar::Silent));
    for liar in [Liar::Silent, Liar::Announce, Liar::Hops, Liar::Slow, flash] {
        let mut network = Network::new(Scenario { nodes: 120, liars: 0.33, liar: liar.clone(), ..small() });
        network.run_checked(Duration::from_secs(2)).unwrap();
        for number in 0..4 {
            let node = network.random_honest();
            network.publish(node, vec![number; 300]);
            network.run_checked(Duration::from_millis(500)).unwrap();
        }
        network.run_checked(Duration::from_secs(6)).unwrap();
        assert_eq!(network.measures().coverage(), 1.0, "{liar:?}");
    }
}

#[test]
fn a_false_ban_is_seen_at_once() {
    let mut network = Network::new(Scenario { nodes: 20, links: 4, ..small() });
    network.run_checked(Duration::from_secs(1)).unwrap();
    // As if an honest node had sent bytes that nobody can decode.
    let peer = network.links(0)[0].0;
    network.inject(peer, 0, crate::wire::Lane::Control, bytes::Bytes::from_static(&[99]));
    let broken = network.run_checked(Duration::from_secs(1)).unwrap_err();
    assert_eq!(broken.node, 0);
    assert!(broken.to_string().contains("honest"), "{broken}");
}

#[test]
fn checking_changes_nothing() {
    let run = |checked: bool| {
        let mut network = Network::new(small());
        network.publish(3, vec![1; 300]);
        if checked {
            network.run_checked(Duration::from_secs(3)).unwrap();
        } else {
            network.run_for(Duration::from_secs(3));
        }
        network.trace()
    };
    assert_eq!(run(true), run(false));
}

#[test]
fn every_fault_is_decided_by_the_seed() {
    let run = |seed| {
        let churn = Churn { leave_per_s: 1.0, join_per_s: 1.0 };
        let uplink = Some(500_000);
        let scenario = Scenario {
            seed,
            churn: Some(churn),
            loss: 0.02,
            uplink,
            start: Start::Cold,
            liars: 0.2,
            grasping: 3,
            ..small()
        };
        let mut network = Network::new(Scenario { nodes: 80, ..scenario });
        network.run_for(Duration::from_secs(3));
        network.crash(1);
        network.partition(|node| u32::from(node % 3 == 0));
        network.load(Load { per_second: 5.0, size: 500, time: Duration::from_secs(2) });
        network.heal();
        network.restart(1, false);
        network.run_for(Duration::from_secs(2));
        network.trace()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}
