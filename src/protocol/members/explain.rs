//! What is behind a state: the signed record and the newest pulse, which anybody can check without a network.

use std::sync::Arc;

use super::hearing::record_of;
use super::view::Member;
use crate::key::PublicKey;
use crate::rumor::{
    Bundle, ChainCheck, ChainPoint, ChainTerms, Descent, MemberRecord, NetworkId, members_topic,
};
use crate::verify;

/// What a node has of a member, beside its word: what the member has signed, and the newest pulse of its chain.
///
/// That a member is shown as failed proves nothing about it: it says that nothing newer came. All else is proved by
/// [`Explanation::verify`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Explanation {
    /// How the node shows it.
    pub member: Member,
    /// The bundle of its newest record.
    pub record: Arc<Bundle>,
    /// The newest pulse, with the chain that it is of; `None` if none was seen.
    pub pulse: Option<(ChainTerms, ChainPoint)>,
}

/// What is wrong with an [`Explanation`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExplainError {
    /// The record is of another member or another network, or is none.
    #[error("its record is none of that member in this network")]
    NoRecord,
    /// The signature does not hold.
    #[error("the signature of its record does not hold")]
    Signature,
    /// The pulse is of no chain that the record names.
    #[error("its newest pulse is none of the chain that its record commits to")]
    Pulse,
}

impl Explanation {
    /// Whether the record is the member's own, and the pulse one of its chain. Asks nobody.
    ///
    /// # Errors
    /// What does not hold.
    pub fn verify(&self, network: NetworkId) -> Result<(), ExplainError> {
        let key: PublicKey = self.member.key;
        let header = self.record.header();
        let record = record_of(&self.record).filter(|_| header.topic == members_topic(network).id());
        let record = record.filter(|record| record.author == key).ok_or(ExplainError::NoRecord)?;
        if !verify::bundle(&self.record) {
            return Err(ExplainError::Signature);
        }
        let (Some((terms, claimed)), MemberRecord::Beacon(beacon)) = (self.pulse, record.says) else {
            return Ok(());
        };
        let known = Descent::new(claimed, terms.known()).map(|mut descent| descent.go(&key, u16::MAX));
        let holds = terms == beacon.chain && claimed.index <= terms.len;
        if holds && known == Some(ChainCheck::True(claimed)) { Ok(()) } else { Err(ExplainError::Pulse) }
    }

    /// When the newest pulse's epoch began, Unix seconds: the member lived then.
    #[must_use]
    pub fn last_sign_s(&self) -> Option<u64> {
        self.pulse.map(|(terms, point)| terms.starts(terms.epoch_of(point.index)))
    }
}
