//! Questions to the application: fair over authors, in number and in time.
//!
//! ```text
//!   bundle ──> the queue of its author, newcomers by the peer that brings them ──> a free validator
//!                │ full: the fullest queue loses its newest, for now              │ half of the runs are for
//!                v                                                               │ whoever has none running
//!             debts                                                              v
//! ```

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use crate::key::PublicKey;
use crate::protocol::ValidationId;
use crate::protocol::limits::{MAX_QUESTION_BYTES, MAX_QUESTIONS_WAITING};
use crate::protocol::random::{Keyed, KeyedMap};
use crate::protocol::time::Mono;
use crate::protocol::total::Total as _;
use crate::rumor::{BundleId, TopicId};

/// What a bundle weighs beside its bytes when queues are compared: at this both caps are reached together.
const WEIGHT: usize = MAX_QUESTION_BYTES / MAX_QUESTIONS_WAITING;
/// Validators count as slow until so long after the last bundle that they were too slow for. (A guess.)
const SLOW_FOR: Duration = Duration::from_secs(10);

/// A bundle that waits for a validator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::protocol) struct Waiting {
    pub(in crate::protocol) topic: TopicId,
    pub(in crate::protocol) id: BundleId,
    pub(in crate::protocol) bytes: u32,
}

impl Waiting {
    const fn weight(&self) -> usize {
        WEIGHT.saturating_add(self.bytes as usize)
    }
}

/// A question that is being thought about.
#[derive(Debug)]
struct Asked {
    topic: TopicId,
    id: BundleId,
    turn: PublicKey,
    by: u32,
}

/// What one author, or the newcomers over one link, have waiting and under way.
#[derive(Debug, Default)]
struct Flow {
    waiting: VecDeque<Waiting>,
    weight: usize,
    running: usize,
    /// It stands in the queue of those that have none running, or of the others.
    in_idle: bool,
    in_busy: bool,
}

/// All questions.
#[derive(Debug)]
pub(in crate::protocol) struct Questions {
    asked: KeyedMap<ValidationId, Asked>,
    flows: KeyedMap<PublicKey, Flow>,
    /// Whose turn it is among those that have none running, and among the others.
    idle: VecDeque<PublicKey>,
    busy: VecDeque<PublicKey>,
    by_weight: BTreeSet<(usize, PublicKey)>,
    waiting: usize,
    bytes: usize,
    next: u64,
    /// When validators were last too slow for something.
    slow_at: Option<Mono>,
}

impl Questions {
    pub(in crate::protocol) fn new(keyed: Keyed) -> Self {
        Self {
            asked: keyed.map(),
            flows: keyed.map(),
            idle: VecDeque::new(),
            busy: VecDeque::new(),
            by_weight: BTreeSet::new(),
            waiting: 0,
            bytes: 0,
            next: 0,
            slow_at: None,
        }
    }

    /// Lets a bundle wait. Gives those that must go for it, perhaps itself: the newest of whoever has most waiting.
    pub(in crate::protocol) fn wait(&mut self, turn: PublicKey, waiting: Waiting) -> Vec<Waiting> {
        if self.flows.len() > 2 * MAX_QUESTIONS_WAITING {
            // Authors that lost all they had waiting stand in line until their turn. Once in so many times they are cleared out.
            self.clear_out();
        }
        let flow = self.flows.entry(turn).or_default();
        self.by_weight.remove(&(flow.weight, turn));
        flow.waiting.push_back(waiting);
        flow.weight.gains(waiting.weight());
        self.by_weight.insert((flow.weight, turn));
        self.waiting.gains(1);
        self.bytes.gains(waiting.bytes as usize);
        self.line_up(turn);
        let mut gone = Vec::new();
        while self.waiting > MAX_QUESTIONS_WAITING || self.bytes > MAX_QUESTION_BYTES {
            let Some((_, fullest)) = self.by_weight.last().copied() else { break };
            let Some(newest) = self.take(fullest, VecDeque::pop_back) else { break };
            gone.push(newest);
        }
        gone
    }

    /// The next bundle to ask about, and whose it is, if one of `runs` validators is free for it.
    pub(in crate::protocol) fn next(&mut self, runs: usize) -> Option<(PublicKey, Waiting)> {
        if self.waiting == 0 || self.asked.len() >= runs {
            return None;
        }
        while let Some(turn) = self.idle.pop_front() {
            let Some(flow) = self.flows.get_mut(&turn) else { continue };
            flow.in_idle = false;
            if flow.running == 0
                && let Some(next) = self.take(turn, VecDeque::pop_front)
            {
                return Some((turn, next));
            }
            self.line_up(turn);
        }
        while self.asked.len() < runs / 2
            && let Some(turn) = self.busy.pop_front()
        {
            let Some(flow) = self.flows.get_mut(&turn) else { continue };
            flow.in_busy = false;
            if flow.running > 0
                && let Some(next) = self.take(turn, VecDeque::pop_front)
            {
                return Some((turn, next));
            }
            self.line_up(turn);
        }
        None
    }

