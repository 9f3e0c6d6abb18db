//! Who is here: the members of the network, and whether they live, without believing anybody about anybody else.
//!
//! ```text
//!   records (a topic of state) ──> table ──> lives ──> events
//!                                    ^         ^
//!   pulses of links ──> pulses ──────┴─────────┘ ──> spread ──> links
//!                          asks ──> links            answers <── links
//!   own: beacon, chain, pulses, leave        fitness: may this node judge?
//! ```
//!
//! A member's **beacon** is a record under its own key that commits to the end of a chain of hashes. Each **pulse** reveals the next value
//! of that chain, so one hash tells that it is the member's own, whoever brings it. A sign of life holds for a **lease** of three and a
//! half periods. Nobody's word about somebody else changes a state.

mod answers;
mod asks;
mod explain;
mod fitness;
mod hearing;
mod life;
mod own;
mod pace;
mod passing;
mod period;
mod pulses;
mod reach;
mod spread;
mod table;
#[cfg(test)]
mod tests;
mod told;
mod turn;
mod view;

use core::net::SocketAddr;
use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;

use self::answers::Answers;
use self::asks::Asks;
pub use self::explain::{ExplainError, Explanation};
use self::fitness::Fitness;
pub use self::life::MemberState;
use self::own::Own;
use self::pace::Pace;
use self::pulses::Pulses;
use self::reach::Reach;
use self::spread::Spread;
use self::table::Table;
use self::told::Told;
pub use self::view::{Member, MemberLink};
use crate::key::PublicKey;
use crate::protocol::context::Cx;
use crate::protocol::linkset::LinkSet;
use crate::protocol::member_event::MemberEvent;
use crate::protocol::{Action, LinkId, Mono, Now};
use crate::rumor::TopicId;

/// The one key of the topic of members.
const RECORD_KEY: &[u8] = b"b";
/// When a question waits for its asker's budget, it is looked at again after this.
const ANSWER_AGAIN: Duration = Duration::from_millis(250);

/// What a node says of itself as a member.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct MemberSetup {
    /// Where others can dial it, at most three addresses; none if nowhere.
    pub addresses: Vec<SocketAddr>,
    /// What its application says, at most 512 bytes.
    pub metadata: Bytes,
    /// It only looks: it knows who is here, and says nothing of itself.
    pub observes: bool,
    /// Among how many members it takes itself to be until it knows better. For simulations of networks that have been there for long.
    pub(crate) among: usize,
}

impl MemberSetup {
    /// Of a node that can be dialled there, and says this.
    #[must_use]
    pub fn new(addresses: impl IntoIterator<Item = SocketAddr>, metadata: impl Into<Bytes>) -> Self {
        Self {
            addresses: addresses.into_iter().collect(),
            metadata: metadata.into(),
            observes: false,
            among: 0,
        }
    }
}

/// See the [module](self).
#[derive(Debug)]
pub(in crate::protocol) struct Members {
    topic: TopicId,
    me: PublicKey,
    /// Among how many members it takes itself to be before its first word.
    among: usize,
    table: Table,
    own: Own,
    pulses: Pulses,
    spread: Spread,
    pace: Pace,
    asks: Asks,
    answers: Answers,
    fitness: Fitness,
    told: Told,
    reach: Reach,
    /// Links that have brought a sign of life of somebody else, before others did.
    bringers: LinkSet,
    /// When one last did.
    brought: Option<Mono>,
    /// Links to members that have failed though they were up.
    stalled: Vec<LinkId>,
    /// When lives are looked at: each member once.
    due: BTreeSet<(Mono, PublicKey)>,
    next_cycle: Mono,
    next_pull: Mono,
    /// What this node said last is not the newest that is known under its key: an earlier life, or this one before its clock was set back,
    /// has spoken at a later tick. Others take nothing older, so it is said again when that is past.
    outranked: bool,
    /// Links call this node's clock wrong.
    clock_is_wrong: bool,
    /// Something came in that may have made work.
    stirred: bool,
    /// When the timer comes.
    alarm: Option<Mono>,
}

impl Members {
    /// `boot_ms` is greater than that of each earlier life.
    pub(in crate::protocol) fn new(
        topic: TopicId,
        me: PublicKey,
        boot_ms: u64,
        setup: MemberSetup,
        now: Mono,
    ) -> Self {
        Self {
            topic,
            me,
            among: setup.among,
            table: Table::of(me),
            own: Own::new(me, boot_ms, setup, now),
            pulses: Pulses::default(),
            spread: Spread::default(),
            pace: Pace::default(),
            asks: Asks::default(),
            answers: Answers::default(),
            fitness: Fitness::new(now),
            told: Told::default(),
            reach: Reach::default(),
            bringers: LinkSet::EMPTY,
            brought: None,
            stalled: Vec::new(),
            due: BTreeSet::new(),
            next_cycle: now,
            next_pull: now,
            outranked: false,
            clock_is_wrong: false,
            stirred: true,
            alarm: None,
        }
    }

    pub(in crate::protocol) const fn topic(&self) -> TopicId {
        self.topic
    }

    /// It says something else of itself.
    pub(in crate::protocol) fn describe(&mut self, metadata: Bytes, now: Mono) {
        self.stirred = true;
        self.own.describe(metadata, now);
    }

    /// It can be dialled elsewhere.
    pub(in crate::protocol) fn advertise(&mut self, addresses: Vec<SocketAddr>, now: Mono) {
        self.stirred = true;
        self.own.advertise(addresses, now);
    }

    /// It leaves.
    pub(in crate::protocol) fn leave(&mut self, now: Mono) {
        self.stirred = true;
        self.own.leave(now);
    }

