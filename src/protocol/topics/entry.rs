//! What a node knows about one bundle, from the first copy to the end of its window.

use std::sync::Arc;

use crate::key::{PublicKey, Signature};
use crate::protocol::LinkId;
use crate::protocol::limits::MAX_CANDIDATES;
use crate::protocol::linkset::{LinkSet, Slot};
use crate::protocol::time::Mono;
use crate::rumor::{Bundle, SignedHeader};

#[derive(Debug)]
pub(in crate::protocol) struct Entry {
    pub(in crate::protocol) signed: SignedHeader,
    pub(in crate::protocol) stage: Stage,
    /// The bodies, from their first copy to the end of the retention.
    pub(in crate::protocol) body: Option<Arc<Bundle>>,
    /// Links that have shown that they hold it.
    pub(in crate::protocol) have: LinkSet,
    /// Links that we pushed or announced it to.
    pub(in crate::protocol) told: LinkSet,
    /// Links that sent its header ahead (hold-back topics). They need not hold it.
    pub(in crate::protocol) heard: LinkSet,
    /// What is left of the hop budget for us to spend.
    pub(in crate::protocol) hops: u8,
    /// The peer whose copy is being judged, or was accepted; `None` for own bundles.
    pub(in crate::protocol) from: Option<PublicKey>,
    /// Inside the delivery window when it was accepted.
    pub(in crate::protocol) deliverable: bool,
    /// It was handed to the application.
    pub(in crate::protocol) delivered: bool,
    /// The application's validator has accepted it.
    pub(in crate::protocol) validated: bool,
    /// Rounds of the repair cycle it has been through.
    pub(in crate::protocol) rounds: u8,
    /// Times that a validator was too slow for it.
    pub(in crate::protocol) tries: u8,
}

#[derive(Debug)]
pub(in crate::protocol) enum Stage {
    /// Its signature is being checked.
    Verifying {
        /// Whose copy.
        first: Copy,
        /// Others under different signatures, to be tried if it is forged.
        others: Vec<Copy>,
    },
    /// The header is genuine and claimed; the bodies are still to come (hold-back topics).
    Fetching,
    /// The application is thinking.
    Validating,
    /// Accepted and forwarded; delivered at `until`, unless the author is convicted first.
    Held {
        /// The end of the hold-back delay.
        until: Mono,
    },
    /// Accepted, forwarded and, if in the window, delivered.
    Accepted,
    /// Genuine, but neither stored nor forwarded: the application said so.
    Unwanted,
}

/// One copy of a bundle whose signature is not yet judged.
#[derive(Debug, Clone)]
pub(in crate::protocol) struct Copy {
    pub(in crate::protocol) link: LinkId,
    pub(in crate::protocol) peer: PublicKey,
    pub(in crate::protocol) signature: Signature,
    pub(in crate::protocol) hops: u8,
    /// The peers that sent exactly this signature: they vouched for it too.
    pub(in crate::protocol) same: Vec<(LinkId, PublicKey)>,
}

impl Copy {
    fn is_from(&self, link: LinkId) -> bool {
        self.link == link || self.same.iter().any(|(other, _)| *other == link)
    }

    /// Another link that sent this copy stands in for the first; false if there is none.
    pub(in crate::protocol) fn hand_over(&mut self) -> bool {
        let Some((link, peer)) = self.same.pop() else { return false };
        (self.link, self.peer) = (link, peer);
        true
    }
}

impl Entry {
    pub(in crate::protocol) fn verifying(signed: SignedHeader, copy: Copy) -> Self {
        Self {
            signed,
            from: Some(copy.peer),
            hops: copy.hops,
            stage: Stage::Verifying { first: copy, others: Vec::new() },
            body: None,
            have: LinkSet::default(),
            told: LinkSet::default(),
            heard: LinkSet::default(),
            deliverable: false,
            delivered: false,
            validated: false,
            rounds: 0,
            tries: 0,
        }
    }

