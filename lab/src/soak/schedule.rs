//! What happens to the nodes: who leaves and comes back, who is attacked, where the network is cut.

use std::time::{Duration, Instant};

use vouchsafe_cli::demo::world::Directory;

use super::attacks;
use super::gauge;
use super::run::Soak;
use super::world::Place;

/// Attacks at once.
const ATTACKS: usize = 4;

/// For how long newcomers' words may wait after a flood of new keys: all links relay it, and README's limits say so.
const CROWD: Duration = Duration::from_secs(91);

/// Of the nodes that come back as they were, one in so many has lost its disk.
const DISKS: usize = 6;
/// For how long a node without a record of its positions says nothing: until all it may have said is over.
const MUTE: Duration = Duration::from_secs(95);

impl Soak {
    pub(super) fn schedule(&mut self, end: Instant) {
        let now = Instant::now();
        self.come_back();
        let done: Vec<_> = (0..self.attacks.len()).rev().filter(|at| self.attacks[*at].1 <= now).collect();
        for at in done {
            let (number, ..) = self.attacks.swap_remove(at);
            self.ended(number, now);
        }
        if self.sides.as_ref().is_some_and(|(_, until)| *until <= now) {
            self.heal();
        }
        let second = self.second(now);
        if gauge::lulls(self.whole)
            .is_some_and(|lulls| lulls.iter().any(|(from, to)| (*from..*to).contains(&second)))
        {
            self.calm(now);
            return;
        }
        if now >= self.next_churn {
            self.next_churn = now + self.between(2, 12);
            self.leaves(now);
        }
        if now >= self.next_attack && self.attacks.len() < ATTACKS {
            self.next_attack = now + self.between(2, 10);
            self.attack(now.min(end), end);
        }
        self.end_troubles(now, false);
        if now >= self.next_trouble && !self.troubles.is_empty() {
            self.next_trouble = now + self.between(2, 8);
            self.trouble(now);
        }
        if now >= self.next_cut && self.sides.is_none() {
            self.next_cut = now + self.between(30, 90);
            self.cut(now);
        }
    }

    /// Ends all attacks, partitions and troubles.
    pub(super) fn calm(&mut self, now: Instant) {
        self.heal();
        self.end_troubles(now, true);
        while let Some((at, _, tasks)) = self.attacks.pop() {
            drop(tasks);
            self.ended(at, now);
        }
    }

    /// Seconds, at least and at most.
    pub(super) fn between(&mut self, least: usize, most: usize) -> Duration {
        Duration::from_millis((least * 1000 + self.dice.below((most - least) * 1000)) as u64)
    }

    pub(super) fn attack(&mut self, now: Instant, end: Instant) {
        let up: Vec<_> = self.places.iter().filter(|place| place.life.is_some()).map(Place::peer).collect();
        let Some(rules) =
            self.places.iter().find_map(|place| Some(place.life.as_ref()?.topic.rules().clone()))
        else {
            return;
        };
        let mut attack = attacks::chosen(&mut self.dice);
        let until = now + self.between(10, 40);
        // Nothing that is said then is owed, so a soak that ends sooner has none.
        while attacks::is_crowd(attack) && until + CROWD > end {
            attack = attacks::chosen(&mut self.dice);
        }
        if attacks::is_crowd(attack) {
            self.crowded_until = self.crowded_until.max(until + CROWD);
            self.promises.excuse_unheard();
        }
        let tasks = attacks::start(attack, &Directory::new(up, Vec::new(), rules), &mut self.dice);
        let from = self.second(now);
        self.seen.attacks.push((attack.name(), from, f64::MAX));
        self.attacks.push((self.seen.attacks.len() - 1, until, tasks));
    }

    pub(super) fn ended(&mut self, attack: usize, now: Instant) {
        let at = self.second(now);
        if let Some((.., end)) = self.seen.attacks.get_mut(attack) {
            *end = at;
        }
    }

