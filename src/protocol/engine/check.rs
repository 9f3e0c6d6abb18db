//! A recount: every counter of the engine against what it counts, and everything that waits against what it waits for.
//!
//! Tests, the simulator and the fuzzer call it. Production does not: a recount walks all that the engine holds.

use crate::protocol::Config;
use crate::protocol::engine::Engine;
use crate::protocol::limits::{MAX_GUEST_LINKS, MAX_LINKS, MAX_WAITING_PER_LINK};
use crate::protocol::links::Pause;
use crate::protocol::timers::Timer;
use crate::protocol::timers::WantId;

use crate::protocol::check::{Caps, Recount};
use crate::wire::{Lane, MAX_BUNDLES_PER_FRAME};

impl Engine {
    /// The first gauge that is above its cap, in a sentence.
    #[doc(hidden)]
    pub fn exceeds(&self, caps: &Caps, config: &Config) -> Option<String> {
        let stats = self.stats();
        let guests = self.guests.len();
        let inbound = stats.links.iter().filter(|link| !link.dialled).count().saturating_sub(guests);
        let mut gauges = vec![
            ("links", stats.links.len().saturating_sub(guests), config.links.max.min(MAX_LINKS)),
            ("inbound links", inbound, config.links.inbound),
            ("links of guests", guests, MAX_GUEST_LINKS),
            ("signatures waiting", stats.waiting_verification, caps.waiting),
            ("wanted ids", stats.wants, caps.wants),
            ("banned keys", self.bans.len(), caps.bans),
            ("convicted authors", self.evidence.len(), caps.convictions),
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
        self.guests.check(&mut recount, |link| self.links.slot_of(link).is_some());
        self.check_wants(&mut recount);
        let queues = [&self.verifying, &self.late_verifying, &self.system_verifying];
        queues.iter().for_each(|queue| queue.check(&mut recount));
        let idle = queues.iter().all(|queue| queue.under_way() == 0);
        let waits = queues.iter().any(|queue| queue.total() > 0);
        recount.holds(!(idle && waits), "signatures wait and none is being verified");
        self.asker.check(&mut recount);
        self.check_pauses(&mut recount);
        self.topics.values().for_each(|window| window.check(&mut recount));
        self.left.windows().for_each(|window| window.check(&mut recount));
        self.questions.check(&mut recount);
        self.publisher.check(self.cx.now.mono, &mut recount);
        self.evidence.check(&mut recount);
        self.members.iter().for_each(|members| members.check(&mut recount));
        self.bans.check(&mut recount);
        self.check_admission(&mut recount);
        self.check_owned(&mut recount);
        self.repair.check(&self.cx.config.history, &mut recount);
        recount.holds(self.cx.actions.is_empty(), "actions wait to be polled");
        recount.complaints()
    }

    /// What an engine still has or waits for, with one sentence for each: empty some seconds after the last thing was said,
    /// with links that work and nobody who lies.
    #[doc(hidden)]
    pub fn check_at_rest(&self) -> Vec<String> {
        let mut recount = Recount::default();
        recount.same("wanted ids", self.wants.len(), 0);
        recount.same("signatures waiting", self.verifying.total(), 0);
        recount.same("signatures under way", self.verifying.under_way(), 0);
        let of_members = self.system_verifying.total() + self.system_verifying.under_way();
        recount.same("signatures of members", of_members, 0);
        recount.same("late signatures", self.late_verifying.total() + self.late_verifying.under_way(), 0);
        recount.same("bundles with the validators", self.questions.len(), 0);
        recount.holds(self.publisher.is_idle(), "a publish request waits");
        for link in self.links.iter() {
            let peer = link.peer().short();
            recount.holds(link.is_open(), format_args!("the link to {peer} is not live"));
            let read = Lane::ALL.iter().all(|lane| !link.is_paused_on(*lane));
            recount.holds(read, format_args!("{peer} is not read"));
            recount.same(format_args!("bytes queued for {peer}"), link.outbox().queued_bytes(), 0);
            recount.same(format_args!("pulls owed by {peer}"), link.service().owed(), 0);
            recount.same(format_args!("ids wanted from {peer}"), link.wanted_from(), 0);
        }
        // Those of the cycles, and what a link or a topic may have at once.
        let most = 8 + 4 * self.links.len() + 4 * self.topics.len();
        recount.holds(
            self.cx.timers.len() <= most,
            format_args!("{} timers run, where {most} may", self.cx.timers.len()),
        );
        recount.complaints()
    }

    /// Timers that run, whether they still mean something or not.
    #[doc(hidden)]
    pub fn timers(&self) -> usize {
        self.cx.timers.len()
    }

    /// About how much a recount walks through, so that callers can recount less often where it is much.
    #[doc(hidden)]
    pub fn weight(&self) -> usize {
        let entries =
            self.topics.values().chain(self.left.windows()).map(|window| window.len()).sum::<usize>();
        let others = self.wants.len()
            + self.verifying.total()
            + self.system_verifying.total()
            + self.cx.timers.len()
            + self.evidence.len();
        entries + others + self.repair.weight() + self.asker.weight()
    }

    /// What links are listed for and owe, by the wants; and that each want has somebody or something to wait for.
    fn check_wants(&self, recount: &mut Recount) {
        self.wants.check(recount);
        let bills = self.wants.bills();
        for link in self.links.iter() {
            let (listed, owed, bytes) = bills.get(&link.slot()).copied().unwrap_or_default();
            let peer = link.peer().short();
            recount.same(format_args!("ids wanted from {peer}"), link.wanted_from(), listed);
            recount.same(format_args!("pulls owed by {peer}"), link.service().owed(), owed);
            recount.same(format_args!("bytes owed by {peer}"), link.service().owed_bytes(), bytes);
        }
        for (wanted, want) in self.wants.iter() {
            recount.holds(
                self.topics.contains_key(&wanted.0),
                format_args!("an id of a topic that was left is wanted"),
            );
            let moves = want.under_way() > 0 || want.is_starved() || want.rests(self.cx.now.mono);
            recount.holds(
                moves || self.is_being_judged(wanted),
                format_args!("a wanted id is asked of nobody and waits for nothing: {want:?}"),
            );
        }
    }

    fn is_being_judged(&self, (topic, id): &WantId) -> bool {
        let entry = self.topics.get(topic).and_then(|window| window.entry(id));
        entry.is_some_and(|entry| !entry.is_fetching())
    }

    /// A link that is not read must be read again some time.
    fn check_pauses(&self, recount: &mut Recount) {
        for link in self.links.iter().filter(|link| !link.is_closing()) {
            let peer = link.peer().short();
            let judged = !link.is_paused(Pause::Verification) || self.verifying.is_busy();
            let system = !link.is_paused(Pause::SystemVerification) || self.system_verifying.is_busy();
            let late = !link.is_paused(Pause::History) || self.late_verifying.is_busy();
            recount.holds(
                judged && system && late,
                format_args!("{peer} is not read, and no verdict is awaited"),
            );
            let most = MAX_WAITING_PER_LINK + MAX_BUNDLES_PER_FRAME;
            let waiting = self.system_verifying.waiting_of(link.id());
            recount.holds(waiting <= most, format_args!("{waiting} signatures of members wait of {peer}"));
            let id = link.id();
            for (why, refilled) in [
                (Pause::Budget, Timer::BudgetRefilled(id)),
                (Pause::System, Timer::SystemRefilled(id)),
                (Pause::Refusals, Timer::RefusalsOver(id)),
            ] {
                let refills = || self.cx.timers.iter().any(|timer| *timer == refilled);
                recount.holds(
                    !link.is_paused(why) || refills(),
                    format_args!("{peer} is not read, and no timer will read it again"),
                );
            }
        }
    }
}
