//! Programs that are run for what happens: a queue and one run at a time for each, and so many at once in all. What finds no place is
//! counted and told, and nobody waits for a program but the task that runs it.

mod filter;
mod run;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use vouchsafe::{PublicKey, Question};

pub(crate) use filter::{Filter, filters};

use super::happening::Happening;
use run::{Ended, MAX_ANSWER};

/// Handlers of a configuration. (Guess.)
pub(crate) const MOST_RULES: usize = 64;
/// What may wait for one handler.
pub(crate) const QUEUE: usize = 64;
/// Programs that run at once, of all handlers.
pub(crate) const AT_ONCE: usize = 8;
/// Answers that are on their way at once, and of those to one asker: whoever asks and can't be reached holds up nobody else's.
const ANSWERS_AT_ONCE: usize = 64;
const ANSWERS_TO_ONE: usize = 4;
/// How long one may take. An asker that is there takes it within seconds.
const ANSWERING: Duration = Duration::from_secs(30);

/// A handler as it was configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) on: Vec<Filter>,
    /// The program and its arguments.
    pub(crate) run: Vec<String>,
    /// How long it may take.
    pub(crate) within: Duration,
}

/// What came of all handlers since the start.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) runs: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) killed: AtomicU64,
    /// Happenings that found no place in a queue, and answers that found none among those on their way.
    pub(crate) overflow: AtomicU64,
    /// Questions whose time was over before it was their turn.
    pub(crate) late: AtomicU64,
    /// Bytes of output that were not kept.
    pub(crate) output_left_out: AtomicU64,
}

/// All handlers of an agent.
pub(crate) struct Handlers {
    workers: RwLock<Vec<Worker>>,
    shared: Arc<Shared>,
}

/// What all of them share.
struct Shared {
    slots: Semaphore,
    counts: Counts,
    socket: PathBuf,
    /// How many answers are on their way, by who is answered.
    answers: Mutex<HashMap<PublicKey, usize>>,
}

struct Worker {
    rule: Arc<Rule>,
    queue: mpsc::Sender<Job>,
}

/// Something that a handler is to be told.
struct Job {
    happening: Arc<Happening>,
    /// A question that its output answers.
    question: Option<Question>,
}

impl Handlers {
    /// Starts those of the configuration. They find the agent's socket in their environment.
    pub(crate) fn start(rules: &[Rule], socket: PathBuf) -> Self {
        let (slots, answers) = (Semaphore::new(AT_ONCE), Mutex::default());
        let shared = Arc::new(Shared { slots, counts: Counts::default(), socket, answers });
        let handlers = Self { workers: RwLock::default(), shared };
        handlers.replace(rules);
        handlers
    }

    /// Takes these from now on. What waits for one that stays the same goes on waiting; what waits for another is still done.
    pub(crate) fn replace(&self, rules: &[Rule]) {
        let mut workers = self.workers.write().unwrap_or_else(PoisonError::into_inner);
        let mut old = std::mem::take(&mut *workers);
        for rule in rules {
            let same = old.iter().position(|worker| *worker.rule == *rule);
            workers.push(same.map_or_else(|| self.begin(rule), |at| old.swap_remove(at)));
        }
    }

    fn begin(&self, rule: &Rule) -> Worker {
        let rule = Arc::new(rule.clone());
        let (queue, jobs) = mpsc::channel(QUEUE);
        tokio::spawn(work(Arc::clone(&rule), jobs, Arc::clone(&self.shared)));
        Worker { rule, queue }
    }

    pub(crate) fn counts(&self) -> &Counts {
        &self.shared.counts
    }

    /// Tells those that want to know. Never waits.
    pub(crate) fn tell(&self, happening: &Arc<Happening>) {
        let workers = self.workers.read().unwrap_or_else(PoisonError::into_inner);
        for worker in workers.iter().filter(|worker| worker.takes(happening)) {
            self.offer(worker, happening, None);
        }
    }

    /// Whether some handler is run for what is said there.
    pub(crate) fn want_rumors_of(&self, topic: &str) -> bool {
        let workers = self.workers.read().unwrap_or_else(PoisonError::into_inner);
        let wants = |filter: &Filter| matches!(filter, Filter::Rumor(name) if name == topic);
        workers.iter().any(|worker| worker.rule.on.iter().any(wants))
    }

    /// Has the first that wants to answer it.
    pub(crate) fn ask(&self, happening: &Arc<Happening>, question: Question) {
        let workers = self.workers.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(worker) = workers.iter().find(|worker| worker.takes(happening)) {
            self.offer(worker, happening, Some(question));
        }
    }

    fn offer(&self, worker: &Worker, happening: &Arc<Happening>, question: Option<Question>) {
        let job = Job { happening: Arc::clone(happening), question };
        if worker.queue.try_send(job).is_err() {
            self.shared.counts.overflow.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(
                handler = worker.rule.name(),
                kind = happening.kind(),
                "a handler is so far behind that it is not told of this: let it take less time, or less"
            );
        }
    }
}

impl Worker {
    fn takes(&self, happening: &Happening) -> bool {
        self.rule.on.iter().any(|filter| filter.takes(happening))
    }
}

impl Rule {
    /// Its program, for the log.
    fn name(&self) -> &str {
        self.run.first().map_or("", String::as_str)
    }
}

