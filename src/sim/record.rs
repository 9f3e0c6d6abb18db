//! Notes what happens in a simulation, as it happens.

use std::collections::{BTreeMap, HashMap, HashSet};

use bytes::Bytes;

use super::count;
use super::queue::NodeIndex;
use crate::key::PublicKey;
use crate::protocol::{MemberEvent, PublishError, PublishId};
use crate::rumor::{Bundle, BundleId, Position, RumorId, SignedHeader};

/// Not delivered; not gone.
pub(super) const NEVER: u64 = u64::MAX;

#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) lives: Vec<Life>,
    honest_keys: HashSet<PublicKey>,
    pub(super) rumors: Vec<Told>,
    by_id: HashMap<BundleId, usize>,
    pub(super) offences: u64,
    pub(super) false_bans: u64,
    pub(super) repeated: u64,
    /// Genuine signatures that were checked twice, because a forged one was in their batch.
    pub(super) spoiled: u64,
    /// Copies and announced ids that came to honest nodes.
    pub(super) copies: u64,
    pub(super) announced: u64,
    /// Dials that were refused.
    pub(super) refused_dials: u64,
    /// What honest nodes told of members.
    pub(super) members: Vec<MemberNews>,
    asked: HashMap<PublishId, (NodeIndex, u64)>,
    /// From asking to publish to publishing.
    pub(super) waits: Vec<u64>,
    pub(super) refused: Vec<Refused>,
    /// What liars said in their own names, by author and tick, to notice when they first contradict themselves.
    words: HashMap<(PublicKey, u64), Vec<SignedHeader>>,
    /// When they did.
    pub(super) conflicts: BTreeMap<PublicKey, u64>,
    /// Per convicted author: when each node convicted it.
    pub(super) convicted: BTreeMap<PublicKey, Vec<u64>>,
}

/// What a node told its application of a member.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MemberNews {
    /// When, since the network began.
    pub at: std::time::Duration,
    /// Which node told it.
    pub node: usize,
    /// What.
    pub event: MemberEvent,
}

/// When a node lived.
#[derive(Debug, Clone, Copy)]
pub(super) struct Life {
    pub(super) honest: bool,
    pub(super) born: u64,
    /// When it crashed or left, if it is not back.
    pub(super) gone: u64,
    /// When it came back last: what was delivered before is forgotten.
    since: u64,
}

/// From when a delivery to a node is late: from publishing, or from when it came, or came back, if that was later.
pub(super) fn delay(life: &Life, published: u64, at: u64) -> u64 {
    let there = if at >= life.since { life.since.max(life.born) } else { life.born };
    at.saturating_sub(published.max(there))
}

impl Life {
    /// Whether it should have what was published at this time: it was there, and is there now. One that was away for a
    /// while should: others tell it what is recent.
    pub(super) const fn expects(&self, published: u64) -> bool {
        self.honest && self.born <= published && self.gone == NEVER
    }
}

/// One bundle on its way.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) author: PublicKey,
    pub(super) honest: bool,
    pub(super) position: Position,
    pub(super) published: u64,
    pub(super) bytes: u64,
    /// Per node: when it was delivered, nanoseconds.
    pub(super) at: Vec<u64>,
    /// Per node: over how many links it came.
    pub(super) hops: Vec<u8>,
}

/// A publish request that was answered with an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Whose.
    pub node: usize,
    /// Why.
    pub error: PublishError,
}

fn put<T: Clone>(list: &mut Vec<T>, at: usize, value: T, nothing: T) {
    if list.len() <= at {
        list.resize(at + 1, nothing);
    }
    if let Some(place) = list.get_mut(at) {
        *place = value;
    }
}

impl Record {
    pub(super) fn came(&mut self, key: PublicKey, honest: bool, now: u64) {
        self.lives.push(Life { honest, born: now, gone: NEVER, since: 0 });
        if honest {
            self.honest_keys.insert(key);
        }
    }

    pub(super) fn gone(&mut self, node: NodeIndex, now: u64) {
        if let Some(life) = self.lives.get_mut(node as usize) {
            life.gone = now;
        }
    }

    pub(super) fn back(&mut self, node: NodeIndex, now: u64) {
        if let Some(life) = self.lives.get_mut(node as usize) {
            (life.gone, life.since) = (NEVER, now);
        }
    }

    pub(super) fn is_gone(&self, node: NodeIndex) -> bool {
        self.lives.get(node as usize).is_none_or(|life| life.gone != NEVER)
    }

    pub(super) fn is_honest(&self, node: NodeIndex) -> bool {
        self.lives.get(node as usize).is_some_and(|life| life.honest)
    }