    /// Whether a bundle may be asked about at once, without waiting.
    pub(in crate::protocol) fn is_free(&self, turn: &PublicKey, runs: usize) -> bool {
        let running = self.asked.len();
        let has_run = || self.flows.get(turn).is_some_and(|flow| flow.running > 0);
        self.waiting == 0 && (running < runs / 2 || (running < runs && !has_run()))
    }

    /// A question is put to the application, of which this version judges.
    pub(in crate::protocol) fn ask(
        &mut self,
        turn: PublicKey,
        topic: TopicId,
        id: BundleId,
        by: u32,
    ) -> ValidationId {
        let question = ValidationId(self.next);
        self.next += 1;
        self.asked.insert(question, Asked { topic, id, turn, by });
        self.flows.entry(turn).or_default().running.gains(1);
        self.line_up(turn);
        question
    }

    /// A question is answered, or too old. Gives what it was about, and which version was asked.
    pub(in crate::protocol) fn answered(
        &mut self,
        question: ValidationId,
    ) -> Option<(TopicId, BundleId, u32)> {
        let Asked { topic, id, turn, by } = self.asked.remove(&question)?;
        if let Some(flow) = self.flows.get_mut(&turn) {
            flow.running.loses(1);
        }
        self.line_up(turn);
        Some((topic, id, by))
    }

    pub(in crate::protocol) fn is_asked(&self, question: ValidationId) -> bool {
        self.asked.contains_key(&question)
    }

    /// Whether one more may be asked now, or wait.
    pub(in crate::protocol) fn takes(&self, bytes: u32, runs: usize) -> bool {
        let waits = self.waiting < MAX_QUESTIONS_WAITING;
        self.asked.len() < runs.max(1)
            || (waits && self.bytes.saturating_add(bytes as usize) <= MAX_QUESTION_BYTES)
    }

    /// Whether so little waits that what was refused may be asked for again.
    pub(in crate::protocol) fn has_room(&self) -> bool {
        self.waiting < MAX_QUESTIONS_WAITING / 2 && self.bytes < MAX_QUESTION_BYTES / 2
    }

    pub(in crate::protocol) fn was_slow(&mut self, now: Mono) {
        self.slow_at = Some(now);
    }

    /// Whether validators were slow and are so no more: true once.
    pub(in crate::protocol) fn has_caught_up(&mut self, now: Mono) -> bool {
        let over = self.slow_at.is_some_and(|at| now.since(at) > SLOW_FOR) && self.waiting == 0;
        if over {
            self.slow_at = None;
        }
        over
    }

    /// Takes the oldest or the newest of what waits of one.
    fn take(
        &mut self,
        turn: PublicKey,
        end: fn(&mut VecDeque<Waiting>) -> Option<Waiting>,
    ) -> Option<Waiting> {
        let flow = self.flows.get_mut(&turn)?;
        let waiting = end(&mut flow.waiting)?;
        self.by_weight.remove(&(flow.weight, turn));
        flow.weight.loses(waiting.weight());
        if !flow.waiting.is_empty() {
            self.by_weight.insert((flow.weight, turn));
        }
        self.waiting.loses(1);
        self.bytes.loses(waiting.bytes as usize);
        self.line_up(turn);
        Some(waiting)
    }

    fn clear_out(&mut self) {
        let flows = &mut self.flows;
        for (queue, idle) in [(&mut self.idle, true), (&mut self.busy, false)] {
            queue.retain(|turn| {
                let Some(flow) = flows.get_mut(turn) else { return false };
                let waits = !flow.waiting.is_empty();
                *(if idle { &mut flow.in_idle } else { &mut flow.in_busy }) = waits;
                waits
            });
        }
        flows.retain(|_, flow| flow.running > 0 || !flow.waiting.is_empty());
    }

    /// Puts one into the queue where it belongs by now. It may still stand in the other, which finds out at its turn.
    fn line_up(&mut self, turn: PublicKey) {
        let Some(flow) = self.flows.get_mut(&turn) else { return };
        if flow.waiting.is_empty() {
            // Where it still stands in a queue, it is forgotten at its turn.
            if flow.running == 0 && !flow.in_idle && !flow.in_busy {
                self.flows.remove(&turn);
            }
            return;
        }
        let (marked, queue) = match flow.running {
            0 => (&mut flow.in_idle, &mut self.idle),
            _ => (&mut flow.in_busy, &mut self.busy),
        };
        if !std::mem::replace(marked, true) {
            queue.push_back(turn);
        }
    }
}

#[cfg(any(test, feature = "sim"))]
impl Questions {
    /// Bundles that are asked about, or wait for it.
    pub(in crate::protocol) fn len(&self) -> usize {
        self.asked.len() + self.waiting
    }

