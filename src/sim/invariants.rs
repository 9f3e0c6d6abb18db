//! What must hold after everything that happens, whatever liars do.

use std::sync::Arc;
use std::time::Duration;

use super::broken::Broken;
use super::network::Network;
use super::queue::NodeIndex;
use crate::protocol::{Engine, JoinRefusal, Offence, VerifyJob};
use crate::rumor::{Bundle, Evidence};
use crate::verify;

/// What each event adds to what a recount may walk through.
const RECOUNT: usize = 4;

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
        if let Some(peer) = engine.banned().iter().find(|peer| self.record.is_honest_key(peer)) {
            return wrong(format!("bans {}, which is honest", peer.short()));
        }
        match engine.exceeds(&self.caps, &self.scenario.config) {
            Some(what) => wrong(what),
            None => Ok(()),
        }
    }

    /// Remembers the first thing that broke.
    fn broke(&mut self, node: NodeIndex, what: String) {
        if self.broken.is_none() {
            self.broken = Some(self.wrong(node, what));
        }
    }

    pub(super) fn check_offence(&mut self, by: NodeIndex, against: Option<NodeIndex>, offence: Offence) {
        if let Some(against) = against
            && self.record.is_honest(by)
            && self.record.is_honest(against)
        {
            self.broke(by, format!("blames node {against}, which is honest, for {offence}"));
        }
    }

    pub(super) fn check_conviction(&mut self, by: NodeIndex, evidence: &Evidence) {
        let author = evidence.author();
        if !self.record.is_honest(by) {
            return;
        }
        if self.record.is_honest_key(&author) {
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

    /// There is one topic, which each node joins: none may be refused it.
    pub(super) fn check_join(&mut self, node: NodeIndex, why: JoinRefusal) {
        if self.record.is_honest(node) {
            self.broke(node, format!("can't join its topic: {why:?}"));
        }
    }

    /// Delivered again.
    pub(super) fn check_repeated(&mut self, node: NodeIndex) {
        if self.record.is_honest(node) {
            self.broke(node, "delivers a bundle for the second time".to_owned());
        }
    }

    /// Before it is noted.
    pub(super) fn check_delivery(&mut self, node: NodeIndex, bundle: &Arc<Bundle>) {
        if !self.record.is_honest(node) {
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
        if self.record.is_honest_key(&author) && !own && !self.record.knows(&id) {
            self.broke(node, format!("delivers what author {} never published", author.short()));
        }
    }
}