    pub(in crate::protocol) const fn is_leaving(&self) -> bool {
        self.own.is_leaving()
    }

    /// Whether it has left: its last word is said, or there is nobody to say it to.
    pub(in crate::protocol) fn has_left(&self) -> bool {
        self.own.is_leaving() && (self.own.is_said() || !self.may_say())
    }

    /// Whether something may be said of this node itself. Without a link nobody can tell whether its clock is right, and a record of a time to
    /// come would be the newest until then, to this node alone. One that waits for a wrong clock to be set would not fit its time.
    fn may_say(&self) -> bool {
        self.asks.has_links() && !self.clock_is_wrong
    }

    /// Members that are here, this node among them.
    pub(in crate::protocol) fn here(&self) -> usize {
        let is_shown = || self.table.get(&self.me).is_some_and(|entry| entry.state().is_here());
        self.table.here().saturating_add(usize::from(self.own.is_unsaid() && !is_shown()))
    }

    /// What this node would state as its period: by its own table. (What a peer says of the size of the network could be anything.)
    fn would_state(&self, renewals_per_s: u32) -> u16 {
        period::stated(self.table.here().max(1), renewals_per_s)
    }

    fn would(&self, cx: &Cx) -> u16 {
        self.would_state(cx.config.members.renewals_per_s)
    }

    fn own_period(&self, cx: &Cx) -> Duration {
        self.own.period().unwrap_or_else(|| Duration::from_secs(self.would(cx).into()))
    }

    /// The driver came so much later than it was to, or the clocks went apart.
    pub(in crate::protocol) fn is_late(&mut self, by: Duration, now: Mono) {
        self.fitness.is_late(by, now);
    }

    pub(in crate::protocol) const fn was_away(&mut self) {
        self.fitness.was_away();
    }

    /// Whether links call this node's clock wrong: by one that is every lease would end, or no pulse would be of its time.
    pub(in crate::protocol) const fn clock_is(&mut self, wrong: bool) {
        self.stirred |= wrong != self.clock_is_wrong;
        self.clock_is_wrong = wrong;
        if wrong {
            self.fitness.was_away();
        }
    }

    /// A member's life is looked at then, or before. Ours never is: we are here.
    fn look_at(&mut self, key: &PublicKey, at: Mono) {
        let Some(entry) = self.table.get_mut(key).filter(|_| *key != self.me) else { return };
        if entry.due().is_some_and(|due| due <= at) {
            return;
        }
        if let Some(before) = entry.is_due(Some(at)) {
            self.due.remove(&(before, *key));
        }
        self.due.insert((at, *key));
    }

    /// All are looked at now: by one of two clocks leases may have ended meanwhile.
    pub(in crate::protocol) fn looks_at_all(&mut self, now: Mono) {
        let keys: Vec<_> = self.keys().collect();
        keys.iter().for_each(|key| self.look_at(key, now));
        self.stirred = true;
    }

    /// A member that is no longer remembered is nowhere waited for.
    fn forgets(&mut self, cx: &mut Cx, key: &PublicKey) {
        let Some(gone) = self.table.forget(key) else { return };
        if let Some(due) = gone.due() {
            self.due.remove(&(due, *key));
        }
        self.asks.wants_no_more(key);
        self.spread.forget(key);
        self.told.forget(key);
        self.reach.forget(key);
        cx.counters.records_unspread += u64::from(self.pace.forget(key));
    }

    /// The node does not show a member any more, by its own decision.
    pub(in crate::protocol) fn removes(&mut self, cx: &mut Cx, key: &PublicKey) {
        if *key != self.me && self.table.get(key).is_some() {
            self.forgets(cx, key);
            self.stirred = true;
            cx.actions.push_back(Action::Member(MemberEvent::Removed(*key)));
        }
    }

    /// Links that are to be closed: to members that have failed meanwhile.
    pub(in crate::protocol) fn takes_stalled(&mut self) -> Vec<LinkId> {
        std::mem::take(&mut self.stalled)
    }

    /// Records that links did not bring may be asked for at once: more of them are admitted.
    pub(in crate::protocol) fn asks_anew(&mut self) {
        self.stirred = true;
        self.asks.begin_anew();
    }

    /// The keys of all that it knows.
    pub(in crate::protocol) fn keys(&self) -> impl Iterator<Item = PublicKey> {
        self.table.iter().map(table::Entry::key)
    }

    fn period_of(&self, cx: &Cx, key: &PublicKey) -> Duration {
        let would_state = self.would(cx);
        self.table.get(key).map_or(Duration::ZERO, |entry| entry.period(would_state))
    }

    #[cfg(any(test, feature = "sim"))]
    pub(in crate::protocol) fn check(&self, recount: &mut crate::protocol::check::Recount) {
        self.table.check(recount);
        self.pulses.check(recount);
        self.asks.check(recount);
        self.reach.check(recount, |key| self.table.get(key).is_some_and(|entry| entry.state().is_here()));
        self.pace.check(|key| self.table.get(key).map(|entry| entry.bundle().id()), recount);
        let due =
            self.table.iter().filter_map(|entry| Some((entry.due()?, entry.key()))).collect::<BTreeSet<_>>();
        recount.holds(due == self.due, "a member's life is looked at when it is not due, or never");
        let silent = |entry: &&table::Entry| {
            entry.state().is_here() && entry.key() != self.me && entry.due().is_none()
        };
        recount.same("living members that nobody looks at", self.table.iter().filter(silent).count(), 0);
    }
}

/// Since when a live member has certainly given a sign, Unix seconds.
fn since(now: Now, period: Duration) -> u32 {
    let back = period::lease(period).as_secs();
    u32::try_from((now.unix_ms / 1000).saturating_sub(back)).unwrap_or(u32::MAX)
}
