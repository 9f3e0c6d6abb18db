//! The members: what comes in for them, and what they give to the rest of the engine.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::key::{PublicKey, SecretKey};
use crate::protocol::engine::Engine;
use crate::protocol::keeping::{Found, Head, KeepOptions, Query, StoreJob, StoreTrouble};
use crate::protocol::links::{Link, Sender};
use crate::protocol::linkset::Slot;
use crate::protocol::members::{Explanation, Member, MemberSetup, Members};
use crate::protocol::publisher::Request;
use crate::protocol::repair::Purpose;
use crate::protocol::{Action, DownReason, Impairment, PublishId};
use crate::rumor::{Bundle, BundleId, TopicId, members_topic};
use crate::wire::{Frame, Reason};

/// The publish request of the node's own record. The driver counts upwards from one.
const RECORD: PublishId = PublishId(u64::MAX);
/// Bytes of records that are read at a time, after a restart.
const READ_AT_ONCE: usize = 256 * 1024;
/// The wall clock and the monotonic one may go apart by so much, milliseconds.
const CLOCKS_PART: u64 = 5_000;

impl Engine {
    /// Makes the node a member of its network, from the start on: it says that it is here, under its node key, and knows who else is. Call
    /// it before anything else.
    #[must_use]
    pub fn with_members(mut self, node: SecretKey, setup: MemberSetup) -> Self {
        let rules = members_topic(self.cx.network);
        let (topic, now) = (rules.id(), self.cx.now);
        // A clock that was set back makes no earlier life of this one.
        let boot_ms = now.unix_ms.max(self.publisher.used().end().saturating_add(1));
        self.members = Some(Members::new(topic, node.public(), boot_ms, setup, now.mono));
        self.publisher.signs_as_node(topic, node, now.mono);
        self.join(rules, false, false, KeepOptions::default());
        self
    }

    /// The members that this node knows, itself among them, in the order of their keys; none if it is no member.
    #[must_use]
    pub fn members(&self) -> Vec<Member> {
        let members = self.members.as_ref();
        members.map(|members| members.list(&self.links, &self.cx.config, self.cx.now)).unwrap_or_default()
    }

    /// One member, if it is known.
    #[must_use]
    pub fn member(&self, key: &PublicKey) -> Option<Member> {
        self.members.as_ref()?.one(key, &self.links, &self.cx.config, self.cx.now)
    }

    /// What is behind what is shown of a member, if it is known.
    #[must_use]
    pub fn explain(&self, key: &PublicKey) -> Option<Explanation> {
        self.members.as_ref()?.explain(key, &self.links, &self.cx.config, self.cx.now)
    }

    /// Members that are here, this node among them: alive, or stale.
    #[must_use]
    pub fn members_here(&self) -> usize {
        self.members.as_ref().map_or(0, Members::here)
    }

    /// Looks how many nodes there are, now and then: kept places and the hop budget go by it.
    pub(super) fn count_nodes(&mut self) {
        let Some(members) = &self.members else { return };
        let (nodes, now) = (self.cx.config.expected_nodes, self.cx.now.mono);
        if let Some(nodes) = self.census.looks(nodes, members.here(), now) {
            self.cx.config.expected_nodes = nodes;
        }
    }

    /// How many live members we tell peers of; 0 if we know of none.
    pub(super) fn members_told(&self) -> u32 {
        u32::try_from(self.members_here()).unwrap_or(u32::MAX)
    }

    /// Whether nothing is left to be said of this node itself: it does not leave, or has said that it does.
    #[must_use]
    pub fn has_left(&self) -> bool {
        self.members.as_ref().is_none_or(|members| !members.is_leaving() || members.has_left())
    }

    pub(super) fn on_describe(&mut self, metadata: Bytes) {
        let now = self.cx.now.mono;
        if let Some(members) = &mut self.members {
            members.describe(metadata, now);
        }
    }

