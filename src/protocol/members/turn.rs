//! What is done about members: whatever is due, after each input.

use std::time::Duration;

use bytes::Bytes;

use super::asks::LINKS_ASKED;
use super::fitness::{ALONE_AMONG, Around, ENOUGH_LINKS};
use super::life::{Look, MemberState};
use super::pulses::Found;
use super::spread::{Targets, cycle};
use super::{ANSWER_AGAIN, Members, RECORD_KEY, answers, period, since, table};
use crate::protocol::Action;
use crate::protocol::context::Cx;
use crate::protocol::links::{Link, Links};
use crate::protocol::linkset::{LinkSet, Slot};
use crate::protocol::member_event::MemberEvent;
use crate::protocol::timers::Timer;
use crate::rumor::{Cell, ChainPoint, TopicId};
use crate::wire::{self, KeyPrefix, Lane, Pulse, PulsePage};

impl Members {
    /// Does what is due. Gives the record that is to be published, if one is.
    pub(in crate::protocol) fn turn(&mut self, cx: &mut Cx, links: &mut Links) -> Option<Bytes> {
        let now = cx.now;
        if !self.stirred && self.alarm.is_some_and(|alarm| alarm > now.mono) {
            return None;
        }
        self.stirred = false;
        self.check_pulses(cx, links);
        self.reveal(cx, links);
        self.look_at_lives(cx, links);
        if now.mono >= self.next_cycle {
            self.cycle(cx, links);
        }
        for (slot, ask) in self.asks.next_asks(|| targets(&self.topic, links), now.mono) {
            send(cx, links, slot, wire::members_ask(&ask));
        }
        self.answer(cx, links);
        let record = self.record(cx);
        self.set_alarm(cx);
        record
    }

    fn check_pulses(&mut self, cx: &mut Cx, links: &Links) {
        cx.counters.pulses_shed += self.pulses.takes_shed();
        if !self.pulses.is_waiting() {
            return;
        }
        for found in self.pulses.works(cx.now.mono) {
            match found {
                Found::True { key, terms, known, pulse, slot } => {
                    if let Some(signs) = self.table.is_true(&key, &terms, known, cx.now.mono) {
                        let mut told = LinkSet::default();
                        told.insert(slot);
                        // (What a peer says of itself says nothing of its other links.)
                        if links.at(slot).is_some_and(|link| link.peer() != key) {
                            self.bringers.insert(slot);
                            self.brought = Some(cx.now.mono);
                        }
                        self.gives_sign(cx, key, signs, Pulse { failed_here: false, ..pulse }, told);
                    }
                }
                Found::False { key, slot } => {
                    // Two members may share a prefix, and a beacon be on its way: so it is no offence. Too many are dear.
                    cx.counters.pulses_wrong += 1;
                    self.asks.wants_record(slot, KeyPrefix::of(&key), cx.now.mono);
                }
            }
        }
    }

    /// Own pulses go to all links at once. Of two chains in one frame: a newer one of a member takes the place of an older in their queues.
    fn reveal(&mut self, cx: &mut Cx, links: &mut Links) {
        let pulses = self.own.takes_pulses(cx.now);
        if pulses.is_empty() {
            return;
        }
        let said = pulses.iter().map(|(_, pulse)| *pulse).collect();
        let frame = wire::pulses(&wire::Pulses { page: PulsePage::Pushed, pulses: said });
        for slot in targets(&self.topic, links).all {
            send(cx, links, slot, frame.clone());
        }
        let (me, now, would_state) = (self.me, cx.now, self.would(cx));
        for (terms, pulse) in pulses {
            let index = u16::try_from(pulse.index).unwrap_or(u16::MAX);
            let known = ChainPoint { index, value: pulse.value };
            if let Some((sign, of)) = self.table.is_true(&me, &terms, known, now.mono) {
                self.table.lives(&me, |life| life.hears(sign, of, would_state, now));
            }
        }
    }

