//! What is seen of the nodes: deliveries, events and books, and which of them should know what.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::time::timeout;
use vouchsafe::{Event, NodeStats, PublicKey, PublishError};
use vouchsafe_cli::exit::Failure;

use super::run::Soak;
use super::world::{Books, Life, News, Silence};

/// For an answer of a node: whatever it has to do, nobody it talks to may keep it from its own application for so long.
const ANSWER: Duration = Duration::from_secs(10);

impl Soak {
    pub(super) fn is_now(&self, slot: usize, life: u64) -> bool {
        self.places.get(slot).is_some_and(|place| place.life.is_some() && place.number == Some(life))
    }

    pub(super) fn read(&mut self, news: News) -> Result<(), Failure> {
        match news {
            News::Delivery { slot, life, delivery, at } => {
                if self.places[slot].number == Some(life) {
                    self.seen.delivered += 1;
                    let began = self.places[slot].began;
                    // What a newcomer is told is as old as it is.
                    let called = self.promises.given(slot, &delivery, at).filter(|called| *called >= began);
                    self.delays.extend(called.map(|called| at.saturating_duration_since(called)));
                }
            }
            News::Kept { slot, life, body, at } => {
                if self.places[slot].number == Some(life) {
                    self.promises.kept(slot, &body, at);
                }
            }
            News::Event { slot, life, event } => {
                if self.places[slot].number == Some(life)
                    && let Event::PeerDown { peer, .. } = &event
                {
                    // It may be up again before the next look, which would not show that it was down.
                    let other = self.places.iter().position(|place| place.key.public() == *peer);
                    self.ends.retain(|(one, two), _| *one != slot || Some(*two) != other);
                }
                self.promises.event(slot, &event);
            }
            News::Missed(what, count) => *self.seen.missed.entry(what).or_default() += count,
            News::Published { slot, life, number, body, result, at } => {
                self.asked.remove(&number);
                if self.places[slot].hears_from > at {
                    self.promises.excuse(&body);
                }
                match result {
                    Ok(id) => {
                        self.seen.published += 1;
                        self.confirmed.add(slot, &id);
                        if self.is_now(slot, life) {
                            self.promises.said(slot, &body, at);
                        }
                    }
                    Err(PublishError::Closed) => {
                        self.silent(slot, life, Silence::Ended);
                        self.refused(slot, &PublishError::Closed, at);
                    }
                    Err(error) => self.refused(slot, &error, at),
                }
            }
            News::Rejoined { slot, life, topic } => {
                if let Some(now) = self.places[slot].life.as_mut().filter(|now| now.number == life) {
                    now.topic = topic;
                    self.set_right(slot, Instant::now());
                }
            }
            News::Stats { at, all } => {
                self.asking = false;
                self.look(at, &all);
            }
            News::Up { slot, life } => {
                let place = &mut self.places[slot];
                place.moving = false;
                place.newcomer |= place.addr != life.addr;
                place.addr = life.addr;
                place.life = Some(*life);
            }
            News::Down { slot } => self.places[slot].moving = false,
            News::Failed(why) => return Err(Failure::Failed(why)),
        }
        Ok(())
    }

    pub(super) fn refused(&mut self, slot: usize, error: &PublishError, at: Instant) {
        match error {
            // Cut off, or on its way out.
            PublishError::NoLink | PublishError::NotRelayed { .. } | PublishError::Closed => {}
            // In trouble, or not yet over it.
            _ if self.places[slot].speaks_from > at => {}
            _ => self.promises.breaks("refused", || format!("node {slot} can't publish: {error}")),
        }
        *self.seen.refused.entry(error.to_string()).or_default() += 1;
    }

    /// A node did not answer. That is a fault unless its life was ended meanwhile.
    fn silent(&mut self, slot: usize, life: u64, silence: Silence) {
        if !self.is_now(slot, life) || !self.silent.insert(life) {
            return;
        }
        match silence {
            Silence::Ended => self.promises.breaks("ended", || format!("node {slot} has ended by itself")),
            Silence::Hangs => {
                self.promises
                    .breaks("hangs", || format!("node {slot} gave no answer for {} s", ANSWER.as_secs()));
            }
        }
    }