    pub(in crate::protocol) fn own(bundle: Arc<Bundle>, hops: u8) -> Self {
        Self {
            signed: *bundle.signed_header(),
            stage: Stage::Accepted,
            body: Some(bundle),
            have: LinkSet::default(),
            told: LinkSet::default(),
            heard: LinkSet::default(),
            hops,
            from: None,
            deliverable: true,
            delivered: false,
            validated: true,
            rounds: 0,
            tries: 0,
        }
    }

    /// Another copy while the first is being judged. False if there is no place for it.
    pub(in crate::protocol) fn add_candidate(&mut self, copy: Copy) -> bool {
        let Stage::Verifying { first, others } = &mut self.stage else { return true };
        // A link has one say: with more, one liar could fill the places and keep the genuine copy out.
        let spoke = |known: &Copy| known.signature != copy.signature && known.is_from(copy.link);
        if spoke(first) || others.iter().any(spoke) {
            return true;
        }
        for known in std::iter::once(first).chain(others.iter_mut()) {
            if known.signature == copy.signature {
                // Bounded by the links there can be.
                if !known.is_from(copy.link) && known.same.len() < crate::protocol::MAX_LINKS {
                    known.same.push((copy.link, copy.peer));
                }
                return true;
            }
        }
        let room = others.len() < MAX_CANDIDATES;
        if room {
            others.push(copy);
        }
        room
    }

    /// Whatever a link was told may be lost to it; if it was away, also what it has shown.
    pub(in crate::protocol) fn forget_link(&mut self, slot: Slot, was_away: bool) {
        self.told.remove(slot);
        if was_away {
            self.have.remove(slot);
            self.heard.remove(slot);
        }
    }

    /// Forgets which links know it.
    pub(in crate::protocol) fn forget_links(&mut self) {
        (self.have, self.told, self.heard) = (LinkSet::default(), LinkSet::default(), LinkSet::default());
    }

    /// Its signature has held.
    pub(in crate::protocol) const fn is_verified(&self) -> bool {
        !matches!(self.stage, Stage::Verifying { .. })
    }

    /// Accepted: its rumors are in the store, or were.
    pub(in crate::protocol) const fn is_accepted(&self) -> bool {
        matches!(self.stage, Stage::Held { .. } | Stage::Accepted)
    }

    /// Whether its body counts towards the topic's bytes.
    pub(in crate::protocol) const fn is_counted(&self) -> bool {
        self.is_accepted() && self.body.is_some()
    }

    /// log2 of the encoded length, rounded up.
    pub(in crate::protocol) fn size_class(&self) -> u8 {
        size_class(Bundle::encoded_len(&self.signed.header))
    }
}

pub(in crate::protocol) fn size_class(len: usize) -> u8 {
    len.max(1).next_power_of_two().trailing_zeros() as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SecretKey;
    use crate::rumor::{Position, TopicId, seal};

    #[test]
    fn candidates_are_few_and_the_links_that_vouch_for_one_are_no_more_than_links() {
        let topic = TopicId::from_bytes([1; 32]);
        let position = Position { tick: 1, slot: 0 };
        let bundle = seal(&SecretKey::from_seed(&[1; 32]), topic, position, &["word".into()]).unwrap();
        let copy = |link: u64, signature: u8| Copy {
            link: LinkId(link),
            peer: PublicKey::from_bytes([7; 32]),
            signature: Signature::from_bytes([signature; 64]),
            hops: 0,
            same: Vec::new(),
        };
        let mut entry = Entry::verifying(*bundle.signed_header(), copy(0, 0));
        let taken = (1..=9).filter(|number| entry.add_candidate(copy((*number).into(), *number))).count();
        assert_eq!(taken, MAX_CANDIDATES);
        // As many links as there may ever be, each under the same signature.
        for link in 100..2_000 {
            assert!(entry.add_candidate(copy(link, 0)), "it vouches for what is there");
        }
        let Stage::Verifying { first, others } = &entry.stage else { panic!("it is being verified") };
        assert_eq!((first.same.len(), others.len()), (crate::protocol::MAX_LINKS, MAX_CANDIDATES));
    }
}
