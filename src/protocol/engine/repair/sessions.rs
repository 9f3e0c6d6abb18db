//! Sessions: links are asked what they have, and what we lack of it is claimed.

use std::time::Duration;

use crate::protocol::Mono;
use crate::protocol::engine::Engine;
use crate::protocol::keeping::{Found, LaterThan, Query, StoreTrouble};
use crate::protocol::limits::RELAY_PAST;
use crate::protocol::links::Sender;
use crate::protocol::linkset::Slot;
use crate::protocol::repair::Cost;
use crate::protocol::repair::LookFor;
use crate::protocol::repair::asker::Due;
use crate::protocol::repair::gaps::Claimed;
use crate::protocol::repair::missing::Missing;
use crate::protocol::repair::moments;
use crate::protocol::repair::session::{Look, Outcome, Session, Why};
use crate::protocol::timers::Timer;
use crate::rumor::{Position, TickLen, TopicId};
use crate::wire::{self, Bound, Head, Tell};

/// What is compared was said at least so long ago: by then it is everywhere, if it is to come by itself.
const COMPARED_BACK: Duration = Duration::from_secs(60);
/// The same of a topic of state, in which nothing but comparing finds what was lost. Not sooner: clocks may be 30 s apart, and a moment
/// that has not come by the clock of one who writes has another set at each node. (With 20 s, a fifth of the sessions between nodes that
/// had heard the same differed.)
const STATE_COMPARED_BACK: Duration = Duration::from_secs(40);
/// How long an answer may take: three times a round trip with so much for the work, within bounds. (Guess.)
const ANSWER_MARGIN: Duration = Duration::from_millis(50);
const SHORTEST_ANSWER: Duration = Duration::from_secs(1);
const LONGEST_ANSWER: Duration = Duration::from_secs(5);
/// After so long a moment may be none any more for a peer: a session that has not ended by then ends.
const MOMENT_LASTS: Duration = Duration::from_secs(105);

impl Engine {
    /// Asks links of a topic as far as places are free: sessions whose turn it is still, then new ones, then those that wait.
    pub(super) fn ask_around(&mut self, topic: TopicId) {
        loop {
            let waiting = self.next_waiting(&topic, true);
            if let Some(slot) = waiting {
                self.ask_on(topic, slot);
            } else if !self.begin_session(topic) {
                let Some(slot) = self.next_waiting(&topic, false) else { return };
                self.ask_on(topic, slot);
            }
        }
    }

    /// The session that has waited longest for a place, of those that are in their turn or of the others.
    fn next_waiting(&self, topic: &TopicId, in_turn: bool) -> Option<Slot> {
        let now = self.cx.now.mono;
        let turns = self.asker.topic(topic)?.turns();
        let waiting = self.asker.sessions_of(topic).filter_map(|(slot, session)| {
            let (since, has_turn) = session.waits()?;
            let free = !self.asker.is_asking(slot) && turns.is_free(session.why(), now);
            (free && has_turn == in_turn).then_some((since, slot))
        });
        waiting.min().map(|(_, slot)| slot)
    }

    /// Begins a session with the link whose turn it is. False if nobody's turn it is, or there is no place.
    fn begin_session(&mut self, topic: TopicId) -> bool {
        let now = self.cx.now;
        if !self.asker.has_room_for_session() {
            return false;
        }
        let asking = self.asker.asking();
        let Some(asked) = self.asker.topic_mut(&topic) else { return false };
        let begins = asked.turns_mut().begins(|slot| !asking.contains(slot), &mut self.cx.random, now.mono);
        let Some((slot, why, hinted)) = begins else { return false };
        let floor = asked.turns().floor(slot);
        asked.gaps_mut().asks_anew(slot);
        let Some((kept, server)) = self.repair.serving(&topic) else { return false };
        let is_state = kept.rules().kind().is_state();
        let back = if is_state { STATE_COMPARED_BACK } else { COMPARED_BACK };
        let as_of = moments::latest(kept.rules().tick_len(), now.unix_ms, back);
        // A floor that leaves nothing may have been said in error, or be a lie that its teller is sorry for.
        let low = kept.low().max(Some(floor).filter(|floor| *floor < as_of).unwrap_or(0)).max(hinted);
        if low >= as_of {
            // There is nothing to compare. It may have more when its floor, or ours, is not so high.
            self.session_is_over(topic, slot, Outcome { no: Some(LONGEST_ANSWER), ..Outcome::default() });
            return true;
        }
        // What asking costs us comes out of what answering may.
        server.computes(now.mono, Cost { items: kept.book().slice_cost(as_of), ranges: 1, look_ups: 0 });
        let slice = kept.book_mut().slice(as_of);
        let range = slice.ask(Bound::start_of(low), Bound::start_of(as_of));
        let number = self.asker.number();
        let session = Session::new(number, topic, why, as_of, range, &mut self.cx.random, now.mono);
        self.cx.counters.sessions += 1;
        if let Some((other, waited)) = self.asker.begin_session(topic, slot, session) {
            if let Some((session, _)) = self.asker.session_mut(&other, waited) {
                session.is_cut();
            }
            self.finish_session(other, waited);
        }
        self.ask_on(topic, slot);
        true
    }

