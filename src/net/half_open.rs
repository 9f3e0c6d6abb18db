//! The table of handshakes under way: who gets a slot in it, and who has to give one up.
//!
//! ```text
//! slots are free       the newcomer takes one
//! all are taken        the source that holds most gives up its oldest one, unless that is the newcomer's own source:
//!                      a slot is kept for 1 s against neighbours, and for no time at all against others
//! ```
//!
//! So of k sources that never finish each keeps about 1/k of the slots, and an honest handshake, which is over after a round
//! trip or two, is never among those that hold most. Pure: `now` is an argument.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::config::{GateConfig, HANDSHAKE_DEADLINE, Refusal};
use crate::protocol::NetGroup;

/// Time for a handshake while the table is full: a lost packet of the first flight is repeated after 1 s, and the next after
/// 2 s more. With a longer one, handshakes that never end hold nearly full tables; with a shorter one a single lost
/// packet ends an honest handshake. Between an empty and a full table the time shrinks in proportion.
pub(super) const SHORTEST_DEADLINE: Duration = Duration::from_secs(3);

/// Time for which a handshake keeps its slot against newcomers of its own source. A guess: four round trips of a slow line. Without
/// it a crowd of one source, all dialling at once, would end each other's handshakes and none would ever finish.
pub(super) const FAIR_CHANCE: Duration = Duration::from_secs(1);

/// A handshake under way, to be given back once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "a permit that is never given back takes one slot for ever"]
pub(crate) struct HandshakePermit(u64);

/// Who a handshake counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Source {
    /// Everybody whose address may be forged.
    Unproven,
    /// A network group.
    Group(NetGroup),
    /// One address of our own machine or network: there, addresses are not for sale by the thousand.
    Local(IpAddr),
}

#[derive(Debug)]
struct Handshake {
    permit: HandshakePermit,
    source: Source,
    began: Instant,
    /// The peer has done its part, and the connection waits for the application.
    finished: bool,
}

/// Handshakes under way, oldest first. At most [`GateConfig::half_open`], so walks through it are short.
#[derive(Debug, Default)]
pub(super) struct HalfOpen {
    handshakes: Vec<Handshake>,
    next: u64,
}