    /// The books of all nodes: caps, and which links are up.
    pub(super) fn look(&mut self, at: Instant, all: &[Books]) {
        self.seen.looks += 1;
        let slots: HashMap<PublicKey, usize> = self
            .places
            .iter()
            .enumerate()
            .filter(|(_, place)| place.life.is_some())
            .map(|(slot, place)| (place.key.public(), slot))
            .collect();
        let mut ends = HashMap::new();
        for Books { slot, life, stats, members } in all {
            let stats = match stats {
                Ok(stats) => stats,
                Err(silence) => {
                    self.silent(*slot, *life, *silence);
                    continue;
                }
            };
            self.promises.stats(*slot, stats, &self.ground.config);
            self.note_the_quiet(*slot, stats);
            self.latest.insert(*slot, (stats.counters.offences, stats.counters.convictions));
            if !self.is_now(*slot, *life) {
                continue;
            }
            self.look_at_members(at, *slot, members);
            for link in stats.links.iter().filter(|link| link.live) {
                if let Some(other) = slots.get(&link.peer) {
                    let since = self.ends.get(&(*slot, *other)).copied().unwrap_or(at);
                    ends.insert((*slot, *other), since);
                }
            }
        }
        self.ends = ends;
        self.links.clear();
        for ((one, other), since) in &self.ends {
            let cut = self.sides.as_ref().is_some_and(|(sides, _)| sides[*one] != sides[*other]);
            if one < other
                && !cut
                && let Some(from_there) = self.ends.get(&(*other, *one))
            {
                let hears = self.places[*one].hears_from.max(self.places[*other].hears_from);
                self.links.insert((*one, *other), (*since).max(*from_there).max(self.healed).max(hears));
            }
        }
        let groups = groups(self.nodes, &self.links, at, self.within);
        let hears: Vec<_> = self.places.iter().map(|place| place.hears_from).collect();
        self.promises.check(at, &groups, &hears);
        self.look_for_the_lonely(at);
        self.look_for_the_unanswered(at);
    }

    /// A node that is well and has no link to an honest one for so long will never find one.
    fn look_for_the_lonely(&mut self, at: Instant) {
        let heal = self.heal;
        for slot in 0..self.nodes {
            let linked = self.ends.keys().any(|(one, _)| *one == slot);
            let place = &mut self.places[slot];
            if linked || place.life.is_none() || self.sides.is_some() {
                place.alone_since = at;
            } else if at.saturating_duration_since(place.alone_since) > heal {
                place.alone_since = at;
                self.promises
                    .breaks("alone", || format!("node {slot} finds no link for {} s", heal.as_secs()));
            }
        }
    }

    /// Publish requests that should have been answered by now.
    fn look_for_the_unanswered(&mut self, at: Instant) {
        let late = |(_, (slot, life, called)): &(&u64, &(usize, u64, Instant))| {
            self.is_now(*slot, *life) && at > (*called + ANSWER).max(self.places[*slot].speaks_from)
        };
        let late: Vec<_> =
            self.asked.iter().filter(late).map(|(number, (slot, ..))| (*number, *slot)).collect();
        for (number, slot) in late {
            self.asked.remove(&number);
            self.promises.breaks("hangs", || format!("node {slot} does not answer a publish"));
        }
    }

    /// With nobody to disturb it, a node has nothing left to do now and then.
    fn note_the_quiet(&mut self, slot: usize, stats: &NodeStats) {
        let Some(quiet) = &mut self.quiet else { return };
        let owed: usize = stats.links.iter().map(|link| link.owed_pulls + link.wanted_from).sum();
        if stats.wants + stats.waiting_verification + owed == 0 {
            quiet.insert(slot);
        }
    }

    /// Who was never quiet has something in its tables that will never leave.
    pub(super) fn look_at_the_quiet(&mut self) {
        let Some(quiet) = self.quiet.take() else { return };
        let up = (0..self.nodes).filter(|slot| self.places[*slot].life.is_some());
        for slot in up.filter(|slot| !quiet.contains(slot)).collect::<Vec<_>>() {
            self.promises.breaks("tables", || format!("node {slot} never comes to rest"));
        }
    }