    pub(super) fn is_honest_key(&self, key: &PublicKey) -> bool {
        self.honest_keys.contains(key)
    }

    /// A frame has come to a node.
    pub(super) fn arrived(&mut self, node: NodeIndex, payload: &Bytes) {
        if self.is_honest(node) {
            self.copies += count::copies(payload);
            self.announced += count::announced(payload);
        }
    }

    /// A liar sends something.
    pub(super) fn said(&mut self, payload: &Bytes, now: u64) {
        for signed in count::headers(payload) {
            let header = &signed.header;
            if self.honest_keys.contains(&header.author) {
                continue;
            }
            let words = self.words.entry((header.author, header.tick)).or_default();
            if words.iter().any(|word| word.header == *header) {
                continue;
            }
            if words.iter().any(|word| word.header.overlaps(header)) {
                self.conflicts.entry(header.author).or_insert(now);
            }
            words.push(signed);
        }
    }

    /// A bundle was delivered. False if this life of the node had it before.
    pub(super) fn delivered(
        &mut self,
        node: NodeIndex,
        bundle: &Bundle,
        from: Option<NodeIndex>,
        now: u64,
    ) -> bool {
        let (rumors, honest_keys) = (&mut self.rumors, &self.honest_keys);
        let at = *self.by_id.entry(bundle.id()).or_insert_with(|| {
            let header = bundle.header();
            rumors.push(Told {
                author: header.author,
                honest: honest_keys.contains(&header.author),
                position: header.position(),
                published: now,
                bytes: u64::from(header.bytes),
                at: Vec::new(),
                hops: Vec::new(),
            });
            rumors.len() - 1
        });
        let (Some(told), Some(life)) = (self.rumors.get_mut(at), self.lives.get(node as usize)) else {
            return true;
        };
        let hops =
            from.and_then(|from| told.hops.get(from as usize)).map_or(0, |hops| hops.saturating_add(1));
        let before = told.at.get(node as usize).copied().unwrap_or(NEVER);
        if before == NEVER {
            put(&mut told.at, node as usize, now, NEVER);
            put(&mut told.hops, node as usize, hops, 0);
        } else if before >= life.since {
            self.repeated += 1;
            return false;
        }
        true
    }

    /// Whether anybody has published this bundle.
    pub(super) fn knows(&self, id: &BundleId) -> bool {
        self.by_id.contains_key(id)
    }

    /// A batch of signatures has been judged.
    pub(super) fn verified(&mut self, node: NodeIndex, verdicts: &[bool]) {
        let genuine = verdicts.iter().filter(|genuine| **genuine).count();
        if genuine < verdicts.len() && self.lives.get(node as usize).is_some_and(|life| life.honest) {
            self.spoiled += genuine as u64;
        }
    }

    pub(super) fn offence(&mut self, by: NodeIndex, against: Option<NodeIndex>) {
        if !self.is_honest(by) {
            return;
        }
        self.offences += 1;
        if against.is_some_and(|against| self.is_honest(against)) {
            self.false_bans += 1;
        }
    }

    pub(super) fn convicted(&mut self, node: NodeIndex, author: PublicKey, now: u64) {
        let times = self.convicted.entry(author).or_default();
        if times.get(node as usize).is_none_or(|at| *at == NEVER) {
            put(times, node as usize, now, NEVER);
        }
    }

    pub(super) fn asked(&mut self, publish_id: PublishId, node: NodeIndex, now: u64) {
        self.asked.insert(publish_id, (node, now));
    }

    pub(super) fn answered(
        &mut self,
        node: NodeIndex,
        publish_id: PublishId,
        result: Result<RumorId, PublishError>,
        now: u64,
    ) {
        let asked = self.asked.remove(&publish_id);
        match result {
            Ok(_) => self.waits.extend(asked.map(|(_, asked)| now - asked)),
            Err(error) => self.refused.push(Refused { node: node as usize, error }),
        }
    }

    /// Publish requests without an answer, in order, and whose they are. Those of a life that has crashed are not.
    pub(super) fn unanswered(&self) -> Vec<(PublishId, NodeIndex)> {
        let alive = |node: NodeIndex, asked: u64| {
            self.lives.get(node as usize).is_some_and(|life| asked >= life.since)
        };
        let waiting = self.asked.iter().filter(|(_, (node, asked))| alive(*node, *asked));
        let mut all: Vec<_> = waiting.map(|(publish_id, (node, _))| (*publish_id, *node)).collect();
        all.sort_unstable();
        all
    }

    /// Publish requests that still wait.
    pub(super) fn waiting(&self) -> usize {
        self.asked.len()
    }
}