    fn cycle(&mut self, cx: &mut Cx, links: &mut Links) {
        let now = cx.now.mono;
        let period = self.own_period(cx);
        let targets = targets(&self.topic, links);
        self.next_cycle = now.plus(cycle(period));
        for (slot, pulse) in self.spread.goes(&targets, &mut cx.random) {
            push(cx, links, slot, pulse);
        }
        let me_here = self.table.get(&self.me).is_some_and(|entry| entry.state().is_here());
        let has_address =
            |entry: &&table::Entry| entry.beacon().is_some_and(|beacon| !beacon.addresses.is_empty());
        let here = self.table.here().saturating_sub(usize::from(me_here));
        // Of a few that are stale nobody can tell whether they are dead, or this node is cut off: they count as failed there.
        let counts = |state: MemberState| match here < ALONE_AMONG {
            true => state == MemberState::Alive,
            false => state.is_here(),
        };
        let others = self.table.iter().filter(|entry| counts(entry.state()) && entry.key() != self.me);
        let around = Around {
            links: targets.all.len().saturating_sub(targets.quiet),
            quiet: targets.quiet,
            read: targets.read.len(),
            unread: targets.unread,
            here,
            diallable: others.filter(has_address).take(ENOUGH_LINKS).count(),
            period,
        };
        if self.fitness.look(around, now) {
            self.tell(cx, MemberEvent::Isolated);
        }
        self.reach.expire(now);
        for event in self.told.takes_due(now) {
            cx.actions.push_back(Action::Member(event));
        }
        if now >= self.next_pull {
            self.next_pull = now.plus(period / 3);
            if self.lacks_pulses(cx) {
                self.asks.pulls(since(cx.now, period), &targets);
            }
        }
    }

    /// Whether pulses are to be pulled: more than one in a hundred of the living is overdue.
    fn lacks_pulses(&self, cx: &Cx) -> bool {
        let (now, would_state) = (cx.now.mono, self.would(cx));
        let overdue = |entry: &&table::Entry| {
            let late = entry.period(would_state).saturating_mul(3) / 2;
            entry.state().is_here() && entry.life().seen().is_none_or(|seen| now.since(seen) > late)
        };
        let overdue = self.table.iter().filter(overdue).count();
        overdue.saturating_mul(100) > self.table.here()
    }

    fn look_at_lives(&mut self, cx: &mut Cx, links: &Links) {
        let (now, would_state) = (cx.now, self.would(cx));
        let fit = self.fitness.may_judge(now.mono);
        while let Some((_, key)) = self.due.first().copied().filter(|(at, _)| *at <= now.mono) {
            self.due.pop_first();
            let Some(entry) = self.table.get_mut(&key) else { continue };
            entry.is_due(None);
            let linked = links.of_peer(&key).any(Link::is_in_use);
            let seen = entry.life().seen();
            let look = Look { would_state, fit, linked };
            let Some(looked) = self.table.lives(&key, |life| life.look(look, now)) else { continue };
            if looked.forget {
                self.forgets(cx, &key);
                continue;
            }
            if looked.ask {
                self.asks.wants(key, LINKS_ASKED);
            }
            if looked.changed {
                match self.table.get(&key).map(|entry| entry.state()) {
                    Some(MemberState::Failed(why)) => {
                        self.looks_no_more(&key);
                        // Its process hangs, or it has nothing to say to us any more. (One that has come back may not speak yet.)
                        let stalled = |link: &&Link| {
                            link.is_in_use() && seen.is_some_and(|seen| link.up_since() <= seen)
                        };
                        self.stalled.extend(links.of_peer(&key).filter(stalled).map(Link::id));
                        self.tell(cx, MemberEvent::Failed(key, why));
                    }
                    _ => self.tell(cx, MemberEvent::Stale(key)),
                }
            }
            self.look_at(&key, looked.again);
        }
    }

