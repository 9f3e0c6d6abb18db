//! Which of the three kinds some bytes are.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use vouchsafe::rumor::{Bundle, BundleError, EVIDENCE_LEN};
use vouchsafe::{Evidence, EvidenceError, Proof, ProofError};

/// What the bytes turned out to be.
pub(super) enum Found {
    Bundle(Arc<Bundle>),
    Proof(Proof),
    Evidence(Evidence),
    /// Of the shape of a kind, which chance does not give, and wrong inside: somebody changed it.
    Broken {
        kind: &'static str,
        why: String,
    },
}

impl Found {
    pub(super) fn with_article(&self) -> &'static str {
        match self {
            Self::Bundle(_) | Self::Broken { kind: "bundle", .. } => "a bundle",
            Self::Proof(_) | Self::Broken { kind: "proof", .. } => "a proof",
            Self::Evidence(_) | Self::Broken { .. } => "evidence",
        }
    }
}

/// Why bytes are none of the three.
pub(super) struct Neither {
    len: usize,
    bundle: BundleError,
    proof: ProofError,
    evidence: Option<EvidenceError>,
}

impl fmt::Display for Neither {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "these {} bytes are neither bundle, proof nor evidence:", self.len)?;
        writeln!(f, "  no bundle:   {}", self.bundle)?;
        writeln!(f, "  no proof:    {}", self.proof)?;
        match &self.evidence {
            Some(error) => writeln!(f, "  no evidence: {error}")?,
            None => writeln!(f, "  no evidence: evidence has exactly {EVIDENCE_LEN} bytes")?,
        }
        write!(f, "check that nothing was cut off or added when they were copied")
    }
}

/// A whole one of some kind first; then one whose lengths and numbers fit, but whose content does not.
pub(super) fn recognise(bytes: &[u8]) -> Result<Found, Neither> {
    let evidence = bytes.try_into().ok().map(Evidence::decode);
    if let Some(Ok(evidence)) = evidence {
        return Ok(Found::Evidence(evidence));
    }
    let bundle = match Bundle::decode(Bytes::copy_from_slice(bytes)) {
        Ok(bundle) => return Ok(Found::Bundle(Arc::new(bundle))),
        Err(error) => error,
    };
    let proof = match Proof::decode(bytes) {
        Ok(proof) => return Ok(Found::Proof(proof)),
        Err(error) => error,
    };
    let broken = |kind, why: &dyn fmt::Display| Ok(Found::Broken { kind, why: why.to_string() });
    match (&bundle, &proof, &evidence) {
        (BundleError::Manifest | BundleError::Bytes, _, _) => broken("bundle", &bundle),
        (_, ProofError::Manifest, _) => broken("proof", &proof),
        // An impossible header is what any 436 bytes are; two possible ones are no accident.
        (_, _, Some(Err(why))) if !matches!(why, EvidenceError::Header) => broken("evidence", why),
        _ => Err(Neither { len: bytes.len(), bundle, proof, evidence: evidence.and_then(Result::err) }),
    }
}
