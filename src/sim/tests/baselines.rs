//! Each claim has a neighbour: what the other protocols do on the same network.

use super::*;

fn with(protocol: Protocol, liars: f64) -> Measures {
    run(Scenario { protocol, liars, ..small() }, 5).measures()
}

#[test]
fn the_cycle_reaches_all_and_repeats_itself() {
    let measures = with(Protocol::Cycle { fanout: 4 }, 0.0);
    assert_eq!((measures.coverage(), measures.repeated), (1.0, 0));
    assert!(measures.copies > 10.0, "{} copies", measures.copies);
    // A cycle a second.
    assert!(measures.delay(0.99) > Duration::from_secs(2), "{:?}", measures.delay(0.99));
}

#[test]
fn infect_and_die_leaves_some_out() {
    let measures = with(Protocol::InfectAndDie { fanout: 4 }, 0.0);
    assert!((0.9..1.0).contains(&measures.coverage()), "{}", measures.coverage());
    assert!((3.0..=4.5).contains(&measures.copies), "{} copies", measures.copies);
    assert!(with(Protocol::InfectAndDie { fanout: 4 }, 0.5).coverage() < 0.9);
}

#[test]
fn a_mesh_costs_its_degree_and_heals_by_announcing() {
    let measures = with(Protocol::Mesh { degree: 8 }, 0.0);
    assert_eq!(measures.coverage(), 1.0);
    assert!((4.0..9.0).contains(&measures.copies), "{} copies", measures.copies);
    assert!(measures.announcements > 0.0);
    assert!(with(Protocol::Mesh { degree: 8 }, 0.33).coverage() > 0.99);
}

#[test]
fn the_engine_needs_fewer_copies_than_any_that_reaches_all() {
    let ours = with(Protocol::Vouchsafe, 0.0);
    for other in [Protocol::Cycle { fanout: 4 }, Protocol::Mesh { degree: 8 }] {
        let theirs = with(other, 0.0);
        assert!(ours.copies * 3.0 < theirs.copies, "{} against {other}: {}", ours.copies, theirs.copies);
        assert!(ours.bytes_ratio < theirs.bytes_ratio);
    }
}
