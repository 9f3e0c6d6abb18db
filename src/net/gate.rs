//! Who may begin a handshake: decided before any cryptography is spent, from the address alone.
//!
//! A first packet may carry a forged source address, so what it claims must cost its victim nothing. Two kinds of address:
//!
//! ```text
//! not proven   a first packet: shares one small budget with all others not proven. Above it: Retry (no state, one round trip)
//! proven       answered a Retry: pays from the budget of its own network group, and is refused when that is empty
//! ```
//!
//! So forgers can cost everybody else one round trip, and nothing more; and one group can't use up the handshakes of another.
//! Nor can it keep them: when all slots are taken, a newcomer gets one of the group that holds most (`half_open`).
//! Pure: no sockets, and `now` is an argument.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::config::{GateConfig, Refusal};
use super::half_open::{HalfOpen, HandshakePermit, Source};
use crate::protocol::NetGroup;

/// Groups that are remembered. 4 096 entries are some 300 kB; a guess at what a botnet must exceed before we forget
/// what one of its groups owes. Without it the table grows with every address that ever called.
pub(crate) const MAX_GROUPS: usize = 4096;

/// What to do with a connection attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a handshake that was let in must be told when it ends"]
pub(crate) enum Admission {
    /// Begin the handshake, end those that [`Gate::next_ended`] names, and call [`Gate::finished`] with this permit when it has
    /// ended, either way.
    Accept(HandshakePermit),
    /// Ask the address to prove that it can receive, and forget it meanwhile.
    Retry,
    /// Refuse, for the reason given.
    Refuse(Refusal),
}

/// How many connection attempts ended early, by reason, since the endpoint began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Refusals {
    /// Refused: as many handshakes are under way as there may be, and none may be ended for this one.
    pub half_open: u64,
    /// Refused: as many of the address's group are under way as there may be.
    pub group_half_open: u64,
    /// Refused: the address's group began too many of late.
    pub group_rate: u64,
    /// Asked to prove their address first. Not a refusal: the honest come back at once.
    pub retries: u64,
    /// Handshakes that failed: wrong protocol, bad key, or the peer left.
    pub failed: u64,
    /// Handshakes that took longer than their deadline: 10 s, and down to 3 s while many are under way.
    pub too_slow: u64,
    /// Handshakes that were ended to make room for one of a group that had fewer.
    pub displaced: u64,
    /// Connections that were ready and that the app didn't take before the deadline.
    pub not_taken: u64,
    /// Connections of the app's own protocols that were closed since as many waited for [`Node::accept_other`](crate::Node::accept_other)
    /// as may.
    pub others_not_taken: u64,
}

/// Tokens that come back with time. Never more than the burst, and no arithmetic that can overflow.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    updated: Instant,
}

impl Bucket {
    fn full(burst: u32, now: Instant) -> Self {
        Self { tokens: f64::from(burst), updated: now }
    }

    fn refill(&mut self, burst: u32, rate: f64, now: Instant) {
        let elapsed = now.saturating_duration_since(self.updated).as_secs_f64();
        self.tokens = (self.tokens + elapsed * rate).min(f64::from(burst));
        self.updated = self.updated.max(now);
    }

    fn pay(&mut self) -> bool {
        let can = self.tokens >= 1.0;
        if can {
            self.tokens -= 1.0;
        }
        can
    }
}

/// The admission of handshakes: ask [`admit`](Self::admit) for each attempt, end what [`next_ended`](Self::next_ended) names,
/// and tell [`shaken`](Self::shaken) and [`finished`](Self::finished) how far an accepted one has come.
#[derive(Debug)]
pub(crate) struct Gate {
    config: GateConfig,
    handshakes: HalfOpen,
    /// Taken out of the table, for the driver to end.
    ended: Vec<HandshakePermit>,
    unproven: Bucket,
    groups: HashMap<NetGroup, Bucket>,
    refusals: Refusals,
}

