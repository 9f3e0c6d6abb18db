//! What a node knows about one bundle, from the first copy to the end of its window.

mod copies;
mod knowers;

pub(in crate::protocol) use copies::Copy;

use std::sync::Arc;

use crate::key::PublicKey;
use crate::protocol::linkset::LinkSet;
use crate::protocol::time::Mono;
use crate::rumor::{Bundle, Header, SignedHeader};

#[derive(Debug)]
pub(in crate::protocol) struct Entry {
    signed: SignedHeader,
    stage: Stage,
    /// The bodies, from their first copy to the end of the retention.
    body: Option<Arc<Bundle>>,
    /// Links that have shown that they hold it.
    have: LinkSet,
    /// Links that we pushed or announced it to.
    told: LinkSet,
    /// Links that sent its header ahead (hold-back topics). They need not hold it.
    heard: LinkSet,
    /// What is left of the hop budget for us to spend.
    hops: u8,
    /// The peer whose copy is being judged, or was accepted; `None` for own bundles.
    from: Option<PublicKey>,
    /// Inside the delivery window when it was accepted.
    deliverable: bool,
    /// It was handed to the application.
    delivered: bool,
    /// The application's validator has accepted it.
    validated: bool,
    /// Rounds of the repair cycle it has been through.
    rounds: u8,
    /// Times that a validator was too slow for it.
    tries: u8,
}