impl HalfOpen {
    pub(super) fn len(&self) -> u32 {
        u32::try_from(self.handshakes.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn sources(&self) -> impl Iterator<Item = Source> {
        self.handshakes.iter().map(|handshake| handshake.source)
    }

    /// Which handshake has to end before one of `source` may begin; `None` if there is room.
    pub(super) fn room(
        &self,
        now: Instant,
        source: Source,
        config: &GateConfig,
    ) -> Result<Option<HandshakePermit>, Refusal> {
        let of_group = self.sources().filter(|other| *other == source).count();
        if matches!(source, Source::Group(_)) && of_group >= config.half_open_per_group as usize {
            return self.after_fair_chance(now, source).map(Some).ok_or(Refusal::GroupHalfOpen);
        }
        if self.len() < config.half_open {
            return Ok(None);
        }
        self.of_the_fullest(source)
            .or_else(|| self.after_fair_chance(now, source))
            .map(Some)
            .ok_or(Refusal::HalfOpen)
    }

    pub(super) fn begin(&mut self, now: Instant, source: Source) -> HandshakePermit {
        let permit = HandshakePermit(self.next);
        self.next += 1;
        self.handshakes.push(Handshake { permit, source, began: now, finished: false });
        permit
    }

    /// The peer has done its part: nobody takes this slot away any more.
    pub(super) fn finish(&mut self, permit: HandshakePermit) {
        if let Some(handshake) = self.handshakes.iter_mut().find(|handshake| handshake.permit == permit) {
            handshake.finished = true;
        }
    }

    pub(super) fn remove(&mut self, permit: HandshakePermit) {
        self.handshakes.retain(|handshake| handshake.permit != permit);
    }

    /// Takes out the handshakes that have had their time: 10 s while fewer than `retry_from` are under way, and less the
    /// fuller the table is.
    pub(super) fn expire(&mut self, now: Instant, config: &GateConfig) -> Vec<HandshakePermit> {
        let allowed = allowed(self.len(), config);
        let late = |handshake: &Handshake| {
            !handshake.finished && now.saturating_duration_since(handshake.began) >= allowed
        };
        self.handshakes
            .extract_if(.., |handshake| late(handshake))
            .map(|handshake| handshake.permit)
            .collect()
    }

    /// The oldest handshake of the source that holds most slots, if that is more than `newcomer` holds.
    fn of_the_fullest(&self, newcomer: Source) -> Option<HandshakePermit> {
        let mut held: HashMap<Source, usize> = HashMap::new();
        for handshake in self.unfinished() {
            *held.entry(handshake.source).or_default() += 1;
        }
        let most = held.values().copied().max().unwrap_or(0);
        if held.get(&newcomer).copied().unwrap_or(0) >= most {
            return None;
        }
        let fullest = |handshake: &&Handshake| held.get(&handshake.source) == Some(&most);
        self.unfinished().find(fullest).map(|handshake| handshake.permit)
    }

    /// The oldest handshake of `source`, once it has had a fair chance.
    fn after_fair_chance(&self, now: Instant, source: Source) -> Option<HandshakePermit> {
        let oldest = self.unfinished().find(|handshake| handshake.source == source)?;
        let had = now.saturating_duration_since(oldest.began) >= FAIR_CHANCE;
        had.then_some(oldest.permit)
    }

    fn unfinished(&self) -> impl Iterator<Item = &Handshake> {
        self.handshakes.iter().filter(|handshake| !handshake.finished)
    }
}

/// Time for a handshake while so many are under way.
fn allowed(under_way: u32, config: &GateConfig) -> Duration {
    let calm = config.retry_from.min(config.half_open);
    let span = (config.half_open - calm).max(1);
    let crowded = under_way.saturating_sub(calm).min(span);
    let spared = HANDSHAKE_DEADLINE.saturating_sub(SHORTEST_DEADLINE);
    HANDSHAKE_DEADLINE.saturating_sub(spared.mul_f64(f64::from(crowded) / f64::from(span)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadline_shrinks_as_the_table_fills() {
        let config = GateConfig::default();
        assert_eq!(allowed(0, &config), HANDSHAKE_DEADLINE);
        assert_eq!(allowed(config.retry_from, &config), HANDSHAKE_DEADLINE);
        let half = allowed((config.retry_from + config.half_open) / 2, &config);
        assert_eq!(half, (HANDSHAKE_DEADLINE + SHORTEST_DEADLINE) / 2);
        assert_eq!(allowed(config.half_open, &config), SHORTEST_DEADLINE);
        let odd = GateConfig { half_open: 4, retry_from: 9, ..config };
        assert_eq!(allowed(4, &odd), HANDSHAKE_DEADLINE, "nothing is divided by zero");
    }

    #[test]
    fn crowd_of_one_source_does_not_end_its_own_handshakes_at_once() {
        let (config, now) = (GateConfig::default(), Instant::now());
        let home = Source::Local(IpAddr::from([192, 168, 1, 1]));
        let mut table = HalfOpen::default();
        let first = table.begin(now, home);
        for _ in 1..config.half_open {
            let _ = table.begin(now, home);
        }
        assert_eq!(table.room(now, home, &config), Err(Refusal::HalfOpen));
        assert_eq!(table.room(now + FAIR_CHANCE, home, &config), Ok(Some(first)));
        let other = Source::Local(IpAddr::from([192, 168, 1, 2]));
        assert_eq!(table.room(now, other, &config), Ok(Some(first)), "another source does not wait");
    }

    #[test]
    fn what_waits_for_the_application_gives_up_no_slot() {
        let (config, now) = (GateConfig::default(), Instant::now());
        let source = |number| Source::Local(IpAddr::from([127, 0, 0, number]));
        let mut table = HalfOpen::default();
        let all: Vec<_> = (0..config.half_open).map(|_| table.begin(now, source(1))).collect();
        all.iter().for_each(|permit| table.finish(*permit));
        let later = now + HANDSHAKE_DEADLINE;
        assert_eq!(table.room(later, source(2), &config), Err(Refusal::HalfOpen));
        assert!(table.expire(later, &config).is_empty());
    }
}