impl Gate {
    /// A gate with nobody in it.
    #[must_use]
    pub(crate) fn new(config: GateConfig, now: Instant) -> Self {
        let unproven = Bucket::full(config.unproven_rate, now);
        Self {
            config,
            handshakes: HalfOpen::default(),
            ended: Vec::new(),
            unproven,
            groups: HashMap::new(),
            refusals: Refusals::default(),
        }
    }

    /// Decides on an attempt from `address`, which is `proven` if it has shown that it receives what we send there. It may end
    /// other handshakes: see [`next_ended`](Self::next_ended).
    pub(crate) fn admit(&mut self, now: Instant, address: IpAddr, proven: bool) -> Admission {
        self.expire(now);
        let admission = self.decide(now, address, proven);
        match admission {
            Admission::Accept(_) => {}
            Admission::Retry => self.refusals.retries += 1,
            Admission::Refuse(Refusal::HalfOpen) => self.refusals.half_open += 1,
            Admission::Refuse(Refusal::GroupHalfOpen) => self.refusals.group_half_open += 1,
            Admission::Refuse(Refusal::GroupRate) => self.refusals.group_rate += 1,
        }
        admission
    }

    fn decide(&mut self, now: Instant, address: IpAddr, proven: bool) -> Admission {
        let source = self.source(address, proven);
        // Nothing here reads or charges the group of an address that may be forged to harm it.
        if source == Source::Unproven && !self.has_calm(now) {
            return Admission::Retry;
        }
        let displaced = match self.handshakes.room(now, source, &self.config) {
            Ok(displaced) => displaced,
            Err(refusal) => return Admission::Refuse(refusal),
        };
        if let Source::Group(group) = source
            && !self.pays(now, group)
        {
            return Admission::Refuse(Refusal::GroupRate);
        }
        if let Some(displaced) = displaced {
            self.refusals.displaced += 1;
            self.handshakes.remove(displaced);
            self.ended.push(displaced);
        }
        Admission::Accept(self.handshakes.begin(now, source))
    }

    /// Who an attempt counts for.
    fn source(&self, address: IpAddr, proven: bool) -> Source {
        let group = NetGroup::of(address);
        if !proven {
            Source::Unproven
        } else if group == NetGroup::Local && !self.config.limit_local {
            Source::Local(address)
        } else {
            Source::Group(group)
        }
    }

    /// Whether so little goes on that nobody has to prove an address; if so, one more has not.
    fn has_calm(&mut self, now: Instant) -> bool {
        self.unproven.refill(self.config.unproven_rate, f64::from(self.config.unproven_rate), now);
        self.handshakes.len() < self.config.retry_from && self.unproven.pay()
    }

    fn pays(&mut self, now: Instant, group: NetGroup) -> bool {
        self.make_room(now, group);
        let (burst, rate) = self.group_budget();
        let bucket = self.groups.entry(group).or_insert_with(|| Bucket::full(burst, now));
        bucket.refill(burst, rate, now);
        bucket.pay()
    }

    fn expire(&mut self, now: Instant) {
        let late = self.handshakes.expire(now, &self.config);
        self.refusals.too_slow += late.len() as u64;
        self.ended.extend(late);
    }

    /// The next handshake that the gate has ended, for another to have its slot or because its time was over. The driver drops
    /// it; giving its permit back changes nothing.
    pub(crate) fn next_ended(&mut self) -> Option<HandshakePermit> {
        self.ended.pop()
    }

    /// The burst of a group and its handshakes per second.
    fn group_budget(&self) -> (u32, f64) {
        (self.config.burst_per_group, f64::from(self.config.per_minute_per_group) / 60.0)
    }

    /// The handshake has succeeded, and the connection waits for the application. It keeps its slot until it is
    /// [`finished`](Self::finished), and nobody displaces it: the peer has done its part.
    pub(crate) fn shaken(&mut self, permit: HandshakePermit) {
        self.handshakes.finish(permit);
    }