/// How far a bundle has come.
///
/// ```text
///   Verifying ── signature_held ──> Fetching ── asks_validator ──> Validating ── accept ──> Held ── release ──> Accepted
///       │                             ^ │ └──────────────────────── accept ──────────────────────────────────────^ │
///       │ (forgotten, or refused)     │ └<── put_off ───────────────────┘                  Held <── hold_again ────┤
///       v                             └<────────────────────────── fetch_again ────────────────────────────────────┘
///    Unwanted <── refuse ── any
/// ```
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

    /// A bundle of an earlier life, which the store holds. Its body stays there, and the application had it or reads it there.
    pub(in crate::protocol) fn restored(signed: SignedHeader) -> Self {
        Self {
            signed,
            stage: Stage::Accepted,
            body: None,
            have: LinkSet::default(),
            told: LinkSet::default(),
            heard: LinkSet::default(),
            hops: 0,
            from: None,
            deliverable: false,
            delivered: true,
            validated: true,
            rounds: 0,
            tries: 0,
        }
    }

    /// Its hold-back was not over in the earlier life.
    pub(in crate::protocol) fn holds_restored(&mut self, bundle: Arc<Bundle>, until: Mono) {
        (self.body, self.delivered) = (Some(bundle), false);
        self.hold_again(until);
    }

    /// Its header, with the signature that is being checked or has held.
    pub(in crate::protocol) const fn signed(&self) -> &SignedHeader {
        &self.signed
    }

    /// Its header.
    pub(in crate::protocol) const fn header(&self) -> &Header {
        &self.signed.header
    }

    /// The bodies, while they are kept.
    pub(in crate::protocol) const fn body(&self) -> Option<&Arc<Bundle>> {
        self.body.as_ref()
    }

    /// Whether the bodies are here.
    pub(in crate::protocol) const fn has_body(&self) -> bool {
        self.body.is_some()
    }

    /// The bodies have come, whoever sent them. They match its manifest; the signature that goes with them is the one we know.
    pub(in crate::protocol) fn put_body(&mut self, bundle: Bundle) {
        self.body = Some(bundle.detached().with_signature(self.signed.signature).into());
    }

    /// The bodies have come after the header was accepted, from this peer.
    pub(in crate::protocol) fn attach_body(&mut self, bundle: Bundle, from: PublicKey, hops: u8) {
        self.put_body(bundle);
        (self.from, self.hops) = (Some(from), hops);
    }

    /// The retention of the bodies is over.
    pub(in crate::protocol) fn drop_body(&mut self) {
        self.body = None;
    }

    /// The peer whose copy is being judged, or was accepted; `None` for own bundles.
    pub(in crate::protocol) const fn via(&self) -> Option<PublicKey> {
        self.from
    }

    /// What is left of the hop budget for us to spend.
    pub(in crate::protocol) const fn hops(&self) -> u8 {
        self.hops
    }

    /// Another copy has more of its hop budget left.
    pub(in crate::protocol) fn may_go_as_far_as(&mut self, hops: u8) {
        self.hops = self.hops.max(hops);
    }

    /// It is announced and not pushed.
    pub(in crate::protocol) const fn is_only_announced(&mut self) {
        self.hops = 0;
    }

    /// Whether a validator has accepted it.
    pub(in crate::protocol) const fn is_validated(&self) -> bool {
        self.validated
    }

    /// A validator has accepted it.
    pub(in crate::protocol) const fn is_accepted_by_validator(&mut self) {
        self.validated = true;
    }

    /// A validator was too slow for it. Gives how often that was so before.
    pub(in crate::protocol) const fn is_tried_in_vain(&mut self) -> u8 {
        let tries = self.tries;
        self.tries = tries.saturating_add(1);
        tries
    }

    /// Rounds of the repair cycle it has been through.
    pub(in crate::protocol) const fn rounds(&self) -> u8 {
        self.rounds
    }

    /// One more.
    pub(in crate::protocol) const fn is_repaired(&mut self) {
        self.rounds += 1;
    }

    /// Whether it was handed to the application.
    pub(in crate::protocol) const fn is_delivered(&self) -> bool {
        self.delivered
    }

    /// Somebody reads the topic now, and it lies in the delivery window.
    pub(in crate::protocol) const fn may_be_delivered(&mut self) {
        self.deliverable = true;
    }

    /// Hands it to the application, unless that has it or it came too late.
    pub(in crate::protocol) fn deliver(&mut self) -> Option<Arc<Bundle>> {
        let bundle = self.body.clone().filter(|_| self.deliverable && !self.delivered)?;
        self.delivered = true;
        Some(bundle)
    }

    /// The application did not take it; true if it had been handed over.
    pub(in crate::protocol) const fn is_undelivered(&mut self) -> bool {
        std::mem::replace(&mut self.delivered, false)
    }

    /// How far it has come.
    pub(in crate::protocol) const fn stage(&self) -> &Stage {
        &self.stage
    }

    /// Its signature has held, and its position is claimed next.
    pub(in crate::protocol) fn signature_held(&mut self) {
        debug_assert!(!self.is_verified(), "{:?}", self.stage);
        self.stage = Stage::Fetching;
    }

    /// The bodies are here, and a validator decides.
    pub(in crate::protocol) fn asks_validator(&mut self) {
        debug_assert!(self.is_fetching() && self.body.is_some(), "{:?}", self.stage);
        self.stage = Stage::Validating;
    }

    /// It is accepted, inside the delivery window or not; held back until then, if a time is given.
    pub(in crate::protocol) fn accept(&mut self, until: Option<Mono>, deliverable: bool) {
        debug_assert!(self.is_verified() && self.body.is_some(), "{:?}", self.stage);
        self.stage = until.map_or(Stage::Accepted, |until| Stage::Held { until });
        self.deliverable = deliverable;
    }

    /// Genuine, claimed, and refused for now: its body goes, and is asked for again.
    pub(in crate::protocol) fn put_off(&mut self) {
        debug_assert!(self.is_verified() && !self.is_accepted(), "{:?}", self.stage);
        self.stage = Stage::Fetching;
        self.body = None;
    }

    /// What was accepted while nobody judged is to be judged as if it had just come in.
    pub(in crate::protocol) fn fetch_again(&mut self) {
        debug_assert!(self.is_accepted(), "{:?}", self.stage);
        self.stage = Stage::Fetching;
        // It was pushed when it was new.
        self.hops = 0;
    }

    /// Held back once more: who was away heard of no conflict.
    pub(in crate::protocol) fn hold_again(&mut self, until: Mono) {
        debug_assert!(self.is_accepted(), "{:?}", self.stage);
        self.stage = Stage::Held { until };
        self.deliverable = true;
    }

    /// Its time to be held back is over at `now`: true if it was held, and is accepted from now on.
    pub(in crate::protocol) fn release(&mut self, now: Mono) -> bool {
        let over = matches!(self.stage, Stage::Held { until } if until <= now);
        if over {
            self.stage = Stage::Accepted;
        }
        over
    }

    /// Neither stored nor forwarded any more. Gives how far it had come.
    pub(in crate::protocol) fn refuse(&mut self) -> Stage {
        self.body = None;
        std::mem::replace(&mut self.stage, Stage::Unwanted)
    }

    /// Its header is genuine and claimed, and its bodies are to come.
    pub(in crate::protocol) const fn is_fetching(&self) -> bool {
        matches!(self.stage, Stage::Fetching)
    }

    /// A validator has it.
    pub(in crate::protocol) const fn is_validating(&self) -> bool {
        matches!(self.stage, Stage::Validating)
    }

    /// Accepted, and not delivered before its time.
    pub(in crate::protocol) const fn is_held_back(&self) -> bool {
        matches!(self.stage, Stage::Held { .. })
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
    use crate::key::Signature;
    use crate::protocol::LinkId;
    use crate::protocol::limits::MAX_CANDIDATES;

    fn entry() -> Entry {
        let position = Position { tick: 1, slot: 0 };
        let key = SecretKey::from_seed(&[1; 32]);
        let bundle = seal(&key, TopicId::from_bytes([1; 32]), position, &["word".into()]).unwrap();
        let signed = *bundle.signed_header();
        let peer = PublicKey::from_bytes([7; 32]);
        let copy = Copy { link: LinkId(1), peer, signature: signed.signature, hops: 3, same: Vec::new() };
        let mut entry = Entry::verifying(signed, copy);
        entry.body = Some(bundle.into());
        entry
    }

    #[test]
    fn a_bundle_comes_from_its_first_copy_to_the_application() {
        let (now, until) = (Mono::default(), Mono::default().plus(std::time::Duration::from_secs(1)));
        let mut entry = entry();
        assert!(!entry.is_verified() && entry.first_copy().is_some());
        entry.signature_held();
        entry.asks_validator();
        entry.accept(Some(until), true);
        assert!(entry.is_held_back() && entry.is_counted() && !entry.release(now));
        assert!(entry.release(until) && !entry.release(until));
        entry.fetch_again();
        assert!(entry.is_fetching() && !entry.is_counted() && entry.hops == 0);
        entry.put_off();
        assert!(entry.body.is_none());
        assert!(matches!(entry.refuse(), Stage::Fetching) && !entry.is_accepted());
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "Verifying")]
    fn nothing_is_accepted_before_its_signature_has_held() {
        entry().accept(None, true);
    }

    #[test]
    fn the_next_candidate_brings_its_own_signature() {
        let mut entry = entry();
        let other = Copy {
            link: LinkId(2),
            peer: PublicKey::from_bytes([8; 32]),
            signature: Signature::from_bytes([9; 64]),
            hops: 1,
            same: Vec::new(),
        };
        assert!(entry.add_candidate(other));
        let next = entry.next_candidate(|_| true).unwrap();
        assert_eq!((next.link, entry.signed.signature, entry.hops), (LinkId(2), next.signature, 1));
        assert_eq!(entry.body.as_ref().unwrap().signed_header().signature, next.signature);
        assert!(entry.next_candidate(|_| true).is_none());
    }
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
