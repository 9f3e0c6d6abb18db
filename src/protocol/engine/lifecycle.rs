//! Links come and go: admission, hello, topics, clocks, stalls, goodbye.

use core::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::key::PublicKey;
use crate::protocol::engine::Engine;
use crate::protocol::limits::{EVIDENCE_QUEUE, HELLO_DEADLINE, STALL_DEADLINE, STRANGERS_A_ROUND};
use crate::protocol::links::clock::PeerClock;
use crate::protocol::links::{Greeting, Link};
use crate::protocol::linkset::Slot;
use crate::protocol::repair::KeptTopic;
use crate::protocol::topics::window::Window;
use crate::protocol::{Action, DownReason, Event, LinkId, Offence};
use crate::rumor::{EVIDENCE_LEN, RuleSet, TopicId};
use crate::wire::{self, Hello, MAX_TOPICS_PER_LINK, Reason, TopicChange};

/// What looking at one entry costs when everything held is walked through for a link.
const WALK_COST: Duration = Duration::from_nanos(50);
/// Walks through all links that an author takes to see whether it may speak.
const TRY_WALKS: usize = 2;
/// Pieces of evidence that a new link is told of at once; the rest when it brings something of those authors.
const EVIDENCE_FOR_NEWCOMERS: usize = 64;

impl Engine {
    pub(super) fn on_link_up(
        &mut self,
        id: LinkId,
        peer: PublicKey,
        dialled: bool,
        remote: Option<SocketAddr>,
    ) {
        let refused = self.refusal(&peer, !dialled).or_else(|| self.duplicate(&peer, dialled));
        let guest = !dialled && refused.is_some_and(|why| self.may_be_guest(&peer, why));
        let refused = refused.filter(|_| !guest);
        if peer == self.cx.node && !dialled {
            self.found_other_process();
        }
        let slot = if refused.is_none() { self.free_place() } else { None };
        let Some(slot) = slot else {
            let reason = refused.unwrap_or(Reason::Full);
            // A double one is nothing to tell where the peer is linked.
            if reason != Reason::Duplicate {
                self.event(Event::LinkRefused { peer, reason });
            }
            self.cx.actions.push_back(Action::Close { link: id, reason });
            return;
        };
        let hash_selected = self.keeps_place_for(&peer);
        let (config, keyed) = (&self.cx.config, self.cx.keyed);
        let mut link = Link::new(
            id,
            slot,
            peer,
            dialled,
            hash_selected,
            self.cx.now.mono,
            config,
            keyed,
            self.cx.members,
        );
        link.outbox_mut().frame(wire::hello(&Hello { guest, ..self.greeting(remote) }));
        self.links.insert(link);
        self.cx.dirty.insert(slot);
        if guest {
            self.guest_comes(id, peer);
        }
    }

    /// What a new link is told: what we relay, of what we tell the past, what we are, and where we see the peer.
    fn greeting(&self, remote: Option<SocketAddr>) -> Hello {
        let mut hello = Hello {
            network: *self.cx.network.as_bytes(),
            clock_ms: self.cx.now.unix_ms,
            listens: self.cx.reach.listens,
            members: self.members_told(),
            keep_alive_ms: self.cx.reach.keep_alive_ms,
            ..Hello::default()
        };
        if let Some(remote) = remote {
            hello.set_you(remote);
        }
        for topic in self.topics.keys().filter(|topic| !self.repair.is_opening(topic)) {
            hello.topics.push(*topic.as_bytes());
            if self.repair.topic(topic).is_some_and(KeptTopic::keeps) {
                hello.set_keeps(hello.topics.len().saturating_sub(1));
            }
        }
        hello
    }

    /// A place in the table of links. Who had what is remembered by place, so before places are used a second time the
    /// marks of their former owners are wiped: of all at once, or each link that came and went would cost us a walk
    /// through everything that is held.
    fn free_place(&mut self) -> Option<Slot> {
        if let Some(slot) = self.links.free() {
            return Some(slot);
        }
        let gone = self.links.take_gone();
        for entry in self.topics.values_mut().flat_map(Window::entries_mut) {
            entry.wipe(&gone);
        }
        self.topics.values_mut().for_each(|window| window.debts_mut().forget_links(&gone));
        self.evidence.forget_links(&gone);
        self.links.free()
    }

