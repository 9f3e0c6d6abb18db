//! A member whose neighbours are liars, all or all but one: they keep its signs of life, hold them back, and say old ones again.

use bytes::Bytes;

use super::*;
use crate::PublicKey;
use crate::adversary::{Adversary, Me, Outgoing};
use crate::protocol::{LinkId, MemberEvent, MemberState, Mono};
use crate::wire::{Frame, KeyPrefix, Kind, Lane, Pulses};

const NODES: usize = 40;
/// The member.
const SUBJECT: usize = 7;
/// How often old records are said again.
const EVERY: Duration = Duration::from_secs(1);

/// Ten links of each node and no others. Of the subject's, all but one lead to liars, who are a third of all.
fn around(liar: Liar) -> Scenario {
    let steps = [1, 4, 9, 11, 16];
    let edges = (0..NODES).flat_map(|from| steps.map(|step| (from, (from + step) % NODES)));
    Scenario {
        nodes: NODES,
        topology: Topology::Edges(edges.collect()),
        members: true,
        liars: 0.33,
        placement: Placement::Around(SUBJECT),
        liar,
        ..Scenario::default()
    }
}

/// Tells nobody of the subject's pulses, neither pushed nor asked for.
#[derive(Debug)]
struct KeepsPulses;

impl Adversary for KeepsPulses {
    fn outgoing(&mut self, me: &mut Me, sent: Outgoing) {
        let pulses = matches!(Kind::of(&sent.payload), Some(Kind::Pulses));
        let Some(Ok(Frame::Pulses(said))) = pulses.then(|| Frame::decode(sent.payload.clone())) else {
            return me.send(sent);
        };
        let subject = KeyPrefix::of(&me.victim());
        let left: Vec<_> = said.pulses.into_iter().filter(|pulse| pulse.member != subject).collect();
        let payload = crate::wire::pulses(&Pulses { page: said.page, pulses: left });
        me.send(Outgoing { payload, ..sent });
    }
}

/// Says again each second all records that it has heard, to all.
#[derive(Debug)]
struct RepeatsRecords {
    heard: Vec<Bytes>,
    next: Mono,
}

impl Adversary for RepeatsRecords {
    fn incoming(&mut self, _: &mut Me, _: LinkId, lane: Lane, payload: &Bytes) {
        if lane == Lane::System && Kind::of(payload) == Some(Kind::Bundles) && self.heard.len() < 64 {
            self.heard.push(payload.clone());
        }
    }

    fn next_wake(&self) -> Option<Mono> {
        Some(self.next)
    }

    fn wake(&mut self, me: &mut Me) {
        self.next = me.now().mono.plus(EVERY);
        for link in me.targets() {
            self.heard.iter().for_each(|frame| me.send(Outgoing::now(link, Lane::System, frame.clone())));
        }
    }
}

/// The one neighbour of the subject that does not lie.
fn honest_neighbour(network: &Network) -> usize {
    let peers = network.links(SUBJECT).into_iter().map(|(peer, _)| peer);
    let peers: Vec<_> = peers.filter(|peer| network.is_honest(*peer)).collect();
    assert_eq!(peers.len(), 1);
    peers[0]
}

fn both(one: Liar, other: Liar) -> Liar {
    Liar::Both(Box::new(one), Box::new(other))
}

fn keeps_pulses() -> Liar {
    both(Liar::CensorAuthor, Liar::custom("keeps-pulses", |_| Box::new(KeepsPulses)))
}

fn repeats_records() -> Liar {
    Liar::custom("repeats-records", |me| {
        Box::new(RepeatsRecords { heard: Vec::new(), next: me.now().mono.plus(EVERY) })
    })
}

/// How many honest nodes that run show the subject so.
fn shown(network: &Network, key: &PublicKey, is: impl Fn(MemberState) -> bool) -> usize {
    let others = honest(network).into_iter().filter(|node| *node != SUBJECT && network.is_alive(*node));
    others.filter(|node| network.members(*node).get(key).is_some_and(|member| is(member.state))).count()
}

#[test]
fn withheld_pulses_end_with_their_lease() {
    // A pulse that was held back for 42 s ends a lease of 17.5 s within ten seconds; one that was said again is old.
    for (liar, at_least) in [
        (both(Liar::HoldPulses, repeats_records()), Duration::from_secs(42)),
        (both(Liar::Revive, repeats_records()), millis(12_500)),
    ] {
        let mut network = Network::new(around(liar.clone()));
        pass(&mut network, Duration::from_secs(10));
        // What others hear of it now, they hear from liars.
        network.crash(honest_neighbour(&network));
        pass(&mut network, Duration::from_secs(60));
        let key = network.key_of(SUBJECT).unwrap();
        let others = honest(&network).len() - 2;
        assert_eq!(shown(&network, &key, MemberState::is_here), others, "{liar:?}");
        network.crash(SUBJECT);
        let crashed = network.elapsed();
        // The end of its last epoch, a lease, and what clocks may differ by.
        let bound = Duration::from_secs(5) + millis(17_500) + Duration::from_secs(30);
        let mut last = Duration::ZERO;
        while network.elapsed() - crashed < bound {
            pass(&mut network, millis(500));
            if shown(&network, &key, MemberState::is_here) > 0 {
                last = network.elapsed() - crashed;
            }
        }
        println!("{liar:?}: shown as here for {last:?}");
        assert!((at_least..bound).contains(&last), "{liar:?}: {last:?}");
        // And it stays gone, whatever is said again.
        pass(&mut network, Duration::from_secs(30));
        assert_eq!(
            shown(&network, &key, |state| matches!(state, MemberState::Failed(_))),
            others,
            "{liar:?}"
        );
        let back = |news: &&MemberNews| {
            news.at > crashed && matches!(news.event, MemberEvent::Returned(of) if of == key)
        };
        assert_eq!(network.member_news().iter().filter(back).count(), 0, "{liar:?}");
    }
}

#[test]
fn a_member_whose_neighbours_keep_its_pulses_is_never_failed() {
    for liar in [keeps_pulses(), both(keeps_pulses(), Liar::HoldPulses)] {
        // (Two in five lie: its pulses have few ways, though each other node has some.)
        let mut network = Network::new(Scenario { liar_count: Some(17), ..around(liar.clone()) });
        honest_neighbour(&network);
        pass(&mut network, Duration::from_secs(180));
        let key = network.key_of(SUBJECT).unwrap();
        let failed = |news: &&MemberNews| matches!(news.event, MemberEvent::Failed(of, _) if of == key);
        assert_eq!(network.member_news().iter().filter(failed).count(), 0, "{liar:?}");
        let others = honest(&network).len() - 1;
        assert_eq!(shown(&network, &key, |state| state == MemberState::Alive), others, "{liar:?}");
    }
}
