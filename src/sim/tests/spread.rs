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
fn what_a_machine_wants_done_is_told_apart_in_the_trace() {
    use crate::protocol::{Action, Event, LinkId, PublishError, PublishId};
    use crate::wire::Lane;
    let trace = |action: &dyn Fn() -> Action| {
        let mut network = Network::new(Scenario { nodes: 4, links: 2, ..small() });
        network.act(0, network.now_of(0), action());
        network.trace()
    };
    let event = |ahead_ms| Action::Event(Event::ClockSkew { ahead_ms });
    let published = |result: Result<_, PublishError>| Action::Published { publish_id: PublishId(9), result };
    let actions: [&dyn Fn() -> Action; 9] = [
        &|| Action::PauseReading(LinkId(1), Lane::Rumors),
        &|| Action::PauseReading(LinkId(1), Lane::History),
        &|| Action::PauseReading(LinkId(2), Lane::Rumors),
        &|| Action::ResumeReading(LinkId(1), Lane::Rumors),
        &|| Action::Record { from_ms: 0, until_ms: 1 },
        &|| Action::Record { from_ms: 0, until_ms: 2 },
        &|| event(1),
        &|| event(2),
        &|| published(Err(PublishError::Closed)),
    ];
    let traces: std::collections::BTreeSet<_> = actions.iter().map(|action| trace(*action)).collect();
    assert_eq!(traces.len(), actions.len());
}

#[test]
fn lossy_links_and_slow_uplinks_only_delay() {
    let measures = run(Scenario { loss: 0.05, uplink: Some(1_000_000), ..small() }, 5).measures();
    assert_promises(&measures, 5, "loss");
    assert!(measures.copies <= 1.6, "{} copies", measures.copies);
}
