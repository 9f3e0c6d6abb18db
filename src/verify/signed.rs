//! The rule applied to what this crate signs: bundles, proofs of one rumor, evidence.

use super::verify_single;
use crate::rumor::{Bundle, Evidence, EvidenceError, Proof, ProofError, RumorId, SignedHeader};

/// Whether a signed header carries its author's signature.
#[must_use = "a verdict that nobody looks at protects nobody"]
pub fn header(signed: &SignedHeader) -> bool {
    let id = signed.header.id();
    verify_single(&signed.header.author, &SignedHeader::message(&id), &signed.signature)
}

/// Whether a bundle carries its author's signature. Its bodies were checked when it was decoded.
#[must_use = "a verdict that nobody looks at protects nobody"]
pub fn bundle(bundle: &Bundle) -> bool {
    let signed = bundle.signed_header();
    verify_single(&signed.header.author, &SignedHeader::message(&bundle.id()), &signed.signature)
}

/// Whether `proof` proves that its author said `body`; gives the rumor's id.
///
/// # Errors
/// [`ProofError::Body`] if the proof is about another body, [`ProofError::Signature`] if the signature does not hold.
pub fn proof(proof: &Proof, body: &[u8]) -> Result<RumorId, ProofError> {
    let id = proof.rumor_id(body)?;
    if header(proof.signed_header()) { Ok(id) } else { Err(ProofError::Signature) }
}

/// Whether `evidence` convicts its author.
///
/// # Errors
/// [`EvidenceError::Signature`] if one of the two signatures does not hold.
pub fn evidence(evidence: &Evidence) -> Result<(), EvidenceError> {
    if evidence.headers().into_iter().all(header) { Ok(()) } else { Err(EvidenceError::Signature) }
}
