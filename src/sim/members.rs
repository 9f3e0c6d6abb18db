//! Members of a simulated network: what each node shows, and what it told its application.

use std::collections::BTreeMap;

use super::network::Network;
use super::queue::{Happening, NodeIndex};
use super::record::MemberNews;
use super::scenario::Start;
use crate::key::PublicKey;
use crate::protocol::{Input, Member, MemberEvent, Mono, Origin};

impl Network {
    /// The members that a node shows, itself among them.
    pub fn members(&self, node: usize) -> BTreeMap<PublicKey, Member> {
        let engine = self.nodes.get(node).and_then(|node| node.machine.engine());
        let members = engine.map(|engine| engine.members()).unwrap_or_default();
        members.into_iter().map(|member| (member.key, member)).collect()
    }

    /// Members that a node shows as here, itself among them.
    pub fn members_here(&self, node: usize) -> usize {
        let engine = self.nodes.get(node).and_then(|node| node.machine.engine());
        engine.map_or(0, |engine| engine.members_here())
    }

    /// What honest nodes have told of members so far.
    pub fn member_news(&self) -> &[MemberNews] {
        &self.record.members
    }

    /// Bytes that all nodes have sent so far, frames with their lengths.
    pub fn bytes_sent(&self) -> u64 {
        self.nodes.iter().map(|node| node.bytes_out).sum()
    }

    /// The node key of a node.
    pub fn key_of(&self, node: usize) -> Option<PublicKey> {
        self.nodes.get(node).map(|node| node.key)
    }

    /// A node leaves the members, and goes on running.
    pub fn leave_members(&mut self, node: usize) {
        self.input(node as NodeIndex, Input::LeaveNetwork);
        self.drive(node as NodeIndex);
    }

    /// A node says something else of itself.
    pub fn describe(&mut self, node: usize, metadata: Vec<u8>) {
        self.input(node as NodeIndex, Input::Describe { metadata: metadata.into() });
        self.drive(node as NodeIndex);
    }

    /// In a network that grows from one node, members are whom a node may dial.
    fn meet(&mut self, node: NodeIndex, event: MemberEvent) {
        let known =
            matches!(event, MemberEvent::Joined(_) | MemberEvent::Returned(_) | MemberEvent::Updated(_));
        let peer = event.member().and_then(|key| self.by_key.get(key)).copied();
        if let Some(peer) = peer.filter(|_| known && matches!(self.scenario.start, Start::From(_))) {
            self.name(node, peer, Origin::Found);
            // (The links of a node are looked at after each input.)
            self.queue.plan(self.now, node, Happening::Seek);
        }
    }

    pub(super) fn on_member(&mut self, node: NodeIndex, event: MemberEvent) {
        self.note(&[17]);
        self.meet(node, event);
        let now = Mono::from_nanos(self.now);
        if let Some(this) = self.nodes.get_mut(node as usize) {
            let dialler = &mut this.dialling.dialler;
            match event {
                MemberEvent::Failed(key, _) => dialler.member_failed(now, &key),
                // (Of events that come soon one after another the last is told.)
                MemberEvent::Joined(key)
                | MemberEvent::Returned(key)
                | MemberEvent::Restarted(key)
                | MemberEvent::Updated(key) => dialler.member_returned(now, &key),
                MemberEvent::Left(key) => dialler.member_left(&key),
                _ => {}
            }
            self.queue.plan(self.now, node, Happening::Seek);
        }
        let honest = self.nodes.get(node as usize).is_some_and(super::node::Node::is_honest);
        if honest {
            self.record.members.push(MemberNews { at: self.elapsed(), node: node as usize, event });
        }
    }
}
