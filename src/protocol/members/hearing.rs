//! What comes in about members: records, pulses, questions, links.

use std::sync::Arc;
use std::time::Duration;

use super::life::{MemberState, Of, Sign};
use super::table::{Record, Taken, sign_of};
use super::{Members, RECORD_KEY, pulses, since, table};
use crate::key::PublicKey;
use crate::protocol::context::Cx;
use crate::protocol::links::Links;
use crate::protocol::linkset::{LinkSet, Slot};
use crate::protocol::member_event::{FailedWhy, MemberEvent};
use crate::protocol::{Action, Mono};
use crate::rumor::{Bundle, Cell, MemberRecord};
use crate::wire::{self, KeyPrefix, MembersAsk, Pulse, PulsePage};

/// A sign of life tells for so long that links lead somewhere: three of the shortest periods. (In larger networks periods are longer, and as
/// many signs come a second.)
const SIGNS_COUNT_FOR: Duration = Duration::from_secs(15);

impl Members {
    /// A link has come up that relays the topic.
    pub(in crate::protocol) fn link_up(&mut self, cx: &Cx, slot: Slot) {
        self.asks.begins(slot, since(cx.now, self.own_period(cx)));
        self.stirred = true;
    }

    pub(in crate::protocol) fn link_down(&mut self, slot: Slot) {
        self.asks.leaves(slot);
        self.answers.leaves(slot);
        self.pulses.leaves(slot);
        self.spread.leaves(slot);
        self.bringers.remove(slot);
        self.stirred = true;
    }

    /// Whether a link has brought a sign of life of another than its peer, before others did.
    pub(in crate::protocol) fn brings_signs(&self, slot: Slot) -> bool {
        self.bringers.contains(slot)
    }

    /// Whether any has lately.
    pub(in crate::protocol) fn hears_of_others(&self, now: Mono) -> bool {
        self.brought.is_some_and(|at| now.since(at) < SIGNS_COUNT_FOR)
    }

    /// A genuine bundle of the topic, from wherever it came.
    pub(in crate::protocol) fn hears(&mut self, cx: &mut Cx, bundle: &Arc<Bundle>) {
        let Some(record) = record_of(bundle) else {
            cx.counters.members_odd += 1;
            return;
        };
        self.stirred = true;
        let now = cx.now;
        let key = record.author;
        let leaves = matches!(record.says, MemberRecord::Leave { .. });
        if self.table.get(&key).is_none() {
            let (_, gives_way) = self.table.gives_way();
            gives_way.iter().for_each(|gone| self.forgets(cx, gone));
        }
        let taken = self.table.takes(&record, now);
        match taken {
            Taken::Older => return,
            Taken::Full => {
                cx.counters.members_refused += 1;
                return;
            }
            Taken::New | Taken::Newer { .. } => {}
        }
        cx.counters.records_superseded += u64::from(self.pace.supersedes(&key, bundle.id()));
        // Another process under our key is found where it is written (`Engine::check_duplicate_writer`).
        self.outranked |= key == self.me && self.own.spoke_after(record.says.boot_ms());
        // (What we say ourselves tells nothing of whether we hear.)
        if key != self.me {
            self.fitness.hears(now.mono);
        }
        if leaves {
            if self.table.lives(&key, |life| life.leaves(now)) == Some(true) && taken != Taken::New {
                self.tell(cx, MemberEvent::Left(key));
            }
            self.asks.wants_no_more(&key);
            self.looks_no_more(&key);
            return self.look_at(&key, now.mono);
        }
        let would_state = self.would(cx);
        let Some(sign) = sign_of(&record, now.mono) else { return };
        let of = match taken {
            Taken::Newer { renews: false, .. } => Of::Present,
            _ => Of::New,
        };
        let was = self.table.get(&key).map(|entry| entry.state());
        let came = if was == Some(MemberState::Left) {
            self.table.lives(&key, |life| life.comes_back(sign, would_state, now))
        } else {
            self.table.lives(&key, |life| life.hears(sign, of, would_state, now))
        };
        self.tell_record(cx, key, taken, was.filter(|_| came == Some(true)));
        if self.table.get(&key).is_some_and(|entry| entry.state() == MemberState::Unknown) {
            self.asks.wants(key, 1);
        }
        self.look_at(&key, now.mono);
    }

    /// What a record changes, for the application. `was` is what the member was, if it is alive now and was not.
    fn tell_record(&mut self, cx: &mut Cx, key: PublicKey, taken: Taken, was: Option<MemberState>) {
        if matches!(taken, Taken::Newer { boot_set_back: true, .. }) && key != self.me {
            self.tell(cx, MemberEvent::DuplicateIdentity(key));
        }
        match (taken, was) {
            (_, Some(was)) => self.tell_alive(cx, key, was),
            (Taken::Newer { restarts: true, .. }, None) => self.tell(cx, MemberEvent::Restarted(key)),
            (Taken::Newer { updates: true, .. }, None) => self.tell(cx, MemberEvent::Updated(key)),
            _ => {}
        }
    }