    /// Asks what a session asks next. It has a place.
    fn ask_on(&mut self, topic: TopicId, slot: Slot) {
        let now = self.cx.now;
        let tick_len = self.tick_len(&topic);
        let Some(rtt) = self.links.at(slot).map(|link| link.rtt()) else { return };
        let patience =
            rtt.saturating_add(ANSWER_MARGIN).saturating_mul(3).clamp(SHORTEST_ANSWER, LONGEST_ANSWER);
        let Some((session, asked)) = self.asker.session_mut(&topic, slot) else { return };
        let over = tick_len.start_of(session.as_of()).saturating_add(millis(MOMENT_LASTS)) < now.unix_ms;
        let next = if over { None } else { session.ask(patience, &mut self.cx.random, now.mono) };
        let Some((ask, deadline)) = next else {
            session.is_cut();
            return self.finish_session(topic, slot);
        };
        let (why, number) = (session.why(), session.number());
        let sent = self.links.at_mut(slot).is_some_and(|link| link.outbox_mut().history(wire::ask(&ask)));
        if !sent {
            // It does not read what we asked it before.
            session.is_cut();
            return self.finish_session(topic, slot);
        }
        asked.turns_mut().takes_place(slot, why);
        self.asker.asks(slot);
        self.cx.dirty.insert(slot);
        self.cx.counters.asks += 1;
        self.cx.timers.set(deadline, Timer::AnswerOverdue { topic, slot, number });
    }

    /// A link answers.
    pub(in crate::protocol::engine) fn on_tell(&mut self, sender: Sender, tell: &Tell, bytes: usize) {
        let (now, topic, slot) = (self.cx.now, tell.topic, sender.slot);
        let waits = self.asker.session(&topic, slot);
        if !waits.is_some_and(|session| session.is_asking() && session.number() == tell.session) {
            self.cx.counters.unasked_history += 1;
            return;
        }
        let Some((kept, server)) = self.repair.serving(&topic) else { return };
        let latest = kept.rules().tick_len().tick_at(now.unix_ms.saturating_sub(millis(RELAY_PAST)));
        let Some((session, asked)) = self.asker.session_mut(&topic, slot) else { return };
        let items = kept.book().slice_cost(session.as_of());
        let slice = kept.book_mut().slice(session.as_of());
        let hashed = session.asked_items(&slice);
        server.computes(now.mono, Cost { items: items.saturating_add(hashed), ranges: 0, look_ups: 0 });
        asked.turns_mut().gives_place(slot);
        let heads = session.told(tell, bytes, latest, &slice, &mut self.cx.random, now.mono);
        if tell.floor <= latest {
            asked.turns_mut().tells_floor(slot, tell.floor);
        }
        self.asker.is_answered(slot);
        self.asker.stir_all();
        if let Ok(heads) = heads {
            let unknown = self.unknown_heads(topic, slot, heads);
            if let Some((session, _)) = self.asker.session_mut(&topic, slot) {
                session.looks(unknown, now.mono);
            }
        }
        self.session_moves(topic, slot);
    }

    /// Of listed heads those that the store is asked about, each with whether we hold a later head of its author: not those of the
    /// convicted, not what is not admitted, too old, too new or was refused, and not what we have.
    fn unknown_heads(&mut self, topic: TopicId, slot: Slot, heads: Vec<Head>) -> Vec<(Head, bool)> {
        let now = self.cx.now.mono;
        let Some(as_of) = self.asker.session(&topic, slot).map(Session::as_of) else { return Vec::new() };
        let mut unknown = Vec::new();
        for head in heads {
            if self.evidence.is_convicted(&head.author) {
                self.remind_of_conviction(slot, &head.author);
                continue;
            }
            let (Some(kept), Some(asked)) = (self.repair.topic(&topic), self.asker.topic(&topic)) else {
                break;
            };
            let missing = Missing::of_head(&head);
            let refused = head.tick < kept.low()
                || head.tick >= as_of
                || !self.cx.admits(kept.rules(), &head.author)
                || asked.refused().has(&missing, now);
            if !refused && !kept.book().has(&head) {
                // A topic of state has no chain: of its past there are no more bundles than keys.
                let last = kept.book().of_author(&head.author).next_back();
                let last = last.filter(|_| !kept.rules().kind().is_state());
                unknown.push((head, last.is_some_and(|(last, _)| last > missing.position())));
            }
        }
        unknown
    }