    pub(super) fn on_advertise(&mut self, addresses: Vec<core::net::SocketAddr>) {
        let now = self.cx.now.mono;
        if let Some(members) = &mut self.members {
            members.advertise(addresses, now);
        }
    }

    pub(super) fn on_leave_network(&mut self) {
        let now = self.cx.now.mono;
        if let Some(members) = &mut self.members {
            members.leave(now);
        }
    }

    /// A frame of pulses, or a question about members. It is on the bill of the link's system lane already, and may come before the peer's
    /// hello.
    pub(super) fn on_members(&mut self, sender: Sender, frame: Frame) {
        let Some(members) = &mut self.members else {
            self.cx.counters.members_unheard += 1;
            return;
        };
        match frame {
            Frame::Pulses(pulses) => {
                members.hears_pulses(&mut self.cx, &mut self.links, sender.slot, &pulses);
            }
            Frame::MembersAsk(ask) => members.is_asked(&mut self.cx, sender.slot, ask),
            _ => {}
        }
    }

    /// A genuine bundle: the members hear it, if it is theirs.
    pub(super) fn members_hear(&mut self, bundle: &Arc<Bundle>) {
        // It may come from the store, or have been on its way when its member was expelled.
        if !self.cx.shows(&bundle.header().author) {
            return;
        }
        if let Some(members) =
            self.members.as_mut().filter(|members| members.topic() == bundle.header().topic)
        {
            members.hears(&mut self.cx, bundle);
        }
    }

    /// Whether a bundle that was accepted spreads now: a record of a member may have to wait for its turn.
    pub(super) fn members_let_spread(&mut self, topic: &TopicId, id: &BundleId) -> bool {
        let Some(members) = self.members.as_mut().filter(|members| members.topic() == *topic) else {
            return true;
        };
        let entry = self.topics.get(topic).and_then(|window| window.entry(id));
        entry.is_some_and(|entry| members.may_spread(&mut self.cx, &entry.header().author, id))
    }

    /// Records whose turn has come spread.
    fn spread_waiting_records(&mut self) {
        let Some(members) = &mut self.members else { return };
        let topic = members.topic();
        let Some(window) = self.topics.get(&topic) else { return };
        let held =
            |id: &BundleId| window.entry(id).is_some_and(|entry| entry.is_accepted() && entry.has_body());
        let go = members.lets_go(&mut self.cx, held);
        go.into_iter().for_each(|id| self.spread(topic, id));
    }

    /// The store has opened the topic of members: whom it holds is known again. False if it can't be asked now.
    pub(super) fn read_members(&mut self, topic: &TopicId, after: Option<Head>) -> bool {
        if self.members.as_ref().is_none_or(|members| members.topic() != *topic) {
            return true;
        }
        // (Where too many questions are under way, the members are asked for among the links.)
        let Some(look) = self.repair.looks_mut().ask(Purpose::Members) else { return false };
        let query = Query::Live { topic: *topic, after, max_bytes: READ_AT_ONCE };
        self.cx.actions.push_back(Action::Store(StoreJob::Look { look, query }));
        true
    }

    pub(super) fn on_members_read(&mut self, found: Result<Found, StoreTrouble>) {
        let (Ok(Found::Live(live)), Some(topic)) = (found, self.members.as_ref().map(Members::topic)) else {
            return;
        };
        for item in &live.items {
            if let Some(bundle) = &item.bundle {
                self.members_hear(bundle);
            }
        }
        if let Some(last) = live.items.last().filter(|_| live.more) {
            self.read_members(&topic, Some(last.head));
        }
    }

    /// Both hellos were said on a link, or its topics are others now.
    pub(super) fn members_meet(&mut self, slot: Slot) {
        let Some(members) = &mut self.members else { return };
        let Some(link) = self.links.at(slot) else { return };
        if link.is_in_use() && link.relays(&members.topic()) {
            members.link_up(&self.cx, slot);
        }
        let peer = link.peer();
        self.links_of_member_changed(&peer);
    }

