//! Every invariant is seen to fail: a machine that does what an engine must not do, and a gauge over a cap that is too low.

use std::sync::Arc;

use super::*;
use crate::key::{PublicKey, Signature};
use crate::protocol::{Action, Event, Input, Mono, Now, Offence};
use crate::rumor::{Bundle, Evidence, Position, SignedHeader, seal};

/// Wants just this done.
#[derive(Debug)]
struct Wants(Vec<Action>);

impl Machine for Wants {
    fn handle(&mut self, _: Now, _: Input) {}

    fn poll(&mut self) -> Option<Action> {
        (!self.0.is_empty()).then(|| self.0.remove(0))
    }

    fn next_deadline(&self) -> Option<Mono> {
        None
    }
}

fn calm() -> Network {
    let mut network = Network::new(Scenario { nodes: 20, links: 4, ..small() });
    network.run_checked(Duration::from_secs(1)).unwrap();
    network
}

/// What the check says when node 0 does this.
fn said_of(mut network: Network, actions: Vec<Action>) -> Result<(), String> {
    network.nodes[0].machine = Box::new(Wants(actions));
    network.last = 0;
    network.drive(0);
    network.check().map_err(|broken| {
        assert_eq!(broken.node, 0);
        broken.what
    })
}

/// Something that a node's key has signed.
fn signed(network: &Network, node: usize, body: &'static [u8]) -> Bundle {
    let at = Position { tick: 7, slot: 0 };
    seal(&network.nodes[node].secret, network.rules.id(), at, &[bytes::Bytes::from_static(body)]).unwrap()
}

fn deliver(bundle: Bundle) -> Action {
    Action::Deliver { bundle: Arc::new(bundle), from: None }
}

fn assert_says(said: Result<(), String>, words: &str) {
    assert!(said.as_ref().is_err_and(|said| said.contains(words)), "{said:?}, not {words:?}");
}

#[test]
fn what_an_honest_node_may_do_is_no_breach() {
    let network = calm();
    let own = deliver(signed(&network, 0, b"own"));
    assert_eq!(said_of(network, vec![own]), Ok(()));
}

#[test]
fn an_invalid_delivery_is_seen() {
    let network = calm();
    let forged = signed(&network, 0, b"own").with_signature(Signature::from_bytes([9; 64]));
    assert_says(said_of(network, vec![deliver(forged)]), "signature does not hold");
}

#[test]
fn a_second_delivery_is_seen() {
    let network = calm();
    let own = signed(&network, 0, b"own");
    assert_says(said_of(network, vec![deliver(own.clone()), deliver(own)]), "second time");
}

#[test]
fn a_delivery_of_what_an_honest_author_never_published_is_seen() {
    let network = calm();
    let others = signed(&network, 5, b"never said");
    assert_says(said_of(network, vec![deliver(others)]), "never published");
}

#[test]
fn blame_of_an_honest_node_is_seen() {
    let network = calm();
    let blame = |peer: PublicKey| Action::Event(Event::Offence { peer, offence: Offence::Undecodable });
    assert_eq!(said_of(calm(), vec![blame(PublicKey::from_bytes([3; 32]))]), Ok(()));
    let honest = network.nodes[5].key;
    assert_says(said_of(network, vec![blame(honest)]), "blames node 5, which is honest");
}

/// Two words of one author at one position.
fn evidence(network: &Network, author: usize) -> Evidence {
    let [one, other] = [&b"one"[..], b"other"].map(|body| *signed(network, author, body).signed_header());
    Evidence::new(one, other).unwrap()
}

#[test]
fn a_conviction_of_an_honest_author_is_seen() {
    let network = calm();
    let evidence = Box::new(evidence(&network, 5));
    let convicts = Action::Event(Event::Convicted { evidence });
    assert_says(said_of(network, vec![convicts]), "who is honest");
}

