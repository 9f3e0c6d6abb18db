//! Without liars: determinism, few copies, bad links.

use super::*;

#[test]
fn the_same_seed_gives_the_same_run() {
    let one = run(small(), 3).trace();
    let same = run(small(), 3).trace();
    let other = run(Scenario { seed: 2, ..small() }, 3).trace();
    assert_eq!(one, same);
    assert_ne!(one, other);
}

#[test]
fn the_same_seed_gives_the_same_lies() {
    let all = Liar::ALL.iter().cloned().reduce(|all, liar| Liar::Both(Box::new(all), Box::new(liar)));
    let scenario = Scenario { nodes: 30, liar_count: Some(3), liar: all.unwrap(), ..small() };
    assert_eq!(run(scenario.clone(), 2).trace(), run(scenario, 2).trace());
}

#[test]
fn everybody_hears_and_copies_are_few() {
    let measures = run(small(), 5).measures();
    assert_promises(&measures, 5, "no liars");
    assert!(measures.copies <= 1.3, "{} copies", measures.copies);
    assert!(measures.delay(0.99) <= millis(450), "{:?}", measures.delay(0.99));
    assert!(measures.delay(1.0) <= millis(650), "{:?}", measures.delay(1.0));
    assert_eq!(measures.offences, 0);
}

#[test]
fn lossy_links_and_slow_uplinks_only_delay() {
    let measures = run(Scenario { loss: 0.05, uplink: Some(1_000_000), ..small() }, 5).measures();
    assert_promises(&measures, 5, "loss");
    assert!(measures.copies <= 1.6, "{} copies", measures.copies);
}
