//! A topic's channels to the application, and the joins that keep it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use tokio::sync::{broadcast, mpsc};

use super::delivered::{Delivered, Told};
use super::delivered_count::DeliveredCount;
use super::membership::{JoinId, Member, Membership, Notice};
use super::message::Validator;
use super::state::{Fact, View};
use crate::key::PublicKey;
use crate::protocol::RepairProgress;
use crate::rumor::{Bundle, TopicId};

pub(super) struct Port {
    pub(super) rumors: broadcast::Sender<Delivered>,
    /// Rumors delivered so far, for readers that missed some.
    pub(super) delivered: DeliveredCount,
    pub(super) validator: Option<Validator>,
    joins: HashMap<JoinId, Member>,
    /// Somebody has subscribed since the node last looked.
    subscribed: Arc<AtomicBool>,
    /// The engine delivers.
    reading: bool,
    /// The values of a topic of state, while somebody reads them, and where to tell of them.
    view: Option<(Weak<View>, mpsc::UnboundedSender<Fact>)>,
}

impl Port {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            rumors: broadcast::channel(capacity).0,
            delivered: DeliveredCount::default(),
            validator: None,
            joins: HashMap::new(),
            subscribed: Arc::default(),
            reading: false,
            view: None,
        }
    }

    pub(super) fn join(
        &mut self,
        topic: TopicId,
        join: JoinId,
        now: (usize, RepairProgress),
        notices: mpsc::UnboundedSender<Notice>,
    ) -> Arc<Membership> {
        let (member, membership) = Member::begin(topic, join, now, &self.subscribed, notices);
        self.joins.insert(join, member);
        membership
    }

    pub(super) fn has(&self, join: JoinId) -> bool {
        self.joins.contains_key(&join)
    }

    /// Ends a join; true if it was the last.
    pub(super) fn leave(&mut self, join: JoinId) -> bool {
        let Some(member) = self.joins.remove(&join) else { return false };
        self.delivered.deliver(0, |before| member.end(before));
        self.joins.is_empty()
    }

    /// The values of a topic of state: one for all who read them.
    pub(super) fn view(
        &mut self,
        begin: impl FnOnce() -> (Arc<View>, mpsc::UnboundedSender<Fact>),
    ) -> Arc<View> {
        if let Some(view) = self.view.as_ref().and_then(|(view, _)| view.upgrade()) {
            return view;
        }
        let (view, tell) = begin();
        self.view = Some((Arc::downgrade(&view), tell));
        view
    }

    /// Tells those who read the values, if there are any.
    pub(super) fn tell_view(&mut self, fact: Fact) {
        if self.view.as_ref().is_some_and(|(_, tell)| tell.send(fact).is_err()) {
            self.view = None;
        }
    }

    /// So many links relay the topic now.
    pub(super) fn links(&self, links: usize) {
        for member in self.joins.values() {
            member.links.send_replace(links);
        }
    }

    /// Repair of the topic is so far.
    pub(super) fn repairs(&self, progress: RepairProgress) {
        self.joins.values().for_each(|member| member.repairs(progress));
    }

    /// Whether the engine must be told that somebody reads the topic from now on.
    pub(super) fn begins_to_read(&mut self) -> bool {
        self.subscribed.swap(false, Ordering::AcqRel);
        let begins = !self.reading && self.rumors.receiver_count() > 0;
        self.reading |= begins;
        begins
    }

    /// Hands a bundle to all who read; false if nobody does.
    pub(super) fn deliver(&mut self, bundle: Arc<Bundle>, via: Option<PublicKey>) -> bool {
        self.reading = self.tell(bundle.len() as u64, Told::Bundle { bundle, via });
        self.reading
    }

    /// Tells all who read what this node has missed.
    pub(super) fn missed(&self, from_ms: u64, to_ms: u64) {
        self.tell(0, Told::Missed { from_ms, to_ms });
    }

    fn tell(&self, rumors: u64, told: Told) -> bool {
        let mut heard = false;
        self.delivered.deliver(rumors, |before| heard = self.rumors.send(Delivered { told, before }).is_ok());
        heard
    }
}