    pub(super) fn on_hello(&mut self, slot: Slot, hello: Hello) {
        let Some(link) = self.links.at_mut(slot) else { return };
        let id = link.id();
        if link.was_live() {
            return self.on_clock_told(slot, &hello);
        }
        if hello.network != *self.cx.network.as_bytes() {
            let (peer, reason) = (link.peer(), Reason::OtherNetwork);
            self.event(Event::LinkRefused { peer, reason });
            return self.close(id, reason);
        }
        let guest = self.guests.has(id);
        if hello.guest && link.is_dialled() {
            self.guests.is_hosted(id);
        }
        let kept = (0..hello.topics.len()).filter(|index| hello.keeps(*index) && !guest);
        let kept: Vec<_> = kept.filter_map(|index| hello.topics.get(index)).copied().collect();
        let said = Greeting::of(&hello);
        let topics = hello.topics.into_iter().map(TopicId::from_bytes);
        let topics = topics.filter(|topic| !guest || self.cx.is_system(topic)).collect();
        link.greeted(topics, PeerClock::new(hello.clock_ms, self.cx.now.mono), said, self.cx.now.mono);
        kept.into_iter().for_each(|topic| link.set_keeps(TopicId::from_bytes(topic), true));
        self.cx.topology += 1;
        self.publisher.is_linked(self.cx.now.mono);
        let (peer, dialled) = (link.peer(), link.is_dialled());
        if !self.links.of_peer(&peer).any(|other| other.was_live() && other.id() != id) {
            self.event(Event::PeerUp { peer, dialled });
        }
        self.settle_duplicates(slot);
        for author in self.evidence.newest(EVIDENCE_FOR_NEWCOMERS) {
            self.tell_evidence(slot, &author);
        }
        self.resync_all(slot);
        self.members_meet(slot);
        self.review_keepers(slot);
        if let Some(link) = self.links.at(slot) {
            self.publisher.links_changed(link.topics());
        }
        self.check_clock();
    }

    /// A hello without topics on a link that has said its own tells the peer's clock again, since it jumped. Any other second hello
    /// is out of order.
    fn on_clock_told(&mut self, slot: Slot, hello: &Hello) {
        let now = self.cx.now.mono;
        let Some(link) = self.links.at_mut(slot) else { return };
        if !hello.topics.is_empty() || hello.network != *self.cx.network.as_bytes() {
            let id = link.id();
            return self.close(id, Reason::OutOfOrder);
        }
        // Ours is judged by it within a second, when all are: peers that tell two times in turn have nothing told with each frame.
        link.tells_clock(PeerClock::new(hello.clock_ms, now));
    }

    /// Our clock has jumped: peers that go by what it showed would take theirs for wrong.
    pub(super) fn tell_clock(&mut self) {
        let hello = Hello {
            network: *self.cx.network.as_bytes(),
            clock_ms: self.cx.now.unix_ms,
            topics: Vec::new(),
            ..Hello::default()
        };
        let frame = wire::hello(&hello);
        for link in self.links.iter_mut().filter(|link| link.is_open()) {
            link.outbox_mut().frame(frame.clone());
            self.cx.dirty.insert(link.slot());
        }
    }

    pub(super) fn on_topics(&mut self, slot: Slot, change: TopicChange) {
        self.cx.topology += 1;
        let now = self.cx.now.mono;
        self.condition.presence_mut().lost(now);
        let guest = self.links.at(slot).is_some_and(|link| self.guests.has(link.id()));
        let mut joined: Vec<_> = change.joined.into_iter().map(TopicId::from_bytes).collect();
        joined.retain(|topic| !guest || self.cx.is_system(topic));
        joined.sort_unstable();
        joined.dedup();
        let walked: usize = joined.iter().filter_map(|topic| self.topics.get(topic)).map(Window::len).sum();
        let Some(link) = self.links.at_mut(slot) else { return };
        // Without it a frame of 40 bytes, sent again and again, would buy walks through all that is held.
        link.budget_mut()
            .charge_cpu(now, WALK_COST.saturating_mul(u32::try_from(walked).unwrap_or(u32::MAX)));
        let before = link.topics().to_vec();
        // A topic that is named again: it had no room for all our announcements, and has now.
        let (changed, again) = link.change_topics(&joined, change.left.into_iter().map(TopicId::from_bytes));
        if link.topics().len() > MAX_TOPICS_PER_LINK {
            let id = link.id();
            return self.close(id, Reason::TooManyTopics);
        }
        for (topic, keeps) in change.keeps {
            link.set_keeps(TopicId::from_bytes(topic), keeps);
        }
        for topic in &joined {
            // Whoever comes back to a topic may have forgotten what it had of it.
            let came_back = !again.contains(topic);
            if let Some(window) = self.topics.get_mut(topic) {
                window.entries_mut().for_each(|entry| entry.forget_link(slot, came_back));
            }
        }
        self.tell_what_matters_now(slot, &before, &joined);
        self.resync(slot, &joined);
        self.members_meet(slot);
        self.review_keepers(slot);
        self.wake_authors(slot, &changed);
    }

