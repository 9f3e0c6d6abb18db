//! What goes wrong with one node for a while, with nobody to blame: its clock, its disk, its validator, the topic that it
//! leaves, a peer that it keeps and that will not have it. Afterwards the node must hear and be heard again.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use vouchsafe::net::{BareListener, BarePeer};
use vouchsafe::rumor::RuleSet;
use vouchsafe::wire::{self, Hello, Lane};
use vouchsafe::{PeerAddr, Reason, SecretKey};
use vouchsafe_cli::demo::liars::target::clock_ms;
use vouchsafe_cli::demo::plan::Dice;

use super::run::Soak;

/// One node in so many may be in trouble at once.
const ONE_IN: usize = 5;
/// Dials that one kept peer may get in the longest trouble: pauses double from 0.2 to 30 s, so a minute has room for nine.
const MOST_DIALS: u64 = 16;
/// How often a record that takes its time looks whether its trouble is over.
const LOOK: Duration = Duration::from_millis(20);
/// A node that is in trouble hears and speaks from then on, for all we ask of it.
const FAR: Duration = Duration::from_secs(1 << 24);

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The wall clock jumps by 2 to 30 s, and back.
    Seconds,
    /// By 1 to 12 hours.
    Hours,
    /// By 1 to 30 days.
    Days,
    /// A record takes 1 to 30 s.
    SlowDisk,
    /// Records fail.
    FullDisk,
    /// Validators think for 5 to 500 ms.
    SlowValidators,
    /// The node leaves the topic and joins it again.
    LeavesTopic,
    /// It keeps a peer that refuses every link.
    Refused,
    /// It keeps a peer that closes every link after the hello.
    HungUp,
    /// It keeps a peer that never says hello.
    Unanswered,
}

impl Trouble {
    pub(super) const ALL: [Self; 10] = [
        Self::Seconds,
        Self::Hours,
        Self::Days,
        Self::SlowDisk,
        Self::FullDisk,
        Self::SlowValidators,
        Self::LeavesTopic,
        Self::Refused,
        Self::HungUp,
        Self::Unanswered,
    ];

    /// Groups of them, as `--troubles` names them.
    pub(super) const GROUPS: [&str; 5] = ["clock", "disk", "validators", "topic", "peers"];

    pub(super) const fn group(self) -> &'static str {
        match self {
            Self::Seconds | Self::Hours | Self::Days => "clock",
            Self::SlowDisk | Self::FullDisk => "disk",
            Self::SlowValidators => "validators",
            Self::LeavesTopic => "topic",
            Self::Refused | Self::HungUp | Self::Unanswered => "peers",
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Seconds => "clock off by seconds",
            Self::Hours => "clock off by hours",
            Self::Days => "clock off by days",
            Self::SlowDisk => "slow records",
            Self::FullDisk => "failing records",
            Self::SlowValidators => "slow validators",
            Self::LeavesTopic => "leaves and joins its topic",
            Self::Refused => "keeps a peer that refuses",
            Self::HungUp => "keeps a peer that hangs up",
            Self::Unanswered => "keeps a peer without hello",
        }
    }

    /// Whether the node neither hears nor is heard meanwhile.
    const fn deafens(self) -> bool {
        matches!(self.group().as_bytes(), b"clock" | b"validators" | b"topic")
    }

    /// Whether the node may not answer a publish meanwhile.
    const fn silences(self) -> bool {
        !matches!(self.group().as_bytes(), b"peers")
    }
}

/// `all`, `none`, or groups with commas between them.
pub(super) fn troubles(text: &str) -> Result<Vec<Trouble>, String> {
    let groups: Vec<&str> = match text {
        "all" => Trouble::GROUPS.to_vec(),
        "none" => Vec::new(),
        list => list.split(',').collect(),
    };
    match groups.iter().find(|group| !Trouble::GROUPS.contains(group)) {
        Some(group) => Err(format!("{group} is none of: all, none, {}", Trouble::GROUPS.join(", "))),
        None => Ok(Trouble::ALL.into_iter().filter(|trouble| groups.contains(&trouble.group())).collect()),
    }
}

/// What a life looks at that can go wrong.
#[derive(Debug, Default)]
pub(super) struct Switches {
    ahead_ms: AtomicI64,
    record_ms: AtomicU64,
    record_fails: AtomicBool,
    validator_ms: AtomicU64,
}