/// Runs the program of one handler for one thing after the other.
async fn work(rule: Arc<Rule>, mut jobs: mpsc::Receiver<Job>, shared: Arc<Shared>) {
    while let Some(Job { happening, question }) = jobs.recv().await {
        // It is never closed.
        let Ok(slot) = shared.slots.acquire().await else { return };
        let within = question.as_ref().map_or(rule.within, |question| rule.within.min(question.remaining()));
        if within.is_zero() {
            shared.counts.late.fetch_add(1, Ordering::Relaxed);
            tracing::debug!(
                handler = rule.name(),
                "a question was not answered: its time was over before its turn"
            );
            continue;
        }
        let ended = run::run(&rule, &happening, within, &shared.socket).await;
        drop(slot);
        shared.counts.runs.fetch_add(1, Ordering::Relaxed);
        tell(&rule, within, &ended, &shared.counts);
        if let (Some(question), Ok(Ended { code: Some(0), out, .. })) = (question, ended) {
            answer(&rule, &shared, question, out);
        }
    }
}

/// A place among the answers that are on their way.
struct OnItsWay {
    shared: Arc<Shared>,
    to: PublicKey,
}

impl OnItsWay {
    fn take(shared: &Arc<Shared>, to: PublicKey) -> Option<Self> {
        let mut answers = shared.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, of_it) = (answers.values().sum::<usize>(), answers.get(&to).copied().unwrap_or(0));
        if all >= ANSWERS_AT_ONCE || of_it >= ANSWERS_TO_ONE {
            return None;
        }
        answers.insert(to, of_it + 1);
        Some(Self { shared: Arc::clone(shared), to })
    }
}

impl Drop for OnItsWay {
    fn drop(&mut self) {
        let mut answers = self.shared.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let left = answers.get(&self.to).copied().unwrap_or(0).saturating_sub(1);
        match left {
            0 => answers.remove(&self.to),
            left => answers.insert(self.to, left),
        };
    }
}

/// What the log and the counters say of a run.
fn tell(rule: &Rule, within: Duration, ended: &Result<Ended, std::io::Error>, counts: &Counts) {
    let handler = rule.name();
    match ended {
        Ok(ended) => {
            counts.output_left_out.fetch_add(ended.left_out, Ordering::Relaxed);
            if ended.killed {
                counts.killed.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(
                    handler,
                    ?within,
                    "a handler was killed, since it took too long: raise its timeout, or that of the question, or let it do less"
                );
            } else if ended.code != Some(0) {
                counts.failed.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(
                    handler,
                    code = ended.code,
                    "a handler has failed; at level debug stands what it said"
                );
            }
            let said = crate::text::printable(&ended.err);
            tracing::debug!(handler, took = ?ended.took, code = ended.code, said, "a handler has run");
        }
        Err(error) => {
            counts.failed.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(handler, %error, "a handler can't be run: check its program");
        }
    }
}

/// Answers in a task of its own: whoever asked may be long to reach.
fn answer(rule: &Rule, shared: &Arc<Shared>, question: Question, out: Vec<u8>) {
    let handler = rule.name();
    if out.len() > MAX_ANSWER {
        return tracing::warn!(
            handler,
            most = MAX_ANSWER,
            "the answer of a handler is too long and was not sent"
        );
    }
    let Some(place) = OnItsWay::take(shared, question.asker()) else {
        shared.counts.overflow.fetch_add(1, Ordering::Relaxed);
        return tracing::warn!(handler, "an answer was not sent: too many are on their way, or to who asked");
    };
    tokio::spawn(async move {
        let _place = place;
        match tokio::time::timeout(ANSWERING, question.answer(&out)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "an answer was not taken"),
            Err(_) => tracing::debug!("an answer was not taken within {} s", ANSWERING.as_secs()),
        }
    });
}

/// The program of that name: a path, relative to the folder of the configuration, or a name that is looked up in `PATH`.
pub(crate) fn find(name: &str, folder: &Path) -> Result<String, String> {
    let is_program =
        |path: &Path| path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok();
    let text = |path: PathBuf| {
        path.into_os_string().into_string().map_err(|_| "the path is no text (UTF-8)".to_owned())
    };
    if name.contains('/') {
        let path = folder.join(name);
        return match is_program(&path) {
            true => text(path),
            false => Err("there is no such program: check the path, and that it may be executed".to_owned()),
        };
    }
    let places = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&places).map(|place| place.join(name)).find(|path| is_program(path));
    found.map_or_else(|| Err("there is no such program in PATH: give its whole path".to_owned()), text)
}

#[cfg(test)]
mod tests {
    use vouchsafe::SecretKey;

    use super::*;

    #[tokio::test]
    async fn answers_on_their_way_are_bounded_in_all_and_for_each_asker() {
        let handlers = Handlers::start(&[], PathBuf::new());
        let key = |seed: usize| SecretKey::from_seed(&[seed as u8; 32]).public();
        let take = |seed| OnItsWay::take(&handlers.shared, key(seed));
        let of_one: Vec<_> = (0..=ANSWERS_TO_ONE).map(|_| take(0)).collect();
        assert_eq!(of_one.iter().flatten().count(), ANSWERS_TO_ONE);
        let others: Vec<_> = (1..=ANSWERS_AT_ONCE).map(take).collect();
        assert_eq!(others.iter().flatten().count(), ANSWERS_AT_ONCE - ANSWERS_TO_ONE);
        drop((of_one, others));
        assert!(take(0).is_some());
        assert!(handlers.shared.answers.lock().unwrap().is_empty(), "and none is remembered");
    }
}