    /// Authors that wait in these topics try again. Each looks at all links for it, which is on the bill of who changed them.
    fn wake_authors(&mut self, slot: Slot, changed: &[TopicId]) {
        let walked = self.publisher.links_changed(changed).saturating_mul(TRY_WALKS * self.links.len());
        let cost = WALK_COST.saturating_mul(u32::try_from(walked).unwrap_or(u32::MAX));
        if let Some(link) = self.links.at_mut(slot) {
            link.budget_mut().charge_cpu(self.cx.now.mono, cost);
        }
    }

    /// A peer drops a proof against an author that none of its topics admits. In a topic that it has joined since the author may
    /// speak, so it is told again: at the pace of proofs, and on its bill.
    fn tell_what_matters_now(&mut self, slot: Slot, before: &[TopicId], joined: &[TopicId]) {
        let now = self.cx.now.mono;
        let rules = |topics: &[TopicId]| -> Vec<Arc<RuleSet>> {
            topics
                .iter()
                .filter_map(|topic| self.topics.get(topic))
                .map(|window| window.rules().clone())
                .collect()
        };
        let (before, joined) = (rules(before), rules(joined));
        if self.evidence.is_empty() || joined.is_empty() || before.iter().any(|rules| !rules.is_listed()) {
            return;
        }
        let admit =
            |topics: &[Arc<RuleSet>], author: &PublicKey| topics.iter().any(|rules| rules.admits(author));
        let again = self.evidence.untell(slot, |author| admit(&joined, author) && !admit(&before, author));
        let Some(link) = self.links.at_mut(slot) else { return };
        link.budget_mut().charge_cpu(
            now,
            WALK_COST.saturating_mul(u32::try_from(self.evidence.len()).unwrap_or(u32::MAX)),
        );
        link.budget_mut().charge_bytes(now, (EVIDENCE_LEN * again) as u64);
        if again > 0 {
            link.outbox_mut().owe_evidence();
        }
    }

    pub(super) fn tell_topics(&mut self, joined: Vec<[u8; 32]>, left: Vec<[u8; 32]>) {
        self.tell_change(&TopicChange { joined, left, ..TopicChange::default() });
    }

    /// Peers are told whether they may ask us about the past of a topic, if that has changed.
    #[allow(dead_code, reason = "the half that asks decides it")]
    pub(super) fn set_keeps(&mut self, topic: TopicId, keeps: bool) {
        if self.repair.topic_mut(&topic).is_some_and(|kept| kept.set_keeps(keeps)) {
            let keeps = vec![(*topic.as_bytes(), keeps)];
            self.tell_change(&TopicChange { keeps, ..TopicChange::default() });
        }
    }

    fn tell_change(&mut self, change: &TopicChange) {
        let frame = wire::topics(change);
        // Also where hellos are still under way: ours is ahead of it on the same lane.
        for link in self.links.iter_mut().filter(|link| !link.is_closing()) {
            link.outbox_mut().frame(frame.clone());
            self.cx.dirty.insert(link.slot());
        }
    }

    pub(super) fn on_link_down(&mut self, id: LinkId, offence: Option<Offence>, why: DownReason) {
        if let Some(offence) = offence
            && let Some(peer) = self.links.get_mut(id).map(|link| link.peer())
        {
            self.offence(id, peer, offence);
        }
        let Some(link) = self.links.remove(id) else { return };
        self.guests.leaves(id);
        self.condition.presence_mut().lost(link.last_frame());
        self.cx.topology += 1;
        self.cx.dirty.remove(link.slot());
        self.repair.server_mut().leaves(link.slot());
        // What a link left behind is as good as any, unless links that come and go would fill the queue.
        let crowded = [&mut self.verifying, &mut self.system_verifying]
            .map(|queue| if queue.is_crowded() { queue.remove_link(id) } else { Vec::new() });
        for work in crowded.into_iter().flatten() {
            self.drop_work(id, &work);
        }
        self.asks_link_no_more(link.slot());
        self.wants.forget_starved(link.slot());
        if link.wanted_from() > 0 {
            for wanted in self.wants.of_link(link.slot()) {
                if let Some(want) = self.wants.get_mut(&wanted) {
                    want.remove_source(link.slot());
                    want.rests_no_more();
                    self.ask(wanted);
                }
            }
        }
        self.publisher.links_changed(link.topics());
        let peer = link.peer();
        let why = link.closed_for().map_or(why, DownReason::ClosedHere);
        self.use_again(&peer);
        self.members_lose(&link, &why);
        self.suspect_other_process(&peer, &why, link.was_live());
        if link.was_live() && !self.links.of_peer(&peer).any(|other| other.was_live()) {
            self.event(Event::PeerDown { peer, why });
        }
    }