    pub(super) fn forget_links(&mut self, slot: usize) {
        self.ends.retain(|(one, other), _| *one != slot && *other != slot);
    }

    pub(super) fn ask(&mut self) {
        // One look at a time: a slow machine gets fewer of them.
        if std::mem::replace(&mut self.asking, true) {
            return;
        }
        let nodes: Vec<_> = self
            .places
            .iter()
            .enumerate()
            .filter_map(|(slot, place)| {
                place.life.as_ref().map(|life| (slot, life.number, life.node.clone()))
            })
            .collect();
        let news = self.ground.news.clone();
        tokio::spawn(async move {
            // The time before the first answer: what is up by then has been up since.
            let at = Instant::now();
            let mut all = Vec::new();
            for (slot, life, node) in nodes {
                let stats = match timeout(ANSWER, node.stats()).await {
                    Ok(Ok(stats)) => Ok(stats),
                    Ok(Err(_)) => Err(Silence::Ended),
                    Err(_) => Err(Silence::Hangs),
                };
                // One that has ended shows nobody, and its books say that it has.
                let members = timeout(ANSWER, node.members()).await.ok().and_then(Result::ok);
                let members = members.unwrap_or_default().into_iter();
                let members = members.map(|(key, member)| (key, member.state)).collect();
                all.push(Books { slot, life, stats, members });
            }
            let _ = news.send(News::Stats { at, all }).await;
        });
    }

    pub(super) fn publish(&mut self) {
        let slot = self.dice.below(self.nodes);
        let Some(Life { number, topic, node, .. }) = self.places[slot].life.as_ref() else { return };
        self.said += 1;
        // Of all sizes up to some 2 kB.
        let filler = 1usize << self.dice.below(12);
        let body = Bytes::from(format!("{}-{number} {}", self.said, "x".repeat(filler)));
        let called = Instant::now();
        self.promises.says(node.author(), &body, called);
        let (topic, life, news) = (topic.clone(), *number, self.ground.news.clone());
        let number = self.said;
        self.asked.insert(number, (slot, life, called));
        if self.places[slot].hears_from > called || self.crowded_until > called {
            self.promises.excuse(&body);
        }
        tokio::spawn(async move {
            let result = topic.publish(body.clone()).await.map(|published| published.id());
            let at = Instant::now();
            let _ = news.send(News::Published { slot, life, number, body, result, at }).await;
        });
    }
}

/// Sets of nodes that links of at least this age join, by slot.
fn groups(
    nodes: usize,
    links: &HashMap<(usize, usize), Instant>,
    now: Instant,
    age: Duration,
) -> Vec<Option<usize>> {
    let steady: Vec<_> = links
        .iter()
        .filter(|(_, since)| now.saturating_duration_since(**since) >= age)
        .map(|(pair, _)| *pair)
        .collect();
    let mut group: Vec<Option<usize>> = vec![None; nodes];
    for start in 0..nodes {
        let mut next = vec![start];
        if group[start].is_some() || !steady.iter().any(|(one, other)| *one == start || *other == start) {
            continue;
        }
        while let Some(node) = next.pop() {
            if group[node].replace(start).is_none() {
                next.extend(steady.iter().filter_map(|&(one, other)| match node {
                    _ if one == node => Some(other),
                    _ if other == node => Some(one),
                    _ => None,
                }));
            }
        }
    }
    group
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_links_of_age_join_nodes() {
        let old = Instant::now();
        let (age, now) = (Duration::from_secs(15), old + Duration::from_secs(20));
        let young = old + Duration::from_secs(10);
        let links = HashMap::from([((0, 1), old), ((1, 2), old), ((2, 3), young), ((4, 5), old)]);
        let groups = groups(7, &links, now, age);
        assert!(groups[0].is_some() && groups[0] == groups[1] && groups[0] == groups[2]);
        assert!(groups[4].is_some() && groups[4] == groups[5] && groups[4] != groups[0]);
        assert_eq!((groups[3], groups[6]), (None, None));
    }
}