    fn tell_alive(&mut self, cx: &mut Cx, key: PublicKey, was: MemberState) {
        let event =
            if was == MemberState::Unknown { MemberEvent::Joined(key) } else { MemberEvent::Returned(key) };
        self.tell(cx, event);
    }

    pub(super) fn tell(&mut self, cx: &mut Cx, event: MemberEvent) {
        if event.member() == Some(&self.me) && !matches!(event, MemberEvent::DuplicateIdentity(_)) {
            return;
        }
        if let Some(event) = self.told.happens(event, cx.now.mono) {
            cx.actions.push_back(Action::Member(event));
        }
    }

    /// An author was convicted by its own signatures.
    pub(in crate::protocol) fn convicts(&mut self, cx: &mut Cx, key: &PublicKey) {
        let now = cx.now;
        if self.table.lives(key, |life| life.is_convicted(now)) == Some(true) {
            self.looks_no_more(key);
            self.tell(cx, MemberEvent::Failed(*key, FailedWhy::Convicted));
        }
    }

    /// Another process says that it is here under our key.
    pub(in crate::protocol) fn finds_double(&mut self, cx: &mut Cx) {
        self.tell(cx, MemberEvent::DuplicateIdentity(self.me));
    }

    /// A link has brought pulses.
    pub(in crate::protocol) fn hears_pulses(
        &mut self,
        cx: &mut Cx,
        links: &mut Links,
        slot: Slot,
        frame: &wire::Pulses,
    ) {
        let (now, would_state) = (cx.now, self.would(cx));
        self.stirred = true;
        let mut costs = Duration::ZERO;
        for pulse in &frame.pulses {
            if pulse.member == KeyPrefix::of(&self.me) && self.own.foresees(pulse) {
                self.tell(cx, MemberEvent::DuplicateIdentity(self.me));
                continue;
            }
            match self.pulses.takes(&self.table, pulse, slot, would_state, now) {
                pulses::Taken::Waits(cost) => costs = costs.saturating_add(cost),
                pulses::Taken::Known => {}
                pulses::Taken::Unknown | pulses::Taken::OfAnother => {
                    self.asks.wants_record(slot, pulse.member, now.mono)
                }
                pulses::Taken::Refused => cx.counters.pulses_refused += 1,
            }
        }
        // Before anything is hashed.
        if let Some(link) = links.at_mut(slot) {
            link.system_mut().charge_cpu(now.mono, costs);
        }
        if frame.page != PulsePage::Pushed {
            self.asks.answered(slot, frame);
        }
    }

    /// A link asks about members.
    pub(in crate::protocol) fn is_asked(&mut self, cx: &mut Cx, slot: Slot, ask: MembersAsk) {
        self.stirred = true;
        if !self.answers.asks(slot, ask) {
            cx.counters.members_unanswered += 1;
        }
    }

    /// Whether a link may bring one bundle more of the topic on the lane of the past.
    pub(in crate::protocol) fn takes_grant(&mut self, slot: Slot) -> bool {
        self.asks.takes_grant(slot)
    }

    /// The publisher has answered about the record that it was given.
    pub(in crate::protocol) fn said(&mut self, published: bool, now: Mono) {
        self.own.said(published, now);
        self.stirred = true;
    }

    /// A member has given a sign of life, which some links know.
    pub(super) fn gives_sign(
        &mut self,
        cx: &mut Cx,
        key: PublicKey,
        (sign, of): (Sign, Of),
        pulse: Pulse,
        told: LinkSet,
    ) {
        let now = cx.now;
        let period = self.period_of(cx, &key);
        let was = self.table.get(&key).map(|entry| entry.state());
        let would_state = self.would(cx);
        let came = self.table.lives(&key, |life| life.hears(sign, of, would_state, now));
        if let (Some(true), Some(was)) = (came, was) {
            self.tell_alive(cx, key, was);
            self.look_at(&key, now.mono);
        }
        self.asks.wants_no_more(&key);
        self.fitness.hears(now.mono);
        let passes = |entry: &mut table::Entry| {
            entry.state() == MemberState::Alive && entry.is_passed_on(period, now.mono)
        };
        if self.table.get_mut(&key).is_some_and(passes) {
            self.spread.begins(key, of == Of::Present, pulse, told);
        }
    }
}

/// The record that a bundle of the topic is, if it is one.
pub(super) fn record_of(bundle: &Arc<Bundle>) -> Option<Record> {
    let header = bundle.header();
    let mut rumors = bundle.rumors();
    let rumor = rumors.next().filter(|_| header.count == 1)?;
    let cell = Cell::decode(rumor.body()).ok()?;
    let value = cell.value().filter(|_| cell.key() == RECORD_KEY)?;
    let says = MemberRecord::decode(value).ok()?;
    says.fits(header.position()).ok()?;
    Some(Record { author: header.author, position: header.position(), says, bundle: Arc::clone(bundle) })
}
