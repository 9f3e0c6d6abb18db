//! What must hold of every honest node after every event, and the real verification behind the world's verdicts.

use std::collections::HashMap;

use super::world::World;
use crate::key::Signature;
use crate::protocol::check::Caps;
use crate::protocol::limits::LANE_CREDIT;
use crate::protocol::{Event, VerifyJob};
use crate::rumor::{Bundle, BundleId, SignedHeader};
use crate::verify::{self, Item, Verifier};

/// The verifier of all nodes. It remembers: in a world of thirty nodes each signature is judged thirty times.
pub(super) struct Checker {
    verifier: Verifier,
    known: HashMap<(BundleId, Signature), bool>,
    /// Event numbers up to which nodes were checked.
    seen: HashMap<usize, usize>,
    /// Of each node, how much a recount may walk through by now.
    due: HashMap<usize, usize>,
}

/// What an event adds to it: small engines are recounted after every event, large ones now and then.
const RECOUNT: usize = 16;

impl Default for Checker {
    fn default() -> Self {
        Self {
            verifier: Verifier::with_seed([9; 32]),
            known: HashMap::new(),
            seen: HashMap::new(),
            due: HashMap::new(),
        }
    }
}

impl Checker {
    pub(super) fn verdicts(&mut self, jobs: &[VerifyJob]) -> Vec<bool> {
        let new: Vec<_> =
            jobs.iter().filter(|job| !self.known.contains_key(&(job.id, job.signature))).collect();
        let messages: Vec<_> = new.iter().map(|job| SignedHeader::message(&job.id)).collect();
        let items: Vec<_> = new
            .iter()
            .zip(&messages)
            .map(|(job, message)| Item { key: &job.author, message, signature: &job.signature })
            .collect();
        let verdicts = self.verifier.verify_batch(&items);
        for (job, verdict) in new.into_iter().zip(verdicts) {
            self.known.insert((job.id, job.signature), verdict);
        }
        jobs.iter().map(|job| self.known[&(job.id, job.signature)]).collect()
    }

    pub(super) fn is_genuine(&mut self, bundle: &Bundle) -> bool {
        let signature = bundle.signed_header().signature;
        *self.known.entry((bundle.id(), signature)).or_insert_with(|| verify::bundle(bundle))
    }
}

/// Checks a node after it has done what it wanted.
pub(super) fn node(world: &mut World, index: usize) {
    let node = &world.nodes[index];
    let honest = |key: &crate::key::PublicKey| world.nodes.iter().any(|node| node.key == *key);
    for peer in node.engine.banned() {
        assert!(!honest(&peer), "an honest node has banned an honest node");
    }
    let seen = world.checker.seen.insert(index, node.events.len()).unwrap_or(0);
    for event in node.events.get(seen..).unwrap_or_default() {
        match event {
            Event::Offence { peer, offence } => assert!(!honest(peer), "blamed an honest node: {offence}"),
            Event::Convicted { evidence } => {
                assert_eq!(verify::evidence(evidence), Ok(()), "convicted without proof");
                let innocent = world.nodes.iter().any(|node| node.author.public() == evidence.author());
                assert!(!innocent || world.honest_keys_stolen, "an innocent author was convicted");
            }
            _ => {}
        }
    }
    for ((link, lane), bytes) in &node.in_flight {
        // A goodbye may come on top.
        assert!(*bytes <= LANE_CREDIT + 64, "{bytes} bytes with the transport on {lane:?} of {link:?}");
    }
    assert_eq!(node.engine.exceeds(&Caps::default(), &node.config), None, "node {index}");
    let (due, weight) = (world.checker.due.entry(index).or_default(), node.engine.weight());
    *due += RECOUNT;
    if *due >= weight {
        *due = 0;
        assert_eq!(node.engine.check(), Vec::<String>::new(), "node {index}");
    }
}
