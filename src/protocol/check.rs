//! A recount: every counter of the engine against what it counts, and everything that waits against what it waits for.
//!
//! Tests, the simulator and the fuzzer call it. Production does not: a recount walks all that the engine holds.

use std::fmt::Display;

use super::Config;
use super::engine::Engine;
use super::entry::Stage;
use super::limits::{
    LANE_CREDIT, MAX_BANS, MAX_CONVICTED, MAX_LINKS, MAX_OWED, MAX_WAITING, MAX_WAITING_BYTES_PER_LINK,
    MAX_WAITING_PER_LINK, MAX_WANTS, MAX_WANTS_PER_LINK, PUSH_QUEUE, REPLIES_AND_CANCELLED, WANTS_SHARE,
};
use super::link::Pause;
use super::timers::Timer;
use super::wants::WantId;
use crate::wire::{Lane, MAX_FRAME_LEN, MAX_HEADERS_PER_FRAME};

/// What did not add up.
#[derive(Debug, Default)]
pub(super) struct Recount(Vec<String>);

impl Recount {
    /// A counter must be what it counts.
    pub(super) fn same(&mut self, what: impl Display, kept: usize, counted: usize) {
        if kept != counted {
            self.0.push(format!("{what}: {kept} by the counter, {counted} counted"));
        }
    }

    /// Something must hold.
    pub(super) fn holds(&mut self, holds: bool, what: impl Display) {
        if !holds {
            self.0.push(what.to_string());
        }
    }
}

/// What an engine's gauges may show at most, beside the caps of its configuration. For the tests, the simulator and the fuzzer.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Caps {
    /// Signatures that wait, in all. Each link may add one more frame when its reading is stopped.
    pub waiting: usize,
    /// Signatures of one link that wait: one more frame was read when its reading was stopped, of
    /// headers at the most.
    pub waiting_of_link: usize,
    /// Bytes of bodies that wait with them, likewise.
    pub waiting_bytes: usize,
    /// Wanted ids in all, and the share of each link beyond them.
    pub wants: usize,
    /// Wanted ids that one link has announced.
    pub wanted_from: usize,
    /// Pulls that one link owes.
    pub owed_pulls: usize,
    /// Bytes that one link has queued: own and relayed pushes, replies, what is with the transport, and one frame that was
    /// let in when each was almost full.
    pub queued: usize,
    /// Keys in the list of bans.
    pub bans: usize,
    /// Authors in the book of evidence.
    pub convictions: usize,
}

impl Default for Caps {
    fn default() -> Self {
        Self {
            waiting: MAX_WAITING + MAX_HEADERS_PER_FRAME * MAX_LINKS,
            waiting_of_link: MAX_WAITING_PER_LINK + MAX_HEADERS_PER_FRAME,
            waiting_bytes: MAX_WAITING_BYTES_PER_LINK + MAX_FRAME_LEN,
            wants: MAX_WANTS + WANTS_SHARE * MAX_LINKS,
            wanted_from: MAX_WANTS_PER_LINK,
            owed_pulls: MAX_OWED,
            queued: 2 * PUSH_QUEUE + REPLIES_AND_CANCELLED + Lane::COUNT * (LANE_CREDIT + 2 * MAX_FRAME_LEN),
            bans: MAX_BANS,
            convictions: MAX_CONVICTED,
        }
    }
}

impl Engine {
    /// The first gauge that is above its cap, in a sentence.
    #[doc(hidden)]
    pub fn exceeds(&self, caps: &Caps, config: &Config) -> Option<String> {
        let stats = self.stats();
        let inbound = stats.links.iter().filter(|link| !link.dialled).count();
        let mut gauges = vec![
            ("links", stats.links.len(), config.links.max.min(MAX_LINKS)),
            ("inbound links", inbound, config.links.inbound),
            ("signatures waiting", stats.waiting_verification, caps.waiting),
            ("wanted ids", stats.wants, caps.wants),
            ("banned keys", self.standing.len(), caps.bans),
            ("convicted authors", self.book.len(), caps.convictions),
        ];
        for topic in &stats.topics {
            gauges.push(("bytes of bodies", topic.body_bytes, config.topics.bytes));
            gauges.push(("index entries", topic.bundles, config.topics.bundles));
        }
        for link in &stats.links {
            gauges.extend([
                ("bytes queued for a link", link.queued_bytes, caps.queued),
                ("bytes waiting for a verdict", link.waiting_bytes, caps.waiting_bytes),
                ("pulls owed by a link", link.owed_pulls, caps.owed_pulls),
                ("ids wanted from a link", link.wanted_from, caps.wanted_from),
                ("signatures of a link waiting", link.waiting_verification, caps.waiting_of_link),
            ]);
        }
        let over = gauges.into_iter().find(|(_, value, cap)| value > cap);
        over.map(|(what, value, cap)| format!("{what}: {value}, where at most {cap} may be"))
    }

