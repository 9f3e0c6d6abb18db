//! What all baselines have in common: links, what they hold, their own words.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use crate::key::{PublicKey, SecretKey};
use crate::protocol::{Action, Input, LinkId, Mono, Now, PublishError, PublishId};
use crate::rumor::{Bundle, BundleId, Pen, Reservation, RuleSet, TopicId, seal};
use crate::sim::dice::Dice;
use crate::wire::{Bundles, FrameWriter, Lane};

/// A node without a protocol.
#[derive(Debug)]
pub(super) struct Publisher {
    key: SecretKey,
    topic: Option<(Arc<RuleSet>, Pen)>,
    pub(super) links: BTreeMap<LinkId, PublicKey>,
    /// Kept for ever: a simulation is short.
    pub(super) held: BTreeMap<BundleId, Arc<Bundle>>,
    actions: VecDeque<Action>,
    pub(super) dice: Dice,
    pub(super) now: Now,
}

impl Publisher {
    pub(super) fn new(key: SecretKey, seed: &[u8; 32], now: Now) -> Self {
        Self {
            key,
            topic: None,
            links: BTreeMap::new(),
            held: BTreeMap::new(),
            actions: VecDeque::new(),
            dice: Dice::of(seed),
            now,
        }
    }

    pub(super) fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    pub(super) fn topic(&self) -> Option<TopicId> {
        self.topic.as_ref().map(|(rules, _)| rules.id())
    }

    /// Does what is done alike by all. Gives the bundle if something was published.
    pub(super) fn handle(&mut self, now: Now, input: &Input) -> Option<Arc<Bundle>> {
        self.now = Now { mono: self.now.mono.max(now.mono), unix_ms: now.unix_ms };
        match input {
            Input::LinkUp { link, peer, .. } => {
                self.links.insert(*link, *peer);
            }
            Input::LinkDown { link, .. } => {
                self.links.remove(link);
            }
            Input::Join { rules, .. } => {
                self.actions.push_back(Action::Joined { topic: rules.id(), result: Ok(()) });
                let begin = || (Arc::clone(rules), Pen::new(rules, crate::rumor::Spans::default()));
                self.topic.get_or_insert_with(begin);
            }
            Input::Publish { body, publish_id, .. } => return self.publish(body.clone(), *publish_id),
            _ => {}
        }
        None
    }

    fn publish(&mut self, body: Bytes, publish_id: PublishId) -> Option<Arc<Bundle>> {
        let (rules, pen) = self.topic.as_mut()?;
        let sealed = match pen.reserve(self.now.unix_ms, 1, None) {
            Reservation::Slots { first, .. } => seal(&self.key, rules.id(), first, &[body]).ok(),
            _ => None,
        };
        let bundle = sealed.map(Arc::new);
        let rumor = bundle.as_ref().and_then(|bundle| bundle.rumors().next());
        // None of them makes anybody wait.
        self.actions
            .push_back(Action::Published { publish_id, result: rumor.ok_or(PublishError::WouldWait) });
        let bundle = bundle?;
        self.held.insert(bundle.id(), Arc::clone(&bundle));
        self.actions.push_back(Action::Deliver { bundle: Arc::clone(&bundle), from: None });
        Some(bundle)
    }

    /// Takes in what is new of a frame; gives it.
    pub(super) fn take(&mut self, link: LinkId, bundles: Bundles) -> Vec<Arc<Bundle>> {
        let from = self.links.get(&link).copied();
        let mut new = Vec::new();
        for raw in bundles.flatten() {
            if self.held.contains_key(&raw.id) {
                continue;
            }
            let Ok(bundle) = raw.check() else { continue };
            let bundle = Arc::new(bundle);
            self.held.insert(bundle.id(), Arc::clone(&bundle));
            self.actions.push_back(Action::Deliver { bundle: Arc::clone(&bundle), from });
            new.push(bundle);
        }
        new
    }

    pub(super) fn send(&mut self, link: LinkId, lane: Lane, frame: Bytes) {
        self.actions.push_back(Action::Send { link, lane, frame });
    }

    /// Tells these links of a bundle. One frame, shared.
    pub(super) fn tell(&mut self, links: &[LinkId], bundle: &Bundle) {
        let mut writer = FrameWriter::with_capacity(bundle.encoded().len() + 1);
        writer.push(0, bundle);
        let frame = writer.finish();
        links.iter().for_each(|link| self.send(*link, Lane::Rumors, frame.clone()));
    }

    /// So many random links out of `links`.
    pub(super) fn some(&mut self, mut links: Vec<LinkId>, count: usize) -> Vec<LinkId> {
        for at in 0..count.min(links.len()) {
            let other = at + self.dice.below(links.len() - at);
            links.swap(at, other);
        }
        links.truncate(count);
        links
    }

    /// So many random links, but not this one.
    pub(super) fn some_but(&mut self, not: Option<LinkId>, count: usize) -> Vec<LinkId> {
        let others = self.links.keys().copied().filter(|link| Some(*link) != not).collect();
        self.some(others, count)
    }

    /// The beat at or after now of a clock that would have struck at `beat`, or the one to come. Idle nodes sleep through
    /// their beats, and must not make up for them.
    pub(super) fn in_step(&self, beat: Mono) -> Mono {
        const SECOND: u64 = 1_000_000_000;
        let behind = self.now.mono.as_nanos().saturating_sub(beat.as_nanos());
        Mono::from_nanos(beat.as_nanos() + behind.div_ceil(SECOND) * SECOND)
    }

    /// A second from now, less or more by up to a tenth, so that nodes are not in step.
    pub(super) fn about_a_second(&mut self) -> Mono {
        self.now.mono.plus(std::time::Duration::from_micros(900_000 + self.dice.below(200_000) as u64))
    }
}
