//! Copies of a bundle whose signatures are not judged yet.

use std::sync::Arc;

use super::{Entry, Stage};
use crate::key::{PublicKey, Signature};
use crate::protocol::LinkId;
use crate::protocol::limits::MAX_CANDIDATES;

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
    /// The copy whose signature is being checked, if one is.
    pub(in crate::protocol) const fn first_copy(&self) -> Option<&Copy> {
        match &self.stage {
            Stage::Verifying { first, .. } => Some(first),
            _ => None,
        }
    }

    /// The copy whose signature is being checked is a forgery: gives all who sent it. They vouched for it.
    pub(in crate::protocol) fn take_vouchers(&mut self) -> Vec<(LinkId, PublicKey)> {
        let Stage::Verifying { first, .. } = &mut self.stage else { return Vec::new() };
        let mut vouched = std::mem::take(&mut first.same);
        vouched.push((first.link, first.peer));
        vouched
    }

    /// Another link that sent the same copy stands in for the first. `None` if there is none.
    pub(in crate::protocol) fn hand_over(&mut self) -> Option<LinkId> {
        let Stage::Verifying { first, .. } = &mut self.stage else { return None };
        if !first.hand_over() {
            return None;
        }
        self.from = Some(first.peer);
        Some(first.link)
    }

    /// The first copy is not to be trusted: the next of those that `stays` holds for takes its place, with its signature. `None` if
    /// there is none, or no signature is being checked.
    pub(in crate::protocol) fn next_candidate(
        &mut self,
        stays: impl FnMut(&mut Copy) -> bool,
    ) -> Option<Copy> {
        let Stage::Verifying { first, others } = &mut self.stage else { return None };
        others.retain_mut(stays);
        if others.is_empty() {
            return None;
        }
        *first = others.remove(0);
        let next = first.clone();
        self.signed.signature = next.signature;
        self.from = Some(next.peer);
        self.hops = next.hops;
        if let Some(body) = self.body.take() {
            self.body = Some(Arc::unwrap_or_clone(body).with_signature(next.signature).into());
        }
        Some(next)
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
}
