//! What a question looks like as the body of a rumor.
//!
//! ```text
//! version u8 = 1 | id, 16 bytes | node key, 32 bytes | time for answers u32, ms | signature of the node, 64 bytes | question
//! ```

use std::time::Duration;

use bytes::Bytes;

use crate::key::{PublicKey, SecretKey, Signature};
use crate::node::asked::QuestionId;
use crate::rumor::TopicId;
use crate::verify::verify_single;

/// Bytes before the question.
pub(super) const ENVELOPE: usize = 1 + 16 + 32 + 4 + 64;
const VERSION: u8 = 1;
/// Bytes up to the signature.
const SIGNED: usize = ENVELOPE - 64;
/// What makes the signature one of a question and of nothing else.
const CONTEXT: &str = "vouchsafe question v1";

/// A question that was taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Envelope {
    pub(super) id: QuestionId,
    /// The node that is to be answered.
    pub(super) asker: PublicKey,
    pub(super) within: Duration,
    pub(super) question: Bytes,
}

/// What the node signs: all of it, and who says it where.
fn signed(topic: &TopicId, author: &PublicKey, head: &[u8], question: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
    for part in [topic.as_bytes(), author.as_bytes(), head, question] {
        hasher.update(part);
    }
    *hasher.finalize().as_bytes()
}

/// A question as a body.
pub(super) fn seal(
    node: &SecretKey,
    (topic, author): (&TopicId, &PublicKey),
    id: &QuestionId,
    within: Duration,
    question: &[u8],
) -> Vec<u8> {
    let mut body = Vec::with_capacity(ENVELOPE + question.len());
    body.push(VERSION);
    body.extend_from_slice(id);
    body.extend_from_slice(node.public().as_bytes());
    body.extend_from_slice(&u32::try_from(within.as_millis()).unwrap_or(u32::MAX).to_le_bytes());
    let signature = node.sign(&signed(topic, author, &body, question));
    body.extend_from_slice(signature.as_bytes());
    body.extend_from_slice(question);
    body
}

/// Takes a body apart; `None` if it is no question, or the node that it names has not signed it.
pub(super) fn open(topic: &TopicId, author: &PublicKey, body: &Bytes) -> Option<Envelope> {
    let (head, rest) = body.split_at_checked(SIGNED)?;
    let (signature, question) = rest.split_at_checked(64)?;
    let (version, fields) = head.split_first()?;
    let (id, fields) = fields.split_first_chunk::<16>()?;
    let (asker, within) = fields.split_first_chunk::<32>()?;
    let within = u32::from_le_bytes(within.try_into().ok()?);
    let asker = PublicKey::from_bytes(*asker);
    let signature = Signature::from_bytes(signature.try_into().ok()?);
    let says = signed(topic, author, head, question);
    (*version == VERSION && verify_single(&asker, &says, &signature)).then(|| Envelope {
        id: *id,
        asker,
        within: Duration::from_millis(within.into()),
        question: body.slice(ENVELOPE..),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn question_is_of_the_node_that_it_names() {
        let (node, author) = (SecretKey::from_seed(&[1; 32]), SecretKey::from_seed(&[2; 32]).public());
        let (topic, within) = (TopicId::from_bytes([3; 32]), Duration::from_millis(1_500));
        let body = Bytes::from(seal(&node, (&topic, &author), &[4; 16], within, b"load?"));
        let opened = open(&topic, &author, &body).unwrap();
        let question = Bytes::from_static(b"load?");
        assert_eq!(opened, Envelope { id: [4; 16], asker: node.public(), within, question });
        // Nobody else says it, or elsewhere, and no byte of it changes.
        assert_eq!(open(&topic, &node.public(), &body), None);
        assert_eq!(open(&TopicId::from_bytes([5; 32]), &author, &body), None);
        for at in 0..body.len() {
            let mut bent = body.to_vec();
            bent[at] ^= 1;
            assert_eq!(open(&topic, &author, &bent.into()), None, "byte {at}");
            assert_eq!(open(&topic, &author, &body.slice(..at)), None, "{at} bytes");
        }
    }
}
