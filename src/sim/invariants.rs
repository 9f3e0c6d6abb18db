//! What must hold after everything that happens, whatever liars do.

use std::sync::Arc;
use std::time::Duration;

use super::network::Network;
use super::queue::NodeIndex;
use crate::protocol::{Engine, MAX_LINKS, Offence, VerifyJob};
use crate::rumor::{Bundle, Evidence};
use crate::verify;
use crate::wire::MAX_BUNDLES_PER_FRAME;

/// What each event adds to what a recount may walk through.
const RECOUNT: usize = 4;

/// Caps that are the engine's own, beside those of its configuration.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caps {
    /// Design section 6, row 7: signatures that may wait, in all. Every link may add one more frame (64 bundles) when its
    /// reading is stopped, since what had come is taken in.
    pub(super) waiting: usize,
    /// Bytes of one link that wait with its signatures: reading stops at 512 KiB, and a frame had begun.
    pub(super) waiting_bytes: usize,
    /// Wanted ids in all: `MAX_WANTS` of the engine, and the share of each link beyond it.
    pub(super) wants: usize,
    /// Bytes that one link may have queued: 4 MiB own, 4 MiB relayed, 4 MiB of replies with the cancelled ones, three
    /// lanes' credit, and one frame that was let in when each was almost full.
    pub(super) queued: usize,
    /// Pulls that one link owes: `MAX_OWED` of the engine.
    pub(super) owed_pulls: usize,
    /// Wanted ids that one link has announced: `MAX_WANTS_PER_LINK`.
    pub(super) wanted_from: usize,
    /// Signatures of one link that wait: its reading stops at 64, and one more frame had begun.
    pub(super) waiting_of_link: usize,
    /// Keys in the list of bans.
    pub(super) bans: usize,
    /// Authors in the book of evidence.
    pub(super) convictions: usize,
}

impl Default for Caps {
    fn default() -> Self {
        Self {
            waiting: 4_096 + 64 * MAX_LINKS,
            waiting_bytes: (512 + 128) * 1024,
            wants: 65_536 + 256 * MAX_LINKS,
            queued: 3 * (4 << 20) + 3 * 256 * 1024 + 6 * 128 * 1024,
            owed_pulls: 256,
            wanted_from: 8_192,
            waiting_of_link: 64 + MAX_BUNDLES_PER_FRAME,
            bans: 8_192,
            convictions: 16_384,
        }
    }
}

/// An invariant that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at {at:?}, node {node}: {what}")]
pub struct Broken {
    /// Since the beginning.
    pub at: Duration,
    /// Which node did it.
    pub node: usize,
    /// What, in a sentence.
    pub what: String,
}