    /// Recounts everything, and looks for what waits for nothing: such a thing would wait for ever. Gives one sentence for each
    /// fault. Ask after [`Engine::poll`] has given `None`.
    #[doc(hidden)]
    pub fn check(&self) -> Vec<String> {
        let mut recount = Recount::default();
        self.links.check(&mut recount);
        self.check_wants(&mut recount);
        self.verifying.check(&mut recount);
        self.check_pauses(&mut recount);
        self.topics.values().for_each(|window| window.check(&mut recount));
        self.left.windows().for_each(|window| window.check(&mut recount));
        self.questions.check(&mut recount);
        self.desk.check(self.now.mono, &mut recount);
        self.book.check(&mut recount);
        self.standing.check(&mut recount);
        recount.holds(self.actions.is_empty(), "actions wait to be polled");
        recount.0
    }

    /// What an engine still has or waits for, with one sentence for each: empty some seconds after the last thing was said,
    /// with links that work and nobody who lies.
    #[doc(hidden)]
    pub fn check_at_rest(&self) -> Vec<String> {
        let mut recount = Recount::default();
        recount.same("wanted ids", self.wants.len(), 0);
        recount.same("signatures waiting", self.verifying.total(), 0);
        recount.same("signatures under way", self.verifying.under_way(), 0);
        recount.same("bundles with the validators", self.questions.len(), 0);
        recount.holds(self.desk.is_idle(), "a publish request waits");
        for link in self.links.iter() {
            let peer = link.peer.short();
            recount.holds(link.live && !link.closing, format_args!("the link to {peer} is not live"));
            recount.holds(!link.is_reading_paused(), format_args!("{peer} is not read"));
            recount.same(format_args!("bytes queued for {peer}"), link.outbox.queued_bytes(), 0);
            recount.same(format_args!("pulls owed by {peer}"), link.service.owed, 0);
            recount.same(format_args!("ids wanted from {peer}"), link.wanted_from, 0);
        }
        // Those of the cycles, and what a link or a topic may have at once.
        let most = 8 + 4 * self.links.len() + 4 * self.topics.len();
        recount.holds(
            self.timers.len() <= most,
            format_args!("{} timers run, where {most} may", self.timers.len()),
        );
        recount.0
    }

    /// Timers that run, whether they still mean something or not.
    #[doc(hidden)]
    pub fn timers(&self) -> usize {
        self.timers.len()
    }

    /// About how much a recount walks through, so that callers can recount less often where it is much.
    #[doc(hidden)]
    pub fn weight(&self) -> usize {
        let entries =
            self.topics.values().chain(self.left.windows()).map(|window| window.len()).sum::<usize>();
        entries + self.wants.len() + self.verifying.total() + self.timers.len() + self.book.len()
    }

    /// What links are listed for and owe, by the wants; and that each want has somebody or something to wait for.
    fn check_wants(&self, recount: &mut Recount) {
        self.wants.check(recount);
        let bills = self.wants.bills();
        for link in self.links.iter() {
            let (listed, owed, bytes) = bills.get(&link.slot).copied().unwrap_or_default();
            let peer = link.peer.short();
            recount.same(format_args!("ids wanted from {peer}"), link.wanted_from, listed);
            recount.same(format_args!("pulls owed by {peer}"), link.service.owed, owed);
            recount.same(format_args!("bytes owed by {peer}"), link.service.owed_bytes, bytes);
        }
        for (wanted, want) in self.wants.iter() {
            recount.holds(
                self.topics.contains_key(&wanted.0),
                format_args!("an id of a topic that was left is wanted"),
            );
            let moves = want.under_way() > 0 || want.is_starved() || want.rests_until > self.now.mono;
            recount.holds(
                moves || self.is_being_judged(wanted),
                format_args!("a wanted id is asked of nobody and waits for nothing: {want:?}"),
            );
        }
    }

    fn is_being_judged(&self, (topic, id): &WantId) -> bool {
        let entry = self.topics.get(topic).and_then(|window| window.entry(id));
        entry.is_some_and(|entry| !matches!(entry.stage, Stage::Fetching))
    }

    /// A link that is not read must be read again some time.
    fn check_pauses(&self, recount: &mut Recount) {
        for link in self.links.iter().filter(|link| !link.closing) {
            let peer = link.peer.short();
            let judged = !link.is_paused(Pause::Verification) || self.verifying.is_busy();
            recount.holds(judged, format_args!("{peer} is not read, and no verdict is awaited"));
            let refills = || self.timers.iter().any(|timer| *timer == Timer::BudgetRefilled(link.id));
            recount.holds(
                !link.is_paused(Pause::Budget) || refills(),
                format_args!("{peer} is not read, and no timer will read it again"),
            );
        }
    }
}
