//! The one thread that owns the store: it commits groups, and opens the store again when it is damaged.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;

use super::batch::Batch;
use super::readers::Shelf;
use super::space::Space;
use super::tails::Tails;
use super::task::{Task, Told};
use crate::key::PublicKey;
use crate::node::outside::Outside;
use crate::protocol::keeping::{Forget, Forgotten, Group, Kept, Opened, StoreAnswer, StoreJob, StoreTrouble};
use crate::rumor::{Position, TopicId};
use crate::store::{Res, Store, StoreError, left};

/// Opens the store, and makes a new one of what can be read of a damaged one.
pub(in crate::node) type Opener = Box<dyn FnMut() -> Res<Box<dyn Store>> + Send>;

/// A disk that fails is tried again after this, and after twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// So many failures in a row, some 150 ms, are waited for. From then on whoever has given something is told.
const PATIENCE: u32 = 3;

/// What is known of a disk that fails.
struct Failing {
    /// Failures since bundles were last kept.
    failures: u32,
    /// When it is tried again; `None` once it has worked again without anything to keep.
    again: Option<Instant>,
    why: StoreTrouble,
}

pub(super) struct Writer {
    /// `None` while it is opened again.
    pub(super) store: Option<Box<dyn Store>>,
    pub(super) open: Opener,
    pub(super) author: PublicKey,
    pub(super) tasks: Receiver<Task>,
    pub(super) told: UnboundedSender<Told>,
    pub(super) shelf: Arc<Shelf>,
    pub(super) tails: Arc<Tails>,
    pub(super) outside: Outside,
    pub(super) space: Space,
    pub(super) state: State,
}

/// What it has in hand.
#[derive(Default)]
pub(super) struct State {
    batch: Batch,
    /// How often the store has started.
    epoch: u64,
    /// When the last commit began.
    last: Option<Instant>,
    failing: Option<Failing>,
    /// Up to when the author has used positions; it uses no more.
    settles: Option<u64>,
    /// Topics that are being removed, a step at a time.
    forgets: VecDeque<(TopicId, oneshot::Sender<Result<(), StoreError>>)>,
}

