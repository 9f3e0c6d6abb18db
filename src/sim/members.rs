//! Members of a simulated network: what each node shows, and what it told its application.

use std::collections::BTreeMap;

use super::network::Network;
use super::queue::{Happening, NodeIndex};
use super::record::MemberNews;
use super::scenario::Start;
use crate::key::PublicKey;
use crate::protocol::{Input, Member, MemberEvent, MemberState, Mono, Origin, UsedPositions};

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

    /// How many records of each member an honest node has pushed or announced so far, its own among them.
    pub fn records_told(&self, node: usize) -> BTreeMap<PublicKey, usize> {
        self.records.told_by(node as NodeIndex)
    }

    /// From now on no record of a member reaches these nodes, neither as it is passed on nor by repair. Signs of life do.
    pub fn keep_records_from(&mut self, nodes: impl IntoIterator<Item = usize>) {
        self.records.keep_from(nodes.into_iter().map(|node| node as NodeIndex));
    }

    /// A second process starts under the keys of a node, from a copy of its position log, and dials the same peers. Gives its number.
    pub fn clone_node(&mut self, node: usize) -> Option<usize> {
        let original = self.nodes.get(node)?;
        let (secret, used) = (original.secret.clone(), original.recorded.clone());
        let (wanted, told) = (original.dialling.wanted, original.dialling.told.clone());
        let clone = self.add_node_of(secret, UsedPositions::Kept { used }, false, self.now);
        if let Some(node) = self.nodes.get_mut(clone) {
            (node.dialling.wanted, node.dialling.told) = (wanted, told);
        }
        self.begin(clone as NodeIndex);
        Some(clone)
    }

    pub(super) fn on_member(&mut self, node: NodeIndex, event: MemberEvent) {
        self.note(&[17]);
        self.meet(node, event);
        let honest = self.nodes.get(node as usize).is_some_and(super::node::Node::is_honest);
        if honest {
            self.record.members.push(MemberNews { at: self.elapsed(), node: node as usize, event });
        }
    }

    /// The dialler hears what is shown of a member now. In a network that grows from one node, members are whom a node may dial.
    fn meet(&mut self, node: NodeIndex, event: MemberEvent) {
        let Some(key) = event.member().copied() else { return };
        let now = Mono::from_nanos(self.now);
        let grows = matches!(self.scenario.start, Start::From(_) | Start::Poisoned(_));
        let Some(this) = self.nodes.get_mut(node as usize) else { return };
        let member = this.machine.engine().and_then(|engine| engine.member(&key));
        let has_address = member.as_ref().is_some_and(|member| !member.addresses.is_empty());
        let state = member.map(|member| member.state);
        let dialler = &mut this.dialling.dialler;
        match state {
            None => return,
            Some(MemberState::Failed(_)) => dialler.member_failed(now, &key),
            Some(MemberState::Left) => dialler.member_left(&key),
            Some(_) => {
                dialler.member_returned(now, &key);
                if let Some(peer) = self.by_key.get(&key).copied().filter(|_| grows && has_address) {
                    self.name(node, peer, Origin::Found);
                }
            }
        }
        // (The links of a node are looked at after each input.)
        self.queue.plan(self.now, node, Happening::Seek);
    }
}
