//! Load: rows B39, B40 and B42 of docs/attacks.md.

use super::*;

/// Each node can send so many bytes a second.
const UPLINK: u64 = 1_000_000;
const BODY: usize = 4_096;

/// Nodes publish so that each of them must send about `part` of what it can, if every node gets every rumor once.
fn load(scenario: Scenario, part: f64, time: Duration) -> (Network, usize) {
    let mut network = Network::new(Scenario { uplink: Some(UPLINK), ..scenario });
    pass(&mut network, GREETED);
    let gap = Duration::from_secs_f64(BODY as f64 / (UPLINK as f64 * part));
    let mut rumors = 0usize;
    let until = network.elapsed() + time;
    while network.elapsed() < until {
        let node = network.random_honest();
        let mut body = vec![0; BODY];
        body[..8].copy_from_slice(&rumors.to_le_bytes());
        network.publish(node, body);
        pass(&mut network, gap);
        rumors += 1;
    }
    pass(&mut network, PATIENCE);
    (network, rumors)
}

#[test]
fn pulls_do_not_collapse_under_load() {
    let (network, rumors) = load(Scenario { nodes: 100, ..small() }, 0.6, Duration::from_secs(2));
    let measures = network.measures();
    assert_promises(&measures, rumors, "load");
    assert!(measures.copies <= 1.6, "{} copies", measures.copies);
    assert!(measures.delay(0.99) <= millis(1_000), "{:?}", measures.delay(0.99));
    let links = links_of_the_honest(&network);
    assert!(links.iter().all(|(link, _)| !link.last_resort), "a busy link was struck");
}

#[test]
fn load_with_liars_delivers() {
    let (network, rumors) =
        load(Scenario { nodes: 100, ..with(Liar::Announce) }, 0.6, Duration::from_secs(2));
    let measures = network.measures();
    assert_promises(&measures, rumors, "load with liars");
    assert!(measures.copies <= 2.0, "{} copies", measures.copies);
}

/// Two authors release a minute and a half of their quota at once, 2.8 MB for everybody to carry.
#[test]
fn backdated_burst_is_paced() {
    let scenario = Scenario { nodes: 100, uplink: Some(10 * UPLINK), liar_count: Some(2), ..small() };
    let calm = run(Scenario { liar: Liar::Stall, ..scenario.clone() }, 20).measures();
    let network = run(Scenario { liar: Liar::BackDated, ..scenario }, 20);
    let burst = network.measures();
    assert_promises(&burst, 20, "burst");
    // (Liars push with the largest hop budget, so relays push what they may of it: at most twice the quota.)
    assert!(burst.copies <= 2.5, "{} copies", burst.copies);
    assert!(
        burst.delay(0.99) <= calm.delay(0.99).mul_f64(1.5),
        "{:?}, {:?}",
        burst.delay(0.99),
        calm.delay(0.99)
    );
    let counters = honest(&network).into_iter().map(|node| network.engine(node).unwrap().stats().counters);
    assert!(counters.map(|one| one.push_degraded).sum::<u64>() > 0, "nothing was paced");
}

/// Authors that have been known for ten minutes have turns of their own in every queue, so the burst holds up itself.
#[test]
fn backdated_burst_is_paced_on_a_slow_uplink_too() {
    const KNOWN_AFTER: Duration = Duration::from_secs(610);
    let delays = |liar: &str| {
        let liar = liar.parse().unwrap();
        let mut network =
            Network::new(Scenario { nodes: 100, uplink: Some(UPLINK), liar_count: Some(2), liar, ..small() });
        pass(&mut network, GREETED);
        let authors: Vec<_> = honest(&network).into_iter().take(20).collect();
        for wait in [KNOWN_AFTER, PATIENCE] {
            for author in &authors {
                network.publish(*author, vec![0; 300]);
                pass(&mut network, GAP);
            }
            pass(&mut network, wait);
        }
        let measures = network.measures();
        assert_promises(&measures, 40, "burst");
        delay(&measures.spreads[20..], 0.99)
    };
    // Both begin when the second round does.
    let (calm, burst) = (delays("stall@617"), delays("back-dated@617"));
    assert!(burst <= calm.mul_f64(1.5), "p99 {burst:?}, {calm:?} without the burst");
}