    /// What links there are to a node has changed, or whether they are quiet.
    pub(super) fn links_of_member_changed(&mut self, peer: &PublicKey) {
        if let Some(members) = &mut self.members {
            members.looks_at_links(&mut self.cx, &self.links, peer);
        }
    }

    /// A link is gone from the table.
    pub(super) fn members_lose(&mut self, lost: &Link, why: &DownReason) {
        let Some(members) = &mut self.members else { return };
        members.link_down(lost.slot());
        if lost.was_live() {
            members.loses_link(&mut self.cx, &self.links, lost, why);
        }
    }

    pub(super) fn members_convict(&mut self, key: &PublicKey) {
        if let Some(members) = &mut self.members {
            members.convicts(&mut self.cx, key);
        }
    }

    /// Somebody else writes under our key. In the topic of members that is another process with our node key.
    pub(super) fn members_double(&mut self, topic: &TopicId) {
        if let Some(members) = self.members.as_mut().filter(|members| members.topic() == *topic) {
            members.finds_double(&mut self.cx);
        }
    }

    /// Before an input is taken in: who came late, or whose clocks went apart, has not heard what it should have.
    pub(super) fn members_notice(&mut self, now: crate::protocol::Now) {
        let Some(members) = &mut self.members else { return };
        let before = self.cx.now;
        let late = self.cx.timers.next().map_or(Duration::ZERO, |due| now.mono.since(due));
        members.is_late(late, now.mono);
        let ran = u64::try_from(now.mono.since(before.mono).as_millis()).unwrap_or(u64::MAX);
        if now.unix_ms.abs_diff(before.unix_ms.saturating_add(ran)) > CLOCKS_PART {
            members.was_away();
            members.looks_at_all(now.mono);
        }
    }

    /// Does what is due for the members.
    pub(super) fn members_go_on(&mut self) {
        if self.closed {
            return;
        }
        self.spread_waiting_records();
        let Some(members) = &mut self.members else { return };
        members.clock_is(self.condition.health().has(Impairment::Clock));
        let body = members.turn(&mut self.cx, &mut self.links);
        let stalled = members.takes_stalled();
        if let Some(body) = body {
            let topic = members.topic();
            let request = Request { publish_id: RECORD, body, kept: false, follow: 0 };
            // (An application may not publish there.)
            self.publisher.submit(topic, request, false);
            self.publisher.seal_now(&topic);
        }
        for link in stalled {
            self.cx.counters.links_stalled += 1;
            self.close(link, Reason::Stalled);
        }
    }

    /// Answers to the node's own record are not the driver's. Gives back what is.
    pub(super) fn unless_own_record(&mut self, action: Action) -> Option<Action> {
        match action {
            Action::Published { publish_id: RECORD, result } => {
                let now = self.cx.now.mono;
                if let Some(members) = &mut self.members {
                    members.said(result.is_ok(), now);
                }
                self.members_go_on();
                None
            }
            action => Some(action),
        }
    }

    /// Joins the topic of members, as a node that takes part does.
    #[cfg(test)]
    pub(crate) fn join_members(&mut self) {
        let rules = members_topic(self.cx.network);
        self.join(rules, false, false, KeepOptions::default());
    }

    /// Bundles that a topic has an index entry for.
    #[cfg(test)]
    pub(crate) fn claimed_in(&self, topic: &TopicId) -> Option<usize> {
        self.topics.get(topic).map(|window| window.claimed())
    }

    /// Queues a pulse on each link.
    #[cfg(all(test, feature = "sim"))]
    pub(crate) fn say_pulse(&mut self, pulse: crate::wire::Pulse) {
        for link in self.links.iter_mut().filter(|link| link.is_open()) {
            link.outbox_mut().pulse(pulse);
            self.cx.dirty.insert(link.slot());
        }
    }
}