    fn answer(&mut self, cx: &mut Cx, links: &mut Links) {
        while let Some((slot, ask)) = self.answers.next(cx.now.mono) {
            let answer = answers::answer(&self.table, &ask, &mut cx.random);
            self.answers.costs(slot, answer.costs(), cx.now.mono);
            cx.counters.members_answered += 1;
            if let Some(link) = links.at_mut(slot)
                && !answer.bundles.is_empty()
            {
                link.outbox_mut().records(answer.bundles);
            }
            send(cx, links, slot, wire::pulses(&answer.pulses));
        }
    }

    fn record(&mut self, cx: &mut Cx) -> Option<Bytes> {
        if !self.may_say() {
            return None;
        }
        let first = || period::stated(self.among, cx.config.members.renewals_per_s);
        let would_state = self.own.period().map_or_else(first, |_| 0).max(self.would(cx));
        let tick = self.table.get(&self.me).map_or(0, |entry| entry.bundle().header().tick);
        if self.outranked && cx.now.unix_ms / 1000 > tick {
            self.outranked = false;
            self.own.says_again(cx.now.mono);
        }
        let record = self.own.takes_record(would_state, &mut cx.random, cx.now)?;
        let cell = record.encode().ok().and_then(|bytes| Cell::put(RECORD_KEY, bytes).ok());
        if cell.is_none() {
            // What it says was checked when it was given.
            self.own.said(false, cx.now.mono);
        }
        cell.map(|cell| cell.encode())
    }

    fn set_alarm(&mut self, cx: &mut Cx) {
        let now = cx.now.mono;
        let waits = self.pulses.is_waiting().then_some(now);
        let answers = (!self.answers.is_idle()).then(|| now.plus(ANSWER_AGAIN));
        let life = self.due.first().map(|(at, _)| *at);
        let own = self.may_say().then(|| self.own.due());
        let next = [waits, answers, life, self.pace.due(), own].into_iter().flatten().min();
        // At the least a moment later: what is due now has been done, as far as a turn goes.
        let at = next.unwrap_or(self.next_cycle).min(self.next_cycle).max(now.plus(Duration::from_millis(1)));
        if self.alarm.is_none_or(|alarm| alarm <= now || at < alarm) {
            self.alarm = Some(at);
            cx.timers.set(at, Timer::MembersDue);
        }
    }
}

/// The links that pulses and questions may go to. It looks at each link, so it is asked for only where something goes.
fn targets(topic: &TopicId, links: &Links) -> Targets {
    let mut targets = Targets::default();
    let mut unread = LinkSet::default();
    for link in links.iter().filter(|link| link.relays(topic)) {
        targets.all.push(link.slot());
        // What is quiet hears nothing, and answers nothing.
        if link.quiet_since().is_some() {
            targets.quiet += 1;
            continue;
        }
        if link.is_chosen() {
            targets.chosen.push(link.slot());
        }
        if link.is_paused_on(Lane::System) {
            unread.insert(link.slot());
        }
        targets.read.push(link.slot());
    }
    if !targets.chosen.is_empty() {
        targets.read.clone_from(&targets.chosen);
    }
    targets.read.retain(|slot| !unread.contains(*slot));
    let asked =
        if targets.chosen.is_empty() { targets.all.len() - targets.quiet } else { targets.chosen.len() };
    targets.unread = asked.saturating_sub(targets.read.len());
    targets
}

fn push(cx: &mut Cx, links: &mut Links, slot: Slot, pulse: Pulse) {
    if let Some(link) = links.at_mut(slot) {
        if !link.outbox_mut().pulse(pulse) {
            cx.counters.members_unsent += 1;
        }
        cx.dirty.insert(slot);
    }
}

fn send(cx: &mut Cx, links: &mut Links, slot: Slot, frame: Bytes) {
    if let Some(link) = links.at_mut(slot) {
        if !link.outbox_mut().members_frame(frame) {
            cx.counters.members_unsent += 1;
        }
        cx.dirty.insert(slot);
    }
}