impl Writer {
    /// Until nobody can give it anything any more. What was given before is committed.
    pub(super) fn run(mut self) {
        loop {
            match self.next() {
                Ok(task) => self.take(task),
                Err(RecvTimeoutError::Timeout) => self.idle(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.due().is_some_and(|due| due <= Instant::now()) {
                self.commit_all();
            }
        }
        if !self.state.batch.is_empty() {
            self.commit();
        }
        if let Some(Failing { why, .. }) = &self.state.failing {
            let (why, mut batch) = (why.clone(), std::mem::take(&mut self.state.batch));
            self.refuse(&mut batch, &why);
        } else if let Some(until_ms) = self.state.settles {
            // If it can't be written the next life waits.
            let store = self.store.as_deref_mut();
            let _ = store.map(|store| {
                self.outside.before_commit().map_err(of_disk)?;
                store.settle(&self.author, until_ms)
            });
        }
        self.shelf.lay_out(None);
        self.tails.advance_all();
    }

    /// The next task; a time-out where something is due first.
    fn next(&mut self) -> Result<Task, RecvTimeoutError> {
        let now = Instant::now();
        let due = if self.state.forgets.is_empty() { self.due() } else { Some(now) };
        match due.map(|due| due.saturating_duration_since(now)) {
            None => self.tasks.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(wait) => self.tasks.recv_timeout(wait),
        }
    }

    /// When the next commit is due, or a look at a disk without room.
    fn due(&self) -> Option<Instant> {
        self.commit_due().into_iter().chain(self.space.due()).min()
    }

    fn commit_due(&self) -> Option<Instant> {
        let state = &self.state;
        match state.failing.as_ref().and_then(|failing| failing.again) {
            Some(again) => Some(again),
            None => state.batch.due(state.last, |topic| self.tails.is_awaited(topic)),
        }
    }

    /// Nothing has come: there is time for a step of removing.
    fn idle(&mut self) {
        let Some((topic, answer)) = self.state.forgets.pop_front() else { return };
        match self.forget(&topic, Forget::Topic) {
            Ok(left) if left.more => self.state.forgets.push_front((topic, answer)),
            // Whoever asked may have gone; the topic is removed all the same.
            result => drop(answer.send(result.map(drop))),
        }
    }

    fn take(&mut self, task: Task) {
        let now = Instant::now();
        match task {
            // It was given before its giver knew that the store has started again.
            Task::Job { epoch, .. } if epoch != self.state.epoch => {}
            Task::Job { job, .. } => self.on_job(job, now),
            Task::Record { until_ms } => {
                self.tell_shortage(now);
                match self.refuses() {
                    Some(why) => self.recorded(until_ms, Err(why.to_string())),
                    None => self.state.batch.record(until_ms, now),
                }
            }
            Task::Settle { until_ms } => self.state.settles = Some(until_ms),
            Task::ForgetTopic { topic, answer } => {
                // What was given before goes with the rest.
                self.commit_before();
                self.state.forgets.push_back((topic, answer));
            }
            Task::Awaited => {}
            Task::Damaged { generation } if self.shelf.is_of(generation) => self.restart(),
            Task::Damaged { .. } => {}
            Task::Rotten { topic, at } => self.mend(topic, at),
        }
    }

    /// Removes what is rotten, and tells the engine: it asks others for it. What can't be removed now is found again.
    fn mend(&mut self, topic: TopicId, at: Vec<(PublicKey, Position)>) {
        let epoch = self.state.epoch;
        let removed = at.into_iter().filter_map(|(author, position)| {
            let what = Forget::Rotten(author, position);
            self.forget(&topic, what).ok().map(|left| (what, left))
        });
        // The last one says what is left.
        let last = removed.last();
        if let Some((what, left)) = last.filter(|_| epoch == self.state.epoch) {
            self.tell(StoreAnswer::Forgot { topic, what, left: Ok(left) });
        }
    }

    fn on_job(&mut self, job: StoreJob, now: Instant) {
        let batch = &mut self.state.batch;
        match job {
            StoreJob::Keep { keep, urgent } => match self.refuses_bundles(now) {
                Some(why) => self.tell(StoreAnswer::Kept { keep, kept: Err(why) }),
                None => self.state.batch.keep(keep, urgent, now),
            },
            StoreJob::Release { topic, at } => batch.release(topic, at, now),
            StoreJob::Rest { topic, holes } => batch.rest(topic, holes, now),
            StoreJob::Remember(proof) => batch.remember(*proof, now),
            StoreJob::Open { rules, keeping } => {
                let epoch = self.state.epoch;
                self.commit_before();
                while self.state.forgets.iter().any(|(topic, _)| *topic == rules.id()) {
                    self.idle();
                }
                if epoch != self.state.epoch {
                    return;
                }
                let opened: Res<Opened> = self.with(|store| store.open(&rules, &keeping));
                if epoch == self.state.epoch {
                    self.tell_shortage(now);
                    let opened = opened.map(Box::new).map_err(|error| (&error).into());
                    self.tell(StoreAnswer::Opened { topic: rules.id(), opened });
                    self.tails.advance(&rules.id());
                }
            }
            StoreJob::Forget { topic, what } => {
                let epoch = self.state.epoch;
                self.commit_before();
                let left = self.forget(&topic, what);
                if epoch == self.state.epoch {
                    let left = left.map_err(|error| (&error).into());
                    self.tell(StoreAnswer::Forgot { topic, what, left });
                }
            }
            // Readers look, and whatever is added later is not for this thread.
            StoreJob::Look { .. } => {}
        }
    }

    /// Jobs are done in order: what was given before this one is committed first, unless the disk fails.
    fn commit_before(&mut self) {
        if !self.state.batch.is_empty() && self.state.failing.is_none() {
            self.commit();
        }
    }

    /// Takes what has come meanwhile, up to a full batch, and commits it all. Then there is time for a step of removing, too.
    fn commit_all(&mut self) {
        self.look_for_room();
        while !self.state.batch.is_full() {
            match self.tasks.try_recv() {
                Ok(task) => self.take(task),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
        // It may have been committed by what has come.
        if self.commit_due().is_some_and(|due| due <= Instant::now()) {
            self.commit();
        }
        self.idle();
    }

    /// Commits what waits; or, where the disk has failed, tries whether it works again.
    fn commit(&mut self) {
        let mut batch = std::mem::take(&mut self.state.batch);
        self.state.last = Some(Instant::now());
        let had_keeps = !batch.keeps.is_empty();
        let written = self.write(&mut batch);
        match written {
            Ok(()) => self.works(had_keeps),
            Err(StoreError::Damaged(_) | StoreError::Closed) => {
                self.state.batch = batch;
                self.restart();
            }
            Err(error) => self.failed(batch, &error),
        }
    }

    /// Writes what is in the batch, and takes out what is done.
    fn write(&mut self, batch: &mut Batch) -> Res<()> {
        let Some(store) = self.store.as_mut() else { return Err(StoreError::Closed) };
        self.outside.before_commit().map_err(of_disk)?;
        let record = batch.record.map(|until_ms| (self.author, until_ms));
        let mut shown = Vec::new();
        if !batch.keeps.is_empty() || record.is_some() || self.state.failing.is_some() {
            let group = Group { keeps: &batch.keeps, record, now_ms: self.outside.unix_ms() };
            let kept = store.keep(&group)?;
            if let Some(until_ms) = batch.record.take() {
                // An error means that the node is gone.
                let _ = self.told.send(Told::Recorded { until_ms, result: Ok(()) });
            }
            for (keep, kept) in batch.keeps.drain(..).zip(kept) {
                if matches!(kept, Kept::New { sequence: Some(_), .. }) {
                    shown.push(keep.bundle.header().topic);
                }
                let answer = StoreAnswer::Kept { keep, kept: Ok(kept) };
                let _ = self.told.send(Told::Store { epoch: self.state.epoch, answer });
            }
            shown.sort_unstable();
            shown.dedup();
            // At once: what follows may take its time, or fail.
            shown.iter().for_each(|topic| self.tails.advance(topic));
        }
        while let Some((topic, at)) = batch.releases.last() {
            done(store.release(topic, at).map(drop))?;
            self.tails.advance(topic);
            batch.releases.pop();
        }
        while let Some((topic, holes)) = batch.rests.last() {
            done(store.rest(topic, holes))?;
            batch.rests.pop();
        }
        while let Some(proof) = batch.proofs.first() {
            done(store.remember(proof))?;
            batch.proofs.remove(0);
        }
        Ok(())
    }

    /// The disk works. Until it has kept bundles again, the next failure counts as one more.
    fn works(&mut self, had_keeps: bool) {
        let Some(failing) = &mut self.state.failing else { return };
        let was_told = failing.failures >= PATIENCE && failing.again.take().is_some();
        if had_keeps || failing.failures < PATIENCE {
            self.state.failing = None;
        }
        // If there is too little room besides, that is told when there is more.
        if was_told && !self.space.was_short() {
            self.tell(StoreAnswer::Works);
            self.tails.advance_all();
        }
    }

    /// The disk is full, or fails: it is tried again, and whoever waits too long is told.
    fn failed(&mut self, mut batch: Batch, error: &StoreError) {
        let (now, why) = (Instant::now(), StoreTrouble::from(error));
        let before = self.state.failing.as_ref().map_or(0, |failing| failing.failures);
        let pause = FIRST_PAUSE.saturating_mul(1u32.checked_shl(before).unwrap_or(u32::MAX));
        let failures = before.saturating_add(1);
        let again = Some(now + pause.min(LONGEST_PAUSE));
        if failures >= PATIENCE {
            self.refuse(&mut batch, &why);
            batch.keep_back(now);
        }
        self.state.batch = batch;
        self.state.failing = Some(Failing { failures, again, why });
    }

    /// Answers whoever waits for the commit that there is none.
    fn refuse(&self, batch: &mut Batch, why: &StoreTrouble) {
        if let Some(until_ms) = batch.record.take() {
            self.recorded(until_ms, Err(why.to_string()));
        }
        for keep in std::mem::take(&mut batch.keeps) {
            self.tell(StoreAnswer::Kept { keep, kept: Err(why.clone()) });
        }
    }

    /// Why nothing more is taken now: the disk fails, everybody knows, and it is not yet time to try again.
    fn refuses(&self) -> Option<StoreTrouble> {
        let failing = self.state.failing.as_ref()?;
        (failing.failures >= PATIENCE && failing.again.is_some()).then(|| failing.why.clone())
    }

    /// The same of bundles: nothing more is kept on a disk that has little room left. All else goes on: it is small, or gives room.
    fn refuses_bundles(&mut self, now: Instant) -> Option<StoreTrouble> {
        self.space.shortage(&self.outside, now).or_else(|| self.refuses())
    }

    /// Tells that nothing is kept, where so little is free: before anybody speaks in a topic or at a position, so that own rumors are refused
    /// before they are sealed.
    fn tell_shortage(&mut self, now: Instant) {
        if let Some(why) = self.space.shortage(&self.outside, now) {
            self.tell(StoreAnswer::Fails(why));
        }
    }

    /// Tells when there is room again.
    fn look_for_room(&mut self) {
        let was_short = self.space.was_short();
        let has_room = self.space.shortage(&self.outside, Instant::now()).is_none();
        if was_short && has_room && self.refuses().is_none() {
            self.tell(StoreAnswer::Works);
            self.tails.advance_all();
        }
    }

    fn forget(&mut self, topic: &TopicId, what: Forget) -> Res<Forgotten> {
        self.with(|store| store.forget(topic, what).and_then(|more| left(&*store.reader(), topic, more)))
    }

    /// Does something of its own with the store.
    fn with<T>(&mut self, act: impl FnOnce(&mut dyn Store) -> Res<T>) -> Res<T> {
        let Some(store) = self.store.as_deref_mut() else { return Err(StoreError::Closed) };
        let result = self.outside.before_commit().map_err(of_disk).and_then(|()| act(store));
        if matches!(result, Err(StoreError::Damaged(_) | StoreError::Closed)) {
            self.restart();
        }
        result
    }

    /// The store is damaged: what can be read of it goes into a new one. What was given and not answered is never answered, but for
    /// records.
    fn restart(&mut self) {
        let batch = std::mem::take(&mut self.state.batch);
        self.state.epoch = self.state.epoch.saturating_add(1);
        self.state.failing = None;
        self.shelf.lay_out(None);
        self.store = None;
        let lost = || Err(StoreTrouble::Damaged.to_string());
        if let Some(until_ms) = batch.record {
            self.recorded(until_ms, lost());
        }
        let mut pause = FIRST_PAUSE;
        let (store, started) = loop {
            let opened = (self.open)();
            match opened.and_then(|mut store| store.start(&self.author).map(|started| (store, started))) {
                Ok(opened) => break opened,
                Err(_) => pause = pause.saturating_mul(2).min(LONGEST_PAUSE),
            }
            let until = Instant::now() + pause;
            loop {
                match self.tasks.recv_timeout(until.saturating_duration_since(Instant::now())) {
                    Ok(Task::Record { until_ms }) => self.recorded(until_ms, lost()),
                    Ok(Task::ForgetTopic { topic, answer }) => self.state.forgets.push_back((topic, answer)),
                    // Jobs of an earlier epoch, and news of the store that is over.
                    Ok(_) => {}
                    Err(RecvTimeoutError::Timeout) => break,
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        };
        self.shelf.lay_out(Some(&*store));
        self.store = Some(store);
        self.tell(StoreAnswer::Started { evidence: started.evidence, damage: started.damage });
        self.tails.advance_all();
    }

    fn recorded(&self, until_ms: u64, result: Result<(), String>) {
        // An error means that the node is gone.
        let _ = self.told.send(Told::Recorded { until_ms, result });
    }

    fn tell(&self, answer: StoreAnswer) {
        // An error means that the node is gone.
        let _ = self.told.send(Told::Store { epoch: self.state.epoch, answer });
    }
}

/// A topic that was never opened has nothing to release or to rest.
fn done(result: Res<()>) -> Res<()> {
    if matches!(result, Err(StoreError::NotOpen)) { Ok(()) } else { result }
}

/// What a test says of the disk, as a store would say it.
fn of_disk(source: io::Error) -> StoreError {
    match source.kind() {
        io::ErrorKind::StorageFull => StoreError::NoRoom(PathBuf::new()),
        io::ErrorKind::InvalidData => StoreError::Damaged(source.to_string()),
        _ => StoreError::Io { path: PathBuf::new(), source },
    }
}
