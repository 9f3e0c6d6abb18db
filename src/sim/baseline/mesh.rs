//! A mesh as GossipSub keeps one: rumors are pushed to `degree` of the links, and once a second what was new lately is
//! announced to some of the others, which pull what they lack.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::publisher::Publisher;
use crate::key::{PublicKey, SecretKey};
use crate::protocol::{Action, Input, LinkId, Mono, Now};
use crate::rumor::{Bundle, BundleId};
use crate::sim::Machine;
use crate::wire::{self, Frame, Lane, MAX_IDS_PER_FRAME};

/// Heartbeats for which an id is announced; GossipSub's `history_gossip`.
const ANNOUNCED_FOR: usize = 3;
/// Links outside the mesh that are told in each heartbeat, at least; GossipSub's `D_lazy`. At least a quarter of them are:
/// its `gossip_factor`.
const LAZY: usize = 6;
/// A pull unanswered for so long may be sent again, to whoever announces next; GossipSub's `iwant_followup_time`.
const PULL_AGAIN: Duration = Duration::from_secs(3);

#[derive(Debug)]
pub(in crate::sim) struct Mesh {
    publisher: Publisher,
    me: PublicKey,
    degree: usize,
    /// Links in the mesh, until links change.
    mesh: Option<Vec<LinkId>>,
    /// New ids, by heartbeat, the latest last.
    recent: VecDeque<Vec<BundleId>>,
    pulled: BTreeMap<BundleId, Mono>,
    next: Mono,
}

impl Mesh {
    pub(in crate::sim) fn new(degree: usize, key: SecretKey, seed: &[u8; 32], now: Now) -> Self {
        let me = key.public();
        let mut publisher = Publisher::new(key, seed, now);
        let next = publisher.about_a_second();
        let recent = VecDeque::from([Vec::new()]);
        Self { publisher, me, degree, mesh: None, recent, pulled: BTreeMap::new(), next }
    }

    /// The links of least rank. Both ends of a link give it the same rank, so what one chooses the other mostly chooses
    /// too: that stands for GRAFT and PRUNE, for which this wire has no frames.
    fn mesh(&mut self) -> Vec<LinkId> {
        let (me, degree, links) = (self.me, self.degree, &self.publisher.links);
        let choose = || {
            let mut ranked: Vec<_> = links.iter().map(|(link, peer)| (rank(&me, peer), *link)).collect();
            ranked.sort_unstable();
            ranked.truncate(degree);
            ranked.into_iter().map(|(_, link)| link).collect()
        };
        self.mesh.get_or_insert_with(choose).clone()
    }

    fn is_busy(&self) -> bool {
        self.recent.iter().any(|ids| !ids.is_empty())
    }

    fn new_here(&mut self, from: Option<LinkId>, bundle: &Bundle) {
        self.pulled.remove(&bundle.id());
        if let Some(latest) = self.recent.back_mut() {
            latest.push(bundle.id());
        }
        let mut links = self.mesh();
        links.retain(|link| Some(*link) != from);
        self.publisher.tell(&links, bundle);
    }

    fn heartbeat(&mut self) {
        self.next = self.publisher.about_a_second();
        let mesh = self.mesh();
        let held = &self.publisher.held;
        let ids = self.recent.iter().flatten().filter_map(|id| {
            let bundle = held.get(id)?;
            Some((*id, bundle.encoded().len().next_power_of_two().trailing_zeros() as u8))
        });
        let ids: Vec<_> = ids.collect();
        self.recent.push_back(Vec::new());
        if self.recent.len() > ANNOUNCED_FOR {
            self.recent.pop_front();
        }
        let others: Vec<_> =
            self.publisher.links.keys().copied().filter(|link| !mesh.contains(link)).collect();
        let count = LAZY.max(others.len() / 4);
        let (Some(topic), lucky) = (self.publisher.topic(), self.publisher.some(others, count)) else {
            return;
        };
        for part in ids.chunks(MAX_IDS_PER_FRAME) {
            let frame = wire::announce(&topic, part);
            lucky.iter().for_each(|link| self.publisher.send(*link, Lane::Control, frame.clone()));
        }
    }

    fn on_frame(&mut self, link: LinkId, frame: Frame) {
        match frame {
            Frame::Bundles(bundles) => {
                for bundle in self.publisher.take(link, bundles) {
                    self.new_here(Some(link), &bundle);
                }
            }
            Frame::Announce(announced) => {
                let now = self.publisher.now.mono;
                let mut wanted = Vec::new();
                for (id, _) in announced.items {
                    let asked = self.pulled.get(&id).is_some_and(|at| now.since(*at) < PULL_AGAIN);
                    if !asked && !self.publisher.held.contains_key(&id) {
                        self.pulled.insert(id, now);
                        wanted.push(id);
                    }
                }
                if !wanted.is_empty() {
                    self.publisher.send(link, Lane::Control, wire::pull(&announced.topic, &wanted));
                }
            }
            Frame::Pull(pull) => {
                for bundle in
                    pull.ids.iter().filter_map(|id| self.publisher.held.get(id).cloned()).collect::<Vec<_>>()
                {
                    self.publisher.tell(&[link], &bundle);
                }
            }
            _ => {}
        }
    }
}

/// The same seen from both ends.
fn rank(one: &PublicKey, other: &PublicKey) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(one.min(other).as_bytes());
    hasher.update(one.max(other).as_bytes());
    *hasher.finalize().as_bytes()
}

impl Machine for Mesh {
    fn handle(&mut self, now: Now, input: Input) {
        if matches!(input, Input::LinkUp { .. } | Input::LinkDown { .. }) {
            self.mesh = None;
        }
        let own = self.publisher.handle(now, &input);
        if !self.is_busy() {
            self.next = self.publisher.in_step(self.next);
        }
        if let Some(own) = own {
            self.new_here(None, &own);
        } else if let Input::Frame { link, payload, .. } = input
            && let Ok(frame) = Frame::decode(payload)
        {
            self.on_frame(link, frame);
        }
        if self.next <= now.mono {
            self.heartbeat();
        }
    }

    fn poll(&mut self) -> Option<Action> {
        self.publisher.poll()
    }

    fn next_deadline(&self) -> Option<Mono> {
        // With nothing recent there is nothing to announce.
        self.is_busy().then_some(self.next)
    }
}
