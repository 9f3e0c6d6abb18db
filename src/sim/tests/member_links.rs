//! Where the links of members lead: a network that began among liars, or whose members come and go, does not stay theirs.

use super::*;

/// Liars hold every inbound place that is open to all, are always up, and pass nothing on.
fn saturated(nodes: usize, liars: f64, poisoned: u8) -> Scenario {
    let mut scenario = Scenario {
        nodes,
        links: 12,
        liars,
        liar: Liar::Mute,
        grasping: 4,
        members: true,
        start: Start::Poisoned(poisoned),
        ..Scenario::default()
    };
    (scenario.config.links.inbound, scenario.config.links.hash_selected) = (40, 20);
    scenario
}

/// What part of the links that honest nodes dialled leads to liars, and how many honest nodes have no link to an honest one.
fn lead_to_liars(network: &Network) -> (f64, usize) {
    let (mut lying, mut all, mut cut_off) = (0usize, 0usize, 0);
    for node in honest(network).into_iter().filter(|node| network.is_alive(*node)) {
        let links = network.links(node);
        let dialled: Vec<_> = links.iter().filter(|(_, dialled)| *dialled).collect();
        lying += dialled.iter().filter(|(peer, _)| !network.is_honest(*peer)).count();
        all += dialled.len();
        cut_off += usize::from(!links.iter().any(|(peer, _)| network.is_honest(*peer)));
    }
    (lying as f64 / all.max(1) as f64, cut_off)
}

/// Lets time pass, which is too long for a look after each event, and looks each minute.
fn pass_minutes(network: &mut Network, minutes: u64) {
    for _ in 0..minutes {
        network.run_for(Duration::from_secs(60));
        network.check().unwrap();
    }
}

/// Two thirds of all that nodes are told of at first are liars, who are a third of all.
#[test]
fn poisoned_bootstrap_heals() {
    let mut network = Network::new(saturated(66, 0.33, 67));
    network.run_for(Duration::from_secs(2));
    let (at_first, _) = lead_to_liars(&network);
    pass_minutes(&mut network, 6);
    let (share, cut_off) = lead_to_liars(&network);
    println!("share of liars: {at_first:.3} at first, {share:.3} after six minutes; {cut_off} cut off");
    assert!(at_first > 0.5, "{at_first}");
    assert!(share <= 0.33 + 0.03, "{share}");
    assert_eq!(cut_off, 0);
}

/// A tenth of the honest members goes and comes each minute, while liars stay. Of those that newcomers are told of first half lie.
#[test]
fn churn_does_not_drift() {
    let a_second = 0.1 * 44.0 / 60.0;
    let churn = Churn { leave_per_s: a_second, join_per_s: a_second };
    let mut network = Network::new(Scenario { churn: Some(churn), ..saturated(66, 0.33, 50) });
    pass_minutes(&mut network, 2);
    // (Of some 530 links chance is worth 0.02, so three moments count.)
    let mut shares = Vec::new();
    for _ in 0..3 {
        pass_minutes(&mut network, 2);
        shares.push(lead_to_liars(&network));
    }
    let share = shares.iter().map(|(share, _)| share).sum::<f64>() / shares.len() as f64;
    println!("share of liars, cut off: {shares:.3?}, {share:.3} on average");
    assert!(share <= 0.33 + 0.05, "{share}");
    assert!(shares.iter().all(|(_, cut_off)| *cut_off == 0), "{shares:?}");
}

/// Where nobody publishes, signs of life tell a node that its links lead somewhere. Each feeler would be told of all members.
#[test]
fn a_quiet_network_of_members_feels_for_others_rarely() {
    let felt =
        |network: &Network| network.nodes.iter().map(|node| node.dialling.dialler.feelers()).sum::<u64>();
    let start = Start::Poisoned(0);
    let mut network =
        Network::new(Scenario { nodes: 24, links: 4, members: true, start, ..Scenario::default() });
    pass_minutes(&mut network, 5);
    let before = felt(&network);
    pass_minutes(&mut network, 5);
    // (Once in ten minutes each, and more where signs of life were late. It was 40 and more.)
    let each = (felt(&network) - before) as f64 / 24.0;
    assert!(each <= 8.0, "{each} feelers of each node in five minutes");
}