    /// Gives back the permit of a handshake that has ended, or whose connection was taken.
    pub(crate) fn finished(&mut self, permit: HandshakePermit) {
        self.handshakes.remove(permit);
    }

    /// How many links at once `group` may have dialled, if there is a limit.
    #[must_use]
    pub(crate) fn links_of(&self, group: NetGroup) -> Option<u32> {
        let limited = group != NetGroup::Local || self.config.limit_local;
        limited.then_some(self.config.links_per_group)
    }

    /// Handshakes under way.
    #[cfg(test)]
    pub(crate) fn half_open(&self) -> u32 {
        self.handshakes.len()
    }

    /// What was refused so far.
    #[must_use]
    pub(crate) fn refusals(&self) -> Refusals {
        self.refusals
    }

    /// The counters that the endpoint keeps here for what ends after admission.
    pub(crate) fn refusals_mut(&mut self) -> &mut Refusals {
        &mut self.refusals
    }

    /// Keeps the table at its cap. First go the groups that owe nothing, which changes no decision; then the one heard
    /// of longest ago, whose debt we forgive: it takes over 4 096 proven groups at once to get there. A group with a handshake
    /// under way stays, and there are at most `half_open` of those.
    fn make_room(&mut self, now: Instant, newcomer: NetGroup) {
        if self.groups.len() < MAX_GROUPS || self.groups.contains_key(&newcomer) {
            return;
        }
        let (burst, rate) = self.group_budget();
        let recovery = Duration::try_from_secs_f64(f64::from(burst) / rate).unwrap_or(Duration::MAX);
        let busy: HashSet<Source> = self.handshakes.sources().collect();
        let is_busy = |group: &NetGroup| busy.contains(&Source::Group(*group));
        self.groups.retain(|group, bucket| {
            is_busy(group) || now.saturating_duration_since(bucket.updated) < recovery
        });
        if self.groups.len() < MAX_GROUPS {
            return;
        }
        let idle = self.groups.iter().filter(|(group, _)| !is_busy(group));
        if let Some((oldest, _)) = idle.min_by_key(|(_, bucket)| bucket.updated) {
            let oldest = *oldest;
            self.groups.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRANGER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 9));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 9));
    const LOCAL: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn gate(config: GateConfig) -> (Gate, Instant) {
        let now = Instant::now();
        (Gate::new(config, now), now)
    }

    fn accepted(admission: Admission) -> HandshakePermit {
        match admission {
            Admission::Accept(permit) => permit,
            other => panic!("expected to be accepted: {other:?}"),
        }
    }

    /// A proven peer connects and leaves until it is refused.
    fn churn(gate: &mut Gate, now: Instant, address: IpAddr, tries: u32) -> u32 {
        let mut through = 0;
        for _ in 0..tries {
            if let Admission::Accept(permit) = gate.admit(now, address, true) {
                through += 1;
                gate.finished(permit);
            }
        }
        through
    }

    #[test]
    fn handshake_flood_is_bounded() {
        let (mut gate, now) = gate(GateConfig::default());
        assert_eq!(churn(&mut gate, now, STRANGER, 1000), 32, "the burst and no more");
        assert_eq!(gate.refusals().group_rate, 968);
        assert_eq!(churn(&mut gate, now + Duration::from_secs(5), STRANGER, 1000), 10, "two a second");
        assert_eq!(churn(&mut gate, now, OTHER, 10), 10, "another group is not affected");
    }

    #[test]
    fn handshakes_that_never_end_are_bounded_in_all_and_per_group() {
        let (mut gate, now) = gate(GateConfig::default());
        let first = accepted(gate.admit(now, STRANGER, true));
        for _ in 1..16 {
            let _ = accepted(gate.admit(now, STRANGER, true));
        }
        assert_eq!(gate.admit(now, STRANGER, true), Admission::Refuse(Refusal::GroupHalfOpen));
        for group in 0..48u8 {
            let _ = accepted(gate.admit(now, IpAddr::from([11, 0, group, 1]), true));
        }
        assert_eq!(gate.half_open(), 64);
        let _ = accepted(gate.admit(now, OTHER, true));
        assert_eq!(
            (gate.half_open(), gate.next_ended()),
            (64, Some(first)),
            "the oldest of the fullest group"
        );
        assert_eq!(gate.refusals().displaced, 1);
    }

    #[test]
    fn forged_addresses_cost_their_victim_nothing() {
        let (mut gate, now) = gate(GateConfig::default());
        let mut occupied = 0;
        for _ in 0..10_000 {
            if let Admission::Accept(_) = gate.admit(now, STRANGER, false) {
                occupied += 1;
            }
        }
        assert_eq!(occupied, 16, "forgers occupy what is below the retry limit");
        let _ = accepted(gate.admit(now, STRANGER, true));
        assert_eq!(churn(&mut gate, now, STRANGER, 100), 31, "the victim's own budget is whole");
    }

    #[test]
    fn no_address_has_to_be_proven_at_low_load() {
        let (mut gate, mut now) = gate(GateConfig::default());
        for _ in 0..100 {
            let permit = accepted(gate.admit(now, STRANGER, false));
            gate.finished(permit);
            now += Duration::from_millis(100);
        }
        assert_eq!(gate.refusals(), Refusals::default());
    }

    #[test]
    fn our_own_network_is_limited_only_when_asked() {
        let (mut open, now) = gate(GateConfig::default());
        assert_eq!(churn(&mut open, now, LOCAL, 1000), 1000);
        let (mut strict, now) = gate(GateConfig { limit_local: true, ..GateConfig::default() });
        assert_eq!(churn(&mut strict, now, LOCAL, 1000), 32);
    }

    #[test]
    fn the_table_of_groups_is_bounded_and_forgets_the_recovered_first() {
        let (mut gate, now) = gate(GateConfig::default());
        churn(&mut gate, now, STRANGER, 100);
        let later = now + Duration::from_secs(15);
        for group in 0..MAX_GROUPS - 1 {
            let [high, low] = (group as u16).to_be_bytes();
            assert_eq!(churn(&mut gate, later, IpAddr::from([11, high, low, 1]), 1), 1);
        }
        assert_eq!(gate.groups.len(), MAX_GROUPS);
        // At 16 s the stranger has recovered and the others have not: it goes.
        assert_eq!(churn(&mut gate, now + Duration::from_secs(16), OTHER, 1), 1);
        assert!(!gate.groups.contains_key(&NetGroup::of(STRANGER)));
        assert_eq!(gate.groups.len(), MAX_GROUPS);
        // Nobody has recovered: the oldest goes, but never one with a handshake under way.
        let held = IpAddr::from([11, 0, 0, 1]);
        let _ = accepted(gate.admit(later, held, true));
        churn(&mut gate, now + Duration::from_secs(17), IpAddr::from([12, 0, 0, 1]), 1);
        assert_eq!(gate.groups.len(), MAX_GROUPS);
        assert!(gate.groups.contains_key(&NetGroup::of(held)));
    }

    #[test]
    fn gate_that_admits_no_handshake_is_refused() {
        GateConfig::default().check().unwrap();
        let bad = GateConfig { burst_per_group: 0, ..GateConfig::default() };
        assert_eq!(bad.check().unwrap_err().field, "burst_per_group");
    }

    #[test]
    fn a_clock_that_steps_back_grants_nothing() {
        let (mut gate, now) = gate(GateConfig::default());
        let later = now + Duration::from_secs(100);
        churn(&mut gate, later, STRANGER, 100);
        assert_eq!(churn(&mut gate, now, STRANGER, 10), 0);
        assert_eq!(churn(&mut gate, later, STRANGER, 10), 0);
    }
}
