//! An application's own adversary, by the public API alone.
#![cfg(feature = "sim")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use vouchsafe::Position;
use vouchsafe::adversary::{Adversary, Liar, Me, Outgoing};
use vouchsafe::protocol::{LinkId, Mono};
use vouchsafe::sim::{Experiment, Network, Scenario};
use vouchsafe::wire::{Kind, Lane};

/// Serves and forwards nothing, counts what it hears, and says something of its own once.
#[derive(Debug)]
struct Mumbler {
    heard: Arc<AtomicUsize>,
    speaks: Option<Mono>,
}

impl Adversary for Mumbler {
    fn outgoing(&mut self, me: &mut Me, frame: Outgoing) {
        if matches!(Kind::of(&frame.payload), Some(Kind::Hello | Kind::Topics)) {
            me.send(frame);
        }
    }

    fn incoming(&mut self, _: &mut Me, _: LinkId, _: Lane, _: &Bytes) {
        self.heard.fetch_add(1, Ordering::Relaxed);
    }

    fn next_wake(&self) -> Option<Mono> {
        self.speaks
    }

    fn wake(&mut self, me: &mut Me) {
        self.speaks = None;
        let word = me.seal(Position { tick: me.tick(), slot: 0 }, 1, 100);
        let targets = me.targets();
        me.push(&targets, word.as_slice());
    }
}

fn mumbler(heard: &Arc<AtomicUsize>) -> Liar {
    let heard = Arc::clone(heard);
    Liar::custom("mumble", move |me| {
        Box::new(Mumbler { heard: Arc::clone(&heard), speaks: Some(me.about(2)) })
    })
}

fn scenario(liar: Liar) -> Scenario {
    Scenario { nodes: 60, links: 6, liar_count: Some(12), liar, ..Scenario::default() }
}

#[test]
fn what_it_hears_holds_back_and_says_is_what_happens() {
    let heard = Arc::new(AtomicUsize::new(0));
    let mut network = Network::new(scenario(mumbler(&heard)));
    network.run_checked(Duration::from_secs(4)).unwrap();
    let author = network.random_honest();
    network.publish(author, vec![1; 300]);
    network.run_checked(Duration::from_secs(6)).unwrap();
    let measures = network.measures();
    assert_eq!((measures.honest, measures.coverage(), measures.complete()), (48, 1.0, 1));
    assert!(heard.load(Ordering::Relaxed) > 12, "none of them heard a frame");
    assert_eq!(measures.lies.len(), 12, "each said one thing");
    assert!(measures.lies.iter().all(|lie| lie.delays.len() == 48), "{:?}", measures.lies);
}

#[test]
fn it_is_repeatable_and_goes_with_the_others() {
    let heard = Arc::default();
    let trace = |liar: &Liar| {
        let experiment = Experiment { scenario: scenario(liar.clone()), rumors: 2, ..Experiment::default() };
        let report = experiment.run(&mut |_| ());
        assert!(report.is_sound() && report.coverage == 1.0);
        (report.adversary, report.trace)
    };
    let alone = mumbler(&heard);
    let later = Liar::From(Duration::from_secs(3), Box::new(alone.clone()));
    let both = Liar::Both(Box::new(Liar::Hops), Box::new(later));
    assert_eq!(trace(&alone), trace(&alone));
    assert_eq!(trace(&alone).0, "mumble");
    assert_eq!(trace(&both).0, "hops+mumble@3");
    assert_ne!(trace(&alone).1, trace(&Liar::Silent).1);
}