    pub(super) fn cut(&mut self, now: Instant) {
        let smaller = 1 + self.dice.below(self.nodes / 2);
        let away = self.dice.some_of(self.nodes, smaller, None);
        let sides: Vec<bool> = (0..self.nodes).map(|slot| away.contains(&slot)).collect();
        let addrs = self.places.iter().zip(&sides).map(|(place, side)| (place.addr, *side)).collect();
        self.ground.cut.begin(addrs);
        let until = now + self.between(5, 25);
        self.sides = Some((sides, until));
        let from = self.second(now);
        self.seen.cuts.push((from, f64::MAX));
    }

    pub(super) fn heal(&mut self) {
        if self.sides.take().is_some() {
            self.ground.cut.heal();
            self.healed = Instant::now();
            let at = self.second(self.healed);
            if let Some((_, end)) = self.seen.cuts.last_mut() {
                *end = at;
            }
        }
    }

    /// A node leaves, if most are there.
    pub(super) fn leaves(&mut self, now: Instant) {
        let away = self.places.iter().filter(|place| place.life.is_none()).count();
        let slot = self.dice.below(self.nodes);
        let (crash, reborn) = (self.dice.below(2) == 0, self.dice.below(3) == 0);
        let pause = self.between(1, 15);
        let place = &mut self.places[slot];
        if away * 4 >= self.nodes || place.moving {
            return;
        }
        let Some(life) = place.life.take() else { return };
        place.moving = true;
        place.back_at = Some(now + pause);
        place.number = None;
        self.set_right(slot, now);
        let place = &mut self.places[slot];
        if reborn {
            self.lives += 1;
            let old = place.key.public();
            place.reborn(slot, self.lives, &self.folder);
            self.ground.forget(old, self.places.iter().filter_map(|place| place.life.as_ref()));
            self.seen.reborn += 1;
            self.confirmed.lost(slot);
        } else {
            let lost = self.dice.below(DISKS) == 0;
            let place = &mut self.places[slot];
            // What was in memory is gone in any case.
            place.loses_disk = lost || !place.has_disk();
        }
        *(if crash { &mut self.seen.crashed } else { &mut self.seen.left }) += 1;
        self.promises.ended(slot, self.places[slot].has_disk() && !reborn);
        self.forget_links(slot);
        self.ground.end(slot, life, crash);
    }

    pub(super) fn come_back(&mut self) {
        let now = Instant::now();
        for slot in 0..self.nodes {
            let place = &self.places[slot];
            if place.life.is_none() && !place.moving && place.back_at.is_none_or(|at| at <= now) {
                self.comes(slot);
            }
        }
    }

    pub(super) fn comes(&mut self, slot: usize) {
        let newcomer = self.places[slot].newcomer;
        let mut peers = Vec::new();
        let mut others = Vec::new();
        for (one, other) in &self.planned {
            match slot {
                _ if *one == slot => peers.push(self.places[*other].peer()),
                _ if *other == slot && newcomer => peers.push(self.places[*one].peer()),
                _ if *other == slot => others.push(self.places[*one].peer()),
                _ => {}
            }
        }
        self.lives += 1;
        let place = &mut self.places[slot];
        let loses = std::mem::take(&mut place.loses_disk);
        if loses {
            // It is down by now.
            place.lose_disk();
            self.promises.ended(slot, false);
            self.confirmed.lost(slot);
            self.seen.lost_disks += u64::from(place.has_disk());
        }
        place.moving = true;
        place.back_at = None;
        place.number = Some(self.lives);
        place.began = Instant::now();
        // A new life has no trouble of the last one, and is told what is recent.
        (place.hears_from, place.speaks_from) = (self.started, place.began);
        if loses && place.has_disk() {
            // It does not know which positions it has used.
            place.speaks_from += MUTE;
        }
        place.alone_since = place.began;
        self.promises.is_honest(place.key.public(), slot);
        if let Ok(mut honest) = self.ground.honest.write() {
            honest.insert(place.key.public());
        }
        self.ground.begin(slot, self.lives, place, peers, others);
    }
}