impl Switches {
    /// The node's wall clock.
    pub(super) fn unix_ms(&self) -> u64 {
        clock_ms().saturating_add_signed(self.ahead_ms.load(Ordering::Relaxed))
    }

    /// What the disk does before a record.
    pub(super) fn before_record(&self) -> io::Result<()> {
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(self.record_ms.load(Ordering::Relaxed)) {
            std::thread::sleep(LOOK);
        }
        match self.record_fails.load(Ordering::Relaxed) {
            true => Err(io::Error::other("no room, says the soak")),
            false => Ok(()),
        }
    }

    /// For how long a validator thinks now.
    pub(super) fn thinks(&self) -> Duration {
        Duration::from_millis(self.validator_ms.load(Ordering::Relaxed))
    }

    /// Lets this go wrong.
    fn turn(&self, kind: Trouble, dice: &mut Dice) {
        let mut seconds = |least: usize, most: usize| {
            let millis = 1_000 * (least + dice.below(most - least)) as i64;
            if dice.below(2) == 0 { millis } else { -millis }
        };
        match kind {
            Trouble::Seconds => self.ahead_ms.store(seconds(2, 30), Ordering::Relaxed),
            Trouble::Hours => self.ahead_ms.store(seconds(3_600, 12 * 3_600), Ordering::Relaxed),
            Trouble::Days => self.ahead_ms.store(seconds(86_400, 30 * 86_400), Ordering::Relaxed),
            Trouble::SlowDisk => self.record_ms.store(1_000 + dice.below(29_000) as u64, Ordering::Relaxed),
            Trouble::FullDisk => self.record_fails.store(true, Ordering::Relaxed),
            Trouble::SlowValidators => self.validator_ms.store(5 + dice.below(495) as u64, Ordering::Relaxed),
            // Not of the node's own making.
            Trouble::LeavesTopic | Trouble::Refused | Trouble::HungUp | Trouble::Unanswered => {}
        }
    }

    pub(super) fn set_right(&self) {
        self.ahead_ms.store(0, Ordering::Relaxed);
        self.record_ms.store(0, Ordering::Relaxed);
        self.record_fails.store(false, Ordering::Relaxed);
        self.validator_ms.store(0, Ordering::Relaxed);
    }
}

/// A trouble under way at a node.
pub(super) struct UnderWay {
    pub(super) kind: Trouble,
    /// Which of all that there were.
    pub(super) number: usize,
    /// Ends then, unless something else ends it.
    pub(super) until: Instant,
    /// The peer that will not have the node.
    pub(super) peer: Option<BadPeer>,
}

/// A peer that is dialled for nothing.
pub(super) struct BadPeer {
    pub(super) addr: PeerAddr,
    dials: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for BadPeer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl BadPeer {
    fn start(kind: Trouble, rules: RuleSet) -> Option<Self> {
        let key = SecretKey::generate();
        let listener = BarePeer::listen(&key, (Ipv4Addr::LOCALHOST, 0).into()).ok()?;
        let addr = PeerAddr::new(key.public(), listener.local_addr().ok()?);
        let dials = Arc::new(AtomicU64::new(0));
        let task = tokio::spawn(accept(kind, listener, rules, Arc::clone(&dials)));
        Some(Self { addr, dials, task })
    }
}

async fn accept(kind: Trouble, listener: BareListener, rules: RuleSet, dials: Arc<AtomicU64>) {
    while let Some(link) = listener.accept().await {
        dials.fetch_add(1, Ordering::Relaxed);
        let rules = rules.clone();
        // Beside the next dial: the node may not wait for us.
        tokio::spawn(async move {
            match kind {
                Trouble::HungUp => hang_up(link, &rules).await,
                Trouble::Unanswered => drop(link.closed().await),
                _ => link.close(Reason::Full.code(), b"full"),
            }
        });
    }
}

async fn hang_up(mut link: BarePeer, rules: &RuleSet) {
    for lane in Lane::ALL {
        if link.open_lane(lane).await.is_err() {
            return;
        }
    }
    let topics = vec![*rules.id().as_bytes()];
    let hello =
        Hello { network: *rules.network().as_bytes(), clock_ms: clock_ms(), topics, ..Hello::default() };
    let _ = link.send_frame(Lane::Control, &wire::hello(&hello)).await;
    link.recv_frame().await;
    link.close(0, b"");
}

impl Soak {
    /// Something goes wrong with a node that is well, if most are.
    pub(super) fn trouble(&mut self, now: Instant) {
        let unwell =
            self.places.iter().filter(|place| place.trouble.is_some() || place.speaks_from > now).count();
        let kind = self.troubles.get(self.dice.below(self.troubles.len())).copied();
        let slot = self.dice.below(self.nodes);
        let (lasts, keeps) = (self.between(5, 25), self.between(20, 60));
        let place = &self.places[slot];
        let Some((kind, life)) = kind.zip(place.life.as_ref()) else { return };
        let well = place.trouble.is_none() && place.speaks_from <= now;
        if unwell * ONE_IN >= self.nodes || !well || (kind == Trouble::SlowValidators && !life.validates) {
            return;
        }
        let (mut until, mut peer) = (now + lasts, None);
        match kind.group() {
            "topic" => {
                let away = Duration::from_millis(100 + self.dice.below(4_900) as u64);
                // It ends when the topic is joined again.
                until = now + FAR;
                self.ground.rejoin(slot, life, away);
            }
            "peers" => {
                until = now + keeps;
                let Some(bad) = BadPeer::start(kind, life.topic.rules().clone()) else { return };
                let (node, addr) = (life.node.clone(), bad.addr.clone());
                tokio::spawn(async move { node.connect(addr).await });
                peer = Some(bad);
            }
            _ => life.switches.turn(kind, &mut self.dice),
        }
        let from = self.second(now);
        self.seen.troubles.push((kind.name(), from, f64::MAX));
        let place = &mut self.places[slot];
        place.trouble = Some(UnderWay { kind, number: self.seen.troubles.len() - 1, until, peer });
        place.speaks_from = if kind.silences() { now + FAR } else { place.speaks_from };
        place.hears_from = if kind.deafens() { now + FAR } else { place.hears_from };
    }

