//! Who did what no correct node does: the newest offences, and convictions with their proof.

use std::collections::VecDeque;

use serde_json::{Value, json};
use vouchsafe::{Event, Evidence, Offence, PublicKey};

use super::happening::{Happening, What};

/// Offences that are remembered, newest last.
pub(crate) const MOST_OFFENCES: usize = 256;
/// Convictions that are remembered with their proof, 436 bytes each.
pub(crate) const MOST_CONVICTIONS: usize = 1_024;

/// What was told of offences and convictions.
#[derive(Debug, Default)]
pub(crate) struct Book {
    offences: VecDeque<(u64, PublicKey, Offence)>,
    convictions: VecDeque<(u64, Evidence)>,
    /// Older ones that were left out.
    forgotten: u64,
    /// Events of the node that this agent was too slow to read.
    missed: u64,
}

impl Book {
    /// Notes it, if it is one.
    pub(super) fn note(&mut self, happening: &Happening) {
        let at = happening.at_ms();
        match happening.what() {
            What::Node(Event::Offence { peer, offence }) => {
                self.forgotten += push(&mut self.offences, (at, *peer, *offence), MOST_OFFENCES);
            }
            What::Node(Event::Convicted { evidence }) => {
                self.forgotten += push(&mut self.convictions, (at, **evidence), MOST_CONVICTIONS);
            }
            _ => {}
        }
    }

    /// Events were missed, and offences may be among them.
    pub(super) fn missed(&mut self, events: u64) {
        self.missed += events;
    }

    /// All of it, beside the authors that the node knows to be convicted.
    pub(crate) fn json(&self, convicted: &[PublicKey]) -> Value {
        let proven = |author: &PublicKey| self.convictions.iter().any(|(_, proof)| proof.author() == *author);
        let unproven: Vec<_> =
            convicted.iter().filter(|author| !proven(author)).map(ToString::to_string).collect();
        let convictions: Vec<_> =
            self.convictions.iter().map(|(at, evidence)| conviction(*at, evidence)).collect();
        let offences = self.offences.iter().map(|(at, peer, offence)| {
            json!({ "at_ms": at, "peer": peer.to_string(), "offence": offence.to_string() })
        });
        json!({
            "convictions": convictions,
            "without_proof_here": unproven,
            "offences": offences.collect::<Vec<_>>(),
            "forgotten": self.forgotten,
            "missed_events": self.missed,
        })
    }
}

/// A conviction with what anybody needs to check it.
fn conviction(at: u64, evidence: &Evidence) -> Value {
    let [one, other] = evidence.headers().map(|signed| {
        json!({ "topic": signed.header.topic.to_string(), "position": signed.header.position().to_string() })
    });
    json!({
        "at_ms": at,
        "author": evidence.author().to_string(),
        "evidence": hex::encode(evidence.encode()),
        "said": [one, other],
    })
}

/// Adds one; how many went for it.
fn push<T>(to: &mut VecDeque<T>, one: T, most: usize) -> u64 {
    to.push_back(one);
    let over = to.len().saturating_sub(most);
    to.drain(..over);
    over as u64
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use vouchsafe::rumor::seal;
    use vouchsafe::{NetworkId, Position, SecretKey, Topic};

    use super::*;

    fn evidence(seed: u8) -> Evidence {
        let topic = Topic::named("a").bind(NetworkId::of("n")).unwrap().id();
        let say = |body: &'static str| {
            let bodies = [Bytes::from(body)];
            let key = SecretKey::from_seed(&[seed; 32]);
            *seal(&key, topic, Position { tick: 7, slot: 0 }, &bodies).unwrap().signed_header()
        };
        Evidence::new(say("yes"), say("no")).unwrap()
    }

    #[test]
    fn convictions_are_kept_with_a_proof_that_reads_back_and_the_book_is_bounded() {
        let mut book = Book::default();
        let proof = evidence(1);
        let convicted = Event::Convicted { evidence: Box::new(proof) };
        book.note(&Happening::now(What::Node(convicted.clone())));
        let other = SecretKey::from_seed(&[9; 32]).public();
        let json = book.json(&[proof.author(), other]);
        let bytes = hex::decode(json["convictions"][0]["evidence"].as_str().unwrap()).unwrap();
        assert_eq!(Evidence::decode(&bytes.try_into().unwrap()).unwrap(), proof);
        assert_eq!(json["without_proof_here"], json!([other.to_string()]));
        for _ in 0..MOST_CONVICTIONS {
            book.note(&Happening::now(What::Node(convicted.clone())));
        }
        for _ in 0..MOST_OFFENCES + 5 {
            let offence = Event::Offence { peer: other, offence: Offence::BadSignature };
            book.note(&Happening::now(What::Node(offence)));
        }
        let json = book.json(&[]);
        assert_eq!(json["convictions"].as_array().unwrap().len(), MOST_CONVICTIONS);
        assert_eq!(json["offences"].as_array().unwrap().len(), MOST_OFFENCES);
        assert_eq!(json["forgotten"], 6);
    }
}