impl Network {
    /// Whether everything that must hold does, as far as the node that acted last can tell: no honest node bans or blames
    /// an honest one, what was delivered is genuine and was published and delivered once, convictions rest on evidence
    /// that verifies, and every gauge is within its cap.
    ///
    /// # Errors
    /// The first thing that did not hold.
    pub fn check(&self) -> Result<(), Broken> {
        if let Some(broken) = &self.broken {
            return Err(broken.clone());
        }
        match self.nodes.get(self.last as usize) {
            Some(node) if node.alive && node.is_honest() => match node.machine.engine() {
                Some(engine) => self.check_engine(engine),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// As [`Network::run_for`], and checks after everything that happens.
    ///
    /// # Errors
    /// As [`Network::check`].
    pub fn run_checked(&mut self, time: Duration) -> Result<(), Broken> {
        let until = self.after(time);
        while self.step(until) {
            self.check()?;
            self.recount()?;
        }
        Ok(())
    }

    /// Recounts the engine that acted last: always if it is small, else now and then, so that a run takes little longer.
    fn recount(&mut self) -> Result<(), Broken> {
        self.recount_due += RECOUNT;
        let node = self.nodes.get(self.last as usize).filter(|node| node.alive && node.is_honest());
        let Some(engine) = node.and_then(|node| node.machine.engine()) else { return Ok(()) };
        if self.recount_due < engine.weight() {
            return Ok(());
        }
        self.recount_due = 0;
        match engine.check().into_iter().next() {
            Some(what) => Err(self.wrong(self.last, what)),
            None => Ok(()),
        }
    }

    fn wrong(&self, node: NodeIndex, what: String) -> Broken {
        Broken { at: self.elapsed(), node: node as usize, what }
    }

    fn check_engine(&self, engine: &Engine) -> Result<(), Broken> {
        let wrong = |what: String| Err(self.wrong(self.last, what));
        if let Some(peer) = engine.banned().iter().find(|peer| self.ledger.is_honest_key(peer)) {
            return wrong(format!("bans {}, which is honest", peer.short()));
        }
        let stats = engine.stats();
        let config = &self.scenario.config;
        let capped = |what: &str, value: usize, cap: usize| {
            if value > cap { wrong(format!("{what}: {value}, where at most {cap} may be")) } else { Ok(()) }
        };
        capped("links", stats.links.len(), config.max_links.min(MAX_LINKS))?;
        capped("signatures waiting", stats.waiting_verification, self.caps.waiting)?;
        capped("wanted ids", stats.wants, self.caps.wants)?;
        for topic in &stats.topics {
            capped("bytes of bodies", topic.body_bytes, config.topic_bytes)?;
            capped("index entries", topic.bundles, config.topic_bundles)?;
        }
        for link in &stats.links {
            capped("bytes queued for a link", link.queued_bytes, self.caps.queued)?;
            capped("bytes waiting for a verdict", link.waiting_bytes, self.caps.waiting_bytes)?;
        }
        for link in &stats.links {
            capped("pulls owed by a link", link.owed_pulls, self.caps.owed_pulls)?;
            capped("ids wanted from a link", link.wanted_from, self.caps.wanted_from)?;
            capped("signatures of a link waiting", link.waiting_verification, self.caps.waiting_of_link)?;
        }
        let inbound = stats.links.iter().filter(|link| !link.dialled).count();
        capped("inbound links", inbound, config.max_inbound)?;
        let held = engine.held();
        capped("banned keys", held.bans, self.caps.bans)?;
        capped("convicted authors", held.convictions, self.caps.convictions)
    }

    /// Remembers the first thing that broke.
    fn broke(&mut self, node: NodeIndex, what: String) {
        if self.broken.is_none() {
            self.broken = Some(self.wrong(node, what));
        }
    }

    pub(super) fn check_offence(&mut self, by: NodeIndex, against: Option<NodeIndex>, offence: Offence) {
        if let Some(against) = against
            && self.ledger.is_honest(by)
            && self.ledger.is_honest(against)
        {
            self.broke(by, format!("blames node {against}, which is honest, for {offence}"));
        }
    }

    pub(super) fn check_conviction(&mut self, by: NodeIndex, evidence: &Evidence) {
        let author = evidence.author();
        if !self.ledger.is_honest(by) {
            return;
        }
        if self.ledger.is_honest_key(&author) {
            self.broke(by, format!("convicts author {}, who is honest", author.short()));
        }
        let genuine = evidence.headers().into_iter().all(|signed| {
            let id = signed.header.id();
            self.judge(0, &VerifyJob { author: signed.header.author, id, signature: signed.signature })
        });
        if !genuine {
            self.broke(by, format!("convicts author {} with evidence that does not verify", author.short()));
        }
    }

    /// Delivered again.
    pub(super) fn check_repeated(&mut self, node: NodeIndex) {
        if self.ledger.is_honest(node) {
            self.broke(node, "delivers a bundle for the second time".to_owned());
        }
    }

    /// Before it is noted.
    pub(super) fn check_delivery(&mut self, node: NodeIndex, bundle: &Arc<Bundle>) {
        if !self.ledger.is_honest(node) {
            return;
        }
        let (id, author) = (bundle.id(), bundle.header().author);
        if self.scenario.protocol == super::Protocol::Vouchsafe && !self.genuine.contains(&id) {
            if !verify::bundle(bundle) {
                return self.broke(node, "delivers a bundle whose signature does not hold".to_owned());
            }
            self.genuine.insert(id);
        }
        let own = self.by_key.get(&author) == Some(&node);
        if self.ledger.is_honest_key(&author) && !own && !self.ledger.knows(&id) {
            self.broke(node, format!("delivers what author {} never published", author.short()));
        }
    }
}
