//! Links at run time.

use super::*;
use crate::protocol::Config;

/// Nobody feels for others: where links are counted while nobody speaks.
fn without_feelers() -> Config {
    let mut config = Config::default();
    config.dialling.feelers = 0;
    config
}

#[test]
fn a_cold_network_finds_its_links_and_spreads() {
    let mut network = Network::new(Scenario { start: Start::Cold, config: without_feelers(), ..small() });
    assert!((0..200).all(|node| network.links(node).is_empty()));
    network.run_checked(Duration::from_secs(3)).unwrap();
    for node in 0..network.len() {
        let dialled = network.links(node).into_iter().filter(|(_, dialled)| *dialled).count();
        assert!((11..=13).contains(&dialled), "node {node} dialled {dialled}");
    }
    network.publish(0, vec![1; 300]);
    network.run_checked(Duration::from_secs(3)).unwrap();
    assert_eq!(network.measures().coverage(), 1.0);
}

#[test]
fn a_full_node_refuses_and_the_dialler_tries_another() {
    let config = without_feelers().with(|config| config.links.inbound = 12);
    let mut network = Network::new(Scenario { start: Start::Cold, links: 6, config, ..small() });
    network.run_checked(Duration::from_secs(10)).unwrap();
    let measures = network.measures();
    assert!(measures.refused_dials > 0);
    for node in 0..network.len() {
        let (dialled, inbound): (Vec<_>, Vec<_>) =
            network.links(node).into_iter().partition(|(_, dialled)| *dialled);
        assert!(inbound.len() <= 12, "{} inbound", inbound.len());
        assert_eq!(dialled.len(), 6, "node {node}");
    }
}

#[test]
fn an_adversary_dials_as_often_as_it_likes_and_gets_one_place() {
    let mut network = Network::new(Scenario { nodes: 30, links: 3, ..small() });
    let stranger = (1..30).find(|node| network.links(0).iter().all(|(peer, _)| peer != node)).unwrap();
    for _ in 0..20 {
        network.dial(stranger, 0);
        network.run_checked(Duration::from_secs(1)).unwrap();
    }
    let links = network.links(0).into_iter().filter(|(peer, _)| *peer == stranger).count();
    assert_eq!(links, 1);
}

/// As many liars as honest nodes, that want every place there is from the first moment on.
#[test]
fn grasping_liars_do_not_keep_a_cold_network_from_speaking() {
    let scenario = Scenario {
        nodes: 200,
        liars: 0.5,
        liar: Liar::Silent,
        start: Start::Cold,
        grasping: 20,
        config: Config::default().with(|config| config.links.inbound = 36),
        ..small()
    };
    let mut network = Network::new(scenario);
    network.run_checked(Duration::from_secs(10)).unwrap();
    for number in 0..5 {
        let node = network.random_honest();
        network.publish(node, vec![number; 300]);
        network.run_checked(Duration::from_secs(1)).unwrap();
    }
    network.run_checked(Duration::from_secs(5)).unwrap();
    let measures = network.measures();
    assert_eq!((measures.coverage(), measures.false_bans), (1.0, 0));
    assert!(measures.refused_dials > 0, "there was a place for every liar");
}

#[test]
fn a_node_that_hears_nothing_sends_feelers() {
    let mut network = Network::new(mostly_liars());
    network.run_for(Duration::from_secs(2));
    let honest: Vec<_> = (0..network.len()).filter(|node| network.is_honest(*node)).collect();
    let alone = |network: &Network, node: usize| {
        !network.links(node).iter().any(|(peer, _)| network.is_honest(*peer))
    };
    assert!(honest.iter().any(|node| alone(&network, *node)), "everybody had an honest link");
    for number in 0..10 {
        let node = network.random_honest();
        network.publish(node, vec![number; 300]);
        network.run_for(Duration::from_secs(1) / 4);
    }
    network.run_checked(Duration::from_secs(20)).unwrap();
    let measures = network.measures();
    assert_eq!((measures.coverage(), measures.false_bans), (1.0, 0));
}
