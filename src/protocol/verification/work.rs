//! What is to be judged: one signature each.

use crate::key::PublicKey;
use crate::protocol::VerifyJob;
use crate::protocol::topics::entry::Entry;
use crate::rumor::{Bundle, BundleId, Evidence, SignedHeader, TopicId};

/// Something to be judged.
#[derive(Debug, Clone)]
pub(in crate::protocol) enum Work {
    /// The signature of the first candidate of an entry; `bytes` of bodies wait with it.
    Bundle { topic: TopicId, job: VerifyJob, bytes: u32, position: (u64, u16) },
    /// The signature of a header that there is no place for: it is compared and passed on, and not kept.
    Header { signed: Box<SignedHeader>, id: BundleId, peer: PublicKey },
    /// The signature of a bundle that repair has brought.
    Late { topic: TopicId, job: VerifyJob, bytes: u32, position: (u64, u16) },
    /// One signature of a piece of evidence: the second only once the first has held.
    Evidence { evidence: Box<Evidence>, peer: PublicKey, first_holds: bool },
}

impl Work {
    pub(in crate::protocol) fn bundle(topic: TopicId, id: BundleId, entry: &Entry) -> Self {
        let bytes = if entry.has_body() { entry.header().bytes } else { 0 };
        let header = entry.header();
        let position = (header.tick, header.first_slot);
        Self::Bundle { topic, job: VerifyJob::of(entry.signed(), id), bytes, position }
    }

    pub(in crate::protocol) fn late(bundle: &Bundle) -> Self {
        let header = bundle.header();
        let job = VerifyJob::of(bundle.signed_header(), bundle.id());
        let position = (header.tick, header.first_slot);
        Self::Late { topic: header.topic, job, bytes: header.bytes, position }
    }

    /// The topic of what a bundle or header says; proofs have none.
    pub(in crate::protocol) const fn topic(&self) -> Option<&TopicId> {
        match self {
            Self::Bundle { topic, .. } | Self::Late { topic, .. } => Some(topic),
            Self::Header { signed, .. } => Some(&signed.header.topic),
            Self::Evidence { .. } => None,
        }
    }

    /// Where a bundle begins, tick and slot; proofs come before all bundles.
    pub(in crate::protocol) const fn position(&self) -> (u64, u16) {
        match self {
            Self::Bundle { position, .. } | Self::Late { position, .. } => *position,
            Self::Header { signed, .. } => (signed.header.tick, signed.header.first_slot),
            Self::Evidence { .. } => (0, 0),
        }
    }

    pub(in crate::protocol) fn job(&self) -> VerifyJob {
        match self {
            Self::Bundle { job, .. } | Self::Late { job, .. } => *job,
            Self::Header { signed, id, .. } => VerifyJob::of(signed, *id),
            Self::Evidence { evidence, first_holds, .. } => {
                let [first, second] = evidence.headers();
                let signed = if *first_holds { second } else { first };
                VerifyJob::of(signed, signed.header.id())
            }
        }
    }

    /// Bytes of bodies that wait with it.
    pub(super) const fn bytes(&self) -> usize {
        match self {
            Self::Bundle { bytes, .. } | Self::Late { bytes, .. } => *bytes as usize,
            Self::Header { .. } | Self::Evidence { .. } => 0,
        }
    }
}
