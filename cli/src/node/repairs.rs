//! How far repair of the topic is, on stderr: a line that moves on a terminal, else a line now and then.

use std::fmt::Display;
use std::time::{Duration, Instant};

use vouchsafe::protocol::RepairProgress;
use vouchsafe::{TopicHandle, WaitError};

use super::status::{Moving, status};

/// How often a line of figures is written at the most, where it stays.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// What has been told of repair.
pub(crate) struct Repairs {
    topic: TopicHandle,
    seen: RepairProgress,
    said: Said,
    moving: Option<Moving>,
}

/// What was said last, and when figures were.
struct Said {
    caught_up: bool,
    begun: bool,
    told: Option<(Figures, Instant)>,
}

/// What is told of a progress.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Figures {
    repaired: u64,
    missing: usize,
    caught_up: usize,
    links: usize,
}

/// What is to be said.
#[derive(Debug, PartialEq, Eq)]
enum Word {
    /// Links are asked from now on.
    Begins,
    /// Figures, which change.
    Figures,
    /// Nothing is missing, as far as links say.
    CaughtUp,
}

impl Repairs {
    /// Of a topic that is kept; `None` if it is not.
    pub(crate) fn of(topic: &TopicHandle) -> Option<Self> {
        let seen = topic.repairing().ok()?;
        let said = Said { caught_up: false, begun: false, told: None };
        Some(Self { topic: topic.clone(), seen, said, moving: None })
    }

    /// Tells the next thing, when there is one, until nothing is repaired any more. Cancel safe.
    pub(crate) async fn next_of(repairs: &mut Option<Self>) {
        let next = match repairs {
            Some(repairs) => repairs.next().await,
            None => std::future::pending().await,
        };
        if next.is_err() {
            *repairs = None;
        }
    }

    async fn next(&mut self) -> Result<(), WaitError> {
        let next = match self.said.due(&self.seen) {
            None => self.topic.repairing_beyond(self.seen).await,
            // Figures that may be told in a while are, unless there are newer ones by then.
            Some(due) => {
                let until = tokio::time::Instant::from_std(due);
                match tokio::time::timeout_at(until, self.topic.repairing_beyond(self.seen)).await {
                    Ok(next) => next,
                    Err(_) => Ok(self.seen),
                }
            }
        };
        self.seen = next?;
        self.tell();
        Ok(())
    }

    fn tell(&mut self) {
        let figures = Figures::of(&self.seen);
        match self.said.next(&self.seen, Instant::now()) {
            Some(Word::Begins) => {
                status("repair: links are asked what this node has missed");
                self.moving = Moving::begin(format!("repair: {figures}"));
            }
            Some(Word::CaughtUp) => {
                self.moving = None;
                status(format_args!("caught up: {figures}"));
            }
            Some(Word::Figures) if self.moving.is_none() => status(format_args!("repair: {figures}")),
            _ => {}
        }
        if let Some(moving) = &self.moving {
            moving.show(format!("repair: {figures}"));
        }
    }
}

impl Figures {
    fn of(progress: &RepairProgress) -> Self {
        Self {
            repaired: progress.repaired,
            missing: progress.holes + progress.claims,
            caught_up: progress.caught_up,
            links: progress.links,
        }
    }
}

impl Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { repaired, missing, caught_up, links } = self;
        let bundles = if *repaired == 1 { "bundle" } else { "bundles" };
        write!(f, "{repaired} {bundles} came late, {missing} known to be missing; ")?;
        write!(f, "{caught_up} of {links} links that keep the topic have nothing more")
    }
}

impl Said {
    /// What is to be said of a progress now.
    fn next(&mut self, progress: &RepairProgress, now: Instant) -> Option<Word> {
        let figures = Figures::of(progress);
        // What no link has may stay missing for ever: a liar can name what never was.
        let caught_up = progress.asked_all && progress.caught_up > 0 && progress.claims == 0;
        if caught_up {
            let news = !std::mem::replace(&mut self.caught_up, true);
            (self.begun, self.told) = (false, None);
            return news.then_some(Word::CaughtUp);
        }
        // That a link is gone is no reason to begin anew.
        if progress.links == 0 || (self.caught_up && progress.claims == 0) {
            return None;
        }
        self.caught_up = false;
        if !std::mem::replace(&mut self.begun, true) {
            self.told = Some((figures, now));
            return Some(Word::Begins);
        }
        let is_due = self.told.is_none_or(|(told, at)| told != figures && now >= at + TELL_EVERY);
        is_due.then(|| {
            self.told = Some((figures, now));
            Word::Figures
        })
    }

    /// When figures are to be told that are not told yet.
    fn due(&self, progress: &RepairProgress) -> Option<Instant> {
        // Without a link nothing is told.
        let (told, at) = self.told.filter(|_| progress.links > 0)?;
        (told != Figures::of(progress)).then_some(at + TELL_EVERY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(links: usize, caught_up: usize, claims: usize, repaired: u64) -> RepairProgress {
        let mut progress = RepairProgress::default();
        (progress.links, progress.caught_up, progress.claims) = (links, caught_up, claims);
        (progress.repaired, progress.asked_all) = (repaired, links > 0);
        progress
    }

    #[test]
    fn repair_is_told_when_it_begins_now_and_then_and_when_it_is_over() {
        let mut said = Said { caught_up: false, begun: false, told: None };
        let start = Instant::now();
        let mut at = |progress: RepairProgress, ms: u64| {
            let due = said.due(&progress);
            (
                said.next(&progress, start + Duration::from_millis(ms)),
                due.map(|due| (due - start).as_millis()),
            )
        };
        // Nobody keeps the topic: nothing to tell.
        assert_eq!(at(progress(0, 0, 0, 0), 0), (None, None));
        assert_eq!(at(progress(1, 0, 9, 0), 100), (Some(Word::Begins), None));
        // Figures change often and are told seldom, and none is forgotten.
        assert_eq!(at(progress(1, 0, 9, 5), 200), (None, Some(5_100)));
        assert_eq!(at(progress(1, 0, 7, 9), 5_099), (None, Some(5_100)));
        assert_eq!(at(progress(1, 0, 7, 9), 5_100), (Some(Word::Figures), Some(5_100)));
        // Without a link nothing is due, or it would be due for ever.
        assert_eq!(at(progress(0, 0, 7, 12), 80_000), (None, None));
        assert_eq!(at(progress(1, 0, 7, 9), 90_000), (None, None));
        assert_eq!(at(progress(1, 1, 0, 16), 90_100), (Some(Word::CaughtUp), Some(10_100)));
        assert_eq!(at(progress(2, 2, 0, 16), 90_200), (None, None));
        // A link that goes takes nothing back, and one that lists more does.
        assert_eq!(at(progress(0, 0, 0, 16), 90_300), (None, None));
        assert_eq!(at(progress(1, 0, 0, 16), 90_400), (None, None));
        assert_eq!(at(progress(1, 0, 3, 16), 90_500), (Some(Word::Begins), None));
        assert_eq!(at(progress(1, 1, 0, 19), 90_600), (Some(Word::CaughtUp), Some(95_500)));
    }
}