    /// Moves a session on as far as it goes by itself.
    fn session_moves(&mut self, topic: TopicId, slot: Slot) {
        let now = self.cx.now.mono;
        let Some((session, asked)) = self.asker.session_mut(&topic, slot) else { return };
        let number = session.number();
        if let Some(look) = session.next_look() {
            return self.session_looks(topic, slot, number, look);
        }
        let mut new = 0;
        let claim = |head: Head, below: bool| {
            let claimed = asked.gaps_mut().claim(Missing::of_head(&head), slot, below, now);
            new += u64::from(claimed == Claimed::New);
            claimed
        };
        session.claims(claim, now);
        self.cx.counters.claims += new;
        if let Some(at) = session.stuck_at() {
            self.set_due(topic, Due::Turn, Some(at));
        }
        self.asker.stir(topic);
        if self.asker.session(&topic, slot).is_some_and(|session| session.ended().is_some()) {
            self.finish_session(topic, slot);
        }
    }

    fn session_looks(&mut self, topic: TopicId, slot: Slot, number: u32, look: Look) {
        let before = self.relay_window_begins(&topic);
        let place = |head: &Head| Missing::of_head(head).place();
        let query = match look {
            Look::Held(heads) => Query::Held { topic, at: heads.iter().map(place).collect() },
            Look::Later(heads) => {
                let at = |head: &Head| LaterThan {
                    author: head.author,
                    position: Position { tick: head.tick, slot: head.slot },
                    before,
                };
                Query::Later { topic, at: heads.iter().map(at).collect() }
            }
        };
        if !self.looks_up(LookFor::Session { topic, slot, number }, query) {
            self.on_session_looked(topic, slot, number, &Err(StoreTrouble::NotOpen));
        }
    }

    pub(super) fn on_session_looked(
        &mut self,
        topic: TopicId,
        slot: Slot,
        number: u32,
        found: &Result<Found, StoreTrouble>,
    ) {
        let now = self.cx.now.mono;
        let Some((session, _)) = self.asker.session_mut(&topic, slot) else { return };
        if session.number() != number {
            return;
        }
        let next = match found {
            Ok(Found::Held(held)) => session.looked(held, now),
            Ok(Found::Later(later)) => {
                session.looked_later(later, now);
                None
            }
            _ => {
                session.look_failed();
                None
            }
        };
        match next {
            Some(look) => self.session_looks(topic, slot, number, look),
            None => self.session_moves(topic, slot),
        }
    }

    /// Sessions that wait for free claims make some, or end.
    pub(super) fn claim_more(&mut self, topic: TopicId) {
        let waiting = self.asker.sessions_of(&topic).filter(|(_, session)| session.stuck_at().is_some());
        let slots: Vec<_> = waiting.map(|(slot, _)| slot).collect();
        for slot in slots {
            self.session_moves(topic, slot);
        }
    }

    pub(in crate::protocol::engine) fn on_answer_overdue(&mut self, topic: TopicId, slot: Slot, number: u32) {
        let now = self.cx.now.mono;
        let Some((session, _)) = self.asker.session_mut(&topic, slot) else { return };
        if session.number() == number && session.is_overdue(now) {
            self.asker.is_answered(slot);
            self.finish_session(topic, slot);
        }
    }

    fn finish_session(&mut self, topic: TopicId, slot: Slot) {
        let Some(session) = self.asker.end_session(&topic, slot) else { return };
        let outcome = session.ended().unwrap_or_default();
        if outcome.missed {
            self.asker.brings_mut(slot).missed(self.cx.now.mono);
            self.cx.counters.history_missed += 1;
        }
        self.session_is_over(topic, slot, outcome);
    }

    fn session_is_over(&mut self, topic: TopicId, slot: Slot, outcome: Outcome) {
        let now = self.cx.now.mono;
        let heads = self.repair.topic(&topic).map_or(0, |kept| kept.book().count());
        let is_full = heads >= self.cx.config.history.topic_heads;
        if let Some(asked) = self.asker.topic_mut(&topic) {
            let why = asked.turns_mut().ended(slot, &outcome, is_full, now);
            asked.held_mut().asked(slot, why == Some(Why::Rotation) && outcome.has_asked_all());
        }
        // The link is free for other topics, and the place for other links.
        self.asker.stir_all();
    }

    /// The first tick that is inside the relay window.
    pub(super) fn relay_window_begins(&self, topic: &TopicId) -> u64 {
        let window = self.topics.get(topic);
        window.map_or(u64::MAX, |window| window.first_relayable(self.cx.now))
    }

    pub(super) fn tick_len(&self, topic: &TopicId) -> TickLen {
        self.repair.topic(topic).map_or_else(TickLen::default, |kept| kept.rules().tick_len())
    }

    /// A claim of a link has closed: a session that waits for that goes on.
    pub(super) fn claim_has_closed(&mut self, topic: TopicId, slot: Slot, now: Mono) {
        if let Some((session, _)) = self.asker.session_mut(&topic, slot) {
            session.claim_closed(now);
        }
    }
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