    pub(in crate::protocol) fn check(&self, recount: &mut crate::protocol::check::Recount) {
        let waiting = || self.flows.values().flat_map(|flow| &flow.waiting);
        recount.same("bundles that wait for validators", self.waiting, waiting().count());
        let bytes = waiting().map(|waiting| waiting.bytes as usize).sum();
        recount.same("bytes that wait for validators", self.bytes, bytes);
        for (turn, flow) in &self.flows {
            let running = self.asked.values().filter(|asked| asked.turn == *turn).count();
            recount.same("questions of an author", flow.running, running);
            let weight = flow.waiting.iter().map(Waiting::weight).sum();
            recount.same("weight of what an author has waiting", flow.weight, weight);
            let ranked = self.by_weight.contains(&(flow.weight, *turn));
            recount.holds(ranked != flow.waiting.is_empty(), "an author's rank is not its weight");
            let lines_up = flow.waiting.is_empty() || flow.in_idle || flow.in_busy;
            recount.holds(lines_up, "an author's bundles wait and it has no turn");
        }
        let idle = self.asked.is_empty() && self.waiting > 0;
        recount.holds(!idle, "bundles wait for validators and none is asked");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u8) -> PublicKey {
        PublicKey::from_bytes([n; 32])
    }

    fn word(n: usize, bytes: u32) -> Waiting {
        let id = BundleId::from_bytes(*blake3::hash(&n.to_le_bytes()).as_bytes());
        Waiting { topic: TopicId::from_bytes([0; 32]), id, bytes }
    }

    /// Asks as much as `runs` validators take, and says whose it is.
    fn asks(questions: &mut Questions, runs: usize) -> Vec<(PublicKey, ValidationId)> {
        std::iter::from_fn(|| {
            let (turn, Waiting { topic, id, .. }) = questions.next(runs)?;
            Some((turn, questions.ask(turn, topic, id, 0)))
        })
        .collect()
    }

    #[test]
    fn half_of_the_validator_runs_are_for_authors_without_one() {
        let mut questions = Questions::new(Keyed::default());
        (0..100).for_each(|n| assert!(questions.wait(key(1), word(n, 10)).is_empty()));
        assert_eq!(asks(&mut questions, 8).len(), 4, "one that asks a lot has half");
        for author in 2..9 {
            questions.wait(key(author), word(200 + usize::from(author), 10));
        }
        let asked = asks(&mut questions, 8);
        assert_eq!(asked.iter().map(|(turn, _)| *turn).collect::<Vec<_>>(), [2, 3, 4, 5].map(key));
        // When one of them is answered, the next that has none running is asked about.
        questions.answered(asked[0].1);
        assert_eq!(asks(&mut questions, 8).iter().map(|(turn, _)| *turn).collect::<Vec<_>>(), [key(6)]);
    }

    #[test]
    fn a_full_half_of_validator_runs_leaves_the_other_free() {
        let mut questions = Questions::new(Keyed::default());
        let (topic, id) = (TopicId::from_bytes([0; 32]), word(0, 10).id);
        for _ in 0..2 {
            assert!(questions.is_free(&key(1), 4));
            questions.ask(key(1), topic, id, 0);
        }
        assert!(!questions.is_free(&key(1), 4) && questions.is_free(&key(2), 4));
        questions.ask(key(2), topic, id, 0);
        assert!(!questions.is_free(&key(2), 4) && questions.is_free(&key(3), 4));
        questions.ask(key(3), topic, id, 0);
        assert!(!questions.is_free(&key(4), 4), "all run");
    }

    #[test]
    fn one_validator_serves_all_in_turn() {
        let mut questions = Questions::new(Keyed::default());
        for n in 0..4 {
            questions.wait(key(1), word(n, 10));
            questions.wait(key(2), word(10 + n, 10));
        }
        let mut turns = Vec::new();
        while let Some((turn, question)) = asks(&mut questions, 1).pop() {
            turns.push(turn);
            questions.answered(question);
        }
        assert_eq!(turns, [1, 2, 1, 2, 1, 2, 1, 2].map(key));
        assert!(questions.next(1).is_none() && questions.by_weight.is_empty());
        questions.clear_out();
        assert!(questions.flows.is_empty() && questions.idle.is_empty() && questions.busy.is_empty());
        assert_eq!((questions.waiting, questions.bytes), (0, 0));
    }

    #[test]
    fn when_it_is_full_the_fullest_loses_its_newest() {
        let mut questions = Questions::new(Keyed::default());
        for n in 0..MAX_QUESTIONS_WAITING {
            assert!(questions.wait(key(1), word(n, 10)).is_empty());
        }
        let gone = questions.wait(key(2), word(9_999, 10));
        assert_eq!(gone, [word(MAX_QUESTIONS_WAITING - 1, 10)]);
        assert_eq!(questions.wait(key(1), word(9_998, 10)), [word(9_998, 10)]);
        assert_eq!((questions.waiting, questions.has_room()), (MAX_QUESTIONS_WAITING, false));
    }

    #[test]
    fn a_large_body_counts_as_several_rumors() {
        let mut questions = Questions::new(Keyed::default());
        let large = 1 << 20;
        for n in 0..32 {
            assert!(questions.wait(key(1), word(n, large)).is_empty());
        }
        assert_eq!(questions.wait(key(2), word(40, 10)), [word(31, large)]);
    }
}