#[test]
fn evidence_that_does_not_verify_is_seen() {
    // Node 19 is the only liar: to convict it is right, but not with this.
    let scenario = Scenario { nodes: 20, links: 4, liar_count: Some(1), ..small() };
    for (forge, breaks) in [(false, false), (true, true)] {
        let network = Network::new(Scenario { placement: Placement::Around(0), ..scenario.clone() });
        let liar = (1..20).find(|node| !network.is_honest(*node)).unwrap();
        let [one, other] = evidence(&network, liar).headers().map(|signed| *signed);
        let forged = SignedHeader { signature: Signature::from_bytes([9; 64]), ..other };
        let evidence = Box::new(Evidence::new(one, if forge { forged } else { other }).unwrap());
        let said = said_of(network, vec![Action::Event(Event::Convicted { evidence })]);
        if breaks { assert_says(said, "does not verify") } else { assert_eq!(said, Ok(())) }
    }
}

#[test]
fn a_ban_of_an_honest_node_is_seen_in_the_engine_too() {
    let mut network = calm();
    let peer = network.links(0)[0].0;
    network.inject(peer, 0, crate::wire::Lane::Control, bytes::Bytes::from_static(&[99]));
    network.run_for(Duration::from_secs(1));
    // Were the moment missed, the list of the banned would still tell.
    (network.broken, network.last) = (None, 0);
    assert_says(network.check().map_err(|broken| broken.what), "bans");
}

/// Sets one cap too low.
type Lower = fn(&mut Network);

#[test]
fn every_gauge_above_its_cap_is_seen() {
    // Signatures take so long that they wait, and announced phantoms are wanted.
    let scenario = Scenario {
        nodes: 20,
        links: 4,
        verify_takes: millis(500),
        liar_count: Some(3),
        liar: Liar::Phantoms,
        ..small()
    };
    let lower: [(&str, Lower); 7] = [
        ("links:", |network| network.scenario.config.links.max = 1),
        ("signatures waiting:", |network| network.caps.waiting = 0),
        ("bytes waiting for a verdict:", |network| network.caps.waiting_bytes = 0),
        ("wanted ids:", |network| network.caps.wants = 0),
        ("bytes of bodies:", |network| network.scenario.config.topics.bytes = 0),
        ("index entries:", |network| network.scenario.config.topics.bundles = 0),
        ("bytes queued for a link:", |network| network.caps.queued = 0),
    ];
    let of_a_link: [(&str, Lower); 4] = [
        ("pulls owed by a link:", |network| network.caps.owed_pulls = 0),
        ("ids wanted from a link:", |network| network.caps.wanted_from = 0),
        ("signatures of a link waiting:", |network| network.caps.waiting_of_link = 0),
        ("inbound links:", |network| network.scenario.config.links.inbound = 0),
    ];
    let books: [(&str, Lower, Liar); 2] = [
        ("banned keys:", |network| network.caps.bans = 0, Liar::BadSignature),
        ("convicted authors:", |network| network.caps.convictions = 0, Liar::Equivocate),
    ];
    let gauges = lower.into_iter().chain(of_a_link).map(|(what, lower)| (what, lower, Liar::Phantoms));
    for (what, lower, liar) in gauges.chain(books) {
        let mut network = Network::new(Scenario { liar, ..scenario.clone() });
        network.run_checked(Duration::from_secs(3)).unwrap();
        lower(&mut network);
        let mut said = None;
        for number in 0..100u8 {
            let node = network.random_honest();
            network.publish(node, vec![number; 300]);
            if let Err(broken) = network.run_checked(millis(50)) {
                said = Some(broken.what);
                break;
            }
        }
        assert!(said.as_ref().is_some_and(|said| said.starts_with(what)), "{what} {said:?}");
    }
}

#[test]
fn one_byte_more_is_another_trace() {
    let run = |extra: &'static [u8]| {
        let mut network = calm();
        let from = network.links(0)[0].0;
        // A list of ids of no topic that anybody relays: nothing comes of it.
        let mut frame = crate::wire::announce(&crate::rumor::TopicId::from_bytes([1; 32]), &[]).to_vec();
        frame.extend_from_slice(extra);
        network.inject(from, 0, crate::wire::Lane::Control, frame.into());
        network.run_for(Duration::from_secs(1));
        network.trace()
    };
    assert_eq!(run(b""), run(b""));
    assert_ne!(run(b""), run(b"x"));
}