    /// Ends the troubles whose time is over, or all.
    pub(super) fn end_troubles(&mut self, now: Instant, all: bool) {
        for slot in 0..self.nodes {
            let over =
                |trouble: &UnderWay| trouble.until <= now || (all && trouble.kind != Trouble::LeavesTopic);
            if self.places[slot].trouble.as_ref().is_some_and(over) {
                self.set_right(slot, now);
            }
        }
    }

    /// The trouble of a node is over: from now on it has its time to recover.
    pub(super) fn set_right(&mut self, slot: usize, now: Instant) {
        let Some(UnderWay { kind, number, peer, .. }) = self.places[slot].trouble.take() else { return };
        let at = self.second(now);
        if let Some((.., end)) = self.seen.troubles.get_mut(number) {
            *end = at;
        }
        let place = &mut self.places[slot];
        if kind.silences() {
            place.speaks_from = now + self.heal;
        }
        if kind.deafens() {
            // The links that count from then on have to be as old as any.
            place.hears_from = now + self.heal.saturating_sub(self.within);
        }
        if let Some(life) = &place.life {
            life.switches.set_right();
        }
        let Some(peer) = peer else { return };
        let dials = peer.dials.load(Ordering::Relaxed);
        if dials > MOST_DIALS {
            let what = kind.name();
            self.promises.breaks("dials", || format!("node {slot} {what}, and dialled it {dials} times"));
        }
        if let Some(node) = self.places[slot].life.as_ref().map(|life| life.node.clone()) {
            let key = peer.addr.key;
            tokio::spawn(async move { node.stop_dialling(key).await });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn troubles_are_chosen_by_the_names_of_their_groups() {
        assert_eq!(troubles("all").unwrap(), Trouble::ALL);
        assert_eq!(troubles("none").unwrap(), []);
        assert_eq!(
            troubles("disk,topic").unwrap(),
            [Trouble::SlowDisk, Trouble::FullDisk, Trouble::LeavesTopic]
        );
        assert!(troubles("disk,moon").unwrap_err().starts_with("moon is none of: all, none, clock"));
    }

    #[test]
    fn a_life_that_is_set_right_has_the_right_time_and_a_quick_disk() {
        let switches = Switches::default();
        switches.ahead_ms.store(-86_400_000, Ordering::Relaxed);
        switches.record_fails.store(true, Ordering::Relaxed);
        assert!(switches.unix_ms() + 86_000_000 < clock_ms() && switches.before_record().is_err());
        switches.set_right();
        assert!(switches.unix_ms() + 1_000 > clock_ms() && switches.before_record().is_ok());
    }
}