    /// Says goodbye and closes. Nothing that still comes in counts.
    pub(super) fn close(&mut self, id: LinkId, reason: Reason) {
        let Some(link) = self.links.get_mut(id) else { return };
        if !link.close(reason) {
            return;
        }
        let slot = link.slot();
        self.condition.presence_mut().lost(link.last_frame());
        self.cx.topology += 1;
        self.review_keepers(slot);
        self.cx.actions.push_back(Action::Send {
            link: id,
            lane: wire::Lane::Control,
            frame: wire::goodbye(reason),
        });
        self.cx.actions.push_back(Action::Close { link: id, reason });
    }

    /// Bytes that no correct node sends: closes the link, bans the key, drops what it still had waiting.
    pub(super) fn offence(&mut self, id: LinkId, peer: PublicKey, offence: Offence) {
        self.cx.counters.offences += 1;
        if self.bans.ban(peer, self.cx.now.mono) {
            self.cx.counters.bans_shed += 1;
        }
        self.event(Event::Offence { peer, offence });
        self.close(id, Reason::Offence);
        // It may have dialled again before we knew: a ban is on the key, not on one link.
        let others: Vec<_> =
            self.links.of_peer(&peer).map(|link| link.id()).filter(|other| *other != id).collect();
        for other in others {
            self.close(other, Reason::Banned);
            self.drop_all_work(other);
        }
        self.drop_all_work(id);
    }

    /// Nothing that a link still has waiting is verified.
    fn drop_all_work(&mut self, id: LinkId) {
        let late = self.late_verifying.remove_link(id);
        let of_system = self.system_verifying.remove_link(id);
        for work in self.verifying.remove_link(id).into_iter().chain(of_system).chain(late) {
            self.drop_work(id, &work);
        }
    }

    /// Closes links that make no progress.
    pub(super) fn check_links(&mut self) {
        let now = self.cx.now.mono;
        let stalled = |link: &&Link| {
            let silent = !link.was_live() && now.since(link.up_since()) > HELLO_DEADLINE;
            silent || link.outbox().is_stalled(now, STALL_DEADLINE)
        };
        let ids: Vec<_> = self
            .links
            .iter()
            .filter(|link| !link.is_closing())
            .filter(stalled)
            .map(|link| link.id())
            .collect();
        for id in ids {
            self.cx.counters.links_stalled += 1;
            self.close(id, Reason::Stalled);
        }
        self.outstayed().into_iter().for_each(|id| self.close(id, Reason::Full));
        self.look_at_waiting_pushes();
        self.expect_nothing_of_the_silent();
        self.ask_again();
        self.catch_up_in_turn();
        self.tell_evidence_again();
        self.check_topics();
    }

    /// Makes up for proofs that a link had no room for, and tells a few of those against authors that were never heard here.
    fn tell_evidence_again(&mut self) {
        let links = self.links.iter_mut().filter(|link| link.is_open());
        let slots: Vec<_> = links
            .filter_map(|link| link.outbox_mut().may_tell_evidence_again().then_some(link.slot()))
            .collect();
        for slot in slots {
            // One more than there can be room for, so that it is known if there are more.
            let (authors, more) = self.evidence.untold(slot, EVIDENCE_QUEUE + 1, STRANGERS_A_ROUND);
            for author in authors {
                if !self.tell_evidence(slot, &author) {
                    break;
                }
            }
            if more && let Some(link) = self.links.at_mut(slot) {
                link.outbox_mut().owe_evidence();
            }
        }
    }

    /// Asks links for their announcements again, where we had no room for all of them and have it now.
    fn ask_again(&mut self) {
        for link in self.links.iter_mut().filter(|link| link.is_open()) {
            if link.has_more_to_say() {
                let (topics, slot) = (&self.topics, link.slot());
                let relayed = |topic: &TopicId| topics.contains_key(topic);
                // Where even debts find no place, all that it says again would be refused again.
                let room =
                    |topic: &TopicId| topics.get(topic).is_some_and(|window| window.debts().has_room(slot));
                let missed = link.take_missed(relayed, room);
                let joined: Vec<_> = missed.iter().map(|topic| *topic.as_bytes()).collect();
                if !joined.is_empty() {
                    link.outbox_mut().frame(wire::topics(&TopicChange {
                        joined,
                        left: Vec::new(),
                        ..TopicChange::default()
                    }));
                    self.cx.dirty.insert(link.slot());
                }
            }
        }
    }
}
